import { reasonOf } from '@strata/base'
import { brokerError, type BrokerErrorCode } from '../errors.ts'
import type { Consumer, Subscription } from '../contract.ts'
import { PublishThrottle } from '../limits/publish-throttle.ts'
import { SubscribeThrottle } from '../limits/subscribe-throttle.ts'
import { TopicDispatch } from '../limits/topic-dispatch.ts'
import type { EffectivePolicies } from '../namespace/policies.ts'
import type { TrafficTotals } from '../metrics/traffic-book.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { SampledSubscription } from '../subscription/index.ts'
import { Producers, type Admission } from './producers.ts'
import type { Producer } from './producer.ts'
import type { Publication } from './publication.ts'
import { Meter, Traffic } from './rate.ts'
import type { Suspension } from './suspension.ts'
import type { SendFields, SubscribeRequest, TopicEnvironment, TopicState } from './topic.ts'

const RESERVED_SUBSCRIPTION_PREFIXES = ['pulsar.repl', 'pulsar.dedup', '__compaction']

interface BaseTopicOptions {
  /** Topic epoch that was last granted. */
  readonly epoch: bigint | undefined
  readonly createdAtMs: number
  readonly policies: EffectivePolicies
}

/** What persistent and non-persistent topics share: who uses them, limits, counters, and being unused. */
export abstract class BaseTopic {
  readonly name: TopicName
  readonly fullName: string
  readonly producers: Producers
  readonly traffic = new Traffic()
  readonly chunks = new Meter()
  readonly createdAtMs: number
  /** Of its namespace. */
  protected readonly namespaceTraffic: TrafficTotals
  lastPublishedAtMs = 0
  /** Of a topic whose publish rate was ever limited. */
  publishThrottle: PublishThrottle | undefined
  protected readonly dispatch: TopicDispatch
  /** Of a topic whose consumers were ever limited in how often they subscribe. */
  #subscribeThrottle: SubscribeThrottle | undefined
  #policies: EffectivePolicies
  protected readonly env: TopicEnvironment
  /** Nothing is sent while the broker is out of touch, and none once the topic is leaving. */
  protected readonly halt: Suspension
  protected readonly subscriptionsByName = new Map<string, SampledSubscription>()
  protected currentState: TopicState = 'open'
  #operations = 0
  #idleSinceMs: number

  constructor(name: TopicName, env: TopicEnvironment, options: BaseTopicOptions) {
    this.name = name
    this.fullName = name.toString()
    this.env = env
    this.namespaceTraffic = env.meters.traffic.of(name.namespace)
    this.createdAtMs = options.createdAtMs
    this.#policies = options.policies
    this.#limitPublishing()
    this.dispatch = new TopicDispatch({ env, traffic: this.traffic, policies: options.policies })
    const isHalted = (): boolean => env.suspension.isOn || this.currentState !== 'open'
    this.halt = {
      get isOn() {
        return isHalted()
      }
    }
    this.#idleSinceMs = env.clock.nowMs()
    this.producers = new Producers(
      {
        topic: this.fullName,
        maxProducers: () => this.policies.maxProducersPerTopic,
        saveEpoch: epoch => this.saveEpoch(epoch)
      },
      options.epoch
    )
  }

  get policies(): EffectivePolicies {
    return this.#policies
  }

  /** Replaced when policies of the topic or its namespace change. What waits because of the old ones is looked at anew. */
  set policies(policies: EffectivePolicies) {
    const before = this.#policies
    this.#policies = policies
    this.#limitPublishing()
    if (!policies.isServedHere) this.suspend()
    this.dispatch.setPolicies(policies)
    for (const subscription of this.subscriptionsByName.values()) subscription.resume()
    this.onPoliciesChanged(before)
  }

  protected onPoliciesChanged(_before: EffectivePolicies): void {}

  #limitPublishing(): void {
    const { publishRate, resourceGroup } = this.#policies
    const shared = resourceGroup === undefined ? undefined : this.env.resourceGroups.of(resourceGroup).publish
    const isLimited = publishRate.messagesPerSecond > 0 || publishRate.bytesPerSecond > 0 || shared !== undefined
    if (isLimited) this.publishThrottle ??= new PublishThrottle(this.env.clock)
    this.publishThrottle?.setRate(publishRate)
    this.publishThrottle?.setShared(shared)
  }

  get state(): TopicState {
    return this.currentState
  }

  get subscriptions(): ReadonlyMap<string, SampledSubscription> {
    return this.subscriptionsByName
  }

  get idleSinceMs(): number | undefined {
    if (this.#operations > 0 || this.producers.size > 0 || this.producers.waitingCount > 0) return undefined
    for (const subscription of this.subscriptionsByName.values())
      if (subscription.consumers.length > 0) return undefined
    return this.#idleSinceMs
  }

  /** Somebody is creating, changing or deleting something of it. */
  protected get isInOperation(): boolean {
    return this.#operations > 0
  }

  async addProducer(producer: Producer): Promise<Admission> {
    this.requireOpen()
    this.requireNotTerminated()
    return await this.during(async () => {
      const admission = await this.producers.admit(producer)
      if (!this.halt.isOn) return admission
      this.producers.remove(producer)
      return this.refuseFenced()
    })
  }

  removeProducer(producer: Producer): void {
    this.producers.remove(producer)
    this.touch()
  }

  async subscribe(request: SubscribeRequest): Promise<Consumer> {
    this.requireOpen()
    this.#checkSubscribe(request)
    return await this.during(async () => {
      const subscription = await this.subscriptionFor(request)
      this.requireOpen()
      const consumer = await subscription.subscribe(request.consumer)
      if (!this.halt.isOn) return consumer
      consumer.leave()
      return this.refuseFenced()
    })
  }

  onConsumerLeft(subscription: Subscription): void {
    this.touch()
    // A consumer that left while messages were being handed out is taken off the list right after.
    if (!subscription.isDurable) {
      queueMicrotask(() => {
        this.#dropIfAbandoned(subscription)
      })
    }
  }

  #dropIfAbandoned(subscription: Subscription): void {
    if (subscription.consumers.length > 0) return
    if (this.subscriptionsByName.get(subscription.name) !== subscription) return
    this.subscriptionsByName.delete(subscription.name)
    this.dropSubscription(subscription)
  }

  sample(elapsedSeconds: number): void {
    this.traffic.sample(elapsedSeconds)
    this.chunks.sample(elapsedSeconds)
    for (const producer of this.producers.values()) producer.sample(elapsedSeconds)
    const nowMs = this.env.clock.nowMs()
    for (const subscription of this.subscriptionsByName.values()) subscription.sample(nowMs)
    if (this.dispatch.onSampled()) this.resume()
  }

  abstract get isTerminated(): boolean
  protected abstract saveEpoch(epoch: bigint): Promise<void>
  protected abstract subscriptionFor(request: SubscribeRequest): Promise<Subscription>
  protected abstract dropSubscription(subscription: Subscription): void

  /** Marks use from the start of a change to its end. */
  protected async during<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#operations++
    try {
      return await run()
    } finally {
      this.#operations--
      this.touch()
    }
  }

  protected touch(): void {
    this.#idleSinceMs = this.env.clock.nowMs()
  }

  protected requireOpen(): void {
    if (!this.#policies.isServedHere) this.#refuseElsewhere()
    if (this.currentState !== 'open' || this.env.suspension.isOn) this.refuseFenced()
  }

  /** A producer that publishes while nothing may begin is sent away: what it sent it sends again, wherever it comes to. */
  protected sendAway(producer: Producer, publication: Publication): void {
    const { connection, producerId } = producer.options
    producer.isClosed = true
    producer.onLost(publication)
    this.env.publications.give(publication)
    this.removeProducer(producer)
    connection.closeProducer(producerId)
  }

  suspend(): void {
    // who only waits, for a message or for a receipt that storage holds up, would wait here until it is over
    this.disconnectProducers({ code: 'ServiceNotReady', message: 'Topic is temporarily unavailable' })
    for (const subscription of [...this.subscriptionsByName.values()]) subscription.disconnect()
  }

  resume(): void {
    for (const subscription of this.subscriptionsByName.values()) subscription.resume()
  }

  protected refuseFenced(): never {
    throw brokerError('ServiceNotReady', 'Topic is temporarily unavailable')
  }

  #refuseElsewhere(): never {
    throw brokerError('MetadataError', `The clusters of ${this.fullName} leave out this one`)
  }

  protected requireNotTerminated(): void {
    if (this.isTerminated) throw brokerError('TopicTerminatedError', 'Topic was already terminated')
  }

  /** Tells every producer and consumer to come again. No receipt goes out afterwards. */
  protected async disconnectAll(
    reason: { code: BrokerErrorCode; message: string },
    next?: BrokerAddress
  ): Promise<void> {
    this.disconnectProducers(reason, next)
    const subscriptions = [...this.subscriptionsByName.values()]
    this.subscriptionsByName.clear()
    await Promise.allSettled(subscriptions.map(subscription => subscription.close(next)))
  }

  protected disconnectProducers(reason: { code: BrokerErrorCode; message: string }, next?: BrokerAddress): void {
    for (const producer of this.producers.clear(brokerError(reason.code, reason.message))) {
      producer.options.connection.closeProducer(producer.options.producerId, next)
    }
  }

  protected publicationOf(producer: Producer, send: SendFields, bytes: number): Publication {
    const publication = this.env.publications.take()
    producer.onTaken()
    publication.producer = producer
    publication.sequenceLow = send.sequenceLow
    publication.sequenceHigh = send.sequenceHigh
    publication.hasHighest = send.hasHighest
    publication.highestLow = send.highestLow
    publication.highestHigh = send.highestHigh
    publication.messages = send.numMessages
    publication.bytes = bytes
    return publication
  }

  protected warn(event: string, error: unknown): void {
    const reason = reasonOf(error)
    this.env.logger.warn({ event, topic: this.fullName, reason }, 'a topic had to change its state')
  }

  protected countPublished(producer: Producer, messages: number, bytes: number, isChunk: boolean): void {
    this.traffic.messages.total += messages
    this.traffic.bytes.total += bytes
    this.namespaceTraffic.sends++
    this.namespaceTraffic.messagesIn += messages
    this.namespaceTraffic.bytesIn += bytes
    producer.traffic.messages.total += messages
    producer.traffic.bytes.total += bytes
    if (isChunk) {
      this.chunks.total++
      producer.chunks.total++
    }
  }

  #checkSubscribe({ subscriptionName, consumer }: SubscribeRequest): void {
    if (subscriptionName === '') throw brokerError('ProducerBusy', 'Empty subscription name')
    if (RESERVED_SUBSCRIPTION_PREFIXES.some(prefix => subscriptionName.startsWith(prefix))) {
      throw brokerError('ProducerBusy', 'Subscription with reserved subscription name attempted')
    }
    if (consumer.readCompacted && consumer.type !== 'Exclusive' && consumer.type !== 'Failover') {
      throw brokerError('NotAllowedError', 'readCompacted only allowed on failover or exclusive subscriptions')
    }
    const { maxConsumersPerTopic, maxConsumersPerSubscription, subscriptionTypes } = this.policies
    if (subscriptionTypes !== undefined && !subscriptionTypes.includes(consumer.type)) {
      throw brokerError('NotAllowedError', `Topic[{${this.fullName}}] doesn't support ${consumer.type} sub type!`)
    }
    if (maxConsumersPerTopic > 0 && this.#consumerCount() >= maxConsumersPerTopic) {
      throw brokerError('ConsumerBusy', 'Topic reached max consumers limit')
    }
    const existing = this.subscriptionsByName.get(subscriptionName)
    if (maxConsumersPerSubscription > 0 && (existing?.consumers.length ?? 0) >= maxConsumersPerSubscription) {
      throw brokerError('ConsumerBusy', 'Subscription reached max consumers limit')
    }
    this.#checkSubscribeRate(consumer)
  }

  #checkSubscribeRate({ connection, consumerId, consumerName }: SubscribeRequest['consumer']): void {
    const { subscribeRate } = this.policies
    if (subscribeRate.attempts === 0) return
    const host = connection.address.slice(0, connection.address.lastIndexOf(':'))
    this.#subscribeThrottle ??= new SubscribeThrottle(this.env.clock)
    if (this.#subscribeThrottle.tryOnce(`${host} ${consumerName} ${consumerId}`, subscribeRate)) return
    throw brokerError('NotAllowedError', 'Subscribe limited by subscribe rate limit per consumer.')
  }

  protected requireRoomForSubscription(): void {
    const max = this.policies.maxSubscriptionsPerTopic
    if (max > 0 && this.subscriptionsByName.size >= max) {
      throw brokerError('NotAllowedError', `Exceed the maximum number of subscriptions of the topic: ${this.fullName}`)
    }
  }

  protected subscriptionOf(name: string): Subscription {
    const subscription = this.subscriptionsByName.get(name)
    if (subscription !== undefined) return subscription
    throw brokerError('SubscriptionNotFound', `Subscription ${name} not found for topic ${this.fullName}`)
  }

  #consumerCount(): number {
    let count = 0
    for (const subscription of this.subscriptionsByName.values()) count += subscription.consumers.length
    return count
  }
}
