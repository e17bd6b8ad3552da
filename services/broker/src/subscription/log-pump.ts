import type { BytePool, Clock, Logger } from '@strata/base'
import { formatPosition, type Position } from '@strata/cursor-protocol'
import type { Cursor, Entry, ManagedLedger, ReadLimits } from '@strata/managed-ledger'
import type { SubscriptionSettings } from '../contract.ts'
import type { DispatchThrottle } from '../limits/dispatch-throttle.ts'
import type { Suspension } from '../topic/suspension.ts'
import type { DispatchContext, Dispatcher } from './dispatcher.ts'
import type { Filtering } from './filtering.ts'

/** Entries delivered in one go before sockets and other subscriptions get their turn. */
const TURN_ENTRIES = 2000
/** Least bytes asked for in a read; below it the cost is the read, not the bytes. */
const READ_BYTES_MIN = 64 * 1024
/**
 * While the pool is over, a subscription reads no more than this at a time. It may read as much, for those who fill the
 * pool may be others' consumers that never read: whoever reads must get on beside them. Who has no taker reads nothing.
 */
const TIGHT_BYTES = 16 * 1024
/** A subscription with fewer entries than this before it has caught up, as far as dispatch rates are concerned. */
const BACKLOG_ENTRIES_MIN = 1000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 10_000

/** When a pump runs. `soon`: before the event loop goes on; `later`: after other sockets had their turn. */
export interface TurnScheduler {
  soon(run: () => void): void
  later(run: () => void): void
}

export const eventLoopTurns: TurnScheduler = {
  soon: queueMicrotask,
  later: run => {
    setImmediate(run)
  }
}

/**
 * Scans the log for one subscription: reads while its dispatcher has credit, hands entries over, reads pending ones again.
 *
 * Invariants
 *   P1  Level-triggered: an entry that has a taker now implies that a turn is scheduled or a read is under way
 *       (`stall` says what is wrong otherwise).
 *   P2  Entries are held only until the end of the turn, except what the pool lets stay (`#buffer`), so that a
 *       consumer that takes nothing holds no memory.
 *   P3  At most one read is under way. While pending entries are read, nothing new is scanned: order of a key.
 *   P4  What a read brings after a rewind is dropped.
 *   P5  While the throttle makes it wait nothing is read or delivered; its turn, or other limits, end that.
 */
export class LogPump {
  dispatcher: Dispatcher | undefined
  /** undefined: no dispatch rate holds. Whoever changes it ends its waiting. */
  throttle: DispatchThrottle | undefined
  /** undefined: every entry goes to who takes it. */
  filtering: Filtering | undefined
  readonly #log: ManagedLedger
  readonly #cursor: Cursor
  readonly #settings: SubscriptionSettings
  readonly #pool: BytePool
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #turns: TurnScheduler
  readonly #context: DispatchContext
  readonly #onTurnEnd: () => void

  /** Where the scan goes on. */
  #ledgerId = 0
  #entryId = 0
  /** Through here an entry may be acknowledged already, past it none is: it need not be asked for each. */
  #askThroughLedger = 0
  #askThroughEntry = 0
  #buffer: Entry[] = []
  #bufferAt = 0
  #bufferBytes = 0
  #averageBytes = 1024
  #generation = 0
  #isScheduled = false
  #isPumping = false
  #isReading = false
  /** The log had nothing at the scan's place: wait for it to grow. */
  #isTailSeen = false
  #waitsFor: 'nothing' | 'retry' = 'nothing'
  #retryMs = RETRY_MS_MIN
  #cancelRetry: () => void = () => {}
  #isPaused = false
  #isStopped = false
  readonly #suspension: Suspension
  readonly #run: () => void

  constructor(options: {
    log: ManagedLedger
    cursor: Cursor
    settings: SubscriptionSettings
    pool: BytePool
    clock: Clock
    logger: Logger
    turns: TurnScheduler
    suspension: Suspension
    context: DispatchContext
    /** After a turn, when consumers may be removed. */
    onTurnEnd: () => void
  }) {
    this.#log = options.log
    this.#cursor = options.cursor
    this.#settings = options.settings
    this.#pool = options.pool
    this.#clock = options.clock
    this.#logger = options.logger
    this.#turns = options.turns
    this.#suspension = options.suspension
    this.#context = options.context
    this.#onTurnEnd = options.onTurnEnd
    this.#run = () => {
      this.#isScheduled = false
      this.pump()
    }
    this.rewind()
    // What an earlier process acknowledged lies anywhere up to the end of the log.
    this.#askThrough(this.#log.lastConfirmed.ledgerId, this.#log.lastConfirmed.entryId)
  }

  get isPumping(): boolean {
    return this.#isPumping
  }

  get readPosition(): Position {
    return { ledgerId: this.#ledgerId, entryId: this.#entryId }
  }

  /** Nothing is left that was not offered to a consumer, since it was rewound last. */
  get isAllScanned(): boolean {
    return this.#isAtTail() || this.#isNothingLeft()
  }

  schedule(): void {
    if (this.#isScheduled || this.#isStopped) return
    this.#isScheduled = true
    this.#turns.soon(this.#run)
  }

  /** The log has grown. */
  onAppended(): void {
    this.#isTailSeen = false
    this.pump()
  }

  /** Scans again from the mark-delete position on. */
  rewind(): void {
    this.#generation++
    this.#dropBuffer()
    this.#isTailSeen = false
    this.#askThrough(this.#ledgerId, this.#entryId)
    const { ledgerId, entryId } = this.#cursor.markDelete
    this.#ledgerId = ledgerId
    this.#entryId = entryId + 1
  }

  /** An entry was acknowledged: if the scan has not come to it, the scan must ask. */
  noteAcknowledged(ledgerId: number, entryId: number): void {
    if (ledgerId > this.#ledgerId || (ledgerId === this.#ledgerId && entryId >= this.#entryId)) {
      this.#askThrough(ledgerId, entryId)
    }
  }

  /** Nothing is read or delivered until `resume`. */
  pause(): void {
    this.#isPaused = true
    this.#generation++
    this.#dropBuffer()
  }

  resume(): void {
    this.#isPaused = false
    this.schedule()
  }

  stop(): void {
    this.#isStopped = true
    this.#generation++
    this.#dropBuffer()
    this.#cancelRetry()
    this.throttle?.leave()
    this.filtering?.stop()
  }

  /** P1 broken? What is known then; undefined when all is well. */
  get stall(): string | undefined {
    const { dispatcher } = this
    if (dispatcher === undefined || this.#isPaused || this.#isStopped || this.#suspension.isOn) return undefined
    if (this.#isScheduled || this.#isReading || this.#isPumping || this.#waitsFor !== 'nothing') return undefined
    if (this.throttle?.isWaiting === true) return undefined
    const pending = dispatcher.hasReadyPending()
    if (!pending && (this.#isAtTail() || this.#isNothingLeft() || !dispatcher.hasReadyCredit())) return undefined
    const state = { pending, read: formatPosition(this.readPosition), last: formatPosition(this.#log.lastConfirmed) }
    return `a message has a taker and nothing moves: ${JSON.stringify(state)}`
  }

  pump(): void {
    const { dispatcher } = this
    if (dispatcher === undefined || this.#isPaused || this.#isStopped || this.#isPumping) return
    if (this.#waitsFor === 'retry' || this.#isReading || this.#suspension.isOn) return
    if (this.throttle?.isWaiting === true) return
    this.#isPumping = true
    this.#context.wallMs = this.#clock.wallMs()
    this.#context.throttle = this.#throttleOfTurn()
    dispatcher.beginTurn()
    let left = TURN_ENTRIES
    while (left > 0) {
      const moved = this.#pumpPending(dispatcher) || this.#pumpNew(dispatcher)
      if (moved === 0) break
      left -= moved
    }
    this.#isPumping = false
    if (left <= 0) this.#yield()
    else if (this.#bufferAt < this.#buffer.length && !this.#mayKeepBuffer()) this.#dropBuffer()
    this.#onTurnEnd()
  }

  #throttleOfTurn(): DispatchThrottle | undefined {
    if (this.throttle === undefined || this.#settings.dispatchThrottlingOnNonBacklogConsumerEnabled)
      return this.throttle
    return this.#cursor.backlogEntries() < BACKLOG_ENTRIES_MIN ? undefined : this.throttle
  }

  #yield(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#turns.later(this.#run)
  }

  /** @returns Entries moved; 0 when no pending entry has a taker, or one must be read first. */
  #pumpPending(dispatcher: Dispatcher): number {
    const { throttle } = this.#context
    let moved = 0
    while (moved < this.#settings.dispatcherMaxReadBatchSize) {
      if (throttle?.isOpen() === false) {
        if (dispatcher.hasReadyPending()) throttle.wait()
        break
      }
      if (!dispatcher.popPending()) break
      const { ledgerId, entryId } = dispatcher.popped
      const entry = dispatcher.popped.entry ?? this.#cachedOne(ledgerId, entryId)
      if (entry === undefined) {
        this.#readPending(dispatcher, { ledgerId, entryId })
        return 0
      }
      this.#offerPending(dispatcher, entry)
      moved++
    }
    return moved
  }

  /** @returns Entries moved. */
  #pumpNew(dispatcher: Dispatcher): number {
    // credit is a sum over consumers: with nothing to deliver nobody asks for it
    if (this.#isReading || this.#isAtTail()) return 0
    const credit = dispatcher.credit()
    if (credit <= 0) return 0
    this.#skipAcknowledged()
    if (this.#isAtTail()) return 0
    const { throttle } = this.#context
    if (throttle?.isOpen() === false) {
      throttle.wait()
      return 0
    }
    if (this.#bufferAt >= this.#buffer.length && !this.#fill(dispatcher, credit)) return 0
    const buffer = this.#buffer
    const from = this.#bufferAt
    let at = from
    for (; at < buffer.length; at++) {
      const entry = buffer[at] as Entry
      if (throttle !== undefined && at > from && !throttle.isOpen()) break
      if (!this.#isAcknowledged(entry) && !this.#offer(dispatcher, entry)) break
      this.#ledgerId = entry.ledgerId
      this.#entryId = entry.entryId + 1
    }
    this.#bufferAt = at
    if (at === buffer.length) this.#dropBuffer()
    return at - from
  }

  #offer(dispatcher: Dispatcher, entry: Entry): boolean {
    const { filtering } = this
    return filtering === undefined ? dispatcher.offer(entry) : filtering.offer(dispatcher, entry)
  }

  #offerPending(dispatcher: Dispatcher, entry: Entry): void {
    if (this.filtering === undefined) dispatcher.offerPending(entry)
    else this.filtering.offerPending(dispatcher, entry)
  }

  /** Entries at hand, or a read begun (false). */
  #fill(dispatcher: Dispatcher, credit: number): boolean {
    const limits = this.#limits(dispatcher, credit)
    const from = this.readPosition
    const cached = this.#log.readCached(from, limits)
    if (cached !== undefined) {
      if (cached.length === 0) this.#isTailSeen = true
      this.#buffer = cached
      this.#bufferAt = 0
      return cached.length > 0
    }
    this.#read(limits.bytesMax, this.#log.read(from, limits), entries => {
      if (entries.length === 0) this.#isTailSeen = true
      this.#buffer = entries
      this.#bufferAt = 0
      for (const entry of entries) this.#bufferBytes += entry.payload.length
      this.#pool.take(this.#bufferBytes)
      if (entries.length > 0) this.#averageBytes += (this.#bufferBytes / entries.length - this.#averageBytes) * 0.25
    })
    return false
  }

  #readPending(dispatcher: Dispatcher, first: Position): void {
    const wanted: Position[] = [first]
    // Entries at hand among them are read again too: what was popped later must not overtake what was popped first.
    const { dispatcherMaxReadBatchSize } = this.#settings
    const isTight = this.#pool.isOver || this.#context.throttle !== undefined
    const entriesMax = isTight ? TIGHT_BYTES / this.#averageBytes : dispatcherMaxReadBatchSize
    while (wanted.length < Math.min(entriesMax, dispatcherMaxReadBatchSize) && dispatcher.popPending()) {
      wanted.push({ ledgerId: dispatcher.popped.ledgerId, entryId: dispatcher.popped.entryId })
    }
    const requeue = (): void => {
      if (this.dispatcher !== dispatcher) return
      for (const { ledgerId, entryId } of wanted) dispatcher.requeue(ledgerId, entryId)
    }
    const read = Promise.all(wanted.map(position => this.#log.readOne(position)))
    this.#read(
      Math.ceil(wanted.length * this.#averageBytes),
      read,
      entries => {
        if (this.dispatcher !== dispatcher) return
        dispatcher.beginTurn()
        for (const [index, { ledgerId, entryId }] of wanted.entries()) {
          const entry = entries[index]
          if (entry === undefined) dispatcher.gone(ledgerId, entryId)
          else this.#offerPending(dispatcher, entry)
        }
      },
      requeue
    )
  }

  /** Reads with the bytes charged meanwhile, then goes on. `take` is not called when the scan was moved meanwhile. */
  #read<Result>(bytes: number, result: Promise<Result>, take: (result: Result) => void, undo = (): void => {}): void {
    const generation = this.#generation
    this.#isReading = true
    this.#pool.take(bytes)
    result.then(
      value => {
        this.#pool.give(bytes)
        this.#isReading = false
        this.#retryMs = RETRY_MS_MIN
        if (generation === this.#generation) take(value)
        else undo()
        this.pump()
      },
      (error: unknown) => {
        this.#pool.give(bytes)
        this.#isReading = false
        undo()
        this.#retryLater(error)
      }
    )
  }

  #retryLater(error: unknown): void {
    if (this.#isStopped) return
    const delayMs = this.#retryMs
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX)
    this.#logger.warn(
      { event: 'subscription.read_failed', position: formatPosition(this.readPosition), delayMs, err: error },
      'could not read the log, will try again'
    )
    this.#waitsFor = 'retry'
    this.#cancelRetry = this.#clock.after(delayMs, () => {
      this.#waitsFor = 'nothing'
      this.schedule()
    })
  }

  #limits(dispatcher: Dispatcher, credit: number): ReadLimits {
    const wanted = Math.ceil(credit / dispatcher.messagesPerEntry)
    const entriesMax = Math.max(1, Math.min(wanted, this.#settings.dispatcherMaxReadBatchSize))
    const likely = Math.max(READ_BYTES_MIN, Math.ceil(entriesMax * this.#averageBytes * 2))
    const bytesMax = this.#pool.isOver ? TIGHT_BYTES : likely
    return { entriesMax, bytesMax: Math.min(bytesMax, this.#settings.dispatcherMaxReadSizeBytes) }
  }

  #cachedOne(ledgerId: number, entryId: number): Entry | undefined {
    const entry = this.#log.readCached({ ledgerId, entryId }, { entriesMax: 1, bytesMax: Infinity })?.[0]
    return entry?.ledgerId === ledgerId && entry.entryId === entryId ? entry : undefined
  }

  #isAtTail(): boolean {
    if (this.#isTailSeen) return true
    const { ledgerId, entryId } = this.#log.lastConfirmed
    return this.#ledgerId > ledgerId || (this.#ledgerId === ledgerId && this.#entryId > entryId)
  }

  /** The same, where the log's last ledger is empty still: asked of the log, for checks. */
  #isNothingLeft(): boolean {
    const before = { ledgerId: this.#ledgerId, entryId: this.#entryId - 1 }
    return this.#log.countEntries(before, this.#log.lastConfirmed) === 0
  }

  /** A cumulative acknowledgement may have overtaken the scan. */
  #skipAcknowledged(): void {
    const { ledgerId, entryId } = this.#cursor.markDelete
    if (ledgerId < this.#ledgerId || (ledgerId === this.#ledgerId && entryId < this.#entryId)) return
    this.#dropBuffer()
    this.#ledgerId = ledgerId
    this.#entryId = entryId + 1
  }

  #isAcknowledged(entry: Entry): boolean {
    if (entry.ledgerId > this.#askThroughLedger) return false
    if (entry.ledgerId === this.#askThroughLedger && entry.entryId > this.#askThroughEntry) return false
    return this.#cursor.isAcknowledged(entry.ledgerId, entry.entryId)
  }

  #askThrough(ledgerId: number, entryId: number): void {
    if (ledgerId < this.#askThroughLedger) return
    if (ledgerId === this.#askThroughLedger && entryId <= this.#askThroughEntry) return
    this.#askThroughLedger = ledgerId
    this.#askThroughEntry = entryId
  }

  #mayKeepBuffer(): boolean {
    return this.#bufferBytes > 0 && this.#pool.bytesHeld <= this.#pool.bytesMax / 2
  }

  #dropBuffer(): void {
    if (this.#bufferBytes > 0) this.#pool.give(this.#bufferBytes)
    this.#bufferBytes = 0
    this.#bufferAt = 0
    this.#buffer = []
  }
}
