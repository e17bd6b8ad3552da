import { strict as assert } from 'node:assert'
import { bookieId, entryId } from '@strata/base'
import fc from 'fast-check'
import { test } from 'vitest'
import { choosePlacement, readOrder } from './placement.ts'

const names = ['a', 'b', 'c', 'd', 'e', 'f'].map(bookieId)
const seedArb = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('a placement is distinct nodes that are writable and not excluded, the same for the same arguments', () => {
  fc.assert(
    fc.property(fc.subarray(names), fc.subarray(names), fc.nat(6), seedArb, (writable, excluded, count, seed) => {
      const chosen = choosePlacement({ writable, excluded, count, seed })
      const candidates = writable.filter(name => !excluded.includes(name))
      assert.equal(chosen === undefined, candidates.length < count)
      if (chosen === undefined) return
      assert.equal(new Set(chosen).size, count)
      assert(chosen.every(name => candidates.includes(name)))
      assert.deepEqual(choosePlacement({ writable: [...writable].reverse(), excluded, count, seed }), chosen)
    })
  )
})

test('placements use every node', () => {
  const used = new Map<string, number>()
  for (let i = 0; i < 3_000; i++) {
    for (const name of choosePlacement({ writable: names, excluded: [], count: 2, seed: i / 3_000 }) ?? []) {
      used.set(name, (used.get(name) ?? 0) + 1)
    }
  }
  for (const name of names) assert((used.get(name) ?? 0) > 500, `${name}: ${used.get(name)} of 6,000`)
})

test('a read asks the write set of the ensemble that holds the entry, each member once', () => {
  const quorum = { ensembleSize: 3, writeQuorum: 2, ackQuorum: 1 }
  const ensembles = [
    { firstEntryId: entryId(0), bookies: names.slice(0, 3) },
    { firstEntryId: entryId(5), bookies: names.slice(3) }
  ]
  assert.deepEqual(readOrder(entryId(4), { quorum, ensembles }, 0), ['b', 'c'])
  assert.deepEqual(readOrder(entryId(4), { quorum, ensembles }, 0.9), ['c', 'b'])
  assert.deepEqual(readOrder(entryId(5), { quorum, ensembles }, 0), ['f', 'd'])
})
