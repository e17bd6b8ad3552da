import { commandEndOf } from './command.ts'
import { LENGTH_BYTES } from './constants.ts'
import { refuse } from './errors.ts'
import { ProtoReader, WIRE_BYTES, WIRE_VARINT } from './proto-reader.ts'

/*
  The commands that come once a message or once a few messages, read in place into views that their owner reuses:
  nothing is allocated. A view holds offsets into the frame it was decoded from and is valid as long as that is.
*/

const SEND_FIELD = 6
const MESSAGE_FIELD = 9
const ACK_FIELD = 10
const FLOW_FIELD = 11

/** Goes to the body of the command: leaves the reader at its first byte and returns its end. */
function openBody(reader: ProtoReader, buffer: Buffer, start: number, end: number, field: number): void {
  reader.open(buffer, start + LENGTH_BYTES, commandEndOf(buffer, start, end))
  while (reader.next()) {
    if (reader.field === field) {
      reader.end = reader.block()
      return
    }
    reader.skip()
  }
  refuse(`command without field ${field}`, start)
}

function requireAll(seenBits: number, requiredBits: number, offset: number): void {
  if ((seenBits & requiredBits) !== requiredBits) refuse('a required field is missing', offset)
}

export class SendView {
  readonly reader = new ProtoReader()
  producerId = 0
  sequenceLow = 0
  sequenceHigh = 0
  /** False if the client did not send it; both halves are then zero. */
  hasHighest = false
  highestLow = 0
  highestHigh = 0
  numMessages = 1
  isChunk = false
  isMarker = false
  hasTxn = false
  txnLeastLow = 0
  txnLeastHigh = 0
  txnMostLow = 0
  txnMostHigh = 0
  hasMessageId = false
  /** What is stored and delivered as it came: from the checksum's magic to the end of the payload. */
  headersStart = 0
  headersEnd = 0
}

/** @throws MALFORMED_FRAME */
export function decodeSend(buffer: Buffer, start: number, end: number, into: SendView): void {
  const { reader } = into
  openBody(reader, buffer, start, end, SEND_FIELD)
  into.hasHighest = into.isChunk = into.isMarker = into.hasTxn = into.hasMessageId = false
  into.highestLow = into.highestHigh = 0
  into.txnLeastLow = into.txnLeastHigh = into.txnMostLow = into.txnMostHigh = 0
  into.numMessages = 1
  into.headersStart = commandEndOf(buffer, start, end)
  into.headersEnd = end
  let seenBits = 0
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        into.producerId = reader.safeInteger()
        seenBits |= 1
        break
      case 2:
        reader.scalar()
        into.sequenceLow = reader.low
        into.sequenceHigh = reader.high
        seenBits |= 2
        break
      case 3:
        into.numMessages = reader.int32()
        break
      case 6:
        reader.scalar()
        into.hasHighest = true
        into.highestLow = reader.low
        into.highestHigh = reader.high
        break
      default:
        decodeRareSendField(reader, into)
    }
  }
  requireAll(seenBits, 3, start)
}

function decodeRareSendField(reader: ProtoReader, into: SendView): void {
  switch (reader.field) {
    case 4:
      reader.scalar()
      into.hasTxn = true
      into.txnLeastLow = reader.low
      into.txnLeastHigh = reader.high
      break
    case 5:
      reader.scalar()
      into.hasTxn = true
      into.txnMostLow = reader.low
      into.txnMostHigh = reader.high
      break
    case 7:
      into.isChunk = reader.bool()
      break
    case 8:
      into.isMarker = reader.bool()
      break
    case 9:
      reader.position = reader.block()
      into.hasMessageId = true
      break
    default:
      reader.skip()
  }
}

export class FlowView {
  readonly reader = new ProtoReader()
  consumerId = 0
  /** As it came: an unsigned 32-bit number. */
  permits = 0
}

/** @throws MALFORMED_FRAME */
export function decodeFlow(buffer: Buffer, start: number, end: number, into: FlowView): void {
  const { reader } = into
  openBody(reader, buffer, start, end, FLOW_FIELD)
  let seenBits = 0
  while (reader.next()) {
    if (reader.field === 1) {
      into.consumerId = reader.safeInteger()
      seenBits |= 1
    } else if (reader.field === 2) {
      into.permits = reader.int32() >>> 0
      seenBits |= 2
    } else reader.skip()
  }
  requireAll(seenBits, 3, start)
}

/**
 * Message ids and their ack sets. Ids are safe integers (-1 for 2^64-1). Word w of id i's set is the halves
 * `ackSets[2 * (ackSetStarts[i] + w)]` (low) and the one after it (high), for `ackSetWords[i]` words.
 */
export class IdList {
  count = 0
  ledgerIds: number[] = []
  entryIds: number[] = []
  /** -1 if absent, and so the batch indexes. */
  partitions: number[] = []
  batchIndexes: number[] = []
  /** 0 if absent. */
  batchSizes: number[] = []
  ackSetStarts: number[] = []
  ackSetWords: number[] = []
  /** Unsigned 32-bit halves, low first. */
  ackSets: number[] = []
  ackSetWordCount = 0

  clear(): void {
    this.count = 0
    this.ackSetWordCount = 0
    // A huge frame must not leave its size behind for the life of the connection.
    if (this.ledgerIds.length > IDS_KEPT_MAX || this.ackSets.length > IDS_KEPT_MAX) this.#shrink()
  }

  #shrink(): void {
    this.ledgerIds = []
    this.entryIds = []
    this.partitions = []
    this.batchIndexes = []
    this.batchSizes = []
    this.ackSetStarts = []
    this.ackSetWords = []
    this.ackSets = []
  }
}

const IDS_KEPT_MAX = 10_000

export class AckView {
  readonly reader = new ProtoReader()
  readonly ids = new IdList()
  consumerId = 0
  isCumulative = false
  hasRequestId = false
  requestIdLow = 0
  requestIdHigh = 0
}

/**
 * Reads an ACK of the common form. Returns false for the others (transactions, validation errors, properties, chunk
 * ids, ids past 2^53): decode those with `decodeCommand`.
 * @throws MALFORMED_FRAME
 */
export function decodeAck(buffer: Buffer, start: number, end: number, into: AckView): boolean {
  const { reader, ids } = into
  openBody(reader, buffer, start, end, ACK_FIELD)
  ids.clear()
  into.hasRequestId = false
  let seenBits = 0
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        into.consumerId = reader.safeInteger()
        seenBits |= 1
        break
      case 2: {
        const type = reader.int32()
        if (type !== 0 && type !== 1) return false
        into.isCumulative = type === 1
        seenBits |= 2
        break
      }
      case 3:
        if (!decodeMessageId(reader, ids)) return false
        break
      case 8:
        reader.scalar()
        into.hasRequestId = true
        into.requestIdLow = reader.low
        into.requestIdHigh = reader.high
        break
      default:
        if (reader.field < 8) return false
        reader.skip()
    }
  }
  requireAll(seenBits, 3, start)
  return true
}

/** Appends a MessageIdData to the list; false if it does not fit in there. */
function decodeMessageId(reader: ProtoReader, ids: IdList): boolean {
  const outerEnd = reader.end
  reader.end = reader.block()
  const index = ids.count++
  let ledgerId = -2
  let entryId = -2
  ids.partitions[index] = -1
  ids.batchIndexes[index] = -1
  ids.batchSizes[index] = 0
  ids.ackSetStarts[index] = ids.ackSetWordCount
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        ledgerId = reader.id()
        break
      case 2:
        entryId = reader.id()
        break
      case 3:
        ids.partitions[index] = reader.int32()
        break
      case 4:
        ids.batchIndexes[index] = reader.int32()
        break
      case 5:
        decodeAckSet(reader, ids)
        break
      case 6:
        ids.batchSizes[index] = reader.int32()
        break
      case 7:
        return false
      default:
        reader.skip()
    }
  }
  reader.end = outerEnd
  if (ledgerId === -2 || entryId === -2) refuse('message id without its ids', reader.position)
  if (Number.isNaN(ledgerId) || Number.isNaN(entryId)) return false
  ids.ledgerIds[index] = ledgerId
  ids.entryIds[index] = entryId
  ids.ackSetWords[index] = ids.ackSetWordCount - ids.ackSetStarts[index]
  return true
}

/** One word, or a packed list of them. */
function decodeAckSet(reader: ProtoReader, ids: IdList): void {
  if (reader.wireType === WIRE_VARINT) {
    reader.varint()
    pushWord(reader, ids)
    return
  }
  if (reader.wireType !== WIRE_BYTES) refuse('ack set of a wrong type', reader.position)
  const outerEnd = reader.end
  reader.end = reader.block()
  while (reader.position < reader.end) {
    reader.varint()
    pushWord(reader, ids)
  }
  reader.end = outerEnd
}

function pushWord(reader: ProtoReader, ids: IdList): void {
  const at = ids.ackSetWordCount++ * 2
  ids.ackSets[at] = reader.low
  ids.ackSets[at + 1] = reader.high
}

export class MessageView {
  readonly reader = new ProtoReader()
  /** Exactly one id, with the batch indexes that are still to be acknowledged as its ack set. */
  readonly ids = new IdList()
  consumerId = 0
  partition = -1
  redeliveryCount = 0
  hasEpoch = false
  consumerEpoch = 0
  headersStart = 0
  headersEnd = 0
}

/** @throws MALFORMED_FRAME */
export function decodeMessage(buffer: Buffer, start: number, end: number, into: MessageView): void {
  const { reader, ids } = into
  openBody(reader, buffer, start, end, MESSAGE_FIELD)
  ids.clear()
  into.redeliveryCount = 0
  into.hasEpoch = false
  into.partition = -1
  into.headersStart = commandEndOf(buffer, start, end)
  into.headersEnd = end
  let seenBits = 0
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        into.consumerId = reader.safeInteger()
        seenBits |= 1
        break
      case 2:
        if (ids.count > 0 || !decodeMessageId(reader, ids)) refuse('message id out of range', start)
        into.partition = ids.partitions[0] as number
        seenBits |= 2
        break
      case 3:
        into.redeliveryCount = reader.int32() >>> 0
        break
      case 4:
        decodeAckSet(reader, ids)
        break
      case 5:
        into.hasEpoch = true
        into.consumerEpoch = reader.safeInteger()
        break
      default:
        reader.skip()
    }
  }
  requireAll(seenBits, 3, start)
  ids.ackSetStarts[0] = 0
  ids.ackSetWords[0] = ids.ackSetWordCount
}

export class ReceiptView {
  readonly reader = new ProtoReader()
  readonly ids = new IdList()
  producerId = 0
  sequenceLow = 0
  sequenceHigh = 0
  highestLow = 0
  highestHigh = 0
  /** -1 both for a message that the broker had already. */
  ledgerId = -1
  entryId = -1
}

/** A SEND_RECEIPT. @throws MALFORMED_FRAME */
export function decodeSendReceipt(buffer: Buffer, start: number, end: number, into: ReceiptView): void {
  const { reader, ids } = into
  openBody(reader, buffer, start, end, 7)
  ids.clear()
  into.highestLow = into.highestHigh = 0
  into.ledgerId = into.entryId = -1
  let seenBits = 0
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        into.producerId = reader.safeInteger()
        seenBits |= 1
        break
      case 2:
        reader.scalar()
        into.sequenceLow = reader.low
        into.sequenceHigh = reader.high
        seenBits |= 2
        break
      case 3:
        if (!decodeMessageId(reader, ids)) refuse('message id out of range', start)
        into.ledgerId = ids.ledgerIds[0] as number
        into.entryId = ids.entryIds[0] as number
        break
      case 4:
        reader.scalar()
        into.highestLow = reader.low
        into.highestHigh = reader.high
        break
      default:
        reader.skip()
    }
  }
  requireAll(seenBits, 3, start)
}
