import { strict as assert } from 'node:assert'
import type { Watch, WatchEvent } from '@strata/metadata'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, openThrough, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { FaultyProxy } from './faulty-proxy.ts'

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

/** What a watch told, and what is there according to it. */
class Listener {
  readonly batches: (readonly WatchEvent[])[] = []
  readonly view = new Map<string, number>()
  #wake = (): void => undefined

  readonly onEvents = (events: readonly WatchEvent[]): void => {
    const version = events[0]?.version ?? 0
    assert(version > this.lastVersion, 'revisions come in order, each once')
    for (const event of events) {
      assert.equal(event.version, version)
      if (event.value === undefined) assert(this.view.delete(event.key), `${event.key} was there`)
      else this.view.set(event.key, event.version)
    }
    this.batches.push(events)
    this.#wake()
  }

  /** Nothing changes meanwhile. */
  async watch(store: EtcdMetadataStore): Promise<Watch> {
    const watch = await store.watch('w/', this.onEvents)
    const { records } = await store.scan({ prefix: 'w/', limit: 10_000, keysOnly: true })
    for (const { key, version } of records) this.view.set(key, version)
    return watch
  }

  get lastVersion(): number {
    return this.batches.at(-1)?.[0]?.version ?? 0
  }

  /** `key=value@version`, or `key=@version` for a deletion. */
  get told(): string[][] {
    return this.batches.map(events =>
      events.map(({ key, value, version }) => `${key}=${Buffer.from(value ?? []).toString()}@${version}`)
    )
  }

  async until(isReached: () => boolean): Promise<void> {
    while (!isReached()) await new Promise<void>(resolve => (this.#wake = resolve))
  }
}

describe('a watch', () => {
  let proxy: FaultyProxy
  /** Behind the proxy. */
  let store: EtcdMetadataStore
  let other: EtcdMetadataStore
  let listener: Listener
  beforeEach(async () => {
    const prefix = freshPrefix()
    proxy = await FaultyProxy.open(etcd.first.endpoint)
    other = await openStore({ endpoints: etcd.endpoints, prefix })
    store = await openThrough(proxy, { prefix })
    listener = new Listener()
  })
  afterEach(async () => {
    await proxy.close()
    await Promise.all([store.close(), other.close()])
  })
  const put = async (key: string, value: string): Promise<number> =>
    commit({ kind: 'put', key, value: Buffer.from(value) })
  const erase = async (...keys: string[]): Promise<number> =>
    commit(...keys.map(key => ({ kind: 'delete', key }) as const))
  const commit = async (...changes: Parameters<EtcdMetadataStore['transact']>[0]['changes']): Promise<number> => {
    const result = await other.transact({ compares: [], changes })
    assert(result.committed)
    return result.revision
  }
  const compact = (revision: number) => etcd.first.post('kv/compaction', { revision, physical: true })
  const assertComplete = async (): Promise<void> => {
    const { records } = await other.scan({ prefix: 'w/', limit: 10_000 })
    assert.deepEqual(new Map([...listener.view].sort()), new Map(records.map(({ key, version }) => [key, version])))
  }

  test('goes on where it was when its connection breaks, again and again', async () => {
    const oracle = new Listener()
    await listener.watch(store)
    await oracle.watch(other)
    for (let i = 0; i < 100; i++) {
      await put(`w/${i % 7}`, String(i))
      if (i % 3 === 0) await erase(`w/${(i + 3) % 7}`)
      if (i % 10 === 9) proxy.cut()
    }
    const end = await put('w/end', '')
    await Promise.all([listener, oracle].map(each => each.until(() => each.lastVersion === end)))
    assert.deepEqual(listener.told, oracle.told)
    await assertComplete()
  })

  test('that missed what was compacted is told the difference, deletions too, and goes on', async () => {
    for (const key of ['kept', 'changed', 'deleted', 'replaced']) await put(`w/${key}`, 'old')
    await listener.watch(store)
    const first = await put('w/first', '1')
    await listener.until(() => listener.batches.length === 1)
    proxy.silence()
    await put('w/changed', 'in between')
    await erase('w/deleted', 'w/replaced')
    await put('w/fleeting', 'made and deleted')
    const replaced = await put('w/replaced', 'new')
    await erase('w/fleeting')
    const changed = await put('w/changed', 'new')
    const made = await put('w/made', 'new')
    const elsewhere = await put('elsewhere', '')
    await compact(elsewhere)
    proxy.heal()
    await listener.until(() => listener.batches.length === 5)
    const last = await put('w/last', '2')
    await listener.until(() => listener.lastVersion === last)
    assert.deepEqual(listener.told, [
      [`w/first=1@${first}`],
      [`w/replaced=new@${replaced}`],
      [`w/changed=new@${changed}`],
      [`w/made=new@${made}`],
      [`w/deleted=@${elsewhere}`],
      [`w/last=2@${last}`]
    ])
    await assertComplete()
  })

  test('of which nothing was compacted but what concerns others is told nothing', async () => {
    await put('w/a', '1')
    await listener.watch(store)
    proxy.silence()
    await compact(await put('elsewhere', ''))
    proxy.heal()
    const last = await put('w/a', '2')
    await listener.until(() => listener.batches.length > 0)
    assert.deepEqual(listener.told, [[`w/a=2@${last}`]])
  })

  test('is brought up to date over many changes at once', async () => {
    const keys = Array.from({ length: 250 }, (_, i) => `w/${1000 + i}`)
    for (let at = 0; at < keys.length; at += 50) {
      await commit(...keys.slice(at, at + 50).map(key => ({ kind: 'put', key, value: Buffer.from('1') }) as const))
    }
    await listener.watch(store)
    proxy.silence()
    for (let at = 0; at < 200; at += 50) {
      await commit(...keys.slice(at, at + 50).map(key => ({ kind: 'put', key, value: Buffer.from('2') }) as const))
    }
    const end = await erase(...keys.slice(200))
    await compact(end)
    proxy.heal()
    await listener.until(() => listener.lastVersion === end)
    assert.deepEqual(
      listener.batches.map(events => events.length),
      [50, 50, 50, 50, 50]
    )
    await assertComplete()
  })

  test('stays complete and in order whatever breaks and is compacted when', async () => {
    await listener.watch(store)
    let end = 0
    for (let i = 0; i < 60; i++) {
      const key = `w/${(i * 7) % 11}`
      end = i % 4 === 3 ? await erase(...new Set([key, `w/${(i * 5) % 11}`])) : await put(key, String(i))
      if (i % 9 === 4) proxy.silence()
      if (i % 9 === 6) await compact(end)
      if (i % 9 === 7) proxy.heal()
      if (i % 5 === 0) proxy.cut()
    }
    proxy.heal()
    end = await put('w/end', '')
    await listener.until(() => listener.lastVersion >= end)
    await assertComplete()
  })

  test('that is closed hears nothing any more, also when its connection comes back', async () => {
    const watch = await listener.watch(store)
    await put('w/a', '1')
    await listener.until(() => listener.batches.length === 1)
    proxy.cut()
    watch.close()
    const live = new Listener()
    await live.watch(store)
    const end = await put('w/a', '2')
    await live.until(() => live.lastVersion === end)
    assert.equal(listener.batches.length, 1)
  })

  test('and a page that is being read when its revision is compacted is read anew, as of one revision', async () => {
    const keys = Array.from({ length: 200 }, (_, i) => `w/${1000 + i}`)
    const writeAll = async (value: string): Promise<number> => {
      let end = 0
      for (const half of [keys.slice(0, 100), keys.slice(100)]) {
        end = await commit(...half.map(key => ({ kind: 'put', key, value: Buffer.from(value) }) as const))
      }
      return end
    }
    await writeAll('old')
    proxy.failNext('pass request', 'hold request') // the second request for rows of the page
    const scanning = store.scan({ prefix: 'w/' })
    await proxy.until(({ faultCount }) => faultCount === 2)
    await compact(await writeAll('new'))
    proxy.release()
    const { records, next } = await scanning
    assert.equal(next, undefined)
    assert.deepEqual(
      records.map(({ key, value }) => `${key}=${Buffer.from(value).toString()}`),
      keys.map(key => `${key}=new`)
    )
  })
})
