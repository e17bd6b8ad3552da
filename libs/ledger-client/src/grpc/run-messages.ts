import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ledgerId, type EntryId, type LedgerId } from '@strata/base'
import type { EntryRun, RunFailure, RunRequest, StoredEntry } from '../contract.ts'
import { runOf } from '../entry-run.ts'
import { LedgerError } from '../errors.ts'
import { AddFailureCode, AddRunReplySchema } from '../generated/bookie_node_pb.ts'
import { decodeReadReply, encodeReadReply, type Address } from './node-messages.ts'
import { FIXED64_FIELD_BYTES, lengthPrefixedBytes, WireReader, WireWriter } from './wire-buffer.ts'

/*
  Runs of entries, on their way from one node to another. Whoever copies gets them as a node's answer to `Read` has them, and
  sends them on as they came: the bytes of the entries are looked at, and copied, by none between the two nodes.
*/

/** Entries as they came over the wire. */
class EncodedRun implements EntryRun {
  readonly ledgerId: LedgerId
  readonly first: EntryId
  readonly last: EntryId
  readonly count: number
  readonly payloadBytes: number
  /** Items of a `ReadReply`. */
  readonly bytes: Buffer

  constructor(
    ledgerId: LedgerId,
    { first, last, count, payloadBytes, bytes }: Pick<EncodedRun, 'first' | 'last' | 'count' | 'payloadBytes' | 'bytes'>
  ) {
    this.ledgerId = ledgerId
    this.first = first
    this.last = last
    this.count = count
    this.payloadBytes = payloadBytes
    this.bytes = bytes
  }

  entries(): readonly StoredEntry[] {
    return decodeReadReply(this.bytes).entries
  }
}

/** What a node's answer begins with of what was asked for; undefined: nothing. @throws LedgerError MALFORMED_MESSAGE */
export function decodeRun({ ledgerId: ledger, first, last, every }: RunRequest, reply: Buffer): EntryRun | undefined {
  const reader = new WireReader(reply)
  let count = 0
  let payloadBytes = 0
  let end = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 10) {
      reader.skip(tag)
      continue
    }
    const { entryId, bytes } = sizeOf(reader)
    if (entryId !== first + count * every || entryId > last) break
    count += 1
    payloadBytes += bytes
    end = reader.offset
  }
  if (count === 0) return undefined
  const lastRead = (first + (count - 1) * every) as EntryId
  return new EncodedRun(ledger, { first, last: lastRead, count, payloadBytes, bytes: reply.subarray(0, end) })
}

function sizeOf(reader: WireReader): { entryId: number; bytes: number } {
  const outer = reader.enter()
  let entryId = 0
  let bytes = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 9) entryId = reader.fixed64()
    else if (tag === 42) bytes = reader.skipBytes()
    else reader.skip(tag)
  }
  reader.leave(outer)
  return { entryId, bytes }
}

export function encodeAddRun({ clusterId, nodeId }: Address, run: EntryRun): Buffer {
  const names = lengthPrefixedBytes(clusterId.length) + lengthPrefixedBytes(nodeId.length)
  const writer = new WireWriter(names + FIXED64_FIELD_BYTES)
  writer.bytes(3, clusterId)
  writer.bytes(4, nodeId)
  writer.fixed64(5, run.ledgerId)
  const items = run instanceof EncodedRun ? run.bytes : encodeReadReply({ entries: run.entries(), end: 'limit' })
  return Buffer.concat([items, writer.finish()])
}

/** Its entries are slices of the message. undefined: there are none. @throws LedgerError MALFORMED_MESSAGE */
export function decodeAddRun(message: Buffer): {
  names: { clusterId: string; nodeId: string }
  run: EntryRun | undefined
} {
  const reader = new WireReader(message)
  const names = { clusterId: '', nodeId: '' }
  let ledger = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) reader.skipBytes()
    else if (tag === 26) names.clusterId = reader.bytes().toString()
    else if (tag === 34) names.nodeId = reader.bytes().toString()
    else if (tag === 41) ledger = reader.fixed64()
    else reader.skip(tag)
  }
  const { entries } = decodeReadReply(message)
  for (const [i, { entryId, lac }] of entries.entries()) {
    if (lac >= entryId) refuse('an entry that is confirmed before it is written')
    if (entryId <= (entries[i - 1]?.entryId ?? -1)) refuse('entries that do not ascend')
  }
  return { names, run: runOf(ledgerId(ledger), entries) }
}

export function encodeRunAnswer(run: EntryRun | undefined, failure: RunFailure | undefined): Buffer {
  const answer =
    failure === undefined
      ? { addedCount: run?.count ?? 0 }
      : { failure: codeOf(failure.failure), failedEntryId: BigInt(failure.entryId) }
  return Buffer.from(toBinary(AddRunReplySchema, create(AddRunReplySchema, answer)))
}

/** @throws LedgerError MALFORMED_MESSAGE: it says neither that all were added nor which was not */
export function decodeRunAnswer(run: EntryRun, bytes: Buffer): RunFailure | undefined {
  const { addedCount, failure, failedEntryId } = decoded(bytes)
  if (failure === undefined)
    return addedCount === run.count ? undefined : refuse('a run that is neither added nor refused')
  return { entryId: Number(failedEntryId ?? BigInt(run.first)) as EntryId, failure: failureOf(failure) }
}

function decoded(bytes: Buffer) {
  try {
    return fromBinary(AddRunReplySchema, bytes)
  } catch (error) {
    throw LedgerError.create('MALFORMED_MESSAGE', { reason: 'not a message' }, error)
  }
}

function codeOf(failure: RunFailure['failure']): AddFailureCode {
  if (failure === 'FENCED') return AddFailureCode.FENCED
  if (failure === 'READ_ONLY') return AddFailureCode.READ_ONLY
  return failure === 'DAMAGED' ? AddFailureCode.DAMAGED : AddFailureCode.STORAGE_FAILED
}

function failureOf(code: AddFailureCode): RunFailure['failure'] {
  if (code === AddFailureCode.FENCED) return 'FENCED'
  if (code === AddFailureCode.READ_ONLY) return 'READ_ONLY'
  return code === AddFailureCode.DAMAGED ? 'DAMAGED' : 'STORAGE_FAILED'
}

function refuse(reason: string): never {
  throw LedgerError.create('MALFORMED_MESSAGE', { reason })
}
