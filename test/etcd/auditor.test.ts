import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entryId, silentLogger, systemClock, type LedgerId } from '@strata/base'
import {
  createLedgerClient,
  decodeLedger,
  ledgerKey,
  type LedgerClient,
  type RegistryBookieDirectory
} from '@strata/ledger-client'
import { openBookieRegistry } from '@strata/ledger-client/grpc'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { startBookie, type BookieProcess } from '../support/bookie-process.ts'
import { startStrataCommand } from '../support/strata-command.ts'
import { freshPrefix, openStore, SCRIPTS } from './etcd-store.ts'

const QUORUM = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
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
})
afterAll(() => etcd.stop())

let root: string
let metadataUrl: string
let store: EtcdMetadataStore
let running: Map<string, BookieProcess>
let directory: RegistryBookieDirectory
let client: LedgerClient

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  const prefix = freshPrefix()
  metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${prefix}`
  store = await openStore({ endpoints: etcd.endpoints, prefix })
  running = new Map()
})
afterEach(async () => {
  directory.close()
  for (const bookie of running.values()) await bookie.kill()
  await store.close()
  rmSync(root, { recursive: true, force: true })
})

async function startNodes(...names: string[]): Promise<BookieProcess[]> {
  const bookies = await Promise.all(
    names.map(name => startBookie({ data: join(root, name), metadataUrl, set: { ...CARE, bookieId: name } }))
  )
  names.forEach((name, i) => running.set(name, bookies[i] ?? assert.fail()))
  const doors = { metadata: store, clock: systemClock, logger: silentLogger }
  directory = await openBookieRegistry({ ...doors, clusterId: bookies[0]?.clusterId ?? '' })
  client = createLedgerClient({ ...doors, directory, quorum: QUORUM, random: () => 0.5 })
  await until(() => directory.writable().length === names.length)
  return bookies
}

/** Waits for the registry to say so. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    await new Promise<void>(resolve => {
      const cancel = directory.onChange(() => {
        cancel()
        resolve()
      })
    })
  }
}

/** Of so many entries, all confirmed. */
async function write(count: number, { isClosed }: { isClosed: boolean }): Promise<LedgerId> {
  let wake = (): void => undefined
  const listener = { onConfirmed: () => wake(), onFailed: () => undefined }
  const writer = await client.create({ owner: 'test', listener })
  for (let i = 0; i < count; i++) writer.append(Buffer.alloc(1_000, String(i % 10)))
  while (writer.lastAddConfirmed < count - 1) await new Promise<void>(resolve => (wake = resolve))
  if (isClosed) await writer.close()
  return writer.ledgerId
}

/** Waits until the metadata says that the ledger is closed and does not name the node. */
async function freeOf(id: LedgerId, node: string): Promise<void> {
  let wake = (): void => undefined
  const watch = await store.watch(ledgerKey(id), () => wake())
  try {
    for (;;) {
      const changed = new Promise<void>(resolve => (wake = resolve))
      const stored = await store.get(ledgerKey(id))
      const { state, ensembles } = decodeLedger(stored?.value ?? assert.fail())
      if (state === 'closed' && !ensembles.some(({ bookies }) => bookies.some(each => each === node))) return
      await changed
    }
  } finally {
    watch.close()
  }
}

async function strata(line: string): Promise<{ code: number | null; records: Record<string, unknown>[] }> {
  const ended = await startStrataCommand([...line.split(' '), '--json', '--metadata', metadataUrl]).ended
  const lines = ended.stdout.split('\n').slice(0, -1)
  return { code: ended.code, records: lines.map(each => JSON.parse(each) as Record<string, unknown>) }
}

async function verified(id: LedgerId): Promise<Record<string, unknown> | undefined> {
  const { code, records } = await strata(`ledgers verify ${id}`)
  assert.equal(code, 0, JSON.stringify(records))
  return records.at(-1)
}

async function membersOf(id: LedgerId): Promise<string[]> {
  const ledger = await client.describe(id)
  return [...(ledger?.ensembles[0]?.bookies ?? assert.fail())]
}

describe('nodes in processes of their own care for each other’s ledgers', () => {
  test('a node is destroyed, the one that leads too: every entry has its copies again', async () => {
    await startNodes('a', 'b', 'c', 'd', 'e')
    const closed = await write(3_000, { isClosed: true })
    const open = await write(200, { isClosed: false })
    const led = await fetch(`${running.get('a')?.httpUrl ?? ''}/api/v1/autorecovery/who_is_auditor`)
    const { Auditor: leader } = (await led.json()) as { Auditor: string }
    const [victim] = (await membersOf(open)).filter(name => name !== leader)
    assert(victim !== undefined)
    await running.get(victim)?.kill()
    rmSync(join(root, victim), { recursive: true })
    await freeOf(closed, victim)
    await freeOf(open, victim)
    assert.equal((await verified(closed))?.['good'], 9_000)
    assert.equal((await verified(open))?.['good'], 600)

    // said, so that the next one does not make two at once
    assert.equal((await strata(`bookies decommission ${victim} --destroyed --wait`)).code, 0)
    await running.get(leader)?.kill()
    rmSync(join(root, leader), { recursive: true })
    await freeOf(closed, leader)
    await freeOf(open, leader)
    assert.equal((await verified(closed))?.['good'], 9_000)
    assert.equal((await verified(open))?.['good'], 600)
  }, 180_000)
})

describe('commands of those who care for a cluster', () => {
  test('a node leaves and is let go; taken back, it is like the others', async () => {
    await startNodes('a', 'b', 'c', 'd')
    const id = await write(500, { isClosed: true })
    const [leaving] = await membersOf(id)
    assert(leaving !== undefined)
    const left = await strata(`bookies decommission ${leaving} --wait`)
    assert.equal(left.code, 0, JSON.stringify(left.records))
    const done = { bookieId: leaving, declared: 'leaving', done: true, ledgers: 0, notClosed: 0, bytes: 0 }
    assert.deepEqual(left.records.at(-1), done)
    assert(!(await membersOf(id)).includes(leaving))
    await running.get(leaving)?.kill()
    assert.equal((await verified(id))?.['good'], 1_500)
    assert.equal((await strata('fsck --verify')).code, 0)
    const back = await strata(`bookies recommission ${leaving}`)
    assert.deepEqual(back.records, [{ bookieId: leaving, declared: null, was: 'leaving' }])
  })

  test('a loss is accepted for nodes that are declared destroyed, and for no others', async () => {
    await startNodes('a', 'b', 'c')
    const id = await write(100, { isClosed: false })
    for (const name of ['b', 'c']) {
      await running.get(name)?.kill()
      rmSync(join(root, name), { recursive: true })
    }
    await until(() => directory.bookies().length === 1)
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
    assert.equal((await client.describe(id))?.state, 'closed')
  })

  test('metadata that was lost is named, and made anew from nodes', async () => {
    await startNodes('a', 'b', 'c')
    const id = await write(300, { isClosed: true })
    const before = await client.describe(id)
    assert.equal((await strata('fsck')).code, 0)
    await store.transact({ compares: [], changes: [{ kind: 'delete', key: ledgerKey(id) }] })
    const found = await strata('fsck')
    assert.equal(found.code, 1)
    assert.deepEqual(
      found.records.map(({ kind }) => kind),
      ['unknown', 'unknown', 'unknown', 'summary']
    )
    assert.equal((await strata(`fsck --rebuild ${id}`)).code, 0)
    assert.deepEqual((await client.describe(id))?.end, before?.end)
    assert.equal((await verified(id))?.['good'], 900)
    const [care] = (await strata('bookies care')).records
    assert.deepEqual([care?.['leads'], care?.['waiting']], [true, null])
  })
})

describe('a metadata store that was emptied', () => {
  test('costs no byte, and gives no id of a ledger that nodes hold', async () => {
    const bookies = await startNodes('a', 'b', 'c')
    const id = await write(300, { isClosed: true })
    for (let after: string | undefined; ;) {
      const page = await store.scan({
        prefix: '',
        keysOnly: true,
        limit: 100,
        ...(after === undefined ? {} : { after })
      })
      await store.transact({
        compares: [],
        changes: page.records.map(({ key }) => ({ kind: 'delete' as const, key }))
      })
      if (page.next === undefined) break
      after = page.next
    }
    await until(() => directory.writable().length === 0)
    await until(() => directory.writable().length === 3) // they say again that they are there
    const doors = { metadata: store, clock: systemClock, logger: silentLogger }
    client = createLedgerClient({ ...doors, directory, quorum: QUORUM, random: () => 0.5 })
    assert((await write(10, { isClosed: true })) > id)
    for (const { httpUrl, bookieId: name } of bookies) {
      assert.equal((await fetch(`${httpUrl}/api/v1/bookie/gc`, { method: 'PUT' })).status, 200)
      const request = { ledgerId: id, first: entryId(0), last: entryId(1_000), verify: true }
      const inventory = await directory.node(name)?.inventory(request)
      assert.deepEqual(inventory?.held, [{ first: 0, last: 299 }])
    }
  })
})
