import type { NamedFilter } from './filters/filter-registry.ts'
import type { Clock, Logger, BytePool } from '@strata/base'
import type { Position } from '@strata/cursor-protocol'
import type { Cursor, Entry, ManagedLedger } from '@strata/managed-ledger'
import type { TrafficTotals } from './metrics/traffic-book.ts'
import type { BrokerUnacked } from './limits/broker-unacked.ts'
import type { DispatchLimits } from './limits/dispatch-throttle.ts'
import type { BrokerAddress } from './ownership/contract.ts'
import type { Suspension } from './topic/suspension.ts'

/*
  The rooms of the broker and the doors between them:

    connection/    one client socket: frames in, frames out; knows producers and consumers by their ids
    topic/         topics, their producers, their life (load, idle, unload, terminate, delete); the registry
    subscription/  one state machine a subscription: consumers, permits, dispatch, acknowledgement, redelivery, seek
    namespace/     names, tenants, namespaces, policies, listing and watching topics
    admin/         HTTP: routes over the above
*/

// ---------------------------------------------------------------- connection, as a subscription sees it

/** A client connection as the place where a consumer's messages go. Calls only append to its output; one flush a tick. */
export interface ConsumerConnection {
  readonly connectionId: number
  /** `/ip:port` as Pulsar prints it in stats. */
  readonly address: string
  readonly clientVersion: string
  readonly protocolVersion: number
  /** False while its output is above the high-water mark: the consumer loses its turn, nobody else does. */
  readonly isWritable: boolean
  /** Calls once when it is writable again (or never, when it closes). */
  onWritable(run: () => void): void
  sendMessage(delivery: Delivery): void
  sendActiveConsumerChange(consumerId: number, isActive: boolean): void
  sendReachedEndOfTopic(consumerId: number): void
  /** CLOSE_CONSUMER, unsolicited: the client subscribes again, at `next` if it is told. The connection forgets the consumer. */
  closeConsumer(consumerId: number, next?: BrokerAddress): void
  /** Is the peer alive? A ping, at most 5 s; a dead connection is closed before this resolves with false. */
  probe(): Promise<boolean>
}

/** Reused by its sender: read it during the call only. */
export interface Delivery {
  consumerId: number
  entry: Entry
  /** -1: not a partition. */
  partition: number
  redeliveryCount: number
  /** Remaining bits of a partly acknowledged batch, as Cursor.ackSet gives them. */
  ackSet: Int32Array | undefined
  /** undefined: left out of the frame (Shared types, read_compacted). */
  consumerEpoch: number | undefined
}

// ---------------------------------------------------------------- subscription

export type SubscriptionType = 'Exclusive' | 'Shared' | 'Failover' | 'Key_Shared'

export interface KeySharedOptions {
  readonly mode: 'AUTO_SPLIT' | 'STICKY'
  /** Inclusive, 0..65535; STICKY only. */
  readonly ranges: readonly { readonly start: number; readonly end: number }[]
  readonly allowOutOfOrderDelivery: boolean
}

export interface ConsumerOptions {
  readonly connection: ConsumerConnection
  readonly consumerId: number
  readonly consumerName: string
  readonly type: SubscriptionType
  readonly priorityLevel: number
  readonly durable: boolean
  readonly readCompacted: boolean
  readonly keyShared: KeySharedOptions | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly consumerEpoch: number
  /** AUTO_CONSUME: it does not stand in the way of the first schema of a topic. Absent: false. */
  readonly readsAnySchema?: boolean
}

/** One entry or part of a batch that a client acknowledges. `remaining`: as Cursor.acknowledgeBits; undefined: all of it. */
export interface AckedMessage {
  readonly ledgerId: number
  readonly entryId: number
  readonly remaining: Int32Array | undefined
}

/** A consumer attached to a subscription. Calls on a consumer that is gone do nothing. */
export interface Consumer {
  readonly options: ConsumerOptions
  readonly subscription: Subscription
  flow(permits: number): void
  acknowledge(messages: readonly AckedMessage[], validationErrors: boolean): void
  acknowledgeCumulative(message: AckedMessage): void
  /** Everything this consumer has not acknowledged (or rewinds to mark-delete for single-active types), adopting the epoch. */
  redeliverAll(consumerEpoch: number | undefined): void
  redeliver(positions: readonly Position[]): void
  /** The connection closed the consumer or is gone. */
  leave(): void
  stats(): ConsumerStats
}

export interface ConsumerStats {
  readonly msgRateOut: number
  readonly msgThroughputOut: number
  readonly bytesOutCounter: number
  readonly msgOutCounter: number
  readonly msgRateRedeliver: number
  readonly messageAckRate: number
  readonly consumerName: string
  readonly availablePermits: number
  readonly unackedMessages: number
  readonly avgMessagesPerEntry: number
  readonly blockedConsumerOnUnackedMsgs: boolean
  readonly address: string
  readonly connectedSince: string
  readonly clientVersion: string
  readonly lastAckedTimestamp: number
  readonly lastConsumedTimestamp: number
  readonly lastConsumedFlowTimestamp: number
  readonly keyHashRanges: readonly string[] | undefined
  readonly metadata: Readonly<Record<string, string>>
}

export interface Subscription {
  readonly name: string
  readonly topic: string
  /** undefined: nobody has subscribed since it was loaded. */
  readonly type: SubscriptionType | undefined
  readonly isDurable: boolean
  readonly consumers: readonly Consumer[]
  /** undefined on a non-persistent topic. */
  readonly cursor: Cursor | undefined
  /** Resolves when the consumer is in place (SUCCESS may be sent); notices and messages come after that in a later tick. @throws BrokerError ConsumerBusy, ConsumerAssignError, NotAllowedError */
  subscribe(options: ConsumerOptions): Promise<Consumer>
  /** Persistent topics: the log has grown (once a sync). */
  onEntriesAppended(): void
  /** Non-persistent topics: deliver now or drop. */
  onMessage(entry: Entry): void
  /** The topic was terminated or is at its end: tell those who acknowledged everything. */
  onTerminated(): void
  /** Order of protocol.md "Seek": CLOSE_CONSUMER, reset durable, then this resolves. @throws BrokerError UnknownError while another seek runs */
  seek(target: { position: Position; ackSet?: Int32Array } | { publishTimeMs: number }): Promise<void>
  /** Entries or messages skipped: acknowledged from the mark-delete on. */
  skip(entries: number): Promise<void>
  skipAll(): Promise<void>
  /** Acknowledges what was published before the time. Resolves with whether anything moved. */
  expireBefore(publishTimeMs: number): Promise<boolean>
  /** The same with all up to the position, and it. */
  expireUpTo(position: Position): Promise<boolean>
  setProperties(properties: Readonly<Record<string, string>>): Promise<void>
  /** Sends its consumers away (CLOSE_CONSUMER, to `next` where that is known); everything else stays. */
  disconnect(next?: BrokerAddress): void
  /** A suspension is over, or limits have changed: sends what has a taker. */
  resume(): void
  /** Disconnects consumers (CLOSE_CONSUMER, to `next` where that is known) and drops all state in memory. */
  close(next?: BrokerAddress): Promise<void>
  stats(): SubscriptionStats
}

/** Field names as Pulsar's SubscriptionStats. */
export interface SubscriptionStats {
  readonly [field: string]: unknown
  readonly msgBacklog: number
  readonly type: SubscriptionType | 'None'
  readonly consumers: readonly ConsumerStats[]
}

/** What a subscription needs from the place it lives in. */
export interface SubscriptionHost {
  readonly topic: string
  /** -1 on a topic that is no partition. */
  readonly partition: number
  /** undefined: non-persistent. */
  readonly log: ManagedLedger | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Bytes read or queued for dispatch in the whole process. */
  readonly dispatchPool: BytePool
  readonly settings: SubscriptionSettings
  /** Of its namespace: what goes out counts there too. */
  readonly traffic?: TrafficTotals
  /** What all subscriptions of the broker hold unacknowledged; undefined: nothing limits that. */
  readonly unacked?: BrokerUnacked
  /** While it is on nothing is sent to consumers. */
  readonly suspension: Suspension
  /** What holds the subscription's dispatch back; undefined: nothing. Asked again at each `resume`. */
  dispatchLimits?(subscription: string): DispatchLimits | undefined
  /** Programs that say what goes to consumers. Asked again at each `resume`. */
  entryFilters?(): readonly NamedFilter[]
}

/** Read at each use: some change at run time. */
export interface SubscriptionSettings {
  readonly dispatcherMaxReadBatchSize: number
  readonly dispatcherMaxReadSizeBytes: number
  readonly maxUnackedMessagesPerConsumer: number
  readonly maxUnackedMessagesPerSubscription: number
  readonly activeConsumerFailoverDelayTimeMillis: number
  readonly subscriptionKeySharedUseConsistentHashing: boolean
  readonly subscriptionKeySharedConsistentHashingReplicaPoints: number
  readonly acknowledgmentAtBatchIndexLevelEnabled: boolean
  readonly dispatchThrottlingOnNonBacklogConsumerEnabled: boolean
  readonly dispatchThrottlingOnBatchMessageEnabled: boolean
  readonly dispatcherEntryFilterRescheduledMessageDelay: number
}
