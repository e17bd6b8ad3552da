import { varint64Bytes, varintBytes, type WriteBuffer } from './write-buffer.ts'

/*
  What a producer writes in front of its payloads: MessageMetadata once an entry, SingleMessageMetadata once a message
  of a batch.
*/

/** What belongs to one message, alone or in a batch. */
export interface MessageFields {
  readonly properties?: Readonly<Record<string, string>> | undefined
  readonly partitionKey?: string | undefined
  readonly isPartitionKeyBase64?: boolean | undefined
  readonly orderingKey?: Uint8Array | undefined
  /** Milliseconds since 1970; left out if undefined. */
  readonly eventTimeMs?: number | undefined
  readonly sequenceLow: number
  readonly sequenceHigh: number
  readonly isNullValue?: boolean | undefined
}

/** What belongs to an entry, whether it is a batch or one message. */
export interface EntryFields extends MessageFields {
  readonly producerName: string
  readonly publishTimeMs: number
  readonly highestLow?: number | undefined
  readonly highestHigh?: number | undefined
  /** The protocol's CompressionType. */
  readonly compression?: number | undefined
  /** Left out if undefined; needed with compression, and written for batches. */
  readonly uncompressedBytes?: number | undefined
  /** Makes the entry a batch, even if it is 1. */
  readonly numMessagesInBatch?: number | undefined
  readonly schemaVersion?: Uint8Array | undefined
  readonly deliverAtMs?: number | undefined
  readonly replicateTo?: readonly string[] | undefined
  readonly chunk?:
    { readonly uuid: string; readonly id: number; readonly count: number; readonly totalBytes: number } | undefined
}

/** `[4 size][SingleMessageMetadata]`; the payload, which the caller appends, is `payloadBytes` long. */
export function writeSingleMessageMetadata(out: WriteBuffer, fields: MessageFields, payloadBytes: number): void {
  out.ensure(64 + textRoom(fields))
  const sizeAt = out.position
  out.position += 4
  writeProperties(out, 0x0a, fields.properties)
  if (fields.partitionKey !== undefined) writeText(out, 0x12, fields.partitionKey)
  out.uint8(0x18)
  out.varint(payloadBytes)
  if (fields.eventTimeMs !== undefined) {
    out.uint8(0x28)
    out.varint(fields.eventTimeMs)
  }
  if (fields.isPartitionKeyBase64 === true) out.uint16(0x3001)
  if (fields.orderingKey !== undefined) writeBytes(out, 0x3a, fields.orderingKey)
  out.uint8(0x40)
  out.varint64(fields.sequenceLow, fields.sequenceHigh)
  if (fields.isNullValue === true) out.uint16(0x4801)
  out.uint32At(sizeAt, out.position - sizeAt - 4)
}

/** MessageMetadata, without its size. */
export function writeMessageMetadata(out: WriteBuffer, entry: EntryFields): void {
  out.ensure(256 + textRoom(entry) + entryRoom(entry))
  writeText(out, 0x0a, entry.producerName)
  out.uint8(0x10)
  out.varint64(entry.sequenceLow, entry.sequenceHigh)
  out.uint8(0x18)
  out.varint(entry.publishTimeMs)
  writeProperties(out, 0x22, entry.properties)
  if (entry.partitionKey !== undefined) writeText(out, 0x32, entry.partitionKey)
  for (const cluster of entry.replicateTo ?? []) writeText(out, 0x3a, cluster)
  writeNumber(out, 0x40, entry.compression)
  writeNumber(out, 0x48, entry.uncompressedBytes)
  writeNumber(out, 0x58, entry.numMessagesInBatch)
  writeNumber(out, 0x60, entry.eventTimeMs)
  // From field 16 on a tag takes two bytes.
  if (entry.schemaVersion !== undefined) writeWideBytes(out, 0x8201, entry.schemaVersion)
  if (entry.isPartitionKeyBase64 === true) writeWideNumber(out, 0x8801, 1)
  if (entry.orderingKey !== undefined) writeWideBytes(out, 0x9201, entry.orderingKey)
  writeWideNumber(out, 0x9801, entry.deliverAtMs)
  if (entry.highestLow !== undefined) {
    out.uint16(0xc001)
    out.varint64(entry.highestLow, entry.highestHigh ?? 0)
  }
  if (entry.isNullValue === true) writeWideNumber(out, 0xc801, 1)
  if (entry.chunk !== undefined) writeChunk(out, entry.chunk)
}

function writeChunk(out: WriteBuffer, chunk: NonNullable<EntryFields['chunk']>): void {
  out.uint16(0xd201)
  out.varint(Buffer.byteLength(chunk.uuid))
  out.utf8(chunk.uuid)
  writeWideNumber(out, 0xd801, chunk.count)
  writeWideNumber(out, 0xe001, chunk.totalBytes)
  writeWideNumber(out, 0xe801, chunk.id)
}

function writeNumber(out: WriteBuffer, tag: number, value: number | undefined): void {
  if (value === undefined) return
  out.uint8(tag)
  out.varint(value)
}

function writeWideNumber(out: WriteBuffer, tag: number, value: number | undefined): void {
  if (value === undefined) return
  out.uint16(tag)
  out.varint(value)
}

function writeText(out: WriteBuffer, tag: number, text: string): void {
  out.uint8(tag)
  out.varint(Buffer.byteLength(text))
  out.utf8(text)
}

function writeBytes(out: WriteBuffer, tag: number, bytes: Uint8Array): void {
  out.uint8(tag)
  out.varint(bytes.length)
  out.copy(bytes, 0, bytes.length)
}

function writeWideBytes(out: WriteBuffer, tag: number, bytes: Uint8Array): void {
  out.uint16(tag)
  out.varint(bytes.length)
  out.copy(bytes, 0, bytes.length)
}

function writeProperties(
  out: WriteBuffer,
  tag: number,
  properties: Readonly<Record<string, string>> | undefined
): void {
  if (properties === undefined) return
  for (const key of Object.keys(properties)) {
    const value = properties[key] as string
    const keyBytes = Buffer.byteLength(key)
    const valueBytes = Buffer.byteLength(value)
    out.uint8(tag)
    out.varint(2 + varintBytes(keyBytes) + keyBytes + varintBytes(valueBytes) + valueBytes)
    writeText(out, 0x0a, key)
    writeText(out, 0x12, value)
  }
}

/** The most that texts and keys can take: three bytes a UTF-16 unit, tags and lengths beside. */
function textRoom(fields: MessageFields): number {
  let bytes = 0
  if (fields.properties !== undefined) {
    for (const key of Object.keys(fields.properties)) {
      bytes += 24 + 3 * (key.length + (fields.properties[key] as string).length)
    }
  }
  if (fields.partitionKey !== undefined) bytes += 3 * fields.partitionKey.length
  if (fields.orderingKey !== undefined) bytes += fields.orderingKey.length
  return bytes
}

function entryRoom(entry: EntryFields): number {
  let bytes = 3 * entry.producerName.length + (entry.schemaVersion?.length ?? 0) + 3 * (entry.chunk?.uuid.length ?? 0)
  for (const cluster of entry.replicateTo ?? []) bytes += 12 + 3 * cluster.length
  return bytes
}

/** Halves of a sequence id, which applications may choose past 2^53. */
export function lowHalf(value: number | bigint): number {
  return typeof value === 'number' ? value >>> 0 : Number(BigInt.asUintN(32, value))
}

export function highHalf(value: number | bigint): number {
  return typeof value === 'number' ? Math.floor(value / 0x1_0000_0000) >>> 0 : Number(BigInt.asUintN(32, value >> 32n))
}

export function joinHalves(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** Bytes that a batch grows by, at most, for one message. */
export function singleMessageBytesMax(fields: MessageFields, payloadBytes: number): number {
  return 64 + textRoom(fields) + varint64Bytes(fields.sequenceLow, fields.sequenceHigh) + payloadBytes
}
