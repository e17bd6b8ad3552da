import { BytePool, reasonOf, type Clock, type Logger } from '@strata/base'
import type { Entry, ManagedLedgerFactory } from '@strata/managed-ledger'
import type { MetadataStore } from '@strata/metadata'
import { SchemaRegistry } from '@strata/schema'
import { frameBytesMaxOf, MetadataView, readMessageMetadata } from '@strata/wire'
import { DynamicSettings } from './config/dynamic-settings.ts'
import type { BrokerSettings } from './config/settings.ts'
import { AssemblyGate } from './connection/assembly-gate.ts'
import type { ConnectionServices } from './connection/context.ts'
import { Listeners } from './connection/listeners.ts'
import { Flusher } from './connection/output.ts'
import { ConnectionServer } from './connection/server.ts'
import { NamespaceService } from './namespace/namespace-service.ts'
import { TopicSchemas } from './namespace/schemas.ts'
import type { ClusterInfo } from './namespace/tenancy.ts'
import { createSubscription } from './subscription/index.ts'
import { stampKindsOf } from './topic/entry-stamper.ts'
import { PublicationPool } from './topic/publication.ts'
import { TopicRegistry } from './topic/topic-registry.ts'
import { TopicSweeper } from './topic/topic-sweeper.ts'
import type { TopicEnvironment } from './topic/topic.ts'

export interface BrokerOptions {
  readonly settings: BrokerSettings
  readonly metadata: MetadataStore
  readonly logs: ManagedLedgerFactory
  readonly clock: Clock
  readonly logger: Logger
}

export const SERVER_VERSION = 'Strata 0.1.0'
const MIB = 1024 * 1024

interface BrokerParts {
  readonly namespaces: NamespaceService
  readonly schemas: TopicSchemas
  readonly dynamicSettings: DynamicSettings
  readonly instance: number
}

/** Serves the binary protocol. HTTP is put beside it by whoever composes the process, over `topics` and `namespaces`. */
export class Broker {
  readonly settings: BrokerSettings
  readonly topics: TopicRegistry
  readonly namespaces: NamespaceService
  readonly schemas: TopicSchemas
  readonly dynamicSettings: DynamicSettings
  readonly listeners: Listeners
  readonly ingestPool: BytePool
  readonly dispatchPool: BytePool
  readonly assembly: AssemblyGate
  readonly sweeper: TopicSweeper
  /** As they were bound; whoever serves HTTP sets `web`. */
  readonly ports = { broker: 0, web: 0 }
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #server: ConnectionServer
  #closing: Promise<void> | undefined

  constructor(options: BrokerOptions, parts: BrokerParts) {
    const { settings, clock, logger } = options
    this.settings = settings
    this.namespaces = parts.namespaces
    this.schemas = parts.schemas
    this.dynamicSettings = parts.dynamicSettings
    this.#clock = clock
    this.#logger = logger
    this.listeners = new Listeners(settings)
    const budgetBytes = settings.strataMemoryBudgetMB * MIB
    this.ingestPool = new BytePool('ingest', budgetBytes / 4)
    this.dispatchPool = new BytePool('dispatch', budgetBytes / 4)
    this.assembly = new AssemblyGate({
      clock,
      places: Math.floor(this.ingestPool.bytesMax / frameBytesMaxOf(settings.maxMessageSize)),
      patienceMs: () => settings.keepAliveIntervalSeconds * 1000
    })
    this.topics = new TopicRegistry({
      env: environmentOf(options, this.dispatchPool),
      records: parts.namespaces.topics,
      policies: parts.namespaces.policies,
      logs: options.logs,
      stamps: stampKindsOf(settings.brokerEntryMetadataInterceptors),
      forget: name => parts.schemas.forget(name)
    })
    this.sweeper = new TopicSweeper({ registry: this.topics, records: parts.namespaces.topics, settings })
    this.#server = new ConnectionServer(this.#servicesOf(parts.instance))
  }

  get connectionCount(): number {
    return this.#server.connectionCount
  }

  get connectionCounts(): { active: number; created: number; closed: number } {
    const { connectionCount: active, createdCount: created } = this.#server
    return { active, created, closed: created - active }
  }

  /** Listens. @throws the error of the system call that failed: EADDRINUSE, EACCES, … */
  async start(): Promise<void> {
    this.namespaces.policies.onChanged(namespace => {
      this.topics.refreshPolicies(namespace).catch((error: unknown) => {
        const reason = reasonOf(error)
        this.#logger.warn({ event: 'policies.refresh_failed', namespace, reason }, 'policies could not be read')
      })
    })
    this.dynamicSettings.onChanged(() => {
      this.topics.refreshSettings().catch((error: unknown) => {
        const reason = reasonOf(error)
        this.#logger.warn({ event: 'policies.refresh_failed', reason }, 'policies could not be read')
      })
    })
    const [main, ...further] = this.listeners.bindAddresses()
    if (main !== undefined) this.ports.broker = await this.#server.listen(main)
    for (const address of further) await this.#server.listen(address)
    this.sweeper.start()
    this.topics.resumeDeletions().catch((error: unknown) => {
      const reason = reasonOf(error)
      this.#logger.warn({ event: 'topic.delete_failed', reason }, 'a deletion could not be carried on')
    })
    this.#logger.info({ event: 'broker.started', port: this.ports.broker }, 'the broker takes clients')
  }

  /**
   * Takes no more, waits for what is pending (within `brokerShutdownTimeoutMs`), tells clients to go, closes topics.
   * Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#server.stopListening()
    this.sweeper.stop()
    let cancel: () => void = () => undefined
    const deadline = new Promise<void>(resolve => {
      cancel = this.#clock.after(this.settings.brokerShutdownTimeoutMs, resolve)
    })
    await Promise.race([this.topics.close(), deadline])
    cancel()
    this.#server.closeAll('the broker shuts down')
    this.dynamicSettings.close()
    await this.namespaces.close()
    this.#logger.info({ event: 'broker.closed' }, 'the broker is closed')
  }

  #servicesOf(instance: number): ConnectionServices {
    let nextName = 0
    return {
      clock: this.#clock,
      logger: this.#logger,
      settings: this.settings,
      topics: this.topics,
      namespaces: this.namespaces,
      schemas: this.schemas,
      listeners: this.listeners,
      flusher: new Flusher(),
      ingestPool: this.ingestPool,
      dispatchPool: this.dispatchPool,
      lookups: { pending: 0 },
      serverVersion: SERVER_VERSION,
      ports: this.ports,
      publishing: { connections: 0 },
      assembly: this.assembly,
      producerName: () => `${this.settings.clusterName}-${instance}-${nextName++}`
    }
  }
}

/** Everything it stands on is opened by the caller and closed by the caller. */
export async function createBroker(options: BrokerOptions): Promise<Broker> {
  const { settings, metadata, clock } = options
  const namespaces = await NamespaceService.open({ store: metadata, settings, clock, cluster: clusterOf(settings) })
  const schemas = new TopicSchemas(new SchemaRegistry({ store: metadata, clock }), namespaces.policies)
  const dynamicSettings = new DynamicSettings({ store: metadata, settings, logger: options.logger })
  await dynamicSettings.start()
  const instance = await takeInstance(metadata)
  return new Broker(options, { namespaces, schemas, dynamicSettings, instance })
}

/** How other clusters would reach this one, as far as the settings say. */
function clusterOf(settings: BrokerSettings): ClusterInfo {
  const host = settings.advertisedAddress === '' ? 'localhost' : settings.advertisedAddress
  return {
    serviceUrl: `http://${host}:${settings.webServicePort}`,
    serviceUrlTls: '',
    brokerServiceUrl: `pulsar://${host}:${settings.brokerServicePort}`,
    brokerServiceUrlTls: '',
    peerClusterNames: []
  }
}

/** A number that no broker of the cluster had before: the revision at which it wrote a key. */
async function takeInstance(metadata: MetadataStore): Promise<number> {
  const result = await metadata.transact({
    compares: [],
    changes: [{ kind: 'put', key: 'broker-instances/last', value: new Uint8Array(0) }]
  })
  if (!result.committed) throw new Error('a transaction without compares did not commit')
  return result.revision
}

function environmentOf(options: BrokerOptions, dispatchPool: BytePool): TopicEnvironment {
  const view = new MetadataView()
  return {
    clock: options.clock,
    logger: options.logger,
    settings: options.settings,
    dispatchPool,
    publications: new PublicationPool(),
    createSubscription,
    publishTimeMs: (entry: Entry) => {
      readMessageMetadata(entry.payload, 0, entry.payload.length, view)
      return view.publishTimeMs
    }
  }
}
