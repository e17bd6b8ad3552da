import type { EntryId } from '@strata/base'
import type { EntryRange, Inventory, InventoryRequest } from '@strata/ledger-client'
import { IndexPage, PAGE_SLOTS } from '../format/page.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import type { EntryTail } from '../index/entry-tail.ts'
import type { LedgerState } from '../index/ledger-state.ts'
import { pageKey } from '../index/rows.ts'
import type { EntryReader } from './entry-reader.ts'

/** Of one answer. */
const PAGES_MAX = 4_096
const RANGES_MAX = 4_096
const VERIFIED_BYTES_MAX = 16 * 1024 * 1024
const PAGES_PER_SCAN = 64
const READ_BYTES_MAX = 1024 * 1024
const SUSPECTS_MAX = 100_000

/** Entries that could not be read when they were asked for. Past the bound they are found by verifying alone. */
export class SuspectEntries {
  readonly #ledgers = new Map<number, Set<number>>()
  #count = 0

  note(ledgerId: number, entryId: number): void {
    if (this.#count >= SUSPECTS_MAX) return
    const entries = this.#ledgers.get(ledgerId) ?? new Set()
    if (!entries.has(entryId)) this.#count += 1
    this.#ledgers.set(ledgerId, entries.add(entryId))
  }

  acquit(ledgerId: number, entryId: number): void {
    const entries = this.#ledgers.get(ledgerId)
    if (entries?.delete(entryId) !== true) return
    this.#count -= 1
    if (entries.size === 0) this.#ledgers.delete(ledgerId)
  }

  of(ledgerId: number): readonly number[] {
    return [...(this.#ledgers.get(ledgerId) ?? [])]
  }
}

export interface InventoryDoors {
  readonly index: EntryIndex
  readonly reader: EntryReader
  readonly suspects: SuspectEntries
}

/**
 * Which entries of a ledger the node has. What is not in the index yet is looked at first: an entry moves from the tail to the
 * index and never back, so that none slips through between the two looks. @throws a system error of the index
 */
export async function inventoryOf(
  ledger: LedgerState,
  request: InventoryRequest,
  doors: InventoryDoors
): Promise<Inventory> {
  const { first, last, verify } = request
  const listed = await listedEntries(ledger, { first, last }, doors.index)
  if (verify) return readable(ledger, listed, doors)
  const damaged = new Set<number>()
  for (const entryId of doors.suspects.of(ledger.ledgerId)) {
    if (entryId < first || entryId > listed.through) continue
    if (await isReadable(ledger, entryId as EntryId, doors.reader)) doors.suspects.acquit(ledger.ledgerId, entryId)
    else damaged.add(entryId)
  }
  return damaged.size === 0 ? listed : without(listed, damaged)
}

async function listedEntries(ledger: LedgerState, { first, last }: EntryRange, index: EntryIndex): Promise<Inventory> {
  const end = Math.min(last, ledger.lastEntry)
  if (end < first) return { held: [], through: last }
  const firstPage = Math.floor(first / PAGE_SLOTS)
  const lastPage = Math.min(Math.floor(end / PAGE_SLOTS), firstPage + PAGES_MAX - 1)
  const isAll = (lastPage + 1) * PAGE_SLOTS > end
  const through = (isAll ? end : (lastPage + 1) * PAGE_SLOTS - 1) as EntryId
  const isFresh = freshEntries([ledger.tail, ledger.flushing], { first, last: through })
  const ranges = new RangeList()
  for (let from = firstPage; from <= lastPage; from += PAGES_PER_SCAN) {
    const to = Math.min(from + PAGES_PER_SCAN, lastPage + 1)
    const pages = await pagesOf(ledger, { from, to }, index)
    for (let number = from; number < to; number++) {
      const page = pages.get(number)
      const start = number * PAGE_SLOTS
      const stop = Math.min(through, start + PAGE_SLOTS - 1)
      for (let entryId = Math.max(first, start); entryId <= stop; entryId++) {
        if ((page?.fileAt(entryId - start) ?? 0) === 0 && isFresh[entryId - first] !== 1) continue
        if (!ranges.add(entryId)) return { held: ranges.list(), through: (entryId - 1) as EntryId }
      }
    }
  }
  return { held: ranges.list(), through: isAll ? last : through }
}

async function pagesOf(
  { ledgerId }: LedgerState,
  { from, to }: { from: number; to: number },
  index: EntryIndex
): Promise<Map<number, IndexPage>> {
  const range = { from: pageKey(ledgerId, from), to: pageKey(ledgerId, to), limit: to - from }
  const found = new Map<number, IndexPage>()
  for (const { key, value } of await index.store.scan(range)) {
    const page = IndexPage.decode(value)
    if (page !== undefined) found.set(Number(key.readBigUInt64BE(9)), page)
  }
  return found
}

/** 1 for each entry of the range, counted from its first, that is in a tail. */
function freshEntries(tails: readonly (EntryTail | undefined)[], { first, last }: EntryRange): Uint8Array {
  const fresh = new Uint8Array(last - first + 1)
  for (const tail of tails) {
    for (let i = 0; tail !== undefined && i < tail.count; i++) {
      const entryId = tail.entryId(i)
      if (entryId >= first && entryId <= last) fresh[entryId - first] = 1
    }
  }
  return fresh
}

/** Reads what is listed, from the disk, until the bytes of one answer are used up. */
async function readable(ledger: LedgerState, listed: Inventory, { reader }: InventoryDoors): Promise<Inventory> {
  const ranges = new RangeList()
  let bytesLeft = VERIFIED_BYTES_MAX
  for (const { first, last } of listed.held) {
    for (let next: number = first; next <= last;) {
      if (bytesLeft <= 0) return { held: ranges.list(), through: (next - 1) as EntryId }
      const limits = { last, bytesMax: READ_BYTES_MAX, entriesMax: PAGE_SLOTS, fromDisk: true }
      const { entries, end } = await reader.read(ledger, { first: next as EntryId, ...limits })
      for (const { entryId, payload } of entries) {
        ranges.add(entryId)
        bytesLeft -= payload.length
      }
      next += entries.length + (end === 'limit' ? 0 : 1)
    }
  }
  return { held: ranges.list(), through: listed.through }
}

async function isReadable(ledger: LedgerState, entryId: EntryId, reader: EntryReader): Promise<boolean> {
  const { entries } = await reader.read(ledger, { first: entryId, last: entryId, bytesMax: 1, entriesMax: 1 })
  return entries.length > 0
}

function without({ held, through }: Inventory, damaged: ReadonlySet<number>): Inventory {
  const cuts = [...damaged].sort((a, b) => a - b)
  const left = held.flatMap(({ first, last }) => {
    const pieces: EntryRange[] = []
    let start: number = first
    for (const cut of cuts) {
      if (cut < start || cut > last) continue
      if (cut > start) pieces.push({ first: start as EntryId, last: (cut - 1) as EntryId })
      start = cut + 1
    }
    return start > last ? pieces : [...pieces, { first: start as EntryId, last }]
  })
  return { held: left, through }
}

/** Ascending ids as ranges, up to a bound. No object an id: a ledger may have millions. */
class RangeList {
  /** First and last ids in turn. */
  readonly #ends: number[] = []

  /** false: there is no room for another range. */
  add(entryId: number): boolean {
    const ends = this.#ends
    if (ends.length > 0 && ends[ends.length - 1] === entryId - 1) {
      ends[ends.length - 1] = entryId
      return true
    }
    if (ends.length >= RANGES_MAX * 2) return false
    ends.push(entryId, entryId)
    return true
  }

  list(): EntryRange[] {
    const ranges: EntryRange[] = []
    for (let i = 0; i < this.#ends.length; i += 2) {
      ranges.push({ first: this.#ends[i] as EntryId, last: this.#ends[i + 1] as EntryId })
    }
    return ranges
  }
}
