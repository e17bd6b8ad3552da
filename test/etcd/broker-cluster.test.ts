import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { until } from '../integration/bounds-support.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import {
  BookieSet,
  brokerArguments,
  startBroker,
  type BrokerProcess,
  type Settings
} from '../support/cluster-process.ts'
import { startStrataCommand } from '../support/strata-command.ts'
import { assertWhole, PublishLoad } from './broker-load.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const ROUNDS = Number(process.env['STRATA_TEST_BOOKIE_KILLS'] ?? 6)
/** Short, so that a process that was killed is missed soon. */
const LEASE_MS = 3_000
const TOPICS = ['persistent://public/default/one', 'persistent://public/default/two']

const KEPT = { defaultRetentionTimeInMinutes: -1, defaultRetentionSizeInMB: -1 }

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

let root: string
let prefix: string
let metadataUrl: string
let bookies: BookieSet
let brokers: BrokerProcess[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  prefix = freshPrefix()
  metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${prefix}`
  writeFileSync(join(root, 'secret'), 'of this cluster alone, and of nobody else')
  bookies = new BookieSet({ data: root, metadataUrl, set: common() })
  brokers = []
})
afterEach(async () => {
  for (const broker of brokers) await broker.kill()
  await bookies.killAll()
  rmSync(root, { recursive: true, force: true })
})

const common = (): Settings => ({
  metadataStoreSessionTimeoutMillis: LEASE_MS,
  strataClusterSecretFile: join(root, 'secret')
})

async function startBookies(): Promise<void> {
  await Promise.all([0, 1, 2].map(index => bookies.start(index)))
}

async function start(set: Settings = {}): Promise<BrokerProcess> {
  const broker = await startBroker({ metadataUrl, set: { ...common(), ...KEPT, ...set } })
  brokers.push(broker)
  return broker
}

async function health({ ready }: BrokerProcess): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${ready.webUrl}/admin/v2/brokers/health`, { signal: AbortSignal.timeout(45_000) })
  return { status: answer.status, text: await answer.text() }
}

/** Ends with `code` and one line that has all `parts`. */
async function refused(set: Settings, code: number, ...parts: string[]): Promise<void> {
  const ended = await startStrataCommand(brokerArguments({ metadataUrl, set: { ...common(), ...set } })).ended
  const lines = ended.stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))
  assert.deepEqual([ended.code, ended.stdout, lines.length], [code, '', 1], ended.stderr)
  for (const part of ['strata: ', ...parts]) assert(lines[0]?.includes(part), `${part} is not in: ${lines[0]}`)
}

describe('a broker over three storage nodes', () => {
  test(
    `kill -9 of one node after the other under load, ${ROUNDS} times, then of the broker: nothing acknowledged is lost`,
    async () => {
      await startBookies()
      // small ledgers, so that nodes die in the midst of roll-over as well
      const broker = await start({
        managedLedgerMaxEntriesPerLedger: 2000,
        managedLedgerMinLedgerRolloverTimeMinutes: 0
      })
      const load = new PublishLoad(broker.ready.brokerUrl)
      await load.start(TOPICS)
      for (let round = 0; round < ROUNDS; round++) {
        await load.flows(1000)
        await bookies.kill(round % 3)
        await load.flows(1000)
        await bookies.start(round % 3)
      }
      await load.flows(1000)
      await load.stop()
      assert.deepEqual(load.failures, [])
      await broker.kill()
      const next = await start()
      const { stored, copies } = await assertWhole(next.ready.brokerUrl, TOPICS, load.acknowledged)
      process.stdout.write(`${load.acknowledged.size} acknowledged, ${stored} stored, ${copies} copies beside them\n`)
    },
    120_000 + ROUNDS * 20_000
  )

  test('without an ack quorum nothing is acknowledged and health says why; with the nodes back all goes on', async () => {
    await startBookies()
    const broker = await start()
    const load = new PublishLoad(broker.ready.brokerUrl)
    await load.start(TOPICS)
    await load.flows(500)
    await Promise.all([bookies.kill(0), bookies.kill(1)])
    await until('health fails', 90_000, async () => (await health(broker)).status === 503)
    assert.match((await health(broker)).text, /1 storage nodes take entries, and 2 must/)
    const count = load.acknowledged.size
    assert.equal((await health(broker)).status, 503)
    assert.equal(load.acknowledged.size, count)
    await Promise.all([bookies.start(0), bookies.start(1)])
    await load.flows(500)
    await until('health is back', 90_000, async () => (await health(broker)).status === 200)
    await load.stop()
    assert.deepEqual(load.failures, [])
    await assertWhole(broker.ready.brokerUrl, TOPICS, load.acknowledged)
  })

  test('Ctrl-C drains: all that was published is answered, and the next broker has it at once', async () => {
    await startBookies()
    const broker = await start()
    const load = new PublishLoad(broker.ready.brokerUrl)
    await load.start(TOPICS)
    await load.flows(500)
    const stopped = load.stop()
    assert.equal(await broker.stop(), 0)
    const next = await start({ brokerServicePort: new URL(broker.ready.brokerUrl).port })
    await stopped
    assert.deepEqual(load.failures, [])
    await assertWhole(next.ready.brokerUrl, TOPICS, load.acknowledged)
  })
})

describe('what stops a start', () => {
  test('a broker of an earlier release, which does not share the topics of a cluster', async () => {
    await startBookies()
    const store = await openStore({ endpoints: etcd.endpoints, prefix })
    // the row that such a broker holds under its lease: format version 1, then its fields
    const value = Buffer.from([1, ...Buffer.from('\x0a\x01i\x12\x04host\x18\x07')])
    const lease = await store.grantLease(LEASE_MS)
    await store.transact({ compares: [], changes: [{ kind: 'put', key: 'serving-broker', value, lease }] })
    await refused({}, 1, 'earlier release', 'process 7 on host', 'stop it first')
    await lease.revoke()
    await store.close()
    assert.equal((await health(await start())).status, 200)
  })

  test('a store without a cluster, a quorum that is none, and keys that a broker has not', async () => {
    await refused({}, 1, 'there is no cluster', 'strata bookie')
    await refused({ managedLedgerDefaultAckQuorum: 4 }, 78, 'managedLedgerDefaultWriteQuorum')
    await refused({ zookeeperServers: 'a:2181' }, 78, 'use metadataStoreUrl')
    await refused({ transactionCoordinatorEnabled: true }, 78, 'transactionCoordinatorEnabled=true')
    await refused({ metadataStoreUrl: '' }, 78, 'metadataStoreUrl is not set')
  })
})
