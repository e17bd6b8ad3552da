import { strict as assert } from 'node:assert'
import { open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EntryId, LedgerId } from '@strata/base'
import { ledgerDeletionKey } from '@strata/ledger-client'
import { afterEach, beforeEach, test } from 'vitest'
import type { Bookie } from './bookie-types.ts'
import { addOf, copyMetadata, readAll, TestNode, WaitingSink } from './testing/fixtures.ts'
import { CLUSTER_ID_KEY } from './volume/cluster-id.ts'

let node: TestNode
let bookie: Bookie
beforeEach(async () => {
  node = await TestNode.create()
  bookie = await node.open()
})
afterEach(() => node.destroy())

const payload = (ledger: number, entry: number): Buffer => Buffer.alloc(2_000, `${ledger}/${entry};`)

async function fill(ledgers: number[], from: number, to: number): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) {
    for (const ledger of ledgers) bookie.add(addOf(ledger, entry, payload(ledger, entry)), sink)
  }
  for (const ledger of ledgers) await sink.acknowledgedUpTo(ledger, to)
}

/** As the ledger client deletes: the record is what a node goes by. */
async function recordDeletion(ledger: number, metadata = node.metadata): Promise<void> {
  const key = ledgerDeletionKey(ledger as LedgerId)
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
}

async function holds(ledger: number, count: number): Promise<void> {
  const { payloads } = await readAll(bookie, ledger, count - 1)
  assert.deepEqual(
    payloads,
    Array.from({ length: count }, (_, i) => payload(ledger, i))
  )
}

async function isGone(ledger: number): Promise<boolean> {
  const range = { first: 0 as EntryId, last: 0 as EntryId, bytesMax: 1, entriesMax: 1 }
  return (await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })).entries.length === 0
}

test('space of deleted ledgers comes back: journal files are used again, sparse entry logs merged', async () => {
  for (let round = 0; round < 10; round++) {
    await fill([1, 2, 3, 4], round * 40, round * 40 + 39)
    await bookie.housekeep()
  }
  const before = bookie.stats()
  assert.ok(before.entryLogs >= 3)
  for (const ledger of [1, 2, 3]) await recordDeletion(ledger)
  for (let round = 0; round < 5; round++) await bookie.housekeep()
  const after = bookie.stats()
  for (const ledger of [1, 2, 3]) assert.ok(await isGone(ledger), `ledger ${ledger}`)
  await holds(4, 400)
  assert.ok(after.entryLogBytes < before.entryLogBytes / 2, `${before.entryLogBytes} became ${after.entryLogBytes}`)
  assert.ok(after.liveBytes < before.liveBytes / 3.9)
  await bookie.close()
  bookie = await node.open()
  await holds(4, 400)
  assert.ok(await isGone(1))
})

test('what is deleted before its journal file’s turn comes is never written again', async () => {
  await fill([1], 0, 300)
  await recordDeletion(1)
  for (let round = 0; round < 3; round++) await bookie.housekeep()
  const { entryLogs, liveBytes } = bookie.stats()
  assert.deepEqual({ entryLogs, liveBytes }, { entryLogs: 0, liveBytes: 0 })
  const names = await readdir(join(node.root, 'journal'))
  const inUse = names.filter(name => name.endsWith('.journal'))
  assert.ok(inUse.length <= 2, `all but the active one and the next wait for reuse: ${inUse.join()}`)
})

test('a ledger that the metadata store knows nothing of is kept and reported', async () => {
  await fill([1], 0, 10)
  await bookie.housekeep()
  await bookie.housekeep()
  assert.equal(bookie.stats().quarantinedLedgers, 1)
  assert.match(bookie.health().reasons.join(), /unknown to the metadata store/)
  await holds(1, 11)
  await recordDeletion(1)
  await bookie.housekeep()
  await bookie.housekeep()
  assert.equal(bookie.stats().quarantinedLedgers, 0)
  assert.ok(await isGone(1))
})

test('whether the metadata store knows its ledgers is asked for many of them at once', async () => {
  const ledgers = Array.from({ length: 40 }, (_, i) => i + 1)
  await fill(ledgers, 0, 0)
  const asked: number[] = []
  Object.assign(node.metadata, {
    getMany(keys: readonly string[]) {
      asked.push(keys.length)
      return Promise.all(keys.map(key => node.metadata.get(key)))
    }
  })
  while (bookie.stats().quarantinedLedgers === 0) await bookie.housekeep()
  assert.deepEqual([asked.length % 2, ...asked.slice(-2)], [0, 32, 8])
  assert.equal(bookie.stats().quarantinedLedgers, 40)
})

test('a deletion record of an older copy of the store deletes nothing', async () => {
  await fill([1], 0, 10)
  await fill([2], 0, 10)
  const old = await copyMetadata(node.metadata)
  await recordDeletion(2)
  for (let i = 0; i < 20; i++) await recordDeletion(9)
  await bookie.housekeep()
  await bookie.housekeep()
  assert.ok(await isGone(2))
  await bookie.close()
  bookie = await node.open({ metadata: old })
  await recordDeletion(1, old)
  await bookie.housekeep()
  await bookie.housekeep()
  await holds(1, 11)
})

test('deletion records of a store that changed its cluster under the node delete nothing', async () => {
  await fill([1], 0, 10)
  const changes = [{ kind: 'put' as const, key: CLUSTER_ID_KEY, value: Buffer.from('another') }]
  await node.metadata.transact({ compares: [], changes })
  await recordDeletion(1)
  await bookie.housekeep()
  await bookie.housekeep()
  await holds(1, 11)
})

test('an index that is lost or damaged is made anew from the files, fences too', async () => {
  for (let round = 0; round < 10; round++) {
    await fill([1, 2], round * 50, round * 50 + 49)
    if (round === 0) await bookie.readLac({ ledgerId: 5 as LedgerId, fence: true })
    await bookie.housekeep()
  }
  assert.ok(bookie.stats().entryLogs > 0)
  for (const damage of ['lost', 'damaged']) {
    await bookie.close()
    const level = join(node.root, 'index', 'level')
    if (damage === 'lost') await rm(level, { recursive: true })
    else
      for (const name of await readdir(level)) if (name.startsWith('MANIFEST')) await writeFile(join(level, name), 'x')
    bookie = await node.open()
    await holds(1, 500)
    await holds(2, 500)
    const sink = new WaitingSink()
    bookie.add(addOf(5, 0, payload(5, 0)), sink)
    await sink.failed(1)
    assert.equal(sink.failures[0]?.failure, 'FENCED')
  }
})

test('a damaged entry is unknown, never absent and never wrong, and health names file and offset', async () => {
  await fill([1], 0, 400)
  await bookie.close()
  const directory = join(node.root, 'journal')
  const [name = ''] = (await readdir(directory)).filter(file => file.endsWith('.journal')).sort()
  const handle = await open(join(directory, name), 'r+')
  await handle.write(Buffer.from('damage'), 0, 6, 4_096 + 10 * 2_064 + 500)
  await handle.close()
  bookie = await node.open()
  const range = { first: 0 as EntryId, last: 100 as EntryId, bytesMax: 1e6, entriesMax: 100 }
  const answer = await bookie.read({ ledgerId: 1 as LedgerId, ...range, fence: false })
  assert.deepEqual([answer.entries.length, answer.end], [10, 'unknown'])
  assert.ok(
    bookie
      .health()
      .reasons.join()
      .includes(`${name} at ${4_096 + 10 * 2_064}`)
  )
  await fill([1], 401, 1_500)
  await bookie.housekeep()
  await bookie.housekeep()
  assert.ok((await readdir(directory)).includes(name), 'a damaged file is never dropped')
})

test('a restart reads the journal behind the last checkpoint only', async () => {
  await fill([1], 0, 400)
  await bookie.housekeep()
  await fill([1], 401, 410)
  await bookie.close()
  const lines: { event?: string; records?: number }[] = []
  const nothing = (): void => undefined
  const logger = {
    debug: nothing,
    warn: nothing,
    error: nothing,
    child: () => logger,
    info: (fields: object) => void lines.push(fields)
  }
  bookie = await node.open({ logger })
  const records = lines.find(({ event }) => event === 'bookie.recovered')?.records ?? -1
  // The record that a closing node writes, unless its file was fresh.
  assert.ok(records === 0 || records === 1, `${records} records`)
  await holds(1, 411)
})
