import { NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import { AddStretch, entryPitch, STRETCH_STRIDE } from '../add-stretch.ts'
import type { AddRequest } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import type { Address } from './node-messages.ts'
import {
  BOOL_FIELD_BYTES,
  FIXED32_FIELD_BYTES,
  FIXED64_FIELD_BYTES,
  lengthPrefixedBytes,
  varintBytes,
  WireReader,
  WireWriter
} from './wire-buffer.ts'

/*
  `AddBatch` of proto/ledger/bookie_node.proto, by hand. An item as it is written here, and read at once if it looks so:

    offset  size  what
         0     1  tag 26 (field 3)
         1   1-4  bytes of the item (varint)
                  the item, from here on:
         0     5  channel
         5     9  ledger id
        14     9  entry id
        23     9  LAC + 1
        32     9  length
        41     5  digest
        46     2  recovery
        48     p  padding: tag 122, p - 2, zeros; only between adds of one channel
      48+p     1  tag 66
      49+p   1-4  payload bytes (varint)
                  payload, to the end of the item

  The padding has payloads that follow each other stand as far apart as a node's journal writes them, which takes them with one copy.
  It costs 10 to 17 bytes, and is not counted as credit.
*/

/** Of the sender's side of an `Add` stream. */
export interface ChannelAdd {
  readonly channel: number
  readonly request: AddRequest
}

const ADD_TAG = 26
const PADDING_TAG = 122
const PAYLOAD_TAG = 66
const ADD_HEADER_BYTES = 2 * FIXED32_FIELD_BYTES + 4 * FIXED64_FIELD_BYTES + BOOL_FIELD_BYTES
const PADDING_HEADER_BYTES = 2
/** Fewer adds in a row are not worth an object that holds them together. */
const STRETCH_COUNT_MIN = 4
const TWO_32 = 0x1_0000_0000
const SAFE_HIGH = 0x20_0000

const itemBytes = (payloadBytes: number): number => ADD_HEADER_BYTES + lengthPrefixedBytes(payloadBytes)

/** What an add takes of the credit on both sides: its item with its tag, without padding. */
export const addBytes = (payloadBytes: number): number => lengthPrefixedBytes(itemBytes(payloadBytes))

/** Of an item behind one with `before` bytes of payload; 0: none would do. */
function paddingBytes(before: number, payloadBytes: number): number {
  const item = itemBytes(payloadBytes)
  const room = entryPitch(before) - before - 1 - (item - payloadBytes)
  for (let lengthBytes = 1; lengthBytes <= 5; lengthBytes++) {
    const padding = room - lengthBytes
    if (padding < PADDING_HEADER_BYTES) return 0
    if (varintBytes(item + padding) === lengthBytes) return padding
  }
  return 0
}

/**
 * Adds that are put into bytes where gRPC frames its messages, not before: payloads are copied once on their way. What it needs of
 * a message that it does not compress is how long it is, and to copy it; both as a `Buffer` has them.
 */
export class AddBatch {
  readonly length: number
  readonly #address: Address
  readonly #adds: readonly ChannelAdd[]
  readonly #paddings: Uint8Array
  readonly #answersTaken: number

  /** `answersTaken`: messages of answers so far. */
  constructor(address: Address, adds: readonly ChannelAdd[], answersTaken: number) {
    let bytes = lengthPrefixedBytes(address.clusterId.length) + lengthPrefixedBytes(address.nodeId.length)
    bytes += FIXED64_FIELD_BYTES
    const paddings = new Uint8Array(adds.length)
    let before: ChannelAdd | undefined
    for (let i = 0; i < adds.length; i++) {
      const add = adds[i] as ChannelAdd // within bounds
      const payloadBytes = add.request.payload.length
      const padding = before?.channel === add.channel ? paddingBytes(before.request.payload.length, payloadBytes) : 0
      paddings[i] = padding
      bytes += lengthPrefixedBytes(itemBytes(payloadBytes) + padding)
      before = add
    }
    this.length = bytes
    this.#address = address
    this.#adds = adds
    this.#paddings = paddings
    this.#answersTaken = answersTaken
  }

  /** @returns the bytes that were written */
  copy(buffer: Buffer, at = 0): number {
    const writer = new WireWriter(this.length, { buffer, at })
    writer.bytes(1, this.#address.clusterId)
    writer.bytes(2, this.#address.nodeId)
    for (let i = 0; i < this.#adds.length; i++) {
      const { channel, request } = this.#adds[i] as ChannelAdd // within bounds
      const padding = this.#paddings[i] ?? 0
      writer.open(3, itemBytes(request.payload.length) + padding)
      writer.fixed32(1, channel)
      writer.fixed64(2, request.ledgerId)
      writer.fixed64(3, request.entryId)
      writer.fixed64(4, request.lac + 1)
      writer.fixed64(5, request.lengthBytes)
      writer.fixed32(6, request.crc32c)
      writer.small(7, request.recovery ? 1 : 0)
      if (padding > 0) writer.zeros(15, padding - PADDING_HEADER_BYTES)
      writer.bytes(8, request.payload)
    }
    writer.fixed64(4, this.#answersTaken)
    writer.finish()
    return this.length
  }
}

export interface AddBatchHandler {
  onAddress(address: Address): void
  onAdd(channel: number, request: AddRequest): void
  /** The same for many that follow each other. */
  onStretch(channel: number, stretch: AddStretch): void
  onAnswersTaken(count: number): void
}

/** Calls `onAdd` or `onStretch` for all adds, in order, after `onAddress`. @throws LedgerError MALFORMED_MESSAGE */
export function decodeAddBatch(message: Buffer, to: AddBatchHandler): void {
  const reader = new WireReader(message)
  const found = new StretchFinder(message, to)
  let clusterId: Buffer = EMPTY
  let nodeId: Buffer = EMPTY
  let isAddressed = false
  let answersTaken = 0
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) clusterId = reader.bytes()
    else if (tag === 18) nodeId = reader.bytes()
    else if (tag === ADD_TAG) {
      if (!isAddressed) to.onAddress({ clusterId, nodeId })
      isAddressed = true
      const end = found.take(reader.offset)
      if (end > 0) reader.moveTo(end)
      else {
        found.flush()
        decodeAdd(reader, to)
      }
    } else if (tag === 33) answersTaken = reader.fixed64()
    else reader.skip(tag)
  }
  found.flush()
  if (!isAddressed) to.onAddress({ clusterId, nodeId })
  to.onAnswersTaken(answersTaken)
}

/** Reads items of the usual form, and hands on those that belong together. */
class StretchFinder {
  readonly #message: Buffer
  readonly #view: DataView
  readonly #to: AddBatchHandler
  #numbers: Float64Array | undefined
  #count = 0
  #channel = 0
  #ledger = 0
  #lastEntry = -1

  constructor(message: Buffer, to: AddBatchHandler) {
    this.#message = message
    this.#view = new DataView(message.buffer, message.byteOffset, message.length)
    this.#to = to
  }

  /** The item whose length stands at `at`. Returns where it ends; 0: it is not of the usual form, and was not taken. */
  take(at: number): number {
    const bytes = this.#message
    const view = this.#view
    const length = lengthAt(bytes, at)
    const item = at + varintBytes(length)
    const end = item + length
    if (length < ADD_HEADER_BYTES + 2 || end > bytes.length || !isUsual(bytes, item)) return 0
    let payload = item + ADD_HEADER_BYTES
    if (bytes[payload] === PADDING_TAG) payload += PADDING_HEADER_BYTES + (bytes[payload + 1] ?? 0)
    if (payload + 2 > end || bytes[payload] !== PAYLOAD_TAG) return 0
    const payloadBytes = lengthAt(bytes, payload + 1)
    const from = payload + 1 + varintBytes(payloadBytes)
    if (from + payloadBytes !== end) return 0
    const channel = view.getUint32(item + 1, true)
    const ledger = this.#fixed64(item + 6)
    const entry = this.#fixed64(item + 15)
    const lac = this.#fixed64(item + 24) + NO_ENTRY
    const lengthBytes = this.#fixed64(item + 33)
    if (!(lac < entry && ledger + lengthBytes >= 0)) return 0 // also where one of them is no number
    if (this.#count > 0 && (channel !== this.#channel || ledger !== this.#ledger || entry <= this.#lastEntry)) {
      this.flush()
    }
    this.#channel = channel
    this.#ledger = ledger
    this.#lastEntry = entry
    const numbers = this.#numbersWithRoom(end - at)
    const to = this.#count++ * STRETCH_STRIDE
    numbers[to] = entry
    numbers[to + 1] = lac
    numbers[to + 2] = lengthBytes
    numbers[to + 3] = view.getUint32(item + 42, true)
    numbers[to + 4] = from
    numbers[to + 5] = payloadBytes
    return end
  }

  flush(): void {
    const count = this.#count
    const numbers = this.#numbers
    if (count === 0 || numbers === undefined) return
    this.#count = 0
    const isMost = count * STRETCH_STRIDE * 2 > numbers.length
    const own = isMost ? numbers : numbers.slice(0, count * STRETCH_STRIDE)
    if (isMost) this.#numbers = undefined
    const stretch = new AddStretch(this.#ledger as LedgerId, { bytes: this.#message, numbers: own, count })
    if (count >= STRETCH_COUNT_MIN) this.#to.onStretch(this.#channel, stretch)
    else for (let i = 0; i < count; i++) this.#to.onAdd(this.#channel, stretch.requestAt(i))
  }

  /** The first time, for as many items like this one as the message can have. */
  #numbersWithRoom(bytesOfItem: number): Float64Array {
    const needed = (this.#count + 1) * STRETCH_STRIDE
    if (this.#numbers === undefined) {
      const count = Math.ceil(this.#message.length / bytesOfItem)
      this.#numbers = new Float64Array(Math.max(count, STRETCH_COUNT_MIN) * STRETCH_STRIDE)
    } else if (needed > this.#numbers.length) {
      const grown = new Float64Array(this.#numbers.length * 2)
      grown.set(this.#numbers)
      this.#numbers = grown
    }
    return this.#numbers
  }

  /** NaN: no safe integer. */
  #fixed64(at: number): number {
    const high = this.#view.getUint32(at + 4, true)
    return high >= SAFE_HIGH ? NaN : high * TWO_32 + this.#view.getUint32(at, true)
  }
}

/** Do the fields in front of the payload stand where this file writes them, and is it no add of recovery? */
function isUsual(bytes: Buffer, item: number): boolean {
  return (
    bytes[item] === 13 &&
    bytes[item + 5] === 17 &&
    bytes[item + 14] === 25 &&
    bytes[item + 23] === 33 &&
    bytes[item + 32] === 41 &&
    bytes[item + 41] === 53 &&
    bytes[item + 46] === 56 &&
    bytes[item + 47] === 0
  )
}

/** Of at most four bytes, with none too many; else -1. */
function lengthAt(bytes: Buffer, at: number): number {
  let value = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i] ?? 0x80
    value |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return varintBytes(value) === i + 1 ? value : -1
  }
  return -1
}

function decodeAdd(reader: WireReader, to: AddBatchHandler): void {
  const outer = reader.enter()
  let channel = 0
  let ledger = 0
  let entry = 0
  let confirmedCount = 0
  let lengthBytes = 0
  let crc32c = 0
  let recovery = false
  let payload: Buffer = EMPTY
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 13) channel = reader.fixed32()
    else if (tag === 17) ledger = reader.fixed64()
    else if (tag === 25) entry = reader.fixed64()
    else if (tag === 33) confirmedCount = reader.fixed64()
    else if (tag === 41) lengthBytes = reader.fixed64()
    else if (tag === 53) crc32c = reader.fixed32()
    else if (tag === 56) recovery = reader.varint() !== 0
    else if (tag === 66) payload = reader.bytes()
    else reader.skip(tag)
  }
  reader.leave(outer)
  const lac = confirmedCount + NO_ENTRY
  if (lac >= entry) refuse('an entry that is confirmed before it is written')
  const ledgerId = ledger as LedgerId
  const entryId = entry as EntryId
  // field by field: a spread is a call into the runtime for each entry
  to.onAdd(channel, { ledgerId, entryId, lac: lac as EntryId, lengthBytes, crc32c, payload, recovery })
}

const EMPTY: Buffer = Buffer.alloc(0)

function refuse(reason: string): never {
  throw LedgerError.create('MALFORMED_MESSAGE', { reason })
}
