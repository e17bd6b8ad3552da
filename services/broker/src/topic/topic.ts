import type { BytePool, Clock, Logger } from '@strata/base'
import type { Entry, ManagedLedger } from '@strata/managed-ledger'
import type { Position } from '@strata/cursor-protocol'
import type { BrokerSettings } from '../config/settings.ts'
import type { Consumer, ConsumerOptions, Subscription, SubscriptionHost } from '../contract.ts'
import type { StorageMeter } from '../metrics/storage-meter.ts'
import type { IntervalQuantiles } from '../metrics/interval-buckets.ts'
import type { StoragePulse } from '../metrics/storage-pulse.ts'
import type { TrafficBook } from '../metrics/traffic-book.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import type { SampledSubscription, SubscriptionOptions } from '../subscription/index.ts'
import type { Admission, Producers } from './producers.ts'
import type { Producer } from './producer.ts'
import type { PublicationPool } from './publication.ts'
import type { Traffic } from './rate.ts'
import type { BrokerUnacked } from '../limits/broker-unacked.ts'
import type { DispatchLimit } from '../limits/dispatch-limit.ts'
import type { FilterRegistry } from '../filters/filter-registry.ts'
import type { ResourceGroups } from '../resource-groups/resource-groups.ts'
import type { PublishThrottle } from '../limits/publish-throttle.ts'
import type { EffectivePolicies } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'

/** What every topic stands on. */
export interface TopicEnvironment {
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BrokerSettings
  readonly dispatchPool: BytePool
  readonly publications: PublicationPool
  /** What is counted for the broker as a whole. */
  readonly meters: {
    readonly traffic: TrafficBook
    readonly publishLatency: IntervalQuantiles
    readonly storage: StoragePulse
  }
  /** The dispatch rate of the whole broker; off while there is none. */
  readonly dispatchLimit: DispatchLimit
  /** The unacknowledged messages of the whole broker. */
  readonly unacked: BrokerUnacked
  /** Limits that several namespaces share. */
  readonly resourceGroups: Pick<ResourceGroups, 'of'>
  /** Programs that say what goes to consumers. */
  readonly filters: Pick<FilterRegistry, 'of'>
  /** Switched by the registry alone. */
  readonly suspension: { isOn: boolean }
  createSubscription(host: SubscriptionHost, name: string, options: SubscriptionOptions): SampledSubscription
  /** Milliseconds since 1970 of an entry's publication, by its client's clock. */
  publishTimeMs(entry: Entry): number
}

/** A SEND as its connection read it. Reused by its sender: read it during the call only. Ids are unsigned halves. */
export interface SendFields {
  readonly sequenceLow: number
  readonly sequenceHigh: number
  readonly hasHighest: boolean
  readonly highestLow: number
  readonly highestHigh: number
  readonly numMessages: number
  readonly isChunk: boolean
}

/** How a consumer asks for its subscription. */
export interface SubscribeRequest {
  readonly subscriptionName: string
  readonly consumer: ConsumerOptions
  /** Counts only when the cursor is created. */
  readonly initialPosition: 'latest' | 'earliest'
  /** Non-durable only: deliver from this very entry on. */
  readonly startPosition: Position | undefined
  /** 0: none. */
  readonly rollbackSeconds: number
  readonly properties: Readonly<Record<string, string>>
  readonly isReplicated: boolean
  /** May a durable subscription that does not exist be created? */
  readonly mayCreate: boolean
}

export type TopicState = 'open' | 'closing' | 'fenced' | 'closed'

/** Why a topic leaves memory; told to the registry once. */
export interface TopicEvents {
  /** Storage failed or the log belongs to another owner: once `left` settles it may be loaded again. */
  onFenced(topic: Topic, left: Promise<void>): void
}

/**
 * A topic or one partition of it, in memory. Persistent and not alike, as connections and the admin API see them.
 */
export interface Topic {
  readonly name: TopicName
  /** `name` as text. */
  readonly fullName: string
  readonly state: TopicState
  readonly isTerminated: boolean
  readonly producers: Producers
  /** What came in. */
  readonly traffic: Traffic
  /** undefined: nothing was stored since it is in memory. */
  readonly storage: StorageMeter | undefined
  /** Of all entries that it keeps, one copy of each. */
  readonly storedBytes: number
  /** undefined: nothing is stored. */
  readonly log: ManagedLedger | undefined
  readonly subscriptions: ReadonlyMap<string, SampledSubscription>
  /** What holds for it; replaced when that changes. */
  policies: EffectivePolicies
  /** undefined: its publish rate was never limited. */
  readonly publishThrottle: PublishThrottle | undefined
  /** Monotonic time since when nobody has used it; undefined while somebody does. */
  readonly idleSinceMs: number | undefined
  /** Does it hold messages (for the rule of schemas on SUBSCRIBE)? */
  readonly hasData: boolean

  /** Takes the payload (which must not change any more) and answers through the producer, in order, or never. */
  /** `payloadCrc`: CRC-32C of the whole payload, where its own checksum was there to tell. */
  publish(producer: Producer, send: SendFields, payload: Buffer, payloadCrc?: number): void
  /** @throws BrokerError ServiceNotReady, TopicTerminatedError, ProducerBusy, ProducerFenced */
  addProducer(producer: Producer): Promise<Admission>
  removeProducer(producer: Producer): void
  /** @throws BrokerError ConsumerBusy, NotAllowedError, SubscriptionNotFound, ServiceNotReady, … */
  subscribe(request: SubscribeRequest): Promise<Consumer>
  /** The consumer left; a subscription that lives by its consumers goes with the last one. */
  onConsumerLeft(subscription: Subscription): void
  /** Creates a durable subscription without consumers, from a position if one is given. */
  createSubscription(
    name: string,
    options: { position: 'latest' | 'earliest' | Position; properties: Readonly<Record<string, string>> }
  ): Promise<Subscription>
  /** Disconnects its consumers and forgets it for good. @throws BrokerError SubscriptionNotFound */
  deleteSubscription(name: string): Promise<void>
  /** Waits for what is pending, closes its log, and only then sends clients away: to `next`, where that is known. */
  close(next?: BrokerAddress): Promise<void>
  /** It is another broker's already: nothing is sent or written any more, and clients go to `next`. */
  drop(next: BrokerAddress | undefined): Promise<void>
  /** Another broker may serve it: clients are sent away to look for it, and get no receipt any more. What is open stays open. */
  suspend(): void
  /** A suspension is over: what waits to be sent is sent. */
  resume(): void
  sample(elapsedSeconds: number): void
  stats(): Record<string, unknown>
  internalStats(): Record<string, unknown>
}

/** Producers and consumers that are connected. */
export function usersOf(topic: Topic | undefined): number {
  if (topic === undefined) return 0
  let users = topic.producers.size
  for (const subscription of topic.subscriptions.values()) users += subscription.consumers.length
  return users
}
