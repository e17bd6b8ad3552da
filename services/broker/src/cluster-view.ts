import { transactUntilAnswered, type MetadataStore } from '@strata/metadata'
import type { Clock } from '@strata/base'
import type { BrokerSettings } from './config/settings.ts'
import { BrokerRowSchema, BundleOwnerRowSchema, ServingRowSchema } from './generated/broker_pb.ts'
import { PolicyStore } from './namespace/policies.ts'
import { decodeRow, scanAll } from './namespace/rows.ts'
import { Tenancy, type ClusterInfo } from './namespace/tenancy.ts'

/*
  What commands see of the brokers of a cluster, by their rows alone: no broker is asked.
*/

export interface BrokerView {
  /** host:port of HTTP: the same after a restart. */
  readonly id: string
  /** Of one start. */
  readonly instance: string
  readonly version: string
  readonly host: string
  readonly pid: number
  readonly startedAtMs: number
  readonly brokerUrl: string
  readonly webUrl: string
  readonly isDraining: boolean
  readonly capabilities: readonly string[]
}

const BROKERS = 'brokers/'
const OWNERS = 'bundle-owners/'
const LEADER = 'broker-leader'
const SERVING = 'serving-broker'
const NAME = 'cluster-name'

/** Every broker that is registered, by id. @throws BrokerError MetadataError; MetadataError */
export async function readBrokers(store: MetadataStore): Promise<BrokerView[]> {
  const found: BrokerView[] = []
  for await (const record of scanAll(store, BROKERS)) {
    const row = decodeRow(BrokerRowSchema, record)
    found.push({
      ...{ id: row.id, instance: record.key.slice(BROKERS.length), version: row.version, host: row.host, pid: row.pid },
      startedAtMs: Number(row.startedAtMs),
      brokerUrl: row.urls?.brokerUrl ?? '',
      webUrl: [row.urls?.httpUrl, row.urls?.httpUrlTls].find(url => url !== undefined && url !== '') ?? '',
      isDraining: row.draining,
      capabilities: row.capabilities
    })
  }
  if (found.length === 0) found.push(...(await servingBroker(store)))
  return found.sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** The one broker of a cluster whose release serves with one alone. */
async function servingBroker(store: MetadataStore): Promise<BrokerView[]> {
  const record = await store.get(SERVING)
  if (record === undefined) return []
  const { instance, host, pid, brokerUrl, webUrl, startedAtMs } = decodeRow(ServingRowSchema, record)
  if (webUrl === '') return [] // it is starting
  const id = webUrl.replace(/^https?:\/\//, '')
  const fixed = { version: '', isDraining: false, capabilities: [] }
  return [{ ...fixed, id, instance, host, pid, brokerUrl, webUrl, startedAtMs: Number(startedAtMs) }]
}

/** Id or instance of the broker that decides about balance, as its row says. */
export async function readLeadingBroker(store: MetadataStore): Promise<string | undefined> {
  const record = await store.get(LEADER)
  return record === undefined ? undefined : Buffer.from(record.value).toString()
}

/** Bundles that are being handed over, or whose owner is no registered broker any more. @throws BrokerError MetadataError */
export async function readUnsettledBundles(store: MetadataStore): Promise<string[]> {
  const alive = new Set((await readBrokers(store)).map(({ instance }) => instance))
  const unsettled: string[] = []
  for await (const record of scanAll(store, OWNERS)) {
    const { owner, next, released } = decodeRow(BundleOwnerRowSchema, record)
    if (next !== '' || released || !alive.has(owner)) unsettled.push(record.key.slice(OWNERS.length))
  }
  return unsettled
}

/** What the cluster was named when its metadata was prepared; undefined: it was not. @throws MetadataError */
export async function readClusterName(store: MetadataStore): Promise<string | undefined> {
  const record = await store.get(NAME)
  return record === undefined ? undefined : Buffer.from(record.value).toString()
}

/**
 * Names the cluster and makes what every client expects to find, as a broker does when it starts. Changes nothing that is there.
 * Returns the name that it has: another one than `settings.clusterName`, and nothing was changed.
 * @throws MetadataError
 */
export async function initializeCluster(
  store: MetadataStore,
  { settings, clock, cluster }: { settings: BrokerSettings; clock: Clock; cluster: ClusterInfo }
): Promise<string> {
  const wanted = settings.clusterName
  const change = { kind: 'put', key: NAME, value: Buffer.from(wanted) } as const
  const named = await transactUntilAnswered(
    store,
    { compares: [{ key: NAME, version: 0 }], changes: [change] },
    { clock }
  )
  const name = named.committed ? wanted : ((await readClusterName(store)) ?? wanted)
  if (name !== wanted) return name
  const policies = new PolicyStore(store, settings)
  await new Tenancy({ store, policies, clock, clusterName: name }).seed(cluster)
  return name
}

/** Names of clusters that brokers wrote down, this one and those it replicates with. @throws MetadataError */
export async function readClusterRows(store: MetadataStore): Promise<string[]> {
  const names: string[] = []
  for await (const { key } of scanAll(store, 'clusters/', { keysOnly: true })) names.push(key.slice('clusters/'.length))
  return names
}
