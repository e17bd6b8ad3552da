import { strict as assert } from 'node:assert'
import { bookieId, entryId } from '@strata/base'
import { writeSet, type EntryRange } from '@strata/ledger-protocol'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { foundEnsembles, type FoundEnsembles, type Holding } from './found-ensembles.ts'

interface Written {
  readonly ensembleSize: number
  readonly writeQuorum: number
  readonly ensembles: readonly { readonly first: number; readonly nodes: readonly string[] }[]
  readonly last: number
}

/** What nodes have when everything went well. */
function holdingsOf(written: Written): Map<string, Set<number>> {
  const held = new Map<string, Set<number>>()
  for (let entry = 0; entry <= written.last; entry++) {
    const ensemble = written.ensembles.findLast(({ first }) => first <= entry)
    const quorum = { ...written, ackQuorum: 1 }
    for (const place of writeSet(entryId(entry), quorum)) {
      const node = ensemble?.nodes[place] ?? ''
      held.set(node, (held.get(node) ?? new Set()).add(entry))
    }
  }
  return held
}

function asHoldings(held: ReadonlyMap<string, ReadonlySet<number>>): Holding[] {
  return [...held]
    .filter(([, entries]) => entries.size > 0)
    .map(([node, entries]) => {
      const ranges: EntryRange[] = []
      for (const entry of [...entries].sort((a, b) => a - b)) {
        const open = ranges.at(-1)
        if (open?.last === entry - 1) ranges[ranges.length - 1] = { first: open.first, last: entryId(entry) }
        else ranges.push({ first: entryId(entry), last: entryId(entry) })
      }
      return { bookieId: bookieId(node), held: ranges }
    })
}

function found(held: ReadonlyMap<string, ReadonlySet<number>>, last: number, spare: string[] = []): FoundEnsembles {
  const options = { lastEntryId: entryId(last), spare: spare.map(bookieId) }
  return foundEnsembles(asHoldings(held), options) ?? assert.fail('nothing was found')
}

/** Copies that the ensembles ask for and that are not there; and whether every entry can be read. */
function lacks(
  { ensembles, ...quorum }: FoundEnsembles,
  held: ReadonlyMap<string, ReadonlySet<number>>,
  last: number
): number {
  let missing = 0
  for (let entry = 0; entry <= last; entry++) {
    const ensemble = ensembles.findLast(({ firstEntryId }) => firstEntryId <= entry)
    const members = writeSet(entryId(entry), { ...quorum, ackQuorum: 1 }).map(place => ensemble?.bookies[place] ?? '')
    const good = members.filter(node => held.get(node)?.has(entry) === true).length
    assert(good > 0, `entry ${entry} has no holder in its write set`)
    missing += quorum.writeQuorum - good
  }
  return missing
}

const STRIPED: Written = {
  ensembleSize: 5,
  writeQuorum: 3,
  ensembles: [
    { first: 0, nodes: ['a', 'b', 'c', 'd', 'e'] },
    { first: 61, nodes: ['a', 'b', 'f', 'd', 'e'] }
  ],
  last: 120
}

describe('ensembles by what nodes have', () => {
  test('of a ledger that is not striped', () => {
    const nodes = ['a', 'b', 'c']
    const held = holdingsOf({ ensembleSize: 3, writeQuorum: 3, ensembles: [{ first: 0, nodes }], last: 9 })
    const ensembles = found(held, 9)
    assert.deepEqual([ensembles.ensembleSize, ensembles.writeQuorum, ensembles.ensembles.length], [3, 3, 1])
    assert.equal(lacks(ensembles, held, 9), 0)
  })

  test('of a striped one, a change in the middle too', () => {
    const held = holdingsOf(STRIPED)
    assert.deepEqual(found(held, 120), {
      ensembleSize: 5,
      writeQuorum: 3,
      ensembles: STRIPED.ensembles.map(({ first, nodes }) => ({ firstEntryId: first, bookies: nodes }))
    })
  })

  test('a rotten block does not make it another one', () => {
    const held = holdingsOf(STRIPED)
    held.get('d')?.delete([...(held.get('d') ?? [])][9] ?? -1)
    const ensembles = found(held, 120)
    assert.deepEqual([ensembles.ensembleSize, ensembles.writeQuorum, ensembles.ensembles.length], [5, 3, 2])
    assert.equal(lacks(ensembles, held, 120), 1)
  })

  test('a node that is destroyed leaves its place to another one', () => {
    const held = holdingsOf({ ...STRIPED, ensembles: STRIPED.ensembles.slice(0, 1), last: 400 })
    held.delete('c')
    const ensembles = found(held, 400, ['g', 'h'])
    assert.deepEqual([ensembles.ensembleSize, ensembles.writeQuorum], [5, 3])
    assert.equal(ensembles.ensembles[0]?.bookies[2], 'g')
    lacks(ensembles, held, 400)
  })

  test('whatever was written is covered, and nothing is asked for that is not there (many ledgers)', () => {
    const ledger = fc
      .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 90 }), fc.nat(9))
      .map(([size, writeQuorum, last, shift]): Written => {
        const nodes = Array.from({ length: size }, (_, i) => `n${(i + shift) % 7}`)
        const changed = nodes.with(shift % size, 'new')
        const ensembles = [
          { first: 0, nodes },
          { first: Math.floor(last / 2) + 1, nodes: changed }
        ]
        return { ensembleSize: size, writeQuorum: Math.min(size, writeQuorum), ensembles, last }
      })
    fc.assert(
      fc.property(ledger, written => {
        const held = holdingsOf(written)
        const missing = lacks(found(held, written.last), held, written.last)
        // a few entries may look like one ensemble that lacks a copy or two: then these are made
        const isTelling = written.last >= 4 * written.ensembleSize
        assert(missing <= (isTelling ? 0 : written.ensembleSize), `${missing} copies are asked for that never were`)
      }),
      { numRuns: 60 }
    )
  })

  test('a stray copy asks for nothing', () => {
    const held = holdingsOf(STRIPED)
    held.set('stray', new Set([3, 4, 5, 6, 7]))
    assert.equal(lacks(found(held, 120), held, 120), 0)
  })
})
