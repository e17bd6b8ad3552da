import { EARLIEST, type Position } from '@strata/cursor-protocol'
import { brokerError } from '../errors.ts'
import type { Subscription, SubscriptionHost } from '../contract.ts'
import { TopicSettings } from '../limits/topic-settings.ts'
import type { EffectivePolicies } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import { BaseTopic } from './base-topic.ts'
import type { Producer } from './producer.ts'
import { topicStatsOf } from './topic-stats.ts'
import type { SendFields, SubscribeRequest, Topic, TopicEnvironment } from './topic.ts'

/** Stores nothing: a message goes to whoever can take it now, or is dropped by the subscription, which counts it. */
export class NonPersistentTopic extends BaseTopic implements Topic {
  readonly isTerminated = false
  readonly hasData = false
  readonly storage = undefined
  readonly storedBytes = 0
  readonly log = undefined
  readonly #host: SubscriptionHost
  /** Names asked for as durable: they outlast their consumers as long as the topic is in memory. */
  readonly #lasting = new Set<string>()

  constructor(name: TopicName, env: TopicEnvironment, options: { createdAtMs: number; policies: EffectivePolicies }) {
    super(name, env, { epoch: undefined, ...options })
    this.#host = {
      topic: this.fullName,
      partition: name.partitionIndex,
      log: undefined,
      clock: env.clock,
      logger: env.logger,
      dispatchPool: env.dispatchPool,
      settings: new TopicSettings(env.settings, this),
      traffic: this.namespaceTraffic,
      suspension: this.halt,
      entryFilters: () => env.filters.of(this.policies.entryFilters)
    }
  }

  publish(producer: Producer, send: SendFields, payload: Buffer): void {
    const publication = this.publicationOf(producer, send, payload.length)
    if (this.env.suspension.isOn) {
      this.sendAway(producer, publication)
      return
    }
    if (this.currentState === 'open') {
      this.countPublished(producer, send.numMessages, payload.length, send.isChunk)
      this.lastPublishedAtMs = this.env.clock.wallMs()
      for (const subscription of this.subscriptionsByName.values()) {
        subscription.onMessage({ ledgerId: 0, entryId: 0, payload })
      }
      producer.onStored(publication, 0, 0)
    } else producer.onLost(publication)
    this.env.publications.give(publication)
  }

  protected subscriptionFor(request: SubscribeRequest): Promise<Subscription> {
    if (request.consumer.readCompacted) {
      throw brokerError('NotAllowedError', 'readCompacted only valid on persistent topics')
    }
    const existing = this.subscriptionsByName.get(request.subscriptionName)
    if (existing !== undefined) return Promise.resolve(existing)
    this.requireRoomForSubscription()
    if (request.consumer.durable) this.#lasting.add(request.subscriptionName)
    return this.#made(request.subscriptionName, request.properties)
  }

  createSubscription(
    name: string,
    { properties }: { position: 'latest' | 'earliest' | Position; properties: Readonly<Record<string, string>> }
  ): Promise<Subscription> {
    this.requireOpen()
    this.#lasting.add(name)
    const existing = this.subscriptionsByName.get(name)
    return existing === undefined ? this.#made(name, properties) : Promise.resolve(existing)
  }

  async #made(name: string, properties: Readonly<Record<string, string>>): Promise<Subscription> {
    const subscription = this.#register(name)
    await subscription.setProperties(properties)
    return subscription
  }

  async deleteSubscription(name: string): Promise<void> {
    const subscription = this.subscriptionOf(name)
    this.subscriptionsByName.delete(name)
    this.#lasting.delete(name)
    await subscription.close()
  }

  override onConsumerLeft(subscription: Subscription): void {
    if (this.#lasting.has(subscription.name)) this.touch()
    else super.onConsumerLeft(subscription)
  }

  async close(next?: BrokerAddress): Promise<void> {
    if (this.currentState !== 'open') return
    this.currentState = 'closing'
    await this.disconnectAll({ code: 'ServiceNotReady', message: 'Topic was unloaded' }, next)
    this.currentState = 'closed'
  }

  drop(next: BrokerAddress | undefined): Promise<void> {
    return this.close(next)
  }

  /** Lives as long as the topic is in memory, like all else of it. */
  protected saveEpoch(): Promise<void> {
    return Promise.resolve()
  }

  protected dropSubscription(subscription: Subscription): void {
    subscription.close().catch((error: unknown) => {
      this.warn('subscription.close_failed', error)
    })
  }

  #register(name: string): Subscription {
    const subscription = this.env.createSubscription(this.#host, name, { durable: false, start: EARLIEST })
    this.subscriptionsByName.set(name, subscription)
    return subscription
  }

  stats(): Record<string, unknown> {
    return topicStatsOf(this, this.env, { storageBytes: 0, pendingAppends: 0 })
  }

  internalStats(): Record<string, unknown> {
    return { entriesAddedCounter: this.traffic.messages.total, numberOfEntries: 0, totalSize: 0, cursors: {} }
  }
}
