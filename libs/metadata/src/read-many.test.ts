import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { MemoryMetadataStore } from './memory-metadata-store.ts'
import type { MetadataRecord } from './metadata-store.ts'
import { readMany } from './read-many.ts'

class CountingStore extends MemoryMetadataStore {
  readonly sizes: number[] = []

  override get(key: string): Promise<MetadataRecord | undefined> {
    this.sizes.push(1)
    return super.get(key)
  }

  getMany(keys: readonly string[]): Promise<(MetadataRecord | undefined)[]> {
    this.sizes.push(keys.length)
    return Promise.all(keys.map(key => super.get(key)))
  }
}

const keyOf = (i: number): string => `rows/${i}`
const valuesOf = (records: readonly (MetadataRecord | undefined)[]): (number | undefined)[] =>
  records.map(record => record?.value[0])

test.each([0, 1, 32, 33, 200])('%i keys come in their order, in few requests', async count => {
  const stores = [new CountingStore(), new MemoryMetadataStore()] as const
  const keys = Array.from({ length: count }, (_, i) => keyOf(count - i))
  const expected = keys.map((_, i) => (i % 3 === 0 ? undefined : (count - i) % 256))
  for (const store of stores) {
    for (const [i, key] of keys.entries()) {
      if (i % 3 === 0) continue
      const value = Uint8Array.of((count - i) % 256)
      await store.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
    }
    assert.deepEqual(valuesOf(await readMany(store, keys)), expected)
  }
  assert.equal(stores[0].sizes.length, Math.ceil(count / 32))
})
