import { strict as assert } from 'node:assert'
import type { LedgerId } from '@strata/base'
import { bookieErrors } from '../errors.ts'
import { IndexPage, PAGE_SLOTS, type Location } from '../format/page.ts'
import type { IndexRow, IndexStore } from './index-store.ts'
import type { EntryTail } from './entry-tail.ts'
import { LedgerState } from './ledger-state.ts'
import { applyLedgerRow, deletedKey, ledgerKey, ledgerOfKey, pageKey, rangeOf } from './rows.ts'

const CACHED_PAGES_MAX = 1024
const CACHED_LEDGERS_MAX = 20_000

/**
 * Where every entry is: the tails in memory, then the pages in the store behind them. Decoded pages and the states of
 * ledgers are cached; a ledger that the index does not know wholly is never dropped from the cache.
 */
export class EntryIndex {
  #store: IndexStore
  readonly #ledgers = new Map<LedgerId, LedgerState>()
  /** By page key; undefined is never kept. */
  readonly #pages = new Map<string, IndexPage>()
  /** Raised by every commit. */
  #version = 0
  // The page that the last look-up used: a reader asks for its entries one after another.
  #lastPageOf: LedgerState | undefined
  #lastPageNumber = -1
  #lastPage: IndexPage | undefined

  constructor(store: IndexStore) {
    this.#store = store
  }

  get store(): IndexStore {
    return this.#store
  }

  /** After a failure of the store: the same content, opened again. */
  replaceStore(store: IndexStore): void {
    this.#store = store
    this.#pages.clear()
    this.#lastPage = undefined
  }

  get cachedLedgers(): IterableIterator<LedgerState> {
    return this.#ledgers.values()
  }

  /** Blocks for one look into the store if the ledger is not cached: it must be known whether a ledger is fenced before an add. */
  ledger(ledgerId: LedgerId): LedgerState {
    const cached = this.#ledgers.get(ledgerId)
    if (cached !== undefined) return cached
    const ledger = new LedgerState(ledgerId)
    const row = this.#store.getSync(ledgerKey(ledgerId))
    if (row !== undefined) applyLedgerRow(ledger, row)
    else if (this.#store.getSync(deletedKey(ledgerId)) !== undefined) markGone(ledger)
    if (this.#ledgers.size >= CACHED_LEDGERS_MAX) this.#evictLedgers()
    this.#ledgers.set(ledgerId, ledger)
    return ledger
  }

  /** As the store has them, and what of these is newer in memory; then those that are only there. Ascending. */
  async heldLedgers({ after, limit }: { after: number; limit: number }): Promise<LedgerState[]> {
    const first = Math.min(after + 1, Number.MAX_SAFE_INTEGER) as LedgerId
    const rows = await this.#store.scan({ from: ledgerKey(first), to: rangeOf('l').to, limit })
    const found = new Map<LedgerId, LedgerState>()
    for (const { key, value } of rows) {
      const ledger = new LedgerState(ledgerOfKey(key))
      applyLedgerRow(ledger, value)
      found.set(ledger.ledgerId, ledger)
    }
    const last = rows.length === limit ? ledgerOfKey((rows.at(-1) as IndexRow).key) : Infinity
    for (const ledger of this.#ledgers.values()) {
      const isIn = ledger.ledgerId > after && ledger.ledgerId <= last
      if (isIn && (found.has(ledger.ledgerId) || ledger.hasUnindexed)) found.set(ledger.ledgerId, ledger)
    }
    return [...found.values()].sort((a, b) => a.ledgerId - b.ledgerId).slice(0, limit)
  }

  forget(ledgerId: LedgerId): void {
    this.#ledgers.delete(ledgerId)
    const prefix = pageKey(ledgerId, 0).toString('latin1').slice(0, 9)
    for (const key of this.#pages.keys()) if (key.startsWith(prefix)) this.#pages.delete(key)
    this.#lastPage = undefined
  }

  /** 'ask': memory does not tell; `locate` does. */
  locateCached(ledger: LedgerState, entryId: number): Location | undefined | 'ask' {
    const fresh = inTail(ledger.tail, entryId) ?? inTail(ledger.flushing, entryId)
    if (fresh !== undefined) return fresh
    const pageNumber = Math.floor(entryId / PAGE_SLOTS)
    if (pageNumber > ledger.lastPage) return undefined
    const page = this.#lastPageOf === ledger && this.#lastPageNumber === pageNumber ? this.#lastPage : undefined
    const cached = page ?? this.#cachedPage(pageKey(ledger.ledgerId, pageNumber))
    if (cached === undefined) return 'ask'
    this.#lastPageOf = ledger
    this.#lastPageNumber = pageNumber
    this.#lastPage = cached
    return cached.at(entryId % PAGE_SLOTS)
  }

  async locate(ledger: LedgerState, entryId: number): Promise<Location | undefined> {
    for (;;) {
      const before = this.#version
      const cached = this.locateCached(ledger, entryId)
      if (cached !== 'ask') return cached
      const page = await this.page(ledger, Math.floor(entryId / PAGE_SLOTS))
      const now = this.locateCached(ledger, entryId)
      if (now !== 'ask') return now
      if (before === this.#version) return page?.at(entryId % PAGE_SLOTS)
    }
  }

  /** The page as the store has it. The caller may change it only in the course of a commit. */
  async page(ledger: LedgerState, pageNumber: number): Promise<IndexPage | undefined> {
    const key = pageKey(ledger.ledgerId, pageNumber)
    for (;;) {
      if (pageNumber > ledger.lastPage) return undefined
      const cached = this.#cachedPage(key)
      if (cached !== undefined) return cached
      const before = this.#version
      const bytes = await this.#store.get(key)
      const raced = this.#cachedPage(key)
      if (raced !== undefined) return raced
      // A commit came between: what was read may be older than it.
      if (before !== this.#version) continue
      if (bytes === undefined) return undefined
      const page = IndexPage.decode(bytes)
      if (page === undefined) throw bookieErrors.create('UNKNOWN_FORMAT', { file: 'index', page: pageNumber })
      this.cachePage(key, page)
      return page
    }
  }

  /** Brings the pages of a stretch into memory at once, where one is not there: a look-up for each would be a turn each. */
  async warm(ledger: LedgerState, { first, last }: { first: number; last: number }): Promise<void> {
    const keys: Buffer[] = []
    const lastPage = Math.min(Math.floor(last / PAGE_SLOTS), ledger.lastPage)
    for (let number = Math.floor(first / PAGE_SLOTS); number <= lastPage; number++) {
      const key = pageKey(ledger.ledgerId, number)
      if (this.#cachedPage(key) === undefined) keys.push(key)
    }
    if (keys.length < 2) return
    const before = this.#version
    const values = await this.#store.getMany(keys)
    // A commit came between: what was read may be older than it, and is left to be asked for again.
    if (before !== this.#version) return
    for (const [i, key] of keys.entries()) {
      const bytes = values[i]
      const page = bytes === undefined || this.#cachedPage(key) !== undefined ? undefined : IndexPage.decode(bytes)
      if (page !== undefined) this.cachePage(key, page)
    }
  }

  /**
   * A batch is in the store: its pages, by cache key, replace what look-ups may have brought in while it was made. Those that had to
   * make room are not cached again: that would take long at once, and drop what is in use.
   */
  noteCommitted(pages: Iterable<readonly [string, { readonly page: IndexPage }]>): void {
    this.#version++
    this.#lastPage = undefined
    for (const [name, { page }] of pages) {
      const cached = this.#pages.get(name)
      if (cached !== undefined && cached !== page) this.#pages.set(name, page)
    }
  }

  cachePage(key: Buffer, page: IndexPage): void {
    const name = key.toString('latin1')
    this.#pages.delete(name)
    this.#pages.set(name, page)
    this.#lastPage = undefined
    if (this.#pages.size <= CACHED_PAGES_MAX) return
    const [oldest] = this.#pages.keys()
    assert(oldest !== undefined)
    this.#pages.delete(oldest)
  }

  #cachedPage(key: Buffer): IndexPage | undefined {
    return this.#pages.get(key.toString('latin1'))
  }

  #evictLedgers(): void {
    let left = CACHED_LEDGERS_MAX / 10
    for (const ledger of this.#ledgers.values()) {
      const isGoing = ledger.isDeleted && !ledger.isGone
      if (ledger.hasUnindexed || isGoing || ledger.isFenced !== ledger.isFenceSynced) continue
      this.#ledgers.delete(ledger.ledgerId)
      if (--left === 0) return
    }
  }
}

function markGone(ledger: LedgerState): void {
  ledger.isFenced = true
  ledger.isFenceSynced = true
  ledger.isDeleted = true
  ledger.isGone = true
}

function inTail(tail: EntryTail | undefined, entryId: number): Location | undefined {
  const at = tail?.find(entryId) ?? -1
  return at < 0 ? undefined : tail?.location(at)
}
