import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Position } from '@strata/cursor-protocol'
import { encodeSegment, rowCodec, type Change, type Compare } from '@strata/metadata'
import { ManagedLedgerError } from './errors.ts'
import {
  type CleanClose as StoredCleanClose,
  type CleanCloseSchema,
  LedgerRecord_State,
  LedgerRecordSchema,
  LogRecordSchema,
  type LogPosition
} from './generated/managed-ledger_pb.ts'

/** The stored facts of a log, see proto/storage/managed-ledger.proto. */
export interface LogRecord {
  readonly epoch: number
  readonly cursorLedgerId: number | undefined
  readonly terminatedAt: Position | undefined
  readonly properties: Readonly<Record<string, string>>
  readonly trimmedThrough: Position
  readonly isDeleting: boolean
  readonly obsoleteLedgerIds: readonly number[]
  readonly cleanClose: CleanClose | undefined
}

export interface CleanClose {
  readonly slowestCursor: Position | undefined
  readonly closedAtMs: number | undefined
}

export interface LedgerRecord {
  readonly ledgerId: number
  readonly state: 'open' | 'closed' | 'deleting'
  readonly entries: number
  readonly sizeBytes: number
  readonly createdAtMs: number
  readonly closedAtMs: number | undefined
}

const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => ManagedLedgerError.create('LOG_CORRUPT', { ...problem }, cause)
})
const LEDGER_ID_DIGITS = 16
const BEFORE_ALL: Position = { ledgerId: -1, entryId: -1 }

export const NEW_LOG: LogRecord = {
  epoch: 0,
  cursorLedgerId: undefined,
  terminatedAt: undefined,
  properties: {},
  trimmedThrough: BEFORE_ALL,
  isDeleting: false,
  obsoleteLedgerIds: [],
  cleanClose: undefined
}

/** As its first owner writes it. */
export const FIRST_RECORD: LogRecord = { ...NEW_LOG, epoch: 1 }

/**
 * What makes a log together with whatever it belongs to, in one transaction. Whoever commits that may open the log with
 * its revision (`bornAt`), and needs neither read nor write for it.
 */
export function logBirth(name: string): { readonly compare: Compare; readonly change: Change } {
  const key = logKey(name)
  return { compare: { key, version: 0 }, change: { kind: 'put', key, value: encodeLogRecord(FIRST_RECORD) } }
}

export function logKey(name: string): string {
  return `logs/${encodeSegment(name)}`
}

export function ledgersPrefix(name: string): string {
  return `${logKey(name)}/ledgers/`
}

export function ledgerKey(name: string, ledgerId: number): string {
  return ledgersPrefix(name) + String(ledgerId).padStart(LEDGER_ID_DIGITS, '0')
}

export function encodeLogRecord(record: LogRecord): Uint8Array {
  const { cursorLedgerId, terminatedAt, cleanClose } = record
  return codec.encode(LogRecordSchema, {
    epoch: BigInt(record.epoch),
    properties: { ...record.properties },
    trimmedThrough: encodePosition(record.trimmedThrough),
    deleting: record.isDeleting,
    obsoleteLedgerIds: record.obsoleteLedgerIds.map(BigInt),
    ...(cursorLedgerId === undefined ? {} : { cursorLedgerId: BigInt(cursorLedgerId) }),
    ...(terminatedAt === undefined ? {} : { terminatedAt: encodePosition(terminatedAt) }),
    ...(cleanClose === undefined ? {} : { cleanClose: encodeCleanClose(cleanClose) })
  })
}

/** @throws ManagedLedgerError LOG_CORRUPT */
export function decodeLogRecord(bytes: Uint8Array): LogRecord {
  const record = codec.decode(LogRecordSchema, bytes)
  return {
    epoch: Number(record.epoch ?? 0n),
    cursorLedgerId: record.cursorLedgerId === undefined ? undefined : Number(record.cursorLedgerId),
    terminatedAt: record.terminatedAt === undefined ? undefined : decodePosition(record.terminatedAt),
    properties: record.properties,
    trimmedThrough: record.trimmedThrough === undefined ? BEFORE_ALL : decodePosition(record.trimmedThrough),
    isDeleting: record.deleting ?? false,
    obsoleteLedgerIds: record.obsoleteLedgerIds.map(Number),
    cleanClose: record.cleanClose === undefined ? undefined : decodeCleanClose(record.cleanClose)
  }
}

export function encodeLedgerRecord(record: LedgerRecord): Uint8Array {
  return codec.encode(LedgerRecordSchema, {
    state: STATE_NUMBER[record.state],
    entries: BigInt(record.entries),
    sizeBytes: BigInt(record.sizeBytes),
    createdAtMs: BigInt(Math.round(record.createdAtMs)),
    ...(record.closedAtMs === undefined ? {} : { closedAtMs: BigInt(Math.round(record.closedAtMs)) })
  })
}

/** @throws ManagedLedgerError LOG_CORRUPT */
export function decodeLedgerRecord(key: string, bytes: Uint8Array): LedgerRecord {
  const record = codec.decode(LedgerRecordSchema, bytes)
  const state = STATE_NAME.get(record.state ?? LedgerRecord_State.UNSPECIFIED)
  const ledgerId = Number(key.slice(-LEDGER_ID_DIGITS))
  if (state === undefined || !Number.isSafeInteger(ledgerId)) throw ManagedLedgerError.create('LOG_CORRUPT', { key })
  return {
    ledgerId,
    state,
    entries: Number(record.entries ?? 0n),
    sizeBytes: Number(record.sizeBytes ?? 0n),
    createdAtMs: Number(record.createdAtMs ?? 0n),
    closedAtMs: record.closedAtMs === undefined ? undefined : Number(record.closedAtMs)
  }
}

const STATE_NUMBER = {
  open: LedgerRecord_State.OPEN,
  closed: LedgerRecord_State.CLOSED,
  deleting: LedgerRecord_State.DELETING
} as const
const STATE_NAME: ReadonlyMap<LedgerRecord_State, LedgerRecord['state']> = new Map([
  [LedgerRecord_State.OPEN, 'open'],
  [LedgerRecord_State.CLOSED, 'closed'],
  [LedgerRecord_State.DELETING, 'deleting']
])

function encodePosition(position: Position): LogPosition {
  const { ledgerId, entryId } = position
  return {
    $typeName: 'strata.storage.managed_ledger.LogPosition',
    ledgerId: BigInt(ledgerId),
    entryId: BigInt(entryId)
  }
}

function decodePosition(position: LogPosition): Position {
  return { ledgerId: Number(position.ledgerId ?? -1n), entryId: Number(position.entryId ?? -1n) }
}

function encodeCleanClose({ slowestCursor, closedAtMs }: CleanClose): MessageInitShape<typeof CleanCloseSchema> {
  return {
    ...(slowestCursor === undefined ? {} : { slowestCursor: encodePosition(slowestCursor) }),
    ...(closedAtMs === undefined ? {} : { closedAtMs: BigInt(Math.round(closedAtMs)) })
  }
}

function decodeCleanClose({ slowestCursor, closedAtMs }: StoredCleanClose): CleanClose {
  return {
    slowestCursor: slowestCursor === undefined ? undefined : decodePosition(slowestCursor),
    closedAtMs: closedAtMs === undefined ? undefined : Number(closedAtMs)
  }
}
