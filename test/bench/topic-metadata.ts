import { strict as assert } from 'node:assert'
import { randomInt, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { silentLogger, systemClock } from '@strata/base'
import { EtcdMetadataStore } from '@strata/metadata/etcd'
import { BaseCommand_Type, CommandGetTopicsOfNamespace_Mode } from '@strata/wire'
import { startCluster, type ClusterProcesses } from '../support/cluster-process.ts'
import { ROOT } from '../tidy/repository.ts'
import { Peer } from './load/peer.ts'
import { median } from './perf.ts'
import { usageOf } from './processes.ts'

/*
  npm run bench:topic-metadata -- [--topics 1000000]

  What a topic costs that is a record and nothing else, where there are 1,000 and where there are many: a broker and an etcd,
  which syncs, as processes of their own, asked as clients and operators ask. The first 1,000 are in one namespace and the rest
  spread over ten. A page of a long list is its time divided by its thousands of names. The sweep of retention, which goes
  through all records in the background at its own rate, is off: it would be measured too.
*/

const FEW = 1_000
const FEW_NAMESPACE = 'few'
const NAMESPACES = 10
const SAMPLES = 201
const LISTS = 101
/** A list of a hundred thousand is a hundred pages. */
const LONG_LISTS = 5
const PAGE = 1_000
const WARM_UPS = 200
const PER_TRANSACTION = 100
const TRANSACTIONS_AT_ONCE = 8
const RATIO_MAX = 2
const UUID_BYTES = 36
const QUOTA_BYTES = 8 * 2 ** 30
const ONE_COPY = {
  managedLedgerDefaultEnsembleSize: 1,
  managedLedgerDefaultWriteQuorum: 1,
  managedLedgerDefaultAckQuorum: 1
}
/** The machine may have other work: no process is taken for dead because it waited for its turn. */
const PATIENT = { strataWatchdogEnabled: false, metadataStoreSessionTimeoutMillis: 30_000 }
const SETTINGS = {
  ...ONE_COPY,
  ...PATIENT,
  brokerDeleteInactiveTopicsEnabled: false,
  retentionCheckIntervalInSeconds: 86_400
}

interface Cost {
  /** Median. */
  readonly ms: number
  /** Of the broker and etcd together, on average. */
  readonly cpuMs: number
}

type Measured = ReadonlyMap<string, Cost>

/** The topics there are: the first `FEW` in one namespace, the others in ten. */
class Topics {
  count = FEW

  static namespaceOf(index: number): string {
    return index < FEW ? FEW_NAMESPACE : `many-${index % NAMESPACES}`
  }

  /** Namespace and name, as paths have it. */
  static pathOf(index: number): string {
    return `public/${Topics.namespaceOf(index)}/topic-${String(index).padStart(8, '0')}`
  }

  any(): number {
    return randomInt(this.count)
  }
}

class World {
  readonly #cluster: ClusterProcesses
  readonly #peer: Peer
  readonly topics = new Topics()

  private constructor(cluster: ClusterProcesses, peer: Peer) {
    this.#cluster = cluster
    this.#peer = peer
  }

  static async open(cluster: ClusterProcesses): Promise<World> {
    const world = new World(cluster, await Peer.open(Number(new URL(cluster.broker.ready.brokerUrl).port)))
    const namespaces = [FEW_NAMESPACE, ...Array.from({ length: NAMESPACES }, (_, index) => `many-${index}`)]
    for (const namespace of namespaces) await world.#admin('PUT', `namespaces/public/${namespace}`, {})
    return world
  }

  close(): void {
    this.#peer.close()
  }

  /** CPU of a moment's work of broker and etcd, beside its time. */
  async sampled(work: () => Promise<unknown>, count: number): Promise<Cost> {
    const usage = usageOf(() => this.#cluster.pids())
    const before = usage.cpuSeconds()
    const tookMs: number[] = []
    for (let sample = 0; sample < count; sample++) {
      const startedAt = performance.now()
      await work()
      tookMs.push(performance.now() - startedAt)
    }
    return { ms: median(tookMs), cpuMs: ((usage.cpuSeconds() - before) * 1000) / count }
  }

  async listByHttp(namespace: string): Promise<number> {
    const response = await this.#admin('GET', `persistent/public/${namespace}`)
    return ((await response.json()) as string[]).length
  }

  async listByClient(namespace: string): Promise<number> {
    const mode = CommandGetTopicsOfNamespace_Mode.PERSISTENT
    const request = { namespace: `public/${namespace}`, mode, requestId: 1n }
    const type = BaseCommand_Type.GET_TOPICS_OF_NAMESPACE_RESPONSE
    const answer = await this.#peer.ask('getTopicsOfNamespace', request, type)
    assert(answer.case === 'getTopicsOfNamespaceResponse')
    return answer.value.topics.length
  }

  /** As every client begins: partitions, then the owner. */
  async lookUp(index: number): Promise<void> {
    const topic = `persistent://${Topics.pathOf(index)}`
    const request = { topic, requestId: 1n }
    await this.#peer.ask('partitionMetadata', request, BaseCommand_Type.PARTITIONED_METADATA_RESPONSE)
    await this.#peer.lookup(topic)
  }

  async make(index: number): Promise<void> {
    await this.#admin('PUT', `persistent/${Topics.pathOf(index)}`)
  }

  async delete(index: number): Promise<void> {
    await this.#admin('DELETE', `persistent/${Topics.pathOf(index)}`)
  }

  /** Copies of the record that the broker made of the first topic, each of a generation of its own. */
  async fill(from: number, to: number): Promise<void> {
    const [endpoint] = this.#cluster.etcd.endpoints
    assert(endpoint !== undefined)
    const options = { endpoints: [endpoint], prefix: '/strata/', clock: systemClock, logger: silentLogger }
    const store = await EtcdMetadataStore.open(options)
    try {
      const pattern = await store.get(keyOf(0))
      assert(pattern !== undefined, 'the broker keeps its topics elsewhere by now')
      let next = from
      const lane = async (): Promise<void> => {
        while (next < to) {
          const first = next
          next = Math.min(to, first + PER_TRANSACTION)
          const indexes = Array.from({ length: next - first }, (_, offset) => first + offset)
          const put = indexes.map(index => ({ key: keyOf(index), value: anotherOf(pattern.value) }))
          const changes = put.map(row => ({ kind: 'put' as const, ...row }))
          const { committed } = await store.transact({ compares: [], changes, operationId: randomUUID() })
          assert(committed)
          if (first % 50_000 < PER_TRANSACTION) progress(`${first} of ${to} records made`)
        }
      }
      await Promise.all(Array.from({ length: TRANSACTIONS_AT_ONCE }, lane))
    } finally {
      await store.close()
    }
  }

  async #admin(method: string, path: string, body?: object): Promise<Response> {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await fetch(`${this.#cluster.broker.ready.webUrl}/admin/v2/${path}`, { method, ...init })
    assert(response.ok, `${method} ${path}: ${response.status}`)
    return response
  }
}

export async function main(argv: readonly string[]): Promise<number> {
  const options = { topics: { type: 'string', default: '1000000' } } as const
  const many = Number(parseArgs({ args: [...argv], options }).values.topics)
  assert(many >= FEW * (NAMESPACES + 1), 'every namespace needs a page')
  const data = mkdtempSync(join(tmpdir(), 'strata-bench-metadata-'))
  const scripts = join(ROOT, 'test', 'peers')
  const etcdArguments = ['--unsafe-no-fsync=false', `--quota-backend-bytes=${QUOTA_BYTES}`]
  try {
    const cluster = await startCluster({ scripts, data, bookieCount: 1, set: SETTINGS, etcdArguments })
    try {
      return await compare(await World.open(cluster), many)
    } finally {
      await cluster.stop()
    }
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

async function compare(world: World, many: number): Promise<number> {
  try {
    await world.make(0)
    await world.fill(1, FEW)
    await measure(world) // compiles what is measured
    const few = await measure(world)
    const startedAt = performance.now()
    await world.fill(FEW, many)
    const seconds = (performance.now() - startedAt) / 1000
    world.topics.count = many
    const after = new Map([...(await measure(world)), ...(await measureLong(world, many))])
    process.stdout.write(`${many - FEW} records made, ${((many - FEW) / seconds).toFixed(0)}/s\n`)
    process.stdout.write(`${tableOf(few, after, many).join('\n')}\n`)
    return 0
  } finally {
    world.close()
  }
}

/** What it makes it deletes, and the other way round. */
async function measure(world: World): Promise<Measured> {
  const { topics } = world
  // bundles are given to the broker when one of their topics is first looked up
  for (let count = 0; count < WARM_UPS; count++) await world.lookUp(topics.any())
  const measured = new Map<string, Cost>()
  measured.set(LIST_BY_HTTP, await world.sampled(() => world.listByHttp(FEW_NAMESPACE), LISTS))
  measured.set(LIST_BY_CLIENT, await world.sampled(() => world.listByClient(FEW_NAMESPACE), LISTS))
  measured.set(
    'partitions and owner of one, by a client',
    await world.sampled(() => world.lookUp(topics.any()), SAMPLES)
  )
  const gone = [...new Set(Array.from({ length: SAMPLES }, () => topics.any()))]
  const eachOf = (work: (index: number) => Promise<void>): Promise<Cost> => {
    const left = [...gone]
    return world.sampled(() => work(left.pop() ?? assert.fail()), gone.length)
  }
  measured.set('delete one, by HTTP', await eachOf(index => world.delete(index)))
  measured.set('make one, by HTTP', await eachOf(index => world.make(index)))
  return measured
}

const LIST_BY_HTTP = 'a list of 1,000, by HTTP'
const LIST_BY_CLIENT = 'a list of 1,000, by a client'

/** Pages of a list that is as long as it gets; against a list that is a page. */
async function measureLong(world: World, many: number): Promise<Measured> {
  const pages = Math.floor((many - FEW) / NAMESPACES / PAGE)
  const perPage = async (list: (namespace: string) => Promise<number>): Promise<Cost> => {
    const cost = await world.sampled(async () => assert((await list('many-0')) >= pages * PAGE), LONG_LISTS)
    return { ms: cost.ms / pages, cpuMs: cost.cpuMs / pages }
  }
  return new Map([
    [longName(LIST_BY_HTTP), await perPage(namespace => world.listByHttp(namespace))],
    [longName(LIST_BY_CLIENT), await perPage(namespace => world.listByClient(namespace))]
  ])
}

const longName = (name: string): string => `each page of a long one${name.slice(name.lastIndexOf(','))}`

function tableOf(few: Measured, after: Measured, many: number): string[] {
  const compared = new Map([
    ...few,
    ...[LIST_BY_HTTP, LIST_BY_CLIENT].map(name => [longName(name), few.get(name)] as const)
  ])
  const rows = [...after].map(([work, { ms, cpuMs }]) => {
    const before = compared.get(work) ?? assert.fail(work)
    const cells = [before.ms, ms, ms / before.ms, before.cpuMs, cpuMs].map(cell => cell.toFixed(2))
    return `| ${work}${ms / before.ms > RATIO_MAX ? ' (missed)' : ''} | ${cells.join(' | ')} |`
  })
  const head = `| work | median ms at ${FEW} | at ${many} | ratio | CPU ms at ${FEW} | at ${many} |`
  return [head, '| --- | --- | --- | --- | --- | --- |', ...rows]
}

function keyOf(index: number): string {
  const [tenant, namespace, topic] = Topics.pathOf(index).split('/')
  return `topics/${tenant}/${namespace}/persistent/${topic}`
}

/** The same row with another generation, which stands in it as text. */
function anotherOf(pattern: Uint8Array): Uint8Array {
  const value = Buffer.from(pattern)
  const at = value.toString('latin1').search(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/)
  assert(at >= 0, 'a record has a generation')
  assert(value.write(randomUUID(), at, 'latin1') === UUID_BYTES)
  return value
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`)
}
