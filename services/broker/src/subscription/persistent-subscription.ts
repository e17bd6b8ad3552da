import { strict as assert } from 'node:assert'
import { comparePositions, samePosition, type Position } from '@strata/cursor-protocol'
import type { Cursor, ManagedLedger } from '@strata/managed-ledger'
import { brokerError } from '../errors.ts'
import type {
  AckedMessage,
  Consumer,
  ConsumerOptions,
  Subscription,
  SubscriptionHost,
  SubscriptionStats,
  SubscriptionType
} from '../contract.ts'
import { SubscriptionFilter } from '../filters/subscription-filter.ts'
import { DispatchThrottle } from '../limits/dispatch-throttle.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import { ActiveNotices } from './active-notices.ts'
import { countBits, DispatchContext, type Dispatcher } from './dispatcher.ts'
import { EntryReader } from './entry-info.ts'
import { Filtering } from './filtering.ts'
import { KeySharedDispatcher } from './key-shared.ts'
import { LogPump, type TurnScheduler } from './log-pump.ts'
import { Member, type MemberHost } from './member.ts'
import { joinWhenFree, type Roster } from './roster.ts'
import { SharedDispatcher } from './shared.ts'
import { SingleActiveDispatcher } from './single-active.ts'
import { SubscriptionMeters, persistentStats } from './subscription-stats.ts'

/**
 * One subscription on a stored log. Single-threaded; nothing in it waits but subscribe, seek and the like.
 *
 * Invariants
 *   S1  All consumers are of one type; the dispatcher lives as long as there is one, and all that is known of deliveries
 *       (who holds what, redelivery counts) goes with it. What stays is the cursor.
 *   S2  While the cursor is being reset nothing is delivered and nobody joins.
 */
export class PersistentSubscription implements Subscription, MemberHost, Roster {
  readonly name: string
  readonly topic: string
  readonly isDurable: boolean
  readonly cursor: Cursor
  readonly #host: SubscriptionHost
  readonly #log: ManagedLedger
  readonly #context: DispatchContext
  readonly #pump: LogPump
  readonly #turns: TurnScheduler
  readonly #notices: ActiveNotices
  readonly #meters = new SubscriptionMeters()
  /** Of a subscription that was ever limited. */
  #throttle: DispatchThrottle | undefined
  /** Of a subscription that ever had filters. */
  #filter: SubscriptionFilter | undefined
  #filtering: Filtering | undefined
  #dispatcher: Dispatcher | undefined
  #type: SubscriptionType | undefined
  #sampledMarkDelete: Position
  #nextSerial = 1
  #resetting: Promise<void> | undefined
  #isClosed = false
  /** Left during a turn: taken out at its end. */
  #leaving: Member[] = []

  constructor(
    host: SubscriptionHost,
    name: string,
    options: { log: ManagedLedger; cursor: Cursor; isDurable: boolean; turns: TurnScheduler }
  ) {
    const { log, cursor, isDurable, turns } = options
    this.name = name
    this.topic = host.topic
    this.isDurable = isDurable
    this.cursor = cursor
    this.#host = host
    this.#log = log
    this.#turns = turns
    this.#sampledMarkDelete = cursor.markDelete
    const { settings, clock, logger, topic, partition, suspension, traffic, unacked, dispatchPool: pool } = host
    const wake = (): void => {
      this.#pump.schedule()
    }
    this.#context = new DispatchContext({ topic, partition, cursor, settings, pool, traffic, unacked, wake })
    const onTurnEnd = (): void => {
      this.#removeLeaving()
    }
    this.#pump = new LogPump({
      ...{ log, cursor, settings, pool, clock, logger, turns, suspension, onTurnEnd },
      context: this.#context
    })
    this.#notices = new ActiveNotices({
      turns,
      clock,
      delayMs: () => settings.activeConsumerFailoverDelayTimeMillis,
      onServed: () => {
        this.#pump.rewind()
        this.#pump.schedule()
      }
    })
    this.#limitDispatch()
    this.#filterDispatch()
  }

  #filterDispatch(): void {
    const filters = this.#host.entryFilters?.() ?? []
    if (filters.length === 0 && this.#filter === undefined) return
    const { logger, clock, settings, topic } = this.#host
    const subscriptionProperties = (): Readonly<Record<string, string>> => this.cursor.properties
    this.#filter ??= new SubscriptionFilter({ logger, topic, subscription: this.name, subscriptionProperties })
    this.#filter.set(filters)
    this.#filtering ??= new Filtering({
      ...{ filter: this.#filter, cursor: this.cursor, clock },
      delayMs: () => settings.dispatcherEntryFilterRescheduledMessageDelay,
      rewind: () => {
        this.#pump.rewind()
      },
      schedule: () => {
        this.#pump.schedule()
      },
      onRejected: () => {
        if (this.#log.isTerminated) this.#tellEnd()
      }
    })
    this.#pump.filtering = filters.length === 0 ? undefined : this.#filtering
  }

  #limitDispatch(): void {
    const limits = this.#host.dispatchLimits?.(this.name)
    if (limits === undefined && this.#throttle === undefined) return
    this.#throttle ??= new DispatchThrottle({
      clock: this.#host.clock,
      countsEntries: () => this.#host.settings.dispatchThrottlingOnBatchMessageEnabled,
      wake: () => {
        this.#pump.pump()
      }
    })
    this.#throttle.setLimits(limits ?? { broker: undefined, topic: undefined, subscription: undefined })
    this.#pump.throttle = limits === undefined ? undefined : this.#throttle
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

  async subscribe(options: ConsumerOptions): Promise<Consumer> {
    if (options.durable !== this.isDurable) {
      const kind = this.isDurable ? 'Durable' : 'Non-durable'
      throw brokerError('NotAllowedError', `${kind} subscription with the same name already exists.`)
    }
    return joinWhenFree(options, this, () => this.#join(options))
  }

  get joinable(): Promise<void> | undefined {
    if (this.#isClosed) throw brokerError('ServiceNotReady', 'Subscription is closing')
    return this.#resetting
  }

  get isResetting(): boolean {
    return this.#resetting !== undefined
  }

  onEntriesAppended(): void {
    this.#pump.onAppended()
  }

  onMessage(): void {
    assert.fail('a stored topic tells of its messages by onEntriesAppended')
  }

  onTerminated(): void {
    this.#tellEnd()
  }

  // ------------------------------------------------------------------ consumers

  onFlow(): void {
    this.#pump.schedule()
  }

  onWritable(): void {
    this.#pump.schedule()
  }

  wallMs(): number {
    return this.#host.clock.wallMs()
  }

  onAcknowledge(member: Member, messages: readonly AckedMessage[]): void {
    const dispatcher = this.#dispatcher
    if (dispatcher === undefined) return
    let acked = 0
    for (const { ledgerId, entryId, remaining } of messages) {
      if (remaining === undefined || remaining.length === 0 || countBits(remaining) === 0) {
        this.cursor.acknowledge(ledgerId, entryId)
      } else if (!this.#host.settings.acknowledgmentAtBatchIndexLevelEnabled) {
        continue
      } else if (!this.cursor.acknowledgeBits(ledgerId, entryId, remaining)) {
        const ackSet = this.cursor.ackSet(ledgerId, entryId)
        if (ackSet !== undefined) acked += dispatcher.acknowledgedPart(ledgerId, entryId, countBits(ackSet))
        continue
      }
      this.#pump.noteAcknowledged(ledgerId, entryId)
      acked += dispatcher.acknowledged(ledgerId, entryId)
    }
    this.#onAcked(member, acked)
  }

  onAcknowledgeCumulative(member: Member, { ledgerId, entryId, remaining }: AckedMessage): void {
    if (this.#type !== 'Exclusive' && this.#type !== 'Failover') return
    const position = { ledgerId, entryId }
    if (comparePositions(position, this.#log.lastConfirmed) > 0) return
    if (remaining === undefined || countBits(remaining) === 0) {
      this.cursor.acknowledgeUpTo(position)
    } else {
      const before = this.#log.previousPosition(position)
      if (comparePositions(before, this.cursor.markDelete) > 0) this.cursor.acknowledgeUpTo(before)
      if (this.#host.settings.acknowledgmentAtBatchIndexLevelEnabled) {
        this.cursor.acknowledgeBits(ledgerId, entryId, remaining)
      }
    }
    this.#onAcked(member, 1)
  }

  onRedeliver(member: Member, positions: readonly Position[] | undefined, consumerEpoch: number | undefined): void {
    const dispatcher = this.#dispatcher
    if (dispatcher === undefined) return
    if (consumerEpoch !== undefined && consumerEpoch > member.consumerEpoch) member.consumerEpoch = consumerEpoch
    if (dispatcher.redeliver(member, positions)) this.#pump.rewind()
    this.#pump.schedule()
  }

  onLeave(member: Member): void {
    member.isGone = true
    this.#leaving.push(member)
    if (!this.#pump.isPumping) this.#removeLeaving()
  }

  #join(options: ConsumerOptions): Member {
    const isFirst = this.#dispatcher === undefined
    const dispatcher = this.#dispatcher ?? this.#createDispatcher(options)
    const member = new Member(options, this.#nextSerial++, this)
    const activeBefore = dispatcher.activeConsumer
    dispatcher.join(member)
    if (isFirst) {
      this.#dispatcher = dispatcher
      this.#type = options.type
      this.#pump.dispatcher = dispatcher
      this.#pump.rewind()
    }
    if (dispatcher instanceof SingleActiveDispatcher) this.#notices.onJoined(dispatcher, member, activeBefore)
    this.#turns.later(() => {
      this.#tellEnd()
    })
    this.#pump.schedule()
    return member
  }

  #createDispatcher(options: ConsumerOptions): Dispatcher {
    switch (options.type) {
      case 'Exclusive':
      case 'Failover':
        return new SingleActiveDispatcher(options.type, this.#context)
      case 'Shared':
        return new SharedDispatcher(this.#context)
      case 'Key_Shared':
        return new KeySharedDispatcher(this.#context, options.keyShared)
    }
  }

  #removeLeaving(): void {
    if (this.#leaving.length === 0) return
    const leaving = this.#leaving
    this.#leaving = []
    for (const member of leaving) this.#remove(member)
    this.#pump.schedule()
  }

  #remove(member: Member): void {
    const dispatcher = this.#dispatcher
    if (dispatcher === undefined) return
    const activeBefore = dispatcher.activeConsumer
    dispatcher.leave(member)
    if (dispatcher.members.length === 0) {
      this.#notices.cancel()
      this.#dispatcher = undefined
      this.#pump.dispatcher = undefined
      this.#pump.rewind()
    } else if (dispatcher instanceof SingleActiveDispatcher) {
      this.#notices.onLeft(dispatcher, activeBefore)
    }
  }

  #onAcked(member: Member, messages: number): void {
    member.messagesAcked += messages
    this.#meters.messagesAcked += messages
    if (this.#log.isTerminated) this.#tellEnd()
    // Acknowledging gives no credit to a consumer that has the topic for itself.
    if (!(this.#dispatcher instanceof SingleActiveDispatcher)) this.#pump.schedule()
  }

  #tellEnd(): void {
    if (!this.#log.isTerminated || this.cursor.backlogEntries() > 0) return
    for (const member of this.members) {
      if (member.isEndTold) continue
      member.isEndTold = true
      member.connection.sendReachedEndOfTopic(member.options.consumerId)
    }
  }

  // ------------------------------------------------------------------ moving the cursor

  async seek(target: { position: Position; ackSet?: Int32Array } | { publishTimeMs: number }): Promise<void> {
    if (this.#isClosed) throw brokerError('ServiceNotReady', 'Subscription is closing')
    if (this.#resetting !== undefined) throw brokerError('UnknownError', 'Another seek of the subscription is running')
    await this.#exclusively(async () => {
      const active = this.#dispatcher?.activeConsumer
      for (const member of active === undefined ? [...this.members] : [active]) this.#disconnect(member)
      if ('publishTimeMs' in target) {
        await this.cursor.reset(await this.#firstPublishedAt(target.publishTimeMs))
      } else {
        const position = this.#log.clamp(target.position)
        await this.cursor.reset(position, samePosition(position, target.position) ? target.ackSet : undefined)
      }
    })
  }

  async skip(entries: number): Promise<void> {
    let position = this.#log.positionAfter(this.cursor.markDelete, entries)
    if (this.cursor.ackedRangeCount() > 0) {
      position = this.cursor.markDelete
      for (let left = entries; left > 0 && comparePositions(position, this.#log.lastConfirmed) < 0;) {
        position = this.#log.nextPosition(position)
        if (!this.cursor.isAcknowledged(position.ledgerId, position.entryId)) left--
      }
    }
    await this.#acknowledgeUpTo(position)
  }

  async skipAll(): Promise<void> {
    await this.cursor.clearBacklog()
    this.#afterMarkDeleteMoved()
  }

  async expireBefore(publishTimeMs: number): Promise<boolean> {
    return await this.expireUpTo(this.#log.previousPosition(await this.#firstPublishedAt(publishTimeMs)))
  }

  async expireUpTo(last: Position): Promise<boolean> {
    const before = this.cursor.backlogEntries()
    if (comparePositions(last, this.cursor.markDelete) <= 0) return false
    await this.#acknowledgeUpTo(last)
    this.#meters.lastExpiredMs = this.wallMs()
    this.#meters.messagesExpired += Math.max(0, before - this.cursor.backlogEntries())
    return true
  }

  async #acknowledgeUpTo(position: Position): Promise<void> {
    // its cursor may have another subscription by now, which would not hear of it
    if (this.#isClosed) throw brokerError('ServiceNotReady', 'Subscription is closing')
    if (comparePositions(position, this.cursor.markDelete) <= 0) return
    this.cursor.acknowledgeUpTo(position)
    this.#afterMarkDeleteMoved()
    await this.cursor.flush()
  }

  #afterMarkDeleteMoved(): void {
    this.#dispatcher?.acknowledgedUpTo(this.cursor.markDelete)
    this.#tellEnd()
    this.#pump.schedule()
  }

  async #firstPublishedAt(publishTimeMs: number): Promise<Position> {
    const reader = new EntryReader()
    return this.#log.findFirst(entry => reader.read(entry, false).publishTimeMs >= publishTimeMs)
  }

  /** S2. Those who wait to join go on after whoever waits for this to return. */
  async #exclusively(run: () => Promise<void>): Promise<void> {
    let release = (): void => {}
    this.#resetting = new Promise(resolve => (release = resolve))
    this.#pump.pause()
    try {
      await run()
    } finally {
      this.#dispatcher?.reset()
      this.#pump.rewind()
      this.#turns.later(() => {
        this.#resetting = undefined
        this.#pump.resume()
        release()
      })
    }
  }

  async setProperties(properties: Readonly<Record<string, string>>): Promise<void> {
    await this.cursor.setProperties(properties)
  }

  #disconnect(member: Member, next?: BrokerAddress): void {
    member.connection.closeConsumer(member.options.consumerId, next)
    member.leave()
  }

  disconnect(next?: BrokerAddress): void {
    for (const member of [...this.members]) this.#disconnect(member, next)
  }

  resume(): void {
    this.#limitDispatch()
    this.#filterDispatch()
    this.#pump.schedule()
  }

  close(next?: BrokerAddress): Promise<void> {
    this.#isClosed = true
    this.disconnect(next)
    this.#notices.cancel()
    this.#pump.stop()
    return Promise.resolve()
  }

  // ------------------------------------------------------------------ for people

  /** Takes a sample of the counters for the rates, and checks that nothing stands still. */
  get ratesOut(): { messages: number; bytes: number } {
    return { messages: this.#meters.messages.perSecond, bytes: this.#meters.bytes.perSecond }
  }

  get ackRate(): number {
    return this.#meters.acked.perSecond
  }

  get messagesOut(): number {
    return this.#context.messagesOut
  }

  get bytesOut(): number {
    return this.#context.bytesOut
  }

  get hasTaker(): boolean {
    return this.#dispatcher?.hasReadyCredit() ?? false
  }

  get isAllSent(): boolean {
    return this.#pump.isAllScanned && (this.#dispatcher?.pendingEntries ?? 0) === 0
  }

  sample(nowMs: number): void {
    this.#meters.sample(this.#context, nowMs)
    const { markDelete } = this.cursor
    if (comparePositions(markDelete, this.#sampledMarkDelete) > 0) {
      this.#meters.lastMarkDeleteAdvancedMs = this.wallMs()
    }
    this.#sampledMarkDelete = markDelete
    for (const member of this.members) member.sample(nowMs)
    const stall = this.stall
    if (stall === undefined) return
    this.#host.logger.error({ event: 'subscription.stalled', subscription: this.name, stall }, 'dispatch stands still')
  }

  /** See LogPump P1. Always undefined, or it is a bug. */
  get stall(): string | undefined {
    return this.#resetting === undefined ? this.#pump.stall : undefined
  }

  stats(): SubscriptionStats {
    this.sample(this.#host.clock.nowMs())
    return persistentStats(this, {
      dispatcher: this.#dispatcher,
      members: this.members,
      meters: this.#meters,
      context: this.#context,
      throttled: this.#throttle?.events,
      filtered: this.#filter?.counts
    })
  }
}
