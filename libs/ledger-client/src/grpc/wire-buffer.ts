import { strict as assert } from 'node:assert'
import { LedgerError } from '../errors.ts'

/*
  The protobuf wire format, as far as the messages of the hot path need it: a field is a tag (number * 8 + type, one byte
  for numbers up to 15) and a value. Types: 0 varint, 1 eight bytes little-endian, 2 length-prefixed, 5 four bytes.
*/
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

const TWO_32 = 0x1_0000_0000

export function varintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  let bytes = 3
  for (let rest = Math.floor(value / 0x20_0000); rest > 0; rest = Math.floor(rest / 0x80)) bytes += 1
  return bytes
}

/** Bytes of a length-prefixed field, tag included. */
export function lengthPrefixedBytes(contentBytes: number): number {
  return 1 + varintBytes(contentBytes) + contentBytes
}

export const FIXED64_FIELD_BYTES = 9
export const FIXED32_FIELD_BYTES = 5
export const BOOL_FIELD_BYTES = 2

/** Fills exactly the bytes that were worked out before. */
export class WireWriter {
  readonly buffer: Buffer
  readonly #view: DataView
  readonly #end: number
  #at: number

  /** Into a buffer of its own, or `into` a part of one that there is. */
  constructor(bytes: number, into?: { readonly buffer: Buffer; readonly at: number }) {
    const buffer = into?.buffer ?? Buffer.allocUnsafe(bytes)
    this.buffer = buffer
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    this.#at = into?.at ?? 0
    this.#end = this.#at + bytes
  }

  /** @returns the buffer, with the finished message in it */
  finish(): Buffer {
    assert.equal(this.#at, this.#end)
    return this.buffer
  }

  fixed32(field: number, value: number): void {
    this.buffer[this.#at] = (field << 3) | FIXED32
    this.#view.setUint32(this.#at + 1, value, true)
    this.#at += FIXED32_FIELD_BYTES
  }

  /** A safe integer that is not negative. */
  fixed64(field: number, value: number): void {
    const high = Math.floor(value / TWO_32)
    this.buffer[this.#at] = (field << 3) | FIXED64
    this.#view.setUint32(this.#at + 1, value - high * TWO_32, true)
    this.#view.setUint32(this.#at + 5, high, true)
    this.#at += FIXED64_FIELD_BYTES
  }

  /** A boolean, or an enum's number below 128. */
  small(field: number, value: number): void {
    this.buffer[this.#at++] = (field << 3) | VARINT
    this.buffer[this.#at++] = value
  }

  /** The tag and length of a message or of bytes that are written next. */
  open(field: number, contentBytes: number): void {
    this.buffer[this.#at++] = (field << 3) | BYTES
    let rest = contentBytes
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.buffer[this.#at++] = (rest & 0x7f) | 0x80
    this.buffer[this.#at++] = rest
  }

  /** `count` bytes that mean nothing. */
  zeros(field: number, count: number): void {
    this.open(field, count)
    for (const end = this.#at + count; this.#at < end; this.#at++) this.buffer[this.#at] = 0
  }

  bytes(field: number, content: Buffer): void {
    this.open(field, content.length)
    this.#at += content.copy(this.buffer, this.#at)
  }
}

/**
 * Walks over a peer's bytes. Nothing is copied: contents are slices of the message.
 * @throws LedgerError MALFORMED_MESSAGE from every method that reads
 */
export class WireReader {
  #buffer: Buffer
  #at: number
  #end: number

  constructor(buffer: Buffer) {
    this.#buffer = buffer
    this.#at = 0
    this.#end = buffer.length
  }

  /** The next field's tag, or 0 at the end. */
  tag(): number {
    return this.#at < this.#end ? this.#varint() : 0
  }

  fixed32(): number {
    const at = this.#advance(4)
    return this.#buffer.readUInt32LE(at)
  }

  /** A safe integer. */
  fixed64(): number {
    const at = this.#advance(8)
    const high = this.#buffer.readUInt32LE(at + 4)
    if (high >= 0x20_0000) refuse('a number past 2^53', at)
    return high * TWO_32 + this.#buffer.readUInt32LE(at)
  }

  varint(): number {
    return this.#varint()
  }

  bytes(): Buffer {
    const length = this.#varint()
    const at = this.#advance(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** Where the next field begins. */
  get offset(): number {
    return this.#at
  }

  /** To where a field is known to begin, or to the end. */
  moveTo(offset: number): void {
    assert(offset >= this.#at && offset <= this.#end)
    this.#at = offset
  }

  /** Passes over them. Returns how many they are. */
  skipBytes(): number {
    const length = this.#varint()
    this.#advance(length)
    return length
  }

  /** Goes into a message; `leave` with what this returns goes behind it. */
  enter(): number {
    const outerEnd = this.#end
    const length = this.#varint()
    if (length > this.#end - this.#at) refuse('a length past the end', this.#at)
    this.#end = this.#at + length
    return outerEnd
  }

  leave(outerEnd: number): void {
    this.#at = this.#end
    this.#end = outerEnd
  }

  /** A field that a newer peer may know. */
  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        this.#varint()
        return
      case FIXED64:
        this.#advance(8)
        return
      case BYTES:
        this.bytes()
        return
      case FIXED32:
        this.#advance(4)
        return
      default:
        refuse('a field of no known type', this.#at)
    }
  }

  #varint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 49; scale *= 0x80) {
      const byte = this.#buffer[this.#advance(1)] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    return refuse('a varint that is too long', this.#at)
  }

  #advance(bytes: number): number {
    const at = this.#at
    if (bytes > this.#end - at) refuse('a value past the end', at)
    this.#at = at + bytes
    return at
  }
}

function refuse(reason: string, offset: number): never {
  throw LedgerError.create('MALFORMED_MESSAGE', { reason, offset })
}
