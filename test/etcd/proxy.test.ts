import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { BookieSet, startBroker, type BrokerProcess, type Settings } from '../support/cluster-process.ts'
import { startProxy, type ProxyProcess } from '../support/proxy-process.ts'
import { freshPrefix, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { TopicLoad } from './topic-load.ts'

const LEASE_MS = 3_000
const NAMESPACE = 'public/default'
const TOPICS = Array.from({ length: 8 }, (_, index) => `persistent://${NAMESPACE}/proxied-${index}`)
const KEPT = { defaultRetentionTimeInMinutes: -1, defaultRetentionSizeInMB: -1 }

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

let root: string
let bookies: BookieSet
let first: BrokerProcess
let second: BrokerProcess
let proxy: ProxyProcess

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  const metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${freshPrefix()}`
  const strataClusterSecretFile = join(root, 'secret')
  writeFileSync(strataClusterSecretFile, 'of this cluster alone, and of nobody else')
  const set: Settings = { metadataStoreSessionTimeoutMillis: LEASE_MS, strataClusterSecretFile }
  bookies = new BookieSet({ data: root, metadataUrl, set })
  await Promise.all([0, 1, 2].map(index => bookies.start(index)))
  // before there is a broker: it finds them as they come
  proxy = await startProxy({ set: { metadataStoreUrl: metadataUrl } })
  const options = { metadataUrl, set: { ...set, ...KEPT } }
  ;[first, second] = await Promise.all([startBroker(options), startBroker(options)])
}, START_TIMEOUT_MS)
afterEach(async () => {
  await Promise.all([first.kill(), second.kill(), proxy.stop()])
  await bookies.killAll()
  rmSync(root, { recursive: true, force: true })
})

/** To whichever broker the proxy chooses: what another one must do is its 307, followed by the proxy. */
async function admin(method: string, path: string): Promise<unknown> {
  const answer = await fetch(`${proxy.webUrl}/admin/v2/${path}`, { method, redirect: 'manual' })
  const text = await answer.text()
  assert(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

/** Moves the bundles so that each broker has half of them. */
async function spread(): Promise<void> {
  const { boundaries } = (await admin('GET', `namespaces/${NAMESPACE}/bundles`)) as { boundaries: string[] }
  for (const [index, end] of boundaries.slice(1).entries()) {
    const to = (index % 2 === 0 ? first : second).ready.webUrl.replace('http://', '')
    const bundle = `${boundaries[index] ?? ''}_${end}`
    await admin('PUT', `namespaces/${NAMESPACE}/${bundle}/unload?destinationBroker=${to}`)
  }
}

describe('a proxy in front of a cluster that it knows by its metadata', () => {
  test('moves and kill -9: clients that know the proxy alone go on, nothing acknowledged is lost', async () => {
    const load = new TopicLoad({ serviceUrl: proxy.serviceUrl, topics: TOPICS })
    await load.start()
    await load.flows(20)
    await spread()
    await load.flows(20)
    await first.kill()
    await load.flows(20)
    await load.stop()
    await load.assertWhole(proxy.serviceUrl)
  }, 120_000)

  test('a broker that stands still: its clients are cut off without noticing it themselves, and go on', async () => {
    // pings would notice only much later
    const load = new TopicLoad({ serviceUrl: proxy.serviceUrl, topics: TOPICS, keepAliveMs: 600_000 })
    await load.start()
    await spread()
    await load.flows(20)
    first.signal('SIGSTOP')
    await load.flows(20)
    await load.stop()
    await load.assertWhole(proxy.serviceUrl)
    // ended by its watchdog, or cut off because its registration ended: whichever is first
    assert.match(proxy.log(), /the broker(: read ECONNRESET| left the cluster| closed it)/)
  }, 120_000)
})
