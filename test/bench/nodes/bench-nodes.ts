import { NodeCluster } from '../../support/node-cluster.ts'
import { startEtcd, type EtcdPeers } from '../../peers/etcd.ts'
import { join } from 'node:path'
import { ROOT } from '../../tidy/repository.ts'

/** Etcd syncs as it does in a cluster that means it. */
const SYNCING = ['--unsafe-no-fsync=false']
export const PREFIX = '/strata/'

/** A metadata store, which goes when `run` is done. */
export async function withEtcd<Result>(run: (etcd: EtcdPeers) => Promise<Result>): Promise<Result> {
  const etcd = await startEtcd({ scripts: join(ROOT, 'test', 'peers'), arguments: SYNCING })
  try {
    return await run(etcd)
  } finally {
    await etcd.stop()
  }
}

/** A metadata store and no node yet; both go when `run` is done. */
export function withNodes<Result>(run: (cluster: NodeCluster, etcd: EtcdPeers) => Promise<Result>): Promise<Result> {
  return withEtcd(async etcd => {
    const cluster = new NodeCluster({ endpoints: etcd.endpoints, prefix: PREFIX })
    try {
      return await run(cluster, etcd)
    } finally {
      await cluster.close()
    }
  })
}

/** Counters of a node, by name. */
export async function countersOf(httpUrl: string): Promise<(name: string) => number> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text()
  return name => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1] ?? NaN)
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * part) - 1] ?? NaN
}
