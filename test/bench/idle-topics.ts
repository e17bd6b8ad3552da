import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startEtcd } from '../peers/etcd.ts'
import { BookieSet, startBroker, type BrokerProcess } from '../support/cluster-process.ts'
import { ROOT } from '../tidy/repository.ts'
import { createOne, createTopics } from './load/create-topics.ts'
import { Peer } from './load/peer.ts'
import { usageOf } from './processes.ts'
import { median } from './perf.ts'

/*
  npm run bench:idle-topics -- [--topics 100000]

  Many topics of ten namespaces, each made and published to once, then closed since nobody uses them, on one broker, three storage
  nodes and an etcd: how fast they are made, what they leave in memory, how long it takes to publish to one of them after every
  process was started anew, and how long after the death of a broker that had them all another one serves every bundle.
*/

const NAMESPACES = 10
const LANES = 32
const BOOKIES = 3
const LOADED_SAMPLES = 21
/** Made, used and closed before anything is measured: by then code is compiled, and pools and heaps are as large as the pace makes them. */
const WARM_UP_TOPICS = 10_000
/** A whole sweep over the stored topics goes by, and a process that then has nothing to do gives back what it can. */
const SETTLE_MS = 140_000
/** Makes a broker collect, and tell what is left. */
const COLLECTOR = pathToFileURL(join(ROOT, 'test', 'bench', 'memory-on-signal.mjs')).href
const LOOKUP_MS_MAX = 60_000
/** The machine may have other work: no process is taken for dead because it waited for its turn. */
const PATIENT = { strataWatchdogEnabled: false, metadataStoreSessionTimeoutMillis: 30_000 }
const SETTINGS = {
  ...PATIENT,
  brokerDeleteInactiveTopicsEnabled: false,
  brokerCloseInactiveTopicsSeconds: 5,
  brokerDeleteInactiveTopicsFrequencySeconds: 2
}

interface Memory {
  /** Resident, as it is left; bytes. */
  readonly broker: number
  readonly bookies: number
  /** Of the broker once it has collected. */
  readonly collected: Collected
}

/** Bytes, as `memory-on-signal.mjs` tells them. */
interface Collected {
  readonly rss: number
  readonly held: number
}

class Cluster {
  readonly #metadataUrl: string
  readonly #stopEtcd: () => Promise<unknown>
  readonly #bookies: BookieSet
  readonly #brokers: BrokerProcess[] = []

  private constructor(metadataUrl: string, data: string, stopEtcd: () => Promise<unknown>) {
    this.#metadataUrl = metadataUrl
    this.#stopEtcd = stopEtcd
    this.#bookies = new BookieSet({ data, metadataUrl })
  }

  static async start(data: string): Promise<Cluster> {
    const scripts = join(ROOT, 'test', 'peers')
    const etcd = await startEtcd({ scripts, arguments: ['--unsafe-no-fsync=false'] })
    const cluster = new Cluster(`etcd:http://${etcd.endpoints.join(',')}/strata`, data, () => etcd.stop())
    await cluster.startNodes()
    return cluster
  }

  get broker(): BrokerProcess {
    return this.#brokers[0] ?? assert.fail('no broker runs')
  }

  async startNodes(): Promise<void> {
    await Promise.all(Array.from({ length: BOOKIES }, (_, index) => this.#bookies.start(index)))
    await this.addBroker()
  }

  async addBroker(): Promise<BrokerProcess> {
    const nodeArguments = ['--expose-gc', '--import', COLLECTOR]
    const broker = await startBroker({ metadataUrl: this.#metadataUrl, set: SETTINGS, nodeArguments })
    this.#brokers.push(broker)
    return broker
  }

  async stopNodes(): Promise<void> {
    await Promise.all(this.#brokers.splice(0).map(broker => broker.stop()))
    await this.#bookies.stopAll()
  }

  /** kill -9 of the first broker. */
  async killBroker(): Promise<void> {
    await this.#brokers.shift()?.kill()
  }

  async stop(): Promise<void> {
    await this.stopNodes()
    await this.#stopEtcd()
  }

  async memory(): Promise<Memory> {
    const residentOf = (pids: readonly number[]): number => usageOf(() => pids).residentBytes()
    const resident = {
      broker: residentOf([this.broker.pid]),
      bookies: residentOf(this.#bookies.running.map(({ pid }) => pid))
    }
    return { ...resident, collected: await this.#collect() }
  }

  async #collect(): Promise<Collected> {
    const told = (): string[] => this.broker.log().match(/^\{"event":"memory.collected".*\}$/gm) ?? []
    const before = told().at(-1)
    process.kill(this.broker.pid, 'SIGUSR2')
    for (;;) {
      const last = told().at(-1)
      if (last !== undefined && last !== before) return JSON.parse(last) as Collected
      await delay(100)
    }
  }

  /** Resolves when the broker has no topic in memory. */
  async idle(): Promise<void> {
    for (;;) {
      const text = await (await fetch(`${this.broker.ready.webUrl}/metrics`)).text()
      const counts = [...text.matchAll(/^pulsar_topics_count\{[^}]*\} (\d+)/gm)]
      const topics = counts.reduce((sum, [, count]) => sum + Number(count), 0)
      progress(`${topics} topics in memory`)
      if (topics === 0) return
      await delay(2_000)
    }
  }
}

export async function main(argv: readonly string[]): Promise<number> {
  const options = { topics: { type: 'string', default: '100000' } } as const
  const count = Number(parseArgs({ args: [...argv], options }).values.topics)
  const root = mkdtempSync(join(tmpdir(), 'strata-bench-idle-'))
  const cluster = await Cluster.start(root)
  try {
    for (let index = 0; index < NAMESPACES; index++) {
      const url = `${cluster.broker.ready.webUrl}/admin/v2/namespaces/public/${namespaceOf(index)}`
      const response = await fetch(url, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{}' })
      assert(response.ok, `a namespace could not be made: ${response.status}`)
    }
    const lines = [...(await making(cluster, count)), await loading(cluster, count), await takingOver(cluster, count)]
    process.stdout.write(`${lines.join('\n')}\n`)
    return 0
  } finally {
    await cluster.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

async function making(cluster: Cluster, count: number): Promise<string[]> {
  await make(cluster, WARM_UP_TOPICS, index => `warm-up-${index}`)
  await cluster.idle()
  await delay(SETTLE_MS)
  const before = await cluster.memory()
  const startedAt = performance.now()
  await make(cluster, count, index => `idle-${index}`)
  const seconds = (performance.now() - startedAt) / 1000
  await cluster.idle()
  await delay(SETTLE_MS)
  const after = await cluster.memory()
  const line = (what: string, of: (memory: Memory) => number): string => {
    const perTopic = ((of(after) - of(before)) / count).toFixed(0)
    return `${what}: ${perTopic} bytes a topic, ${(of(after) / 2 ** 20).toFixed(0)} MB in all`
  }
  return [
    `made and published to: ${count} topics, ${(count / seconds).toFixed(0)}/s`,
    line('broker, resident', memory => memory.broker),
    line('broker, resident after a collection', memory => memory.collected.rss),
    line('broker, held', memory => memory.collected.held),
    line('storage nodes together, resident', memory => memory.bookies)
  ]
}

async function make(cluster: Cluster, topicsMax: number, label: (index: number) => string): Promise<void> {
  const port = brokerPort(cluster.broker)
  const topic = (index: number): string => {
    if (index % 1_000 === 0) progress(`${index} of ${topicsMax} topics made`)
    return `persistent://public/${namespaceOf(index)}/${label(index)}`
  }
  await createTopics({ port, topic, topicsMax, lanes: LANES, warmUpSeconds: 0, seconds: Infinity, bytes: 1024 })
}

async function loading(cluster: Cluster, count: number): Promise<string> {
  progress('starting every process anew')
  await cluster.stopNodes()
  await cluster.startNodes()
  const peer = await Peer.open(brokerPort(cluster.broker))
  const tookMs: number[] = []
  for (let sample = 0; sample < LOADED_SAMPLES; sample++) {
    const startedAt = performance.now()
    await createOne(peer, sampled(count, sample, LOADED_SAMPLES), 1024)
    tookMs.push(performance.now() - startedAt)
  }
  peer.close()
  const [first = NaN] = tookMs
  const rest = `${median(tookMs).toFixed(0)} ms (median of ${tookMs.length}; the first ${first.toFixed(0)} ms)`
  return `published to one again after every process was started anew: ${rest}`
}

/** A topic of every bundle, in all likelihood, is asked for at the broker that is left. */
async function takingOver(cluster: Cluster, count: number): Promise<string> {
  const samples = NAMESPACES * 40
  const all = Array.from({ length: samples }, (_, sample) => sampled(count, sample, samples))
  const peer = await Peer.open(brokerPort(cluster.broker))
  for (const topic of all) await peer.lookup(topic) // now it has them
  peer.close()
  const other = await cluster.addBroker()
  progress('killing the broker that has all bundles')
  const startedAt = performance.now()
  await cluster.killBroker()
  await Promise.all(all.map(topic => served(other, topic)))
  return `every bundle of a killed broker is served again after ${(performance.now() - startedAt).toFixed(0)} ms`
}

async function served(broker: BrokerProcess, topic: string): Promise<void> {
  const deadline = performance.now() + LOOKUP_MS_MAX
  const path = topic.replace('persistent://', 'persistent/')
  for (;;) {
    const response = await fetch(`${broker.ready.webUrl}/lookup/v2/topic/${path}`).catch(() => undefined)
    const { brokerUrl } = response?.ok === true ? ((await response.json()) as { brokerUrl: string }) : {}
    if (brokerUrl === broker.ready.brokerUrl) return
    assert(performance.now() < deadline, `${topic} is not served`)
    await delay(50)
  }
}

/** Spread over all that were made, and over the namespaces. */
function sampled(count: number, sample: number, samples: number): string {
  const index = Math.floor((sample * count) / samples)
  return `persistent://public/${namespaceOf(index)}/idle-${index}`
}

function namespaceOf(index: number): string {
  return `idle-${index % NAMESPACES}`
}

function brokerPort(broker: BrokerProcess): number {
  return Number(new URL(broker.ready.brokerUrl).port)
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`)
}
