import { strict as assert } from 'node:assert'
import { bookieId, silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import { createLedgerClient } from './ledger-client.ts'
import { retireLedgerIds } from './ledger-ids.ts'
import { MemoryBookieNode } from './testing/memory-bookie-node.ts'

const listener = { onConfirmed: () => undefined, onFailed: () => undefined }

function clientOf(metadata: MemoryMetadataStore): (count: number) => Promise<number[]> {
  const node = new MemoryBookieNode(bookieId('n0'))
  const client = createLedgerClient({
    metadata,
    directory: {
      writable: () => [{ bookieId: node.bookieId }],
      node: () => node,
      onChange: () => () => undefined
    },
    quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
    clock: new ManualClock(),
    logger: silentLogger,
    random: () => 0.5
  })
  return async count => {
    const ids: number[] = []
    for (let i = 0; i < count; i++) ids.push((await client.create({ owner: 'o', listener })).ledgerId)
    return ids
  }
}

test('ids ascend, and no two processes have one of them', async () => {
  const metadata = new MemoryMetadataStore()
  const [a, b] = [clientOf(metadata), clientOf(metadata)]
  const ids = [...(await a(70)), ...(await b(3))]
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual(
    (await a(2)).map(id => id > Math.max(...ids.slice(0, 70))),
    [true, true]
  )
})

test('from when ids are retired, no ledger is made with one that was given out before', async () => {
  const metadata = new MemoryMetadataStore()
  const clock = new ManualClock()
  const [a, b] = [clientOf(metadata), clientOf(metadata)]
  await a(3)
  const [last = 0] = await b(1)
  const floor = await retireLedgerIds(metadata, { clock })
  assert.ok(floor > last)
  const later = [...(await a(3)), ...(await b(3))]
  assert.ok(
    later.every(id => id >= floor),
    `${later.join()} of ${floor}`
  )
  assert.equal(new Set(later).size, later.length)
})
