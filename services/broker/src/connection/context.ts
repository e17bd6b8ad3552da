import type { ClientCertificate, ServerTls } from '@strata/auth'
import type { BytePool, Clock, Logger } from '@strata/base'
import type { CommandInit, CommandName } from '@strata/wire'
import type { Guard } from '../auth/guard.ts'
import type { Session } from '../auth/session.ts'
import type { BrokerSettings } from '../config/settings.ts'
import type { Consumer, ConsumerConnection } from '../contract.ts'
import type { TenantShares } from '../limits/tenant-shares.ts'
import type { LookupMeter } from '../metrics/lookup-meter.ts'
import type { NamespaceService } from '../namespace/namespace-service.ts'
import type { Producer, ProducerConnection } from '../topic/producer.ts'
import type { TopicHomes } from '../topic/homes.ts'
import type { Topic } from '../topic/topic.ts'
import type { TopicRegistry } from '../topic/topic-registry.ts'
import type { AssemblyGate } from './assembly-gate.ts'
import type { GenerationsHeld } from './generations-held.ts'
import type { Listeners, Ports } from './listeners.ts'
import type { Flusher } from './output.ts'
import type { SchemaDoor } from './schema-door.ts'

/** What one client may make a connection hold. Beyond it requests are refused; nothing is dropped. */
export const PRODUCERS_MAX = 10_000
export const CONSUMERS_MAX = 10_000
export const WATCHERS_MAX = 1000
export const PENDING_REQUESTS_MAX = 20_000

/** Of what a client sends before it is known: its CONNECT, with its credentials. */
export const CONNECT_BYTES_MAX = 64 * 1024

/** Of a client, from which protocol version on it understands something. */
export const SINCE_VERSION = {
  closeCommands: 5,
  endOfTopic: 9,
  /** Consumers of older clients cannot take the checksum. */
  checksum: 11,
  activeConsumer: 12
} as const

/** Everything that all connections of a broker share. */
export interface ConnectionServices {
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BrokerSettings
  readonly topics: TopicRegistry
  readonly homes: TopicHomes
  readonly namespaces: NamespaceService
  readonly schemas: SchemaDoor
  readonly listeners: Listeners
  readonly flusher: Flusher
  /** Bytes of SENDs that are not durable yet. */
  readonly ingestPool: BytePool
  /** Bytes of output that no socket has taken yet. */
  readonly dispatchPool: BytePool
  readonly lookups: LookupMeter
  readonly serverVersion: string
  readonly ports: Ports
  producerName(): string
  /** Connections that hold publications, for fair shares of the ingest pool. */
  readonly publishing: { connections: number }
  readonly tenantShares: TenantShares
  readonly assembly: AssemblyGate
  /** Undefined while authentication is off. */
  readonly guard: Guard | undefined
  /** Undefined: nothing listens with TLS. */
  readonly tls: ServerTls | undefined
  /** Undefined while authorization is off. */
  readonly revocations: { noticed(scope: string): void } | undefined
}

/** What the client said of itself in CONNECT. */
export interface ClientInfo {
  readonly version: string
  readonly protocolVersion: number
  readonly supportsBrokerEntryMetadata: boolean
  readonly supportsPartialProducer: boolean
  readonly supportsTopicWatchers: boolean
  readonly supportsAuthRefresh: boolean
}

export const UNKNOWN_CLIENT: ClientInfo = {
  version: '',
  protocolVersion: 0,
  supportsBrokerEntryMetadata: false,
  supportsPartialProducer: false,
  supportsTopicWatchers: false,
  supportsAuthRefresh: false
}

export type ProducerSlot =
  | { readonly kind: 'creating'; isCancelled: boolean }
  | { readonly kind: 'ready'; readonly producer: Producer; readonly topic: Topic }

export type ConsumerSlot =
  { readonly kind: 'creating' } | { readonly kind: 'ready'; readonly consumer: Consumer; readonly topic: Topic }

export interface WatcherSlot {
  /** `tenant/namespace` */
  readonly namespace: string
  close(): void
}

/** A connection as the handlers of its commands see it. */
export interface ConnectionContext extends ConsumerConnection, ProducerConnection {
  readonly services: ConnectionServices
  readonly connectionId: number
  readonly address: string
  readonly remoteAddress: string
  readonly localAddress: string
  /** That the client showed; undefined without TLS, too. */
  readonly certificate: ClientCertificate | undefined
  /** Of the bind address it came in by; empty for the main one. */
  readonly listenerName: string
  /** The listener that its lookups name, else that of its bind address: where its client reaches brokers. */
  lookupListener: string
  readonly clientVersion: string
  readonly logger: Logger
  readonly client: ClientInfo
  /** Who the client is; undefined while authentication is off, and until it is known. */
  readonly session: Session | undefined
  readonly isClosed: boolean
  readonly producers: Map<number, ProducerSlot>
  readonly consumers: Map<number, ConsumerSlot>
  readonly watchers: Map<bigint, WatcherSlot>
  /** Of producers, and of consumers, of this connection, also of those that the broker sent away. */
  readonly producerGenerations: GenerationsHeld
  readonly consumerGenerations: GenerationsHeld
  /** Ends the wait of producers that are not ready yet. */
  readonly cancellations: Map<ProducerSlot, () => void>
  /** CONNECT was accepted. */
  becomeConnected(client: ClientInfo, session: Session | undefined): void
  reply<Name extends CommandName>(name: Name, init: CommandInit<Name>): void
  sendAckResponse(consumerId: number, requestIdLow: number, requestIdHigh: number): void
  /** ERROR for a request. */
  fail(requestId: bigint, error: unknown): void
  /** Runs a request's work; whatever it throws is its answer. */
  answer(requestId: bigint, work: () => Promise<void>): void
  /** The same for requests whose answer carries its own error. */
  answerWith(work: () => Promise<void>, onError: (error: unknown) => void): void
  /** Forgets a producer that the topic closed; late SENDs of it are passed over for a while. */
  forgetProducer(producerId: number): void
  /** Closes the socket; the reason is logged. */
  close(reason: string): void
}

/** An id that the client counts up from 0. One past 2^53 is no id of any client. */
export function safeId(id: bigint): number {
  return Number(id)
}

/** What -1 is on the wire. */
export const NO_REQUEST = 0xffff_ffff_ffff_ffffn
