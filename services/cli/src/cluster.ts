import { randomInt } from 'node:crypto'
import { createLogger, systemClock } from '@strata/base'
import { bookieSettings, loadNodeSecurity, readClusterId } from '@strata/bookie/server'
import { createLedgerClient, type LedgerClient, type RegistryBookieDirectory } from '@strata/ledger-client'
import { openBookieRegistry, type NodeSecurity } from '@strata/ledger-client/grpc'
import type { MetadataStore } from '@strata/metadata'
import { metadataFailure } from './bookie-run.ts'
import { bookkeeperKeys } from './bookkeeper-keys.ts'
import { CommandFailure } from './failure.ts'
import { openMetadataStore } from './metadata-door.ts'
import { loadSettings } from './settings.ts'

/** How a command reaches the metadata store and the storage nodes. */
export interface ClusterFlags {
  readonly metadata?: string
  readonly conf?: string
  readonly set: readonly string[]
  readonly json?: boolean
}

export interface Cluster {
  readonly clusterId: string
  readonly metadata: MetadataStore
  readonly directory: RegistryBookieDirectory
  readonly ledgers: LedgerClient
}

const ONE_COPY = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
const TIMEOUT_MS = 15_000

/**
 * Runs with the cluster that the flags name, by the settings of a node: where the metadata is, and what nodes want to see
 * before they answer. Nodes that set themselves aside are not in its directory unless that is wanted. @throws CommandFailure, CodedError BAD_SETTING
 */
export async function withCluster<T>(
  flags: ClusterFlags,
  run: (cluster: Cluster) => Promise<T>,
  { withSetAside = false }: { withSetAside?: boolean } = {}
): Promise<T> {
  return withStore(flags, async ({ metadata, security, url }) => {
    const clusterId = await readClusterId(metadata)
    if (clusterId === undefined)
      throw new CommandFailure(`there is no cluster at ${url}: start a node with strata bookie`)
    const doors = { metadata, clock: systemClock, logger: createLogger({ level: 'error' }) }
    const directory = await openBookieRegistry({ ...doors, clusterId, security, withSetAside, timeoutMs: TIMEOUT_MS })
    try {
      const ledgers = createLedgerClient({
        ...doors,
        directory,
        quorum: ONE_COPY,
        random: () => randomInt(2 ** 32) / 2 ** 32
      })
      return await run({ clusterId, metadata, directory, ledgers })
    } finally {
      directory.close()
    }
  })
}

export interface StoreDoors {
  readonly metadata: MetadataStore
  readonly security: NodeSecurity
  readonly url: string
}

/** The same, whether the store belongs to a cluster or not. @throws CommandFailure, CodedError BAD_SETTING */
export async function withStore<T>(flags: ClusterFlags, run: (doors: StoreDoors) => Promise<T>): Promise<T> {
  const set = flags.metadata === undefined ? flags.set : [...flags.set, `metadataStoreUrl=${flags.metadata}`]
  const inputs = { conf: flags.conf, env: process.env, set, lenient: true, foreign: bookkeeperKeys }
  const { settings } = loadSettings(bookieSettings, inputs)
  if (settings.metadataStoreUrl === '') {
    throw new CommandFailure('where is the metadata? name it with --metadata etcd:http://host:2379, or --conf FILE', {
      exitCode: 64
    })
  }
  const logger = createLogger({ level: 'error' })
  const url = settings.metadataStoreUrl
  const metadata = await openMetadataStore(url, {
    configPath: settings.metadataStoreConfigPath,
    logger,
    mustExist: true
  }).catch((error: unknown) => {
    throw metadataFailure(error, url)
  })
  try {
    const security = await loadNodeSecurity({
      secretFile: settings.strataClusterSecretFile,
      certificate: settings.tlsCertificatePath,
      key: settings.tlsKeyStore,
      authority: settings.tlsTrustStore
    })
    return await run({ metadata, security, url })
  } catch (error) {
    throw metadataFailure(error, url)
  } finally {
    await metadata.close()
  }
}

/** Every row below a prefix, page by page. */
export async function* rowsBelow(
  metadata: MetadataStore,
  prefix: string,
  { keysOnly = false }: { keysOnly?: boolean } = {}
): AsyncGenerator<{ key: string; value: Uint8Array }> {
  let after: string | undefined
  do {
    const page = await metadata.scan({ prefix, keysOnly, ...(after === undefined ? {} : { after }) })
    yield* page.records
    after = page.next
  } while (after !== undefined)
}
