import { create } from '@bufbuild/protobuf'
import { bookieId, entryId, ledgerId, type BookieId, type LedgerId } from '@strata/base'
import type { Ensemble, LedgerEnd, NodeGroups, QuorumConfig } from '@strata/ledger-protocol'
import { rowCodec } from '@strata/metadata'
import { LedgerError } from './errors.ts'
import {
  LedgerDeletionRowSchema,
  LedgerIdsRowSchema,
  LedgerRowSchema,
  LedgerState
} from './generated/ledger-client_pb.ts'
import { readLedgerRow, type StoredLedger } from './ledger-row.ts'

/** Values are stored in format version 1, see proto/storage/ledger-client.proto. */
/** Names the cluster that a metadata store belongs to (UTF-8). The first node of a new cluster writes it. */
export const CLUSTER_ID_KEY = 'cluster-id'

const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => LedgerError.create('METADATA_CORRUPT', { ...problem }, cause)
})

export const LEDGERS_PREFIX = 'ledgers/'
export const LEDGER_DELETIONS_PREFIX = 'ledger-deletions/'
export const LEDGER_IDS_KEY = 'ledger-ids'
/** Written anew whenever the ids that were given out before, and not used yet, may not be used any more. */
export const LEDGER_IDS_FLOOR_KEY = 'ledger-ids-floor'
/** Enough for every safe integer, so that keys are in the order of ids. */
const ID_DIGITS = 16

/** A ledger as the metadata has it. `end` is set exactly when it is closed. */
export interface LedgerRecord {
  readonly quorum: QuorumConfig
  readonly state: 'open' | 'in-recovery' | 'closed'
  readonly end: LedgerEnd | undefined
  readonly ensembles: readonly Ensemble[]
  readonly owner: string
  /** That its copies belong on; undefined: on any node. */
  readonly groups?: NodeGroups
  /** Of the change that wrote this value. */
  readonly operationId: string
  readonly createdAtMs: number
}

/** What lets a node delete a ledger. */
export interface LedgerDeletion {
  readonly bookies: readonly BookieId[]
  readonly owner: string
  readonly deletedAtMs: number
}

export const ledgerKey = (id: LedgerId): string => LEDGERS_PREFIX + digitsOf(id)
export const ledgerDeletionKey = (id: LedgerId): string => LEDGER_DELETIONS_PREFIX + digitsOf(id)

/** The ledger that a key under `ledgers/` or `ledger-deletions/` names; undefined: none. */
export function ledgerIdOfKey(key: string): LedgerId | undefined {
  const digits = key.slice(key.lastIndexOf('/') + 1)
  const id = Number(digits)
  return /^[0-9]{16}$/.test(digits) && Number.isSafeInteger(id) ? ledgerId(id) : undefined
}

function digitsOf(id: LedgerId): string {
  return String(id).padStart(ID_DIGITS, '0')
}

export function encodeLedger(record: LedgerRecord): Uint8Array {
  const { quorum, end } = record
  const row = create(LedgerRowSchema, {
    ensembleSize: quorum.ensembleSize,
    writeQuorum: quorum.writeQuorum,
    ackQuorum: quorum.ackQuorum,
    state: STATES[record.state],
    ensembles: record.ensembles.map(({ firstEntryId, bookies }) => ({
      $typeName: 'strata.storage.ledger.EnsembleRow' as const,
      firstEntryId: BigInt(firstEntryId),
      bookies: [...bookies]
    })),
    owner: record.owner,
    operationId: record.operationId,
    createdAtMs: BigInt(record.createdAtMs),
    primaryGroups: [...(record.groups?.primary ?? [])],
    secondaryGroups: [...(record.groups?.secondary ?? [])]
  })
  if (end !== undefined) {
    row.entryCount = BigInt(end.lastEntryId + 1)
    row.lengthBytes = BigInt(end.lengthBytes)
  }
  return codec.encode(LedgerRowSchema, row)
}

/** @throws LedgerError METADATA_CORRUPT */
export function decodeLedger(bytes: Uint8Array): LedgerRecord {
  const row = readLedgerRow(bytes) ?? codec.decode(LedgerRowSchema, bytes)
  const state = stateOf(row.state)
  const { ensembleSize = 0, writeQuorum = 0, ackQuorum = 0 } = row
  if (ackQuorum < 1 || writeQuorum < ackQuorum || ensembleSize < writeQuorum) refuse('quorum')
  const ensembles = ensemblesOf(row, ensembleSize)
  return {
    quorum: { ensembleSize, writeQuorum, ackQuorum },
    state,
    end: state === 'closed' ? endOf(row) : undefined,
    ensembles,
    owner: row.owner ?? '',
    ...groupsOf(row),
    operationId: row.operationId ?? '',
    createdAtMs: numberOf(row.createdAtMs, 'created_at_ms')
  }
}

function groupsOf({ primaryGroups: primary, secondaryGroups: secondary }: StoredLedger): { groups?: NodeGroups } {
  return primary.length === 0 && secondary.length === 0 ? {} : { groups: { primary, secondary } }
}

export function encodeDeletion(deletion: LedgerDeletion): Uint8Array {
  const { bookies, owner, deletedAtMs } = deletion
  const row = create(LedgerDeletionRowSchema, { bookies: [...bookies], owner, deletedAtMs: BigInt(deletedAtMs) })
  return codec.encode(LedgerDeletionRowSchema, row)
}

/** @throws LedgerError METADATA_CORRUPT */
export function decodeDeletion(bytes: Uint8Array): LedgerDeletion {
  const row = codec.decode(LedgerDeletionRowSchema, bytes)
  return {
    bookies: row.bookies.map(nodeOf),
    owner: row.owner ?? '',
    deletedAtMs: numberOf(row.deletedAtMs, 'deleted_at_ms')
  }
}

export function encodeNextLedgerId(next: number): Uint8Array {
  return codec.encode(LedgerIdsRowSchema, { next: BigInt(next) })
}

/** @throws LedgerError METADATA_CORRUPT */
export function decodeNextLedgerId(bytes: Uint8Array): number {
  return numberOf(codec.decode(LedgerIdsRowSchema, bytes).next, 'next')
}

const STATES = {
  open: LedgerState.OPEN,
  'in-recovery': LedgerState.IN_RECOVERY,
  closed: LedgerState.CLOSED
} as const

function stateOf(state: LedgerState | undefined): LedgerRecord['state'] {
  switch (state) {
    case LedgerState.OPEN:
      return 'open'
    case LedgerState.IN_RECOVERY:
      return 'in-recovery'
    case LedgerState.CLOSED:
      return 'closed'
    case LedgerState.UNSPECIFIED:
    case undefined:
    default:
      return refuse('state')
  }
}

function endOf(row: StoredLedger): LedgerEnd {
  if (row.entryCount === undefined) refuse('entry_count')
  return {
    lastEntryId: entryId(numberOf(row.entryCount, 'entry_count') - 1),
    lengthBytes: numberOf(row.lengthBytes, 'length_bytes')
  }
}

function ensemblesOf(row: StoredLedger, ensembleSize: number): Ensemble[] {
  let previous = -1
  const ensembles = row.ensembles.map(({ firstEntryId, bookies }, i) => {
    const first = numberOf(firstEntryId, 'first_entry_id')
    if (bookies.length !== ensembleSize || first <= previous || (i === 0 && first !== 0)) refuse('ensembles')
    previous = first
    return { firstEntryId: entryId(first), bookies: bookies.map(nodeOf) }
  })
  return ensembles.length > 0 ? ensembles : refuse('ensembles')
}

function nodeOf(id: string): BookieId {
  return id.length > 0 && id.length <= 255 ? bookieId(id) : refuse('bookies')
}

function numberOf(stored: bigint | number | undefined, field: string): number {
  const value = Number(stored ?? 0n)
  return Number.isSafeInteger(value) ? value : refuse(field)
}

function refuse(reason: string): never {
  throw LedgerError.create('METADATA_CORRUPT', { reason })
}
