import { once } from 'node:events'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { systemClock, type BookieId, type Logger } from '@strata/base'
import type { AvailableBookie } from '@strata/ledger-client'
import { hostPort, serveBookieNode, type NodeSecurity, type ServedBookieNode } from '@strata/ledger-client/grpc'
import { featureLevels, levelCapability, type MetadataStore } from '@strata/metadata'
import { distinctDirectories, type Bookie, type BookieDirectories } from '../bookie-types.ts'
import { NodeAdminServer } from './admin-server.ts'
import { isLoopback, loadNodeSecurity } from './credentials.ts'
import { HeldIds } from './held-ids.ts'
import { diskError, listenError, startError } from './errors.ts'
import { roomOf, type NodeView } from './node-view.ts'
import { openNodeAuditor } from './node-auditor.ts'
import { OwnDeclaration } from './own-declaration.ts'
import { openForCluster, ownBookieId } from './own-names.ts'
import { NodeRegistration } from './registration.ts'
import type { BookieServerSettings } from './settings.ts'
import { directoriesOf, storageSettingsOf } from './storage-settings.ts'
import { StoreGuard } from './store-guard.ts'

export interface BookieServerOptions {
  readonly settings: BookieServerSettings
  readonly metadata: MetadataStore
  readonly logger: Logger
  readonly softwareVersion: string
}

export interface BookieServer {
  readonly bookieId: BookieId
  readonly clusterId: string
  /** host:port of gRPC, as others are told. */
  readonly address: string
  /** As it was bound. */
  readonly port: number
  /** Undefined: it serves none. */
  readonly httpUrl: string | undefined
  /** Resolves when the process must end since another one runs this node; never otherwise. */
  readonly superseded: Promise<void>
  /** Leaves the registry, lets requests end, syncs, closes. Idempotent. */
  close(): Promise<void>
}

const MIB = 1024 * 1024

/**
 * One storage node that others reach: storage, gRPC, HTTP for operators, a row in the registry, opened in this order and
 * closed in the other one.
 *
 * @throws CodedError with one line for the person who starts it: what is wrong and which key to change; MetadataError
 */
export async function openBookieServer(options: BookieServerOptions): Promise<BookieServer> {
  const opened: (() => Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await close()
  }
  try {
    return await open(options, opened, closeAll)
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function open(
  options: BookieServerOptions,
  opened: (() => Promise<void>)[],
  closeAll: () => Promise<void>
): Promise<BookieServer> {
  const { settings, logger } = options
  const security = await securityOf(settings)
  await probePorts(settings)
  const directories = directoriesOf(settings)
  const { bookie, clusterId } = await openStorage(directories, options)
  opened.push(() => bookie.close())
  const served = await serve(bookie, { ...options, clusterId, security })
  opened.push(() => served.close())
  const host = advertisedHost(settings)
  const view: NodeView = {
    bookie,
    served,
    bookieId: bookie.bookieId,
    clusterId,
    address: hostPort(host, served.port),
    softwareVersion: options.softwareVersion,
    startedAtMs: systemClock.wallMs(),
    directories: distinctDirectories(directories),
    storage: directories,
    care: { auditor: undefined }
  }
  const httpPort = settings.httpServerEnabled ? await openAdmin(view, options, opened) : undefined
  let onSuperseded: () => void = () => undefined
  const superseded = new Promise<void>(resolvePromise => (onSuperseded = resolvePromise))
  const httpHost = reachableHost(settings.httpServerHost, host)
  const httpAddress = httpPort === undefined ? '' : hostPort(httpHost, httpPort)
  const { bookieId, address } = view
  await register(view, { ...options, httpAddress, onSuperseded }, opened)
  if (settings.autoRecoveryDaemonEnabled) {
    const own = { clusterId, bookieId, security, runs: served.runs }
    const auditor = await openNodeAuditor({ ...options, ...own, useNodes: find => bookie.useNodes(find) })
    opened.push(() => auditor.close())
    view.care.auditor = auditor
  }
  logger.info({ event: 'bookie.started', bookieId, clusterId, address }, 'the node serves')
  let closing: Promise<void> | undefined
  return {
    ...{ bookieId, clusterId, address, port: served.port, superseded },
    httpUrl: httpPort === undefined ? undefined : `http://${httpAddress}`,
    close() {
      if (closing === undefined) logger.info({ event: 'bookie.stopping', bookieId }, 'the node leaves its cluster')
      closing ??= closeAll()
      return closing
    }
  }
}

async function securityOf(settings: BookieServerSettings): Promise<NodeSecurity> {
  const security = await loadNodeSecurity({
    secretFile: settings.strataClusterSecretFile,
    certificate: settings.tlsCertificatePath,
    key: settings.tlsKeyStore,
    authority: settings.tlsTrustStore
  })
  const asksNobody = security.secrets.length === 0 && security.tls === undefined
  if (asksNobody && !isLoopback(settings.bindAddress)) {
    const advice = 'set strataClusterSecretFile or tlsCertificatePath, or keep bindAddress=127.0.0.1'
    throw startError(
      'OPEN_TO_STRANGERS',
      `bindAddress=${settings.bindAddress} lets strangers read and write: ${advice}`
    )
  }
  return security
}

/** Before anything is opened, so that a taken port touches no data. Whoever takes one in between is told of at the end. */
async function probePorts(settings: BookieServerSettings): Promise<void> {
  const wanted = [
    { portKey: 'bookiePort', port: settings.bookiePort, hostKey: 'bindAddress', host: settings.bindAddress },
    {
      portKey: 'httpServerPort',
      port: settings.httpServerPort,
      hostKey: 'httpServerHost',
      host: settings.httpServerHost
    }
  ]
  for (const at of settings.httpServerEnabled ? wanted : wanted.slice(0, 1)) {
    const probe = createServer()
    try {
      probe.listen(at.port, at.host)
      await once(probe, 'listening')
    } catch (error) {
      throw listenError(error, at)
    } finally {
      probe.close()
    }
  }
}

async function openStorage(
  directories: BookieDirectories,
  { settings, metadata, logger }: BookieServerOptions
): Promise<{ bookie: Bookie; clusterId: string }> {
  try {
    return await openForCluster({
      directories,
      bookieId: await ownBookieId(settings.bookieId, directories),
      metadata,
      logger,
      clock: systemClock,
      settings: storageSettingsOf(settings)
    })
  } catch (error) {
    throw diskError(error)
  }
}

async function serve(
  bookie: Bookie,
  { settings, logger, clusterId, security }: BookieServerOptions & { clusterId: string; security: NodeSecurity }
): Promise<ServedBookieNode> {
  const { bindAddress: host, bookiePort: port } = settings
  try {
    return await serveBookieNode(bookie, {
      ...{ clusterId, host, port, logger, security },
      addBytesMax: settings.strataAddQueueMB * MIB,
      readsMax: settings.strataReadsMax,
      drainMs: settings.strataShutdownTimeoutMs
    })
  } catch (error) {
    throw listenError(error, { portKey: 'bookiePort', port, hostKey: 'bindAddress', host })
  }
}

async function openAdmin(
  view: NodeView,
  { settings, logger }: BookieServerOptions,
  opened: (() => Promise<void>)[]
): Promise<number> {
  const admin = new NodeAdminServer(view, logger)
  opened.push(() => admin.close())
  const { httpServerHost: host, httpServerPort: port } = settings
  return admin.start({ host, port }).catch((error: unknown) => {
    throw listenError(error, { portKey: 'httpServerPort', port, hostKey: 'httpServerHost', host })
  })
}

/** Keeps the node's row in the registry, with what operators declared of it. */
async function register(
  view: NodeView,
  options: BookieServerOptions & { httpAddress: string; onSuperseded: () => void },
  opened: (() => Promise<void>)[]
): Promise<void> {
  const { settings, metadata, logger, httpAddress, onSuperseded } = options
  const { bookieId } = view
  let onDeclared = (): void => undefined
  const declaration = await OwnDeclaration.open(metadata, { bookieId, logger, onChange: () => onDeclared() })
  opened.push(() => {
    declaration.close()
    return Promise.resolve()
  })
  const heldIds = new HeldIds(view.bookie, metadata)
  const guard = new StoreGuard(view.bookie, { clock: systemClock, logger })
  const registration = new NodeRegistration({
    ...{ metadata, clock: systemClock, logger, onSuperseded },
    beforeJoining: async () => {
      await heldIds.raise()
      await guard.look()
    },
    leaseMs: settings.metadataStoreSessionTimeoutMillis,
    describe: async () => {
      const aside = await guard.reasonToStayAside()
      return availableNow(view, { httpAddress, rack: settings.strataRack, isLeaving: declaration.isLeaving, aside })
    }
  })
  onDeclared = (): void => registration.look()
  opened.push(() => registration.close())
  await registration.start()
}

async function availableNow(
  view: NodeView,
  own: {
    httpAddress: string
    rack: string
    isLeaving: boolean
    aside: { reason: string; signedCount: number } | undefined
  }
): Promise<AvailableBookie> {
  const { httpAddress, rack, isLeaving, aside } = own
  const { state, reasons } = view.bookie.health()
  const { incarnation, damagedEntries } = view.bookie.stats()
  const writable = isLeaving ? 'decommissioning' : 'writable'
  // a node that failed takes no adds, and may be read from
  const serving = state === 'writable' ? writable : 'read-only'
  // their number, since only the first ones are named: whoever cares for copies looks again when it changes
  const damaged = damagedEntries === 0 ? [] : [`${damagedEntries} entries are damaged`]
  return {
    ...{ bookieId: view.bookieId, address: view.address, httpAddress, rack, host: hostname() },
    ...(await roomOf(view)),
    state: aside === undefined ? serving : 'set-aside',
    softwareVersion: view.softwareVersion,
    incarnation,
    startedAtMs: view.startedAtMs,
    reasons: [...(aside === undefined ? [] : [aside.reason]), ...damaged, ...reasons],
    capabilities: [levelCapability(featureLevels)],
    ...(aside === undefined ? {} : { signedCount: aside.signedCount })
  }
}

function advertisedHost({ advertisedAddress, bindAddress }: BookieServerSettings): string {
  return advertisedAddress === '' ? reachableHost(bindAddress, hostname()) : advertisedAddress
}

/** What listens on all addresses is reached by a name. */
function reachableHost(bound: string, name: string): string {
  return bound === '0.0.0.0' || bound === '::' ? name : bound
}
