import { strict as assert } from 'node:assert'
import { MemoryMetadataStore } from '@strata/metadata'
import { describe, test } from 'vitest'
import { initCluster } from './init-cluster.ts'

describe('init-cluster', () => {
  test('makes what clients expect, once, and refuses another name', async () => {
    const store = new MemoryMetadataStore()
    const first = await initCluster(store, { cluster: 'east', webServiceUrl: 'http://east:8080' })
    assert.equal(first.isNew, true)
    for (const key of ['clusters/east', 'tenants/public', 'namespaces/public/default', 'namespaces/pulsar/system']) {
      assert((await store.get(key)) !== undefined, key)
    }
    const { revision } = await store.snapshot()
    assert.deepEqual(await initCluster(store, { cluster: 'east' }), { ...first, isNew: false })
    await assert.rejects(initCluster(store, { cluster: 'west' }), /of cluster east, nothing was changed/)
    for await (const { key, version } of (await store.snapshot()).records()) assert(version <= revision, key)
    assert.equal(await store.get('clusters/west'), undefined)
  })

  test('takes the name that brokers gave before, and the id that a storage node chose', async () => {
    const store = new MemoryMetadataStore()
    const put = (key: string, value: string) => ({ kind: 'put', key, value: Buffer.from(value) }) as const
    await store.transact({ compares: [], changes: [put('clusters/standalone', '\x01'), put('cluster-id', 'abc')] })
    await assert.rejects(initCluster(store, { cluster: 'east' }), /of cluster standalone/)
    assert.equal((await initCluster(store, { cluster: 'standalone' })).clusterId, 'abc')
  })

  test('names are those that Pulsar takes', async () => {
    await assert.rejects(initCluster(new MemoryMetadataStore(), { cluster: 'a/b' }), /letters, digits/)
  })
})
