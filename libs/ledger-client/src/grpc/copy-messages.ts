import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { bookieId, entryId, ledgerId } from '@strata/base'
import type { CopyAnswer, CopyOrder, EntryRecords } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { CopyReplySchema, CopyRequestSchema, type CopyRequest } from '../generated/bookie_node_pb.ts'
import { BOOL_FIELD_BYTES, lengthPrefixedBytes, WireReader, WireWriter } from './wire-buffer.ts'
import { decoded, safe } from './message-values.ts'

/*
  Copies from node to node. Records go as they stand in files: one copy of them all into gRPC's frame, a slice of the message to decode.
*/

interface Names {
  readonly clusterId: string
  readonly nodeId: string
}

const SOURCES_MAX = 64

/** Without records: the node gives none. */
export function encodeRecords(found: EntryRecords | undefined): Buffer {
  if (found === undefined) return Buffer.alloc(0)
  return new RecordsReply(found) as unknown as Buffer // all that gRPC's server asks of a message: `byteLength` and `copy`
}

/** Put into bytes where gRPC frames its messages, once, and not before: records are copied once on their way. */
class RecordsReply {
  readonly byteLength: number
  readonly #records: EntryRecords

  constructor(records: EntryRecords) {
    this.byteLength = lengthPrefixedBytes(records.bytes.length) + BOOL_FIELD_BYTES
    this.#records = records
  }

  /** @returns the bytes that were written */
  copy(buffer: Buffer, at = 0): number {
    const writer = new WireWriter(this.byteLength, { buffer, at })
    writer.bytes(1, this.#records.bytes)
    writer.small(2, this.#records.isFenced ? 1 : 0)
    writer.finish()
    this.#records.release?.()
    return this.byteLength
  }
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeRecords(message: Buffer): EntryRecords | undefined {
  const reader = new WireReader(message)
  let bytes: Buffer | undefined
  let isFenced = false
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) bytes = reader.bytes()
    else if (tag === 16) isFenced = reader.varint() !== 0
    else reader.skip(tag)
  }
  return bytes === undefined ? undefined : { bytes, isFenced }
}

export function encodeCopyRequest(names: Names, order: CopyOrder): Buffer {
  const message = create(CopyRequestSchema, {
    ...names,
    ledgerId: BigInt(order.ledgerId),
    firstEntryId: BigInt(order.first),
    lastEntryId: BigInt(order.last),
    bytesMax: BigInt(order.bytesMax),
    from: order.from.slice(0, SOURCES_MAX),
    ...(order.every === 1 ? {} : { every: order.every })
  })
  return Buffer.from(toBinary(CopyRequestSchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeCopyRequest(bytes: Buffer): { names: CopyRequest; order: CopyOrder } {
  const names = decoded(() => fromBinary(CopyRequestSchema, bytes))
  const [first, last] = [safe(names.firstEntryId), safe(names.lastEntryId)]
  if (last < first) throw LedgerError.create('MALFORMED_MESSAGE', { reason: 'a stretch that ends before it begins' })
  const order = {
    ledgerId: ledgerId(safe(names.ledgerId)),
    first: entryId(first),
    last: entryId(last),
    every: Math.max(1, names.every ?? 1),
    bytesMax: safe(names.bytesMax),
    from: decoded(() => names.from.slice(0, SOURCES_MAX).map(bookieId))
  }
  return { names, order }
}

export function encodeCopyAnswer({ next, bytes }: CopyAnswer): Buffer {
  const message = create(CopyReplySchema, { nextEntryId: BigInt(next), copiedBytes: BigInt(bytes) })
  return Buffer.from(toBinary(CopyReplySchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeCopyAnswer({ first, last, every }: CopyOrder, bytes: Buffer): CopyAnswer {
  const { nextEntryId, copiedBytes } = decoded(() => fromBinary(CopyReplySchema, bytes))
  const next = safe(nextEntryId)
  if (next < first || next > last + every) {
    throw LedgerError.create('MALFORMED_MESSAGE', { reason: 'an answer about other entries' })
  }
  return { next: entryId(next), bytes: safe(copiedBytes) }
}
