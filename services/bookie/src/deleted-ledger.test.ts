import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { ledgerDeletionKey } from '@strata/ledger-client'
import { afterEach, beforeEach, test } from 'vitest'
import type { Bookie } from './bookie-types.ts'
import { addOf, TestNode, WaitingSink } from './testing/fixtures.ts'

const DELETED = 7 as LedgerId
let node: TestNode
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.destroy())

async function failureOf(bookie: Bookie, options: { recovery: boolean }): Promise<string | undefined> {
  const sink = new WaitingSink()
  bookie.add(addOf(DELETED, 1, Buffer.from('late'), options), sink)
  await sink.failed(1)
  return sink.failures[0]?.failure
}

test('a deleted ledger takes no entry any more, from a writer that slept through its end or from a repair', async () => {
  let bookie = await node.open()
  const sink = new WaitingSink()
  bookie.add(addOf(DELETED, 0, Buffer.from('x')), sink)
  await sink.acknowledgedUpTo(DELETED, 0)
  const key = ledgerDeletionKey(DELETED)
  await node.metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
  for (let round = 0; round < 3; round++) await bookie.housekeep()
  assert.deepEqual(await bookie.heldLedgers({ after: -1, limit: 10 }), [], 'its space is given back')
  assert.equal(await failureOf(bookie, { recovery: false }), 'FENCED')
  assert.equal(await failureOf(bookie, { recovery: true }), 'FENCED')
  await bookie.close()
  bookie = await node.open()
  assert.equal(await failureOf(bookie, { recovery: false }), 'FENCED')
  const range = { first: 0 as EntryId, last: 0 as EntryId, bytesMax: 100, entriesMax: 1, fence: false }
  assert.equal((await bookie.read({ ledgerId: DELETED, ...range })).end, 'unknown')
})
