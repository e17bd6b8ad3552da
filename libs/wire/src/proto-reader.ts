import { refuse } from './errors.ts'

export const WIRE_VARINT = 0
export const WIRE_FIXED64 = 1
export const WIRE_BYTES = 2
export const WIRE_FIXED32 = 5

/** The largest high half of a safe integer. */
const SAFE_HIGH_MAX = 0x1fffff
const TWO_TO_32 = 0x1_0000_0000

const NOTHING = Buffer.alloc(0)

/**
 * Reads protobuf fields in place, without allocating. A varint is left in `low` and `high` (32 unsigned bits each),
 * since a number holds only 53 bits of it. The reader never looks past `end`.
 *
 * One reader serves one message at a time; a nested message is read by moving `end` and restoring it.
 */
export class ProtoReader {
  buffer: Buffer = NOTHING
  position = 0
  end = 0
  low = 0
  high = 0
  /** Of the field that `next` found. */
  field = 0
  wireType = 0

  open(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer
    this.position = start
    this.end = end
  }

  /** Keeps no buffer alive while it reads nothing. */
  close(): void {
    this.buffer = NOTHING
    this.position = this.end = 0
  }

  /** Reads a tag; false at the end of the message. */
  next(): boolean {
    if (this.position >= this.end) return false
    this.varint()
    if (this.high !== 0) refuse('field number out of range', this.position)
    this.field = this.low >>> 3
    this.wireType = this.low & 7
    if (this.field === 0) refuse('field number zero', this.position)
    return true
  }

  varint(): void {
    const buffer = this.buffer
    const end = this.end
    let position = this.position
    if (position >= end) refuse('truncated varint', position)
    let byte = buffer[position++] as number
    let low = byte & 0x7f
    let high = 0
    let shift = 7
    while (byte >= 0x80) {
      if (position >= end || shift > 63) refuse('truncated or overlong varint', position)
      byte = buffer[position++] as number
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift > 28) high |= bits << (shift - 32)
      else {
        low |= bits << 28
        high = bits >>> 4
      }
      shift += 7
    }
    this.low = low >>> 0
    this.high = high >>> 0
    this.position = position
  }

  /** Reads a varint of the field just found. */
  scalar(): void {
    if (this.wireType !== WIRE_VARINT) refuse(`field ${this.field} is not a varint`, this.position)
    this.varint()
  }

  int32(): number {
    this.scalar()
    return this.low | 0
  }

  bool(): boolean {
    this.scalar()
    return (this.low | this.high) !== 0
  }

  /** Our own ids and what must stay countable. */
  safeInteger(): number {
    this.scalar()
    if (this.high > SAFE_HIGH_MAX) refuse(`field ${this.field} is past 2^53`, this.position)
    return this.high * TWO_TO_32 + this.low
  }

  /** A ledger or entry id: a safe integer, -1 for 2^64-1, NaN for what else is too large. */
  id(): number {
    this.scalar()
    if (this.high <= SAFE_HIGH_MAX) return this.high * TWO_TO_32 + this.low
    return this.high === 0xffffffff && this.low === 0xffffffff ? -1 : NaN
  }

  /** A signed 64-bit value such as a time; what is past 2^53 loses its lowest bits. */
  int64AsNumber(): number {
    this.scalar()
    return (this.high | 0) * TWO_TO_32 + this.low
  }

  /** Leaves `position` at the first byte of a length-prefixed field and returns its end. */
  block(): number {
    if (this.wireType !== WIRE_BYTES) refuse(`field ${this.field} has no length`, this.position)
    return this.blockAfterTag()
  }

  blockAfterTag(): number {
    this.varint()
    const end = this.position + this.low
    if (this.high !== 0 || end > this.end) refuse('length past the end of the message', this.position)
    return end
  }

  /** Passes over the field just found. */
  skip(): void {
    switch (this.wireType) {
      case WIRE_VARINT:
        this.varint()
        return
      case WIRE_BYTES:
        this.position = this.blockAfterTag()
        return
      case WIRE_FIXED64:
        this.#pass(8)
        return
      case WIRE_FIXED32:
        this.#pass(4)
        return
      default:
        refuse(`wire type ${this.wireType}`, this.position)
    }
  }

  #pass(bytes: number): void {
    this.position += bytes
    if (this.position > this.end) refuse('truncated field', this.position)
  }
}
