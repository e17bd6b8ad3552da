import type { Location } from '../format/page.ts'

/** Numbers of one entry: entry id, file, offset, payload bytes. */
const STRIDE = 4
const FIRST_ENTRIES = 8
/** A power of two. What a full one holds is never copied again: a list of millions that doubles stops the thread for tens of milliseconds. */
const SEGMENT_ENTRIES = 2048
const SEGMENT_SHIFT = Math.log2(SEGMENT_ENTRIES)
const SEGMENT_MASK = SEGMENT_ENTRIES - 1

/**
 * Entries of one ledger that are synced but not in the index yet, in the order they came (ascending but for resends and
 * a recoverer's write-backs). Numbers in segments: 32 bytes an entry, in pieces of 64 KB once there are many.
 */
export class EntryTail {
  count = 0
  readonly #segments: Float64Array[] = [new Float64Array(FIRST_ENTRIES * STRIDE)]
  #isAscending = true
  #lowest = Infinity
  #highest = -1

  append(entryId: number, { file, offset, payloadBytes }: Location): void {
    const segment = this.#room()
    const at = (this.count & SEGMENT_MASK) * STRIDE
    segment[at] = entryId
    segment[at + 1] = file
    segment[at + 2] = offset
    segment[at + 3] = payloadBytes
    this.count++
    if (entryId < this.#lowest) this.#lowest = entryId
    if (entryId > this.#highest) this.#highest = entryId
    else this.#isAscending = false
  }

  entryId(i: number): number {
    return this.#number(i, 0)
  }

  file(i: number): number {
    return this.#number(i, 1)
  }

  offset(i: number): number {
    return this.#number(i, 2)
  }

  payloadBytes(i: number): number {
    return this.#number(i, 3)
  }

  location(i: number): Location {
    return { file: this.file(i), offset: this.offset(i), payloadBytes: this.payloadBytes(i) }
  }

  /** Its place, or -1. The latest one if the entry came twice. */
  find(entryId: number): number {
    if (entryId > this.#highest || entryId < this.#lowest) return -1
    return this.#isAscending ? this.#search(entryId) : this.#walk(entryId)
  }

  #search(entryId: number): number {
    let low = 0
    let high = this.count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const value = this.entryId(middle)
      if (value === entryId) return middle
      if (value < entryId) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  #walk(entryId: number): number {
    for (let i = this.count - 1; i >= 0; i--) if (this.entryId(i) === entryId) return i
    return -1
  }

  #number(i: number, which: number): number {
    return this.#segments[i >>> SEGMENT_SHIFT]?.[(i & SEGMENT_MASK) * STRIDE + which] ?? 0
  }

  /** The segment of the next entry. The first one grows, since most ledgers have few. */
  #room(): Float64Array {
    const index = this.count >>> SEGMENT_SHIFT
    const segment = this.#segments[index]
    if (segment !== undefined && (this.count & SEGMENT_MASK) * STRIDE < segment.length) return segment
    const entries = index > 0 ? SEGMENT_ENTRIES : Math.min(this.count * 2, SEGMENT_ENTRIES)
    const grown = new Float64Array(entries * STRIDE)
    if (segment !== undefined) grown.set(segment)
    this.#segments[index] = grown
    return grown
  }
}
