import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { ledgerId, type EntryId, type LedgerId } from '@strata/base'
import type { LacAnswer, LacRequest } from '../contract.ts'
import {
  ReadLacReplySchema,
  ReadLacRequestSchema,
  ReadRequestSchema,
  WriteLacReplySchema,
  WriteLacRequestSchema,
  type ReadLacRequest,
  type ReadRequest,
  type WriteLacRequest
} from '../generated/bookie_node_pb.ts'
import { decoded, safe } from './message-values.ts'

/** An entry larger than this does not fit a message, whatever `maxMessageSize` a broker allows. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

export const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX
}

export const PATHS = {
  add: '/strata.ledger.BookieNode/Add',
  read: '/strata.ledger.BookieNode/Read',
  addRun: '/strata.ledger.BookieNode/AddRun',
  readRecords: '/strata.ledger.BookieNode/ReadRecords',
  copyFrom: '/strata.ledger.BookieNode/CopyFrom',
  readLac: '/strata.ledger.BookieNode/ReadLac',
  recover: '/strata.ledger.BookieNode/Recover',
  writeLac: '/strata.ledger.BookieNode/WriteLac',
  inventory: '/strata.ledger.BookieNode/Inventory',
  heldLedgers: '/strata.ledger.BookieNode/HeldLedgers',
  damagedEntries: '/strata.ledger.BookieNode/DamagedEntries'
} as const

export const asBuffer = (message: Buffer): Buffer => message

/** Messages pass through as bytes: both sides encode and decode by themselves. */
export const SERVICE = {
  add: methodOf(PATHS.add, { isStream: true }),
  read: methodOf(PATHS.read, { isStream: false }),
  addRun: methodOf(PATHS.addRun, { isStream: false }),
  readRecords: methodOf(PATHS.readRecords, { isStream: false }),
  copyFrom: methodOf(PATHS.copyFrom, { isStream: false }),
  readLac: methodOf(PATHS.readLac, { isStream: false }),
  recover: methodOf(PATHS.recover, { isStream: false, isAnsweredInParts: true }),
  writeLac: methodOf(PATHS.writeLac, { isStream: false }),
  inventory: methodOf(PATHS.inventory, { isStream: false }),
  heldLedgers: methodOf(PATHS.heldLedgers, { isStream: false }),
  damagedEntries: methodOf(PATHS.damagedEntries, { isStream: false })
} satisfies ServiceDefinition

function methodOf(
  path: string,
  { isStream, isAnsweredInParts = isStream }: { isStream: boolean; isAnsweredInParts?: boolean }
) {
  return {
    path,
    requestStream: isStream,
    responseStream: isAnsweredInParts,
    requestSerialize: asBuffer,
    requestDeserialize: asBuffer,
    responseSerialize: asBuffer,
    responseDeserialize: asBuffer
  }
}

export interface ReadOptions {
  readonly ledgerId: LedgerId
  readonly first: EntryId
  readonly last: EntryId
  readonly every?: number
  readonly bytesMax: number
  readonly entriesMax: number
  readonly fence: boolean
}

const UINT32_MAX = 0xffff_ffff

export function encodeReadRequest(names: { clusterId: string; nodeId: string }, options: ReadOptions): Buffer {
  const message = create(ReadRequestSchema, {
    ...names,
    ledgerId: BigInt(options.ledgerId),
    firstEntryId: BigInt(options.first),
    lastEntryId: BigInt(options.last),
    bytesMax: Math.min(options.bytesMax, UINT32_MAX),
    entriesMax: Math.min(options.entriesMax, UINT32_MAX),
    fence: options.fence,
    ...(options.every === undefined || options.every === 1 ? {} : { every: options.every })
  })
  return Buffer.from(toBinary(ReadRequestSchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeReadRequest(bytes: Buffer): { names: ReadRequest; options: ReadOptions } {
  const names = decoded(() => fromBinary(ReadRequestSchema, bytes))
  const options = {
    ledgerId: ledgerId(safe(names.ledgerId)),
    first: safe(names.firstEntryId) as EntryId,
    last: safe(names.lastEntryId) as EntryId,
    bytesMax: names.bytesMax ?? 0,
    entriesMax: names.entriesMax ?? 0,
    fence: names.fence ?? false,
    ...((names.every ?? 1) <= 1 ? {} : { every: names.every })
  }
  return { names, options }
}

interface Names {
  readonly clusterId: string
  readonly nodeId: string
}

export function encodeLacRequest(names: Names, options: LacRequest): Buffer {
  const { ledgerId: ledger, fence, waitPast, timeoutMs } = options
  const message = create(ReadLacRequestSchema, {
    ...names,
    ledgerId: BigInt(ledger),
    fence,
    ...(waitPast === undefined ? {} : { waitPastCount: BigInt(waitPast + 1) }),
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.min(Math.ceil(timeoutMs), UINT32_MAX) })
  })
  return Buffer.from(toBinary(ReadLacRequestSchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeLacRequest(bytes: Buffer): { names: ReadLacRequest; options: LacRequest } {
  const names = decoded(() => fromBinary(ReadLacRequestSchema, bytes))
  const { waitPastCount, timeoutMs, fence = false } = names
  const options = {
    ledgerId: ledgerId(safe(names.ledgerId)),
    fence,
    ...(waitPastCount === undefined ? {} : { waitPast: (safe(waitPastCount) - 1) as EntryId }),
    ...(timeoutMs === undefined ? {} : { timeoutMs })
  }
  return { names, options }
}

export interface LacHint {
  readonly ledgerId: LedgerId
  readonly lac: EntryId
}

/** At least one. */
export function encodeLacHints(names: Names, hints: readonly LacHint[]): Buffer {
  const [first, ...further] = hints.map(hint => ({
    ledgerId: BigInt(hint.ledgerId),
    confirmedCount: BigInt(hint.lac + 1)
  }))
  return Buffer.from(toBinary(WriteLacRequestSchema, create(WriteLacRequestSchema, { ...names, ...first, further })))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeLacHints(bytes: Buffer): { names: WriteLacRequest; hints: LacHint[] } {
  const names = decoded(() => fromBinary(WriteLacRequestSchema, bytes))
  const hints = [names, ...names.further].map(hint => ({
    ledgerId: ledgerId(safe(hint.ledgerId)),
    lac: (safe(hint.confirmedCount) - 1) as EntryId
  }))
  return { names, hints }
}

export const encodeLacHintReply = (): Buffer => Buffer.from(toBinary(WriteLacReplySchema, create(WriteLacReplySchema)))

export function encodeLacReply({ lac, authority }: LacAnswer): Buffer {
  const message = create(ReadLacReplySchema, { confirmedCount: BigInt(lac + 1), authority })
  return Buffer.from(toBinary(ReadLacReplySchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeLacReply(bytes: Buffer): LacAnswer {
  const reply = decoded(() => fromBinary(ReadLacReplySchema, bytes))
  return { lac: (safe(reply.confirmedCount) - 1) as EntryId, authority: reply.authority ?? false }
}
