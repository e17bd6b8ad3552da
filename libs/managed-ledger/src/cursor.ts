import type { AckState } from '@strata/cursor-protocol'
import { comparePositions, type LedgerTable, type Position } from '@strata/cursor-protocol'
import type { Cursor } from './contract.ts'
import type { CursorStore, StoredCursor } from './cursor-store.ts'
import { ManagedLedgerError } from './errors.ts'

export interface CursorParts {
  readonly number: number
  readonly name: string
  readonly properties: Readonly<Record<string, string>>
  readonly state: AckState
  readonly table: LedgerTable
  /** undefined: the cursor lives in memory only. */
  readonly store: CursorStore | undefined
  /** Mark-delete is in another ledger than before: something may be trimmed. */
  readonly onLedgerPassed: () => void
}

/** One cursor: its acknowledgement state, and the store that makes it durable. The rules are in AckState. */
export class LogCursor implements Cursor, StoredCursor {
  readonly number: number
  readonly name: string
  readonly state: AckState
  readonly #table: LedgerTable
  readonly #store: CursorStore | undefined
  readonly #onLedgerPassed: () => void
  #properties: Readonly<Record<string, string>>
  #isDeleted = false

  constructor(parts: CursorParts) {
    this.number = parts.number
    this.name = parts.name
    this.state = parts.state
    this.#properties = parts.properties
    this.#table = parts.table
    this.#store = parts.store
    this.#onLedgerPassed = parts.onLedgerPassed
  }

  get isDurable(): boolean {
    return this.#store !== undefined
  }

  get markDelete(): Position {
    return this.state.markDelete
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#properties
  }

  async setProperties(properties: Readonly<Record<string, string>>): Promise<void> {
    this.#properties = { ...properties }
    this.#store?.redefine(this)
    await this.flush()
  }

  isAcknowledged(ledgerId: number, entryId: number): boolean {
    return this.state.isAcknowledged(ledgerId, entryId)
  }

  ackSet(ledgerId: number, entryId: number): Int32Array | undefined {
    return this.state.remainingBits(ledgerId, entryId)
  }

  acknowledge(ledgerId: number, entryId: number): boolean {
    const before = this.state.markDelete.ledgerId
    const isNew = this.state.acknowledge(ledgerId, entryId)
    if (isNew) this.#changed(before)
    return isNew
  }

  acknowledgeBits(ledgerId: number, entryId: number, remaining: Int32Array): boolean {
    const before = this.state.markDelete.ledgerId
    const isWhole = this.state.acknowledgeBits(ledgerId, entryId, remaining)
    if (isWhole || this.state.hasChanges) this.#changed(before)
    return isWhole
  }

  acknowledgeUpTo(position: Position): void {
    const before = this.state.markDelete.ledgerId
    if (this.state.acknowledgeUpTo(position)) this.#changed(before)
  }

  afterDurable(done: (error?: Error) => void): void {
    if (this.#isDeleted) {
      const error = ManagedLedgerError.create('CURSOR_NOT_FOUND', { name: this.name })
      queueMicrotask(() => {
        done(error)
      })
    } else if (this.#store === undefined) queueMicrotask(done)
    else this.#store.whenDurable(done)
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.afterDurable(error => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  async reset(position: Position, ackSet?: Int32Array): Promise<void> {
    const first = this.#table.clamp(position)
    // The bits speak of the entry that was named; clamped elsewhere they would hide parts of another.
    const bits = comparePositions(first, position) === 0 ? ackSet : undefined
    this.state.reset(this.#table.previous(first), bits)
    this.#store?.changed(this)
    this.#onLedgerPassed()
    await this.flush()
  }

  async clearBacklog(): Promise<void> {
    this.acknowledgeUpTo(this.#table.lastConfirmed)
    await this.flush()
  }

  backlogEntries(): number {
    return this.state.backlogEntries()
  }

  backlogBytes(): number {
    return this.state.backlogBytes()
  }

  describeRanges(): string {
    const ranges: string[] = []
    for (const { ledgerId, first, last } of this.state.ranges()) {
      ranges.push(`(${ledgerId}:${first - 1}..${ledgerId}:${last}]`)
    }
    return `[${ranges.join(',')}]`
  }

  ackedRangeCount(): number {
    let count = 0
    for (const range of this.state.ranges()) count += range.last >= range.first ? 1 : 0
    return count
  }

  /** Ledgers are gone: forget what was said of them. */
  settle(): void {
    this.state.settle()
  }

  /** The log no longer has it: nothing it is told is kept, and whoever waits is refused. */
  markDeleted(): void {
    this.#isDeleted = true
  }

  #changed(ledgerBefore: number): void {
    this.#store?.changed(this)
    if (this.state.markDelete.ledgerId !== ledgerBefore || this.#isAtEndOfLedger()) this.#onLedgerPassed()
  }

  /** The last entry of a closed ledger was acknowledged: it may go although mark-delete is still in it. */
  #isAtEndOfLedger(): boolean {
    const { ledgerId, entryId } = this.state.markDelete
    const row = this.#table.row(ledgerId)
    return row?.closedAtMs !== undefined && entryId >= row.entries - 1
  }
}
