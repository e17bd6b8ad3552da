import { strict as assert } from 'node:assert'
import { entryId } from '@strata/base'
import fc from 'fast-check'
import { test } from 'vitest'
import { CopyCursor, type CopyStretch } from './copy-cursor.ts'

const limits = { first: entryId(3), last: entryId(20_000), every: 1, bytesMax: 1e9, stretchBytes: 1e6 }

test('a stretch has as many entries as make its bytes, once their size is known', () => {
  const cursor = new CopyCursor(limits)
  const first = cursor.take()
  assert(first !== undefined)
  assert.deepEqual([first.first, first.last], [3, 258])
  assert.equal(cursor.give(first, { count: 256, bytes: 256_000 }), undefined)
  assert.equal(cursor.next, 259)
  const second = cursor.take()
  assert.deepEqual([second?.first, second?.last, second?.bytes], [259, 1258, 1_000_000])
  assert.equal(cursor.next, 259)
})

test('what is given behind a gap does not count, and past a failure nothing is begun', () => {
  const cursor = new CopyCursor(limits)
  const [first, second] = [cursor.take(), cursor.take()]
  assert(first !== undefined && second !== undefined)
  cursor.give(second, { count: 256, bytes: 1_000 })
  assert.equal(cursor.next, 3)
  const left = cursor.give(first, { count: 10, bytes: 40 })
  assert(left !== undefined)
  assert.equal(cursor.next, 13)
  cursor.fail(left)
  assert.equal(cursor.take(), undefined)
  assert.equal(cursor.next, 13)
})

test('no more is begun than the bytes that are wanted', () => {
  const cursor = new CopyCursor({ ...limits, bytesMax: 1.5e6 })
  const [first, second] = [cursor.take(), cursor.take()]
  assert(first !== undefined && second !== undefined)
  assert.equal(cursor.take(), undefined)
  cursor.give(first, { count: 256, bytes: 1.6e6 })
  assert.equal(cursor.take(), undefined)
})

test('every entry of the stripe is asked for once, and at the end all of them are before the next one', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 })
  const plan = fc.record({
    first: fc.integer({ min: 0, max: 50 }),
    count: fc.integer({ min: 1, max: 3_000 }),
    every: fc.integer({ min: 1, max: 7 }),
    sizes,
    turns: fc.array(fc.nat(), { minLength: 1, maxLength: 50 })
  })
  fc.assert(
    fc.property(plan, ({ first, count, every, sizes: bytesOf, turns }) => {
      const last = first + (count - 1) * every
      const range = { first: entryId(first), last: entryId(last), every, bytesMax: 1e9, stretchBytes: 20_000 }
      const cursor = new CopyCursor(range)
      const open: CopyStretch[] = []
      const given: number[] = []
      for (let turn = 0; ; turn++) {
        const chance = turns[turn % turns.length] ?? 0
        const taken = open.length < 3 ? cursor.take() : undefined
        if (taken !== undefined) open.push(taken)
        const [stretch] = open.splice(chance % Math.max(1, open.length), 1)
        if (stretch === undefined) break
        const whole = (stretch.last - stretch.first) / every + 1
        const got = 1 + (chance % whole)
        for (let i = 0; i < got; i++) given.push(stretch.first + i * every)
        const size = bytesOf[turn % bytesOf.length] ?? 1
        const left = cursor.give(stretch, { count: got, bytes: got * size })
        if (left !== undefined) open.push(left)
      }
      assert.deepEqual(
        given.sort((a, b) => a - b),
        Array.from({ length: count }, (_, i) => first + i * every)
      )
      assert(cursor.next > last)
    })
  )
})
