import { comparePositions, type Position } from '@strata/cursor-protocol'
import type { Cursor, Entry, ManagedLedger, ManagedLedgerStats, ReadLimits } from '@strata/managed-ledger'

/** A log in memory: ledgers of a few entries each, reads that resolve when told (or at once), failures on demand. */
export class FakeLog implements ManagedLedger {
  readonly name = 'log'
  readonly properties = {}
  readonly entries: Entry[] = []
  isTerminated = false
  /** Whether an entry is in the cache. */
  isCached: (entry: Entry) => boolean = () => true
  /** Reads that fail before the next succeeds. */
  failures = 0
  /** Called per read from storage. Resolve it to let the read end. */
  gate: () => Promise<void> = () => Promise.resolve()
  reads = 0
  readonly #ledgerEntriesMax: number
  readonly #cursors = new Map<string, FakeCursor>()

  constructor(options: { ledgerEntriesMax?: number } = {}) {
    this.#ledgerEntriesMax = options.ledgerEntriesMax ?? 10
  }

  add(payload: Buffer): Entry {
    const index = this.entries.length
    const ledgerId = 1 + Math.floor(index / this.#ledgerEntriesMax)
    const entry = { ledgerId, entryId: index % this.#ledgerEntriesMax, payload }
    this.entries.push(entry)
    return entry
  }

  get lastConfirmed(): Position {
    return this.entries.at(-1) ?? { ledgerId: 1, entryId: -1 }
  }
  get firstPosition(): Position {
    return { ledgerId: 1, entryId: 0 }
  }
  get terminatedAt(): Position | undefined {
    return this.isTerminated ? this.lastConfirmed : undefined
  }

  /** Index of the first entry at or after the position. */
  indexOf({ ledgerId, entryId }: Position): number {
    if (ledgerId < 1) return 0
    const inLedger = Math.min(Math.max(entryId, 0), this.#ledgerEntriesMax)
    return Math.min((ledgerId - 1) * this.#ledgerEntriesMax + inLedger, this.entries.length)
  }

  positionOf(index: number): Position {
    const ledgerId = 1 + Math.floor(index / this.#ledgerEntriesMax)
    return { ledgerId, entryId: index % this.#ledgerEntriesMax }
  }

  readCached(from: Position, limits: ReadLimits): Entry[] | undefined {
    const found = this.#slice(from, limits)
    return found.every(this.isCached) ? found : undefined
  }

  async read(from: Position, limits: ReadLimits): Promise<Entry[]> {
    await this.#io()
    return this.#slice(from, limits)
  }

  async readOne(position: Position): Promise<Entry | undefined> {
    await this.#io()
    const entry = this.entries[this.indexOf(position)]
    return entry?.ledgerId === position.ledgerId && entry.entryId === position.entryId ? entry : undefined
  }

  async #io(): Promise<void> {
    this.reads++
    await this.gate()
    if (this.failures > 0) {
      this.failures--
      throw new Error('the disk is away')
    }
  }

  #slice(from: Position, limits: ReadLimits): Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (let index = this.indexOf(from); index < this.entries.length && found.length < limits.entriesMax; index++) {
      const entry = this.entries[index] as Entry
      bytes += entry.payload.length
      if (found.length > 0 && bytes > limits.bytesMax) break
      found.push(entry)
    }
    return found
  }

  nextPosition(position: Position): Position {
    return this.positionOf(this.indexOf({ ledgerId: position.ledgerId, entryId: position.entryId + 1 }))
  }
  previousPosition(position: Position): Position {
    const index = this.indexOf(position) - 1
    return index < 0 ? { ledgerId: 1, entryId: -1 } : this.positionOf(index)
  }
  clamp(position: Position): Position {
    return this.positionOf(this.indexOf(position))
  }
  countEntries(after: Position, through: Position): number {
    return this.entries.filter(e => comparePositions(e, after) > 0 && comparePositions(e, through) <= 0).length
  }
  positionAfter(position: Position, entries: number): Position {
    const index = this.indexOf({ ledgerId: position.ledgerId, entryId: position.entryId + 1 }) + entries - 1
    return this.positionOf(Math.min(index, this.entries.length - 1))
  }
  findFirst(isAtOrAfter: (entry: Entry) => boolean): Promise<Position> {
    const index = this.entries.findIndex(isAtOrAfter)
    return Promise.resolve(this.positionOf(index < 0 ? this.entries.length : index))
  }

  openCursor(name: string, options: { initial: 'earliest' | 'latest' | Position }): Promise<FakeCursor> {
    const { initial } = options
    const start = initial === 'earliest' ? 0 : initial === 'latest' ? this.entries.length : this.indexOf(initial)
    return Promise.resolve(this.#cursor(name, start, true))
  }
  openNonDurableCursor(name: string, start: Position): FakeCursor {
    return this.#cursor(name, this.indexOf(start), false)
  }
  #cursor(name: string, start: number, isDurable: boolean): FakeCursor {
    const cursor = this.#cursors.get(name) ?? new FakeCursor(this, name, start, isDurable)
    this.#cursors.set(name, cursor)
    return cursor
  }
  cursor(name: string): Cursor | undefined {
    return this.#cursors.get(name)
  }
  cursors(): readonly Cursor[] {
    return [...this.#cursors.values()]
  }
  deleteCursor(name: string): Promise<void> {
    this.#cursors.delete(name)
    return Promise.resolve()
  }

  roll(): Promise<void> {
    return Promise.resolve()
  }

  terminate(): Promise<Position> {
    this.isTerminated = true
    return Promise.resolve(this.lastConfirmed)
  }
  append(): void {
    throw new Error('use add')
  }
  setAppendListener(): void {}
  setRetention(): void {}
  setRollover(): void {}
  putProperties(): Promise<void> {
    return Promise.resolve()
  }
  trim(): Promise<void> {
    return Promise.resolve()
  }
  readonly sizeBytes = 0
  stats(): ManagedLedgerStats {
    throw new Error('not needed')
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
  abandon(): void {}
}

/** The plainest cursor: a set of acknowledged indexes. */
export class FakeCursor implements Cursor {
  readonly name: string
  readonly isDurable: boolean
  properties: Readonly<Record<string, string>> = {}
  /** Awaited by what must be durable. */
  gate: () => Promise<void> = () => Promise.resolve()
  readonly #log: FakeLog
  #start: number
  readonly #acked = new Set<number>()
  readonly #bits = new Map<number, Int32Array>()

  constructor(log: FakeLog, name: string, start: number, isDurable: boolean) {
    this.#log = log
    this.name = name
    this.#start = start
    this.isDurable = isDurable
  }

  get markDelete(): Position {
    return this.#start === 0 ? { ledgerId: 1, entryId: -1 } : this.#log.positionOf(this.#start - 1)
  }
  #advance(): void {
    while (this.#acked.delete(this.#start)) this.#start++
  }
  #index(ledgerId: number, entryId: number): number {
    return this.#log.indexOf({ ledgerId, entryId })
  }

  isAcknowledged(ledgerId: number, entryId: number): boolean {
    return this.#has(this.#index(ledgerId, entryId))
  }
  #has(index: number): boolean {
    return index < this.#start || this.#acked.has(index)
  }
  ackSet(ledgerId: number, entryId: number): Int32Array | undefined {
    return this.#bits.get(this.#index(ledgerId, entryId))
  }
  acknowledge(ledgerId: number, entryId: number): boolean {
    const index = this.#index(ledgerId, entryId)
    if (index >= this.#log.entries.length || this.#has(index)) return false
    this.#bits.delete(index)
    this.#acked.add(index)
    this.#advance()
    return true
  }
  acknowledgeBits(ledgerId: number, entryId: number, remaining: Int32Array): boolean {
    const index = this.#index(ledgerId, entryId)
    if (this.#has(index)) return false
    const before = this.#bits.get(index)
    const after = remaining.map((word, i) => (before === undefined ? word : word & (before[i] ?? 0)))
    if (after.every(word => word === 0)) return this.acknowledge(ledgerId, entryId)
    this.#bits.set(index, after)
    return false
  }
  acknowledgeUpTo(position: Position): void {
    const through = this.#index(position.ledgerId, position.entryId)
    for (let index = this.#start; index <= through; index++) {
      this.#bits.delete(index)
      this.#acked.add(index)
    }
    this.#advance()
  }
  afterDurable(done: (error?: Error) => void): void {
    queueMicrotask(done)
  }
  flush(): Promise<void> {
    return this.gate()
  }
  async reset(position: Position, ackSet?: Int32Array): Promise<void> {
    await this.gate()
    this.#start = this.#log.indexOf(position)
    this.#acked.clear()
    this.#bits.clear()
    if (ackSet !== undefined) this.#bits.set(this.#start, ackSet)
  }
  async clearBacklog(): Promise<void> {
    await this.gate()
    this.#start = this.#log.entries.length
    this.#acked.clear()
    this.#bits.clear()
  }
  backlogEntries(): number {
    return this.#log.entries.length - this.#start - this.#acked.size
  }
  backlogBytes(): number {
    return this.backlogEntries() * 100
  }
  setProperties(properties: Readonly<Record<string, string>>): Promise<void> {
    this.properties = properties
    return Promise.resolve()
  }
  describeRanges(): string {
    return '[]'
  }
  ackedRangeCount(): number {
    return this.#acked.size
  }
}
