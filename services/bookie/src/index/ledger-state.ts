import { NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'

/** Numbers of one tail entry: entry id, file, offset, payload bytes. */
export const TAIL_STRIDE = 4

/**
 * Entries of one ledger that are synced but not in the index yet, in the order they came (ascending but for resends and
 * a recoverer's write-backs). One array of numbers: 32 bytes an entry.
 */
export class EntryTail {
  numbers = new Float64Array(8 * TAIL_STRIDE)
  count = 0
  #isAscending = true
  #lowest = Infinity
  #highest = -1

  /** Before so many are appended, which would else make room for themselves again and again. */
  reserve(count: number): void {
    const needed = (this.count + count) * TAIL_STRIDE
    if (needed <= this.numbers.length) return
    const grown = new Float64Array(Math.max(needed, this.numbers.length * 2))
    grown.set(this.numbers)
    this.numbers = grown
  }

  append(entryId: number, file: number, offset: number, payloadBytes: number): void {
    const at = this.count * TAIL_STRIDE
    if (at === this.numbers.length) this.reserve(1)
    const numbers = this.numbers
    numbers[at] = entryId
    numbers[at + 1] = file
    numbers[at + 2] = offset
    numbers[at + 3] = payloadBytes
    this.count++
    if (entryId < this.#lowest) this.#lowest = entryId
    if (entryId > this.#highest) this.#highest = entryId
    else this.#isAscending = false
  }

  /** Index into `numbers`, or -1. The latest one if the entry came twice. */
  find(entryId: number): number {
    if (entryId > this.#highest || entryId < this.#lowest) return -1
    return this.#isAscending ? this.#search(entryId) : this.#walk(entryId)
  }

  #search(entryId: number): number {
    let low = 0
    let high = this.count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const value = this.numbers[middle * TAIL_STRIDE] ?? 0
      if (value === entryId) return middle * TAIL_STRIDE
      if (value < entryId) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  #walk(entryId: number): number {
    for (let i = this.count - 1; i >= 0; i--) if (this.numbers[i * TAIL_STRIDE] === entryId) return i * TAIL_STRIDE
    return -1
  }
}

/**
 * What the node knows of one ledger beside its index pages.
 *
 * Invariants
 *   L1  `isFenced` is set when a fence is admitted: from then on no add without `recovery` is.
 *   L2  `lastEntry`, `lac`, `tail` and `isFenceSynced` speak of synced records only.
 */
export class LedgerState {
  readonly ledgerId: LedgerId
  isFenced = false
  isFenceSynced = false
  lastEntry: EntryId = NO_ENTRY
  lac: EntryId = NO_ENTRY
  /** Not in the index yet. */
  tail: EntryTail | undefined
  /** Being written to the index; older than `tail`. */
  flushing: EntryTail | undefined
  /** The row in the index is behind `isFenceSynced`, `lastEntry` or `lac`. */
  isRowStale = false
  /** No page of the index is past this one; -1: none. */
  lastPage = -1
  /** A deletion record was read: reads say 'unknown' until everything is gone. */
  isDeleted = false
  /** It was deleted, and everything is: no entry is ever taken again. */
  isGone = false
  /** Records of it that are in the journal's buffers. */
  pendingRecords = 0
  /** Its row is being written: no adds, which a fence stands behind, but it must stay in memory. */
  isFlushing = false
  /** A hint for reading ahead: the entry after the last one read. */
  nextRead = -1

  // Written by the journal alone: where this ledger's receipt is in the batch being filled.
  receiptBatch = -1
  receiptIndex = -1

  constructor(ledgerId: LedgerId) {
    this.ledgerId = ledgerId
  }

  /** The index has no word yet of where some entries are: what a tail says of them counts, and will be written over what it has. */
  get hasTail(): boolean {
    return this.tail !== undefined || this.flushing !== undefined
  }

  get hasUnindexed(): boolean {
    return this.tail !== undefined || this.isFlushing || this.isRowStale || this.pendingRecords > 0
  }
}
