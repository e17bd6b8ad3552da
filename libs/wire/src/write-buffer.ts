import { strict as assert } from 'node:assert'

const TWO_TO_32 = 0x1_0000_0000
const SLAB_BYTES_DEFAULT = 64 * 1024

/** Bytes of a varint given as two 32-bit halves. */
export function varint64Bytes(low: number, high: number): number {
  if (high === 0) {
    if (low < 0x80) return 1
    if (low < 0x4000) return 2
    if (low < 0x200000) return 3
    return low < 0x10000000 ? 4 : 5
  }
  if (high < 0x8) return 5
  if (high < 0x400) return 6
  if (high < 0x20000) return 7
  if (high < 0x1000000) return 8
  return high < 0x80000000 ? 9 : 10
}

/** Bytes of a safe integer, or of -1 (which is 2^64-1 on the wire). */
export function varintBytes(value: number): number {
  return value < 0 ? 10 : varint64Bytes(value >>> 0, Math.floor(value / TWO_TO_32))
}

/**
 * Frames are written one after the other into a slab; `take` hands out what was written since the last `take`, to be
 * given to a socket as it is. Bytes handed out are never written again: what follows goes behind them, or into a new
 * slab. Writers call `ensure` for the most they may write, then write without further checks.
 */
export class WriteBuffer {
  bytes: Buffer
  /** Where the next byte goes. */
  position = 0
  readonly #slabBytes: number
  #takenBytes = 0

  constructor(slabBytes = SLAB_BYTES_DEFAULT) {
    this.#slabBytes = slabBytes
    this.bytes = Buffer.allocUnsafeSlow(slabBytes)
  }

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.position - this.#takenBytes
  }

  /** Makes room for `count` bytes at `position`. Moves what is not taken yet, so earlier positions become invalid. */
  ensure(count: number): void {
    if (this.position + count <= this.bytes.length) return
    const length = this.length
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, 2 * (length + count)))
    this.bytes.copy(larger, 0, this.#takenBytes, this.position)
    this.bytes = larger
    this.position = length
    this.#takenBytes = 0
  }

  /** What was written since the last call, without a copy. */
  take(): Buffer {
    const taken = this.bytes.subarray(this.#takenBytes, this.position)
    this.#takenBytes = this.position
    return taken
  }

  uint8(value: number): void {
    this.bytes[this.position++] = value
  }

  uint16(value: number): void {
    const { bytes } = this
    bytes[this.position++] = value >>> 8
    bytes[this.position++] = value
  }

  uint32(value: number): void {
    this.uint32At(this.position, value)
    this.position += 4
  }

  uint32At(position: number, value: number): void {
    const { bytes } = this
    bytes[position] = value >>> 24
    bytes[position + 1] = value >>> 16
    bytes[position + 2] = value >>> 8
    bytes[position + 3] = value
  }

  /** A safe integer, or -1 as 2^64-1. */
  varint(value: number): void {
    if (value >= 0 && value < 0x80) {
      this.bytes[this.position++] = value
      return
    }
    if (value < 0) {
      assert(value === -1, `no varint for ${value}`)
      this.varint64(0xffffffff, 0xffffffff)
      return
    }
    this.varint64(value >>> 0, Math.floor(value / TWO_TO_32))
  }

  /** Any 64 bits, as two unsigned halves. */
  varint64(low: number, high: number): void {
    const { bytes } = this
    let position = this.position
    while (high !== 0 || low >= 0x80) {
      bytes[position++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    bytes[position++] = low
    this.position = position
  }

  copy(source: Uint8Array, start: number, end: number): void {
    this.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.position)
    this.position += end - start
  }

  /** Returns the bytes that the text took; the caller ensured three for each of its UTF-16 units. */
  utf8(text: string): number {
    const written = this.bytes.write(text, this.position)
    this.position += written
    return written
  }
}
