import { strict as assert } from 'node:assert'

export const PAGE_BITS = 1024
export const PAGE_WORDS = PAGE_BITS / 32

/** The acknowledgements of 1,024 consecutive entries: bit i of word w is entry `index * 1024 + w * 32 + i`, 1 = acknowledged. */
export interface AckPage {
  readonly index: number
  readonly words: Int32Array
  /** Changed since it was last persisted. */
  isDirty: boolean
}

export interface EntryRange {
  readonly first: number
  readonly last: number
}

/**
 * The entries of one ledger that were acknowledged one by one: a bit map in pages. Every change is O(1) however many
 * holes there are (a sorted list of ranges is O(ranges) in its worst case, which a shared subscription reaches);
 * 1,024 entries cost 128 bytes.
 */
export class LedgerAcks {
  readonly ledgerId: number
  readonly #pages = new Map<number, AckPage>()
  #count = 0
  /** No page has a lower index. */
  #lowIndex = Number.MAX_SAFE_INTEGER

  constructor(ledgerId: number) {
    this.ledgerId = ledgerId
  }

  /** Acknowledged entries. */
  get count(): number {
    return this.#count
  }

  has(entryId: number): boolean {
    const index = pageIndex(entryId)
    const page = this.#pages.get(index)
    if (page === undefined) return false
    const bit = entryId - index * PAGE_BITS
    return ((page.words[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0
  }

  /** Acknowledges an entry that is not acknowledged yet, and returns its page. */
  add(entryId: number): AckPage {
    const index = pageIndex(entryId)
    let page = this.#pages.get(index)
    if (page === undefined) {
      page = { index, words: new Int32Array(PAGE_WORDS), isDirty: false }
      this.#pages.set(index, page)
      this.#lowIndex = Math.min(this.#lowIndex, index)
    }
    const bit = entryId - index * PAGE_BITS
    const word = page.words[bit >>> 5] ?? 0
    assert((word & (1 << (bit & 31))) === 0, 'acknowledged twice')
    page.words[bit >>> 5] = word | (1 << (bit & 31))
    this.#count += 1
    return page
  }

  /** The first entry at or after this one that is not acknowledged. */
  firstClear(from: number): number {
    for (let entryId = from; ;) {
      const index = pageIndex(entryId)
      const page = this.#pages.get(index)
      if (page === undefined) return entryId
      const clear = firstBit(page.words, entryId - index * PAGE_BITS, -1)
      if (clear < PAGE_BITS) return index * PAGE_BITS + clear
      entryId = (index + 1) * PAGE_BITS
    }
  }

  /** Forgets everything up to and including an entry. */
  clearThrough(entryId: number): void {
    const lastIndex = pageIndex(entryId)
    if (lastIndex - this.#lowIndex < this.#pages.size) {
      for (let index = this.#lowIndex; index < lastIndex; index++) this.#dropPage(index)
    } else {
      for (const index of this.#pages.keys()) if (index < lastIndex) this.#dropPage(index)
    }
    this.#lowIndex = Math.max(this.#lowIndex, lastIndex)
    const page = this.#pages.get(lastIndex)
    if (page === undefined) return
    this.#count -= clearLowBits(page.words, entryId - lastIndex * PAGE_BITS + 1)
    if (page.words.every(word => word === 0)) this.#dropPage(lastIndex)
  }

  page(index: number): AckPage | undefined {
    return this.#pages.get(index)
  }

  /** Ascending. */
  pages(): AckPage[] {
    return [...this.#pages.values()].sort((a, b) => a.index - b.index)
  }

  /** Replaces a page by what was persisted; takes the words. */
  setPage(index: number, words: Int32Array): void {
    const old = this.#pages.get(index)
    if (old !== undefined) this.#count -= countBits(old.words)
    this.#count += countBits(words)
    this.#pages.set(index, { index, words, isDirty: false })
    this.#lowIndex = Math.min(this.#lowIndex, index)
  }

  /** Maximal runs of acknowledged entries, ascending. */
  *ranges(): Generator<EntryRange> {
    let open: { first: number; last: number } | undefined
    for (const page of this.pages()) {
      for (const run of pageRuns(page.words)) {
        const first = page.index * PAGE_BITS + run.first
        const last = page.index * PAGE_BITS + run.last
        if (open !== undefined && open.last + 1 === first) open.last = last
        else {
          if (open !== undefined) yield open
          open = { first, last }
        }
      }
    }
    if (open !== undefined) yield open
  }

  #dropPage(index: number): void {
    const page = this.#pages.get(index)
    if (page === undefined) return
    this.#count -= countBits(page.words)
    this.#pages.delete(index)
  }
}

/** Maximal runs of set bits of a page, as bit numbers. */
export function pageRuns(words: Int32Array): EntryRange[] {
  const runs: EntryRange[] = []
  for (let first = firstBit(words, 0, 0); first < PAGE_BITS;) {
    const end = firstBit(words, first, -1)
    runs.push({ first, last: end - 1 })
    first = end < PAGE_BITS ? firstBit(words, end, 0) : PAGE_BITS
  }
  return runs
}

export function setBits(words: Int32Array, first: number, last: number): void {
  for (let bit = first; bit <= last; bit++) words[bit >>> 5] = (words[bit >>> 5] ?? 0) | (1 << (bit & 31))
}

function pageIndex(entryId: number): number {
  return Math.floor(entryId / PAGE_BITS)
}

/** First bit at or after `from` that is set (`invert` 0) or clear (`invert` -1); PAGE_BITS if none. */
function firstBit(words: Int32Array, from: number, invert: 0 | -1): number {
  let mask = -1 << (from & 31)
  for (let word = from >>> 5; word < PAGE_WORDS; word++) {
    const bits = ((words[word] ?? 0) ^ invert) & mask
    if (bits !== 0) return word * 32 + 31 - Math.clz32(bits & -bits)
    mask = -1
  }
  return PAGE_BITS
}

function countBits(words: Int32Array): number {
  let count = 0
  for (const word of words) count += popCount(word)
  return count
}

function clearLowBits(words: Int32Array, bits: number): number {
  let cleared = 0
  for (let word = 0; word * 32 < bits; word++) {
    const keep = bits - word * 32 >= 32 ? 0 : -1 << (bits - word * 32)
    cleared += popCount((words[word] ?? 0) & ~keep)
    words[word] = (words[word] ?? 0) & keep
  }
  return cleared
}

function popCount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555)
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
