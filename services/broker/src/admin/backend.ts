import type { Clock, Logger } from '@strata/base'
import type { GrantStore, ServerTls } from '@strata/auth'
import type { Guard } from '../auth/guard.ts'
import type { BrokerBalance } from '../balance/broker-balance.ts'
import type { DynamicSettings } from '../config/dynamic-settings.ts'
import type { BrokerSettings } from '../config/settings.ts'
import type { Ports, Route } from '../connection/listeners.ts'
import type { BrokerMetrics } from '../metrics/broker-metrics.ts'
import type { LookupMeter } from '../metrics/lookup-meter.ts'
import type { ProcessMetric } from '../metrics/process-series.ts'
import type { TrafficBook } from '../metrics/traffic-book.ts'
import type { NamespaceService } from '../namespace/namespace-service.ts'
import type { TopicSchemas } from '../namespace/schemas.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { HttpPeers } from '../peers/http-peers.ts'
import type { FilterRegistry } from '../filters/filter-registry.ts'
import type { ResourceGroups } from '../resource-groups/resource-groups.ts'
import type { TopicHomes } from '../topic/homes.ts'
import type { TimedBlocks } from '../topic/timed-blocks.ts'
import type { TopicSweeper } from '../topic/topic-sweeper.ts'
import type { TopicRegistry } from '../topic/topic-registry.ts'

/** What HTTP needs of topics in memory. */
export type AdminTopics = Pick<
  TopicRegistry,
  'find' | 'load' | 'reload' | 'delete' | 'deletePartitionData' | 'values' | 'size' | 'hasLog' | 'erase' | 'moves'
>

export interface ConnectionCounts {
  readonly active: number
  readonly created: number
  readonly closed: number
}

/** The broker as the admin API sees it. Everything is read at each request. */
export interface AdminBackend {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  readonly startedAtMs: number
  readonly namespaces: NamespaceService
  readonly topics: AdminTopics
  readonly schemas: TopicSchemas
  readonly dynamicSettings: DynamicSettings
  /** Undefined while authentication is off. */
  readonly guard: Guard | undefined
  readonly grants: GrantStore
  /** Undefined: nothing listens with TLS. */
  readonly tls: ServerTls | undefined
  /** Ports as they were bound. */
  readonly ports: Ports
  readonly listeners: {
    route(options: { listenerName: string; localAddress: string; remoteAddress: string; ports: Ports }): Route
  }
  readonly connections: ConnectionCounts
  readonly homes: TopicHomes
  readonly peers: HttpPeers
  readonly blocks: TimedBlocks
  readonly sweeper: Pick<TopicSweeper, 'checkBacklogs'>
  readonly balance: BrokerBalance
  readonly resourceGroups: ResourceGroups
  readonly filters: Pick<FilterRegistry, 'has'>
  /** Storage nodes that take new ledgers now, by name. */
  bookies(): readonly string[]
  readonly lookups: LookupMeter
  readonly metrics: BrokerMetrics
  /** Counts what is asked over HTTP, by the tenants that it names. */
  readonly traffic: Pick<TrafficBook, 'onRequest'>
  /** There never is another broker: it is known by the address that its clients reach it by. */
  readonly isAlone: boolean
  /** What its health check publishes to. @throws BrokerError ServiceNotReady */
  ownTopic(): TopicName
  /** False: the cluster does not count with this broker at this moment. */
  hasLease(): boolean
  /** Does it reach the metadata store, now? Never rejects. */
  reachesStore(): Promise<boolean>
  /** Do as many storage nodes answer, now, as must have an entry? Never rejects. */
  reachesStorage(): Promise<boolean>
  /** The lease of this broker is past its time, and others reach the metadata store. */
  isSuspended(): boolean
  /** Why it should get no new clients, one line each; empty while it serves. */
  troubles(): readonly string[]
  /** Why storage refuses to take messages now, one line each; empty while it takes them. */
  storageTroubles(): readonly string[]
  /** What is measured of the process, as text for Prometheus. */
  /** Begins to stop the broker in order. */
  shutDown(): void
  readonly processMetrics: {
    metrics(): Promise<string>
    getMetricsAsJSON(): Promise<readonly ProcessMetric[]>
    clear(): void
  }
  /** Bytes of messages in memory, by pool. */
  readonly pools: readonly { readonly name: string; readonly bytesHeld: number; readonly bytesMax: number }[]
}
