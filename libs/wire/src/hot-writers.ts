import { strict as assert } from 'node:assert'
import { FRAME_PREFIX_BYTES, LENGTH_BYTES } from './constants.ts'
import { varint64Bytes, varintBytes, type WriteBuffer } from './write-buffer.ts'

/*
  Writers of the commands that go out once a message. Each writes a whole frame (or, for MESSAGE and SEND, all of it up
  to headers and payload) at the end of `out`. Sizes are computed first, so that nothing is moved afterwards.
  Sequence ids, request ids and ack sets are given as unsigned 32-bit halves; ids are safe integers, -1 standing for 2^64-1.
*/

const PONG_FRAME = Buffer.from('00000009000000050813' + '9a0100', 'hex')
const PING_FRAME = Buffer.from('00000009000000050812' + '920100', 'hex')

export function writePing(out: WriteBuffer): void {
  writeFrame(out, PING_FRAME)
}

export function writePong(out: WriteBuffer): void {
  writeFrame(out, PONG_FRAME)
}

function writeFrame(out: WriteBuffer, frame: Buffer): void {
  out.ensure(frame.length)
  out.copy(frame, 0, frame.length)
}

/** `totalSize` and `cmdSize`, then the type, then the tag and length of the body. */
function writePrefix(out: WriteBuffer, type: number, bodyBytes: number, payloadBytes: number): void {
  const commandBytes = 2 + 1 + varintBytes(bodyBytes) + bodyBytes
  out.ensure(FRAME_PREFIX_BYTES + commandBytes)
  out.uint32(LENGTH_BYTES + commandBytes + payloadBytes)
  out.uint32(commandBytes)
  out.uint8(0x08)
  out.uint8(type)
  out.uint8((type << 3) | 2)
  out.varint(bodyBytes)
}

/** At most 128 bytes: the prefix, four varints of 64 bits and their tags. */
const RECEIPT_BYTES_MAX = 128

/** SEND_RECEIPT; ledger and entry -1 tell that the message was a duplicate. Positional: it runs once a message. */
export function writeSendReceipt(
  out: WriteBuffer,
  producerId: number,
  sequenceLow: number,
  sequenceHigh: number,
  highestLow: number,
  highestHigh: number,
  ledgerId: number,
  entryId: number
): void {
  out.ensure(RECEIPT_BYTES_MAX)
  const frameAt = out.position
  out.position = frameAt + FRAME_PREFIX_BYTES
  out.uint8(0x08)
  out.uint8(7)
  out.uint8(0x3a)
  const bodyLengthAt = out.position++
  out.uint8(0x08)
  out.varint(producerId)
  out.uint8(0x10)
  out.varint64(sequenceLow, sequenceHigh)
  out.uint8(0x1a)
  out.uint8(2 + varintBytes(ledgerId) + varintBytes(entryId))
  out.uint8(0x08)
  out.varint(ledgerId)
  out.uint8(0x10)
  out.varint(entryId)
  out.uint8(0x20)
  out.varint64(highestLow, highestHigh)
  const bodyBytes = out.position - bodyLengthAt - 1
  assert(bodyBytes < 0x80)
  out.bytes[bodyLengthAt] = bodyBytes
  const commandBytes = out.position - frameAt - FRAME_PREFIX_BYTES
  out.uint32At(frameAt, LENGTH_BYTES + commandBytes)
  out.uint32At(frameAt + LENGTH_BYTES, commandBytes)
}

/** Halves of 64-bit words, low first; bits that are 1 are still to be acknowledged. */
export type AckSet = ArrayLike<number>

/**
 * MESSAGE up to its headers: `payloadBytes` is the length of headers and payload, which the caller appends. `partition`
 * is left out if it is -1, `redeliveryCount` if it is 0. Positional: it runs once a message.
 */
export function writeMessageHeader(
  out: WriteBuffer,
  consumerId: number,
  ledgerId: number,
  entryId: number,
  partition: number,
  redeliveryCount: number,
  ackSet: AckSet | undefined,
  consumerEpoch: number | undefined,
  payloadBytes: number
): void {
  const idBytes = 2 + varintBytes(ledgerId) + varintBytes(entryId) + (partition < 0 ? 0 : 1 + varintBytes(partition))
  let bodyBytes = 1 + varintBytes(consumerId) + 2 + idBytes
  if (redeliveryCount > 0) bodyBytes += 1 + varintBytes(redeliveryCount)
  if (ackSet !== undefined) bodyBytes += ackSetBytes(ackSet)
  if (consumerEpoch !== undefined) bodyBytes += 1 + varintBytes(consumerEpoch)

  writePrefix(out, 9, bodyBytes, payloadBytes)
  out.uint8(0x08)
  out.varint(consumerId)
  out.uint8(0x12)
  out.uint8(idBytes)
  out.uint8(0x08)
  out.varint(ledgerId)
  out.uint8(0x10)
  out.varint(entryId)
  if (partition >= 0) {
    out.uint8(0x18)
    out.varint(partition)
  }
  if (redeliveryCount > 0) {
    out.uint8(0x18)
    out.varint(redeliveryCount)
  }
  if (ackSet !== undefined) writeAckSet(out, 0x20, ackSet)
  if (consumerEpoch !== undefined) {
    out.uint8(0x28)
    out.varint(consumerEpoch)
  }
}

function ackSetBytes(ackSet: AckSet): number {
  let bytes = 0
  for (let index = 0; index < ackSet.length; index += 2) {
    bytes += 1 + varint64Bytes((ackSet[index] as number) >>> 0, (ackSet[index + 1] as number) >>> 0)
  }
  return bytes
}

function writeAckSet(out: WriteBuffer, tag: number, ackSet: AckSet): void {
  for (let index = 0; index < ackSet.length; index += 2) {
    out.uint8(tag)
    out.varint64((ackSet[index] as number) >>> 0, (ackSet[index + 1] as number) >>> 0)
  }
}

/** ACK_RESPONSE of success; one with an error is a matter for `encodeCommand`. */
export function writeAckResponse(
  out: WriteBuffer,
  consumerId: number,
  requestIdLow: number,
  requestIdHigh: number
): void {
  const bodyBytes = 2 + varintBytes(consumerId) + varint64Bytes(requestIdLow, requestIdHigh)
  const commandBytes = 2 + 3 + bodyBytes
  out.ensure(FRAME_PREFIX_BYTES + commandBytes)
  out.uint32(LENGTH_BYTES + commandBytes)
  out.uint32(commandBytes)
  out.uint16(0x0826)
  out.uint16(0xb202)
  out.uint8(bodyBytes)
  out.uint8(0x08)
  out.varint(consumerId)
  out.uint8(0x30)
  out.varint64(requestIdLow, requestIdHigh)
}

/** Ids to acknowledge, in parallel arrays. An id without an ack set acknowledges its whole entry. */
export interface AckedIds {
  readonly ledgerIds: readonly number[]
  readonly entryIds: readonly number[]
  readonly ackSets: readonly (AckSet | undefined)[]
}

/** ACK; it asks for a receipt if a request id (a safe integer) is given. */
export function writeAck(
  out: WriteBuffer,
  ack: {
    readonly consumerId: number
    readonly isCumulative: boolean
    readonly ids: AckedIds
    readonly requestId?: number
  }
): void {
  const { consumerId, ids, requestId } = ack
  const count = ids.ledgerIds.length
  let bodyBytes = 1 + varintBytes(consumerId) + 2
  for (let index = 0; index < count; index++) {
    const bytes = ackedIdBytes(ids, index)
    bodyBytes += 1 + varintBytes(bytes) + bytes
  }
  if (requestId !== undefined) bodyBytes += 1 + varintBytes(requestId)
  writePrefix(out, 10, bodyBytes, 0)
  out.uint8(0x08)
  out.varint(consumerId)
  out.uint16(ack.isCumulative ? 0x1001 : 0x1000)
  for (let index = 0; index < count; index++) {
    const ackSet = ids.ackSets[index]
    out.uint8(0x1a)
    out.varint(ackedIdBytes(ids, index))
    out.uint8(0x08)
    out.varint(ids.ledgerIds[index] as number)
    out.uint8(0x10)
    out.varint(ids.entryIds[index] as number)
    if (ackSet !== undefined) writeAckSet(out, 0x28, ackSet)
  }
  if (requestId === undefined) return
  out.uint8(0x40)
  out.varint(requestId)
}

function ackedIdBytes(ids: AckedIds, index: number): number {
  const ackSet = ids.ackSets[index]
  const idBytes = 2 + varintBytes(ids.ledgerIds[index] as number) + varintBytes(ids.entryIds[index] as number)
  return ackSet === undefined ? idBytes : idBytes + ackSetBytes(ackSet)
}

/** FLOW. */
export function writeFlow(out: WriteBuffer, consumerId: number, permits: number): void {
  writePrefix(out, 11, 2 + varintBytes(consumerId) + varintBytes(permits), 0)
  out.uint8(0x08)
  out.varint(consumerId)
  out.uint8(0x10)
  out.varint(permits)
}

export interface SendCommand {
  readonly producerId: number
  readonly sequenceLow: number
  readonly sequenceHigh: number
  /** Of the last message of a batch; equal to the sequence id otherwise. */
  readonly highestLow: number
  readonly highestHigh: number
  readonly numMessages: number
  readonly isChunk: boolean
}

/** SEND up to its headers: `payloadBytes` is the length of headers and payload, which the caller appends. */
export function writeSendHeader(out: WriteBuffer, send: SendCommand, payloadBytes: number): void {
  const hasHighest = send.highestLow !== send.sequenceLow || send.highestHigh !== send.sequenceHigh
  let bodyBytes = 2 + varintBytes(send.producerId) + varint64Bytes(send.sequenceLow, send.sequenceHigh)
  bodyBytes += 1 + varintBytes(send.numMessages)
  if (hasHighest) bodyBytes += 1 + varint64Bytes(send.highestLow, send.highestHigh)
  if (send.isChunk) bodyBytes += 2
  writePrefix(out, 6, bodyBytes, payloadBytes)
  out.uint8(0x08)
  out.varint(send.producerId)
  out.uint8(0x10)
  out.varint64(send.sequenceLow, send.sequenceHigh)
  out.uint8(0x18)
  out.varint(send.numMessages)
  if (hasHighest) {
    out.uint8(0x30)
    out.varint64(send.highestLow, send.highestHigh)
  }
  if (send.isChunk) out.uint16(0x3801)
}
