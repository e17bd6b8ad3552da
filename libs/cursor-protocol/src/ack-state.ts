import { AckChunkWriter, decodeAckChunk } from './ack-codec.ts'
import { LedgerAcks, type EntryRange } from './ledger-acks.ts'
import type { LedgerTable } from './ledger-table.ts'
import { comparePositions, type Position } from './position.ts'

export interface AckRange extends EntryRange {
  readonly ledgerId: number
}

const NO_BITS: ReadonlyMap<number, Int32Array> = new Map()

/**
 * What one cursor has acknowledged: everything up to the mark-delete position, entries one by one past it, and parts of
 * batches. Pure: the log it speaks of is a `LedgerTable`, which somebody else keeps up to date.
 *
 * Invariants
 *   A1  An entry is acknowledged only if it existed when it was acknowledged, and stays so until `reset`.
 *   A2  The entry behind the mark-delete position is never acknowledged: mark-delete runs over whatever is contiguous,
 *       across ledgers.
 *   A3  `acks` and `bits` hold nothing at or before mark-delete and nothing of ledgers that are gone (after `settle`).
 *   A4  An entry has bits only while some, not all, of its batch is acknowledged.
 *   A5  `takeChanges` since a snapshot, applied to it in order, give this state. A chunk states facts (a page, bits, a
 *       mark-delete), it does not describe moves: applying one twice, or a prefix of several, is harmless.
 */
export class AckState {
  readonly #log: LedgerTable
  #markLedgerId: number
  #markEntryId: number
  #markDelete: Position | undefined
  readonly #acks = new Map<number, LedgerAcks>()
  readonly #bits = new Map<number, Map<number, Int32Array>>()
  #ackedCount = 0
  #isMarkDirty = false
  #mustReset = false
  #dirtyPages: { readonly acks: LedgerAcks; readonly index: number }[] = []
  readonly #dirtyBits = new Map<number, Set<number>>()

  constructor(log: LedgerTable, markDelete: Position) {
    this.#log = log
    this.#markLedgerId = markDelete.ledgerId
    this.#markEntryId = markDelete.entryId
  }

  get markDelete(): Position {
    return (this.#markDelete ??= { ledgerId: this.#markLedgerId, entryId: this.#markEntryId })
  }

  /** Is there anything that `takeChanges` would return? */
  get hasChanges(): boolean {
    return this.#isMarkDirty || this.#mustReset || this.#dirtyPages.length > 0 || this.#dirtyBits.size > 0
  }

  isAcknowledged(ledgerId: number, entryId: number): boolean {
    return this.#isMarked(ledgerId, entryId) || (this.#acks.get(ledgerId)?.has(entryId) ?? false)
  }

  /** Remaining bits of a partly acknowledged batch, in 32-bit words; undefined: all or none of it. Not to be changed. */
  remainingBits(ledgerId: number, entryId: number): Int32Array | undefined {
    return this.#bits.get(ledgerId)?.get(entryId)
  }

  /** True if this made the entry acknowledged; false if it was already, or does not exist. */
  acknowledge(ledgerId: number, entryId: number): boolean {
    if (this.isAcknowledged(ledgerId, entryId) || !this.#log.has(ledgerId, entryId)) return false
    if (this.#bits.size > 0) this.#dropBits(ledgerId, entryId)
    // The common case: in order, without a hole.
    if (ledgerId === this.#markLedgerId && entryId === this.#markEntryId + 1) this.#moveMark(ledgerId, entryId)
    else this.#addAck(this.#acksOf(ledgerId), entryId)
    this.#advance()
    return true
  }

  /** Intersects the remaining bits of an entry (1 = still unacknowledged; absent words = 0); true if none is left. */
  acknowledgeBits(ledgerId: number, entryId: number, remaining: Int32Array): boolean {
    if (this.isAcknowledged(ledgerId, entryId) || !this.#log.has(ledgerId, entryId)) return false
    const old = this.#bits.get(ledgerId)?.get(entryId)
    const words = intersect(old, remaining)
    if (words.length === 0) return this.acknowledge(ledgerId, entryId)
    if (old?.length === words.length && old.every((word, index) => word === words[index])) return false
    this.#setBits(ledgerId, entryId, words)
    return false
  }

  /** Everything up to and including a position. True if that moved anything. */
  acknowledgeUpTo(position: Position): boolean {
    const target = this.#log.floor(position)
    if (target === undefined || comparePositions(target, this.markDelete) <= 0) return false
    this.#moveMark(target.ledgerId, target.entryId)
    this.#forgetMarked()
    this.#advance()
    return true
  }

  /** Forgets everything and starts behind `markDelete`; `remaining` are the bits of the entry after it. */
  reset(markDelete: Position, remaining?: Int32Array): void {
    this.#clear()
    this.#moveMark(markDelete.ledgerId, markDelete.entryId)
    this.#mustReset = true
    const next = this.#log.ceiling({ ledgerId: markDelete.ledgerId, entryId: markDelete.entryId + 1 })
    if (remaining === undefined || next === undefined) return
    this.acknowledgeBits(next.ledgerId, next.entryId, remaining)
  }

  /** Call when ledgers are gone, or after `apply`: drops what is of no use any more, and advances. */
  settle(): void {
    for (const ledgerId of this.#acks.keys()) if (this.#log.row(ledgerId) === undefined) this.#dropLedger(ledgerId)
    for (const ledgerId of this.#bits.keys()) if (this.#log.row(ledgerId) === undefined) this.#bits.delete(ledgerId)
    this.#forgetMarked()
    this.#advance()
  }

  backlogEntries(): number {
    return this.#log.count(this.markDelete, this.#log.lastConfirmed) - this.#ackedCount
  }

  /** Entries count with the mean size of their ledger. */
  backlogBytes(): number {
    let bytes = this.#log.bytesAfter(this.markDelete)
    for (const acks of this.#acks.values()) {
      const row = this.#log.row(acks.ledgerId)
      if (row !== undefined && row.entries > 0) bytes -= (row.sizeBytes * acks.count) / row.entries
    }
    return Math.max(0, Math.round(bytes))
  }

  /** Ranges acknowledged past mark-delete, in order. */
  *ranges(): Generator<AckRange> {
    for (const acks of this.#sortedAcks()) {
      for (const { first, last } of acks.ranges()) yield { ledgerId: acks.ledgerId, first, last }
    }
  }

  /** What changed since it was last taken, in chunks of about `bytesMax`; empty if nothing did. */
  takeChanges(bytesMax: number): Buffer[] {
    if (this.#mustReset) return this.takeSnapshot(bytesMax)
    if (!this.hasChanges) return []
    const writer = new AckChunkWriter({ markDelete: this.markDelete, reset: false, bytesMax })
    for (const { acks, index } of this.#dirtyPages) {
      const page = acks.page(index)
      if (page?.isDirty !== true || this.#acks.get(acks.ledgerId) !== acks) continue
      page.isDirty = false
      writer.page(acks.ledgerId, page)
    }
    for (const [ledgerId, entries] of this.#dirtyBits) {
      for (const entryId of entries) {
        const words = this.remainingBits(ledgerId, entryId)
        if (words !== undefined) writer.bits({ ledgerId, entryId }, words)
      }
    }
    this.#forgetChanges()
    return writer.finish()
  }

  /** All of it, in chunks of about `bytesMax`, the first of which makes `apply` forget what was before. */
  takeSnapshot(bytesMax: number): Buffer[] {
    const writer = new AckChunkWriter({ markDelete: this.markDelete, reset: true, bytesMax })
    // Bits come first, so that those of a seek are in the same chunk as the reset.
    for (const [ledgerId, entries] of this.#bits) {
      for (const [entryId, words] of entries) writer.bits({ ledgerId, entryId }, words)
    }
    for (const acks of this.#sortedAcks()) {
      for (const page of acks.pages()) {
        page.isDirty = false
        writer.page(acks.ledgerId, page)
      }
    }
    this.#forgetChanges()
    return writer.finish()
  }

  /** Applies a chunk. After the last one call `settle`. @throws CursorError MALFORMED_CURSOR_STATE */
  apply(bytes: Buffer): void {
    const chunk = decodeAckChunk(bytes)
    if (chunk.reset) this.#clear()
    if (chunk.reset || comparePositions(chunk.markDelete, this.markDelete) > 0) {
      this.#moveMark(chunk.markDelete.ledgerId, chunk.markDelete.entryId)
    }
    for (const page of chunk.pages) {
      const acks = this.#acksOf(page.ledgerId)
      this.#ackedCount -= acks.count
      acks.setPage(page.index, page.words)
      this.#ackedCount += acks.count
    }
    for (const { ledgerId, entryId, words } of chunk.bits) {
      if (!this.isAcknowledged(ledgerId, entryId)) this.#setBits(ledgerId, entryId, words)
    }
    this.#forgetMarked()
    this.#forgetAckedBits()
    this.#forgetChanges()
  }

  #isMarked(ledgerId: number, entryId: number): boolean {
    if (ledgerId !== this.#markLedgerId) return ledgerId < this.#markLedgerId
    return entryId <= this.#markEntryId
  }

  #acksOf(ledgerId: number): LedgerAcks {
    let acks = this.#acks.get(ledgerId)
    if (acks === undefined) {
      acks = new LedgerAcks(ledgerId)
      this.#acks.set(ledgerId, acks)
    }
    return acks
  }

  #sortedAcks(): LedgerAcks[] {
    return [...this.#acks.values()].sort((a, b) => a.ledgerId - b.ledgerId)
  }

  #addAck(acks: LedgerAcks, entryId: number): void {
    const page = acks.add(entryId)
    this.#ackedCount += 1
    if (page.isDirty) return
    page.isDirty = true
    this.#dirtyPages.push({ acks, index: page.index })
  }

  /** A2: over everything contiguous, across ledger borders and gaps. */
  #advance(): void {
    if (this.#acks.size === 0) return
    for (;;) {
      const acks = this.#acks.get(this.#markLedgerId)
      if (acks !== undefined) {
        const end = acks.firstClear(this.#markEntryId + 1) - 1
        if (end > this.#markEntryId) {
          this.#moveMark(this.#markLedgerId, end)
          this.#forgetMarkedAcks(acks)
        }
      }
      if (this.#log.has(this.#markLedgerId, this.#markEntryId + 1)) return
      const next = this.#log.rowAtOrAfter(this.#markLedgerId + 1)
      if (next === undefined || !(this.#acks.get(next.ledgerId)?.has(0) ?? false)) return
      if (acks !== undefined) this.#dropLedger(this.#markLedgerId)
      this.#moveMark(next.ledgerId, -1)
    }
  }

  #moveMark(ledgerId: number, entryId: number): void {
    this.#markLedgerId = ledgerId
    this.#markEntryId = entryId
    this.#markDelete = undefined
    this.#isMarkDirty = true
  }

  #forgetMarked(): void {
    for (const acks of this.#acks.values()) {
      if (acks.ledgerId < this.#markLedgerId) this.#dropLedger(acks.ledgerId)
      else if (acks.ledgerId === this.#markLedgerId) this.#forgetMarkedAcks(acks)
    }
    for (const [ledgerId, entries] of this.#bits) {
      if (ledgerId > this.#markLedgerId) continue
      for (const entryId of entries.keys()) if (this.#isMarked(ledgerId, entryId)) this.#dropBits(ledgerId, entryId)
    }
  }

  #forgetMarkedAcks(acks: LedgerAcks): void {
    this.#ackedCount -= acks.count
    acks.clearThrough(this.#markEntryId)
    this.#ackedCount += acks.count
    if (acks.count === 0) this.#acks.delete(acks.ledgerId)
  }

  #dropLedger(ledgerId: number): void {
    this.#ackedCount -= this.#acks.get(ledgerId)?.count ?? 0
    this.#acks.delete(ledgerId)
  }

  #setBits(ledgerId: number, entryId: number, words: Int32Array): void {
    let entries = this.#bits.get(ledgerId)
    if (entries === undefined) this.#bits.set(ledgerId, (entries = new Map<number, Int32Array>()))
    entries.set(entryId, words)
    let dirty = this.#dirtyBits.get(ledgerId)
    if (dirty === undefined) this.#dirtyBits.set(ledgerId, (dirty = new Set<number>()))
    dirty.add(entryId)
  }

  #dropBits(ledgerId: number, entryId: number): void {
    const entries = this.#bits.get(ledgerId)
    if (entries?.delete(entryId) === true && entries.size === 0) this.#bits.delete(ledgerId)
  }

  #forgetAckedBits(): void {
    for (const [ledgerId, entries] of this.#bits) {
      const acks = this.#acks.get(ledgerId)
      if (acks === undefined) continue
      for (const entryId of entries.keys()) if (acks.has(entryId)) this.#dropBits(ledgerId, entryId)
    }
  }

  #clear(): void {
    this.#acks.clear()
    this.#bits.clear()
    this.#ackedCount = 0
    this.#forgetChanges()
  }

  #forgetChanges(): void {
    this.#isMarkDirty = false
    this.#mustReset = false
    this.#dirtyPages = []
    this.#dirtyBits.clear()
  }

  /** Partly acknowledged entries of a ledger. */
  partlyAcknowledged(ledgerId: number): ReadonlyMap<number, Int32Array> {
    return this.#bits.get(ledgerId) ?? NO_BITS
  }
}

/** Without trailing zero words; empty: nothing remains. */
function intersect(old: Int32Array | undefined, remaining: Int32Array): Int32Array {
  let length = old === undefined ? remaining.length : Math.min(old.length, remaining.length)
  const and = (index: number): number => (remaining[index] ?? 0) & (old === undefined ? -1 : (old[index] ?? 0))
  while (length > 0 && and(length - 1) === 0) length -= 1
  if (length === 0) return new Int32Array(0)
  const words = new Int32Array(length + (length & 1)) // word pairs: a whole number of 64-bit words
  for (let index = 0; index < length; index++) words[index] = and(index)
  return words
}
