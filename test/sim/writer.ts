import { asError, CodedError, type EntryId, type LedgerId } from '@strata/base'
import type { LedgerAppender, LedgerEnd } from '@strata/ledger-client'
import { Actor } from './actor.ts'
import type { LedgerHistory } from './history.ts'
import { withClosed, withLedger, without } from './log-record.ts'
import { payloadOf } from './payload.ts'

export interface WriterPlan {
  /** Appends in all. */
  readonly entries: number
  /** Entries after which a ledger is closed and the next one begun. */
  readonly rollOverEntries: number
  /** At most so many are appended in one turn. */
  readonly burst: number
  readonly pauseMs: number
  /** Of a closed ledger being deleted, at each roll-over. */
  readonly deleteChance: number
}

const PENDING_BYTES_MAX = 16 * 1024

/**
 * An owner of a log, as a broker is one: raises the epoch, recovers what is not closed, then appends to one ledger after
 * another. Fenced, it goes on only if it is still the owner.
 */
export class Writer extends Actor {
  readonly #plan: WriterPlan
  #left: number
  #epoch = 0
  #appender: LedgerAppender | undefined
  isDone = false

  constructor(
    world: Actor['world'],
    options: { name: string; log: string; random: Actor['random']; plan: WriterPlan }
  ) {
    super(world, options)
    this.#plan = options.plan
    this.#left = options.plan.entries
  }

  get writing(): LedgerId | undefined {
    return this.process.isDead ? undefined : this.#appender?.ledgerId
  }

  /** Appends no more; what is under way is brought to its end. */
  finish(): void {
    this.#left = 0
  }

  start(): void {
    this.begin(async () => {
      const taken = await this.untilDone(() => this.log.takeOver(), [])
      this.#epoch = taken?.epoch ?? 0
      this.tell(() => `owns the log, epoch ${this.#epoch}`)
      for (const { ledgerId, isClosed } of taken?.ledgers ?? []) {
        if (!isClosed && !(await this.#settle(ledgerId))) return this.#end('lost the log')
      }
      while (this.#left > 0) if (!(await this.#writeLedger())) return this.#end('lost the log')
      this.#end('has written everything')
    })
  }

  #end(why: string): void {
    this.tell(why)
    this.isDone = true
  }

  /** Recovers a ledger of the log and marks it closed. False: the log has another owner. */
  async #settle(id: LedgerId): Promise<boolean> {
    await this.recover(id)
    const marked = await this.untilDone(() => this.log.change(this.#epoch, record => withClosed(record, id)), [])
    return marked !== undefined
  }

  async #writeLedger(): Promise<boolean> {
    const now: { ledger: LedgerHistory | undefined; failed: Error | undefined } = {
      ledger: undefined,
      failed: undefined
    }
    const { history } = this.world
    const checkAcks = this.world.checkAcks.bind(this.world)
    const listener = {
      onConfirmed: (lac: EntryId) => {
        if (now.ledger === undefined) return
        checkAcks(now.ledger, lac)
        history.acked(now.ledger, lac)
      },
      onFailed: (error: Error) => {
        now.failed = error
        if (now.ledger !== undefined) now.ledger.isWriterFailed = true
        this.tell(() => `its ledger ends: ${error.message}`)
      }
    }
    const appender = await this.untilDone(() => this.client.create({ owner: this.name, listener }), [])
    if (appender === undefined) return false
    const id = appender.ledgerId
    const ledger = history.created(id, this.name)
    now.ledger = ledger
    this.#appender = appender
    this.tell(() => `begins ledger ${id}`)
    const listed = await this.untilDone(() => this.log.change(this.#epoch, record => withLedger(record, id)), [])
    if (listed === undefined) return false
    const hasFailed = (): boolean => now.failed !== undefined
    await this.#appendTo(appender, ledger, hasFailed)
    const end = await this.#close(appender)
    this.#appender = undefined
    if (end === undefined) return this.#settle(id)
    history.ended(id, end, this.name)
    if (history.isRecovering(id)) history.races.recoveryWithRollOver++
    const marked = await this.untilDone(() => this.log.change(this.#epoch, record => withClosed(record, id)), [])
    return marked !== undefined && this.#trim()
  }

  async #appendTo(appender: LedgerAppender, ledger: LedgerHistory, hasFailed: () => boolean): Promise<void> {
    const { rollOverEntries, burst, pauseMs } = this.#plan
    while (this.#left > 0 && ledger.tags.length < rollOverEntries && !hasFailed()) {
      if (appender.pendingBytes < PENDING_BYTES_MAX) {
        for (let i = this.random.int(burst); i >= 0 && !hasFailed(); i--) this.#append(appender, ledger)
      }
      await this.pause(this.random.skewed(0, pauseMs))
    }
  }

  #append(appender: LedgerAppender, ledger: LedgerHistory): void {
    this.#left--
    const tag = this.random.int(0x1_0000_0000)
    ledger.tags.push(tag) // before it is sent, which may be within the call
    this.world.history.counts.appended++
    appender.append(payloadOf(tag))
  }

  /** undefined: it failed; the ledger is to be recovered. */
  async #close(appender: LedgerAppender): Promise<LedgerEnd | undefined> {
    try {
      return await appender.close()
    } catch (error) {
      if (!(error instanceof CodedError)) throw asError(error)
      return undefined
    }
  }

  /** Now and then the oldest closed ledger is no longer wanted. */
  async #trim(): Promise<boolean> {
    if (!this.random.chance(this.#plan.deleteChance)) return true
    const record = await this.untilDone(() => this.log.read(), [])
    const oldest = record?.ledgers[0]
    if (record === undefined || oldest?.isClosed !== true || record.ledgers.length < 2) return true
    const id = oldest.ledgerId
    const unlisted = await this.untilDone(() => this.log.change(this.#epoch, before => without(before, id)), [])
    if (unlisted === undefined) return false
    await this.delete(id)
    return true
  }
}
