import type { EntryId, LedgerId } from '@strata/base'
import type { EntryIndex } from '../index/entry-index.ts'

/** An entry that the index names, and whose bytes are not there or not right. */
export interface DamagedEntry {
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
  /** Number of the file, and what a person calls it. */
  readonly file: number
  readonly path: string
  readonly offset: number
  /** `digest`, or a system error's code. */
  readonly reason: string
}

/** Entries that follow each other in a ledger and are damaged in one file. */
export interface DamagedRange {
  readonly ledgerId: LedgerId
  readonly first: EntryId
  readonly last: EntryId
  readonly path: string
  /** Of the first one. */
  readonly offset: number
  readonly reason: string
}

/** More are found again by a later scrub, when these are repaired. */
const DAMAGED_MAX = 100_000
const NAMED_MAX = 100

/**
 * What is known to be damaged, for health, and for those who repair it from other nodes. It decides nothing: reads of such
 * an entry say 'unknown' since its bytes are wrong, and a repaired one is read at its new place. So it is kept in memory
 * only; after a restart readers and scrubs find again what is still damaged.
 */
export class DamageTable {
  readonly #entries = new Map<string, DamagedEntry>()
  #acquitted = 0

  /** Raised whenever something is found to be in order again. */
  get acquitted(): number {
    return this.#acquitted
  }

  get size(): number {
    return this.#entries.size
  }

  /** False: it was known already, or there is no room for more. */
  note(entry: DamagedEntry): boolean {
    const key = `${entry.ledgerId}:${entry.entryId}`
    const known = this.#entries.get(key)
    if (known !== undefined && known.file === entry.file && known.offset === entry.offset) return false
    if (known === undefined && this.#entries.size >= DAMAGED_MAX) return false
    this.#entries.set(key, entry)
    return true
  }

  /** All of the file was read, and only the entries in `stillDamaged` (ledger:entry) were not right. */
  acquitOthersOf(file: number, stillDamaged: ReadonlySet<string>): void {
    for (const [key, entry] of this.#entries) if (entry.file === file && !stillDamaged.has(key)) this.#acquit(key)
  }

  /** Forgets what was added again since, and what was deleted; of `max` entries, in turn. @throws what the index throws */
  async review(index: EntryIndex, max = Infinity): Promise<void> {
    for (const [key, entry] of [...this.#entries].slice(0, max)) {
      const ledger = index.ledger(entry.ledgerId)
      const location = ledger.isDeleted ? undefined : await index.locate(ledger, entry.entryId)
      if (this.#entries.get(key) !== entry) continue
      const isStillThere = location?.file === entry.file && location.offset === entry.offset
      if (!isStillThere) this.#acquit(key)
      else if (max < this.#entries.size) {
        // Behind all that have not had their turn.
        this.#entries.delete(key)
        this.#entries.set(key, entry)
      }
    }
  }

  /** One line each, of the first ones. */
  get reasons(): string[] {
    const lines: string[] = []
    for (const [key, { path, offset, reason }] of this.#entries) {
      if (lines.length === NAMED_MAX) return [...lines, `${this.size - NAMED_MAX} more entries are unreadable`]
      lines.push(`entry ${key} is unreadable in ${path} at ${offset}: ${reason}`)
    }
    return lines
  }

  /** Ascending by ledger and entry. */
  get ranges(): DamagedRange[] {
    const sorted = [...this.#entries.values()].sort((a, b) => a.ledgerId - b.ledgerId || a.entryId - b.entryId)
    const ranges: DamagedRange[] = []
    for (const { ledgerId, entryId, path, offset, reason } of sorted) {
      const open = ranges.at(-1)
      const goesOn = open?.ledgerId === ledgerId && open.path === path && open.reason === reason
      if (goesOn && open.last === entryId - 1) ranges[ranges.length - 1] = { ...open, last: entryId }
      else ranges.push({ ledgerId, first: entryId, last: entryId, path, offset, reason })
    }
    return ranges
  }

  #acquit(key: string): void {
    if (this.#entries.delete(key)) this.#acquitted++
  }
}
