import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client, type Producer } from '../conformance/client.ts'
import type { Driver } from '../conformance/driver.ts'
import { FailoverCluster, type BrokerPlace } from '../failover/cluster.ts'
import { startDriver } from '../failover/run-failover.ts'
import { ROOT } from '../tidy/repository.ts'

/*
  npm run bench:unavailability -- [--trouble kill|stop|cut-off|cut-off-storage|unload|unload-topic] [--topics 1000] [--every 1000]
    [--languages python,go,java]

  Two brokers, three storage nodes, one etcd. Topics are published to by the published clients, each every so many milliseconds, and
  something happens to the second broker. A topic of it is unavailable from then, or from the first send after it, until the first
  receipt. `cut-off`: the broker reaches neither the metadata store nor the storage nodes, and its clients still reach it;
  `cut-off-storage`: it does not reach the storage nodes. Each of the two brokers has half of the bundles.
  `unload-topic`: topics of both brokers are unloaded, one after the other, and what counts is the longest time that a
  message of the topic took in the seconds after that: publish often (`--every 50`) to see it. Beside it stands the longest that
  one of the same topic took in as many seconds before, while others were unloaded, and what the topic's own unload put on top.
  Clients look topics up at the first broker, as they would behind a balancer of TCP that knows which brokers are ready: given
  a list of addresses, the Go client picks one by chance each time, also one that refuses, and doubles its pause.
  The machine must be otherwise idle.
*/

const TROUBLES = ['kill', 'stop', 'cut-off', 'cut-off-storage', 'unload', 'unload-topic'] as const
type Trouble = (typeof TROUBLES)[number]
/** After a topic was unloaded, its pause is looked for during this time. */
const PAUSE_MS_MAX = 5_000
const WARM_UP_MS = 10_000
const RECOVERY_MS_MAX = 60_000
const CREATED_AT_ONCE = 32
const LOOKUPS_AT_ONCE = 8
/** A connection that was kept may be closed by the broker as it is used again. */
const LOOKUPS_MAX = 3
const LOG_CHARS = 2_000
const NAMESPACE = 'public/default'
/** Lookups that leave no bundle of the namespace without an owner. */
const TOPICS_OF_ALL_BUNDLES = 64

interface Send {
  readonly fromMs: number
  readonly toMs: number
}

interface TopicRun {
  readonly language: string
  readonly name: string
  readonly producer: Producer
  readonly sends: Send[]
  readonly failures: string[]
}

export async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      trouble: { type: 'string', default: 'kill' },
      topics: { type: 'string', default: '1000' },
      every: { type: 'string', default: '1000' },
      languages: { type: 'string', default: 'python,go,java' }
    }
  })
  const trouble = TROUBLES.find(known => known === values.trouble)
  if (trouble === undefined) throw new Error(`--trouble is one of ${TROUBLES.join(', ')}`)
  const root = mkdtempSync(join(tmpdir(), 'strata-bench-failover-'))
  const scripts = join(ROOT, 'test', 'peers')
  const cluster = await FailoverCluster.start({
    ...{ root, scripts, brokers: 2, etcdMembers: 1, watchdog: true },
    altered: trouble.startsWith('cut-off'),
    direct: trouble !== 'cut-off'
  })
  const drivers: Driver[] = []
  try {
    await spread(cluster)
    const languages = values.languages.split(',')
    const topics: TopicRun[] = []
    for (const language of languages) {
      const driver = await startDriver(language, join(ROOT, 'test', 'conformance', 'drivers'))
      drivers.push(driver)
      const client = await Client.create(driver, `pulsar://127.0.0.1:${cluster.brokers[0]?.brokerPort ?? 0}`)
      topics.push(
        ...(await createTopics(client, { language, count: Math.ceil(Number(values.topics) / languages.length) }))
      )
    }
    process.stdout.write(await measure(cluster, { topics, trouble, everyMs: Number(values.every) }))
    process.stdout.write(`load of the machine: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores\n`)
    return 0
  } finally {
    for (const driver of drivers) await driver.stop()
    await cluster.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

async function createTopics(client: Client, options: { language: string; count: number }): Promise<TopicRun[]> {
  const { language, count } = options
  const topics: TopicRun[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const name = `unavailability-${language}-${next++}`
      const producer = await client.producer(`persistent://public/default/${name}`)
      topics.push({ language, name, producer, sends: [], failures: [] })
    }
  }
  await Promise.all(Array.from({ length: CREATED_AT_ONCE }, worker))
  return topics
}

async function measure(
  cluster: FailoverCluster,
  { topics, trouble, everyMs }: { topics: readonly TopicRun[]; trouble: Trouble; everyMs: number }
): Promise<string> {
  const end = new AbortController()
  const started = topics.map((topic, i) => publish(topic, { everyMs, offsetMs: (i * everyMs) / topics.length, end }))
  const publishing = Promise.all(started)
  await delay(WARM_UP_MS)
  if (trouble === 'unload-topic') {
    const unloadedAtMs = await unloadEach(cluster, topics)
    end.abort()
    await publishing
    return unloadTables(topics, unloadedAtMs)
  }
  const [, broker] = cluster.brokers
  if (broker === undefined) throw new Error('there is one broker only')
  const served = await servedBy(broker, topics)
  broker.isBusy = true
  const atMs = performance.now()
  await make(trouble, { cluster, broker })
  while (performance.now() - atMs < RECOVERY_MS_MAX && served.some(topic => unavailableMs(topic, atMs) === undefined)) {
    await delay(100)
  }
  await delay(2 * everyMs)
  end.abort()
  await publishing
  return table(served, { trouble, timeOf: topic => unavailableMs(topic, atMs) })
}

/** When each of them was. */
async function unloadEach(cluster: FailoverCluster, topics: readonly TopicRun[]): Promise<Map<TopicRun, number>> {
  const unloadedAtMs = new Map<TopicRun, number>()
  for (const topic of topics) {
    unloadedAtMs.set(topic, performance.now())
    await cluster.admin('PUT', `persistent/public/default/${topic.name}/unload`)
  }
  await delay(PAUSE_MS_MAX)
  return unloadedAtMs
}

/** Both times of a topic are taken under the same load: of machine, client, and the unloads of the others. */
function unloadTables(topics: readonly TopicRun[], unloadedAtMs: ReadonlyMap<TopicRun, number>): string {
  const times = new Map(
    Array.from(unloadedAtMs, ([topic, atMs]) => {
      return [topic, { pauseMs: pauseMs(topic, atMs) ?? Infinity, beforeMs: longestBefore(topic, atMs) }] as const
    })
  )
  const rows: readonly (readonly [string, (of: { pauseMs: number; beforeMs: number }) => number])[] = [
    ['unload-topic', of => of.pauseMs],
    ['before it', of => of.beforeMs],
    ['difference', of => of.pauseMs - of.beforeMs]
  ]
  const tables = rows.map(([trouble, read]) => {
    const timeOf = (topic: TopicRun): number => read(times.get(topic) ?? { pauseMs: Infinity, beforeMs: 0 })
    return table(topics, { trouble, timeOf })
  })
  return tables.join('\n')
}

async function make(
  trouble: Exclude<Trouble, 'unload-topic'>,
  { cluster, broker }: { cluster: FailoverCluster; broker: BrokerPlace }
): Promise<void> {
  if (trouble === 'kill') await broker.kill()
  else if (trouble === 'stop') broker.process.signal('SIGSTOP')
  else if (trouble === 'cut-off') for (const proxy of [...broker.proxies, ...broker.storage]) proxy.silence()
  else if (trouble === 'cut-off-storage') for (const proxy of broker.storage) proxy.silence()
  else await cluster.admin('PUT', 'namespaces/public/default/unload')
}

/** Half of the bundles to either broker: what is measured should not hang on where they happened to go. */
async function spread(cluster: FailoverCluster): Promise<void> {
  const [first, second] = cluster.brokers
  if (first === undefined || second === undefined) throw new Error('there is one broker only')
  for (let i = 0; i < TOPICS_OF_ALL_BUNDLES; i++) await servingUrl(first, { name: `unavailability-spread-${i}` })
  const owned = await Promise.all([bundlesOf(cluster, first), bundlesOf(cluster, second)])
  const [few, many] = owned[0].length < owned[1].length ? owned : [owned[1], owned[0]]
  const to = few === owned[0] ? first : second
  for (const bundle of many.slice(0, Math.floor((many.length - few.length) / 2))) {
    await cluster.admin('PUT', `namespaces/${bundle}/unload?destinationBroker=127.0.0.1:${to.webPort}`)
  }
}

async function bundlesOf(cluster: FailoverCluster, { webPort }: BrokerPlace): Promise<string[]> {
  const owned = await cluster.admin('GET', `brokers/any/127.0.0.1:${webPort}/ownedNamespaces`)
  return Object.keys(owned as object).filter(bundle => bundle.startsWith(`${NAMESPACE}/`))
}

async function servedBy(broker: BrokerPlace, topics: readonly TopicRun[]): Promise<TopicRun[]> {
  const served: TopicRun[] = []
  const waiting = topics.values()
  const worker = async (): Promise<void> => {
    for (const topic of waiting) {
      const brokerUrl = await servingUrl(broker, topic)
      if (brokerUrl === `pulsar://127.0.0.1:${broker.brokerPort}`) served.push(topic)
    }
  }
  await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, worker))
  return served
}

/** @throws Error with the log of a broker that has ended: on a machine that starves it, its watchdog ends it */
async function servingUrl(broker: BrokerPlace, { name }: Pick<TopicRun, 'name'>): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(`${broker.webUrl}/lookup/v2/topic/persistent/public/default/${name}`)
      return ((await response.json()) as { brokerUrl: string }).brokerUrl
    } catch (error) {
      if (broker.hasDied)
        throw new Error(`${broker.name} has ended:\n${broker.log.slice(-LOG_CHARS)}`, { cause: error })
      if (attempt === LOOKUPS_MAX) throw error
    }
  }
}

async function publish(
  topic: TopicRun,
  { everyMs, offsetMs, end }: { everyMs: number; offsetMs: number; end: AbortController }
): Promise<void> {
  await delay(offsetMs)
  while (!end.signal.aborted) {
    const fromMs = performance.now()
    try {
      await topic.producer.send('x')
      topic.sends.push({ fromMs, toMs: performance.now() })
    } catch (error) {
      topic.failures.push(error instanceof Error ? error.message : String(error))
    }
    await delay(Math.max(0, fromMs + everyMs - performance.now()))
  }
}

/** Undefined: not back yet. */
function unavailableMs({ sends }: TopicRun, atMs: number): number | undefined {
  const first = sends.find(({ toMs }) => toMs >= atMs)
  return first === undefined ? undefined : first.toMs - Math.max(atMs, first.fromMs)
}

/** Undefined: no message was sent after that. */
function pauseMs({ sends }: TopicRun, atMs: number): number | undefined {
  const near = sends.filter(({ fromMs, toMs }) => toMs >= atMs && fromMs < atMs + PAUSE_MS_MAX)
  return near.length === 0 ? undefined : Math.max(...near.map(({ fromMs, toMs }) => toMs - Math.max(atMs, fromMs)))
}

/** What a topic's messages took at most in as long a time before, while it was not unloaded. */
function longestBefore({ sends }: TopicRun, untilMs: number): number {
  const near = sends.filter(({ fromMs, toMs }) => fromMs >= untilMs - PAUSE_MS_MAX && toMs < untilMs)
  return Math.max(0, ...near.map(({ fromMs, toMs }) => toMs - fromMs))
}

function table(
  served: readonly TopicRun[],
  { trouble, timeOf }: { trouble: string; timeOf: (topic: TopicRun) => number | undefined }
): string {
  const lines = [...new Set(served.map(({ language }) => language)), 'all'].map(language => {
    const own = served.filter(topic => language === 'all' || topic.language === language)
    const times = own.map(topic => timeOf(topic) ?? Infinity).sort((a, b) => a - b)
    const at = (part: number): string => (times[Math.ceil(times.length * part) - 1] ?? NaN).toFixed(0)
    const failures = own.reduce((sum, topic) => sum + topic.failures.length, 0)
    return `| ${trouble} | ${language} | ${own.length} | ${at(0.5)} ms | ${at(0.99)} ms | ${at(1)} ms | ${failures} |`
  })
  const failed = served.filter(({ failures }) => failures.length > 0)
  for (const { name, failures } of failed) process.stderr.write(`${name}: ${failures.join('; ')}\n`)
  return [
    '| trouble | client | topics | median | p99 | longest | failed sends |',
    '|---|---|---|---|---|---|---|',
    ...lines,
    ''
  ].join('\n')
}
