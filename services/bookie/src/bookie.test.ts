import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, test } from 'vitest'
import type { EntryId, LedgerId } from '@strata/base'
import { addOf, readAll, TestNode, WaitingSink } from './testing/fixtures.ts'

let node: TestNode
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(async () => {
  await node.destroy()
})

const payloadOf = (ledger: number, entry: number, bytes = 100): Buffer => Buffer.alloc(bytes, `${ledger}/${entry};`)

async function addMany(
  bookie: Awaited<ReturnType<TestNode['open']>>,
  ledger: number,
  from: number,
  to: number,
  bytes = 100
): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) bookie.add(addOf(ledger, entry, payloadOf(ledger, entry, bytes)), sink)
  await sink.acknowledgedUpTo(ledger, to)
  assert.equal(sink.failures.length, 0)
}

test('entries are read back as they were written, and past the last one the node says absent', async () => {
  const bookie = await node.open()
  await addMany(bookie, 7, 0, 999)
  const { payloads, end } = await readAll(bookie, 7, 1_000)
  assert.equal(end, 'absent')
  assert.deepEqual(
    payloads,
    Array.from({ length: 1_000 }, (_, i) => payloadOf(7, i))
  )
})

test('everything acknowledged is there after closing and opening again, several times', async () => {
  for (let round = 0; round < 4; round++) {
    const bookie = await node.open()
    await addMany(bookie, 1, round * 500, round * 500 + 499)
    await addMany(bookie, 2, round * 10, round * 10 + 9, 20_000)
    await bookie.close()
  }
  const bookie = await node.open()
  assert.equal(bookie.stats().incarnation, 5)
  const first = await readAll(bookie, 1, 1_999)
  assert.deepEqual(
    first.payloads,
    Array.from({ length: 2_000 }, (_, i) => payloadOf(1, i))
  )
  const second = await readAll(bookie, 2, 39)
  assert.deepEqual(
    second.payloads,
    Array.from({ length: 40 }, (_, i) => payloadOf(2, i, 20_000))
  )
})

test('a fence refuses later adds, lets a recoverer write back, and survives a restart', async () => {
  let bookie = await node.open()
  await addMany(bookie, 3, 0, 9)
  const lac = await bookie.readLac({ ledgerId: 3 as LedgerId, fence: true })
  assert.deepEqual(lac, { lac: 8, authority: true })
  for (let restart = 0; restart < 2; restart++) {
    const sink = new WaitingSink()
    bookie.add(addOf(3, 10, payloadOf(3, 10)), sink)
    await sink.failed(1)
    assert.deepEqual(sink.failures, [{ ledgerId: 3, entryId: 10, failure: 'FENCED' }])
    await bookie.close()
    bookie = await node.open()
  }
  const sink = new WaitingSink()
  bookie.add(addOf(3, 10, payloadOf(3, 10), { recovery: true }), sink)
  await sink.acknowledgedUpTo(3, 10)
})

test('a ledger never seen is fenced as well', async () => {
  let bookie = await node.open()
  await bookie.read({
    ledgerId: 5 as LedgerId,
    first: 0 as EntryId,
    last: 0 as EntryId,
    bytesMax: 1,
    entriesMax: 1,
    fence: true
  })
  await bookie.close()
  bookie = await node.open()
  const sink = new WaitingSink()
  bookie.add(addOf(5, 0, payloadOf(5, 0)), sink)
  await sink.failed(1)
  assert.equal(sink.failures[0]?.failure, 'FENCED')
})

test('journal files are moved into entry logs and used again; every entry stays readable', async () => {
  let bookie = await node.open()
  for (let round = 0; round < 12; round++) {
    await addMany(bookie, 1, round * 100, round * 100 + 99, 2_000)
    await addMany(bookie, 2, round * 100, round * 100 + 99, 2_000)
    await bookie.housekeep()
  }
  assert.ok(bookie.stats().entryLogs > 0, 'something was moved')
  assert.ok(bookie.stats().journalBytes < 2 * 1024 * 1024)
  for (let restart = 0; restart < 2; restart++) {
    for (const ledger of [1, 2]) {
      const { payloads } = await readAll(bookie, ledger, 1_199)
      assert.deepEqual(
        payloads,
        Array.from({ length: 1_200 }, (_, i) => payloadOf(ledger, i, 2_000))
      )
    }
    await bookie.close()
    bookie = await node.open()
  }
})
