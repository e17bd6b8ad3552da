import type { EntryId } from '@strata/base'
import type { AddFailure, ReadAnswer, StoredEntry } from '../contract.ts'
import { FIXED32_FIELD_BYTES, FIXED64_FIELD_BYTES, lengthPrefixedBytes, WireReader, WireWriter } from './wire-buffer.ts'

/*
  The messages of proto/ledger/bookie_node.proto that carry entries to readers, and acknowledgements, by hand: one allocation
  and one copy of each payload to encode, slices of the message to decode. Tags are written as field * 8 + wire type.
*/

/** Whom a request is for. */
export interface Address {
  readonly clusterId: Buffer
  readonly nodeId: Buffer
}

/** What a node says of the adds of a stream. */
export interface AddAnswer {
  readonly channel: number
  readonly entryId: EntryId
  /** undefined: synced, and every add of the channel before it. */
  readonly failure: AddFailure | undefined
}

const ADDED_BYTES = FIXED32_FIELD_BYTES + FIXED64_FIELD_BYTES
const FAILED_BYTES = ADDED_BYTES + 2
const FAILURES: readonly (AddFailure | undefined)[] = [undefined, 'FENCED', 'READ_ONLY', 'STORAGE_FAILED']

/** UNREACHABLE and WRONG_NODE are not for a node to say of itself: they are storage failures. */
function failureCode(failure: AddFailure): number {
  const code = FAILURES.indexOf(failure)
  return code > 0 ? code : FAILURES.indexOf('STORAGE_FAILED')
}

/** `grantedBytes`: over the life of the stream, where it grew. */
export function encodeAddAnswers(answers: readonly AddAnswer[], grantedBytes?: number): Buffer {
  let bytes = grantedBytes === undefined ? 0 : FIXED64_FIELD_BYTES
  for (const { failure } of answers) bytes += lengthPrefixedBytes(failure === undefined ? ADDED_BYTES : FAILED_BYTES)
  const writer = new WireWriter(bytes)
  for (const { channel, entryId, failure } of answers) {
    if (failure === undefined) writer.open(1, ADDED_BYTES)
    else writer.open(2, FAILED_BYTES)
    writer.fixed32(1, channel)
    writer.fixed64(2, entryId)
    if (failure !== undefined) writer.small(3, failureCode(failure))
  }
  if (grantedBytes !== undefined) writer.fixed64(3, grantedBytes)
  return writer.finish()
}

/** In the order of the message; `grantedBytes` 0: it did not grow. @throws LedgerError MALFORMED_MESSAGE */
export function decodeAddAnswers(message: Buffer): { answers: AddAnswer[]; grantedBytes: number } {
  const reader = new WireReader(message)
  const answers: AddAnswer[] = []
  let grantedBytes = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10 || tag === 18) answers.push(decodeAnswer(reader, tag === 18))
    else if (tag === 25) grantedBytes = reader.fixed64()
    else reader.skip(tag)
  }
  return { answers, grantedBytes }
}

function decodeAnswer(reader: WireReader, isFailure: boolean): AddAnswer {
  const outer = reader.enter()
  let channel = 0
  let entry = 0
  let code = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 13) channel = reader.fixed32()
    else if (tag === 17) entry = reader.fixed64()
    else if (tag === 24) code = reader.varint()
    else reader.skip(tag)
  }
  reader.leave(outer)
  const failure = isFailure ? (FAILURES[code] ?? 'STORAGE_FAILED') : undefined
  return { channel, entryId: entry as EntryId, failure }
}

const ENDS: readonly (ReadAnswer['end'] | undefined)[] = [undefined, 'limit', 'absent', 'unknown']
const ENTRY_HEADER_BYTES = 3 * FIXED64_FIELD_BYTES + FIXED32_FIELD_BYTES

const entryBytes = (entry: StoredEntry): number => ENTRY_HEADER_BYTES + lengthPrefixedBytes(entry.payload.length)

export function encodeReadReply(answer: ReadAnswer): Buffer {
  let bytes = 2
  for (const entry of answer.entries) bytes += lengthPrefixedBytes(entryBytes(entry))
  const writer = new WireWriter(bytes)
  for (const entry of answer.entries) {
    writer.open(1, entryBytes(entry))
    writer.fixed64(1, entry.entryId)
    writer.fixed64(2, entry.lac + 1)
    writer.fixed64(3, entry.lengthBytes)
    writer.fixed32(4, entry.crc32c)
    writer.bytes(5, entry.payload)
  }
  writer.small(2, ENDS.indexOf(answer.end))
  return writer.finish()
}

/** Payloads are slices of the message. @throws LedgerError MALFORMED_MESSAGE */
export function decodeReadReply(message: Buffer): ReadAnswer {
  const reader = new WireReader(message)
  const entries: StoredEntry[] = []
  let end: ReadAnswer['end'] | undefined
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) entries.push(decodeEntry(reader))
    else if (tag === 16) end = ENDS[reader.varint()]
    else reader.skip(tag)
  }
  // What this reader does not know of is no authority: 'absent' must have been said in so many words.
  return { entries, end: end ?? 'unknown' }
}

function decodeEntry(reader: WireReader): StoredEntry {
  const outer = reader.enter()
  let entry = 0
  let confirmedCount = 0
  let lengthBytes = 0
  let crc32c = 0
  let payload: Buffer = EMPTY
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 9) entry = reader.fixed64()
    else if (tag === 17) confirmedCount = reader.fixed64()
    else if (tag === 25) lengthBytes = reader.fixed64()
    else if (tag === 37) crc32c = reader.fixed32()
    else if (tag === 42) payload = reader.bytes()
    else reader.skip(tag)
  }
  reader.leave(outer)
  return { entryId: entry as EntryId, lac: (confirmedCount - 1) as EntryId, lengthBytes, crc32c, payload }
}

const EMPTY: Buffer = Buffer.alloc(0)
