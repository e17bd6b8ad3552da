import { randomUUID } from 'node:crypto'
import { createLogger, systemClock } from '@strata/base'
import { CLUSTER_ID_KEY } from '@strata/bookie'
import { readClusterId } from '@strata/bookie/server'
import {
  clusterBrokerSettings,
  initializeCluster,
  pulsarClusterKeys,
  readClusterName,
  readClusterRows
} from '@strata/broker'
import { updateRecord, type MetadataStore } from '@strata/metadata'
import { metadataFailure } from './bookie-run.ts'
import { CommandFailure } from './failure.ts'
import { openMetadataStore } from './metadata-door.ts'
import { printFields, printJson } from './output.ts'
import { loadSettings } from './settings.ts'

export interface InitFlags {
  readonly cluster: string
  readonly metadata: string
  readonly metadataConfig?: string
  readonly webServiceUrl?: string
  readonly webServiceUrlTls?: string
  readonly brokerServiceUrl?: string
  readonly brokerServiceUrlTls?: string
  readonly json?: boolean
}

export interface InitializedCluster {
  readonly clusterId: string
  /** False: all of it was there already. */
  readonly isNew: boolean
}

export async function runInitCluster(flags: InitFlags): Promise<void> {
  const { cluster, metadata: url } = flags
  const logger = createLogger({ level: 'error' })
  const configPath = flags.metadataConfig ?? ''
  const metadata = await openMetadataStore(url, { configPath, logger }).catch((error: unknown) => {
    throw metadataFailure(error, url)
  })
  try {
    const { clusterId, isNew } = await initCluster(metadata, flags)
    if (flags.json === true) await printJson({ cluster, clusterId, metadata: url, isNew })
    else {
      printFields([
        ['cluster', cluster],
        ['id', clusterId],
        ['metadata', url],
        ['state', isNew ? 'prepared' : 'was prepared before; nothing was changed']
      ])
    }
  } catch (error) {
    throw metadataFailure(error, url)
  } finally {
    await metadata.close()
  }
}

/** Idempotent. @throws CommandFailure: the metadata is another cluster's; MetadataError */
export async function initCluster(
  metadata: MetadataStore,
  flags: Pick<InitFlags, 'cluster' | 'webServiceUrl' | 'webServiceUrlTls' | 'brokerServiceUrl' | 'brokerServiceUrlTls'>
): Promise<InitializedCluster> {
  const { cluster } = flags
  if (!/^[-=:.\w]{1,255}$/.test(cluster)) {
    throw new CommandFailure(`--cluster ${cluster}: use letters, digits and - = : . _ alone`, { exitCode: 64 })
  }
  const before = await readClusterName(metadata)
  // brokers that started without it wrote down which cluster they are of
  const rows = before === undefined ? await readClusterRows(metadata) : []
  const named = before ?? (rows.length === 1 ? rows[0] : undefined)
  if (named !== undefined && named !== cluster) throw another(named, cluster)
  const inputs = {
    conf: undefined,
    env: {},
    set: [`clusterName=${cluster}`],
    lenient: true,
    foreign: pulsarClusterKeys
  }
  const { settings } = loadSettings(clusterBrokerSettings, inputs)
  const isKnown = before !== undefined && (await readClusterId(metadata)) !== undefined
  const found = await initializeCluster(metadata, {
    settings,
    clock: systemClock,
    cluster: {
      serviceUrl: flags.webServiceUrl ?? '',
      serviceUrlTls: flags.webServiceUrlTls ?? '',
      brokerServiceUrl: flags.brokerServiceUrl ?? '',
      brokerServiceUrlTls: flags.brokerServiceUrlTls ?? '',
      peerClusterNames: []
    }
  })
  // someone else was faster
  if (found !== cluster) throw another(found, cluster)
  return { clusterId: await ensureClusterId(metadata), isNew: !isKnown }
}

function another(named: string, wanted: string): CommandFailure {
  const advice = `one store, or one prefix of it, holds one cluster: put another one below etcd:http://host:2379/${wanted}`
  return new CommandFailure(`this metadata is of cluster ${named}, nothing was changed: ${advice}`)
}

/** The first to come names it, be it this command or a storage node. */
async function ensureClusterId(metadata: MetadataStore): Promise<string> {
  const decide = (current: object | undefined) =>
    current === undefined ? { put: Buffer.from(randomUUID()) } : undefined
  const record = await updateRecord(metadata, CLUSTER_ID_KEY, decide, { clock: systemClock })
  return Buffer.from(record?.value ?? []).toString()
}
