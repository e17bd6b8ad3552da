import { setTimeout as delay } from 'node:timers/promises'
import { ConsumeLoad } from './load/consume.ts'
import { createTopics } from './load/create-topics.ts'
import { median, startPerf } from './perf.ts'
import { MAX_RATE, SECONDS, type Figures, type Row } from './row.ts'
import type { Server, ServerName } from './servers.ts'

const YARDSTICKS: readonly ServerName[] = ['pulsar-cluster', 'pulsar-cluster-small']
const READ_BACK_MS_MAX = 300_000
/** To look walks the page tables of every process. */
const SAMPLE_MS = 2000
const PERMITS = 20_000

/** Three storage nodes and a broker on this machine, each entry on three, acknowledged when two have it on disk. */
export const clusterRows: readonly Row[] = [
  {
    name: 'cluster-publish-batched',
    what: 'three nodes: publish 1 KB, batched, max rate, pulsar-perf',
    ours: 'strata-cluster',
    against: YARDSTICKS,
    goals: [{ figure: 'rate', unit: 'msg/s', min: 2 }],
    measure: server => publish(server, 'bench-cluster-batched', ['-r', MAX_RATE])
  },
  {
    name: 'cluster-publish-unbatched',
    what: 'three nodes: publish 1 KB, unbatched (-db -o 20000), max rate, pulsar-perf',
    ours: 'strata-cluster',
    against: YARDSTICKS,
    goals: [{ figure: 'rate', unit: 'msg/s', min: 5 }],
    measure: server => publish(server, 'bench-cluster-unbatched', ['-db', '-o', '20000', '-r', MAX_RATE])
  },
  {
    name: 'cluster-publish-latency',
    what: 'three nodes: publish 1 KB, unbatched, 1,000 msg/s, pulsar-perf',
    ours: 'strata-cluster',
    against: YARDSTICKS,
    goals: [{ figure: 'p99Ms', unit: 'ms', max: 0.3 }],
    measure: server => publish(server, 'bench-cluster-latency', ['-db', '-r', '1000'])
  },
  {
    name: 'cluster-topics',
    what: 'three nodes: topics created and published to once, 32 at a time, light load',
    ours: 'strata-cluster',
    against: ['pulsar-cluster'],
    goals: [{ figure: 'rate', unit: 'topics/s', min: 5 }],
    measure: createdTopics
  },
  {
    name: 'cluster-memory',
    what: 'three nodes: resident memory of all processes, idle and at its highest while batches are published at max rate',
    ours: 'strata-cluster',
    against: YARDSTICKS,
    goals: [
      { figure: 'idleMB', unit: 'MB', max: 0.08 },
      { figure: 'loadMB', unit: 'MB', max: 0.08 }
    ],
    async measure(server) {
      await delay(5000)
      const idleMB = residentMB(server)
      const highest = sampled(() => residentMB(server))
      const { rate } = await publish(server, 'bench-cluster-memory', ['-r', MAX_RATE])
      return { idleMB, loadMB: highest.stop(), ...(rate === undefined ? {} : { rate }) }
    }
  }
]

/** CPU of all processes of the server is in milliseconds a topic, warm-up included. */
async function createdTopics(server: Server): Promise<Figures> {
  const cpuBefore = server.cpuSeconds()
  const created = await createTopics({
    port: server.brokerPort,
    topic: 'persistent://public/default/bench-created',
    lanes: 32,
    warmUpSeconds: 5,
    seconds: SECONDS,
    bytes: 1024
  })
  const cpuMs = ((server.cpuSeconds() - cpuBefore) * 1000) / created.topics
  return { rate: created.topicsPerSecond, medianMs: created.medianMs, p99Ms: created.p99Ms, cpuMs }
}

function residentMB(server: Server): number {
  return server.residentBytes() / 1024 / 1024
}

/** The highest value of what is looked at again and again until `stop`. */
function sampled(look: () => number): { stop(): number } {
  let highest = look()
  const timer = setInterval(() => {
    highest = Math.max(highest, look())
  }, SAMPLE_MS)
  return {
    stop() {
      clearInterval(timer)
      return highest
    }
  }
}

/** A rate counts only if every acknowledged message is read back. CPU of all processes is that of the publishing alone. */
async function publish(server: Server, topic: string, args: readonly string[]): Promise<Figures> {
  const name = `persistent://public/default/${topic}`
  const options = { port: server.brokerPort, topic: name, subscription: 'read-back', permits: PERMITS, consumers: 1 }
  const subscription = { ...options, type: 'Exclusive', earliest: true } as const
  // so that nothing is dropped before it was read
  const first = await ConsumeLoad.open(subscription)
  first.close()
  const cpuBefore = server.cpuSeconds()
  const result = await startPerf(server, 'produce', ['-time', `${SECONDS}`, '-s', '1024', ...args, topic]).done
  const cpuSeconds = ((server.cpuSeconds() - cpuBefore) / result.messages) * 1_000_000
  if (!(result.messages > 0)) throw new Error('pulsar-perf did not say how many messages were acknowledged')
  const reader = await ConsumeLoad.open(subscription)
  reader.start(PERMITS)
  const deadline = performance.now() + READ_BACK_MS_MAX
  while (reader.messages < result.messages && performance.now() < deadline) {
    reader.check()
    await delay(20)
  }
  reader.close()
  if (reader.messages < result.messages) {
    throw new Error(`of ${result.messages} acknowledged messages only ${reader.messages} were read back`)
  }
  return { rate: median(result.rates), medianMs: result.medianMs, p99Ms: result.p99Ms, cpuSeconds }
}
