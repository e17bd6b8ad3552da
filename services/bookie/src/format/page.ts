import { strict as assert } from 'node:assert'
import { RECORD_ALIGNMENT, recordBytes } from './record.ts'

/*
  Index page, format version 1: where up to 256 entries of one ledger are. Numbers are varints (7 bits a byte, low first,
  top bit set: more follow); `±` is zigzag.

    1  format version, 1
    then runs, each of entries in one file, ascending by slot:
      file number, count, and for each entry
        slot − slot before − 1             (slot before the run: −1)
        ± (offset − end of the record before) / 8   (0 before the run)
        ± (payload bytes − payload bytes before)    (0 before the run)

  Slot = entry id mod 256. Entries appended one after another cost three or four bytes each.
  Key: 'p', ledger id, entry id div 256, both as 8 bytes, big-endian.
*/
export const PAGE_SLOTS = 256
const PAGE_VERSION = 1
/** Runs of one entry each, their numbers as long as they get: 5 + 2 + 2 + 8 + 8. */
const ENTRY_BYTES_MAX = 25
/** What `encode` needs at most. */
export const PAGE_BYTES_MAX = 1 + PAGE_SLOTS * ENTRY_BYTES_MAX
const OFFSETS = PAGE_SLOTS
const BYTES = PAGE_SLOTS * 2

export interface Location {
  readonly file: number
  readonly offset: number
  readonly payloadBytes: number
}

/** A decoded page. File 0 is no file: the slot is empty. */
export class IndexPage {
  /** Of each slot its file, then of each its offset, then the payload's bytes: one allocation. */
  readonly #numbers = new Uint32Array(PAGE_SLOTS * 3)
  #count = 0
  /** No slot from here on was ever set: most pages hold few entries. */
  #end = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }

  at(slot: number): Location | undefined {
    const file = this.#numbers[slot]
    if (file === undefined || file === 0) return undefined
    return { file, offset: this.#numbers[OFFSETS + slot] ?? 0, payloadBytes: this.#numbers[BYTES + slot] ?? 0 }
  }

  /** File of the slot, 0 if it is empty; without making an object. */
  fileAt(slot: number): number {
    return this.#numbers[slot] ?? 0
  }

  offsetAt(slot: number): number {
    return this.#numbers[OFFSETS + slot] ?? 0
  }

  payloadBytesAt(slot: number): number {
    return this.#numbers[BYTES + slot] ?? 0
  }

  set(slot: number, file: number, offset: number, payloadBytes: number): void {
    assert(slot >= 0 && slot < PAGE_SLOTS && file > 0)
    if (this.#numbers[slot] === 0) this.#count++
    if (slot >= this.#end) this.#end = slot + 1
    this.#numbers[slot] = file
    this.#numbers[OFFSETS + slot] = offset
    this.#numbers[BYTES + slot] = payloadBytes
  }

  clear(slot: number): void {
    if (this.#numbers[slot] !== 0) this.#count--
    this.#numbers[slot] = 0
  }

  /** `out`: of `PAGE_BYTES_MAX`, written over; what is returned is a copy. */
  encode(out: Buffer = Buffer.allocUnsafe(1 + this.#count * ENTRY_BYTES_MAX)): Buffer {
    out[0] = PAGE_VERSION
    let at = 1
    for (let slot = 0; slot < this.#end;) {
      const file = this.#numbers[slot] ?? 0
      if (file === 0) {
        slot++
        continue
      }
      const end = this.#endOfRun(slot, file)
      at = this.#encodeRun(out, at, slot, end)
      slot = end
    }
    return Buffer.from(out.subarray(0, at))
  }

  /** undefined: these are not the bytes of a page. */
  static decode(bytes: Buffer): IndexPage | undefined {
    if (bytes[0] !== PAGE_VERSION) return undefined
    const page = new IndexPage()
    const reader = new VarintReader(bytes, 1)
    let slot = -1
    while (!reader.isAtEnd) {
      const file = reader.next()
      let end = 0
      let payloadBytes = 0
      for (let left = reader.next(); left > 0; left--) {
        slot += reader.next() + 1
        const offset = end + zag(reader.next()) * RECORD_ALIGNMENT
        payloadBytes += zag(reader.next())
        if (reader.isBad || slot >= PAGE_SLOTS || file === 0 || payloadBytes < 0 || offset < 0) return undefined
        page.set(slot, file, offset, payloadBytes)
        end = offset + recordBytes(payloadBytes)
      }
    }
    return page
  }

  #endOfRun(from: number, file: number): number {
    let end = from + 1
    for (let slot = from + 1; slot < this.#end; slot++) {
      const other = this.#numbers[slot] ?? 0
      if (other !== 0 && other !== file) break
      if (other === file) end = slot + 1
    }
    return end
  }

  #encodeRun(out: Buffer, start: number, from: number, to: number): number {
    let count = 0
    for (let slot = from; slot < to; slot++) if (this.#numbers[slot] !== 0) count++
    let at = putVarint(out, start, this.#numbers[from] ?? 0)
    at = putVarint(out, at, count)
    let before = this.#slotBefore(from)
    let end = 0
    let bytesBefore = 0
    for (let slot = from; slot < to; slot++) {
      if (this.#numbers[slot] === 0) continue
      const offset = this.#numbers[OFFSETS + slot] ?? 0
      const payloadBytes = this.#numbers[BYTES + slot] ?? 0
      if (slot === before + 1 && offset === end && payloadBytes === bytesBefore) {
        // one of many that came together
        out[at] = 0
        out[at + 1] = 0
        out[at + 2] = 0
        at += 3
      } else {
        at = putVarint(out, at, slot - before - 1)
        at = putVarint(out, at, zig((offset - end) / RECORD_ALIGNMENT))
        at = putVarint(out, at, zig(payloadBytes - bytesBefore))
      }
      before = slot
      bytesBefore = payloadBytes
      end = offset + recordBytes(payloadBytes)
    }
    return at
  }

  #slotBefore(slot: number): number {
    let before = slot - 1
    while (before >= 0 && this.#numbers[before] === 0) before--
    return before
  }
}

function zig(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2
}

function zag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2
}

function putVarint(out: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 128) {
    out[at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  out[at++] = rest
  return at
}

class VarintReader {
  readonly #bytes: Buffer
  #at: number
  isBad = false

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  get isAtEnd(): boolean {
    return this.isBad || this.#at >= this.#bytes.length
  }

  next(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 50; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) break
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    this.isBad = true
    return 0
  }
}
