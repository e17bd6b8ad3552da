import type { BookieId } from '@strata/base'
import { AUDITOR_LEADER_KEY } from '@strata/bookie/server'
import { readBrokers, readLeadingBroker } from '@strata/broker'
import { joinedBookies } from '../bookie-view.ts'
import type { Cluster } from '../cluster.ts'

/** A process of the cluster as its row in a registry shows it. */
export interface ClusterNode {
  readonly kind: 'bookie' | 'broker'
  /** The same after a restart. */
  readonly id: string
  /** Of one start. */
  readonly start: string
  readonly host: string
  /** host:port of gRPC, or of the binary protocol. */
  readonly address: string
  /** http://host:port; empty: it has none that others reach. */
  readonly webUrl: string
  readonly version: string
  readonly capabilities: readonly string[]
  /** Restarted last of its kind: what it leads moves once, not twice. */
  readonly leads: boolean
  readonly state: string
}

/** Bookies first, then brokers: a newer broker asks of storage what an older one may not know. @throws MetadataError */
export async function clusterNodes(cluster: Cluster): Promise<ClusterNode[]> {
  return [...(await bookieNodes(cluster)), ...(await brokerNodes(cluster))]
}

async function bookieNodes({ metadata, directory }: Cluster): Promise<ClusterNode[]> {
  const record = await metadata.get(AUDITOR_LEADER_KEY)
  const leader = record === undefined ? '' : Buffer.from(record.value).toString()
  const nodes = directory.bookies().map(bookie => ({
    kind: 'bookie' as const,
    ...{ id: bookie.bookieId, start: String(bookie.incarnation), host: bookie.host, address: bookie.address },
    webUrl: bookie.httpAddress === '' ? '' : `http://${bookie.httpAddress}`,
    version: bookie.softwareVersion,
    capabilities: bookie.capabilities ?? [],
    leads: bookie.bookieId === leader,
    state: bookie.state
  }))
  return leadersLast(nodes)
}

async function brokerNodes({ metadata }: Cluster): Promise<ClusterNode[]> {
  const leader = await readLeadingBroker(metadata)
  const nodes = (await readBrokers(metadata)).map(broker => ({
    kind: 'broker' as const,
    ...{ id: broker.id, start: broker.instance, host: broker.host, address: broker.brokerUrl, webUrl: broker.webUrl },
    ...{ version: broker.version, capabilities: broker.capabilities },
    leads: leader !== undefined && (leader === broker.id || leader === broker.instance),
    state: broker.isDraining ? 'draining' : 'serving'
  }))
  return leadersLast(nodes)
}

function leadersLast(nodes: ClusterNode[]): ClusterNode[] {
  return nodes.sort((a, b) => Number(a.leads) - Number(b.leads))
}

/** Nodes that joined once, were not declared to leave, and are away now. @throws MetadataError */
export async function missingBookies(cluster: Cluster, declared: ReadonlySet<BookieId>): Promise<BookieId[]> {
  const there = new Set(cluster.directory.bookies().map(({ bookieId }) => bookieId))
  return (await joinedBookies(cluster)).filter(id => !there.has(id) && !declared.has(id))
}
