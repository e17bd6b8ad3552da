import { strict as assert } from 'node:assert'
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AVAILABLE_BOOKIES_PREFIX, bookieIdOfKey, decodeAvailableBookie } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { until } from '../integration/bounds-support.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { BookieSet, brokerArguments, startBroker, type BrokerProcess } from '../support/cluster-process.ts'
import { startStrataCommand, type Ended } from '../support/strata-command.ts'
import { assertWhole, PublishLoad } from './broker-load.ts'
import { openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const TOPICS = ['persistent://public/default/one']
/** Short, so that a process that was killed is missed soon. */
const LEASE = { metadataStoreSessionTimeoutMillis: 3_000 }
const KEPT = { defaultRetentionTimeInMinutes: -1, defaultRetentionSizeInMB: -1 }
/** Of minutes on an idle machine one. */
const TEST_MS_MAX = 600_000

let root: string
let etcd: EtcdPeers
let bookies: BookieSet
let brokers: BrokerProcess[]
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  etcd = await startEtcd({ scripts: SCRIPTS })
  bookies = bookiesOn('first')
  brokers = []
}, START_TIMEOUT_MS)
afterEach(async () => {
  await killAll()
  await etcd.stop()
  rmSync(root, { recursive: true, force: true })
})

const urlOf = (name: string): string => `etcd:http://${etcd.endpoints.join(',')}/${name}/`
const bookiesOn = (name: string): BookieSet => new BookieSet({ data: root, metadataUrl: urlOf(name), set: LEASE })
const openAt = (name: string) => openStore({ endpoints: etcd.endpoints, prefix: `/${name}/` })

async function killAll(): Promise<void> {
  for (const broker of brokers.splice(0)) await broker.kill()
  await bookies.killAll()
}

async function startAll(name: string): Promise<BrokerProcess> {
  await Promise.all([0, 1, 2].map(index => bookies.start(index)))
  return startBrokerOn(name)
}

async function startBrokerOn(name: string): Promise<BrokerProcess> {
  const broker = await startBroker({ metadataUrl: urlOf(name), set: { ...LEASE, ...KEPT } })
  brokers.push(broker)
  return broker
}

async function strata(line: string, code = 0): Promise<Ended> {
  const ended = await startStrataCommand(line.split(' ')).ended
  assert.equal(ended.code, code, `strata ${line}: ${ended.stdout}${ended.stderr}`)
  return ended
}

async function refusedBroker(name: string, line: RegExp): Promise<void> {
  const { code, stderr } = await startStrataCommand(brokerArguments({ metadataUrl: urlOf(name), set: LEASE })).ended
  assert.equal(code, 1, stderr)
  assert.match(stderr, line)
}

/** Two records that every transaction changes alike, for as long as it runs. */
async function writePairs(store: MetadataStore, signal: AbortSignal): Promise<number> {
  for (let n = 0; ; n++) {
    const value = Buffer.from(String(n))
    const put = (key: string) => ({ kind: 'put', key, value }) as const
    await store.transact({ compares: [], changes: [put('!first'), put('~last')] })
    if (signal.aborted) return n
  }
}

describe('a backup of metadata', () => {
  test(
    'is made while the cluster runs, and serves from another place once an operator accepts it',
    async () => {
      const broker = await startAll('first')
      const load = new PublishLoad(broker.ready.brokerUrl)
      await load.start(TOPICS)
      await load.flows(300)
      const store = await openAt('first')
      const stopping = new AbortController()
      const pairs = writePairs(store, stopping.signal)
      const before = new Set(load.acknowledged)
      const file = join(root, 'metadata.backup')
      const { stdout } = await strata(`metadata backup --metadata ${urlOf('first')} --out ${file} --json`)
      const { revision, records } = JSON.parse(stdout) as { revision: number; records: number }
      await load.flows(300)
      await load.stop()
      stopping.abort()
      assert((await pairs) > 0)
      await store.close()
      await killAll()
      await strata(`metadata backup --metadata ${urlOf('first')} --out ${file}`, 1)
      await strata(`metadata verify ${file}`)

      await strata(`metadata restore --metadata ${urlOf('second')} --from ${file}`)
      const { stderr } = await strata(`metadata restore --metadata ${urlOf('second')} --from ${file}`, 1)
      assert.match(stderr, /is not empty, nothing was changed/)
      await checkRestored({ revision, records })
      await refusedBroker('second', /restored from a backup .*strata fsck --accept-store/)
      bookies = bookiesOn('second')
      await Promise.all([0, 1, 2].map(index => bookies.start(index)))
      await strata(`fsck --accept-store --metadata ${urlOf('second')}`)
      await untilWritable('second')
      const again = await startBrokerOn('second')
      await assertWhole(again.ready.brokerUrl, TOPICS, before)
    },
    TEST_MS_MAX
  )

  async function checkRestored({ revision, records }: { revision: number; records: number }): Promise<void> {
    const store = await openAt('second')
    const [first, last] = [await store.get('!first'), await store.get('~last')]
    assert.deepEqual(first?.value, last?.value)
    let count = 0
    for await (const { key, version } of (await store.snapshot()).records()) {
      assert(version > revision, key)
      if (key !== 'metadata-hold' && key !== 'ledger-ids-floor') count += 1
    }
    assert.equal(count, records)
    await store.close()
  }

  async function untilWritable(name: string): Promise<void> {
    const store = await openAt(name)
    await until('nodes are used', 60_000, async () => {
      const { records } = await store.scan({ prefix: AVAILABLE_BOOKIES_PREFIX })
      return records.filter(({ key, value }) => isWritable(key, value)).length === 3
    })
    await store.close()
  }

  function isWritable(key: string, value: Uint8Array): boolean {
    const id = bookieIdOfKey(key)
    return id !== undefined && decodeAvailableBookie(id, value).state === 'writable'
  }

  test(
    'etcd’s own, put in the place of what was newer, ends brokers and nodes; none serves before it is accepted',
    async () => {
      const broker = await startAll('first')
      const load = new PublishLoad(broker.ready.brokerUrl)
      await load.start(TOPICS)
      await load.flows(100)
      const { directory } = etcd.first
      await etcd.first.stop()
      cpSync(directory, `${directory}.copy`, { recursive: true })
      await etcd.first.start()
      await load.flows(100)
      // nodes sign the store when they start
      await bookies.kill(0)
      await bookies.start(0)
      await load.flows(100)
      await load.stop()
      await etcd.first.kill()
      renameSync(directory, `${directory}.newer`)
      renameSync(`${directory}.copy`, directory)
      await etcd.first.start()
      assert.equal(await broker.ended, 1)
      assert.match(broker.log(), /^strata: .*(is not the one it was|set itself aside)/m)
      await bookies.killAll()

      await Promise.all([0, 1, 2].map(index => bookies.start(index)))
      await refusedBroker('first', /set itself aside.*strata fsck --accept-store/)
      await strata(`fsck --accept-store --metadata ${urlOf('first')}`)
      await untilWritable('first')
      const again = await startBrokerOn('first')
      await assertWhole(again.ready.brokerUrl, TOPICS, load.acknowledged)
    },
    TEST_MS_MAX
  )
})
