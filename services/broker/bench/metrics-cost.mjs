// What /metrics costs a broker with many topics, after a build:
//   node services/broker/bench/metrics-cost.mjs [topics stored=100000] [of these in memory=5000]
// Topics of a hundred namespaces, those in memory with a subscription each. Told: how long a scrape takes, how long it holds the event
// loop up at once, how large it is, and the same of the round that looks at backlogs every ten seconds.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory } from '@strata/managed-ledger'
import { LevelMetadataStore } from '@strata/metadata'
import { createAdminServer } from '../dist/admin/server.js'
import { createBroker } from '../dist/broker.js'
import { defaultBrokerSettings } from '../dist/config/settings.js'
import { TopicName } from '../dist/namespace/topic-name.js'

const NAMESPACES = 100
const LANES = 64
const ROUNDS = 7
const [stored = 100_000, loaded = 5_000] = process.argv.slice(2).map(Number)

const directory = await mkdtemp(join(tmpdir(), 'strata-metrics-'))
const metadata = await LevelMetadataStore.open({ directory, operationsMax: 1000 })
const doors = { metadata, clock: systemClock, logger: silentLogger }
const quorum = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
const nodes = directoryOf([new MemoryBookieNode(bookieId('one'))])
const ledgers = createLedgerClient({ ...doors, directory: nodes, quorum, random: () => 0.5 })
const logs = createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 1 << 20 })
const settings = { ...defaultBrokerSettings(), brokerServicePort: 0, webServicePort: 0 }
const broker = await createBroker({ ...doors, settings, logs })
const admin = createAdminServer({ broker, clock: systemClock, logger: silentLogger })
try {
  await broker.start()
  for (let index = 0; index < NAMESPACES; index++) {
    await admin.inject({ method: 'PUT', url: `/admin/v2/namespaces/public/n${index}` })
  }
  await inLanes(stored - loaded, index => broker.namespaces.topics.ensure(nameOf(index), { mayCreate: true }))
  await inLanes(loaded, async index => {
    const topic = await broker.topics.load(nameOf(stored + index), { mayCreate: true })
    await topic.createSubscription('s', { position: 'earliest', properties: {} })
  })
  console.log(`${stored} topics stored, ${broker.topics.size} of them in memory`)
  await measure('scrape', async () => (await admin.inject({ method: 'GET', url: '/metrics' })).body.length)
  settings.exposeTopicLevelMetricsInPrometheus = false
  await measure(
    'scrape without topics',
    async () => (await admin.inject({ method: 'GET', url: '/metrics' })).body.length
  )
  await measure('round of looks', async () => (await broker.meters.look(), 0))
} finally {
  await admin.close()
  await broker.close()
  await logs.close()
  await metadata.close()
  await rm(directory, { recursive: true, force: true })
}

function nameOf(index) {
  return TopicName.of('persistent', `public/n${index % NAMESPACES}`, `topic-${index}`)
}

async function inLanes(count, run) {
  let next = 0
  const lane = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

/** The median of some rounds; the longest time that nothing else ran is of all of them. */
async function measure(name, run) {
  await run()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const took = []
  let size = 0
  for (let round = 0; round < ROUNDS; round++) {
    const fromMs = performance.now()
    size = await run()
    took.push(performance.now() - fromMs)
  }
  delay.disable()
  took.sort((a, b) => a - b)
  const megabytes = size === 0 ? '' : `, ${(size / 1e6).toFixed(1)} MB`
  console.log(`${name}: ${took[ROUNDS >> 1].toFixed(0)} ms, at once ${(delay.max / 1e6).toFixed(0)} ms${megabytes}`)
}
