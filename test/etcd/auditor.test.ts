import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import type { LedgerId } from '@strata/base'
import { decodeLedger, ledgerKey } from '@strata/ledger-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import type { Settings } from '../support/cluster-process.ts'
import type { NodeClient } from '../support/node-client.ts'
import { NodeCluster } from '../support/node-cluster.ts'
import { freshPrefix, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

/** Short, so that what takes minutes in a cluster takes seconds here. */
const CARE = {
  metadataStoreSessionTimeoutMillis: 3_000,
  lostBookieRecoveryDelay: 1,
  openLedgerRereplicationGracePeriod: 500,
  rwRereplicateBackoffMs: 500
}

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

/** Of a machine that does much else. */
const TEST_MS_MAX = 240_000

let cluster: NodeCluster
let client: NodeClient

beforeEach(() => {
  cluster = new NodeCluster({ endpoints: etcd.endpoints, prefix: freshPrefix(), set: CARE })
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') cluster.tell()
  await cluster.close()
})

async function startNodes(names: readonly string[], set: Settings = {}): Promise<void> {
  await Promise.all(names.map(name => cluster.start(name, set)))
  client = await cluster.openClient()
  await client.writable(names.length)
}

/** Of so many entries, all confirmed. */
async function write(count: number, { isClosed }: { isClosed: boolean }): Promise<LedgerId> {
  let wake = (): void => undefined
  const listener = { onConfirmed: () => wake(), onFailed: () => undefined }
  const writer = await client.ledgers.create({ owner: 'test', listener })
  for (let i = 0; i < count; i++) writer.append(Buffer.alloc(1_000, String(i % 10)))
  while (writer.lastAddConfirmed < count - 1) await new Promise<void>(resolve => (wake = resolve))
  if (isClosed) await writer.close()
  return writer.ledgerId
}

/** Waits until the metadata says that the ledger is closed and does not name the node. */
async function freeOf(id: LedgerId, node: string): Promise<void> {
  let wake = (): void => undefined
  const watch = await client.metadata.watch(ledgerKey(id), () => wake())
  try {
    for (;;) {
      const changed = new Promise<void>(resolve => (wake = resolve))
      const stored = await client.metadata.get(ledgerKey(id))
      const { state, ensembles } = decodeLedger(stored?.value ?? assert.fail())
      if (state === 'closed' && !ensembles.some(({ bookies }) => bookies.some(each => each === node))) return
      await changed
    }
  } finally {
    watch.close()
  }
}

/** What is asked over HTTP tells of no changes by itself. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(100)
}

const strata = (line: string): ReturnType<NodeCluster['strata']> => cluster.strata(line)

async function verified(id: LedgerId): Promise<Record<string, unknown> | undefined> {
  const { code, records } = await strata(`ledgers verify ${id}`)
  assert.equal(code, 0, JSON.stringify(records))
  return records.at(-1)
}

async function membersOf(id: LedgerId): Promise<string[]> {
  const ledger = await client.ledgers.describe(id)
  return [...(ledger?.ensembles[0]?.bookies ?? assert.fail())]
}

describe('nodes in processes of their own care for each other’s ledgers', () => {
  test(
    'a node is destroyed, the one that leads too: every entry has its copies again',
    async () => {
      await startNodes(['a', 'b', 'c', 'd', 'e'])
      const closed = await write(3_000, { isClosed: true })
      const open = await write(200, { isClosed: false })
      // a writer that a copy is owed to would find another node by itself, and keep its ledger open
      await until(async () => (await strata(`ledgers verify ${open}`)).records.at(-1)?.['good'] === 600)
      const { Auditor: leader } = (await cluster.ask('a', 'autorecovery/who_is_auditor')) as { Auditor: string }
      const [victim] = (await membersOf(open)).filter(name => name !== leader)
      assert(victim !== undefined)
      await cluster.destroy(victim)
      await freeOf(closed, victim)
      await freeOf(open, victim)
      assert.equal((await verified(closed))?.['good'], 9_000)
      assert.equal((await verified(open))?.['good'], 600)

      // said, so that the next one does not make two at once
      assert.equal((await strata(`bookies decommission ${victim} --destroyed --wait`)).code, 0)
      await cluster.destroy(leader)
      await freeOf(closed, leader)
      await freeOf(open, leader)
      assert.equal((await verified(closed))?.['good'], 9_000)
      assert.equal((await verified(open))?.['good'], 600)
    },
    TEST_MS_MAX
  )
})

describe('commands of those who care for a cluster', () => {
  test('a node leaves and is let go; taken back, it is like the others', async () => {
    await startNodes(['a', 'b', 'c', 'd'])
    const id = await write(500, { isClosed: true })
    const [leaving] = await membersOf(id)
    assert(leaving !== undefined)
    const left = await strata(`bookies decommission ${leaving} --wait`)
    assert.equal(left.code, 0, JSON.stringify(left.records))
    const done = { bookieId: leaving, declared: 'leaving', done: true, ledgers: 0, notClosed: 0, bytes: 0 }
    const rest = { secondsLeft: 0, blockers: [] }
    assert.deepEqual(left.records.at(-1), { ...done, ...rest })
    assert(!(await membersOf(id)).includes(leaving))
    await cluster.kill(leaving)
    assert.equal((await verified(id))?.['good'], 1_500)
    assert.equal((await strata('fsck --verify')).code, 0)
    const back = await strata(`bookies recommission ${leaving}`)
    assert.deepEqual(back.records, [{ bookieId: leaving, declared: null, was: 'leaving' }])
  })

  test(
    'a node that cannot leave yet says why, and leaves when it can',
    async () => {
      await startNodes(['a', 'b', 'c'])
      const id = await write(400, { isClosed: true })
      const declared = await strata('bookies decommission a')
      assert.equal(declared.code, 0, declared.stderr)
      const [now] = declared.records
      assert.deepEqual([now?.['done'], now?.['ledgers'], now?.['notClosed']], [false, 1, 0])
      assert.equal(now?.['bytes'], 400_000)
      assert.match(String(now['blockers']), /only 2 other nodes take entries, and ledgers here need 3/)
      await until(async () => {
        const [care] = (await strata('bookies care')).records
        const departures = [{ bookieId: 'a', kind: 'leaving', ledgers: 1, notClosed: 0 }]
        return JSON.stringify(care?.['departures']) === JSON.stringify(departures)
      })
      assert((await membersOf(id)).includes('a'))
      assert.equal((await verified(id))?.['good'], 1_200)
      await cluster.start('d')
      const left = await strata('bookies decommission a --wait')
      assert.equal(left.code, 0, left.stderr)
      assert.deepEqual([left.records.at(-1)?.['done'], left.records.at(-1)?.['secondsLeft']], [true, 0])
      assert.deepEqual((await membersOf(id)).sort(), ['b', 'c', 'd'])
    },
    TEST_MS_MAX
  )

  test(
    'many nodes that go at once are waited for, and that is alarmed',
    async () => {
      // their leases do not end at one moment
      await startNodes(['a', 'b', 'c', 'd'], { lostBookieRecoveryDelay: 5 })
      const ids = [await write(100, { isClosed: true }), await write(100, { isClosed: true })]
      const before = await Promise.all(ids.map(id => client.ledgers.describe(id)))
      const { Auditor: leader } = (await cluster.ask('a', 'autorecovery/who_is_auditor')) as { Auditor: string }
      const alarms = (): number => cluster.node(leader).log().split('auditor.waiting').length - 1
      const alarmsBefore = alarms() // nodes that start slowly on a busy machine are missed as well
      const gone = ['a', 'b', 'c', 'd'].filter(name => name !== leader).slice(0, 2)
      await cluster.kill(...gone)
      const waiting = async (): Promise<unknown> => (await cluster.ask(leader, 'autorecovery/status'))['waiting']
      await until(async () => JSON.stringify(await waiting()) === JSON.stringify({ rack: null, gone: 2, of: 4 }))
      await cluster.ask(leader, 'autorecovery/trigger_audit', 'PUT')
      await until(async () => (await cluster.ask(leader, 'autorecovery/status'))['pass'] === null)
      assert.deepEqual(await Promise.all(ids.map(id => client.ledgers.describe(id))), before)
      assert.equal(alarms(), alarmsBefore + 1)
      const [back = '', other = ''] = gone
      await cluster.start(back)
      await until(async () => (await waiting()) === null)
      for (const id of ids) await freeOf(id, other)
      for (const id of ids) assert.equal((await verified(id))?.['good'], 300)
    },
    TEST_MS_MAX
  )

  test('a loss is accepted for nodes that are declared destroyed, and for no others', async () => {
    await startNodes(['a', 'b', 'c'])
    const id = await write(100, { isClosed: false })
    for (const name of ['b', 'c']) {
      await cluster.destroy(name)
    }
    await client.until(directory => directory.bookies().length === 1)
    assert.equal((await strata(`ledgers recover ${id} --accept-loss`)).code, 1)
    for (const name of ['b', 'c']) {
      const { records } = await strata(`bookies decommission ${name} --destroyed`)
      assert.equal(records[0]?.['declared'], 'destroyed')
    }
    const closed = await strata(`ledgers recover ${id} --accept-loss`)
    assert.equal(closed.code, 0)
    const [record] = closed.records
    assert.deepEqual(record?.['destroyed'], ['b', 'c'])
    assert.equal((record['lost'] as unknown[]).length, 1)
    assert.equal((await client.ledgers.describe(id))?.state, 'closed')
  })

  test('metadata that was lost is named, and made anew from nodes', async () => {
    await startNodes(['a', 'b', 'c'])
    const id = await write(300, { isClosed: true })
    const before = await client.ledgers.describe(id)
    assert.equal((await strata('fsck')).code, 0)
    await client.metadata.transact({ compares: [], changes: [{ kind: 'delete', key: ledgerKey(id) }] })
    const found = await strata('fsck')
    assert.equal(found.code, 1)
    assert.deepEqual(
      found.records.map(({ kind }) => kind),
      ['unknown', 'unknown', 'unknown', 'summary']
    )
    assert.equal((await strata(`fsck --rebuild ${id}`)).code, 0)
    assert.deepEqual((await client.ledgers.describe(id))?.end, before?.end)
    assert.equal((await verified(id))?.['good'], 900)
    const [care] = (await strata('bookies care')).records
    assert.deepEqual([care?.['leads'], care?.['waiting']], [true, null])
  })
})
