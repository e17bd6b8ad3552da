import { strict as assert } from 'node:assert'
import { comparePositions, type Position } from './position.ts'

/** One ledger of a log. Only confirmed entries count. */
export interface LedgerRow {
  readonly ledgerId: number
  readonly entries: number
  readonly sizeBytes: number
  readonly createdAtMs: number
  /** undefined while it may still grow. */
  readonly closedAtMs: number | undefined
}

interface Row {
  ledgerId: number
  entries: number
  sizeBytes: number
  createdAtMs: number
  closedAtMs: number | undefined
  /** Entries and bytes of all rows before it, also of those trimmed since: so that trimming renumbers nothing. */
  entriesBefore: number
  bytesBefore: number
}

/**
 * The ledgers of a log that still exist, in order, and all arithmetic on positions that follows from them.
 *
 * An entry exists if its ledger has a row and its id is below the row's `entries`. Invariants:
 *   T1  Ledger ids ascend; only the last row that has entries, or an empty one behind it, grows.
 *   T2  `lastConfirmed` never moves back, also when everything is trimmed.
 * Every look-up is O(log ledgers).
 */
export class LedgerTable {
  readonly #rows: Row[] = []
  #trimmedThrough: Position
  #lastConfirmed: Position | undefined

  constructor(trimmedThrough: Position = { ledgerId: -1, entryId: -1 }) {
    this.#trimmedThrough = trimmedThrough
  }

  get rows(): readonly LedgerRow[] {
    return this.#rows
  }

  /** The last entry that was ever dropped; {-1, -1} if none. */
  get trimmedThrough(): Position {
    return this.#trimmedThrough
  }

  /** No ledger of the log, gone ones included, has a higher id; -1 if there never was one. */
  get lastLedgerId(): number {
    return this.#rows.at(-1)?.ledgerId ?? this.#trimmedThrough.ledgerId
  }

  get entries(): number {
    const first = this.#rows[0]
    return first === undefined ? 0 : this.#totalEntries() - first.entriesBefore
  }

  get sizeBytes(): number {
    const first = this.#rows[0]
    const last = this.#rows.at(-1)
    return first === undefined || last === undefined ? 0 : last.bytesBefore + last.sizeBytes - first.bytesBefore
  }

  /** The last entry; without any, entry -1 of the ledger that is or could be next. */
  get lastConfirmed(): Position {
    return (this.#lastConfirmed ??= this.#findLastConfirmed())
  }

  /** The first entry, or the place of the next one if there is none. */
  get firstPosition(): Position {
    for (const row of this.#rows) if (row.entries > 0) return { ledgerId: row.ledgerId, entryId: 0 }
    return { ledgerId: this.#rows[0]?.ledgerId ?? this.#trimmedThrough.ledgerId + 1, entryId: 0 }
  }

  add(row: LedgerRow): void {
    const last = this.#rows.at(-1)
    assert(
      row.ledgerId > (last?.ledgerId ?? this.#trimmedThrough.ledgerId),
      `ledger ${row.ledgerId} does not come last`
    )
    this.#rows.push({ ...row, entriesBefore: this.#totalEntries(), bytesBefore: this.#totalBytes() })
    this.#lastConfirmed = undefined
  }

  /** Confirms entries: the row now has this many, of this many bytes. */
  grow(ledgerId: number, entries: number, sizeBytes: number): void {
    const index = this.#indexOf(ledgerId)
    const row = this.#rows[index]
    assert(row !== undefined, `no such ledger in the log: ${ledgerId}`)
    assert(entries >= row.entries, 'confirmed entries never become fewer')
    if (entries === row.entries) return
    row.entries = entries
    row.sizeBytes = sizeBytes
    for (let next = index + 1; next < this.#rows.length; next++) this.#renumber(next)
    this.#lastConfirmed = { ledgerId, entryId: entries - 1 }
  }

  close(ledgerId: number, closedAtMs: number): void {
    const row = this.#rows[this.#indexOf(ledgerId)]
    assert(row !== undefined, `no such ledger in the log: ${ledgerId}`)
    row.closedAtMs = closedAtMs
  }

  /** Drops a ledger: the first one, or an empty one anywhere. */
  remove(ledgerId: number): void {
    const index = this.#indexOf(ledgerId)
    const row = this.#rows[index]
    assert(row !== undefined && (index === 0 || row.entries === 0), `ledger ${ledgerId} cannot be dropped`)
    this.#rows.splice(index, 1)
    const through = { ledgerId, entryId: row.entries - 1 }
    if (index === 0 && comparePositions(through, this.#trimmedThrough) > 0) this.#trimmedThrough = through
    this.#lastConfirmed = undefined
  }

  row(ledgerId: number): LedgerRow | undefined {
    return this.#rows[this.#indexOf(ledgerId)]
  }

  /** The first row at or after the ledger that has entries. */
  rowAtOrAfter(ledgerId: number): LedgerRow | undefined {
    for (let index = this.#floorIndex(ledgerId - 1) + 1; index < this.#rows.length; index++) {
      const row = this.#rows[index]
      if (row !== undefined && row.entries > 0) return row
    }
    return undefined
  }

  has(ledgerId: number, entryId: number): boolean {
    const row = this.#rows[this.#indexOf(ledgerId)]
    return row !== undefined && entryId >= 0 && entryId < row.entries
  }

  /** Smallest entry at or after a position, or undefined. */
  ceiling(position: Position): Position | undefined {
    return this.#select(this.#rank({ ledgerId: position.ledgerId, entryId: position.entryId - 1 }) + 1)
  }

  /** Greatest entry at or before a position, or undefined. */
  floor(position: Position): Position | undefined {
    return this.#select(this.#rank(position))
  }

  /** Smallest entry after a position, else the place one past the last. */
  next(position: Position): Position {
    return this.#select(this.#rank(position) + 1) ?? this.#onePastLast()
  }

  /** Greatest entry before a position, else entry -1 of the first ledger. */
  previous(position: Position): Position {
    const before = this.#select(this.#rank({ ledgerId: position.ledgerId, entryId: position.entryId - 1 }))
    return before ?? { ledgerId: this.firstPosition.ledgerId, entryId: -1 }
  }

  /** The nearest entry at or after any position that a client may send, at most one past the last. */
  clamp(position: Position): Position {
    return this.ceiling(position) ?? this.#onePastLast()
  }

  /** Entries in (after, through]. */
  count(after: Position, through: Position): number {
    return Math.max(0, this.#rank(through) - this.#rank(after))
  }

  /** The n-th entry after a position, at most the last one; the position itself for none. */
  positionAfter(position: Position, entries: number): Position {
    if (entries <= 0) return position
    return this.#select(this.#rank(position) + entries) ?? this.lastConfirmed
  }

  /** Bytes of the entries past a position; inside a ledger entries count with their mean size. */
  bytesAfter(position: Position): number {
    const index = this.#floorIndex(position.ledgerId)
    const row = this.#rows[index]
    if (row === undefined) return this.sizeBytes
    const through = row.ledgerId < position.ledgerId ? row.entries : Math.min(position.entryId + 1, row.entries)
    const part = row.entries === 0 ? 0 : (row.sizeBytes * Math.max(0, through)) / row.entries
    return Math.max(0, Math.round(this.#totalBytes() - row.bytesBefore - part))
  }

  #findLastConfirmed(): Position {
    for (let index = this.#rows.length - 1; index >= 0; index--) {
      const row = this.#rows[index]
      if (row !== undefined && row.entries > 0) return { ledgerId: row.ledgerId, entryId: row.entries - 1 }
    }
    return { ledgerId: this.#rows[0]?.ledgerId ?? this.#trimmedThrough.ledgerId + 1, entryId: -1 }
  }

  #onePastLast(): Position {
    const last = this.lastConfirmed
    return { ledgerId: last.ledgerId, entryId: last.entryId + 1 }
  }

  #totalEntries(): number {
    const last = this.#rows.at(-1)
    return last === undefined ? 0 : last.entriesBefore + last.entries
  }

  #totalBytes(): number {
    const last = this.#rows.at(-1)
    return last === undefined ? 0 : last.bytesBefore + last.sizeBytes
  }

  #renumber(index: number): void {
    const row = this.#rows[index]
    const before = this.#rows[index - 1]
    assert(row !== undefined && before !== undefined)
    assert(row.entries === 0, 'a ledger grew although a later one has entries')
    row.entriesBefore = before.entriesBefore + before.entries
    row.bytesBefore = before.bytesBefore + before.sizeBytes
  }

  /** Entries at or before a position, counted from the first that this table ever knew. */
  #rank(position: Position): number {
    const row = this.#rows[this.#floorIndex(position.ledgerId)]
    if (row === undefined) return this.#rows[0]?.entriesBefore ?? 0
    if (row.ledgerId < position.ledgerId) return row.entriesBefore + row.entries
    return row.entriesBefore + Math.max(0, Math.min(position.entryId + 1, row.entries))
  }

  /** The entry of a rank; undefined if there is none (any more, or yet). */
  #select(rank: number): Position | undefined {
    const first = this.#rows[0]
    if (first === undefined || rank <= first.entriesBefore || rank > this.#totalEntries()) return undefined
    let low = 0
    let high = this.#rows.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#rows[middle]?.entriesBefore ?? 0) < rank) low = middle
      else high = middle - 1
    }
    const row = this.#rows[low]
    assert(row !== undefined)
    return { ledgerId: row.ledgerId, entryId: rank - row.entriesBefore - 1 }
  }

  /** Index of the last row whose ledger id is at most this; -1 if none. Most look-ups are for the last ledgers. */
  #floorIndex(ledgerId: number): number {
    let high = this.#rows.length - 1
    const last = this.#rows[high]
    if (last === undefined || last.ledgerId <= ledgerId) return high
    let low = -1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#rows[middle]?.ledgerId ?? 0) <= ledgerId) low = middle
      else high = middle - 1
    }
    return low
  }

  #indexOf(ledgerId: number): number {
    const index = this.#floorIndex(ledgerId)
    return this.#rows[index]?.ledgerId === ledgerId ? index : -1
  }
}
