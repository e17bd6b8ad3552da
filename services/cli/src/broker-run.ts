import { randomInt } from 'node:crypto'
import { createLogger, systemClock, type Logger, type LogLevel } from '@strata/base'
import { loadNodeSecurity, readClusterId } from '@strata/bookie/server'
import {
  clusterBrokerSettings,
  openServing,
  probeBrokerPorts,
  pulsarClusterKeys,
  quorumOf,
  type ClusterBrokerSettings,
  type Serving
} from '@strata/broker'
import type { RegistryBookieDirectory } from '@strata/ledger-client'
import { openBookieRegistry } from '@strata/ledger-client/grpc'
import type { MetadataStore } from '@strata/metadata'
import { metadataFailure } from './bookie-run.ts'
import { refuseUnavailable } from './broker-switches.ts'
import { CommandFailure } from './failure.ts'
import { collectInBackground } from './background-collection.ts'
import { collectWhenIdle } from './idle-collection.ts'
import { openMetadataStore } from './metadata-door.ts'
import { loadSettings } from './settings.ts'
import { stopRequest } from './stop-request.ts'
import { StoreStanding } from './store-standing.ts'
import { BEAT_MS, Watchdog } from './watchdog.ts'

export interface BrokerFlags {
  readonly conf?: string
  readonly set: readonly string[]
  readonly lenient?: boolean
  readonly json?: boolean
}

/** A broker over the storage nodes of its cluster, beside others or alone, until Ctrl-C. */
export async function runBroker(flags: BrokerFlags): Promise<void> {
  const { settings, warnings } = loadSettings(clusterBrokerSettings, {
    conf: flags.conf,
    env: process.env,
    set: flags.set,
    lenient: flags.lenient ?? false,
    foreign: pulsarClusterKeys
  })
  refuseUnavailable(settings)
  quorumOf(settings)
  const json = flags.json ?? false
  const logger = createLogger({ level: settings.strataLogLevel as LogLevel, ...(json ? { pretty: false } : {}) })
  for (const warning of warnings) logger.warn({ event: 'config.key_ignored', warning }, 'a setting was ignored')
  // listened for before it is told ready: who reads that line may stop it at once
  const stopped = stopRequest()
  await probeBrokerPorts(settings)
  const url = settings.metadataStoreUrl
  let onReplaced: (reason: string) => void = () => undefined
  const metadata = await openMetadataStore(url, {
    configPath: settings.metadataStoreConfigPath,
    logger,
    mustExist: true,
    onReplaced: reason => onReplaced(reason)
  }).catch((error: unknown) => {
    throw metadataFailure(error, url)
  })
  try {
    const standing = await StoreStanding.open(metadata, { url, clusterName: settings.clusterName, logger })
    onReplaced = reason => standing.replaced(reason)
    try {
      await serve({ settings, metadata, logger, json, stopped, standing })
    } finally {
      standing.close()
    }
  } catch (error) {
    throw metadataFailure(error, url)
  } finally {
    await metadata.close()
  }
}

interface Parts {
  readonly settings: ClusterBrokerSettings
  readonly metadata: MetadataStore
  readonly logger: Logger
  readonly json: boolean
  readonly stopped: Promise<void>
  readonly standing: StoreStanding
}

async function serve({ settings, metadata, logger, json, stopped, standing }: Parts): Promise<void> {
  const url = settings.metadataStoreUrl
  const clusterId = await readClusterId(metadata)
  if (clusterId === undefined)
    throw new CommandFailure(`there is no cluster at ${url}: start a storage node first, with strata bookie`)
  const doors = { metadata, clock: systemClock, logger }
  const security = await securityOf(settings)
  const directory = await openBookieRegistry({ ...doors, clusterId, security })
  try {
    const quorum = quorumOf(settings)
    const starting = new AbortController()
    void stopped.then(() => starting.abort(new CommandFailure('it was stopped before it was ready')))
    const serving = await openServing({
      ...{ ...doors, settings, directory, quorum },
      random: () => randomInt(2 ** 32) / 2 ** 32,
      storageTroubles: () => troublesOf(directory, quorum.ackQuorum),
      cluster: { clusterId, leaseMs: settings.metadataStoreSessionTimeoutMillis },
      signal: starting.signal
    })
    const leaseMs = settings.metadataStoreSessionTimeoutMillis
    // a beat beyond the lease: a broker that comes back just in time is let be
    const watchdog = settings.strataWatchdogEnabled ? new Watchdog({ limitMs: leaseMs + BEAT_MS, logger }) : undefined
    try {
      collectWhenIdle()
      collectInBackground()
      print(serving, { clusterId, json, directory })
      await Promise.race([stopped, standing.over.then(error => Promise.reject(error))])
    } finally {
      await serving.close()
      watchdog?.close()
    }
  } finally {
    directory.close()
  }
}

function securityOf(settings: ClusterBrokerSettings) {
  return loadNodeSecurity(
    {
      secretFile: settings.strataClusterSecretFile,
      certificate: settings.bookkeeperTLSCertificateFilePath,
      key: settings.bookkeeperTLSKeyFilePath,
      authority: settings.bookkeeperTLSTrustCertsFilePath
    },
    {
      certificate: 'bookkeeperTLSCertificateFilePath',
      key: 'bookkeeperTLSKeyFilePath',
      authority: 'bookkeeperTLSTrustCertsFilePath'
    }
  )
}

/** With fewer than an ack quorum nothing can be acknowledged; what else is missing, a message through the broker tells. */
function troublesOf(directory: RegistryBookieDirectory, ackQuorum: number): string[] {
  const count = directory.writable().length
  if (count >= ackQuorum) return []
  return [`${count} storage nodes take entries, and ${ackQuorum} must have one before it is acknowledged`]
}

function print(
  { brokerUrl, webUrl, brokerUrlTls, webUrlTls }: Serving,
  { clusterId, json, directory }: { clusterId: string; json: boolean; directory: RegistryBookieDirectory }
): void {
  const bookies = directory.writable().length
  if (json) {
    const ready = { event: 'ready', pid: process.pid, brokerUrl, webUrl, brokerUrlTls, webUrlTls, clusterId, bookies }
    process.stdout.write(`${JSON.stringify(ready)}\n`)
    return
  }
  const lines = [
    'The broker is ready.',
    `  clients     ${brokerUrl}`,
    `  admin       ${webUrl}   (status page: ${webUrl}/status.html)`,
    ...(brokerUrlTls === undefined ? [] : [`  with TLS    ${brokerUrlTls}`]),
    ...(webUrlTls === undefined ? [] : [`              ${webUrlTls}`]),
    `  cluster     ${clusterId}`,
    `  storage     ${bookies} nodes take entries`,
    '  stop        Ctrl-C (twice: at once)'
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
