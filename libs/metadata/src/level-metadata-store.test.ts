import { strict as assert } from 'node:assert'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { MetadataError } from './errors.ts'
import { openLevel, type LevelDatabase, type OpenLevel } from './level-database.ts'
import { LevelMetadataStore } from './level-metadata-store.ts'
import { describeArchivableStore, describeMetadataStore } from './testing/index.ts'

const inDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'strata-metadata-'))
  const stores = [await LevelMetadataStore.open({ directory })]
  const [store] = stores
  assert(store !== undefined)
  return {
    store,
    reopen: async () => {
      const again = await LevelMetadataStore.open({ directory })
      stores.push(again)
      return again
    },
    dispose: async () => {
      for (const opened of stores) await opened.close()
      await rm(directory, { recursive: true })
    }
  }
}

describeMetadataStore('LevelMetadataStore', inDirectory)
describeArchivableStore('LevelMetadataStore', inDirectory)

const put = (key: string) => ({ kind: 'put', key, value: Buffer.from(key) }) as const

describe('LevelMetadataStore', () => {
  let directory: string
  let stores: LevelMetadataStore[]
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strata-metadata-'))
    stores = []
  })
  afterEach(async () => {
    for (const store of stores) await store.close()
    await rm(directory, { recursive: true })
  })
  const open = async (options: { operationsMax?: number; openLevel?: OpenLevel } = {}): Promise<LevelMetadataStore> => {
    const store = await LevelMetadataStore.open({ directory, ...options })
    stores.push(store)
    return store
  }

  test('a directory that is open already is refused as locked', async () => {
    await open()
    await assert.rejects(open(), error => MetadataError.is(error, 'STORE_LOCKED'))
  })

  test('a path that is no directory is refused as unavailable', async () => {
    await writeFile(join(directory, 'file'), 'x')
    const opening = LevelMetadataStore.open({ directory: join(directory, 'file') })
    await assert.rejects(opening, error => MetadataError.is(error, 'UNAVAILABLE'))
  })

  test('a damaged directory is refused as corrupt', async () => {
    const store = await open()
    await store.close()
    await writeFile(join(directory, 'CURRENT'), 'MANIFEST-000001')
    await assert.rejects(open(), error => MetadataError.is(error, 'STORE_CORRUPT'))
  })

  test('a value of an unknown format version is corrupt, not absent', async () => {
    await (await open()).close()
    const level = await openLevel(directory)
    await level.write([{ type: 'put', key: Buffer.from('d/a'), value: Buffer.of(9, 1, 2) }])
    await level.close()
    const store = await open()
    await assert.rejects(store.get('a'), error => MetadataError.is(error, 'STORE_CORRUPT'))
    await assert.rejects(store.scan({ prefix: '' }), error => MetadataError.is(error, 'STORE_CORRUPT'))
  })

  test('transactions of one turn share a write', async () => {
    const batches: unknown[] = []
    const counting: OpenLevel = async path => {
      const level = await openLevel(path)
      return { ...level, write: batch => (batches.push(batch), level.write(batch)) }
    }
    const store = await open({ openLevel: counting })
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
    await Promise.all(keys.map(key => store.transact({ compares: [], changes: [put(key)] })))
    const small = batches.length
    assert.equal(small, 1)
    const value = Buffer.alloc(60_000)
    await Promise.all(keys.map(key => store.transact({ compares: [], changes: [{ kind: 'put', key, value }] })))
    const large = batches.length - small
    assert(large >= 3 && large < 20, `${large} writes of 12 MB`)
  })

  test('only the newest operations are remembered, also on disk', async () => {
    const store = await open({ operationsMax: 2 })
    const named = (id: string) => ({ compares: [], changes: [put('a')], operationId: id })
    const one = await store.transact(named('1'))
    for (const id of ['2', '3', '4']) await store.transact(named(id))
    const again = await store.transact(named('1'))
    assert(one.committed && again.committed && again.revision > one.revision)
    await store.close()
    const level = await openLevel(directory)
    const kept: string[] = []
    for await (const piece of level.iterate({ gte: Buffer.from('o/'), lt: Buffer.from('o0') })) {
      kept.push(...piece.map(([key]) => String(key)))
    }
    await level.close()
    assert(kept.includes('o/1') && kept.includes('o/4') && kept.length <= 3, kept.join())
  })
})

/** LevelDB as it behaves on a failing disk: after a failed write every other fails, until it is opened again. */
class FailingDisk {
  fault: 'none' | 'before' | 'after' = 'none'
  isOpenRefused = false
  readonly open: OpenLevel = async directory => {
    if (this.isOpenRefused) throw MetadataError.create('UNAVAILABLE')
    const level = await openLevel(directory)
    let isBroken = false
    const write: LevelDatabase['write'] = async writes => {
      if (this.fault === 'none' && !isBroken) return level.write(writes)
      if (this.fault === 'after' && !isBroken) await level.write(writes)
      isBroken = true
      throw new Error('No space left on device')
    }
    return { ...level, write }
  }
}

describe('LevelMetadataStore on a failing disk', () => {
  let directory: string
  let disk: FailingDisk
  let store: LevelMetadataStore
  let seen: string[]
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strata-metadata-'))
    disk = new FailingDisk()
    seen = []
    store = await LevelMetadataStore.open({ directory, openLevel: disk.open })
    await store.watch('', events => seen.push(...events.map(event => `${event.key}@${event.version}`)))
    await store.transact({ compares: [], changes: [put('a')] })
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })
  const submit = (key: string) =>
    store.transact({ compares: [{ key, version: 0 }], changes: [put(key)], operationId: key })
  const unavailable = (error: unknown): boolean => MetadataError.is(error, 'UNAVAILABLE')

  test('a write that did not happen is refused, its revision is not used again, and the store heals', async () => {
    disk.fault = 'before'
    await assert.rejects(submit('b'), unavailable)
    assert.equal(await store.get('b'), undefined)
    disk.fault = 'none'
    assert.deepEqual(await submit('b'), { committed: true, revision: 3 })
    assert.deepEqual(seen, ['a@1', 'b@3'])
  })

  test('a write that did happen although it failed is answered as committed', async () => {
    disk.fault = 'after'
    assert.deepEqual(await submit('b'), { committed: true, revision: 2 })
    assert.deepEqual(seen, ['a@1', 'b@2'])
  })

  test('while nobody can tell, the store is unavailable; asked again later the operation is known', async () => {
    disk.fault = 'after'
    disk.isOpenRefused = true
    await assert.rejects(submit('b'), unavailable)
    await assert.rejects(store.get('b'), unavailable)
    await assert.rejects(submit('b'), unavailable)
    disk.fault = 'none'
    disk.isOpenRefused = false
    assert.equal((await store.get('b'))?.version, 2)
    assert.deepEqual(seen, ['a@1', 'b@2'])
    assert.deepEqual(await submit('b'), { committed: true, revision: 2 })
    assert.deepEqual(await submit('c'), { committed: true, revision: 3 })
  })
})
