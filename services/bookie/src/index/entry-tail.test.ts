import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { EntryTail } from './entry-tail.ts'

const placeOf = (i: number): { file: number; offset: number; payloadBytes: number } => ({
  ...{ file: 1 + (i % 3), offset: i * 64, payloadBytes: i % 1000 }
})

test('entries keep their places, however many come, and each is found by its id', () => {
  const tail = new EntryTail()
  const count = 10_000
  for (let i = 0; i < count; i++) {
    assert.equal(tail.find(i * 2), -1)
    tail.append(i * 2, placeOf(i))
  }
  assert.equal(tail.count, count)
  for (let i = 0; i < count; i++) {
    assert.equal(tail.entryId(i), i * 2)
    assert.deepEqual(tail.location(i), placeOf(i))
    assert.equal(tail.find(i * 2), i)
    assert.equal(tail.find(i * 2 + 1), -1)
  }
})

test('of an entry that came twice the latest counts, in whatever order all came', () => {
  const ids = fc.array(fc.nat(5_000), { minLength: 1, maxLength: 6_000 })
  fc.assert(
    fc.property(ids, entryIds => {
      const tail = new EntryTail()
      const latest = new Map<number, number>()
      for (const [i, entryId] of entryIds.entries()) {
        tail.append(entryId, placeOf(i))
        latest.set(entryId, i)
      }
      for (const [entryId, i] of latest) assert.equal(tail.find(entryId), i)
      assert.equal(tail.find(5_001), -1)
    }),
    { numRuns: 20 }
  )
})
