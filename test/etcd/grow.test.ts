import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NO_ENTRY } from '@strata/base'
import { decodeLedger, LEDGERS_PREFIX } from '@strata/ledger-client'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { until } from '../integration/bounds-support.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { startBookie } from '../support/bookie-process.ts'
import { BookieSet, startBroker, type BrokerProcess } from '../support/cluster-process.ts'
import { startStrataCommand, type Ended } from '../support/strata-command.ts'
import { startStrata } from '../support/strata-process.ts'
import { assertWhole, PublishLoad } from './broker-load.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const TOPICS = ['persistent://public/default/one', 'persistent://public/default/two']
const KEPT = { defaultRetentionTimeInMinutes: -1, defaultRetentionSizeInMB: -1 }
/** Short, so that a process that was killed is missed soon. */
const LEASE = { metadataStoreSessionTimeoutMillis: 3_000 }
const SMALL_LEDGERS = { managedLedgerMaxEntriesPerLedger: 500, managedLedgerMinLedgerRolloverTimeMinutes: 0 }

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

let root: string
let prefix: string
let metadataUrl: string
let closing: (() => Promise<unknown>)[]
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  prefix = freshPrefix()
  metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${prefix}`
  closing = []
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  rmSync(root, { recursive: true, force: true })
})

async function run(args: readonly string[], code = 0): Promise<Ended> {
  const ended = await startStrataCommand(args).ended
  assert.equal(ended.code, code, `strata ${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
  return ended
}

const exported = (code = 0): Promise<Ended> =>
  run(
    ['metadata', 'export', '--from', `level:${root}/data/metadata`, '--to', metadataUrl, '--copies', '3', '--json'],
    code
  )

/** A standalone that is killed with messages on its topics. */
async function standaloneWithMessages(): Promise<PublishLoad> {
  const standalone = await startStrata({
    data: join(root, 'data'),
    set: { ...KEPT, ...SMALL_LEDGERS, strataDiskReserveMB: 16 }
  })
  closing.push(() => standalone.kill())
  const load = new PublishLoad(standalone.brokerUrl)
  await load.start(TOPICS)
  await load.flows(1_500)
  await refusedWhileItRuns()
  await load.stop()
  await standalone.kill()
  return load
}

async function refusedWhileItRuns(): Promise<void> {
  const { stderr } = await exported(1)
  assert.match(stderr, /^strata: .* is in use by process \d+: stop that standalone first\n$/)
}

async function start(bookies: BookieSet): Promise<BrokerProcess> {
  await Promise.all([0, 1].map(index => bookies.start(index)))
  const broker = await startBroker({ metadataUrl, set: { ...LEASE, ...KEPT } })
  closing.push(() => broker.kill())
  return broker
}

/** How many ledgers there are, and those with entries that do not have three of `known` as members. */
async function membersOf(
  store: EtcdMetadataStore,
  known: ReadonlySet<string>
): Promise<{ all: number; torn: readonly object[] }> {
  const { records } = await store.scan({ prefix: LEDGERS_PREFIX, limit: 10_000 })
  const torn = records.flatMap(({ key, value }) => {
    const { ensembles, quorum, ...ledger } = decodeLedger(value)
    const isWhole = quorum.writeQuorum === 3 && ensembles.every(({ bookies }) => bookies.every(id => known.has(id)))
    const isEmpty = ledger.end?.lastEntryId === NO_ENTRY // it was made when the standalone was killed
    return isWhole || isEmpty ? [] : [{ key, ensembles, quorum, ...ledger }]
  })
  return { all: records.length, torn }
}

describe('a standalone grows', () => {
  test('its metadata goes to etcd, its ledgers get copies, and when it is destroyed everything is there', async () => {
    const load = await standaloneWithMessages()
    const { clusterId, widened, ...directories } = JSON.parse((await exported()).stdout) as Record<string, string>
    assert(Number(widened) > 2, `${widened} ledgers`)
    // sealed: neither a standalone nor a command opens it, and what is done is not done again
    const again = await run(['standalone', '--data', join(root, 'data'), '--json'], 1)
    assert.match(again.stderr, /^strata: .* was moved to etcd:.*\n$/m)
    assert.match((await exported(1)).stderr, /was moved to .* before: there is nothing left to do/)

    const { journalDirectories = '', ledgerDirectories = '', indexDirectories = '' } = directories
    const set = { ...LEASE, journalDirectories, ledgerDirectories, indexDirectories }
    const first = await startBookie({ data: root, metadataUrl, set })
    closing.push(() => first.kill())
    assert.equal(first.clusterId, clusterId)
    const bookies = new BookieSet({ data: root, metadataUrl, set: LEASE })
    closing.push(() => bookies.killAll())
    const broker = await start(bookies)
    const store = await openStore({ endpoints: etcd.endpoints, prefix })
    closing.push(() => store.close())
    const nodes = new Set([first.bookieId, ...bookies.running.map(({ bookieId }) => bookieId)] as string[])
    let counted: unknown
    const isWhole = async (): Promise<boolean> => {
      const { all, torn } = await membersOf(store, nodes)
      counted = { all, torn }
      return all > 0 && torn.length === 0
    }
    await until('every ledger has three copies', 60_000, isWhole).catch((error: unknown) => {
      const logs = [first, ...bookies.running].map(node => `${node.bookieId}\n${node.log()}`).join('\n')
      throw new Error(`${JSON.stringify(counted)}; the storage nodes said:\n${logs}`, { cause: error })
    })
    await first.kill()
    rmSync(join(root, 'data'), { recursive: true })
    const { stored } = await assertWhole(broker.ready.brokerUrl, TOPICS, load.acknowledged)
    assert(stored >= load.acknowledged.size)
  }, 600_000)
})
