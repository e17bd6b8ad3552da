import { strict as assert } from 'node:assert'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@strata/base'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { ArchivableStore } from '../archivable-store.ts'
import { MetadataError } from '../errors.ts'
import { LevelMetadataStore } from '../level-metadata-store.ts'
import { MemoryMetadataStore } from '../memory-metadata-store.ts'
import { holdStore, liftStoreHold, readStoreHold } from '../store-hold.ts'
import { restoreBackup, verifyBackup, writeBackup } from './backup.ts'
import { fillStore } from './fill-store.ts'

const clock = systemClock
const put = (key: string, value: Uint8Array | string = key) =>
  ({ kind: 'put', key, value: Buffer.from(value as string) }) as const

let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'strata-backup-'))
  path = join(directory, 'metadata.backup')
})
afterEach(() => rmSync(directory, { recursive: true }))

async function contentOf(store: ArchivableStore): Promise<Record<string, string>> {
  const content: Record<string, string> = {}
  for await (const { key, value } of (await store.snapshot()).records()) {
    if (key !== 'metadata-hold') content[key] = Buffer.from(value).toString('latin1')
  }
  return content
}

async function filled(count: number): Promise<MemoryMetadataStore> {
  const store = new MemoryMetadataStore()
  for (let i = 0; i < count; i++) {
    // values of all sizes: many to a frame, and one alone
    const value = Buffer.alloc(i % 97 === 0 ? 60_000 : i % 50, i)
    await store.transact({ compares: [], changes: [put(`key/${i}`, value)] })
  }
  return store
}

const unreadable = (error: unknown): boolean => MetadataError.is(error, 'BACKUP_UNREADABLE')

describe('a backup', () => {
  test('is restored whole, above its own revisions, and held until it was compared with the nodes', async () => {
    const store = await filled(2_500)
    const lease = await store.grantLease(1_000)
    await store.transact({ compares: [], changes: [{ ...put('of a process'), lease }] })
    const { head, counts } = await writeBackup(store, { path, clusterId: 'c', clock })
    assert.deepEqual(readdirSync(directory), ['metadata.backup'])
    assert.deepEqual([head.clusterId, head.revision], ['c', 2_501])
    assert.deepEqual([counts.records, counts.leased], [2_500, 1])
    const to = new MemoryMetadataStore()
    const restored = await restoreBackup(to, { path, clock })
    assert.deepEqual(restored.counts, counts)
    await lease.revoke()
    assert.deepEqual(await contentOf(to), await contentOf(store))
    const hold = await readStoreHold(to)
    assert.equal(hold?.kind, 'unchecked')
    assert.match(hold.reason, /restored from a backup of .* revision 2501/)
    for await (const { version } of (await to.snapshot()).records()) assert(version > head.revision + 2 ** 39)
    assert.equal(await liftStoreHold(to, clock), true)
    assert.equal(await liftStoreHold(to, clock), false)
    assert.equal(await readStoreHold(to), undefined)
  })

  test('any records come back byte by byte', () =>
    fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.string({ minLength: 1, unit: 'grapheme' }).filter(key => !key.includes('\0')),
          fc.uint8Array()
        ),
        async content => {
          rmSync(path, { force: true })
          const store = new MemoryMetadataStore()
          for (const [key, value] of Object.entries(content)) {
            await store.transact({ compares: [], changes: [put(key, value)] })
          }
          await writeBackup(store, { path, clusterId: '', clock })
          const to = new MemoryMetadataStore()
          await restoreBackup(to, { path, clock })
          assert.deepEqual(await contentOf(to), await contentOf(store))
        }
      ),
      { numRuns: 30 }
    ))

  test('that was cut short or changed anywhere is refused before anything is written', async () => {
    await writeBackup(await filled(300), { path, clusterId: 'c', clock })
    const whole = readFileSync(path)
    const to = new MemoryMetadataStore()
    for (const length of [0, 5, 8, 12, 100, whole.length >> 1, whole.length - 1]) {
      writeFileSync(path, whole)
      truncateSync(path, length)
      await assert.rejects(restoreBackup(to, { path, clock }), unreadable, `cut at ${length}`)
    }
    for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 60)) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      writeFileSync(path, damaged)
      await assert.rejects(restoreBackup(to, { path, clock }), unreadable, `changed at ${at}`)
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.of(0)]))
    await assert.rejects(verifyBackup(path), unreadable)
    rmSync(path)
    await assert.rejects(verifyBackup(path), unreadable)
    assert.deepEqual(await contentOf(to), {})
  })

  test('is not put over records that are there', async () => {
    await writeBackup(await filled(3), { path, clusterId: 'c', clock })
    const to = new MemoryMetadataStore()
    await to.transact({ compares: [], changes: [put('mine')] })
    await assert.rejects(restoreBackup(to, { path, clock }), error => MetadataError.is(error, 'STORE_NOT_EMPTY'))
    assert.deepEqual(await contentOf(to), { mine: 'mine' })
  })
})

describe('filling a store', () => {
  const reason = 'a move is under way'
  const options = { floor: 100, reason, unchecked: undefined, clock }

  async function* some(count: number, failAt = Infinity) {
    for (let i = 0; i < count; i++) {
      if (i === failAt) throw new Error('the source broke')
      await Promise.resolve()
      yield { key: `k${String(i).padStart(4, '0')}`, value: Buffer.from(`${i}`), version: 1 }
    }
  }

  test('that was broken off holds the store, and the same one goes on', async () => {
    const store = new MemoryMetadataStore()
    await assert.rejects(fillStore(store, { ...options, records: some(500, 450) }), /the source broke/)
    assert.equal((await readStoreHold(store))?.kind, 'filling')
    await assert.rejects(liftStoreHold(store, clock), error => MetadataError.is(error, 'STORE_NOT_EMPTY'))
    const other = fillStore(store, { ...options, reason: 'another one', records: some(1) })
    await assert.rejects(other, error => MetadataError.is(error, 'STORE_NOT_EMPTY'))
    assert.equal(await fillStore(store, { ...options, records: some(500) }), 500)
    assert.equal(Object.keys(await contentOf(store)).length, 500)
    assert.equal(await readStoreHold(store), undefined)
  })

  test('fails where a write fails', async () => {
    const store = new MemoryMetadataStore()
    const large = { key: 'too large', value: new Uint8Array(70_000), version: 1 }
    const records = (async function* () {
      yield* some(150)
      yield large
      yield* some(2_000)
    })()
    await assert.rejects(fillStore(store, { ...options, records }), error => MetadataError.is(error, 'TOO_LARGE'))
    assert.equal((await readStoreHold(store))?.kind, 'filling')
  })

  test('a hold that is there stays', async () => {
    const store = new MemoryMetadataStore()
    await holdStore(store, { kind: 'unchecked', reason: 'first' }, clock)
    await holdStore(store, { kind: 'unchecked', reason: 'second' }, clock)
    assert.equal((await readStoreHold(store))?.reason, 'first')
    await store.transact({ compares: [], changes: [put('metadata-hold', Buffer.of(99))] })
    assert.match((await readStoreHold(store))?.reason ?? '', /another version/)
  })
})

test('a LevelDB store that was moved does not open any more', async () => {
  const at = join(directory, 'level')
  const store = await LevelMetadataStore.open({ directory: at })
  await store.transact({ compares: [], changes: [put('a')] })
  const { revision } = await store.snapshot()
  await store.seal('etcd:http://a:2379')
  await assert.rejects(LevelMetadataStore.open({ directory: at }), error => {
    assert(MetadataError.is(error, 'STORE_SEALED'))
    assert.equal(error.details.movedTo, 'etcd:http://a:2379')
    return true
  })
  assert(revision > 0)
})
