import { strict as assert } from 'node:assert'
import { cursorErrors } from './errors.ts'

/** Appends bytes to a buffer that grows. Unsigned integers are LEB128, so that 2^53 - 1 fits in 8 bytes. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  get length(): number {
    return this.#length
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `not an unsigned integer: ${value}`)
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#buffer[this.#length++] = rest
  }

  int32(value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeInt32LE(value, this.#length)
  }

  /** Bytes behind their length. */
  bytes(value: Uint8Array): void {
    this.varint(value.length)
    this.raw(value)
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
  }

  text(value: string): void {
    this.bytes(Buffer.from(value, 'utf8'))
  }

  /** The bytes written so far; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

/** Reads what `ByteWriter` wrote. Every method throws CursorError MALFORMED_CURSOR_STATE on bytes that cannot be its own. */
export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  byte(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) return this.refuse('truncated')
    this.#at += 1
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const next = this.byte()
      value += (next & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) return this.refuse('integer too large')
      if (next < 0x80) return value
      scale *= 0x80
    }
  }

  int32(): number {
    if (this.#at + 4 > this.#bytes.length) return this.refuse('truncated')
    this.#at += 4
    return this.#bytes.readInt32LE(this.#at - 4)
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.varint()
    if (length > this.#bytes.length - this.#at) return this.refuse('length past the end')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  refuse(reason: string): never {
    throw cursorErrors.create('MALFORMED_CURSOR_STATE', { reason, offset: this.#at })
  }
}
