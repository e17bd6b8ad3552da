import { crc32c } from '@node-rs/crc32'
import { BROKER_ENTRY_METADATA_MAGIC, CHECKSUM_MAGIC, LENGTH_BYTES } from './constants.ts'
import { refuse } from './errors.ts'
import { murmur3_32 } from './hash.ts'
import { ProtoReader } from './proto-reader.ts'

/*
  Headers and payload, as sent, stored and delivered:

    [2 0x0e02][4 size][size bytes: BrokerEntryMetadata]     only if the broker added it
    [2 0x0e01][4 crc32c of all that follows]                optional
    [4 metadataSize][metadataSize bytes: MessageMetadata]
    [payload]
*/

const MAGIC_BYTES = 2
const CHECKSUM_BYTES = MAGIC_BYTES + 4

/**
 * What a broker reads of an entry. Ranges are offsets into the buffer that was read; start -1 means absent. Halves are
 * unsigned 32-bit numbers. The owner reuses the view; it is valid as long as the buffer is.
 */
export class MetadataView {
  readonly reader = new ProtoReader()
  /** Where the checksum's magic (or, without one, the metadata's size) begins: behind broker entry metadata. */
  bodyStart = 0
  /** Offset of the four bytes of CRC32C, or -1. */
  checksumAt = -1
  brokerMetadataStart = -1
  brokerMetadataEnd = -1
  metadataStart = 0
  payloadStart = 0
  payloadEnd = 0

  producerNameStart = 0
  producerNameEnd = 0
  sequenceLow = 0
  sequenceHigh = 0
  hasHighest = false
  highestLow = 0
  highestHigh = 0
  publishTimeMs = 0
  /** 0 if absent. */
  eventTimeMs = 0
  replicatedFromStart = -1
  replicatedFromEnd = -1
  partitionKeyStart = -1
  partitionKeyEnd = -1
  isPartitionKeyBase64 = false
  hasNullPartitionKey = false
  orderingKeyStart = -1
  orderingKeyEnd = -1
  /** The protocol's CompressionType; 0 is none. */
  compression = 0
  uncompressedBytes = 0
  /** Present, even as 1, if the payload is a batch. */
  isBatch = false
  numMessages = 1
  hasDeliverAt = false
  deliverAtMs = 0
  hasMarker = false
  markerType = 0
  hasTxn = false
  txnLeastLow = 0
  txnLeastHigh = 0
  txnMostLow = 0
  txnMostHigh = 0
  encryptionKeyCount = 0
  schemaVersionStart = -1
  schemaVersionEnd = -1
  uuidStart = -1
  uuidEnd = -1
  /** -1 unless the entry is a chunk. */
  chunkId = -1
  chunkCount = 0
  chunkedBytes = 0
  hasNullValue = false
  propertyCount = 0

  reset(): void {
    this.checksumAt = this.brokerMetadataStart = this.brokerMetadataEnd = -1
    this.hasHighest = this.isPartitionKeyBase64 = this.hasNullPartitionKey = this.isBatch = false
    this.hasDeliverAt = this.hasMarker = this.hasTxn = this.hasNullValue = false
    this.highestLow = this.highestHigh = this.eventTimeMs = this.deliverAtMs = this.markerType = 0
    this.replicatedFromStart = this.replicatedFromEnd = this.partitionKeyStart = this.partitionKeyEnd = -1
    this.orderingKeyStart = this.orderingKeyEnd = this.schemaVersionStart = this.schemaVersionEnd = -1
    this.uuidStart = this.uuidEnd = this.chunkId = -1
    this.compression = this.uncompressedBytes = this.encryptionKeyCount = this.propertyCount = 0
    this.txnLeastLow = this.txnLeastHigh = this.txnMostLow = this.txnMostHigh = 0
    this.numMessages = 1
    this.chunkCount = this.chunkedBytes = 0
  }
}

/**
 * Reads headers from `headersStart`; `end` is the end of the payload.
 * @throws MALFORMED_FRAME
 */
export function readMessageMetadata(buffer: Buffer, headersStart: number, end: number, into: MetadataView): void {
  into.reset()
  let at = skipBrokerEntryMetadata(buffer, headersStart, end)
  if (at !== headersStart) {
    into.brokerMetadataStart = headersStart + MAGIC_BYTES + LENGTH_BYTES
    into.brokerMetadataEnd = at
  }
  into.bodyStart = at
  if (hasMagic(buffer, at, end, CHECKSUM_MAGIC)) {
    if (at + CHECKSUM_BYTES > end) refuse('truncated checksum', at)
    into.checksumAt = at + MAGIC_BYTES
    at += CHECKSUM_BYTES
  }
  if (at + LENGTH_BYTES > end) refuse('truncated metadata size', at)
  const metadataBytes = buffer.readUInt32BE(at)
  into.metadataStart = at + LENGTH_BYTES
  into.payloadStart = into.metadataStart + metadataBytes
  into.payloadEnd = end
  if (into.payloadStart > end) refuse('metadata longer than its frame', at)

  const { reader } = into
  reader.open(buffer, into.metadataStart, into.payloadStart)
  let seenBits = 0
  while (reader.next()) seenBits |= readField(reader, into)
  if (seenBits !== 7) refuse('metadata without a required field', into.metadataStart)
}

function hasMagic(buffer: Buffer, at: number, end: number, magic: number): boolean {
  return at + MAGIC_BYTES <= end && buffer[at] === magic >>> 8 && buffer[at + 1] === (magic & 0xff)
}

/** Returns a bit for each required field. */
function readField(reader: ProtoReader, into: MetadataView): number {
  switch (reader.field) {
    case 1:
      into.producerNameEnd = reader.block()
      into.producerNameStart = reader.position
      reader.position = into.producerNameEnd
      return 1
    case 2:
      reader.scalar()
      into.sequenceLow = reader.low
      into.sequenceHigh = reader.high
      return 2
    case 3:
      into.publishTimeMs = reader.int64AsNumber()
      return 4
    case 4:
      into.propertyCount++
      reader.position = reader.block()
      return 0
    case 6:
      into.partitionKeyEnd = reader.block()
      into.partitionKeyStart = reader.position
      reader.position = into.partitionKeyEnd
      return 0
    case 8:
      into.compression = reader.int32()
      return 0
    case 9:
      into.uncompressedBytes = reader.int32() >>> 0
      return 0
    case 11:
      into.isBatch = true
      into.numMessages = reader.int32()
      return 0
    case 24:
      reader.scalar()
      into.hasHighest = true
      into.highestLow = reader.low
      into.highestHigh = reader.high
      return 0
    default:
      readRareField(reader, into)
      return 0
  }
}

function readRareField(reader: ProtoReader, into: MetadataView): void {
  switch (reader.field) {
    case 5:
      into.replicatedFromEnd = reader.block()
      into.replicatedFromStart = reader.position
      reader.position = into.replicatedFromEnd
      break
    case 12:
      into.eventTimeMs = reader.int64AsNumber()
      break
    case 13:
      into.encryptionKeyCount++
      reader.position = reader.block()
      break
    case 16:
      into.schemaVersionEnd = reader.block()
      into.schemaVersionStart = reader.position
      reader.position = into.schemaVersionEnd
      break
    case 17:
      into.isPartitionKeyBase64 = reader.bool()
      break
    case 18:
      into.orderingKeyEnd = reader.block()
      into.orderingKeyStart = reader.position
      reader.position = into.orderingKeyEnd
      break
    case 19:
      into.hasDeliverAt = true
      into.deliverAtMs = reader.int64AsNumber()
      break
    case 20:
      into.hasMarker = true
      into.markerType = reader.int32()
      break
    case 22:
      reader.scalar()
      into.hasTxn = true
      into.txnLeastLow = reader.low
      into.txnLeastHigh = reader.high
      break
    case 23:
      reader.scalar()
      into.hasTxn = true
      into.txnMostLow = reader.low
      into.txnMostHigh = reader.high
      break
    case 25:
      into.hasNullValue = reader.bool()
      break
    case 30:
      into.hasNullPartitionKey = reader.bool()
      break
    default:
      readChunkField(reader, into)
  }
}

function readChunkField(reader: ProtoReader, into: MetadataView): void {
  switch (reader.field) {
    case 26:
      into.uuidEnd = reader.block()
      into.uuidStart = reader.position
      reader.position = into.uuidEnd
      break
    case 27:
      into.chunkCount = reader.int32()
      break
    case 28:
      into.chunkedBytes = reader.int32()
      break
    case 29:
      into.chunkId = reader.int32()
      break
    default:
      reader.skip()
  }
}

/** True also if there is no checksum to verify. `view` is what was read from this very buffer. */
export function verifyChecksum(buffer: Buffer, view: MetadataView): boolean {
  if (view.checksumAt < 0) return true
  return checksumOf(buffer, view.checksumAt + 4, view.payloadEnd) === buffer.readUInt32BE(view.checksumAt)
}

/** CRC32C of `buffer[start, end)`. */
export function checksumOf(buffer: Buffer, start: number, end: number): number {
  return crc32c(buffer.subarray(start, end))
}

/** Where the headers go on after the broker's own block, if there is one. @throws MALFORMED_FRAME */
export function skipBrokerEntryMetadata(buffer: Buffer, headersStart: number, end: number): number {
  if (!hasMagic(buffer, headersStart, end, BROKER_ENTRY_METADATA_MAGIC)) return headersStart
  const at = headersStart + MAGIC_BYTES
  if (at + LENGTH_BYTES > end) refuse('truncated broker entry metadata', at)
  const next = at + LENGTH_BYTES + buffer.readUInt32BE(at)
  if (next > end) refuse('broker entry metadata longer than its frame', at)
  return next
}

const STICKY_HASH_RANGE = 65_536

/**
 * The hash in 1..65535 by which Key_Shared assigns an entry: of the ordering key, else the partition key, else what
 * names the message.
 */
export function stickyKeyHash(buffer: Buffer, view: MetadataView): number {
  if (view.orderingKeyStart >= 0) return stickyHashOf(buffer, view.orderingKeyStart, view.orderingKeyEnd)
  if (view.partitionKeyStart >= 0) {
    if (!view.isPartitionKeyBase64) return stickyHashOf(buffer, view.partitionKeyStart, view.partitionKeyEnd)
    const key = Buffer.from(buffer.toString('latin1', view.partitionKeyStart, view.partitionKeyEnd), 'base64')
    return stickyHashOf(key, 0, key.length)
  }
  const sequence = (BigInt(view.sequenceHigh) << 32n) | BigInt(view.sequenceLow)
  const producerName = buffer.toString('utf8', view.producerNameStart, view.producerNameEnd)
  const name = Buffer.from(`${producerName}-${BigInt.asIntN(64, sequence)}`)
  return stickyHashOf(name, 0, name.length)
}

/** 0 is reserved for "no hash". */
export function stickyHashOf(key: Uint8Array, start = 0, end = key.length): number {
  return (murmur3_32(key, start, end) & 0x7fffffff) % STICKY_HASH_RANGE || 1
}
