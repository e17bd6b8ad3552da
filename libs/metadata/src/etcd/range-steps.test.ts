import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'vitest'
import { EtcdKeys } from './etcd-keys.ts'
import { COUNTED_MAX, Densities, RangeSteps } from './range-steps.ts'

const KEYS = new EtcdKeys('/strata/')
const MANY = 60_000
const PAGE = 1_000
const FIRST_ROWS = 128

/** Sorted keys, read as etcd reads them: it goes through all that a request names. */
class Tree {
  readonly #keys: Buffer[]
  readonly #densities = new Densities()
  requests = 0
  countedMax = 0

  constructor(keys: readonly string[]) {
    this.#keys = keys.map(key => KEYS.data(key)).sort((a, b) => a.compare(b))
  }

  read({ prefix, after, limit }: { prefix: string; after?: string | undefined; limit: number }): string[] {
    const steps = new RangeSteps(KEYS.records(prefix, after), {
      after: after === undefined ? undefined : KEYS.data(after),
      density: this.#densities.of(prefix)
    })
    const read: string[] = []
    for (let rows = Math.min(limit, FIRST_ROWS); ; rows = Math.min(rows * 2, PAGE)) {
      const { key, rangeEnd } = steps.range
      const from = this.#rankOf(key)
      const count = Math.max(0, this.#rankOf(rangeEnd) - from)
      this.requests++
      this.countedMax = Math.max(this.countedMax, count)
      const kvs = this.#keys.slice(from, from + Math.min(count, rows)).map(stored => ({ key: stored }))
      const isMore = steps.answered({ kvs, count })
      read.push(...kvs.map(row => KEYS.keyOf(row.key)))
      if (!isMore || read.length >= limit) return read.slice(0, limit)
    }
  }

  /** Of all below a prefix, page by page. */
  readAll(prefix: string, page: number): string[] {
    const all: string[] = []
    for (let after: string | undefined; ; after = all.at(-1)) {
      const read = this.read({ prefix, after, limit: page })
      all.push(...read)
      if (read.length < page) return all
    }
  }

  #rankOf(key: Buffer): number {
    let low = 0
    for (let high = this.#keys.length; low < high;) {
      const middle = (low + high) >> 1
      if ((this.#keys[middle]?.compare(key) ?? 0) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

const decimal = Array.from(
  { length: MANY },
  (_, index) => `topics/a/b/persistent/t-${String(index * 7).padStart(8, '0')}`
)
const random = Array.from({ length: MANY }, (_, index) => {
  return `topics/a/b/persistent/${createHash('sha1').update(`${index}`).digest('hex')}`
})
const spread = Array.from({ length: MANY }, (_, index) => `topics/a/n${index % 50}/persistent/t${index * 31}`)

test.each([
  ['numbers', decimal],
  ['random names', random],
  ['many namespaces', spread]
])('pages of many keys cost little once they were read: %s', (_, keys) => {
  const tree = new Tree(keys)
  const sorted = [...keys].sort()
  assert.deepEqual(tree.readAll('topics/', PAGE), sorted)
  tree.requests = 0
  tree.countedMax = 0
  const middle = sorted.slice(MANY / 2, MANY / 2 + PAGE)
  assert.deepEqual(tree.read({ prefix: 'topics/', limit: PAGE }), sorted.slice(0, PAGE))
  assert.deepEqual(tree.read({ prefix: 'topics/', after: sorted[MANY / 2 - 1], limit: PAGE }), middle)
  assert.ok(tree.requests <= 24, `${tree.requests} requests for two pages`)
  assert.ok(tree.countedMax <= 5 * COUNTED_MAX, `${tree.countedMax} keys counted by one request`)
})

test('all of many keys takes few more requests than they have rows, and few that count them all', () => {
  const tree = new Tree(decimal)
  assert.equal(tree.readAll('topics/', MANY).length, MANY)
  assert.ok(tree.requests < (2 * MANY) / PAGE, `${tree.requests} requests`)
})

test('what is few is read with one request', () => {
  const tree = new Tree(decimal.slice(0, 100))
  assert.equal(tree.readAll('topics/', PAGE).length, 100)
  assert.equal(tree.requests, 1)
})

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '/', '0'), maxLength: 6 })

test('every key of a range is read once and in order, whatever was read before', () => {
  const many = decimal.slice(0, 3 * COUNTED_MAX)
  const reads = fc.array(fc.record({ prefix: word, after: fc.option(word, { nil: undefined }), limit: fc.nat(300) }))
  fc.assert(
    fc.property(fc.uniqueArray(word, { minLength: 1, maxLength: 50 }), reads, (words, asked) => {
      const tree = new Tree([...words.filter(key => key !== ''), ...many, ...many.map(key => `b${key}`)])
      const all = tree.readAll('', Infinity)
      for (const { prefix, after, limit } of asked) {
        const from =
          after === undefined ? 0 : all.findIndex(key => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0)
        const expected =
          from < 0
            ? []
            : all
                .slice(from)
                .filter(key => key.startsWith(prefix))
                .slice(0, limit + 1)
        assert.deepEqual(tree.read({ prefix, after, limit: limit + 1 }), expected)
      }
    }),
    { numRuns: 30 }
  )
})
