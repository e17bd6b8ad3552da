import { strict as assert } from 'node:assert'
import type { EntryId } from '@strata/base'
import type { StoredEntry } from '@strata/ledger-client'
import { systemCode } from '../errors.ts'
import { isDigestRight } from '../format/digest.ts'
import type { Location } from '../format/page.ts'
import { decodeRecordHeader, HEADER_BYTES, recordBytes } from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import type { LedgerState } from '../index/ledger-state.ts'
import type { RecentWrites } from '../journal/recent-writes.ts'
import type { DamagedEntry } from './damage.ts'
import type { FileTable } from './file-table.ts'
import { ReadAheadCache, type Region } from './read-ahead.ts'

export interface EntryReaderOptions {
  readonly index: EntryIndex
  readonly files: FileTable
  readonly readAheadBytes: number
  readonly readAheadCacheBytes: number
  readonly recent: RecentWrites | undefined
  /** An entry that the index names could not be read, twice. */
  readonly onUnreadable: (entry: DamagedEntry) => void
}

export interface ReadRange {
  readonly first: EntryId
  readonly last: EntryId
  /** From each entry to the next; 1 where it is left out. */
  readonly every?: number
  readonly bytesMax: number
  readonly entriesMax: number
  /** What memory has of them does not count: whether the disk has them is the question. */
  readonly fromDisk?: boolean
}

/** 'missing': the index has no such entry. 'unreadable': it has, and the bytes are not there or not right. */
export interface ReadResult {
  readonly entries: StoredEntry[]
  readonly end: 'limit' | 'missing' | 'unreadable'
}

/** One system call reads entries of one ledger up to this many bytes, skipping others' between them. */
const REGION_BYTES_MAX = 4 * 1024 * 1024
const GAP_BYTES_MAX = 64 * 1024
/** So far ahead at most the index is asked at once. */
const WARM_IDS = 1_024

/**
 * Reads consecutive entries of a ledger in as few system calls as there are stretches of them on disk. Entries are slices
 * of what was read, and copied only from a region that is mostly others'. A reader that goes on where it stopped gets more read ahead than it asked for.
 */
export class EntryReader {
  readonly #options: EntryReaderOptions
  readonly #cache: ReadAheadCache

  constructor(options: EntryReaderOptions) {
    this.#options = options
    this.#cache = new ReadAheadCache(options.readAheadCacheBytes)
  }

  async read(ledger: LedgerState, range: ReadRange): Promise<ReadResult> {
    const { locations, isMissing } = await this.#locate(ledger, range)
    const entries: StoredEntry[] = []
    const every = range.every ?? 1
    const isSequential = ledger.nextRead === range.first
    let region: Region | undefined
    for (const [i, location] of locations.entries()) {
      const entryId = (range.first + i * every) as EntryId
      if (!isWithin(region, location)) {
        region =
          range.fromDisk === true
            ? await this.#diskRegion(locations, i)
            : await this.#regionFor(locations, i, isSequential)
      }
      const entry = parse(region, location, ledger, entryId) ?? (await this.#readAgain(ledger, entryId, location))
      if (entry === undefined) return { entries, end: 'unreadable' }
      entries.push(entry)
    }
    ledger.nextRead = range.first + entries.length * every
    return { entries, end: isMissing ? 'missing' : 'limit' }
  }

  forgetFile(file: number): void {
    this.#cache.dropFile(file)
  }

  async #locate(ledger: LedgerState, range: ReadRange): Promise<{ locations: Location[]; isMissing: boolean }> {
    const locations: Location[] = []
    const every = range.every ?? 1
    const last = Math.min(range.last, range.first + (range.entriesMax - 1) * every)
    let bytes = 0
    for (let entryId = range.first as number; entryId <= last; entryId += every) {
      const cached = this.#options.index.locateCached(ledger, entryId)
      const location = cached === 'ask' ? await this.#ask(ledger, entryId, last) : cached
      if (location === undefined) return { locations, isMissing: true }
      bytes += location.payloadBytes
      if (locations.length > 0 && bytes > range.bytesMax) break
      locations.push(location)
    }
    return { locations, isMissing: false }
  }

  /** The index itself, with what is going to be asked next. */
  async #ask(ledger: LedgerState, entryId: number, last: number): Promise<Location | undefined> {
    const { index } = this.#options
    await index.warm(ledger, { first: entryId, last: Math.min(last, entryId + WARM_IDS) })
    return index.locate(ledger, entryId)
  }

  async #regionFor(locations: readonly Location[], from: number, isSequential: boolean): Promise<Region | undefined> {
    const first = locations[from]
    if (first === undefined) return undefined
    const { file, offset } = first
    const firstEnd = offset + recordBytes(first.payloadBytes)
    const cached = this.#cache.find(file, offset, firstEnd)
    if (cached !== undefined) return cached
    const stretch = stretchFrom(locations, from)
    const { isSparse } = stretch
    let { end } = stretch
    const { recent } = this.#options
    const held = recent?.endOf(file, offset) ?? 0
    if (recent !== undefined && held >= firstEnd) {
      return { file, start: offset, isSparse, bytes: recent.copy(file, offset, Math.min(end, held)) }
    }
    const { readAheadBytes, files } = this.#options
    const isAhead = isSequential && end - offset < readAheadBytes
    if (isAhead) end = Math.max(end, Math.min(files.get(file)?.end ?? end, offset + readAheadBytes))
    const region = await this.#load(file, { start: offset, end, isSparse })
    // A sparse region is full of other ledgers' entries, whose readers are likely to come by as well.
    if ((isAhead || isSparse) && region !== undefined) this.#cache.add(region)
    return region
  }

  async #diskRegion(locations: readonly Location[], from: number): Promise<Region | undefined> {
    const first = locations[from]
    return first === undefined
      ? undefined
      : this.#load(first.file, { start: first.offset, ...stretchFrom(locations, from) })
  }

  async #load(
    file: number,
    { start, end, isSparse }: { start: number; end: number; isSparse: boolean }
  ): Promise<Region | undefined> {
    const bytes = Buffer.allocUnsafeSlow(end - start)
    try {
      const count = await this.#options.files.read(file, bytes, start)
      return { file, start, isSparse, bytes: count === bytes.length ? bytes : bytes.subarray(0, count) }
    } catch {
      // The second look tells whether the entry has moved or the disk refuses.
      return undefined
    }
  }

  /** The entry may have moved to another file since it was located; where it stands still, it is unreadable. */
  async #readAgain(ledger: LedgerState, entryId: EntryId, before: Location): Promise<StoredEntry | undefined> {
    const { index, files, onUnreadable } = this.#options
    let last = before
    let reason = 'digest'
    for (let attempt = 0; attempt < 3; attempt++) {
      const location = await index.locate(ledger, entryId)
      if (location === undefined) return undefined
      last = location
      const bytes = Buffer.allocUnsafeSlow(recordBytes(location.payloadBytes))
      try {
        const count = await files.read(location.file, bytes, location.offset)
        const read = bytes.subarray(0, count)
        const region = { file: location.file, start: location.offset, isSparse: false, bytes: read }
        const entry = parse(region, location, ledger, entryId)
        if (entry !== undefined) return entry
        reason = 'digest'
      } catch (error) {
        reason = systemCode(error)
      }
    }
    const { file, offset } = last
    const path = files.get(file)?.path ?? 'a file that was removed'
    onUnreadable({ ledgerId: ledger.ledgerId, entryId, file, path, offset, reason })
    return undefined
  }
}

/** How far entries follow each other from one on, with no wide gap between, and whether that is mostly others' bytes. */
function stretchFrom(locations: readonly Location[], from: number): { end: number; isSparse: boolean } {
  const first = locations[from]
  assert(first !== undefined)
  const { file, offset } = first
  let end = offset + recordBytes(first.payloadBytes)
  let usedBytes = end - offset
  for (let i = from + 1; i < locations.length; i++) {
    const next = locations[i]
    if (next?.file !== file || next.offset < end || next.offset > end + GAP_BYTES_MAX) break
    const nextEnd = next.offset + recordBytes(next.payloadBytes)
    if (nextEnd - offset > REGION_BYTES_MAX) break
    end = nextEnd
    usedBytes += nextEnd - next.offset
  }
  return { end, isSparse: usedBytes * 2 < end - offset }
}

function isWithin(region: Region | undefined, { file, offset, payloadBytes }: Location): boolean {
  if (region?.file !== file || offset < region.start) return false
  return offset + HEADER_BYTES + payloadBytes <= region.start + region.bytes.length
}

/** undefined unless exactly this entry stands there, whole and with the right digest. */
function parse(
  region: Region | undefined,
  location: Location,
  ledger: LedgerState,
  entryId: EntryId
): StoredEntry | undefined {
  if (region === undefined || !isWithin(region, location)) return undefined
  const at = location.offset - region.start
  const header = decodeRecordHeader(region.bytes, at)
  if (header?.ledgerId !== ledger.ledgerId || header.entryId !== entryId) return undefined
  if (header.payloadBytes !== location.payloadBytes) return undefined
  const payload = region.bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + header.payloadBytes)
  if (!isDigestRight(header, payload)) return undefined
  // A slice would keep the whole region alive, which its holder does not know of.
  const kept = region.isSparse ? Buffer.from(payload) : payload
  return { entryId, payload: kept, lac: header.lac, lengthBytes: header.lengthBytes, crc32c: header.crc32c }
}
