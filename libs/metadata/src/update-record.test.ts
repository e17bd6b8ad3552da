import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { test } from 'vitest'
import { MetadataError } from './errors.ts'
import { MemoryMetadataStore } from './memory-metadata-store.ts'
import { FaultyMetadataStore } from './testing/index.ts'
import { updateRecord } from './update-record.ts'

const addOne = (current: { value: Uint8Array } | undefined) => ({ put: Buffer.of((current?.value[0] ?? 0) + 1) })

test('an update counts once, however often its answer is lost', async () => {
  const store = new FaultyMetadataStore(new MemoryMetadataStore())
  store.failNext('applied', 'lost', 'applied')
  const record = await updateRecord(store, 'n', addOne)
  assert.equal(record?.value[0], 1)
  assert.equal((await store.get('n'))?.version, record.version)
  assert.equal(new Set(store.submitted.map(({ operationId }) => operationId)).size, 1)
})

test('concurrent updates all count', async () => {
  const store = new FaultyMetadataStore(new MemoryMetadataStore())
  store.failNext('applied', 'lost', 'applied', 'lost')
  await Promise.all(Array.from({ length: 20 }, () => updateRecord(store, 'n', addOne)))
  assert.equal((await store.get('n'))?.value[0], 20)
})

test('an update can leave a record alone, or remove it', async () => {
  const store = new MemoryMetadataStore()
  assert.equal(await updateRecord(store, 'n', () => undefined), undefined)
  await updateRecord(store, 'n', addOne)
  assert.equal((await updateRecord(store, 'n', () => undefined))?.value[0], 1)
  assert.equal(await updateRecord(store, 'n', () => ({ delete: true })), undefined)
  assert.equal(await store.get('n'), undefined)
})

test('a store that stays away is given up after the patience', async () => {
  const clock = new ManualClock()
  const store = new FaultyMetadataStore(new MemoryMetadataStore())
  store.failNext(...Array.from({ length: 100 }, () => 'lost' as const))
  const eager = { nowMs: () => clock.nowMs(), wallMs: () => clock.wallMs(), after: runAtOnce(clock) }
  const update = updateRecord(store, 'n', addOne, { clock: eager, patienceMs: 1_000 })
  await assert.rejects(update, error => MetadataError.is(error, 'UNAVAILABLE'))
  assert(store.submitted.length > 3 && store.submitted.length < 20)
})

function runAtOnce(clock: ManualClock) {
  return (delayMs: number, run: () => void) => {
    clock.advance(delayMs)
    queueMicrotask(run)
    return () => undefined
  }
}
