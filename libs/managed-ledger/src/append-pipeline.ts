import { strict as assert } from 'node:assert'
import { asError, reasonOf, type Clock, type Logger } from '@strata/base'
import type { LedgerTable } from '@strata/cursor-protocol'
import type { LedgerAppender, LedgerClient, LedgerEnd } from '@strata/ledger-client'
import { AppendQueue } from './append-queue.ts'
import type { AppendListener, RolloverPolicy } from './contract.ts'
import { ManagedLedgerError } from './errors.ts'
import type { LedgerList } from './ledger-list.ts'

/** What the pipeline tells its log, besides the caller's listener. */
export interface PipelineOwner {
  /** Entries are confirmed and in the table; nobody was told yet. `payloads` are theirs, in order. */
  onConfirmed(ledgerId: number, firstEntryId: number, payloads: readonly Buffer[]): void
  isCacheWanted(): boolean
  /** A ledger was closed with what it has. */
  onLedgerClosed(): void
  /** Another owner has the log. */
  onFenced(error: Error): void
}

interface OpenLedger {
  readonly appender: LedgerAppender
  /** Set by the ledger client: the ledger takes no more entries and must be recovered. */
  failure: Error | undefined
  isClosing: boolean
  /** Called when it is closed, or never will be. */
  readonly onGone: (() => void)[]
}

const AHEAD_SHARE = 0.8
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 2_000

/**
 * The writing half of a log: hands appends to the open ledger, and changes ledgers underneath them.
 *
 * Appends wait in one queue; a single loop (`#drive`) opens, closes and recovers ledgers, one step after the other, until
 * the queue has somewhere to go. Invariants
 *   P1  An entry goes to a ledger only when every entry before it is in a ledger whose end is known, or in the same one.
 *   P2  Appends settle in order, each once: when its ledger confirmed it, when recovery found it, or when it failed.
 *   P3  Entries are in the table before anybody hears of them, and never before they are confirmed.
 *   P4  When no ledger can be had within the deadline every waiting append fails with STORAGE_FAILED, later ones at once,
 *       until there is a ledger again. An append that was already sent is in doubt then (`inDoubt`).
 */
export class AppendPipeline<Context> {
  readonly #queue = new AppendQueue<Context>()
  readonly #table: LedgerTable
  readonly #list: LedgerList
  readonly #client: LedgerClient
  readonly #clock: Clock
  readonly #log: Logger
  readonly #owner: PipelineOwner
  readonly #deadlineMs: number
  #listener: AppendListener<Context> | undefined
  #rollover: RolloverPolicy
  #open: OpenLedger | undefined
  /** Created ahead of need, empty. */
  #ahead: OpenLedger | undefined
  #preparing: Promise<void> | undefined
  #isDriving = false
  #isUnavailable = false
  /** Set by `finish`: `drain` is how many of the queue were there before it, and are still to settle. */
  #finish: { readonly error: Error; readonly whenDone: ((error?: Error) => void)[]; drain: number } | undefined
  #stopped: Error | undefined
  /** Of the open ledger, monotonic. */
  #openedAtMs = 0
  /** Has the open ledger its minimum age? By a timer: nothing asks for the time once an entry. */
  #isOfAge = false
  #cancelAge: (() => void) | undefined
  #cancelDeadline: (() => void) | undefined
  entriesAdded = 0
  messagesAdded = 0
  lastLedgerCreatedAtMs = 0

  constructor(parts: {
    table: LedgerTable
    list: LedgerList
    client: LedgerClient
    clock: Clock
    log: Logger
    owner: PipelineOwner
    rollover: RolloverPolicy
    deadlineMs: number
    terminated: Error | undefined
  }) {
    this.#table = parts.table
    this.#list = parts.list
    this.#client = parts.client
    this.#clock = parts.clock
    this.#log = parts.log
    this.#owner = parts.owner
    this.#rollover = parts.rollover
    this.#deadlineMs = parts.deadlineMs
    this.#stopped = parts.terminated
  }

  get pending(): number {
    return this.#queue.count
  }

  get isRolling(): boolean {
    return this.#isDriving
  }

  get currentEntries(): number {
    return (this.#open?.appender.lastAddConfirmed ?? -1) + 1
  }

  get currentBytes(): number {
    return this.#open?.appender.lengthBytes ?? 0
  }

  setListener(listener: AppendListener<Context>): void {
    this.#listener = listener
  }

  setRollover(policy: RolloverPolicy): void {
    this.#rollover = policy
    if (this.#open !== undefined) this.#armAge()
  }

  append(payload: Buffer, messageCount: number, context: Context, payloadCrc?: number): void {
    const refusal = this.#stopped ?? (this.#isUnavailable ? this.#storageFailed(false) : undefined)
    if (refusal !== undefined) {
      this.#refuse(refusal, context)
      return
    }
    this.#queue.push(payload, context, payloadCrc)
    this.messagesAdded += messageCount
    const open = this.#open
    if (open === undefined || open.isClosing || open.failure !== undefined || this.#finish !== undefined) this.#drive()
    else if (this.#queue.sent === this.#queue.count - 1) this.#send(open)
  }

  /** No append is taken any more; resolves when those before have settled and the ledger is closed. Later ones fail with `error`. */
  finish(error: Error): Promise<void> {
    if (this.#stopped !== undefined) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const done = (failure?: Error): void => {
        if (failure === undefined) resolve()
        else reject(failure)
      }
      if (this.#finish === undefined) this.#finish = { error, whenDone: [done], drain: this.#queue.count }
      else this.#finish.whenDone.push(done)
      this.#armDeadline()
      this.#drive()
    })
  }

  /**
   * Goes on in a next ledger, which is made before the open one is closed: appends wait for no more than that change. Resolves
   * once it is closed; at once where none is open, or nothing is in it.
   */
  async roll(): Promise<void> {
    const open = this.#open
    if (open === undefined || open.appender.nextEntryId === 0 || this.#finish !== undefined) return
    this.#prepareAhead()
    await this.#preparing
    if (this.#open !== open) return
    await new Promise<void>(resolve => {
      open.onGone.push(resolve)
      this.#roll()
    })
  }

  /** Makes the next ledger before there is anything to append. */
  prepare(): void {
    if (this.#stopped === undefined && this.#open === undefined) this.#prepareAhead()
  }

  /** At once: everything pending fails, nothing is closed. */
  stop(error: Error, failure?: Error): void {
    if (this.#stopped !== undefined) return
    this.#stopped = error
    this.#cancelAge?.()
    this.#cancelDeadline?.()
    const open = this.#open
    this.#open = undefined
    this.#ahead = undefined
    this.#failAll(error)
    for (const gone of open?.onGone.splice(0) ?? []) gone()
    for (const done of this.#finish?.whenDone ?? []) done(failure)
  }

  // ---------------------------------------------------------------- the open ledger

  /** Hands over what waits, until the ledger is full. */
  #send(open: OpenLedger): void {
    const queue = this.#queue
    while (queue.sent < this.#sendable) {
      if (open.failure !== undefined) return
      if (this.#isFull(open.appender)) {
        this.#roll()
        return
      }
      const payload = queue.payloadAt(queue.sent)
      const crc = queue.crcAt(queue.sent)
      queue.sent += 1 // before: the storage may confirm in the same call
      try {
        open.appender.append(payload, crc)
      } catch (error) {
        queue.sent -= 1
        this.#onFailed(open, asError(error))
        return
      }
    }
    if (this.#isFull(open.appender)) this.#roll()
    else if (this.#isFull(open.appender, AHEAD_SHARE)) this.#prepareAhead()
  }

  /** How many of the queue may go to a ledger. */
  get #sendable(): number {
    return this.#finish?.drain ?? this.#queue.count
  }

  #isFull(appender: LedgerAppender, share = 1): boolean {
    const { entriesMax, bytesMax } = this.#rollover
    return this.#isOfAge && (appender.nextEntryId >= entriesMax * share || appender.lengthBytes >= bytesMax * share)
  }

  #roll(): void {
    if (this.#open === undefined || this.#open.isClosing) return
    this.#open.isClosing = true
    this.#drive()
  }

  #onConfirmed(open: OpenLedger, lac: number): void {
    if (this.#stopped !== undefined) return
    const id = open.appender.ledgerId
    const row = this.#table.row(id)
    assert(row !== undefined, 'a ledger outside the log confirmed an entry')
    const count = lac + 1 - row.entries
    if (count <= 0) return
    if (this.#queue.sent > 0) this.#settle(id, row.entries, { count, sizeBytes: row.sizeBytes })
    // Their callers were told STORAGE_FAILED, in doubt (P4); nothing follows them in this ledger.
    else this.#table.grow(id, lac + 1, open.appender.lengthBytes)
  }

  /** P2, P3: the first entries of the queue are at `first`, … of the ledger. */
  #settle(id: number, first: number, confirmed: { count: number; sizeBytes: number }): void {
    const { count } = confirmed
    const queue = this.#queue
    assert(count <= queue.sent, 'confirmed what was never sent')
    let sizeBytes = confirmed.sizeBytes
    const wanted: Buffer[] | undefined = this.#owner.isCacheWanted() ? [] : undefined
    for (let index = 0; index < count; index++) {
      const payload = queue.payloadAt(index)
      sizeBytes += payload.length
      wanted?.push(payload)
    }
    this.#table.grow(id, first + count, sizeBytes)
    this.entriesAdded += count
    if (wanted !== undefined) this.#owner.onConfirmed(id, first, wanted)
    const listener = this.#listener
    for (let index = 0; index < count; index++) {
      const context = queue.shift()
      if (this.#finish !== undefined) this.#finish.drain -= 1
      listener?.onAppended(id, first + index, context)
    }
    listener?.onAppendsSettled()
  }

  #onFailed(open: OpenLedger, error: Error): void {
    if (this.#stopped !== undefined || open.failure !== undefined) return
    open.failure = error
    this.#log.warn(
      { event: 'ledger.append_failed', ledgerId: open.appender.ledgerId, reason: error.message },
      'a ledger takes no more entries; recovering it and going on with the next'
    )
    if (open === this.#open) this.#drive()
  }

  #armAge(): void {
    this.#cancelAge?.()
    const { ageMsMin, ageMsMax } = this.#rollover
    const leftMs = ageMsMin - (this.#clock.nowMs() - this.#openedAtMs)
    this.#isOfAge = leftMs <= 0
    const cancelMin = this.#isOfAge ? undefined : this.#clock.after(leftMs, () => (this.#isOfAge = true))
    const cancelMax = this.#clock.after(ageMsMax, () => {
      if (this.#open === undefined) return
      if (this.#open.appender.nextEntryId === 0) this.#armAge()
      else this.#roll()
    })
    this.#cancelAge = () => {
      cancelMin?.()
      cancelMax()
    }
  }

  // ---------------------------------------------------------------- changing ledgers

  #drive(): void {
    if (this.#isDriving || this.#stopped !== undefined) return
    this.#isDriving = true
    void this.#steps().finally(() => {
      this.#isDriving = false
      if (this.#stopped === undefined && this.#nextStep() !== undefined) this.#drive()
    })
  }

  async #steps(): Promise<void> {
    let pauseMs = RETRY_MS_MIN
    while (this.#stopped === undefined) {
      const step = this.#nextStep()
      if (step === undefined) {
        this.#disarmDeadline()
        return
      }
      this.#armDeadline()
      try {
        await step()
        pauseMs = RETRY_MS_MIN
      } catch (error) {
        if (ManagedLedgerError.is(error, 'LOG_FENCED')) {
          this.#owner.onFenced(error)
          return
        }
        this.#log.warn(
          { event: 'ledger.change_failed', reason: reasonOf(error) },
          'the ledgers of a log could not be changed; trying again'
        )
        await new Promise<void>(resolve => this.#clock.after(pauseMs, resolve))
        pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)
      }
    }
  }

  /** What stands between the queue and a ledger that takes it; undefined: nothing, or nothing waits. */
  #nextStep(): (() => Promise<void>) | undefined {
    const open = this.#open
    if (open?.failure !== undefined) return () => this.#recover(open)
    if (open?.isClosing === true) return () => this.#close(open)
    if (this.#finish !== undefined && this.#queue.sent === this.#sendable) {
      return open === undefined ? () => this.#end(this.#finish?.error) : () => this.#close(open)
    }
    if (open === undefined && (this.#queue.count > 0 || this.#isUnavailable)) return () => this.#openNext()
    return undefined
  }

  async #recover(open: OpenLedger): Promise<void> {
    const id = open.appender.ledgerId
    await this.#list.verifyOwner()
    const end = await this.#client.recover(id)
    if (this.#stopped !== undefined) return
    this.#onConfirmed(open, end.lastEntryId)
    this.#queue.sent = 0
    this.#onClosed(open)
  }

  async #close(open: OpenLedger): Promise<void> {
    open.isClosing = true
    let end: LedgerEnd
    try {
      end = await open.appender.close()
    } catch (error) {
      // Whatever it was, the writer is of no more use, and recovery closes a ledger too.
      this.#onFailed(open, asError(error))
      return
    }
    if (this.#stopped !== undefined || open.failure !== undefined) return
    assert(this.#queue.sent === 0, 'closed over entries that are not confirmed')
    assert.equal(
      end.lastEntryId + 1,
      this.#table.row(open.appender.ledgerId)?.entries,
      'closed elsewhere than confirmed'
    )
    this.#onClosed(open)
  }

  #onClosed(open: OpenLedger): void {
    this.#cancelAge?.()
    this.#open = undefined
    this.#list.close(open.appender.ledgerId, { isLast: this.#finish !== undefined && this.#sendable === 0 })
    this.#owner.onLedgerClosed()
    for (const gone of open.onGone.splice(0)) gone()
  }

  async #openNext(): Promise<void> {
    await this.#preparing
    let next = this.#ahead
    this.#ahead = undefined
    if (next?.failure !== undefined) {
      await this.#list.drop([next.appender.ledgerId])
      next = undefined
    }
    next ??= await this.#create()
    if (this.#stopped !== undefined) return
    this.#open = next
    this.#openedAtMs = this.#clock.nowMs()
    this.lastLedgerCreatedAtMs = this.#clock.wallMs()
    this.#isUnavailable = false
    this.#disarmDeadline()
    this.#armAge()
    this.#send(next)
  }

  async #create(): Promise<OpenLedger> {
    const holder: { made?: OpenLedger } = {}
    let early: Error | undefined
    const appender = await this.#list.create({
      onConfirmed: lac => {
        if (holder.made !== undefined) this.#onConfirmed(holder.made, lac)
      },
      onFailed: error => {
        if (holder.made === undefined) early = error
        else this.#onFailed(holder.made, error)
      }
    })
    const made = { appender, failure: early, isClosing: false, onGone: [] }
    holder.made = made
    return made
  }

  #prepareAhead(): void {
    if (this.#preparing !== undefined || this.#ahead !== undefined || this.#finish !== undefined) return
    this.#preparing = this.#create().then(
      made => {
        this.#preparing = undefined
        this.#ahead = made
      },
      () => {
        this.#preparing = undefined // the loop meets the same trouble when it needs the ledger, and handles it
      }
    )
  }

  /** Everything is closed: settle the rest. */
  async #end(error: Error | undefined): Promise<void> {
    assert(error !== undefined)
    await this.#preparing
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead !== undefined) await this.#list.drop([ahead.appender.ledgerId])
    this.stop(error)
  }

  // ---------------------------------------------------------------- failing

  #armDeadline(): void {
    this.#cancelDeadline ??= this.#clock.after(this.#deadlineMs, () => {
      this.#cancelDeadline = undefined
      if (this.#finish !== undefined) {
        this.stop(this.#finish.error, this.#storageFailed(true))
        return
      }
      if (this.#nextStep() === undefined) return
      this.#isUnavailable = true
      this.#failAll(this.#storageFailed(this.#queue.sent > 0))
    })
  }

  #disarmDeadline(): void {
    this.#cancelDeadline?.()
    this.#cancelDeadline = undefined
  }

  #failAll(error: Error): void {
    if (this.#finish !== undefined) this.#finish.drain = 0
    if (this.#queue.count === 0) return
    const listener = this.#listener
    for (let count = this.#queue.count; count > 0; count--) listener?.onAppendFailed(error, this.#queue.shift())
    listener?.onAppendsSettled()
  }

  #refuse(error: Error, context: Context): void {
    this.#listener?.onAppendFailed(error, context)
    this.#listener?.onAppendsSettled()
  }

  #storageFailed(inDoubt: boolean): Error {
    return ManagedLedgerError.create('STORAGE_FAILED', { name: this.#list.name, inDoubt })
  }
}
