import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { IndexChange, IndexStore } from '../index/index-store.ts'
import { seededRandom } from './fixtures.ts'

export interface IndexStoreUnderTest {
  readonly store: IndexStore
  /** What is there after the power failed now, opened again; the store before is not used any more. */
  readonly crash: (random: () => number) => Promise<IndexStore>
  readonly dispose: () => Promise<void>
}

const KEYS = { from: Buffer.from([0]), to: Buffer.from([0xff, 0xff]), limit: 10_000 }

/** What every store under the index must do. `factory` gives an empty one. */
export function describeIndexStore(name: string, factory: () => Promise<IndexStoreUnderTest>): void {
  describe(`${name} is an index store`, () => {
    let under: IndexStoreUnderTest
    beforeEach(async () => {
      under = await factory()
    })
    afterEach(() => under.dispose())

    test('what was written is there, by every way of asking', async () => {
      const { store } = under
      await store.write([put('a', '1'), put('b', '2')], { sync: false })
      assert.equal((await store.get(Buffer.from('a')))?.toString(), '1')
      assert.equal(store.getSync(Buffer.from('b'))?.toString(), '2')
      assert.equal(await store.get(Buffer.from('c')), undefined)
      assert.equal(store.getSync(Buffer.from('c')), undefined)
      const many = await store.getMany([Buffer.from('b'), Buffer.from('x'), Buffer.from('a')])
      assert.deepEqual(
        many.map(value => value?.toString()),
        ['2', undefined, '1']
      )
    })

    test('a batch is done in its order, and deletes', async () => {
      const { store } = under
      await store.write([put('a', '1'), put('b', '1')], { sync: true })
      await store.write([put('a', '2'), { key: Buffer.from('b'), value: undefined }, put('a', '3')], { sync: false })
      assert.deepEqual(await contentOf(store), { a: '3' })
      await store.write([{ key: Buffer.from('never'), value: undefined }], { sync: false })
      assert.deepEqual(await contentOf(store), { a: '3' })
    })

    test('rows come in the order of their bytes, within bounds and limit', async () => {
      const { store } = under
      const keys = [[1], [1, 0], [1, 0xff], [2], [0x7f], [0x80], [0xfe, 1]].map(bytes => Buffer.from(bytes))
      await store.write(
        [...keys].reverse().map(key => ({ key, value: key })),
        { sync: false }
      )
      const all = await store.scan(KEYS)
      assert.deepEqual(
        all.map(({ key }) => key.toString('hex')),
        keys.map(key => key.toString('hex'))
      )
      const some = await store.scan({ from: Buffer.from([1, 0]), to: Buffer.from([0x80]), limit: 3 })
      assert.deepEqual(
        some.map(({ key }) => key.toString('hex')),
        ['0100', '01ff', '02']
      )
      assert.deepEqual(await store.scan({ from: Buffer.from([3]), to: Buffer.from([3]), limit: 5 }), [])
    })

    test('what was handed over may be changed afterwards', async () => {
      const { store } = under
      const value = Buffer.from('kept')
      await store.write([{ key: Buffer.from('a'), value }], { sync: false })
      value.fill('x')
      assert.deepEqual(await contentOf(store), { a: 'kept' })
    })

    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
      test(`after a crash a first part of the batches is there, up to the last synced one at least (seed ${seed})`, async () => {
        const random = seededRandom(seed)
        let states: Record<string, string>[] = [{}]
        let store = under.store
        for (let crashes = 0; crashes < 3; crashes++) {
          const first = states.length
          const certain = await writeBatches(store, { states, random })
          store = await under.crash(random)
          const found = await contentOf(store)
          const at = states.findLastIndex((state, i) => i >= certain && isSame(state, found))
          assert(at >= certain, `after ${first} to ${states.length - 1} batches, ${certain} of them certain`)
          states = [found]
        }
      })
    }
  })
}

/** Returns how many states must have been reached after a crash. `states[i]`: after batch i. */
async function writeBatches(
  store: IndexStore,
  { states, random }: { states: Record<string, string>[]; random: () => number }
): Promise<number> {
  let certain = 0
  for (let i = Math.floor(random() * 12); i > 0; i--) {
    const state = { ...states.at(-1) }
    const changes: IndexChange[] = []
    for (let j = Math.floor(random() * 5); j >= 0; j--) {
      const key = `key-${Math.floor(random() * 6)}`
      const value =
        random() < 0.25 ? undefined : `value-${states.length}-${j}-${'x'.repeat(Math.floor(random() * 200))}`
      changes.push({ key: Buffer.from(key), value: value === undefined ? undefined : Buffer.from(value) })
      if (value === undefined) Reflect.deleteProperty(state, key)
      else state[key] = value
    }
    const sync = random() < 0.3
    await store.write(changes, { sync })
    states.push(state)
    if (sync) certain = states.length - 1
  }
  return certain
}

function put(key: string, value: string): IndexChange {
  return { key: Buffer.from(key), value: Buffer.from(value) }
}

async function contentOf(store: IndexStore): Promise<Record<string, string>> {
  const rows = await store.scan(KEYS)
  return Object.fromEntries(rows.map(({ key, value }) => [key.toString(), value.toString()]))
}

function isSame(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key])
}
