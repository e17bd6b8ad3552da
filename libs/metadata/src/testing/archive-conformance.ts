import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { ArchivableStore, ArchivedRecord, StoreSnapshot } from '../archivable-store.ts'

export interface ArchivableStoreUnderTest {
  readonly store: ArchivableStore
  /** The same data by another process's eyes; `store` is closed before. */
  readonly reopen: () => Promise<ArchivableStore>
  readonly dispose: () => Promise<void>
}

const put = (key: string, value = key) => ({ kind: 'put', key, value: Buffer.from(value) }) as const

async function commit(store: ArchivableStore, ...changes: ReturnType<typeof put>[]): Promise<number> {
  const result = await store.transact({ compares: [], changes })
  assert(result.committed)
  return result.revision
}

async function recordsOf(snapshot: StoreSnapshot): Promise<ArchivedRecord[]> {
  const records: ArchivedRecord[] = []
  for await (const record of snapshot.records()) records.push(record)
  return records
}

/** Snapshots, and revisions that go on where another store's ended. */
export function describeArchivableStore(
  name: string,
  factory: () => Promise<ArchivableStoreUnderTest>,
  { isDurable }: { isDurable: boolean } = { isDurable: true }
): void {
  describe(`${name} can be copied and stand in for another`, () => {
    let under: ArchivableStoreUnderTest
    beforeEach(async () => {
      under = await factory()
    })
    afterEach(() => under.dispose())
    describeSnapshots(() => under)
    describeRaising(() => under, { isDurable })
  })
}

type Subject = () => ArchivableStoreUnderTest

function describeSnapshots(subject: Subject): void {
  test('a snapshot is everything as of one revision, whatever comes meanwhile', async () => {
    const { store } = subject()
    const lease = await store.grantLease(10_000)
    const keys = Array.from({ length: 300 }, (_, i) => `k${String(i).padStart(3, '0')}`)
    for (let at = 0; at < keys.length; at += 100) await commit(store, ...keys.slice(at, at + 100).map(key => put(key)))
    await store.transact({ compares: [], changes: [{ ...put('leased'), lease }] })
    const before = await commit(store, put('k000', 'newer'))
    const snapshot = await store.snapshot()
    await commit(store, put('k299', 'too late'), put('other'))
    await store.transact({ compares: [], changes: [{ kind: 'delete', key: 'k001' }] })
    const records = await recordsOf(snapshot)
    assert.equal(snapshot.revision, before)
    assert.deepEqual(
      records.map(({ key }) => key),
      [...keys, 'leased']
    )
    const told = (key: string) => records.find(record => record.key === key)
    assert.equal(Buffer.from(told('k000')?.value ?? []).toString(), 'newer')
    assert.deepEqual([told('k000')?.version, told('k000')?.isLeased], [before, false])
    assert.equal(Buffer.from(told('k299')?.value ?? []).toString(), 'k299')
    assert.equal(told('leased')?.isLeased, true)
  })
}

function describeRaising(subject: Subject, { isDurable }: { isDurable: boolean }): void {
  test('revisions that were raised stay above, and compare-and-set goes on', async () => {
    const { store } = subject()
    const old = await commit(store, put('a'))
    const floor = old + 2 ** 41
    await store.raiseRevision(floor)
    await store.raiseRevision(floor - 1)
    const first = await commit(store, put('b'))
    assert(first > floor && first < floor + 10, `${first} after ${floor}`)
    // of before: not what it is any more, or still, but never "absent"
    const stale = await store.transact({ compares: [{ key: 'gone', version: old }], changes: [put('c')] })
    assert(!stale.committed)
    const absent = await store.transact({ compares: [{ key: 'c', version: 0 }], changes: [put('c')] })
    assert(absent.committed)
    const version = (await store.get('a'))?.version ?? 0
    assert((await store.transact({ compares: [{ key: 'a', version }], changes: [put('a', '2')] })).committed)
    const conflict = await store.transact({ compares: [{ key: 'b', version: first + 1 }], changes: [put('b', '2')] })
    assert(!conflict.committed)
    assert.equal(conflict.conflicts[0]?.current?.version, first)
    const { records } = await store.scan({ prefix: 'b' })
    assert.equal(records[0]?.version, first)
  })

  test('a watch tells raised revisions', async () => {
    const { store } = subject()
    await store.raiseRevision(1_000_000)
    const versions: number[] = []
    let wake = (): void => undefined
    const woken = new Promise<void>(resolve => (wake = resolve))
    await store.watch('w', events => {
      versions.push(...events.map(({ version }) => version))
      wake()
    })
    const revision = await commit(store, put('w'))
    await woken
    assert.deepEqual(versions, [revision])
    assert.equal((await store.snapshot()).revision, revision)
  })

  if (!isDurable) return
  test('raised revisions outlive the process', async () => {
    const { store, reopen } = subject()
    await store.raiseRevision(5_000_000)
    const named = { compares: [], changes: [put('a')], operationId: 'once' }
    const answer = await store.transact(named)
    assert(answer.committed && answer.revision > 5_000_000)
    await store.close()
    const again = await reopen()
    assert.deepEqual(await again.transact(named), answer)
    assert((await commit(again, put('b'))) > answer.revision)
    assert.equal((await again.get('a'))?.version, answer.revision)
  })
}
