// What a page of a list, a look at one topic, making one and deleting one cost where there are few topics and where there are
// many, after a build:
//   node services/broker/bench/topics-at-scale.mjs [--topics 1000000] [--store level|etcd] [--etcd host:port] [--under directory]
// Topics are records alone, in ten namespaces. `--etcd` names an etcd that runs, and may be emptied.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { silentLogger, systemClock } from '@strata/base'
import { BatchingMetadataStore, LevelMetadataStore } from '@strata/metadata'
import { EtcdMetadataStore } from '@strata/metadata/etcd'
import { defaultBrokerSettings } from '../dist/config/settings.js'
import { TopicRowSchema } from '../dist/generated/broker_pb.js'
import { NamespaceService } from '../dist/namespace/namespace-service.js'
import { encodeRow, keys } from '../dist/namespace/rows.js'
import { TopicName } from '../dist/namespace/topic-name.js'

const NAMESPACES = 10
const FEW = 1000
/** Of each kind of work, one after the other. */
const SAMPLES = 300
/** Half of what a namespace has at the least: every page is full. */
const PAGE = FEW / NAMESPACES / 2
const PER_TRANSACTION = 100
/** Transactions under way. */
const LANES = 4

const { values } = parseArgs({
  options: {
    topics: { type: 'string', default: '1000000' },
    store: { type: 'string', default: 'level' },
    etcd: { type: 'string', default: '127.0.0.1:2379' },
    under: { type: 'string', default: tmpdir() }
  }
})
const many = Number(values.topics)
const directory = await mkdtemp(join(values.under, 'strata-scale-'))
const store = new BatchingMetadataStore(await openStore())
try {
  const settings = defaultBrokerSettings()
  const cluster = {
    serviceUrl: '',
    serviceUrlTls: '',
    brokerServiceUrl: '',
    brokerServiceUrlTls: '',
    peerClusterNames: []
  }
  const service = await NamespaceService.open({ store, settings, clock: systemClock, cluster })
  await service.tenancy.createTenant('scale', { adminRoles: [], allowedClusters: [settings.clusterName] })
  for (let index = 0; index < NAMESPACES; index++) await service.tenancy.createNamespace(namespaceOf(index), {})
  await make(0, FEW)
  await measure(service, FEW) // compiles what is measured
  const few = await measure(service, FEW)
  const startedAt = performance.now()
  await make(FEW, many)
  const seconds = (performance.now() - startedAt) / 1000
  console.log(`${values.store}: ${many - FEW} records made, ${Math.round((many - FEW) / seconds)}/s`)
  const after = await measure(service, many)
  console.log('| work | ms at 1,000 | ms at many | ratio | CPU ms at 1,000 | at many | ratio |')
  console.log('| --- | --- | --- | --- | --- | --- | --- |')
  for (const [work, { ms, cpuMs }] of Object.entries(after)) {
    const before = few[work]
    const cells = [before.ms, ms, ms / before.ms, before.cpuMs, cpuMs, cpuMs / before.cpuMs].map(cell =>
      cell.toFixed(2)
    )
    console.log(`| ${work} | ${cells.join(' | ')} |`)
  }
  console.log(`resident: ${Math.round(process.memoryUsage.rss() / 1024 / 1024)} MB`)
  await service.close()
} finally {
  await store.close()
  await rm(directory, { recursive: true, force: true })
}

async function openStore() {
  if (values.store === 'level') return LevelMetadataStore.open({ directory: join(directory, 'metadata') })
  const prefix = `/scale-${process.pid}/`
  return EtcdMetadataStore.open({ endpoints: [values.etcd], prefix, clock: systemClock, logger: silentLogger })
}

function namespaceOf(index) {
  return `scale/n${index % NAMESPACES}`
}

function nameOf(index) {
  return TopicName.parse(`persistent://${namespaceOf(index)}/topic-${String(index).padStart(8, '0')}`)
}

/** Records as the broker writes them, a hundred a transaction: what is measured is how it is to have them. */
async function make(from, to) {
  let next = from
  const lane = async () => {
    while (next < to) {
      const first = next
      next = Math.min(to, first + PER_TRANSACTION)
      const changes = []
      for (let index = first; index < next; index++) changes.push(recordOf(index))
      const result = await store.transact({ compares: [], changes, operationId: `made-${first}` })
      if (!result.committed) throw new Error('not made')
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

function recordOf(index) {
  const row = { generation: randomUUID(), partitions: 0, properties: {}, createdAtMs: BigInt(Date.now()) }
  return { kind: 'put', key: keys.topic(nameOf(index)), value: encodeRow(TopicRowSchema, row) }
}

/** What it makes it deletes, and the other way round. */
async function measure(service, count) {
  const any = () => Math.floor(Math.random() * count)
  const measured = {
    'first page of a namespace': await sampled(() => page(any(), undefined)),
    'a page in the middle': await sampled(() => page(any(), Math.floor(any() / 2))),
    'one topic': await sampled(() => service.topics.get(nameOf(any())))
  }
  const names = Array.from({ length: SAMPLES }, (_, index) => nameOf((any() + index) % count))
  const gone = [...new Map(names.map(name => [name.toString(), name])).values()]
  let next = 0
  const remove = async () => service.topics.finishDelete(await service.topics.beginDelete(gone[next++]))
  measured['delete one'] = await sampled(remove, gone.length)
  next = 0
  measured['make one'] = await sampled(() => service.topics.create(gone[next++], { partitions: 0 }), gone.length)
  return measured
}

/** Median milliseconds, and milliseconds of this process's CPU on average: less touched by what else the machine does. */
async function sampled(work, count = SAMPLES) {
  const tookMs = []
  const cpuBefore = process.cpuUsage()
  for (let sample = 0; sample < count; sample++) {
    const startedAt = performance.now()
    await work()
    tookMs.push(performance.now() - startedAt)
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  const ms = tookMs.sort((a, b) => a - b)[Math.floor(count / 2)]
  return { ms, cpuMs: (user + system) / 1000 / count }
}

async function page(namespace, after) {
  const ofNamespace = index => index - (index % NAMESPACES) + (namespace % NAMESPACES)
  const behind = after === undefined ? {} : { after: keys.topic(nameOf(ofNamespace(after))) }
  await store.scan({ prefix: keys.topics(namespaceOf(namespace)), limit: PAGE, ...behind })
}
