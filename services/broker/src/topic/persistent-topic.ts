import { CodedError } from '@strata/base'
import { LATEST, type Position } from '@strata/cursor-protocol'
import type { AppendListener, Entry, LogPersistence, ManagedLedger } from '@strata/managed-ledger'
import { brokerError } from '../errors.ts'
import type { Subscription, SubscriptionHost } from '../contract.ts'
import { BacklogQuota } from '../limits/backlog-quota.ts'
import { TopicSettings } from '../limits/topic-settings.ts'
import { StorageMeter } from '../metrics/storage-meter.ts'
import type { EffectivePolicies } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import type { SubscriptionOptions } from '../subscription/index.ts'
import { BaseTopic } from './base-topic.ts'
import type { EntryStamper } from './entry-stamper.ts'
import type { Producer } from './producer.ts'
import type { Admission } from './producers.ts'
import type { Publication } from './publication.ts'
import { internalStatsOf, topicStatsOf } from './topic-stats.ts'
import type { SendFields, SubscribeRequest, Topic, TopicEnvironment, TopicEvents } from './topic.ts'

export const EPOCH_PROPERTY = 'pulsar.topic.epoch'

/** In flight, acknowledged, or changing a ledger: what takes longer is no matter of a moment. */
const HAND_OVER_MS_MAX = 2_000
const UNLOADED = { code: 'ServiceNotReady', message: 'Topic was unloaded' } as const

/** A log, and what its entries are stamped by. */
export interface TopicLog {
  readonly log: ManagedLedger<Publication>
  /** undefined: entries are stored as they come. */
  readonly stamper: EntryStamper | undefined
  /** How it is kept: whoever has the log says so here. */
  readonly keeping: { persistence: LogPersistence }
}

export interface PersistentTopicOptions extends TopicLog {
  readonly createdAtMs: number
  readonly policies: EffectivePolicies
  readonly events: TopicEvents
}

/**
 * A topic over its log.
 *
 * Invariants
 *   T1  A receipt goes out only after the log has the entry durably, in the order of the SENDs.
 *   T2  After an append failed no receipt follows: the topic is fenced, its clients are told to come again, and the
 *       registry loads it anew. Clients then send again what they got no receipt for.
 *   T3  Every publication taken is settled exactly once, whatever happens to the log.
 *   T4  Who is sent away by a close comes to a log that is closed: its next owner has nothing to recover. Who is sent away by
 *       a hand-over comes to a topic that is there already, over the log as it is.
 */
export class PersistentTopic extends BaseTopic implements Topic, AppendListener<Publication> {
  readonly log: ManagedLedger<Publication>
  storage: StorageMeter | undefined
  readonly #stamper: EntryStamper | undefined
  readonly #keeping: TopicLog['keeping']
  readonly #events: TopicEvents
  readonly #host: SubscriptionHost
  readonly #opening = new Map<string, Promise<Subscription>>()
  /** Of a topic whose backlog was ever limited. */
  #backlog: BacklogQuota | undefined
  #pendingPublications = 0
  #onDrained: (() => void) | undefined
  #failure: Error | undefined
  /** It closes by being handed over: whoever closes it must still begin. */
  #isHandedOver = false

  constructor(name: TopicName, env: TopicEnvironment, options: PersistentTopicOptions) {
    super(name, env, { epoch: epochOf(options.log), createdAtMs: options.createdAtMs, policies: options.policies })
    this.log = options.log
    this.#stamper = options.stamper
    this.#keeping = options.keeping
    this.#keeping.persistence = options.policies.persistence
    this.#events = options.events
    this.#host = {
      topic: this.fullName,
      partition: name.partitionIndex,
      log: this.log,
      clock: env.clock,
      logger: env.logger,
      dispatchPool: env.dispatchPool,
      settings: new TopicSettings(env.settings, this),
      traffic: this.namespaceTraffic,
      unacked: env.unacked,
      suspension: this.halt,
      dispatchLimits: name => this.dispatch.limitsOf(name),
      entryFilters: () => env.filters.of(this.policies.entryFilters)
    }
    this.log.setAppendListener(this)
    this.#limitBacklog()
    for (const cursor of this.log.cursors())
      if (cursor.isDurable) this.#register(cursor.name, { durable: true, cursor })
  }

  get isTerminated(): boolean {
    return this.log.isTerminated
  }

  get hasData(): boolean {
    return this.log.stats().entries > 0
  }

  get storedBytes(): number {
    return this.log.sizeBytes
  }

  /** What producers wait for: publications taken and not settled. */
  get pendingPublications(): number {
    return this.#pendingPublications
  }

  // ------------------------------------------------------------ publishing

  publish(producer: Producer, send: SendFields, payload: Buffer, payloadCrc?: number): void {
    const publication = this.publicationOf(producer, send, payload.length)
    if (this.env.suspension.isOn) {
      this.sendAway(producer, publication)
      return
    }
    if (this.currentState !== 'open' || this.#failure !== undefined) {
      producer.onLost(publication)
      this.env.publications.give(publication)
      return
    }
    this.countPublished(producer, send.numMessages, payload.length, send.isChunk)
    this.#pendingPublications++
    this.env.meters.storage.waiting++
    this.storage ??= new StorageMeter(this.env.clock, this.env.meters.publishLatency)
    this.storage.onTaken(publication, payload.length)
    if (this.#stamper === undefined) this.log.append(payload, send.numMessages, publication, payloadCrc)
    else this.log.append(this.#stamper.stamp(payload, send.numMessages), send.numMessages, publication)
  }

  onAppended(ledgerId: number, entryId: number, publication: Publication): void {
    const { producer } = publication
    this.env.meters.storage.stored++
    this.#stamper?.confirm(publication.messages)
    this.storage?.onStored(publication)
    this.#backlog?.onStored(publication.bytes)
    if (producer !== undefined) {
      // T2: once one append failed, what follows it must look lost too, or order would be broken.
      if (this.#failure === undefined) producer.onStored(publication, ledgerId, entryId)
      else producer.onLost(publication)
    }
    this.#settle(publication)
  }

  onAppendFailed(error: Error, publication: Publication): void {
    const { producer } = publication
    this.storage?.onLost(publication)
    if (error instanceof CodedError && error.code === 'LOG_TERMINATED') {
      producer?.onRefused(publication, 'TopicTerminatedError', 'Topic was already terminated')
    } else {
      this.#failure ??= error
      producer?.onLost(publication)
    }
    this.#settle(publication)
  }

  onAppendsSettled(): void {
    this.lastPublishedAtMs = this.env.clock.wallMs()
    if (this.#failure !== undefined) {
      this.#fence(this.#failure)
      return
    }
    for (const subscription of this.subscriptionsByName.values()) subscription.onEntriesAppended()
    if (this.#backlog?.isDue === true) this.#checkBacklogSoon()
  }

  #settle(publication: Publication): void {
    this.env.publications.give(publication)
    this.env.meters.storage.waiting--
    if (--this.#pendingPublications === 0) this.#onDrained?.()
  }

  // ------------------------------------------------------------ backlog

  override async addProducer(producer: Producer): Promise<Admission> {
    await this.#backlog?.requireRoom()
    return await super.addProducer(producer)
  }

  /** Does what the quotas of its backlog ask for. */
  async checkBacklog(): Promise<void> {
    if (this.currentState === 'open') await this.#backlog?.check()
  }

  /** Age of the oldest message in the backlog, in seconds, as of the last check; -1: not known. */
  get oldestBacklogAgeSeconds(): number {
    return this.#backlog?.oldestAgeSeconds ?? -1
  }

  protected override onPoliciesChanged(before: EffectivePolicies): void {
    this.#keeping.persistence = this.policies.persistence
    const { size, age } = this.policies.backlog
    const isSame = (one: typeof size, other: typeof size): boolean =>
      one?.limit === other?.limit && one?.action === other?.action
    if (isSame(size, before.backlog.size) && isSame(age, before.backlog.age)) return
    this.#limitBacklog()
    if (this.env.settings.backlogQuotaCheckEnabled) this.#checkBacklogSoon()
  }

  #limitBacklog(): void {
    const { backlog } = this.policies
    if (this.#backlog === undefined && backlog.size === undefined && backlog.age === undefined) return
    if (this.#backlog !== undefined) {
      this.#backlog.setLimits(backlog)
      return
    }
    const { clock, settings } = this.env
    const host = {
      ...{ log: this.log, clock, settings },
      publishTimeMs: (entry: Entry) => this.env.publishTimeMs(entry),
      subscriptions: () => this.subscriptionsByName.values(),
      sendProducersAway: () => {
        this.disconnectProducers({ code: 'ServiceNotReady', message: 'The backlog is over its quota' })
      }
    }
    this.#backlog = new BacklogQuota(host, backlog)
  }

  #checkBacklogSoon(): void {
    this.checkBacklog().catch((error: unknown) => {
      this.warn('topic.backlog_check_failed', error)
    })
  }

  // ------------------------------------------------------------ subscriptions

  protected async subscriptionFor(request: SubscribeRequest): Promise<Subscription> {
    const { subscriptionName: name, consumer } = request
    const existing = this.subscriptionsByName.get(name) ?? (await this.#opening.get(name))
    if (existing !== undefined) {
      if (existing.isDurable !== consumer.durable) refuseDurability(existing.isDurable)
      await this.#rollBack(existing, request)
      return existing
    }
    if (consumer.durable && !request.mayCreate) {
      throw brokerError('SubscriptionNotFound', `Subscription ${name} does not exist on ${this.fullName}`)
    }
    this.requireRoomForSubscription()
    const subscription = consumer.durable
      ? await this.createSubscription(name, { position: request.initialPosition, properties: request.properties })
      : this.#openNonDurable(request)
    await this.#rollBack(subscription, request)
    return subscription
  }

  async createSubscription(
    name: string,
    options: { position: 'latest' | 'earliest' | Position; properties: Readonly<Record<string, string>> }
  ): Promise<Subscription> {
    this.requireOpen()
    const running = this.#opening.get(name)
    if (running !== undefined) return await running
    const opening = this.during(async () => {
      const cursor = await this.log.openCursor(name, { initial: options.position, properties: options.properties })
      this.requireOpen()
      return this.#register(name, { durable: true, cursor })
    })
    this.#opening.set(name, opening)
    try {
      return await opening
    } finally {
      this.#opening.delete(name)
    }
  }

  async deleteSubscription(name: string): Promise<void> {
    const subscription = this.subscriptionOf(name)
    await this.during(async () => {
      this.subscriptionsByName.delete(name)
      await subscription.close()
      if (subscription.isDurable) await this.log.deleteCursor(name)
    })
  }

  protected dropSubscription(subscription: Subscription): void {
    subscription
      .close()
      .then(() => this.#dropCursor(subscription))
      .catch((error: unknown) => {
        this.warn('subscription.close_failed', error)
      })
  }

  async #dropCursor(subscription: Subscription): Promise<void> {
    // The name may have been taken again by now, by another cursor.
    if (this.log.cursor(subscription.name) === subscription.cursor) await this.log.deleteCursor(subscription.name)
  }

  #register(name: string, options: SubscriptionOptions): Subscription {
    const subscription = this.env.createSubscription(this.#host, name, options)
    this.subscriptionsByName.set(name, subscription)
    return subscription
  }

  #openNonDurable(request: SubscribeRequest): Subscription {
    const start = request.startPosition ?? (request.initialPosition === 'latest' ? LATEST : this.log.firstPosition)
    return this.#register(request.subscriptionName, { durable: false, start: this.log.clamp(start) })
  }

  async #rollBack(subscription: Subscription, request: SubscribeRequest): Promise<void> {
    if (request.rollbackSeconds <= 0 || subscription.consumers.length > 0) return
    await subscription.seek({ publishTimeMs: this.env.clock.wallMs() - request.rollbackSeconds * 1000 })
  }

  // ------------------------------------------------------------ life

  /** No message is taken afterwards; producers are sent away, and learn why when they come back. Resolves with the last position. */
  async terminate(): Promise<Position> {
    this.requireOpen()
    const last = await this.during(() => this.log.terminate())
    this.disconnectProducers({ code: 'TopicTerminatedError', message: 'Topic was already terminated' })
    for (const subscription of this.subscriptionsByName.values()) subscription.onTerminated()
    return last
  }

  /**
   * What a hand-over needs and what can be done while everything goes on: acknowledgements are made durable, and the ledger is
   * closed, with the next one ready. False: storage does not do it soon.
   */
  async prepareHandOver(): Promise<boolean> {
    const durable = this.log.cursors().find(({ isDurable }) => isDurable)
    const ready = Promise.all([durable?.flush(), this.log.roll()]).then(() => undefined)
    try {
      return await this.#within(HAND_OVER_MS_MAX, ready)
    } catch (error) {
      this.warn('topic.hand_over_failed', error)
      return false
    }
  }

  /**
   * The end of this object, not of its log: once what is in flight was answered, `take` makes another topic over the log, and
   * then clients are sent away. False: it cannot be done so, or `take` refused; it is closing, and `close` ends that.
   */
  async handOver(take: (log: TopicLog) => boolean, next: BrokerAddress | undefined): Promise<boolean> {
    if (this.currentState !== 'open') return false
    this.currentState = 'closing'
    this.#isHandedOver = true
    if (this.#pendingPublications > 0 && !(await this.#within(HAND_OVER_MS_MAX, this.#allSettled()))) return false
    // Whoever is about to change a subscription would go on with the one that ends here.
    const isQuiet =
      !this.isInOperation && [...this.subscriptionsByName.values()].every(({ isResetting }) => !isResetting)
    if (
      this.#failure !== undefined ||
      !isQuiet ||
      !take({ log: this.log, stamper: this.#stamper, keeping: this.#keeping })
    )
      return false
    const passing = [...this.subscriptionsByName.values()].filter(({ isDurable }) => !isDurable)
    const gone = this.disconnectAll(UNLOADED, next)
    this.currentState = 'closed'
    for (const subscription of passing) this.dropSubscription(subscription)
    await gone
    return true
  }

  /** T4, unless storage keeps it waiting: then clients are told before. */
  async close(next?: BrokerAddress): Promise<void> {
    if (this.currentState !== 'open' && !(this.#isHandedOver && this.currentState === 'closing')) return
    this.currentState = 'closing'
    this.#isHandedOver = false
    await this.#drained()
    const closed = this.log.close()
    await this.#within(this.env.settings.brokerShutdownTimeoutMs / 2, closed)
    await this.disconnectAll(UNLOADED, next)
    await closed
    this.currentState = 'closed'
  }

  async drop(next: BrokerAddress | undefined): Promise<void> {
    if (this.currentState !== 'open' && this.currentState !== 'closing') return
    this.currentState = 'fenced'
    this.log.abandon()
    await this.disconnectAll({ code: 'ServiceNotReady', message: 'Topic is served elsewhere' }, next)
    this.currentState = 'closed'
  }

  protected async saveEpoch(epoch: bigint): Promise<void> {
    await this.log.putProperties({ [EPOCH_PROPERTY]: String(epoch) })
  }

  async #drained(): Promise<void> {
    if (this.#pendingPublications === 0) return
    await this.#within(this.env.settings.brokerShutdownTimeoutMs / 2, this.#allSettled())
  }

  #allSettled(): Promise<void> {
    return new Promise(resolve => (this.#onDrained = resolve))
  }

  /** False: it takes longer. */
  async #within(timeoutMs: number, done: Promise<void>): Promise<boolean> {
    let cancel: () => void = () => undefined
    const late = new Promise<boolean>(resolve => {
      cancel = this.env.clock.after(timeoutMs, () => {
        resolve(false)
      })
    })
    try {
      return await Promise.race([done.then(() => true), late])
    } finally {
      cancel()
    }
  }

  /** T2. */
  #fence(error: Error): void {
    if (this.currentState !== 'open') return
    this.currentState = 'fenced'
    this.warn('topic.fenced', error)
    const left = this.#leave({ code: 'ServiceNotReady', message: 'Topic is temporarily unavailable' })
    this.#events.onFenced(this, left)
  }

  async #leave(reason: { code: 'ServiceNotReady'; message: string }): Promise<void> {
    await this.disconnectAll(reason)
    try {
      await this.log.close()
    } finally {
      this.currentState = 'closed'
    }
  }

  // ------------------------------------------------------------ numbers

  stats(): Record<string, unknown> {
    const log = this.log.stats()
    return topicStatsOf(this, this.env, {
      storageBytes: log.sizeBytes,
      pendingAppends: log.pendingAppends,
      oldestBacklogAgeSeconds: this.oldestBacklogAgeSeconds
    })
  }

  internalStats(): Record<string, unknown> {
    return internalStatsOf(this.log)
  }
}

function epochOf(log: ManagedLedger<Publication>): bigint | undefined {
  const text = log.properties[EPOCH_PROPERTY]
  return text === undefined || !/^\d+$/.test(text) ? undefined : BigInt(text)
}

function refuseDurability(existingIsDurable: boolean): never {
  const kind = existingIsDurable ? 'Durable' : 'Non-durable'
  throw brokerError('NotAllowedError', `${kind} subscription with the same name already exists.`)
}
