import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { until } from '../integration/bounds-support.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { BookieSet, startBroker, type BrokerProcess, type Settings } from '../support/cluster-process.ts'
import { freshPrefix, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { FaultyProxy } from './faulty-proxy.ts'
import { TopicLoad } from './topic-load.ts'

const LEASE_MS = 3_000
const NAMESPACE = 'public/default'
const TOPICS = Array.from({ length: 12 }, (_, index) => `persistent://${NAMESPACE}/shared-${index}`)
const KEPT = { defaultRetentionTimeInMinutes: -1, defaultRetentionSizeInMB: -1 }

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

let root: string
let prefix: string
let metadataUrl: string
let proxy: FaultyProxy | undefined
let bookies: BookieSet
let brokers: BrokerProcess[]

const common = (): Settings => ({
  metadataStoreSessionTimeoutMillis: LEASE_MS,
  strataClusterSecretFile: join(root, 'secret')
})

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  prefix = freshPrefix()
  metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${prefix}`
  writeFileSync(join(root, 'secret'), 'of this cluster alone, and of nobody else')
  bookies = new BookieSet({ data: root, metadataUrl, set: common() })
  brokers = []
  await Promise.all([0, 1, 2].map(index => bookies.start(index)))
}, START_TIMEOUT_MS)
afterEach(async () => {
  for (const broker of brokers) await broker.kill()
  await bookies.killAll()
  await proxy?.close()
  proxy = undefined
  rmSync(root, { recursive: true, force: true })
})

async function start(set: Settings = {}): Promise<BrokerProcess> {
  return startAt(metadataUrl, set)
}

/** Its way to the metadata store can be cut. */
async function startBehindProxy(): Promise<BrokerProcess> {
  proxy ??= await FaultyProxy.open(etcd.endpoints[0] ?? '')
  return startAt(`etcd:http://${proxy.endpoint}${prefix}`)
}

async function startAt(url: string, set: Settings = {}): Promise<BrokerProcess> {
  const broker = await startBroker({ metadataUrl: url, set: { ...common(), ...KEPT, ...set } })
  brokers.push(broker)
  return broker
}

function serviceUrl(...of: readonly BrokerProcess[]): string {
  return `pulsar://${of.map(({ ready }) => ready.brokerUrl.replace('pulsar://', '')).join(',')}`
}

function idOf({ ready }: BrokerProcess): string {
  return ready.webUrl.replace('http://', '')
}

async function admin(
  { ready }: BrokerProcess,
  method: string,
  path: string,
  options: { body?: unknown; redirect?: 'manual' } = {}
): Promise<{ status: number; body: unknown; location: string }> {
  const answer = await fetch(`${ready.webUrl}/admin/v2/${path}`, {
    method,
    redirect: options.redirect ?? 'follow',
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(30_000)
  })
  const text = await answer.text()
  let body: unknown = text
  try {
    body = JSON.parse(text)
  } catch {
    // words
  }
  return { status: answer.status, body, location: answer.headers.get('location') ?? '' }
}

/** Bundles of the namespace that each broker holds. */
async function bundlesOf(broker: BrokerProcess): Promise<string[]> {
  const { body } = await admin(broker, 'GET', `brokers/standalone/${idOf(broker)}/ownedNamespaces`)
  return Object.keys(body as object)
    .filter(bundle => bundle.startsWith(`${NAMESPACE}/`))
    .map(bundle => bundle.slice(NAMESPACE.length + 1))
}

async function all(): Promise<string[]> {
  const { body } = await admin(first(), 'GET', `namespaces/${NAMESPACE}/bundles`)
  const { boundaries } = body as { boundaries: string[] }
  return boundaries.slice(1).map((end, index) => `${boundaries[index] ?? ''}_${end}`)
}

function first(): BrokerProcess {
  const [broker] = brokers
  assert(broker !== undefined)
  return broker
}

/** Each broker gets half of the bundles, whatever placement made of them. */
async function spread(a: BrokerProcess, b: BrokerProcess): Promise<void> {
  for (const [index, bundle] of (await all()).entries()) {
    const to = index % 2 === 0 ? a : b
    const { status, body } = await admin(
      a,
      'PUT',
      `namespaces/${NAMESPACE}/${bundle}/unload?destinationBroker=${idOf(to)}`
    )
    assert.equal(status, 204, JSON.stringify(body))
  }
  assert.deepEqual([(await bundlesOf(a)).length, (await bundlesOf(b)).length], [2, 2])
}

function print(what: string, pauses: readonly number[]): void {
  const [longest = 0] = pauses
  const p50 = pauses[Math.floor(pauses.length / 2)] ?? 0
  process.stdout.write(`${what}: pause of a topic ${p50.toFixed(0)} ms median, ${longest.toFixed(0)} ms longest\n`)
}

describe('several brokers share the topics of a cluster', () => {
  test('kill -9 of one under load: the other serves its topics, nothing acknowledged is lost', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const load = new TopicLoad({ serviceUrl: serviceUrl(a, b), topics: TOPICS })
    await load.start()
    await spread(a, b)
    await load.flows(50)
    load.takePauses()
    await a.kill()
    await load.flows(50)
    print('kill -9', load.takePauses())
    assert.equal((await bundlesOf(b)).length, 4)
    await load.stop()
    await load.assertWhole(b.ready.brokerUrl)
  }, 120_000)

  test('one that stood still longer than its lease: its topics were taken, and it joins in again', async () => {
    // nothing ends it while it stands still
    const [a, b] = await Promise.all([start({ strataWatchdogEnabled: false }), start()])
    const load = new TopicLoad({ serviceUrl: serviceUrl(a, b), topics: TOPICS, keepAliveMs: 1000 })
    await load.start()
    await spread(a, b)
    await load.flows(50)
    load.takePauses()
    a.signal('SIGSTOP')
    await until('its bundles are taken', 60_000, async () => (await bundlesOf(b)).length === 4)
    await load.flows(50)
    print('SIGSTOP', load.takePauses())
    a.signal('SIGCONT')
    await until('it is back', 60_000, async () => {
      const { body } = await admin(b, 'GET', 'brokers/standalone')
      return (body as string[]).includes(idOf(a)) && (await admin(a, 'GET', 'brokers/ready')).status === 200
    })
    await load.flows(50)
    await load.stop()
    await load.assertWhole(a.ready.brokerUrl)
    assert.match(a.log(), /fenced|dropped|lease/)
  }, 120_000)

  test('one is cut off from the metadata store: it stops, says that it is not ready, and comes back', async () => {
    const [a, b] = await Promise.all([startBehindProxy(), start()])
    const load = new TopicLoad({ serviceUrl: serviceUrl(b, a), topics: TOPICS })
    await load.start()
    await spread(a, b)
    await load.flows(50)
    load.takePauses()
    proxy?.silence()
    await until('it is not ready', 60_000, async () => (await admin(a, 'GET', 'brokers/ready')).status === 503)
    await until('its bundles are taken', 60_000, async () => (await bundlesOf(b)).length === 4)
    await load.flows(50)
    print('cut off', load.takePauses())
    // consumers, too, are where the topics are
    await load.catchesUp()
    proxy?.heal()
    await until('it is ready', 60_000, async () => (await admin(a, 'GET', 'brokers/ready')).status === 200)
    await load.stop()
    await load.assertWhole(b.ready.brokerUrl)
  }, 120_000)

  test('all are cut off from the metadata store: what they have they go on serving', async () => {
    const a = await startBehindProxy()
    const b = await startBehindProxy()
    const load = new TopicLoad({ serviceUrl: serviceUrl(a, b), topics: TOPICS })
    await load.start()
    await spread(a, b)
    for (const broker of [a, b]) assert.equal((await admin(broker, 'GET', 'brokers/health')).body, 'ok')
    await load.flows(50)
    proxy?.silence()
    const cutAtMs = performance.now()
    // for longer than any lease: past it they ask each other, and nobody takes anything
    while (performance.now() - cutAtMs < 3 * LEASE_MS) await load.flows(1)
    for (const broker of [a, b]) {
      assert.equal((await admin(broker, 'GET', 'brokers/ready')).status, 200)
      assert.equal((await admin(broker, 'GET', 'brokers/health')).body, 'ok')
    }
    proxy?.heal()
    await load.flows(50)
    await load.stop()
    await load.assertWhole(b.ready.brokerUrl)
  }, 120_000)

  test('planned moves under load: no error at the client, and short pauses', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const load = new TopicLoad({ serviceUrl: serviceUrl(a, b), topics: TOPICS })
    await load.start()
    await load.flows(50)
    load.takePauses()
    const moves: number[] = []
    for (let round = 0; round < 3; round++) {
      for (const from of [a, b]) {
        const to = from === a ? b : a
        for (const bundle of await bundlesOf(from)) {
          const path = `namespaces/${NAMESPACE}/${bundle}/unload?destinationBroker=${idOf(to)}`
          assert.equal((await admin(b, 'PUT', path)).status, 204)
          await load.flows(5)
          moves.push(...load.takePauses().slice(0, 3))
        }
      }
    }
    print(
      'unload',
      moves.sort((x, y) => y - x)
    )
    await load.stop()
    await load.assertWhole(b.ready.brokerUrl)
  }, 120_000)

  test('cold bundles of two brokers become one under load: no error at the client', async () => {
    const merging = {
      strataLoadBalancerAutoBundleMergeEnabled: true,
      loadBalancerSheddingEnabled: false,
      loadBalancerSheddingIntervalMinutes: 0.005,
      loadBalancerSheddingGracePeriodMinutes: 0,
      loadBalancerNamespaceBundleMaxMsgRate: 10_000_000,
      loadBalancerNamespaceBundleMaxBandwidthMbytes: 100_000
    }
    const [a, b] = await Promise.all([start(merging), start(merging)])
    const load = new TopicLoad({ serviceUrl: serviceUrl(a, b), topics: TOPICS })
    await load.start()
    await spread(a, b)
    const before = await all()
    const put = async (at: BrokerProcess, path: string): Promise<void> => {
      const { status, body } = await admin(at, 'PUT', `namespaces/${NAMESPACE}/${path}`)
      assert.equal(status, 204, JSON.stringify(body))
    }
    await load.flows(20)
    load.takePauses()
    // the leader makes one again of what was divided, wherever its halves are
    await put(b, `${before[0] ?? ''}/split`)
    assert.equal((await all()).length, 5)
    await put(b, `${(await all())[1] ?? ''}/unload?destinationBroker=${idOf(b)}`)
    await until('it is merged', 60_000, async () => (await all()).length === 4)
    assert.deepEqual(await all(), before)
    await load.flows(20)
    // an operator may go on, below the number that the namespace began with
    await put(b, `${before[0] ?? ''}/merge?with=${before[1] ?? ''}`)
    await put(a, `${before[2] ?? ''}/merge`)
    const halves = ['0x00000000_0x80000000', '0x80000000_0xffffffff']
    assert.deepEqual(await all(), halves)
    assert.equal(
      (await admin(a, 'PUT', `namespaces/${NAMESPACE}/${halves[0] ?? ''}/merge?with=${before[1] ?? ''}`)).status,
      412
    )
    await load.flows(20)
    print('merge', load.takePauses())
    for (const to of [b, a]) {
      for (const bundle of halves) await put(a, `${bundle}/unload?destinationBroker=${idOf(to)}`)
      assert.deepEqual((await bundlesOf(to)).sort(), halves)
      await load.flows(20)
    }
    await load.stop()
    await load.assertWhole(b.ready.brokerUrl)
  }, 120_000)

  test('one is stopped in order: its topics are handed over within its time', async () => {
    const [a, b] = await Promise.all([start({ brokerShutdownTimeoutMs: 20_000 }), start()])
    const load = new TopicLoad({ serviceUrl: serviceUrl(a, b), topics: TOPICS })
    await load.start()
    await spread(a, b)
    await load.flows(50)
    load.takePauses()
    assert.equal(await a.stop(), 0)
    assert.equal((await bundlesOf(b)).length, 4)
    await load.flows(50)
    print('stop', load.takePauses())
    await load.stop()
    await load.assertWhole(b.ready.brokerUrl)
  }, 120_000)
})
