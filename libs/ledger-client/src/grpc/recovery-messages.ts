import { NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import type { LacAnswer, ReadAnswer } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { decodeReadReply, encodeReadReply, type Address } from './node-messages.ts'
import {
  BOOL_FIELD_BYTES,
  FIXED32_FIELD_BYTES,
  FIXED64_FIELD_BYTES,
  lengthPrefixedBytes,
  WireReader,
  WireWriter
} from './wire-buffer.ts'

/** In one request. What a request costs is paid often enough by so many; more would wait longer for the last of them. */
export const RECOVERY_ORDERS_MAX = 64

/** A fence of a ledger, and what is to be read behind it, if anything is. */
export interface RecoveryOrder {
  readonly ledgerId: LedgerId
  readonly read: RecoveryReadLimits | undefined
}

export interface RecoveryReadLimits {
  readonly first: EntryId
  readonly last: EntryId
  readonly bytesMax: number
  readonly entriesMax: number
}

/** What became of an order: `lac` answers one that reads nothing, `read` one that does. */
export type RecoveryAnswer =
  | { readonly index: number; readonly lac: LacAnswer }
  | { readonly index: number; readonly read: ReadAnswer }
  | { readonly index: number; readonly failure: string }

const UINT32_MAX = 0xffff_ffff
const FENCE_BYTES = FIXED64_FIELD_BYTES
const READ_BYTES = 3 * FIXED64_FIELD_BYTES + 2 * FIXED32_FIELD_BYTES

const orderBytes = ({ read }: RecoveryOrder): number => (read === undefined ? FENCE_BYTES : READ_BYTES)

export function encodeRecoverRequest({ clusterId, nodeId }: Address, orders: readonly RecoveryOrder[]): Buffer {
  let bytes = lengthPrefixedBytes(clusterId.length) + lengthPrefixedBytes(nodeId.length)
  for (const order of orders) bytes += lengthPrefixedBytes(orderBytes(order))
  const writer = new WireWriter(bytes)
  writer.bytes(1, clusterId)
  writer.bytes(2, nodeId)
  for (const order of orders) {
    writer.open(3, orderBytes(order))
    writer.fixed64(1, order.ledgerId)
    if (order.read === undefined) continue
    writer.fixed64(2, order.read.first)
    writer.fixed64(3, order.read.last)
    writer.fixed32(4, Math.min(order.read.bytesMax, UINT32_MAX))
    writer.fixed32(5, Math.min(order.read.entriesMax, UINT32_MAX))
  }
  return writer.finish()
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeRecoverRequest(message: Buffer): {
  names: { clusterId: string; nodeId: string }
  orders: RecoveryOrder[]
} {
  const reader = new WireReader(message)
  const names = { clusterId: '', nodeId: '' }
  const orders: RecoveryOrder[] = []
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) names.clusterId = reader.bytes().toString()
    else if (tag === 18) names.nodeId = reader.bytes().toString()
    else if (tag === 26) {
      if (orders.length === RECOVERY_ORDERS_MAX) refuse('too many orders in one request')
      orders.push(decodeOrder(reader))
    } else reader.skip(tag)
  }
  return { names, orders }
}

function decodeOrder(reader: WireReader): RecoveryOrder {
  const outer = reader.enter()
  let ledger: number | undefined
  let first: number | undefined
  let last = 0
  let bytesMax = 0
  let entriesMax = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 9) ledger = reader.fixed64()
    else if (tag === 17) first = reader.fixed64()
    else if (tag === 25) last = reader.fixed64()
    else if (tag === 37) bytesMax = reader.fixed32()
    else if (tag === 45) entriesMax = reader.fixed32()
    else reader.skip(tag)
  }
  reader.leave(outer)
  if (ledger === undefined) refuse('an order for no ledger')
  const limits = { first: first as EntryId, last: last as EntryId, bytesMax, entriesMax }
  return { ledgerId: ledger as LedgerId, read: first === undefined ? undefined : limits }
}

/** An answer as it goes into a message, and the bytes it takes there. */
export interface EncodedAnswer {
  readonly index: number
  readonly lac: LacAnswer | undefined
  /** A `ReadReply`, or the text of a failure. */
  readonly content: Buffer | undefined
  readonly isFailure: boolean
  readonly bytes: number
}

export function encodedAnswer(answer: RecoveryAnswer): EncodedAnswer {
  const { index } = answer
  if ('lac' in answer) {
    const bytes = FIXED32_FIELD_BYTES + FIXED64_FIELD_BYTES + BOOL_FIELD_BYTES
    return { index, lac: answer.lac, content: undefined, isFailure: false, bytes }
  }
  const isFailure = 'failure' in answer
  const content = isFailure ? Buffer.from(answer.failure) : encodeReadReply(answer.read)
  const bytes = FIXED32_FIELD_BYTES + lengthPrefixedBytes(content.length)
  return { index, lac: undefined, content, isFailure, bytes }
}

export function encodeRecoverAnswers(answers: readonly EncodedAnswer[]): Buffer {
  let bytes = 0
  for (const answer of answers) bytes += lengthPrefixedBytes(answer.bytes)
  const writer = new WireWriter(bytes)
  for (const { index, lac, content, isFailure, bytes: own } of answers) {
    writer.open(1, own)
    writer.fixed32(1, index)
    if (lac !== undefined) {
      writer.fixed64(2, lac.lac + 1)
      writer.small(5, lac.authority ? 1 : 0)
    }
    if (content !== undefined) writer.bytes(isFailure ? 4 : 3, content)
  }
  return writer.finish()
}

/** Payloads are slices of the message. An answer that says nothing is a failure. @throws LedgerError MALFORMED_MESSAGE */
export function decodeRecoverAnswers(message: Buffer): RecoveryAnswer[] {
  const reader = new WireReader(message)
  const answers: RecoveryAnswer[] = []
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) answers.push(decodeAnswer(reader))
    else reader.skip(tag)
  }
  return answers
}

function decodeAnswer(reader: WireReader): RecoveryAnswer {
  const outer = reader.enter()
  let index = -1
  let confirmedCount: number | undefined
  let read: Buffer | undefined
  let failure: string | undefined
  let authority = false
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 13) index = reader.fixed32()
    else if (tag === 17) confirmedCount = reader.fixed64()
    else if (tag === 26) read = reader.bytes()
    else if (tag === 34) failure = reader.bytes().toString()
    else if (tag === 40) authority = reader.varint() !== 0
    else reader.skip(tag)
  }
  reader.leave(outer)
  if (failure !== undefined) return { index, failure }
  if (read !== undefined) return { index, read: decodeReadReply(read) }
  if (confirmedCount === undefined) return { index, failure: 'no answer' }
  return { index, lac: { lac: (confirmedCount + NO_ENTRY) as EntryId, authority } }
}

function refuse(reason: string): never {
  throw LedgerError.create('MALFORMED_MESSAGE', { reason })
}
