import { hostname } from 'node:os'
import { randomUUID } from 'node:crypto'
import { BytePool, reasonOf, type Clock, type Logger } from '@strata/base'
import { GrantStore, ownCredentials, ServerTls, type ClientTls } from '@strata/auth'
import type { Entry, ManagedLedgerFactory } from '@strata/managed-ledger'
import type { MetadataStore } from '@strata/metadata'
import { SchemaRegistry } from '@strata/schema'
import { frameBytesMaxOf, MetadataView, readMessageMetadata } from '@strata/wire'
import { DynamicSettings } from './config/dynamic-settings.ts'
import { BrokerBalance } from './balance/broker-balance.ts'
import { placedLogs } from './balance/placed-logs.ts'
import type { BrokerSettings } from './config/settings.ts'
import { Guard } from './auth/guard.ts'
import { Revocations } from './auth/revocations.ts'
import { AssemblyGate } from './connection/assembly-gate.ts'
import type { ConnectionContext, ConnectionServices } from './connection/context.ts'
import { Listeners, listensWithTls, portsOf, type Ports } from './connection/listeners.ts'
import { Flusher } from './connection/output.ts'
import { ConnectionServer } from './connection/server.ts'
import { TenantShares } from './limits/tenant-shares.ts'
import { BrokerMeters } from './metrics/broker-meters.ts'
import { BrokerUnacked } from './limits/broker-unacked.ts'
import { DispatchLimit } from './limits/dispatch-limit.ts'
import { FilterRegistry } from './filters/filter-registry.ts'
import { ResourceGroups } from './resource-groups/resource-groups.ts'
import { NamespaceService } from './namespace/namespace-service.ts'
import { TopicSchemas } from './namespace/schemas.ts'
import type { ClusterInfo } from './namespace/tenancy.ts'
import type { TopicName } from './namespace/topic-name.ts'
import type { BrokerAddress, BundleTopics, Ownership } from './ownership/contract.ts'
import { SoleOwnership } from './ownership/sole-ownership.ts'
import { createSubscription } from './subscription/index.ts'
import { stampKindsOf } from './topic/entry-stamper.ts'
import { StorageWatch, type StorageDoor } from './ownership/storage-watch.ts'
import { HttpPeers } from './peers/http-peers.ts'
import { ownTopicOf, TopicHomes } from './topic/homes.ts'
import { PublicationPool } from './topic/publication.ts'
import { TimedBlocks } from './topic/timed-blocks.ts'
import { TopicRegistry } from './topic/topic-registry.ts'
import { TopicSweeper } from './topic/topic-sweeper.ts'
import type { TopicEnvironment } from './topic/topic.ts'

export interface BrokerOptions {
  readonly settings: BrokerSettings
  readonly metadata: MetadataStore
  readonly logs: ManagedLedgerFactory
  readonly clock: Clock
  readonly logger: Logger
  /** Who serves what; without it this broker serves all there is, alone. */
  readonly ownership?: StartableOwnership
  /** Where other brokers can do what this one cannot when it does not reach the storage nodes. */
  readonly storage?: { readonly door: StorageDoor; readonly giveUpMs: number }
  /** What brokers ask each other with; needed for `brokerClientTlsEnabled`. It stays the caller's. */
  readonly clientTls?: ClientTls | undefined
}

/** Begins once it is known where clients reach this broker. Drained and closed by the broker. */
export interface StartableOwnership extends Ownership {
  start(options: { self: BrokerAddress; topics: BundleTopics }): Promise<void>
  /** Does this broker reach the metadata store, now? What the others ask that are cut off from it. Never rejects. */
  reachesStore?(): Promise<boolean>
  /** False: the cluster does not count with this broker at this moment. */
  readonly hasLease?: boolean
  /** Gives up all bundles, with nothing written to storage; none comes here until `setDraining(false)`. */
  giveUp?(): Promise<void>
  setDraining?(isDraining: boolean): Promise<void>
}

export const SERVER_VERSION = 'Strata 0.1.0'
const MIB = 1024 * 1024
/** Part of the shutdown's time for handing bundles over; the rest is for what could not be handed over. */
const DRAIN_PART = 0.75

interface BrokerParts {
  readonly namespaces: NamespaceService
  readonly schemas: TopicSchemas
  readonly dynamicSettings: DynamicSettings
  readonly resourceGroups: ResourceGroups
  readonly filters: FilterRegistry
  readonly instance: number
  readonly guard: Guard | undefined
  readonly grants: GrantStore
  readonly tls: ServerTls | undefined
}

/** Serves the binary protocol. HTTP is put beside it by whoever composes the process, over `topics` and `namespaces`. */
export class Broker {
  readonly settings: BrokerSettings
  readonly topics: TopicRegistry
  readonly namespaces: NamespaceService
  readonly schemas: TopicSchemas
  readonly dynamicSettings: DynamicSettings
  readonly resourceGroups: ResourceGroups
  readonly filters: FilterRegistry
  readonly listeners: Listeners
  readonly ingestPool: BytePool
  readonly dispatchPool: BytePool
  readonly assembly: AssemblyGate
  readonly sweeper: TopicSweeper
  readonly homes = new TopicHomes()
  readonly peers: HttpPeers
  readonly blocks: TimedBlocks
  readonly balance: BrokerBalance
  readonly meters: BrokerMeters
  /** Undefined while authentication is off. */
  readonly guard: Guard | undefined
  readonly grants: GrantStore
  /** Undefined: nothing listens with TLS. */
  readonly tls: ServerTls | undefined
  /** No other broker ever serves its cluster. */
  readonly isAlone: boolean
  /** As they were bound; whoever serves HTTP sets `web`. */
  readonly ports: Ports
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #server: ConnectionServer
  readonly #revocations: Revocations | undefined
  readonly #ownership: StartableOwnership
  readonly #storage: StorageDoor | undefined
  readonly #storageWatch: StorageWatch | undefined
  readonly #suspension = { isOn: false }
  #isDraining = false
  #closing: Promise<void> | undefined

  constructor(options: BrokerOptions, parts: BrokerParts) {
    const { settings, clock, logger } = options
    this.settings = settings
    this.namespaces = parts.namespaces
    this.schemas = parts.schemas
    this.dynamicSettings = parts.dynamicSettings
    this.resourceGroups = parts.resourceGroups
    this.filters = parts.filters
    this.guard = parts.guard
    this.grants = parts.grants
    this.tls = parts.tls
    this.ports = portsOf(settings)
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
    this.#ownership = options.ownership ?? new SoleOwnership({ metadata: options.metadata, clock })
    this.isAlone = options.ownership === undefined
    this.#storage = options.storage?.door
    this.#storageWatch = this.#watchStorage(options)
    this.peers = new HttpPeers({ clock, own: ownCredentials(settings), tls: options.clientTls })
    this.balance = new BrokerBalance({
      ...{ store: options.metadata, clock, logger, settings, peers: this.peers },
      topics: () => this.topics.values(),
      pools: [this.ingestPool, this.dispatchPool],
      ownership: () => this.homes.ownership
    })
    const sources = { topics: () => this.topics.values(), logs: () => options.logs }
    this.meters = new BrokerMeters({ clock, logger, publishTimeMs: publishTimes(), ...sources })
    this.topics = new TopicRegistry({
      env: environmentOf(options, {
        dispatchPool: this.dispatchPool,
        suspension: this.#suspension,
        meters: this.meters,
        resourceGroups: this.resourceGroups,
        filters: this.filters
      }),
      homes: this.homes,
      remote: this.peers,
      records: parts.namespaces.topics,
      policies: parts.namespaces.policies,
      logs: placedLogs(options.logs, namespace => this.balance.nodesOf(namespace)),
      stamps: stampKindsOf(settings.brokerEntryMetadataInterceptors),
      forget: name => forgetTopic(parts, name)
    })
    this.blocks = new TimedBlocks({ clock, topics: this.topics })
    const { stored } = this.meters
    this.sweeper = new TopicSweeper({ registry: this.topics, records: parts.namespaces.topics, settings, stored })
    this.#revocations = this.#createRevocations()
    this.#server = new ConnectionServer(this.#servicesOf(parts.instance))
  }

  get connectionCount(): number {
    return this.#server.connectionCount
  }

  get connectionCounts(): { active: number; created: number; closed: number } {
    const { connectionCount: active, createdCount: created } = this.#server
    return { active, created, closed: created - active }
  }

  get hasLease(): boolean {
    return this.homes.isOpen && this.#ownership.hasLease !== false
  }

  /** Asked by others that are cut off from the metadata store: they go on if this one is as well. */
  async reachesStore(): Promise<boolean> {
    if (!this.homes.isOpen) return false
    return (await this.#ownership.reachesStore?.()) ?? true
  }

  /** Asked by others that are cut off from the storage nodes: what they serve comes to those that are not. */
  async reachesStorage(): Promise<boolean> {
    return (await this.#storage?.reaches()) ?? true
  }

  /** Out of touch with its cluster: nothing is taken or sent. */
  get isSuspended(): boolean {
    return this.#suspension.isOn
  }

  /** Why it should get no new clients, one line each; empty while it serves. */
  get troubles(): readonly string[] {
    if (!this.homes.isOpen) return ['the broker is starting']
    if (this.#isDraining) return ['the broker hands its topics over and goes away']
    if (this.#storageWatch?.hasGivenUp === true)
      return ['the storage nodes are out of reach, and not for the other brokers']
    return this.#suspension.isOn ? ['the metadata store is out of reach, and not for the other brokers'] : []
  }

  /** Its health check publishes to it. @throws BrokerError ServiceNotReady */
  get ownTopic(): TopicName {
    return ownTopicOf(this.homes.ownership.self)
  }

  /** Listens and serves. @throws the error of the system call that failed: EADDRINUSE, EACCES, … */
  async start(): Promise<void> {
    await this.listen()
    await this.serve()
  }

  /** Listens; what it is asked is answered with 'try again' until it serves. @throws as `start` */
  async listen(): Promise<void> {
    this.namespaces.policies.onChanged((namespace, topic) => {
      this.topics.refreshPolicies(namespace, topic).catch((error: unknown) => {
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
    for (const address of this.listeners.bindAddresses()) {
      const port = await this.#server.listen(address)
      if (address.listenerName === '') this.ports[address.isTls ? 'brokerTls' : 'broker'] = port
    }
  }

  /** Takes its part of the cluster's topics. Its ports are known by now. @throws MetadataError */
  async serve(): Promise<void> {
    await this.balance.open() // from the first bundle on it goes by the rules
    await this.#ownership.start({ self: this.#address(), topics: this.topics })
    if (this.#closing !== undefined) return // it was closed meanwhile
    this.homes.open(this.#ownership)
    if (!this.isAlone) {
      this.balance.start()
      this.resourceGroups.start(() => this.#ownership.self.instance)
    }
    this.#storageWatch?.start()
    this.sweeper.start()
    this.meters.start()
    this.topics.resumeDeletions().catch((error: unknown) => {
      const reason = reasonOf(error)
      this.#logger.warn({ event: 'topic.delete_failed', reason }, 'a deletion could not be carried on')
    })
    this.#logger.info({ event: 'broker.started', port: this.ports.broker }, 'the broker takes clients')
  }

  /**
   * Hands its bundles over, waits for what is pending, tells clients to go, closes topics: within
   * `brokerShutdownTimeoutMs`. It takes clients until its bundles are gone: some of them come to be told where to go.
   * Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#isDraining = true
    this.#storageWatch?.close()
    this.sweeper.stop()
    this.meters.stop()
    const { brokerShutdownTimeoutMs: timeoutMs } = this.settings
    const sinceMs = this.#clock.nowMs()
    const unbalanced = Promise.all([this.balance.stop(), this.resourceGroups.stop()])
    this.topics.stopLoading()
    if (this.homes.isOpen) await this.#within(timeoutMs * DRAIN_PART, this.#drain())
    this.#server.stopListening()
    const closed = Promise.all([this.topics.close(), unbalanced])
    await this.#within(Math.max(0, sinceMs + timeoutMs - this.#clock.nowMs()), closed)
    this.#server.closeAll('the broker shuts down')
    await this.#ownership.close() // also of a start that came to nothing: its lease is given back
    this.peers.close()
    this.blocks.close()
    this.balance.close()
    this.resourceGroups.close()
    this.filters.close()
    this.dynamicSettings.close()
    this.#revocations?.close()
    this.guard?.close()
    this.tls?.close()
    this.grants.close()
    await this.namespaces.close()
    this.#logger.info({ event: 'broker.closed' }, 'the broker is closed')
  }

  async #drain(): Promise<void> {
    try {
      await this.#ownership.drain()
    } catch (error) {
      const reason = reasonOf(error)
      this.#logger.warn({ event: 'broker.drain_failed', reason }, 'topics are taken over instead of handed over')
    }
  }

  async #within(timeoutMs: number, done: Promise<unknown>): Promise<void> {
    let cancel: () => void = () => undefined
    const late = new Promise<void>(resolve => {
      cancel = this.#clock.after(timeoutMs, resolve)
    })
    await Promise.race([done, late])
    cancel()
  }

  #address(): BrokerAddress {
    const { bindAddress } = this.settings
    const isAnywhere = bindAddress === '0.0.0.0' || bindAddress === '::'
    const host = isAnywhere ? hostname() : bindAddress.includes(':') ? `[${bindAddress}]` : bindAddress
    const { urls, listeners } = this.listeners.advertised({ host, ports: this.ports })
    return {
      id: (urls.httpUrl ?? urls.httpUrlTls ?? '').replace(/^https?:\/\//, ''),
      instance: randomUUID(),
      version: SERVER_VERSION,
      startedAtMs: this.#clock.wallMs(),
      urls,
      listeners,
      isDraining: false
    }
  }

  #watchStorage({ storage, clock, logger }: BrokerOptions): StorageWatch | undefined {
    const ownership = this.#ownership
    if (storage === undefined || !canGiveUp(ownership)) return undefined
    return new StorageWatch({ ...storage, clock, logger, ownership, counts: () => this.meters.storage })
  }

  #createRevocations(): Revocations | undefined {
    const access = this.guard?.access
    if (access === undefined) return undefined
    const connections = (): Iterable<ConnectionContext> => this.#server.connections()
    return new Revocations({ access, clock: this.#clock, logger: this.#logger, connections })
  }

  #servicesOf(instance: number): ConnectionServices {
    let nextName = 0
    return {
      clock: this.#clock,
      logger: this.#logger,
      settings: this.settings,
      topics: this.topics,
      homes: this.homes,
      namespaces: this.namespaces,
      schemas: this.schemas,
      listeners: this.listeners,
      flusher: new Flusher(),
      ingestPool: this.ingestPool,
      dispatchPool: this.dispatchPool,
      lookups: this.meters.lookups,
      serverVersion: SERVER_VERSION,
      ports: this.ports,
      publishing: { connections: 0 },
      tenantShares: new TenantShares({
        clock: this.#clock,
        contendedBytes: () => this.settings.strataContendedPublishBufferKB * 1024
      }),
      assembly: this.assembly,
      guard: this.guard,
      tls: this.tls,
      revocations: this.#revocations,
      producerName: () => `${this.settings.clusterName}-${instance}-${nextName++}`
    }
  }
}

/** Everything it stands on is opened by the caller and closed by the caller. */
export async function createBroker(options: BrokerOptions): Promise<Broker> {
  const { settings, metadata, clock } = options
  const namespaces = await NamespaceService.open({ store: metadata, settings, clock, cluster: clusterOf(settings) })
  const registry = new SchemaRegistry({ store: metadata, clock })
  const { policies, topics } = namespaces
  const schemas = new TopicSchemas({ registry, policies, topics, settings })
  const dynamicSettings = new DynamicSettings({ store: metadata, settings, logger: options.logger })
  await dynamicSettings.start()
  const resourceGroups = await ResourceGroups.open({ store: metadata, clock, logger: options.logger, settings })
  const filters = await FilterRegistry.open(settings, options.logger)
  const grants = new GrantStore(metadata)
  await grants.start()
  const guard = await Guard.open({ settings, store: metadata, grants, namespaces, clock })
  const doors = { clock, logger: options.logger }
  const tls = listensWithTls(settings) ? await ServerTls.open(settings, doors) : undefined
  const instance = await takeInstance(metadata)
  return new Broker(options, {
    namespaces,
    schemas,
    dynamicSettings,
    resourceGroups,
    filters,
    instance,
    guard,
    grants,
    tls
  })
}

/** How other clusters would reach this one, as far as the settings say. */
function clusterOf(settings: BrokerSettings): ClusterInfo {
  const host = settings.advertisedAddress === '' ? 'localhost' : settings.advertisedAddress
  const at = (scheme: string, port: number): string => (port < 0 ? '' : `${scheme}://${host}:${port}`)
  return {
    serviceUrl: at('http', settings.webServicePort),
    serviceUrlTls: at('https', settings.webServicePortTls),
    brokerServiceUrl: at('pulsar', settings.brokerServicePort),
    brokerServiceUrlTls: at('pulsar+ssl', settings.brokerServicePortTls),
    peerClusterNames: [],
    client: JAVA_DEFAULTS
  }
}

/** What tools in Java that connect by a cluster's record take for granted where a cluster was set up by Pulsar's own tool. */
const JAVA_DEFAULTS = {
  brokerClientSslFactoryPlugin: 'org.apache.pulsar.common.util.DefaultPulsarSslFactory',
  brokerClientTlsKeyStoreType: 'JKS',
  brokerClientTlsTrustStoreType: 'JKS'
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

/** What else is kept under the name of a topic that is being deleted. */
async function forgetTopic({ namespaces, schemas, grants }: BrokerParts, name: TopicName): Promise<void> {
  const { namespace, domain, localName } = name
  await namespaces.policies.forgetTopic(name)
  await schemas.forget(name)
  await grants.removeAll({ kind: 'topic', namespace, domain, localName })
}

function environmentOf(
  options: BrokerOptions,
  shared: Pick<TopicEnvironment, 'dispatchPool' | 'suspension' | 'meters' | 'resourceGroups' | 'filters'>
): TopicEnvironment {
  return {
    clock: options.clock,
    logger: options.logger,
    settings: options.settings,
    ...shared,
    publications: new PublicationPool(),
    dispatchLimit: new DispatchLimit(options.clock),
    unacked: new BrokerUnacked(options.settings),
    createSubscription,
    publishTimeMs: publishTimes()
  }
}

function canGiveUp(
  ownership: StartableOwnership
): ownership is StartableOwnership & Required<Pick<StartableOwnership, 'giveUp' | 'setDraining'>> {
  return ownership.giveUp !== undefined && ownership.setDraining !== undefined
}

function publishTimes(): (entry: Entry) => number {
  const view = new MetadataView()
  return entry => {
    readMessageMetadata(entry.payload, 0, entry.payload.length, view)
    return view.publishTimeMs
  }
}
