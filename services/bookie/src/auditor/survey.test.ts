import { strict as assert } from 'node:assert'
import { entryId } from '@strata/base'
import { writeSet, type EntryRange } from '@strata/ledger-protocol'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { missingAt, type HeldPlace } from './survey.ts'

const placeArb = fc
  .record({
    ensembleSize: fc.integer({ min: 1, max: 6 }),
    writeQuorum: fc.integer({ min: 1, max: 6 }),
    index: fc.nat(5),
    first: fc.nat(20),
    count: fc.integer({ min: 1, max: 40 })
  })
  .filter(({ ensembleSize, writeQuorum, index }) => writeQuorum <= ensembleSize && index < ensembleSize)
  .map(({ ensembleSize, writeQuorum, index, first, count }): HeldPlace => {
    const quorum = { ensembleSize, writeQuorum, ackQuorum: 1 }
    return { quorum, index, first: entryId(first), last: entryId(first + count - 1) }
  })

const idsOf = ({ first, last }: EntryRange): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const isIn = (ranges: readonly EntryRange[], id: number): boolean =>
  ranges.some(({ first, last }) => first <= id && id <= last)

function rangesOf(ids: readonly number[]): EntryRange[] {
  const ranges: { first: number; last: number }[] = []
  for (const id of ids) {
    const open = ranges.at(-1)
    if (open?.last === id - 1) open.last = id
    else ranges.push({ first: id, last: id })
  }
  return ranges as unknown as EntryRange[]
}

describe('what a member lacks', () => {
  test('is what it must hold and does not name, in as few ranges as there are', () => {
    fc.assert(
      fc.property(placeArb, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (place, isHeld) => {
        const all = idsOf(place)
        const held = rangesOf(all.filter((_, i) => isHeld[i]))
        const missing = missingAt(place, held)
        const own = all.filter(id => writeSet(entryId(id), place.quorum).includes(place.index))
        for (const id of own) assert.equal(isIn(missing, id), !isIn(held, id), `entry ${id}`)
        for (const { first, last } of missing) assert(own.includes(first) && own.includes(last))
        missing.slice(1).forEach(({ first }, i) => {
          const before = missing[i]?.last ?? assert.fail()
          assert(
            own.some(id => id > before && id < first && isIn(held, id)),
            'two ranges could be one'
          )
        })
      })
    )
  })
})
