import { once } from 'node:events'
import { createServer } from 'node:net'
import { ClientTls } from '@strata/auth'
import { configErrors, type Clock, type Logger } from '@strata/base'
import { createLedgerClient, type BookieDirectory, type QuorumConfig } from '@strata/ledger-client'
import { createManagedLedgerFactory } from '@strata/managed-ledger'
import { BatchingMetadataStore, featureLevels, levelCapability, type MetadataStore } from '@strata/metadata'
import { createAdminServer } from '../admin/server.ts'
import { createBroker, type Broker, type BrokerOptions } from '../broker.ts'
import type { BrokerSettings } from '../config/settings.ts'
import type { Ports } from '../connection/listeners.ts'
import { ClusterOwnership } from '../ownership/cluster-ownership.ts'
import { placeByHash, type Place, type PlaceRequest } from '../ownership/placement.ts'
import { TcpPeers } from '../ownership/tcp-peers.ts'
import { refuseBesideEarlier } from './earlier-broker.ts'
import { StorageProbe } from './storage-probe.ts'
import { listenError } from './errors.ts'

export interface ServingOptions {
  readonly settings: BrokerSettings
  readonly metadata: MetadataStore
  /** The storage nodes: one in this process, or those of a cluster. */
  readonly directory: BookieDirectory
  readonly quorum: QuorumConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Uniform in [0, 1): spreads ledgers over nodes. */
  readonly random: () => number
  /** Why storage takes no messages now, one line each; empty while it takes them. */
  readonly storageTroubles: () => readonly string[]
  /** It shares the topics with other brokers; without it, it serves all there is, alone. */
  readonly cluster?: {
    /** The store must go on saying that it is of this one. */
    readonly clusterId: string
    /** How long the others go on counting with this one when they do not hear of it. */
    readonly leaseMs: number
  }
  /** Ends a start that waits for the cluster, with its reason: what was opened by then is closed, and nothing stays registered. */
  readonly signal?: AbortSignal
}

/** A broker that serves: its topics over ledgers, its port for clients, its HTTP. */
export interface Serving {
  /** With TLS where there is no other way. */
  readonly brokerUrl: string
  readonly webUrl: string
  /** Undefined: not listened on. */
  readonly brokerUrlTls: string | undefined
  readonly webUrlTls: string | undefined
  /** Hands over, takes no more, drains within `brokerShutdownTimeoutMs`, closes logs. What it stands on stays open. Idempotent. */
  close(): Promise<void>
}

const MIB = 1024 * 1024
/** Of this build, for who upgrades a cluster. */
const CAPABILITIES = [levelCapability(featureLevels)]
const PORTS = ['brokerServicePort', 'brokerServicePortTls', 'webServicePort', 'webServicePortTls'] as const

/** Before anything is opened, so that a taken port touches no data. Whoever takes one in between is told of at the end. */
export async function probeBrokerPorts(settings: BrokerSettings): Promise<void> {
  const { bindAddress: address } = settings
  for (const key of PORTS.filter(key => settings[key] >= 0)) {
    const probe = createServer()
    try {
      probe.listen(settings[key], address)
      await once(probe, 'listening')
    } catch (error) {
      throw listenError(error, { key, port: settings[key], address })
    } finally {
      probe.close()
    }
  }
}

/**
 * Opens ledgers, logs, broker and HTTP over metadata and storage nodes that the caller has open, and closes them in the
 * other order; a failure on the way up closes what was open.
 * @throws CodedError PORT_TAKEN, ADDRESS_REFUSED, CLUSTER_SERVED with one line; MetadataError
 */
export async function openServing(options: ServingOptions): Promise<Serving> {
  const opened: (() => Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await close()
  }
  try {
    const { broker } = await open(options, opened)
    const { bindAddress } = options.settings
    const host = bindAddress === '0.0.0.0' ? '127.0.0.1' : bindAddress
    let closing: Promise<void> | undefined
    return {
      ...urlsOf(host, broker.ports),
      close() {
        closing ??= closeAll()
        return closing
      }
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function open(options: ServingOptions, opened: (() => Promise<void>)[]): Promise<{ broker: Broker }> {
  const { settings, metadata, directory, quorum, clock, logger, random, storageTroubles, cluster } = options
  if (cluster !== undefined) await refuseBesideEarlier(metadata)
  // Topics that many clients make at once have nothing to do with each other: what they need written travels together.
  const together = new BatchingMetadataStore(metadata)
  const storage = { metadata: together, directory, quorum, clock, logger, random }
  const ledgers = createLedgerClient({ ...storage, clusterId: cluster?.clusterId })
  const cacheBytesMax = settings.managedLedgerCacheSizeMB * MIB
  const logs = createManagedLedgerFactory({ metadata: together, ledgers, cacheBytesMax, clock, log: logger })
  opened.push(() => logs.close())
  const clientTls = await openClientTls(options)
  opened.push(() => Promise.resolve(clientTls?.close()))
  // bundles are placed by the broker's balance, which comes after the ownership that asks for it
  const balance: { place: Place } = { place: placeByHash }
  const peers = new TcpPeers(clock, clientTls)
  const placing = { peers, place: (request: PlaceRequest) => balance.place(request) }
  const doors = { metadata, clock, logger, capabilities: CAPABILITIES }
  const ownership =
    cluster === undefined ? {} : { ownership: new ClusterOwnership({ ...doors, ...placing, ...cluster }) }
  const broker = await createBroker({
    ...{ settings, metadata: together, logs, clock, logger, clientTls, ...ownership },
    ...(cluster === undefined ? {} : { storage: storageOf(options, { peers, giveUpMs: cluster.leaseMs }) })
  })
  balance.place = broker.balance.place
  const bookies = (): string[] => directory.writable().map(({ bookieId }) => bookieId)
  const admin = createAdminServer({ broker, clock, logger, storageTroubles, bookies, copies: quorum.writeQuorum })
  // HTTP outlasts the broker: while it hands over, others ask it things, and load balancers see that it is not ready
  opened.push(
    () => admin.close(),
    () => broker.close()
  )
  const { bindAddress: address } = settings
  await broker.listen().catch((error: unknown) => {
    throw listenError(error, { ...portOf(settings, 'brokerServicePort', 'brokerServicePortTls'), address })
  })
  await admin.start().catch((error: unknown) => {
    throw listenError(error, { ...portOf(settings, 'webServicePort', 'webServicePortTls'), address })
  })
  await Promise.race([broker.serve(), ...(options.signal === undefined ? [] : [abortion(options.signal)])])
  return { broker }
}

/** A broker that is cut off from the storage nodes is as good as gone, so its bundles are given up after the same time. */
function storageOf(
  { directory, quorum, clock }: ServingOptions,
  { peers, giveUpMs }: { peers: TcpPeers; giveUpMs: number }
): NonNullable<BrokerOptions['storage']> {
  const probe = new StorageProbe({ directory, ackQuorum: quorum.ackQuorum, clock })
  return { door: { reaches: () => probe.reaches(), ask: peer => peers.askStorage(peer) }, giveUpMs }
}

/** @throws AuthError AUTH_SETTING_INVALID; CodedError BAD_SETTING */
async function openClientTls({ settings, cluster, clock, logger }: ServingOptions): Promise<ClientTls | undefined> {
  if (settings.brokerClientTlsEnabled) return await ClientTls.open(settings, { clock, logger })
  if (cluster === undefined || settings.webServicePort >= 0) return undefined
  const problem = 'webServicePort=-1: brokers of a cluster ask each other over HTTP; set brokerClientTlsEnabled=true'
  const error = configErrors.create('BAD_SETTING', { problems: [problem] })
  error.message = problem
  throw error
}

type PortKey = (typeof PORTS)[number]

/** Of two ports one was taken, and it is not known which: probed ports seldom are. */
function portOf(settings: BrokerSettings, plain: PortKey, tls: PortKey): { key: string; port: number } {
  const key = settings[plain] < 0 ? tls : plain
  return { key, port: settings[key] }
}

function urlsOf(host: string, ports: Ports): Omit<Serving, 'close'> {
  const at = (scheme: string, port: number): string | undefined =>
    port < 0 ? undefined : `${scheme}://${host}:${port}`
  const brokerUrlTls = at('pulsar+ssl', ports.brokerTls)
  const webUrlTls = at('https', ports.webTls)
  return {
    brokerUrl: at('pulsar', ports.broker) ?? brokerUrlTls ?? '',
    webUrl: at('http', ports.web) ?? webUrlTls ?? '',
    brokerUrlTls,
    webUrlTls
  }
}

async function abortion(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
  signal.throwIfAborted()
}
