import { setTimeout as delay } from 'node:timers/promises'
import type { FailoverCluster } from './cluster.ts'

const LOOK_MS = 200
const READY_MS_MAX = 60_000
/** Under load before the first restart, and after the last. */
const LOAD_MS = 3_000

/** Every process ends as its operator would end it, and starts again; the next one's turn comes when the cluster is in order. */
export async function rollingRestart(cluster: FailoverCluster): Promise<void> {
  await delay(LOAD_MS)
  for (const member of cluster.etcd.members) {
    await member.stop()
    await member.start()
  }
  for (let index = 0; index < cluster.bookies.running.length; index++) {
    await cluster.bookies.at(index).stop()
    await cluster.bookies.start(index)
    await inOrder(cluster)
  }
  for (const broker of cluster.brokers) {
    broker.isBusy = true
    const code = await broker.stop()
    if (code !== 0) throw new Error(`${broker.name} ended with ${code}`)
    await broker.start()
    broker.isBusy = false
    await inOrder(cluster)
  }
  await delay(LOAD_MS)
}

/** A message goes through every broker. */
async function inOrder(cluster: FailoverCluster): Promise<void> {
  const untilMs = performance.now() + READY_MS_MAX
  for (const { webUrl, name } of cluster.brokers) {
    for (;;) {
      const url = `${webUrl}/admin/v2/brokers/health`
      const isHealthy = await fetch(url, { signal: AbortSignal.timeout(10_000) }).then(
        ({ ok }) => ok,
        () => false
      )
      if (isHealthy) break
      if (performance.now() > untilMs) throw new Error(`${name} is not healthy again`)
      await delay(LOOK_MS)
    }
  }
}
