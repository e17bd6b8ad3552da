import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { bookieArguments } from '../support/bookie-process.ts'
import { BookieSet, brokerArguments, startBroker, type BrokerProcess } from '../support/cluster-process.ts'
import { makeNextBuild } from '../support/next-build.ts'
import { startStrataCommand } from '../support/strata-command.ts'
import { freshPrefix, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { TopicLoad } from './topic-load.ts'

const NAMESPACE = 'public/default'
const TOPICS = Array.from({ length: 6 }, (_, index) => `persistent://${NAMESPACE}/skewed-${index}`)
const KEPT = { defaultRetentionTimeInMinutes: -1, defaultRetentionSizeInMB: -1 }
const NODES = [0, 1, 2]

let etcd: EtcdPeers
let builds: string
/** The program of the release after this one. */
let next: string
beforeAll(async () => {
  builds = mkdtempSync(join(tmpdir(), 'strata-next-'))
  next = makeNextBuild(builds)
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(async () => {
  await etcd.stop()
  rmSync(builds, { recursive: true, force: true })
})

let root: string
let metadataUrl: string
let bookies: BookieSet
let brokers: BrokerProcess[]
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${freshPrefix()}`
  bookies = new BookieSet({ data: root, metadataUrl })
  brokers = []
  await Promise.all(NODES.map(index => bookies.start(index)))
}, START_TIMEOUT_MS)
afterEach(async () => {
  for (const broker of brokers) await broker.kill()
  await bookies.killAll()
  rmSync(root, { recursive: true, force: true })
})

async function start(strata?: string): Promise<BrokerProcess> {
  const broker = await startBroker({ metadataUrl, set: KEPT, ...(strata === undefined ? {} : { strata }) })
  brokers.push(broker)
  return broker
}

/** Ends a node in order and starts it again on its disk, as another build. */
async function exchange(index: number, strata?: string): Promise<void> {
  const before = bookies.at(index)
  assert.equal(await before.stop(), 0)
  const { bookieId } = await bookies.start(index, strata === undefined ? {} : { strata })
  assert.equal(bookieId, before.bookieId)
}

/** Every bundle goes to a broker, whoever has it. */
async function moveAll(to: BrokerProcess): Promise<void> {
  const base = `${to.ready.webUrl}/admin/v2/namespaces/${NAMESPACE}`
  const { boundaries } = (await (await fetch(`${base}/bundles`)).json()) as { boundaries: string[] }
  const id = to.ready.webUrl.replace('http://', '')
  for (const [index, end] of boundaries.slice(1).entries()) {
    const path = `${base}/${boundaries[index] ?? ''}_${end}/unload?destinationBroker=${id}`
    const { status } = await fetch(path, { method: 'PUT' })
    assert.equal(status, 204)
  }
}

async function upgrade(command: string, strata?: string): Promise<Record<string, unknown>> {
  const args = ['upgrade', command, '--metadata', metadataUrl, '--json']
  const { code, stdout, stderr } = await startStrataCommand(args, strata === undefined ? {} : { strata }).ended
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as Record<string, unknown>
}

async function assertRefused(): Promise<void> {
  const data = join(root, 'bookie-0')
  for (const args of [bookieArguments({ data, metadataUrl }), brokerArguments({ metadataUrl })]) {
    const { code, stderr } = await startStrataCommand(args).ended
    assert.equal(code, 1)
    assert.match(stderr, /^strata: the cluster writes formats of level 2, and this release knows up to 1/m)
  }
}

describe('a release and the one after it', () => {
  test('serve one cluster side by side, there and back, until an operator says that there is no way back', async () => {
    const old = await start()
    const load = new TopicLoad({ serviceUrl: old.ready.brokerUrl, topics: TOPICS })
    await load.start()
    await load.flows(20)

    await exchange(0, next)
    const newer = await start(next)
    for (const broker of [newer, old, newer]) {
      await moveAll(broker) // each reads what the other wrote
      await load.flows(20)
    }
    for (const strata of [undefined, next]) {
      const { level, possible } = await upgrade('status', strata)
      assert.deepEqual([level, possible], [1, 1])
    }
    assert.deepEqual(await upgrade('finalize', next), { level: 1, was: 1, changed: false })

    // the way back: what the newer release wrote is served by this one alone
    await exchange(0)
    assert.equal(await newer.stop(), 0)
    await load.flows(20)

    for (const index of NODES) {
      await exchange(index, next)
      await load.flows(20)
    }
    const newest = await start(next)
    await moveAll(newest)
    assert.deepEqual((await upgrade('status', next))['possible'], 1)
    await load.flows(20)
    await load.stop()
    await load.assertWhole(newest.ready.brokerUrl)
    assert.equal(await old.stop(), 0)
    assert.deepEqual(await upgrade('finalize', next), { level: 2, was: 1, changed: true })
    assert.equal(await bookies.at(0).stop(), 0)
    await assertRefused()
    await bookies.start(0, { strata: next })
    await load.assertWhole(newest.ready.brokerUrl)
  }, 300_000)
})
