import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { MetadataError } from '../errors.ts'
import { describeElections } from './election-conformance.ts'
import { CHANGES_MAX, KEY_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX } from '../limits.ts'
import type { MetadataRecord, MetadataStore, Transaction, WatchEvent } from '../metadata-store.ts'

export interface MetadataStoreUnderTest {
  readonly store: MetadataStore
  /** The same data by another process's eyes; `store` is closed before. */
  readonly reopen: () => Promise<MetadataStore>
  readonly dispose: () => Promise<void>
}

/** What every driver must do. `factory` gives an empty store; `isDurable`: its data outlives it. */
export function describeMetadataStore(
  name: string,
  factory: () => Promise<MetadataStoreUnderTest>,
  { isDurable }: { isDurable: boolean } = { isDurable: true }
): void {
  describe(`${name} is a metadata store`, () => {
    let under: MetadataStoreUnderTest
    const subject = (): MetadataStoreUnderTest => under
    beforeEach(async () => {
      under = await factory()
    })
    afterEach(() => under.dispose())

    describeRecords(subject)
    describeRaces(subject)
    describeScans(subject)
    describeLimits(subject)
    describeWatches(subject)
    describeOperations(subject)
    describeLeases(subject)
    describeElections(subject)
    if (isDurable) describeReopening(subject)
  })
}

type Subject = () => MetadataStoreUnderTest

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value)
const put = (key: string, value = key): Transaction['changes'][number] => ({ kind: 'put', key, value: bytes(value) })
const erase = (key: string): Transaction['changes'][number] => ({ kind: 'delete', key })

async function commit(store: MetadataStore, ...changes: Transaction['changes']): Promise<number> {
  const result = await store.transact({ compares: [], changes })
  assert(result.committed)
  return result.revision
}

function describeRecords(subject: Subject): void {
  test('a record has the revision of its last change as version', async () => {
    const { store } = subject()
    assert.equal(await store.get('a'), undefined)
    const first = await commit(store, put('a', '1'), put('b', '2'))
    const second = await commit(store, put('a', '3'))
    assert(Number.isSafeInteger(first) && first > 0 && second > first)
    assert.deepEqual(readable(await store.get('a')), { key: 'a', value: '3', version: second })
    assert.deepEqual(readable(await store.get('b')), { key: 'b', value: '2', version: first })
  })

  test('a deleted record is absent, and deleting it again changes nothing', async () => {
    const { store } = subject()
    await commit(store, put('a'))
    const first = await commit(store, erase('a'))
    const second = await commit(store, erase('a'))
    assert.equal(await store.get('a'), undefined)
    assert(second > first)
  })

  test('what the caller does to its bytes afterwards does not reach the store', async () => {
    const { store } = subject()
    for (const value of [bytes('kept'), Buffer.from('kept')]) {
      const seen = collect()
      const watch = await store.watch('a', seen.listener)
      const committing = store.transact({ compares: [], changes: [{ kind: 'put', key: 'a', value }] })
      value.fill(0)
      await committing
      await seen.until(1)
      watch.close()
      assert.equal(text((await store.get('a'))?.value), 'kept')
      assert.equal(text(seen.batches[0]?.[0]?.value), 'kept')
    }
  })

  test('a transaction is applied whole or not at all, and names every compare that failed', async () => {
    const { store } = subject()
    const version = await commit(store, put('a', 'old'))
    const result = await store.transact({
      compares: [
        { key: 'a', version },
        { key: 'missing', version: 7 },
        { key: 'a2', version: 0 }
      ],
      changes: [put('a', 'new'), put('c')]
    })
    assert.deepEqual(result, { committed: false, conflicts: [{ key: 'missing', current: undefined }] })
    assert.equal(text((await store.get('a'))?.value), 'old')
    assert.equal(await store.get('c'), undefined)
    const stale = await store.transact({ compares: [{ key: 'a', version: version + 100 }], changes: [erase('a')] })
    assert(!stale.committed)
    assert.deepEqual(readable(stale.conflicts[0]?.current), { key: 'a', value: 'old', version })
  })
}

function describeRaces(subject: Subject): void {
  test('of concurrent compare-and-sets on one version exactly one wins', async () => {
    const { store } = subject()
    for (let round = 0, version = 0; round < 20; round++) {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          store.transact({ compares: [{ key: 'a', version }], changes: [put('a', `${round}.${i}`)] })
        )
      )
      const winners = results.flatMap((result, i) => (result.committed ? [{ i, revision: result.revision }] : []))
      assert.equal(winners.length, 1)
      assert.equal(text((await store.get('a'))?.value), `${round}.${winners[0]?.i}`)
      version = winners[0]?.revision ?? 0
    }
  })

  test('increments by compare-and-set from many sides lose nothing', async () => {
    const { store } = subject()
    const increment = async (): Promise<void> => {
      for (;;) {
        const record = await store.get('count')
        const next = Number(text(record?.value) ?? '0') + 1
        const compares = [{ key: 'count', version: record?.version ?? 0 }]
        if ((await store.transact({ compares, changes: [put('count', String(next))] })).committed) return
      }
    }
    await Promise.all(Array.from({ length: 30 }, increment))
    assert.equal(text((await store.get('count'))?.value), '30')
  })
}

function describeScans(subject: Subject): void {
  test('a scan gives the keys of its prefix in byte order, page by page, each once', async () => {
    const { store } = subject()
    const inside = ['', '!', '0', 'a', 'a/b', 'b', 'é', '\uffff', '\u{10000}', '\u{10ffff}'].map(end => `dir/${end}`)
    for (const key of ['dir', 'dir.', 'dir0', 'dis', ...[...inside].reverse()]) await commit(store, put(key))
    const found: string[] = []
    for (let after: string | undefined; ;) {
      const page = await store.scan({ prefix: 'dir/', limit: 3, ...(after === undefined ? {} : { after }) })
      found.push(...page.records.map(record => record.key))
      assert(page.records.length <= 3)
      if (page.next === undefined) break
      after = page.next
    }
    assert.deepEqual(found, inside)
  })

  test('scans of folders that are thought to be short give the same, also where they are not', async () => {
    const { store } = subject()
    const counts = [0, 1, 15, 16, 17, 40]
    for (const count of counts) {
      const changes = Array.from({ length: count }, (_, i) =>
        put(`short-${count}/${String(i).padStart(3, '0')}`, `${i}`)
      )
      if (count > 0) await store.transact({ compares: [], changes })
    }
    const prefixes = counts.map(count => `short-${count}/`)
    const pages = await Promise.all(prefixes.map(prefix => store.scan({ prefix, isShort: true })))
    assert.deepEqual(pages, await Promise.all(prefixes.map(prefix => store.scan({ prefix }))))
    assert.deepEqual(
      pages.map(({ records }) => records.length),
      counts
    )
  })

  test('a scan gives values and versions, or keys only', async () => {
    const { store } = subject()
    const version = await commit(store, put('p/a', '1'), put('p/b', '2'))
    const { records } = await store.scan({ prefix: 'p/' })
    assert.deepEqual(records.map(readable), [
      { key: 'p/a', value: '1', version },
      { key: 'p/b', value: '2', version }
    ])
    const keys = await store.scan({ prefix: 'p/', keysOnly: true })
    assert.deepEqual(keys.records.map(readable), [
      { key: 'p/a', value: '', version },
      { key: 'p/b', value: '', version }
    ])
  })

  test('a page holds 1,000 records by default, and the empty prefix is everything', async () => {
    const { store } = subject()
    const keys = Array.from({ length: 1_100 }, (_, i) => `k${String(i).padStart(5, '0')}`)
    for (let i = 0; i < keys.length; i += 100) await commit(store, ...keys.slice(i, i + 100).map(key => put(key)))
    const first = await store.scan({ prefix: '' })
    assert.equal(first.records.length, 1_000)
    assert.equal(first.next, keys[999])
    const second = await store.scan({ prefix: '', after: keys[999] ?? '' })
    assert.equal(second.records.length, 100)
    assert.equal(second.next, undefined)
  })

  test('a page is bounded in bytes, too', async () => {
    const { store } = subject()
    const value = new Uint8Array(VALUE_BYTES_MAX)
    for (let i = 0; i < 160; i++) {
      await store.transact({ compares: [], changes: [{ kind: 'put', key: `big/${1000 + i}`, value }] })
    }
    const { records, next } = await store.scan({ prefix: 'big/' })
    assert(records.length >= 1 && records.length < 160)
    const rest = await store.scan({ prefix: 'big/', after: next ?? '' })
    assert.equal(records.length + rest.records.length, 160)
  })
}

function describeLimits(subject: Subject): void {
  const refused = async (transaction: Transaction, code: 'TOO_LARGE' | 'BAD_KEY'): Promise<void> => {
    await assert.rejects(subject().store.transact(transaction), error => MetadataError.is(error, code))
  }

  test('limits are kept to the byte', async () => {
    const { store } = subject()
    const key = 'é'.repeat(KEY_BYTES_MAX / 2)
    const value = new Uint8Array(VALUE_BYTES_MAX)
    await store.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
    assert.equal((await store.get(key))?.value.length, VALUE_BYTES_MAX)
    await refused({ compares: [], changes: [put(`${key}x`)] }, 'TOO_LARGE')
    const over = new Uint8Array(VALUE_BYTES_MAX + 1)
    await refused({ compares: [], changes: [{ kind: 'put', key: 'a', value: over }] }, 'TOO_LARGE')
    const full = Array.from({ length: TRANSACTION_BYTES_MAX / VALUE_BYTES_MAX }, (_, i) => ({
      kind: 'put' as const,
      key: `${i}`,
      value: new Uint8Array(VALUE_BYTES_MAX - Buffer.byteLength(`${i}`))
    }))
    await commit(store, ...full)
    await refused({ compares: [], changes: [...full, erase('x')] }, 'TOO_LARGE')
    const many = Array.from({ length: CHANGES_MAX + 1 }, (_, i) => put(`k${i}`))
    await refused({ compares: [], changes: many }, 'TOO_LARGE')
    await commit(store, ...many.slice(1))
  })

  test('keys that have no bytes of their own are refused', async () => {
    for (const key of ['', 'a\0b', '\ud800', 'x\udc00']) await refused({ compares: [], changes: [put(key)] }, 'BAD_KEY')
  })

  test('a closed store says so', async () => {
    const { store } = subject()
    await store.close()
    await assert.rejects(store.get('a'), error => MetadataError.is(error, 'CLOSED'))
    await assert.rejects(store.scan({ prefix: '' }), error => MetadataError.is(error, 'CLOSED'))
    await assert.rejects(commit(store, put('a')), error => MetadataError.is(error, 'CLOSED'))
    await store.close()
  })
}

function describeWatches(subject: Subject): void {
  test('a watch gets one batch a revision, of its prefix only, until it is closed', async () => {
    const { store } = subject()
    await commit(store, put('w/before'))
    const seen = collect()
    const watch = await store.watch('w/', seen.listener)
    const first = await commit(store, put('w/a', '1'), put('other'), erase('w/before'))
    await commit(store, put('v'), put('w'))
    const second = await commit(store, erase('w/a'))
    await seen.until(2)
    watch.close()
    await commit(store, put('w/late'))
    assert.deepEqual(seen.batches.map(readableEvents), [
      [
        { key: 'w/a', value: '1', version: first },
        { key: 'w/before', value: undefined, version: first }
      ],
      [{ key: 'w/a', value: undefined, version: second }]
    ])
  })

  test('watching and then scanning leaves no gap, and order holds under load', async () => {
    const { store } = subject()
    const view = new Map<string, number>()
    let lastVersion = 0
    let finish = (): void => undefined
    const done = new Promise<void>(resolve => (finish = resolve))
    const apply = (key: string, version: number): void => {
      if (version > (view.get(key) ?? 0)) view.set(key, version)
    }
    const writer = async (id: number): Promise<void> => {
      for (let i = 0; i < 50; i++) await commit(store, put(`load/${id}`, String(i)), put(`load/all`, `${id}.${i}`))
    }
    const writing = Promise.all([0, 1, 2, 3].map(writer))
    let batches = 0
    await store.watch('load/', events => {
      const version = events[0]?.version ?? 0
      assert(version > lastVersion, 'revisions come in order, each once')
      lastVersion = version
      batches += 1
      for (const event of events) {
        assert.equal(event.version, version)
        apply(event.key, event.version)
        if (event.key === 'load/end') finish()
      }
    })
    const { records } = await store.scan({ prefix: 'load/' })
    for (const record of records) apply(record.key, record.version)
    await writing
    await commit(store, put('load/end'))
    await done
    const stored = await store.scan({ prefix: 'load/' })
    assert.deepEqual(new Map([...view].sort()), new Map(stored.records.map(record => [record.key, record.version])))
    assert(batches <= 201)
  })
}

function describeOperations(subject: Subject): void {
  test('a transaction submitted again under its operation id is applied once and answers the same', async () => {
    const { store } = subject()
    const transaction = { compares: [{ key: 'a', version: 0 }], changes: [put('a')], operationId: 'op-1' }
    const [first, twin] = await Promise.all([store.transact(transaction), store.transact(transaction)])
    assert(first.committed)
    assert.deepEqual(twin, first)
    await commit(store, put('a', 'changed since'))
    assert.deepEqual(await store.transact(transaction), first)
    assert.equal(text((await store.get('a'))?.value), 'changed since')
    const other = await store.transact({ ...transaction, operationId: 'op-2' })
    assert(!other.committed)
  })

  test('a refused transaction leaves nothing behind under its operation id', async () => {
    const { store } = subject()
    const version = await commit(store, put('a'))
    const transaction = { compares: [{ key: 'a', version: 0 }], changes: [put('b')], operationId: 'op' }
    assert(!(await store.transact(transaction)).committed)
    await store.transact({ compares: [{ key: 'a', version }], changes: [erase('a')] })
    assert((await store.transact(transaction)).committed)
  })
}

function describeLeases(subject: Subject): void {
  test('records under a lease vanish when it is revoked, unless they were written again without it', async () => {
    const { store } = subject()
    const lease = await store.grantLease(10_000)
    const other = await store.grantLease(10_000)
    assert.notEqual(lease.id, other.id)
    const under = { kind: 'put', value: bytes('x') } as const
    await commit(
      store,
      { ...under, key: 'l/1', lease },
      { ...under, key: 'l/2', lease },
      { ...under, key: 'l/3', lease }
    )
    await commit(store, put('l/2'), { ...under, key: 'l/3', lease: other }, { ...under, key: 'l/4', lease: other })
    const seen = collect()
    await store.watch('l/', seen.listener)
    await lease.revoke()
    await lease.revoke()
    await seen.until(1)
    assert.deepEqual(
      seen.batches.flat().map(({ key, value }) => ({ key, value })),
      [{ key: 'l/1', value: undefined }]
    )
    const { records } = await store.scan({ prefix: 'l/' })
    assert.deepEqual(
      records.map(record => record.key),
      ['l/2', 'l/3', 'l/4']
    )
    assert.equal(lease.isLost, false)
    await assert.rejects(commit(store, { ...under, key: 'l/5', lease }), error => MetadataError.is(error, 'LEASE_LOST'))
  })
}

function describeReopening(subject: Subject): void {
  test('what was committed is there after a restart, revisions go on, operations are still known', async () => {
    const { store, reopen } = subject()
    const lease = await store.grantLease(10_000)
    const first = await commit(store, put('a'), put('b'), { kind: 'put', key: 'leased', value: bytes('x'), lease })
    const named = { compares: [], changes: [put('c')], operationId: 'once' }
    const answer = await store.transact(named)
    assert(answer.committed)
    await commit(store, erase('b'))
    await store.close()
    const again = await reopen()
    assert.deepEqual(readable(await again.get('a')), { key: 'a', value: 'a', version: first })
    assert.equal(await again.get('b'), undefined)
    assert.equal(await again.get('leased'), undefined)
    await commit(again, put('c', 'newer'))
    assert.deepEqual(await again.transact(named), answer)
    assert((await commit(again, put('d'))) > answer.revision + 1)
  })
}

function collect(): {
  batches: (readonly WatchEvent[])[]
  listener: (events: readonly WatchEvent[]) => void
  until: (batches: number) => Promise<void>
} {
  const batches: (readonly WatchEvent[])[] = []
  let wake = (): void => undefined
  return {
    batches,
    listener(events) {
      batches.push(events)
      wake()
    },
    async until(count) {
      while (batches.length < count) await new Promise<void>(resolve => (wake = resolve))
    }
  }
}

function readable(record: MetadataRecord | undefined): unknown {
  return record === undefined ? undefined : { ...record, value: text(record.value) }
}

function readableEvents(events: readonly WatchEvent[]): unknown {
  return events.map(event => ({ ...event, value: text(event.value) }))
}
