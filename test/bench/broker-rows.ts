import { join } from 'node:path'
import { BookieSet, startBroker, type BrokerProcess } from '../support/cluster-process.ts'
import { percentile, withEtcd } from './nodes/bench-nodes.ts'
import { produceLoad, type ProduceResult } from './load/produce.ts'
import { usageOf } from './processes.ts'
import { SECONDS, type Figures, type OwnRow } from './row.ts'

const NAMESPACE = 'public/default'
const TOPICS_EACH = 4
const NAMES_MAX = 400
/** Of each broker: low enough for two of them, their nodes and the load on two cores. */
const RATE_EACH = 5_000

/** What a second broker adds, on the same three storage nodes. */
export const brokerRows: readonly OwnRow[] = [
  {
    name: 'cluster-brokers',
    what: 'three nodes: one broker, and two of them, unbatched 1 KB; CPU of brokers per million messages at 5,000 msg/s each',
    goals: [
      { figure: 'cpuOfTwo', against: 'cpuOfOne', unit: 's', max: 1.15 },
      { figure: 'cpuOfNodesWithTwo', against: 'cpuOfNodesWithOne', unit: 's', max: 1.15 },
      { figure: 'rateOfTwo', against: 'rateOfOne', unit: 'msg/s', min: 1.6 }
    ],
    async measure(data) {
      const one = await measured(join(data, 'one'), 1)
      const two = await measured(join(data, 'two'), 2)
      return {
        cpuOfOne: one.brokerCpu,
        cpuOfTwo: two.brokerCpu,
        cpuOfNodesWithOne: one.nodeCpu,
        cpuOfNodesWithTwo: two.nodeCpu,
        p99MsOfOne: one.p99Ms,
        p99MsOfTwo: two.p99Ms,
        rateOfOne: one.rate,
        rateOfTwo: two.rate
      }
    }
  }
]

interface Measured extends Figures {
  /** Seconds per million messages, of all brokers, and of all nodes. */
  readonly brokerCpu: number
  readonly nodeCpu: number
  readonly p99Ms: number
  /** As fast as it goes. */
  readonly rate: number
}

/** On a fresh cluster: first at a rate, then as fast as it goes. */
async function measured(data: string, brokerCount: number): Promise<Measured> {
  return await withEtcd(async ({ endpoints }) => {
    const metadataUrl = `etcd:http://${endpoints.join(',')}/strata`
    const bookies = new BookieSet({ data, metadataUrl })
    const brokers: BrokerProcess[] = []
    try {
      for (let index = 0; index < 3; index++) await bookies.start(index)
      for (let index = 0; index < brokerCount; index++) brokers.push(await startBroker({ metadataUrl }))
      const topics = await topicsOf(brokers)
      await publish(topics, { rate: RATE_EACH / TOPICS_EACH, seconds: SECONDS / 2 }) // compiles what is measured
      const ofBrokers = usageOf(() => brokers.map(({ pid }) => pid))
      const ofNodes = usageOf(() => bookies.running.map(({ pid }) => pid))
      const before = [ofBrokers.cpuSeconds(), ofNodes.cpuSeconds()] as const
      const steady = await publish(topics, { rate: RATE_EACH / TOPICS_EACH, seconds: SECONDS })
      const messages = steady.reduce((sum, result) => sum + result.messages, 0) / 1_000_000
      const brokerCpu = (ofBrokers.cpuSeconds() - before[0]) / messages
      const nodeCpu = (ofNodes.cpuSeconds() - before[1]) / messages
      const highest = await publish(topics, { rate: 0, seconds: SECONDS })
      return {
        brokerCpu,
        nodeCpu,
        p99Ms: percentile(
          steady.map(result => result.p99Ms),
          1
        ),
        rate: highest.reduce((sum, result) => sum + result.messagesPerSecond, 0)
      }
    } finally {
      for (const broker of brokers) await broker.stop()
      await bookies.stopAll()
    }
  })
}

interface TopicAt {
  readonly topic: string
  readonly port: number
}

/** As many topics of each broker as of every other, found by asking. */
async function topicsOf(brokers: readonly BrokerProcess[]): Promise<TopicAt[]> {
  const web = brokers[0]?.ready.webUrl ?? ''
  const found = new Map(brokers.map(({ ready }) => [Number(new URL(ready.brokerUrl).port), [] as TopicAt[]]))
  for (let index = 0; index < NAMES_MAX; index++) {
    const name = `${NAMESPACE}/bench-brokers-${index}`
    const answer = await fetch(new URL(`/lookup/v2/topic/persistent/${name}`, web))
    const { brokerUrl } = (await answer.json()) as { brokerUrl: string }
    const port = Number(new URL(brokerUrl).port)
    const topics = found.get(port)
    if (topics === undefined) throw new Error(`${brokerUrl} is none of the brokers`)
    if (topics.length < TOPICS_EACH) topics.push({ topic: `persistent://${name}`, port })
    if ([...found.values()].every(({ length }) => length === TOPICS_EACH)) return [...found.values()].flat()
  }
  throw new Error('a broker owns too few bundles')
}

/** A producer of its own for each topic. `rate`: of each topic. */
function publish(
  topics: readonly TopicAt[],
  options: { readonly rate: number; readonly seconds: number }
): Promise<ProduceResult[]> {
  const load = { connections: 1, producers: 1, batch: 1, bytes: 1024, window: 1000, warmUpSeconds: 0, keys: 0 }
  return Promise.all(topics.map(({ topic, port }) => produceLoad({ ...load, ...options, topic, port })))
}
