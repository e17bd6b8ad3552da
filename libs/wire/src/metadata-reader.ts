import { refuse } from './errors.ts'
import { ProtoReader } from './proto-reader.ts'

export type Properties = Readonly<Record<string, string>>

const NO_PROPERTIES: Properties = Object.freeze({})

/** One message of a batch. Ranges are offsets into the buffer that was read. */
export interface SingleMessage {
  properties: Properties
  partitionKey: string | undefined
  isPartitionKeyBase64: boolean
  orderingKey: Buffer | undefined
  eventTimeMs: number
  hasSequence: boolean
  sequenceLow: number
  sequenceHigh: number
  isCompactedOut: boolean
  isNullValue: boolean
  payloadStart: number
  payloadEnd: number
}

/**
 * Reads the message of a batch at `start`: `[4 size][SingleMessageMetadata][payload]`. The next one starts at
 * `payloadEnd`.
 * @throws MALFORMED_FRAME
 */
export function readSingleMessage(reader: ProtoReader, buffer: Buffer, start: number, end: number): SingleMessage {
  if (start + 4 > end) refuse('truncated batch', start)
  const metadataEnd = start + 4 + buffer.readUInt32BE(start)
  if (metadataEnd > end) refuse('message metadata longer than its batch', start)
  reader.open(buffer, start + 4, metadataEnd)
  const message: SingleMessage = {
    properties: NO_PROPERTIES,
    partitionKey: undefined,
    isPartitionKeyBase64: false,
    orderingKey: undefined,
    eventTimeMs: 0,
    hasSequence: false,
    sequenceLow: 0,
    sequenceHigh: 0,
    isCompactedOut: false,
    isNullValue: false,
    payloadStart: metadataEnd,
    payloadEnd: -1
  }
  while (reader.next()) readSingleField(reader, message)
  if (message.payloadEnd < 0) refuse('message of a batch without a payload size', start)
  if (message.payloadEnd > end) refuse('payload longer than its batch', start)
  return message
}

function readSingleField(reader: ProtoReader, message: SingleMessage): void {
  switch (reader.field) {
    case 1:
      message.properties = withProperty(reader, message.properties)
      break
    case 2:
      message.partitionKey = readText(reader)
      break
    case 3: {
      const bytes = reader.int32()
      if (bytes < 0) refuse('negative payload size', reader.position)
      message.payloadEnd = message.payloadStart + bytes
      break
    }
    case 4:
      message.isCompactedOut = reader.bool()
      break
    case 5:
      message.eventTimeMs = reader.int64AsNumber()
      break
    case 6:
      message.isPartitionKeyBase64 = reader.bool()
      break
    case 7: {
      const end = reader.block()
      message.orderingKey = reader.buffer.subarray(reader.position, end)
      reader.position = end
      break
    }
    case 8:
      reader.scalar()
      message.hasSequence = true
      message.sequenceLow = reader.low
      message.sequenceHigh = reader.high
      break
    case 9:
      message.isNullValue = reader.bool()
      break
    default:
      reader.skip()
  }
}

/** The properties of MessageMetadata in `buffer[start, end)`. @throws MALFORMED_FRAME */
export function readEntryProperties(buffer: Buffer, start: number, end: number): Properties {
  const reader = new ProtoReader()
  reader.open(buffer, start, end)
  let properties = NO_PROPERTIES
  while (reader.next()) {
    if (reader.field === 4) properties = withProperty(reader, properties)
    else reader.skip()
  }
  return properties
}

function withProperty(reader: ProtoReader, properties: Properties): Properties {
  const outerEnd = reader.end
  reader.end = reader.block()
  let key = ''
  let value = ''
  while (reader.next()) {
    if (reader.field === 1) key = readText(reader)
    else if (reader.field === 2) value = readText(reader)
    else reader.skip()
  }
  reader.end = outerEnd
  const writable: Record<string, string> = properties === NO_PROPERTIES ? {} : properties
  if (key !== '__proto__') writable[key] = value
  else Object.defineProperty(writable, key, { value, enumerable: true, configurable: true, writable: true })
  return writable
}

function readText(reader: ProtoReader): string {
  const end = reader.block()
  const text = reader.buffer.toString('utf8', reader.position, end)
  reader.position = end
  return text
}
