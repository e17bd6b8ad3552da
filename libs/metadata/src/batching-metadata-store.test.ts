import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { BatchingMetadataStore } from './batching-metadata-store.ts'
import { MetadataError } from './errors.ts'
import { MemoryMetadataStore } from './memory-metadata-store.ts'
import type { Compare, MetadataRecord, MetadataStore, ScanPage, Transaction } from './metadata-store.ts'
import { describeMetadataStore, FaultyMetadataStore } from './testing/index.ts'
import { transactUntilAnswered, updateRecord } from './update-record.ts'

describeMetadataStore(
  'BatchingMetadataStore',
  () => {
    const store = new BatchingMetadataStore(new MemoryMetadataStore())
    return Promise.resolve({ store, reopen: () => Promise.resolve(store), dispose: () => store.close() })
  },
  { isDurable: false }
)

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
let names = 0

const creating = (key: string, others: readonly Compare[] = []): Transaction => ({
  compares: [{ key, version: 0 }, ...others],
  changes: [{ kind: 'put', key, value: bytes(`value of ${key}`) }],
  operationId: `operation-${names++}`
})

function world(): { faulty: FaultyMetadataStore; store: BatchingMetadataStore } {
  const faulty = new FaultyMetadataStore(new MemoryMetadataStore())
  return { faulty, store: new BatchingMetadataStore(faulty) }
}

describe('transactions that arrive together', () => {
  test('share one, and have its revision', async () => {
    const { faulty, store } = world()
    const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
    const results = await Promise.all(keys.map(key => store.transact(creating(key))))
    assert.equal(faulty.submitted.length, 1)
    for (const [index, key] of keys.entries()) {
      const result = results[index]
      assert.ok(result?.committed)
      assert.deepEqual(await store.get(key), { key, value: bytes(`value of ${key}`), version: result.revision })
    }
  })

  test('are as many as fit into the limits', async () => {
    const { faulty, store } = world()
    const keys = Array.from({ length: 250 }, (_, index) => `key-${index}`)
    await Promise.all(keys.map(key => store.transact(creating(key))))
    assert.deepEqual(
      faulty.submitted.map(({ changes }) => changes.length),
      [100, 100, 50]
    )
  })

  test('may all compare one row, and say so once', async () => {
    const { faulty, store } = world()
    const parent = await store.transact(creating('parent'))
    assert.ok(parent.committed)
    const compare = { key: 'parent', version: parent.revision }
    await Promise.all(['a', 'b', 'c'].map(key => store.transact(creating(key, [compare]))))
    assert.equal(faulty.submitted.length, 2)
    assert.equal(faulty.submitted[1]?.compares.length, 4)
  })

  test('one that conflicts hears of it, the others are made', async () => {
    const { faulty, store } = world()
    await store.transact(creating('b'))
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(key => store.transact(creating(key))))
    assert.ok(a?.committed === true && c?.committed === true)
    assert.ok(b?.committed === false)
    assert.deepEqual(
      b.conflicts.map(({ key, current }) => [key, current?.version]),
      [['b', (await store.get('b'))?.version]]
    )
    assert.equal(faulty.submitted.length, 3, 'the first, all three, and the two without the one')
  })

  test('those that touch the same row are judged one after the other', async () => {
    const { store } = world()
    const results = await Promise.all(Array.from({ length: 5 }, () => store.transact(creating('same'))))
    assert.equal(results.filter(result => result.committed).length, 1)
    for (const result of results) if (!result.committed) assert.equal(result.conflicts[0]?.key, 'same')
  })

  test('those that expect different versions of a row are judged apart', async () => {
    const { store } = world()
    const first = await store.transact(creating('parent'))
    assert.ok(first.committed)
    const [right, wrong] = await Promise.all([
      store.transact(creating('a', [{ key: 'parent', version: first.revision }])),
      store.transact(creating('b', [{ key: 'parent', version: first.revision + 7 }]))
    ])
    assert.deepEqual([right.committed, wrong.committed], [true, false])
  })

  test('without a name, or under a lease, each goes alone', async () => {
    const { faulty, store } = world()
    const lease = await store.grantLease(1000)
    await Promise.all([
      store.transact({ compares: [], changes: [{ kind: 'put', key: 'a', value: bytes('1') }] }),
      store.transact({ ...creating('b'), changes: [{ kind: 'put', key: 'b', value: bytes('1'), lease }] }),
      store.transact(creating('c')),
      store.transact(creating('d'))
    ])
    assert.equal(faulty.submitted.length, 3)
  })

  test('bytes that the caller uses again are what they were', async () => {
    const { store } = world()
    const value = Buffer.from('before')
    const done = store.transact({ compares: [], changes: [{ kind: 'put', key: 'a', value }], operationId: 'reused' })
    await Promise.resolve()
    value.write('behind')
    await done
    assert.deepEqual((await store.get('a'))?.value, bytes('before'))
  })

  test('what is too large is refused, and nobody else with it', async () => {
    const { store } = world()
    const large = { ...creating('large'), changes: [{ kind: 'put' as const, key: 'x'.repeat(5000), value: bytes('') }] }
    const [refused, made] = await Promise.allSettled([store.transact(large), store.transact(creating('small'))])
    assert.ok(refused.status === 'rejected' && MetadataError.is(refused.reason, 'TOO_LARGE'))
    assert.ok(made.status === 'fulfilled' && made.value.committed)
  })
})

describe('answers that are lost', () => {
  for (const fault of ['lost', 'applied'] as const) {
    test(`of a shared transaction (${fault}): all are made, once, and hear of it`, async () => {
      const { faulty, store } = world()
      faulty.failNext(fault)
      const keys = ['a', 'b', 'c', 'd']
      const asked = keys.map(key => {
        const { compares, changes } = creating(key)
        return transactUntilAnswered(store, { compares, changes })
      })
      const results = await Promise.all(asked)
      assert.ok(results.every(result => result.committed))
      assert.ok((await Promise.all(keys.map(key => store.get(key)))).every(record => record !== undefined))
    })

    test(`of one alone (${fault}), which then finds company`, async () => {
      const { faulty, store } = world()
      faulty.failNext(fault)
      const alone = creating('a')
      await assert.rejects(store.transact(alone), error => MetadataError.is(error, 'UNAVAILABLE'))
      const [again, other] = await Promise.all([store.transact(alone), store.transact(creating('b'))])
      assert.ok(again.committed && other.committed)
    })
  }

  test('each of the others that asks again learns the same', async () => {
    const { faulty, store } = world()
    faulty.failNext('applied')
    const [a, b] = [creating('a'), creating('b')]
    await Promise.allSettled([store.transact(a), store.transact(b)])
    const first = await store.transact(a)
    const later = await store.transact(b)
    assert.ok(first.committed && later.committed)
    assert.equal(first.revision, later.revision)
  })

  test('what was refused in the end is judged anew, alone with its own compares', async () => {
    const { faulty, store } = world()
    faulty.failNext('lost')
    const [a, b] = [creating('a'), creating('b')]
    await Promise.allSettled([store.transact(a), store.transact(b)])
    await faulty.transact(creating('a'))
    const [first, later] = await Promise.all([store.transact(a), store.transact(b)])
    assert.deepEqual([first.committed, later.committed], [false, true])
  })
})

describe('reads', () => {
  /** Reads many at once, and counts. */
  class CountingStore extends MemoryMetadataStore {
    readonly asked: (readonly string[])[] = []
    isDown = false

    override async get(key: string): Promise<MetadataRecord | undefined> {
      const [record] = await this.getMany([key])
      return record
    }

    async getMany(keys: readonly string[]): Promise<(MetadataRecord | undefined)[]> {
      this.asked.push(keys)
      if (this.isDown) throw MetadataError.create('UNAVAILABLE')
      return Promise.all(keys.map(key => super.get(key)))
    }

    scanMany(prefixes: readonly string[]): Promise<ScanPage[]> {
      this.asked.push(prefixes)
      return Promise.all(prefixes.map(prefix => super.scan({ prefix })))
    }
  }

  test('of short folders share a round trip, too; pages of others go alone', async () => {
    const memory = new CountingStore()
    const store = new BatchingMetadataStore(memory)
    for (const key of ['a/1', 'a/2', 'b/1']) await store.transact(creating(key))
    const pages = await Promise.all([
      ...['a/', 'b/', 'c/'].map(prefix => store.scan({ prefix, isShort: true })),
      store.scan({ prefix: 'a/', isShort: true, limit: 1 }),
      store.scan({ prefix: 'a/', isShort: true, after: 'a/1' })
    ])
    assert.deepEqual(memory.asked, [['a/', 'b/', 'c/']])
    const keys = pages.map(({ records }) => records.map(({ key }) => key))
    assert.deepEqual(keys, [['a/1', 'a/2'], ['b/1'], [], ['a/1'], ['a/2']])
  })

  test('that arrive together share a round trip, and each gets its own', async () => {
    const memory = new CountingStore()
    const store = new BatchingMetadataStore(memory)
    for (const key of ['a', 'b']) await store.transact(creating(key))
    const records = await Promise.all(['a', 'missing', 'b', 'a'].map(key => store.get(key)))
    assert.deepEqual(memory.asked, [['a', 'missing', 'b']])
    assert.deepEqual(
      records.map(record => record?.key),
      ['a', undefined, 'b', 'a']
    )
  })

  test('many go out in several, and all are answered', async () => {
    const memory = new CountingStore()
    const store = new BatchingMetadataStore(memory)
    await store.transact(creating('key-77'))
    const records = await Promise.all(Array.from({ length: 300 }, (_, index) => store.get(`key-${index}`)))
    assert.ok(memory.asked.length > 1 && memory.asked.every(keys => keys.length <= 32))
    assert.deepEqual(
      records.flatMap(record => (record === undefined ? [] : [record.key])),
      ['key-77']
    )
  })

  test('a failure is told to all who shared it; a bad key to its own caller only', async () => {
    const memory = new CountingStore()
    const store = new BatchingMetadataStore(memory)
    const [bad, good] = await Promise.allSettled([store.get(''), store.get('a')])
    assert.ok(bad.status === 'rejected' && good.status === 'fulfilled')
    memory.isDown = true
    const results = await Promise.allSettled([store.get('a'), store.get('b')])
    for (const result of results)
      assert.ok(result.status === 'rejected' && MetadataError.is(result.reason, 'UNAVAILABLE'))
    memory.isDown = false
    assert.equal(await store.get('a'), undefined)
  })
})

test('every change is made exactly once, whatever answers are lost', async () => {
  const stepArb = fc.record({ key: fc.nat(5), turns: fc.nat(3) })
  const faultsArb = fc.array(fc.constantFrom('lost' as const, 'applied' as const, undefined), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(fc.array(stepArb, { maxLength: 40 }), faultsArb, async (steps, faults) => {
      const { faulty, store } = world()
      const counts = new Map<string, number>()
      const running: Promise<unknown>[] = []
      for (const [index, { key, turns }] of steps.entries()) {
        const fault = faults[index % Math.max(1, faults.length)]
        if (fault !== undefined) faulty.failNext(fault)
        counts.set(`key-${key}`, (counts.get(`key-${key}`) ?? 0) + 1)
        running.push(count(store, `key-${key}`))
        for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
      }
      await Promise.all(running)
      for (const [key, expected] of counts) assert.equal(await countOf(store, key), expected)
    }),
    { numRuns: 60 }
  )
})

const count = (store: MetadataStore, key: string): Promise<unknown> =>
  updateRecord(store, key, current => ({
    put: bytes(String(Number(Buffer.from(current?.value ?? bytes('0')).toString()) + 1))
  }))

const countOf = async (store: MetadataStore, key: string): Promise<number> =>
  Number(Buffer.from((await store.get(key))?.value ?? bytes('0')).toString())
