import type { Clock } from '@strata/base'
import { comparePositions, type Position } from '@strata/cursor-protocol'
import type { CacheCounts, Entry } from './contract.ts'
import { LoadGate } from './load-gate.ts'

/** Consecutive entries of one ledger. */
interface Block {
  readonly log: LogCache
  readonly ledgerId: number
  readonly firstEntryId: number
  readonly payloads: Buffer[]
  /** Came from a read ahead, so whoever reads it will want what follows. */
  readonly isReadAhead: boolean
  readonly createdAtMs: number
  /** How many of its payloads somebody came to. */
  readThrough: number
  touchedAtMs: number
  /** What it keeps alive, whole chunks included. */
  bytes: number
  /** The chunk that the last payload is a slice of: charged once. */
  lastChunk: ArrayBufferLike | undefined
}

export interface CachedRun {
  readonly payloads: readonly Buffer[]
  /** Index of the wanted entry in `payloads`. */
  readonly offset: number
  readonly isReadAhead: boolean
}

/** Past this age without a touch a block goes, unless a reader is still on its way to it. */
const IDLE_MS_MAX = 1_000
/** A block that readers are on their way to is kept this long. */
const AGE_MS_MAX = 10_000
const SWEEP_PERIOD_MS = 500
const BLOCK_BYTES_MAX = 256 * 1024
const READ_AHEAD_BYTES_MAX = 1024 * 1024
const READ_AHEAD_BYTES_MIN = 64 * 1024
const READ_AHEAD_GROWTH = 1.25
/** A slice that is less than this share of its chunk is copied: it must not keep the chunk. */
const CHUNK_SHARE_MIN = 8

/**
 * The process's cache of entries, for readers at the tail and for what was read ahead. A cache and nothing more: any of
 * it may go at any time.
 *
 * Invariants
 *   C1  `bytesHeld` is what the blocks keep alive, and at most `bytesMax` whenever control returns to the event loop.
 *   C2  Blocks of a log never overlap. Blocks are evicted least recently touched first.
 */
export class EntryCache implements CacheCounts {
  hits = 0
  hitBytes = 0
  misses = 0
  missBytes = 0
  inserted = 0
  evicted = 0
  evictions = 0
  readonly bytesMax: number
  readonly clock: Clock
  /** What comes in from storage, on its way into the cache or past it. */
  readonly loads: LoadGate
  /**
   * How much to read ahead. More readers at places of their own than the cache has room for would evict what each other
   * read ahead, and read it again and again: whatever goes unread halves it, and what is read raises it.
   */
  readAheadBytes = READ_AHEAD_BYTES_MAX
  /** In order of touch, the least recent first. */
  readonly #blocks = new Set<Block>()
  readonly #logs = new Set<LogCache>()
  #bytesHeld = 0
  #cancelSweep: (() => void) | undefined

  constructor(options: { bytesMax: number; clock: Clock }) {
    this.bytesMax = options.bytesMax
    this.clock = options.clock
    this.loads = new LoadGate(Math.max(options.bytesMax / 2, READ_AHEAD_BYTES_MAX))
  }

  get bytesHeld(): number {
    return this.#bytesHeld
  }

  get entries(): number {
    return this.inserted - this.evicted
  }

  openLog(): LogCache {
    const log = new LogCache(this)
    this.#logs.add(log)
    return log
  }

  closeLog(log: LogCache): void {
    this.#logs.delete(log)
    log.clear()
  }

  close(): void {
    for (const log of this.#logs) this.closeLog(log)
    this.#cancelSweep?.()
  }

  /** The block is new, or holds more. */
  charge(block: Block, bytes: number): void {
    block.bytes += bytes
    this.#bytesHeld += bytes
    this.touch(block)
    for (const oldest of this.#blocks) {
      if (this.#bytesHeld <= this.bytesMax) break
      if (oldest.isReadAhead && oldest.readThrough < oldest.payloads.length / 2) {
        this.readAheadBytes = Math.max(READ_AHEAD_BYTES_MIN, this.readAheadBytes / 2)
      }
      this.#evict(oldest)
    }
    if (this.#blocks.size > 0)
      this.#cancelSweep ??= this.clock.after(SWEEP_PERIOD_MS, () => {
        this.#sweep()
      })
  }

  /** Somebody came to a payload of the block. */
  noteRead(block: Block, index: number): void {
    this.touch(block)
    const { readThrough, payloads, isReadAhead } = block
    if (index < readThrough) return
    block.readThrough = index + 1
    const half = payloads.length / 2
    if (isReadAhead && readThrough < half && index + 1 >= half) {
      this.readAheadBytes = Math.min(READ_AHEAD_BYTES_MAX, this.readAheadBytes * READ_AHEAD_GROWTH)
    }
  }

  touch(block: Block): void {
    block.touchedAtMs = this.clock.nowMs()
    this.#blocks.delete(block)
    this.#blocks.add(block)
  }

  forget(block: Block): void {
    if (!this.#blocks.delete(block)) return
    this.#bytesHeld -= block.bytes
    this.evicted += block.payloads.length
  }

  #evict(block: Block): void {
    this.evictions++
    this.forget(block)
    block.log.dropBlock(block)
  }

  #sweep(): void {
    this.#cancelSweep = undefined
    const nowMs = this.clock.nowMs()
    for (const block of this.#blocks) {
      if (nowMs - block.touchedAtMs < IDLE_MS_MAX) break
      const isAwaited = nowMs - block.createdAtMs < AGE_MS_MAX && block.log.hasReaderBefore(block)
      if (!isAwaited) this.#evict(block)
    }
    for (const log of this.#logs) log.ageReaders()
    if (this.#blocks.size > 0)
      this.#cancelSweep = this.clock.after(SWEEP_PERIOD_MS, () => {
        this.#sweep()
      })
  }
}

/** One log's part of the cache. */
export class LogCache {
  readonly #cache: EntryCache
  /** Ascending by position. */
  #blocks: Block[] = []
  /** Lowest position read in this sweep period and in the one before. */
  #lowestRead: Position | undefined
  #lowestReadBefore: Position | undefined

  constructor(cache: EntryCache) {
    this.#cache = cache
  }

  get readAheadBytes(): number {
    return Math.floor(this.#cache.readAheadBytes)
  }

  get loads(): LoadGate {
    return this.#cache.loads
  }

  countHits(entries: number, bytes: number): void {
    this.#cache.hits += entries
    this.#cache.hitBytes += bytes
  }

  countMisses(entries: readonly Entry[]): void {
    this.#cache.misses += entries.length
    for (const { payload } of entries) this.#cache.missBytes += payload.length
  }

  /** Confirmed entries that follow each other, oldest first. Small slices of large chunks are copied. */
  add(ledgerId: number, firstEntryId: number, payloads: readonly Buffer[], isReadAhead = false): void {
    let next = 0
    while (next < payloads.length) {
      const entryId = firstEntryId + next
      const index = this.#floorIndex(ledgerId, entryId)
      const before = this.#blocks[index]
      const covered = before?.ledgerId === ledgerId ? before.firstEntryId + before.payloads.length : -1
      if (covered > entryId) {
        next += covered - entryId
        continue
      }
      const after = this.#blocks[index + 1]
      const room = after?.ledgerId === ledgerId ? after.firstEntryId - entryId : payloads.length
      const part = payloads.slice(next, next + room)
      const isJoined = before !== undefined && covered === entryId && isJoinable(before, isReadAhead)
      const block = isJoined ? before : this.#newBlock({ ledgerId, firstEntryId: entryId, isReadAhead })
      if (!isJoined) this.#blocks.splice(index + 1, 0, block)
      this.#cache.inserted += part.length
      this.#cache.charge(block, appendPayloads(block, part))
      next += part.length
    }
  }

  /** The cached entries from a position on, as far as they are in one block. */
  find(position: Position): CachedRun | undefined {
    const block = this.#blocks[this.#floorIndex(position.ledgerId, position.entryId)]
    if (block?.ledgerId !== position.ledgerId) return undefined
    const offset = position.entryId - block.firstEntryId
    if (offset >= block.payloads.length) return undefined
    this.#cache.noteRead(block, offset)
    return { payloads: block.payloads, offset, isReadAhead: block.isReadAhead }
  }

  /** First cached entry of the ledger after an entry; Infinity if none. */
  nextCached(position: Position): number {
    const block = this.#blocks[this.#floorIndex(position.ledgerId, position.entryId) + 1]
    return block?.ledgerId === position.ledgerId ? block.firstEntryId : Number.POSITIVE_INFINITY
  }

  /** Somebody reads here: what follows is worth keeping for a while. */
  noteRead(position: Position): void {
    if (this.#lowestRead === undefined || comparePositions(position, this.#lowestRead) < 0) this.#lowestRead = position
  }

  hasReaderBefore(block: Block): boolean {
    const last = { ledgerId: block.ledgerId, entryId: block.firstEntryId + block.payloads.length - 1 }
    return [this.#lowestRead, this.#lowestReadBefore].some(
      read => read !== undefined && comparePositions(read, last) <= 0
    )
  }

  ageReaders(): void {
    this.#lowestReadBefore = this.#lowestRead
    this.#lowestRead = undefined
  }

  dropLedger(ledgerId: number): void {
    for (const block of this.#blocks) if (block.ledgerId === ledgerId) this.#cache.forget(block)
    this.#blocks = this.#blocks.filter(block => block.ledgerId !== ledgerId)
  }

  dropBlock(block: Block): void {
    const index = this.#floorIndex(block.ledgerId, block.firstEntryId)
    if (this.#blocks[index] === block) this.#blocks.splice(index, 1)
  }

  clear(): void {
    for (const block of this.#blocks) this.#cache.forget(block)
    this.#blocks = []
  }

  #newBlock(from: { ledgerId: number; firstEntryId: number; isReadAhead: boolean }): Block {
    const nowMs = this.#cache.clock.nowMs()
    const times = { createdAtMs: nowMs, touchedAtMs: nowMs }
    return { ...from, ...times, log: this, payloads: [], readThrough: 0, bytes: 0, lastChunk: undefined }
  }

  /** Index of the last block that begins at or before a position. The newest is asked most. */
  #floorIndex(ledgerId: number, entryId: number): number {
    let low = -1
    let high = this.#blocks.length - 1
    let middle = high
    while (low < high) {
      const block = this.#blocks[middle]
      const isAtOrBefore =
        block !== undefined &&
        (block.ledgerId < ledgerId || (block.ledgerId === ledgerId && block.firstEntryId <= entryId))
      if (isAtOrBefore) low = middle
      else high = middle - 1
      middle = (low + high + 1) >>> 1
    }
    return low
  }
}

function isJoinable(block: Block, isReadAhead: boolean): boolean {
  return block.isReadAhead === isReadAhead && block.bytes < BLOCK_BYTES_MAX
}

/**
 * Adds payloads, run by run of those that share a chunk: if a run is a fair share of its chunk it is kept as it is and
 * the whole chunk charged, else it is copied. Returns the bytes to charge.
 */
function appendPayloads(block: Block, payloads: readonly Buffer[]): number {
  let charged = 0
  for (let start = 0; start < payloads.length;) {
    const chunk = payloads[start]?.buffer
    let bytes = 0
    let end = start
    for (; end < payloads.length && payloads[end]?.buffer === chunk; end++) bytes += payloads[end]?.length ?? 0
    const chunkBytes = chunk?.byteLength ?? 0
    const isKept = chunk === block.lastChunk || bytes * CHUNK_SHARE_MIN >= chunkBytes
    for (let index = start; index < end; index++) {
      const payload = payloads[index]
      if (payload !== undefined) block.payloads.push(isKept ? payload : copyOf(payload))
    }
    if (isKept && chunk !== block.lastChunk) {
      charged += chunkBytes
      block.lastChunk = chunk
    } else if (!isKept) charged += bytes
    start = end
  }
  return charged
}

/** In memory of its own: `Buffer.from` would put small ones into a shared chunk again. */
function copyOf(payload: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(payload.length)
  payload.copy(copy)
  return copy
}

/** Entries of a cached run within limits, at least one. */
export function takeEntries(
  run: CachedRun,
  from: Position,
  limits: { entriesMax: number; bytesMax: number },
  into: Entry[]
): number {
  let bytes = 0
  for (let index = run.offset; index < run.payloads.length; index++) {
    const payload = run.payloads[index]
    if (payload === undefined || into.length >= limits.entriesMax) break
    if (into.length > 0 && bytes + payload.length > limits.bytesMax) break
    bytes += payload.length
    into.push({ ledgerId: from.ledgerId, entryId: from.entryId + index - run.offset, payload })
  }
  return bytes
}
