import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { campaign } from './election.ts'
import { MemoryMetadataStore } from './memory-metadata-store.ts'
import { describeArchivableStore, describeMetadataStore } from './testing/index.ts'

const memory = async () => {
  const store = new MemoryMetadataStore()
  return { store, reopen: async () => store, dispose: () => store.close() }
}

describeMetadataStore('MemoryMetadataStore', memory, { isDurable: false })
describeArchivableStore('MemoryMetadataStore', memory, { isDurable: false })

test('a lost lease tells its holder and takes its records', async () => {
  const store = new MemoryMetadataStore()
  const lease = await store.grantLease(1_000)
  await store.transact({ compares: [], changes: [{ kind: 'put', key: 'a', value: Buffer.from('x'), lease }] })
  let losses = 0
  lease.onLost(() => (losses += 1))
  store.loseLeases()
  assert.equal(losses, 1)
  assert.equal(lease.isLost, true)
  assert.equal(await store.get('a'), undefined)
})

test('a leader whose lease is lost leads no more, and the next one does', async () => {
  const store = new MemoryMetadataStore()
  const candidate = (id: string) => campaign({ store, key: 'leader', id, ttlMs: 1_000 })
  const first = await candidate('first')
  let losses = 0
  first.onLost(() => (losses += 1))
  const waiting = candidate('second')
  store.loseLeases()
  assert.equal(losses, 1)
  assert.equal(first.isLost, true)
  const second = await waiting
  assert(second.version > first.version)
  assert.equal(second.isLost, false)
})
