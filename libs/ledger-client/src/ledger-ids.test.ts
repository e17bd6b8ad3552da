import { strict as assert } from 'node:assert'
import { bookieId, ledgerId, silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import { createLedgerClient } from './ledger-client.ts'
import { LedgerError } from './errors.ts'
import { raiseLedgerIds, retireLedgerIds } from './ledger-ids.ts'
import { CLUSTER_ID_KEY } from './ledger-records.ts'
import { MemoryBookieNode } from './testing/memory-bookie-node.ts'

const listener = { onConfirmed: () => undefined, onFailed: () => undefined }

function clientOf(metadata: MemoryMetadataStore, clusterId?: string): (count: number) => Promise<number[]> {
  const node = new MemoryBookieNode(bookieId('n0'))
  const client = createLedgerClient({
    metadata,
    clusterId,
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

/** All that is there, as an operator's mistake deletes it: revisions go on. */
async function empty(metadata: MemoryMetadataStore): Promise<void> {
  const { records } = await metadata.scan({ prefix: '', keysOnly: true })
  const changes = records.map(({ key }) => ({ kind: 'delete' as const, key }))
  await metadata.transact({ compares: [], changes })
}

async function name(metadata: MemoryMetadataStore, clusterId: string): Promise<void> {
  const value = Buffer.from(clusterId)
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key: CLUSTER_ID_KEY, value }] })
}

test('in a store that was emptied no ledger is made, not even with an id that was taken before', async () => {
  const metadata = new MemoryMetadataStore()
  await name(metadata, 'c')
  const make = clientOf(metadata, 'c')
  const [, last = 0] = await make(2)
  await empty(metadata)
  await assert.rejects(make(1), error => LedgerError.is(error, 'FOREIGN_STORE') && error.details.found === '')
  assert.deepEqual((await metadata.scan({ prefix: 'ledger' })).records, [])
  await name(metadata, 'another')
  await assert.rejects(make(1), error => LedgerError.is(error, 'FOREIGN_STORE') && error.details.found === 'another')
  await name(metadata, 'c')
  await raiseLedgerIds(metadata, { above: ledgerId(last), clock: new ManualClock() })
  const [next = 0] = await make(1)
  assert.ok(next > last)
})
