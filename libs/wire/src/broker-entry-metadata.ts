import { BROKER_ENTRY_METADATA_MAGIC } from './constants.ts'
import { ProtoReader } from './proto-reader.ts'
import { varintBytes, type WriteBuffer } from './write-buffer.ts'

export interface BrokerEntryMetadataFields {
  /** Milliseconds since 1970 at which the broker appended the entry. */
  readonly brokerTimestampMs?: number
  /** Index, in the topic, of the last message of the entry. */
  readonly index?: number
}

/** Writes the block that goes in front of an entry's checksum. */
export function writeBrokerEntryMetadata(out: WriteBuffer, fields: BrokerEntryMetadataFields): void {
  const { brokerTimestampMs, index } = fields
  let bytes = 0
  if (brokerTimestampMs !== undefined) bytes += 1 + varintBytes(brokerTimestampMs)
  if (index !== undefined) bytes += 1 + varintBytes(index)
  out.ensure(6 + bytes)
  out.uint16(BROKER_ENTRY_METADATA_MAGIC)
  out.uint32(bytes)
  if (brokerTimestampMs !== undefined) {
    out.uint8(0x08)
    out.varint(brokerTimestampMs)
  }
  if (index !== undefined) {
    out.uint8(0x10)
    out.varint(index)
  }
}

/** Reads the body of the block, `MetadataView.brokerMetadataStart` to `brokerMetadataEnd`. @throws MALFORMED_FRAME */
export function readBrokerEntryMetadata(buffer: Buffer, start: number, end: number): BrokerEntryMetadataFields {
  const reader = new ProtoReader()
  reader.open(buffer, start, end)
  const fields: { brokerTimestampMs?: number; index?: number } = {}
  while (reader.next()) {
    if (reader.field === 1) fields.brokerTimestampMs = reader.safeInteger()
    else if (reader.field === 2) fields.index = reader.safeInteger()
    else reader.skip()
  }
  return fields
}
