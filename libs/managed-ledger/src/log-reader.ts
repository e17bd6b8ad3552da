import { comparePositions, type LedgerTable, type Position } from '@strata/cursor-protocol'
import { entryId, ledgerId } from '@strata/base'
import type { LedgerClient, LedgerReader } from '@strata/ledger-client'
import type { Entry, ReadLimits } from './contract.ts'
import { takeEntries, type LogCache } from './entry-cache.ts'
import { ManagedLedgerError } from './errors.ts'

/** Entries from `first` on, being read from a ledger. */
interface Load {
  readonly ledgerId: number
  readonly first: number
  readonly last: number
  readonly entries: Promise<Entry[]>
}

const READ_AHEAD_ENTRIES = 8_192
/** What one entry is charged with before its size is known. */
const ONE_ENTRY_BYTES = 16 * 1024

/**
 * Reads entries of a log: from the cache, else from the ledgers in large pieces that go into the cache and that readers
 * at nearby positions share. Never past what the table has as confirmed.
 */
export class LogReader {
  readonly #table: LedgerTable
  readonly #cache: LogCache
  readonly #client: LedgerClient
  readonly #readers = new Map<number, Promise<LedgerReader>>()
  #loads: Load[] = []

  constructor(parts: { table: LedgerTable; cache: LogCache; client: LedgerClient }) {
    this.#table = parts.table
    this.#cache = parts.cache
    this.#client = parts.client
  }

  /** See ManagedLedger.readCached. */
  readCached(from: Position, limits: ReadLimits): Entry[] | undefined {
    const entries: Entry[] = []
    let bytes = 0
    let at = this.#table.ceiling(from)
    this.#cache.noteRead(at ?? this.#table.lastConfirmed)
    while (
      at !== undefined &&
      entries.length < limits.entriesMax &&
      (bytes < limits.bytesMax || entries.length === 0)
    ) {
      const run = this.#cache.find(at)
      if (run === undefined) break
      const before = entries.length
      bytes += takeEntries(run, at, { ...limits, bytesMax: limits.bytesMax - bytes }, entries)
      const taken = entries.length - before
      if (run.isReadAhead && run.offset + taken > run.payloads.length / 2) {
        this.#prefetch({ ledgerId: at.ledgerId, entryId: at.entryId - run.offset + run.payloads.length })
      }
      if (run.offset + taken < run.payloads.length) break
      at = this.#table.ceiling({ ledgerId: at.ledgerId, entryId: at.entryId + taken })
    }
    if (entries.length > 0) this.#cache.countHits(entries.length, bytes)
    return entries.length > 0 || at === undefined ? entries : undefined
  }

  /** See ManagedLedger.read. @throws ManagedLedgerError STORAGE_FAILED */
  async read(from: Position, limits: ReadLimits): Promise<Entry[]> {
    for (;;) {
      const cached = this.readCached(from, limits)
      if (cached !== undefined) return cached
      const at = this.#table.ceiling(from)
      if (at === undefined) return []
      const entries = await this.#loaded(at, limits)
      if (entries === undefined) continue
      this.#cache.countMisses(entries)
      return entries
    }
  }

  /** One entry, without reading ahead and without keeping it. @throws ManagedLedgerError STORAGE_FAILED */
  async readOne(position: Position): Promise<Entry | undefined> {
    if (!this.#table.has(position.ledgerId, position.entryId)) return undefined
    const run = this.#cache.find(position)
    const payload = run?.payloads[run.offset]
    if (payload !== undefined) return { ...position, payload }
    const last = position.entryId
    const load = { ledgerId: position.ledgerId, first: last, last, bytesMax: 1, entriesMax: 1 }
    return (await this.#readLedger(load))?.[0]
  }

  forgetLedger(id: number): void {
    this.#readers.delete(id)
    this.#cache.dropLedger(id)
  }

  /** Joins a load that covers the position, or starts one. undefined: look again. */
  async #loaded(at: Position, limits: ReadLimits): Promise<Entry[] | undefined> {
    const underWay = this.#loadOf(at)
    const entries = await (underWay ?? this.#startLoad(at, limits)).entries
    const offset = at.entryId - (entries[0]?.entryId ?? Number.POSITIVE_INFINITY)
    if (offset < 0 || offset >= entries.length) return undefined
    return within(entries, offset, limits)
  }

  #loadOf(at: Position): Load | undefined {
    return this.#loads.find(
      load => load.ledgerId === at.ledgerId && load.first <= at.entryId && at.entryId <= load.last
    )
  }

  #startLoad(at: Position, limits: ReadLimits): Load {
    const rowEntries = this.#table.row(at.ledgerId)?.entries ?? 0
    const last = Math.min(rowEntries, this.#cache.nextCached(at)) - 1
    const isSingle = limits.entriesMax <= 1
    const bytesMax = isSingle ? limits.bytesMax : Math.max(limits.bytesMax, this.#cache.readAheadBytes)
    const entriesMax = isSingle ? 1 : Math.max(limits.entriesMax, READ_AHEAD_ENTRIES)
    const load: Load = {
      ledgerId: at.ledgerId,
      first: at.entryId,
      last: Math.min(last, at.entryId + entriesMax - 1),
      entries: this.#readLedger({ ledgerId: at.ledgerId, first: at.entryId, last, bytesMax, entriesMax })
        .then(entries => this.#keep(entries))
        .finally(() => {
          this.#loads = this.#loads.filter(other => other !== load)
        })
    }
    this.#loads.push(load)
    return load
  }

  #keep(entries: Entry[] | undefined): Entry[] {
    const first = entries?.[0]
    if (entries === undefined || first === undefined) return []
    if (this.#table.row(first.ledgerId) !== undefined) {
      const payloads = entries.map(entry => entry.payload)
      this.#cache.add(first.ledgerId, first.entryId, payloads, true)
    }
    return entries
  }

  /** A sequential reader is past half of what was read ahead: have the next piece ready when it gets there. */
  #prefetch(from: Position): void {
    const next = this.#table.ceiling(from)
    if (next === undefined || this.#cache.find(next) !== undefined || this.#loadOf(next) !== undefined) return
    // Whoever needs the piece reads it again and sees the error.
    const limits = { entriesMax: READ_AHEAD_ENTRIES, bytesMax: this.#cache.readAheadBytes }
    this.#startLoad(next, limits).entries.catch(() => undefined)
  }

  /** undefined: the ledger was trimmed meanwhile. */
  async #readLedger(load: {
    ledgerId: number
    first: number
    last: number
    bytesMax: number
    entriesMax: number
  }): Promise<Entry[] | undefined> {
    const { first, last, bytesMax, entriesMax } = load
    const id = load.ledgerId
    try {
      let reader = this.#readers.get(id)
      if (reader === undefined) {
        reader = this.#client.open(ledgerId(id))
        this.#readers.set(id, reader)
      }
      const opened = await reader
      const range = { first: entryId(first), last: entryId(last), bytesMax, entriesMax }
      const entries = await this.#cache.loads.through(Math.max(bytesMax, ONE_ENTRY_BYTES), () => opened.read(range))
      if (entries.length === 0) throw new Error('the ledger gave no entry below its end')
      return entries.map(entry => ({ ledgerId: id, entryId: entry.entryId, payload: entry.payload }))
    } catch (error) {
      this.#readers.delete(id)
      if (this.#table.row(id) === undefined) return undefined
      throw ManagedLedgerError.create('STORAGE_FAILED', { ledgerId: id, firstEntryId: first }, error)
    }
  }
}

function within(entries: readonly Entry[], offset: number, limits: ReadLimits): Entry[] {
  let bytes = 0
  let end = offset
  for (; end < entries.length && end - offset < limits.entriesMax; end++) {
    bytes += entries[end]?.payload.length ?? 0
    if (end > offset && bytes > limits.bytesMax) break
  }
  return entries.slice(offset, end)
}

/** First position whose entry satisfies `isAtOrAfter`, by binary search over the entries' ranks; see ManagedLedger.findFirst. */
export async function findFirst(
  table: LedgerTable,
  reader: LogReader,
  isAtOrAfter: (entry: Entry) => boolean
): Promise<Position> {
  const end = table.next(table.lastConfirmed)
  let low = table.firstPosition
  // Before `low` nothing satisfies; at `high` (or past the end) everything does.
  let high = end
  while (comparePositions(low, high) < 0) {
    const distance = table.count({ ledgerId: low.ledgerId, entryId: low.entryId - 1 }, high)
    const span = comparePositions(high, end) === 0 ? distance : distance - 1
    if (span <= 0) return table.ceiling(low) ?? end
    const before = { ledgerId: low.ledgerId, entryId: low.entryId - 1 }
    const middle = table.positionAfter(before, Math.floor((span - 1) / 2) + 1)
    const entry = await reader.readOne(middle)
    if (entry === undefined)
      low = table.ceiling(middle) ?? end // trimmed meanwhile
    else if (isAtOrAfter(entry)) high = middle
    else low = table.ceiling({ ledgerId: middle.ledgerId, entryId: middle.entryId + 1 }) ?? end
  }
  return high
}
