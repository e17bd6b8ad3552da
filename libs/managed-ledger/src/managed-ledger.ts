import { reasonOf, type Clock, type Logger } from '@strata/base'
import { AckState, comparePositions, trimmableLedgers, type LedgerTable, type Position } from '@strata/cursor-protocol'
import type { LedgerClient } from '@strata/ledger-client'
import { AppendPipeline } from './append-pipeline.ts'
import type {
  AppendListener,
  Cursor,
  Entry,
  ManagedLedger,
  ManagedLedgerOptions,
  ManagedLedgerStats,
  ReadLimits,
  RetentionPolicy,
  RolloverPolicy
} from './contract.ts'
import { LogCursor } from './cursor.ts'
import { CursorStore } from './cursor-store.ts'
import type { EntryCache, LogCache } from './entry-cache.ts'
import { ManagedLedgerError } from './errors.ts'
import { LedgerList } from './ledger-list.ts'
import { findFirst, LogReader } from './log-reader.ts'
import type { LoadedLog } from './log-loader.ts'

export interface LogServices {
  readonly client: LedgerClient
  readonly cache: EntryCache
  readonly clock: Clock
  readonly log: Logger
  /** How long appends, and waiters for cursors, wait for storage that fails. */
  readonly storageDeadlineMs: number
  /** A cursor ledger is replaced past this, or past four times what its cursors take, whichever is more. */
  readonly cursorLedgerBytesMax: number
  readonly onClosed: (log: { readonly name: string }) => void
}

type CursorOptions = Parameters<ManagedLedger['openCursor']>[1]

/** A cursor whose backlog is at most this will soon read what is appended now. */
const NEAR_TAIL_ENTRIES = 10_000
const CACHE_DECISION_MS = 250

/** An owned log: puts the pipeline, the cursors, the reader and the list together, and holds the log's life cycle. */
export class OpenLog<Context> implements ManagedLedger<Context> {
  readonly name: string
  readonly #parts: LoadedLog
  readonly #services: LogServices
  readonly #table: LedgerTable
  readonly #list: LedgerList
  readonly #pipeline: AppendPipeline<Context>
  readonly #store: CursorStore
  readonly #cache: LogCache
  readonly #reader: LogReader
  readonly #cursors = new Map<string, LogCursor>()
  readonly #opening = new Map<string, Promise<Cursor>>()
  readonly #propertiesOnTrim: NonNullable<ManagedLedgerOptions['propertiesOnTrim']>
  #nextCursorNumber: number
  #retention: RetentionPolicy
  #terminatedAt: Position | undefined
  /** A terminated log keeps the ledger that it ends in, though nobody needs it: whoever comes later reads to the end. */
  #keepsLast: boolean
  #state: 'open' | 'closing' | 'closed' | 'fenced' = 'open'
  #closing: Promise<void> | undefined
  #trimming: Promise<void> | undefined
  #mustTrimAgain = false
  #isTrimScheduled = false
  #isCacheWanted = false
  #cacheDecidedAtMs = Number.NEGATIVE_INFINITY

  constructor(loaded: LoadedLog, options: ManagedLedgerOptions, services: LogServices) {
    const { session, table } = loaded
    const { client, clock, log } = services
    this.name = session.name
    this.#parts = loaded
    this.#services = services
    this.#table = table
    this.#retention = options.retention
    this.#propertiesOnTrim = options.propertiesOnTrim ?? (() => ({}))
    this.#terminatedAt = session.record.terminatedAt
    this.#keepsLast = this.#terminatedAt !== undefined
    this.#cache = services.cache.openLog()
    this.#reader = new LogReader({ table, cache: this.#cache, client })
    const onFenced = (error: Error): void => {
      this.#fence(error)
    }
    this.#list = new LedgerList({
      ...{ session, table, client, clock, log },
      owner: {
        onFenced,
        onDropped: ids => {
          this.#onDropped(ids)
        }
      }
    })
    this.#store = new CursorStore({
      ...{ session, client, clock, log, onFenced, persistence: options.persistence },
      bytesMax: services.cursorLedgerBytesMax,
      deadlineMs: services.storageDeadlineMs
    })
    this.#pipeline = new AppendPipeline<Context>({
      table,
      list: this.#list,
      client,
      clock,
      log,
      rollover: options.rollover,
      deadlineMs: services.storageDeadlineMs,
      terminated: this.#terminatedAt === undefined ? undefined : this.#error('LOG_TERMINATED'),
      owner: {
        onFenced,
        isCacheWanted: () => this.#wantsCache(),
        onConfirmed: (id, first, payloads) => {
          this.#cache.add(id, first, payloads)
        },
        onLedgerClosed: () => {
          this.#scheduleTrim()
        }
      }
    })
    this.#nextCursorNumber = loaded.cursors.reduce((most, cursor) => Math.max(most, cursor.number), -1) + 1
    for (const { number, name, properties, state } of loaded.cursors) {
      const cursor = this.#newCursor({ number, name, properties, state, isDurable: true })
      this.#store.adopt(cursor)
      this.#cursors.set(name, cursor)
    }
    this.#list.deleteMarked(loaded.deletingIds)
    if (options.continues === true && loaded.isInUse) this.#pipeline.prepare()
  }

  get lastConfirmed(): Position {
    return this.#table.lastConfirmed
  }

  get firstPosition(): Position {
    return this.#table.firstPosition
  }

  get isTerminated(): boolean {
    return this.#terminatedAt !== undefined
  }

  get terminatedAt(): Position | undefined {
    return this.#terminatedAt
  }

  get properties(): Readonly<Record<string, string>> {
    return this.#parts.session.record.properties
  }

  get isDead(): boolean {
    return this.#state !== 'open'
  }

  append(payload: Buffer, messageCount: number, context: Context, payloadCrc?: number): void {
    this.#pipeline.append(payload, messageCount, context, payloadCrc)
  }

  setAppendListener(listener: AppendListener<Context>): void {
    this.#pipeline.setListener(listener)
  }

  // ---------------------------------------------------------------- reading

  read(from: Position, limits: ReadLimits): Promise<Entry[]> {
    this.#noteTailRead(from)
    return this.#reader.read(from, limits)
  }

  readCached(from: Position, limits: ReadLimits): Entry[] | undefined {
    this.#noteTailRead(from)
    return this.#reader.readCached(from, limits)
  }

  readOne(position: Position): Promise<Entry | undefined> {
    return this.#reader.readOne(position)
  }

  nextPosition(position: Position): Position {
    return this.#table.next(position)
  }

  previousPosition(position: Position): Position {
    return this.#table.previous(position)
  }

  clamp(position: Position): Position {
    return this.#table.clamp(position)
  }

  countEntries(after: Position, through: Position): number {
    return this.#table.count(after, through)
  }

  positionAfter(position: Position, entries: number): Position {
    return this.#table.positionAfter(position, entries)
  }

  findFirst(isAtOrAfter: (entry: Entry) => boolean): Promise<Position> {
    return findFirst(this.#table, this.#reader, isAtOrAfter)
  }

  // ---------------------------------------------------------------- cursors

  async openCursor(name: string, options: CursorOptions): Promise<Cursor> {
    this.#checkOpen()
    const opening = this.#opening.get(name)
    if (opening !== undefined) return opening
    const existing = this.#cursors.get(name)
    if (existing?.isDurable === false) throw ManagedLedgerError.create('CURSOR_EXISTS', { name })
    if (existing !== undefined) return existing
    const created = this.#createCursor(name, options).finally(() => this.#opening.delete(name))
    this.#opening.set(name, created)
    return created
  }

  openNonDurableCursor(name: string, start: Position): Cursor {
    this.#checkOpen()
    if (this.#cursors.get(name)?.isDurable === true) throw ManagedLedgerError.create('CURSOR_EXISTS', { name })
    const state = this.#startAt(this.#table.clamp(start))
    const cursor = this.#newCursor({ number: this.#nextCursorNumber++, name, properties: {}, state, isDurable: false })
    this.#cursors.get(name)?.markDeleted()
    this.#cursors.set(name, cursor)
    return cursor
  }

  async deleteCursor(name: string): Promise<void> {
    this.#checkOpen()
    await this.#opening.get(name)?.catch(() => undefined)
    const cursor = this.#cursors.get(name)
    if (cursor === undefined) throw ManagedLedgerError.create('CURSOR_NOT_FOUND', { name })
    this.#cursors.delete(name)
    if (cursor.isDurable) {
      this.#store.remove(cursor)
      await this.#whenDurable()
    }
    cursor.markDeleted()
    this.#scheduleTrim()
  }

  cursor(name: string): Cursor | undefined {
    return this.#cursors.get(name)
  }

  cursors(): readonly Cursor[] {
    return [...this.#cursors.values()]
  }

  // ---------------------------------------------------------------- the log as a whole

  setRetention(policy: RetentionPolicy): void {
    this.#retention = policy
    this.#scheduleTrim()
  }

  setRollover(policy: RolloverPolicy): void {
    this.#pipeline.setRollover(policy)
  }

  async putProperties(properties: Readonly<Record<string, string>>): Promise<void> {
    this.#checkOpen()
    await this.#fencing(
      this.#parts.session.change(record => ({ record: { properties: { ...record.properties, ...properties } } }))
    )
  }

  async trim(): Promise<void> {
    if (this.#trimming !== undefined) {
      this.#mustTrimAgain = true
      return this.#trimming
    }
    this.#trimming = this.#trimAll().finally(() => {
      this.#trimming = undefined
    })
    return this.#trimming
  }

  roll(): Promise<void> {
    return this.#state === 'open' ? this.#pipeline.roll() : Promise.resolve()
  }

  async terminate(): Promise<Position> {
    this.#checkOpen()
    if (this.#terminatedAt !== undefined) return this.#terminatedAt
    this.#keepsLast = true
    await this.#pipeline.finish(this.#error('LOG_TERMINATED'))
    const terminatedAt = this.lastConfirmed
    const put = this.#list.takeUnlisted()
    await this.#fencing(this.#parts.session.change(() => ({ record: { terminatedAt }, put })))
    this.#terminatedAt = terminatedAt
    return terminatedAt
  }

  get sizeBytes(): number {
    return this.#table.sizeBytes
  }

  stats(): ManagedLedgerStats {
    const pipeline = this.#pipeline
    return {
      ledgers: this.#table.rows.map(({ ledgerId, entries, sizeBytes, closedAtMs }) => {
        return { ledgerId, entries, sizeBytes, closedAtMs }
      }),
      entries: this.#table.entries,
      sizeBytes: this.#table.sizeBytes,
      entriesAdded: pipeline.entriesAdded,
      pendingAppends: pipeline.pending,
      currentLedgerEntries: pipeline.currentEntries,
      currentLedgerBytes: pipeline.currentBytes,
      lastLedgerCreatedAtMs: pipeline.lastLedgerCreatedAtMs,
      epoch: this.#parts.session.record.epoch,
      state: this.#stateName(),
      cursorLedgerId: this.#parts.session.record.cursorLedgerId
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Ends it at once, without a write: the log was taken over, or is about to be deleted. */
  abandon(error = this.#error('LOG_FENCED')): void {
    if (this.#state === 'closed' || this.#state === 'fenced') return
    this.#state = ManagedLedgerError.is(error, 'LOG_FENCED') ? 'fenced' : 'closed'
    this.#parts.session.end(error)
    this.#pipeline.stop(error, error)
    this.#store.stop(error)
    this.#services.cache.closeLog(this.#cache)
    this.#services.onClosed(this)
  }

  async #close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    const closed = this.#error('LOG_CLOSED')
    try {
      await this.#pipeline.finish(closed)
      await this.#whenDurable()
      await this.#trimming?.catch(() => undefined)
      const closedAtMs = this.#services.clock.wallMs()
      const cleanClose = { slowestCursor: this.#slowestCursor(), closedAtMs }
      const put = this.#list.takeUnlisted()
      const change = this.#parts.session.change(() => ({ record: { cleanClose }, put }))
      await Promise.all([change, this.#store.close()]) // what the cursor ledger has is durable: who reads it recovers it
    } catch (error) {
      // Nothing that was answered is lost: the next owner recovers what is still open.
      const fields = { event: 'log.close_failed', name: this.name, reason: reasonOf(error) }
      this.#services.log.warn(fields, 'a log was left to be recovered')
    }
    this.abandon(closed)
  }

  // ---------------------------------------------------------------- inside

  async #createCursor(name: string, options: CursorOptions): Promise<Cursor> {
    const { initial, properties = {} } = options
    const tail = this.#table.next(this.lastConfirmed)
    const start = initial === 'earliest' ? this.firstPosition : initial === 'latest' ? tail : this.clamp(initial)
    const number = this.#nextCursorNumber++
    const state = this.#startAt(start)
    const cursor = this.#newCursor({ number, name, properties: { ...properties }, state, isDurable: true })
    this.#cursors.set(name, cursor)
    this.#store.define(cursor)
    try {
      await this.#whenDurable()
    } catch (error) {
      this.#cursors.delete(name)
      this.#store.remove(cursor)
      cursor.markDeleted()
      throw error
    }
    return cursor
  }

  #startAt(first: Position): AckState {
    return new AckState(this.#table, this.#table.previous(first))
  }

  #newCursor(from: {
    number: number
    name: string
    properties: Readonly<Record<string, string>>
    state: AckState
    isDurable: boolean
  }): LogCursor {
    const store = from.isDurable ? this.#store : undefined
    return new LogCursor({
      ...from,
      store,
      table: this.#table,
      onLedgerPassed: () => {
        this.#scheduleTrim()
      }
    })
  }

  #whenDurable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.whenDurable(error => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  #slowestCursor(): Position | undefined {
    let slowest: Position | undefined
    for (const cursor of this.#cursors.values()) {
      if (!cursor.isDurable) continue
      if (slowest === undefined || comparePositions(cursor.markDelete, slowest) < 0) slowest = cursor.markDelete
    }
    return slowest
  }

  #scheduleTrim(): void {
    if (this.#isTrimScheduled || this.#state !== 'open') return
    this.#isTrimScheduled = true
    setImmediate(() => {
      this.#isTrimScheduled = false
      this.trim().catch((error: unknown) => {
        if (this.#state !== 'open') return
        const reason = reasonOf(error)
        this.#services.log.warn({ event: 'log.trim_failed', name: this.name, reason }, 'trimming is tried again later')
      })
    })
  }

  async #trimAll(): Promise<void> {
    for (let isWanted = true; isWanted; isWanted = this.#mustTrimAgain) {
      this.#mustTrimAgain = false
      if (this.#state !== 'open' || this.#propertiesOnTrim() === undefined) return
      const rows = this.#table.rows
      const count = trimmableLedgers(rows, {
        slowest: this.#slowestCursor(),
        retention: this.#retention,
        nowMs: this.#services.clock.wallMs()
      })
      const kept = this.#keepsLast ? this.lastConfirmed.ledgerId : -1
      const ids = rows.slice(0, count).flatMap(row => (row.ledgerId === kept ? [] : [row.ledgerId]))
      if (ids.length > 0) await this.#fencing(this.#list.drop(ids, this.#propertiesOnTrim))
    }
  }

  #onDropped(ledgerIds: readonly number[]): void {
    for (const id of ledgerIds) this.#reader.forgetLedger(id)
    for (const cursor of this.#cursors.values()) cursor.settle()
  }

  #noteTailRead(from: Position): void {
    const { lastConfirmed } = this.#table
    if (from.ledgerId >= lastConfirmed.ledgerId && from.entryId > lastConfirmed.entryId - NEAR_TAIL_ENTRIES) {
      this.#isCacheWanted = true
      this.#cacheDecidedAtMs = this.#services.clock.nowMs()
    }
  }

  /** Will somebody soon read what is appended now? Decided a few times a second, not for every append. */
  #wantsCache(): boolean {
    const nowMs = this.#services.clock.nowMs()
    if (nowMs - this.#cacheDecidedAtMs < CACHE_DECISION_MS) return this.#isCacheWanted
    this.#cacheDecidedAtMs = nowMs
    this.#isCacheWanted = false
    for (const cursor of this.#cursors.values()) {
      if (cursor.backlogEntries() > NEAR_TAIL_ENTRIES) continue
      this.#isCacheWanted = true
      break
    }
    return this.#isCacheWanted
  }

  #stateName(): ManagedLedgerStats['state'] {
    if (this.#state === 'fenced') return 'fenced'
    if (this.#state !== 'open') return 'closed'
    if (this.#terminatedAt !== undefined) return 'terminated'
    return this.#pipeline.isRolling ? 'rolling' : 'open'
  }

  #checkOpen(): void {
    if (this.#state === 'open') return
    throw this.#error(this.#state === 'fenced' ? 'LOG_FENCED' : 'LOG_CLOSED')
  }

  async #fencing<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (error) {
      if (ManagedLedgerError.is(error, 'LOG_FENCED')) this.#fence(error)
      throw error
    }
  }

  #fence(error: Error): void {
    if (this.#state === 'fenced' || this.#state === 'closed') return
    this.#services.log.warn({ event: 'log.fenced', name: this.name }, 'another owner has the log')
    this.abandon(error)
  }

  #error(code: 'LOG_CLOSED' | 'LOG_TERMINATED' | 'LOG_FENCED'): Error {
    return ManagedLedgerError.create(code, { name: this.name })
  }
}
