import type { Entry } from '@strata/managed-ledger'
import { brokerError } from '../errors.ts'
import type {
  Consumer,
  ConsumerOptions,
  Subscription,
  SubscriptionHost,
  SubscriptionStats,
  SubscriptionType
} from '../contract.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import { SubscriptionFilter } from '../filters/subscription-filter.ts'
import { ActiveNotices } from './active-notices.ts'
import { DispatchContext } from './dispatcher.ts'
import { EntryReader } from './entry-info.ts'
import type { TurnScheduler } from './log-pump.ts'
import { Member, type MemberHost } from './member.ts'
import { createPassingDispatcher, type PassingDispatcher } from './passing-dispatchers.ts'
import { joinWhenFree, type Roster } from './roster.ts'
import { SingleActiveDispatcher } from './single-active.ts'
import { commonStats, drainingStats, SubscriptionMeters } from './subscription-stats.ts'

/**
 * A subscription on a topic that stores nothing. Whatever no consumer can take at once is dropped and counted: there is
 * no cursor, no backlog and no redelivery, and acknowledgements mean nothing.
 */
export class PassingSubscription implements Subscription, MemberHost, Roster {
  readonly name: string
  readonly topic: string
  readonly isDurable: boolean
  readonly cursor = undefined
  /** What nobody takes is dropped, so nothing stands still. */
  readonly stall = undefined
  readonly #host: SubscriptionHost
  readonly #context: DispatchContext
  readonly #notices: ActiveNotices
  readonly #meters = new SubscriptionMeters()
  readonly #reader = new EntryReader()
  #properties: Readonly<Record<string, string>> = {}
  #dispatcher: PassingDispatcher | undefined
  /** Of a subscription that ever had filters. */
  #filter: SubscriptionFilter | undefined
  #type: SubscriptionType | undefined
  #nextSerial = 1
  #isClosed = false

  constructor(host: SubscriptionHost, name: string, options: { isDurable: boolean; turns: TurnScheduler }) {
    this.name = name
    this.topic = host.topic
    this.isDurable = options.isDurable
    this.#host = host
    const { topic, partition, settings, dispatchPool: pool, clock, traffic } = host
    this.#context = new DispatchContext({ topic, partition, settings, pool, traffic, cursor: undefined })
    // Nothing is delivered twice, so a new active consumer need not wait.
    this.#notices = new ActiveNotices({ turns: options.turns, clock, delayMs: () => 0, onServed: () => {} })
  }

  get subscription(): Subscription {
    return this
  }

  get type(): SubscriptionType | undefined {
    return this.#type
  }

  get consumers(): readonly Consumer[] {
    return this.members
  }

  get members(): readonly Member[] {
    return this.#dispatcher?.members ?? []
  }

  subscribe(options: ConsumerOptions): Promise<Consumer> {
    return joinWhenFree(options, this, () => this.#join(options))
  }

  readonly isResetting = false

  get joinable(): undefined {
    if (this.#isClosed) throw brokerError('ServiceNotReady', 'Subscription is closing')
    return undefined
  }

  #join(options: ConsumerOptions): Member {
    const dispatcher = this.#dispatcher ?? createPassingDispatcher(options, this.#context)
    const member = new Member(options, this.#nextSerial++, this)
    const activeBefore = dispatcher.activeConsumer
    dispatcher.join(member)
    this.#dispatcher = dispatcher
    this.#type = options.type
    if (dispatcher instanceof SingleActiveDispatcher) this.#notices.onJoined(dispatcher, member, activeBefore)
    return member
  }

  /** What a filter puts off is dropped, as nothing is kept. */
  #isHeldBack(entry: Entry): boolean {
    const filters = this.#host.entryFilters?.() ?? []
    if (filters.length === 0) return false
    const { logger, topic } = this.#host
    const subscriptionProperties = (): Readonly<Record<string, string>> => this.#properties
    this.#filter ??= new SubscriptionFilter({ logger, topic, subscription: this.name, subscriptionProperties })
    this.#filter.set(filters)
    return this.#filter.judge(entry) !== 'accept'
  }

  onMessage(entry: Entry): void {
    if (this.#isHeldBack(entry)) return
    this.#context.wallMs = this.#host.clock.wallMs()
    if (this.#dispatcher?.offer(entry) === true) return
    this.#meters.messagesDropped += this.#reader.read(entry, false).messages
  }

  onLeave(member: Member): void {
    member.isGone = true
    const dispatcher = this.#dispatcher
    if (dispatcher === undefined) return
    const activeBefore = dispatcher.activeConsumer
    dispatcher.leave(member)
    if (dispatcher.members.length === 0) {
      this.#notices.cancel()
      this.#dispatcher = undefined
    } else if (dispatcher instanceof SingleActiveDispatcher) {
      this.#notices.onLeft(dispatcher, activeBefore)
    }
  }

  wallMs(): number {
    return this.#host.clock.wallMs()
  }

  // Of a stored log's subscription, what has no meaning here.
  onEntriesAppended(): void {}
  onTerminated(): void {}
  resume(): void {}
  onFlow(): void {}
  onWritable(): void {}
  onAcknowledge(): void {}
  onAcknowledgeCumulative(): void {}
  onRedeliver(): void {}
  async seek(): Promise<void> {}
  async skip(): Promise<void> {}
  async skipAll(): Promise<void> {}

  expireBefore(): Promise<boolean> {
    return Promise.resolve(false)
  }

  expireUpTo(): Promise<boolean> {
    return Promise.resolve(false)
  }

  setProperties(properties: Readonly<Record<string, string>>): Promise<void> {
    this.#properties = properties
    return Promise.resolve()
  }

  close(next?: BrokerAddress): Promise<void> {
    this.#isClosed = true
    this.disconnect(next)
    this.#notices.cancel()
    return Promise.resolve()
  }

  disconnect(next?: BrokerAddress): void {
    for (const member of [...this.members]) {
      member.connection.closeConsumer(member.options.consumerId, next)
      member.leave()
    }
  }

  get ratesOut(): { messages: number; bytes: number } {
    return { messages: this.#meters.messages.perSecond, bytes: this.#meters.bytes.perSecond }
  }

  get messagesOut(): number {
    return this.#context.messagesOut
  }

  get bytesOut(): number {
    return this.#context.bytesOut
  }

  // nothing is kept, so nothing waits
  readonly ackRate = 0
  readonly hasTaker = false
  readonly isAllSent = true

  sample(nowMs: number): void {
    this.#meters.sample(this.#context, nowMs)
    for (const member of this.members) member.sample(nowMs)
  }

  stats(): SubscriptionStats {
    this.sample(this.#host.clock.nowMs())
    const dispatcher = this.#dispatcher
    return {
      ...commonStats(this.#meters, this.#context, { filtered: this.#filter?.counts }),
      ...drainingStats(undefined),
      type: this.#type ?? 'None',
      isDurable: this.isDurable,
      isReplicated: false,
      msgBacklog: 0,
      msgBacklogNoDelayed: 0,
      backlogSize: 0,
      msgDelayed: 0,
      msgInReplay: 0,
      unackedMessages: 0,
      blockedSubscriptionOnUnackedMsgs: false,
      msgDropRate: this.#meters.dropped.perSecond,
      activeConsumerName: dispatcher?.activeConsumer?.options.consumerName ?? '',
      allowOutOfOrderDelivery: this.members[0]?.options.keyShared?.allowOutOfOrderDelivery ?? false,
      nonContiguousDeletedMessagesRanges: 0,
      nonContiguousDeletedMessagesRangesSerializedSize: 0,
      subscriptionProperties: this.#properties,
      consumersAfterMarkDeletePosition: {},
      lastAckedTimestamp: 0,
      lastConsumedTimestamp: this.members.reduce((last, member) => Math.max(last, member.lastConsumedMs), 0),
      lastConsumedFlowTimestamp: this.members.reduce((last, member) => Math.max(last, member.lastFlowMs), 0),
      consumers: this.members.map(member => member.statsWith(dispatcher?.hashRangesOf(member)))
    }
  }
}
