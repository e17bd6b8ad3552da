import type { Clock } from '@strata/base'
import { comparePositions, samePosition, type Position } from '@strata/cursor-protocol'
import type { Cursor, Entry, ManagedLedger } from '@strata/managed-ledger'
import type { BrokerSettings } from '../config/settings.ts'
import type { Subscription } from '../contract.ts'
import { brokerError } from '../errors.ts'
import type { BacklogLimits } from '../namespace/effective-policies.ts'
import type { QuotaAction } from '../namespace/policy-quotas.ts'

/** Past its quota, a backlog is brought down to this part of it. */
const EVICTED_TO = 0.9
/** The size is measured again after so much of the limit was stored, at the earliest: measuring asks every cursor. */
const MEASURED_AT_LEAST_BY = 64
/** How old an answer may be that a producer is refused by. */
const VERDICT_MS = 1000

export interface BacklogHost {
  readonly log: ManagedLedger
  readonly clock: Clock
  readonly settings: BrokerSettings
  publishTimeMs(entry: Entry): number
  subscriptions(): Iterable<Subscription>
  /** They come back, and are refused for as long as there is no room. */
  sendProducersAway(): void
}

/**
 * The backlog of one topic, which is that of its slowest durable subscription, against its quotas.
 *
 * Nothing is counted for it. What was stored since the size was last measured says when it can be over again at the earliest,
 * so publishing costs a subtraction, and measuring is rare. The oldest message is read once for each place of the slowest cursor.
 */
export class BacklogQuota {
  /** Of the oldest message in the backlog, as of the last check; -1: none, or not asked. */
  oldestAgeSeconds = -1
  readonly #host: BacklogHost
  #limits: BacklogLimits
  #roomBytes = 0
  #refusal: { readonly action: QuotaAction | undefined; readonly atMs: number } | undefined
  #oldest: { readonly position: Position; readonly publishedAtMs: number } | undefined
  #checking: Promise<void> | undefined

  constructor(host: BacklogHost, limits: BacklogLimits) {
    this.#host = host
    this.#limits = limits
  }

  setLimits(limits: BacklogLimits): void {
    this.#limits = limits
    this.#roomBytes = 0
    this.#refusal = undefined
  }

  onStored(bytes: number): void {
    this.#roomBytes -= bytes
  }

  /** It may be over its size since the last check. */
  get isDue(): boolean {
    return this.#roomBytes <= 0 && this.#limits.size !== undefined && this.#host.settings.backlogQuotaCheckEnabled
  }

  /** Does what the quotas ask for. One at a time. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  /** @throws BrokerError ProducerBlockedQuotaExceededError, ProducerBlockedQuotaExceededException */
  async requireRoom(): Promise<void> {
    const nowMs = this.#host.clock.nowMs()
    if (this.#refusal === undefined || nowMs - this.#refusal.atMs > VERDICT_MS) {
      this.#refusal = { action: await this.#refusingAction(), atMs: nowMs }
    }
    const { action } = this.#refusal
    if (action === undefined) return
    throw brokerError(
      action === 'producer_exception' ? 'ProducerBlockedQuotaExceededException' : 'ProducerBlockedQuotaExceededError',
      'Cannot create producer on topic with backlog quota exceeded'
    )
  }

  async #refusingAction(): Promise<QuotaAction | undefined> {
    const { size, age } = this.#limits
    if (size !== undefined && isRefusing(size.action) && this.#measure() >= size.limit) return size.action
    if (age !== undefined && isRefusing(age.action) && (await this.#isTooOld(age.limit))) return age.action
    return undefined
  }

  async #check(): Promise<void> {
    const { size, age } = this.#limits
    if (size !== undefined && this.#measure() >= size.limit) await this.#enforce(size.action, () => this.#evictTo(size))
    if (age !== undefined && (await this.#isTooOld(age.limit))) {
      await this.#enforce(age.action, () => this.#evictOlderThan(age.limit))
    }
  }

  async #enforce(action: QuotaAction, evict: () => Promise<void>): Promise<void> {
    if (action === 'consumer_backlog_eviction') {
      await evict()
      return
    }
    this.#refusal = { action, atMs: this.#host.clock.nowMs() }
    this.#host.sendProducersAway()
  }

  /** Bytes that wait for the slowest. */
  #measure(): number {
    let bytes = 0
    for (const cursor of this.#cursors()) bytes = Math.max(bytes, cursor.backlogBytes())
    const limit = this.#limits.size?.limit ?? 0
    this.#roomBytes = Math.max(limit - bytes, limit / MEASURED_AT_LEAST_BY, 1)
    return bytes
  }

  async #evictTo({ limit }: { limit: number }): Promise<void> {
    const target = limit * EVICTED_TO
    for (const subscription of [...this.#host.subscriptions()]) {
      const { cursor } = subscription
      if (cursor?.isDurable !== true) continue
      for (let bytes = cursor.backlogBytes(); bytes > target;) {
        await subscription.skip(Math.ceil((cursor.backlogEntries() * (bytes - target)) / bytes))
        const left = cursor.backlogBytes()
        if (left >= bytes) break
        bytes = left
      }
    }
    this.#measure()
  }

  /** By the messages' own times, or, where that is not asked for, by whole ledgers and when they were closed. */
  async #evictOlderThan(seconds: number): Promise<void> {
    const { clock, settings } = this.#host
    const last = settings.preciseTimeBasedBacklogQuotaCheck ? undefined : this.#lastClosedBefore(seconds)
    for (const subscription of [...this.#host.subscriptions()]) {
      if (subscription.cursor?.isDurable !== true) continue
      if (last !== undefined) await subscription.expireUpTo(last)
      else await subscription.expireBefore(clock.wallMs() - seconds * 1000 * EVICTED_TO)
    }
  }

  async #isTooOld(seconds: number): Promise<boolean> {
    const { log, clock, settings } = this.#host
    const slowest = this.#slowest()
    this.oldestAgeSeconds = -1
    if (slowest === undefined) return false
    if (!settings.preciseTimeBasedBacklogQuotaCheck) {
      const last = this.#lastClosedBefore(seconds)
      return last !== undefined && comparePositions(last, slowest) > 0
    }
    const position = log.nextPosition(slowest)
    if (this.#oldest === undefined || !samePosition(this.#oldest.position, position)) {
      const entry = await log.readOne(position)
      if (entry === undefined) return false
      this.#oldest = { position, publishedAtMs: this.#host.publishTimeMs(entry) }
    }
    const ageMs = clock.wallMs() - this.#oldest.publishedAtMs
    this.oldestAgeSeconds = Math.max(0, Math.floor(ageMs / 1000))
    return ageMs > seconds * 1000
  }

  /** The last entry of the last ledger that was closed longer ago than this. */
  #lastClosedBefore(seconds: number): Position | undefined {
    const untilMs = this.#host.clock.wallMs() - seconds * 1000
    const ledgers = this.#host.log.stats().ledgers
    const last = ledgers.findLast(({ closedAtMs, entries }) => entries > 0 && (closedAtMs ?? Infinity) < untilMs)
    return last === undefined ? undefined : { ledgerId: last.ledgerId, entryId: last.entries - 1 }
  }

  /** Where the slowest durable cursor stands that has something before it. */
  #slowest(): Position | undefined {
    let slowest: Position | undefined
    for (const { markDelete } of this.#cursors()) {
      if (slowest === undefined || comparePositions(markDelete, slowest) < 0) slowest = markDelete
    }
    if (slowest === undefined || comparePositions(slowest, this.#host.log.lastConfirmed) >= 0) return undefined
    return slowest
  }

  #cursors(): readonly Cursor[] {
    return this.#host.log.cursors().filter(({ isDurable }) => isDurable)
  }
}

function isRefusing(action: QuotaAction): boolean {
  return action !== 'consumer_backlog_eviction'
}
