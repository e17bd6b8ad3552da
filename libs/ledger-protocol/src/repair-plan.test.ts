import { strict as assert } from 'node:assert'
import { bookieId, entryId, type BookieId, type EntryId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { membersOf, type Ensemble, type QuorumConfig } from './quorum.ts'
import { planRepair, withRepair, type EntryRange, type EntryStripe, type NodeStanding } from './repair-plan.ts'

const names = Array.from({ length: 9 }, (_, i) => bookieId(`n${i}`))

interface World {
  readonly quorum: QuorumConfig
  readonly ensembles: readonly Ensemble[]
  readonly last: number
  readonly standings: ReadonlyMap<BookieId, NodeStanding>
  readonly missing: ReadonlyMap<BookieId, readonly EntryRange[]>
  readonly seed: number
}

const rangesArb = fc
  .uniqueArray(fc.nat(30), { maxLength: 4 })
  .map(cuts => [...cuts].sort((a, b) => a - b))
  .map(cuts =>
    cuts.flatMap((first, i) =>
      i % 2 === 0 ? [{ first: entryId(first), last: entryId((cuts[i + 1] ?? first + 2) - 1) }] : []
    )
  )
  .map(ranges => ranges.filter(({ first, last }) => last >= first))

const worldArb: fc.Arbitrary<World> = fc
  .record({
    size: fc.integer({ min: 1, max: 4 }),
    a: fc.nat(),
    b: fc.nat(),
    firsts: fc.uniqueArray(fc.integer({ min: 1, max: 25 }), { maxLength: 2 }),
    shuffles: fc.array(fc.shuffledSubarray(names, { minLength: 4, maxLength: 4 }), { minLength: 3, maxLength: 3 }),
    last: fc.integer({ min: -1, max: 30 }),
    standings: fc.array(
      fc.constantFrom<NodeStanding>('present', 'present', 'present', 'leaving', 'gone', 'destroyed'),
      {
        minLength: names.length,
        maxLength: names.length
      }
    ),
    missing: fc.array(rangesArb, { minLength: names.length, maxLength: names.length }),
    seed: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  })
  .map(({ size, a, b, firsts, shuffles, last, standings, missing, seed }) => {
    const writeQuorum = 1 + (a % size)
    return {
      quorum: { ensembleSize: size, writeQuorum, ackQuorum: 1 + (b % writeQuorum) },
      ensembles: [0, ...firsts.sort((x, y) => x - y)].map((first, i) => ({
        firstEntryId: entryId(first),
        bookies: shuffles[i]?.slice(0, size) ?? []
      })),
      last,
      standings: new Map(names.map((name, i) => [name, standings[i] ?? 'present'])),
      missing: new Map(names.map((name, i) => [name, missing[i] ?? []])),
      seed
    }
  })

/** Entries of a stripe, one by one. */
function entriesOf({ first, last, remainder }: EntryStripe, size: number): EntryId[] {
  const all = Array.from({ length: last - first + 1 }, (_, i) => entryId(first + i))
  return all.filter(id => remainder === undefined || id % size === remainder)
}

const isThere = (standing: NodeStanding | undefined): boolean => standing === 'present' || standing === 'leaving'

function holdings({ quorum, ensembles, last, standings, missing }: World): Map<BookieId, Set<number>> {
  const held = new Map(names.map(name => [name, new Set<number>()]))
  for (let id = entryId(0); id <= last; id = entryId(id + 1)) {
    for (const member of membersOf(id, quorum, ensembles)) {
      const lacks = (missing.get(member) ?? []).some(range => range.first <= id && id <= range.last)
      if (isThere(standings.get(member)) && !lacks) held.get(member)?.add(id)
    }
  }
  return held
}

/** Makes the copies of a plan; returns the ensembles afterwards. */
function carryOut(world: World, held: Map<BookieId, Set<number>>): readonly Ensemble[] {
  const { quorum, standings } = world
  const writable = names.filter(name => standings.get(name) === 'present').map(name => ({ bookieId: name }))
  const end = { lastEntryId: entryId(world.last), lengthBytes: 0 }
  const standing = (bookie: BookieId): NodeStanding => standings.get(bookie) ?? 'gone'
  const ledger = { quorum, ensembles: world.ensembles, end }
  const plan = planRepair({ ledger, standing, missing: world.missing, writable, seed: world.seed })
  const before = new Map([...held].map(([name, ids]) => [name, new Set(ids)]))
  let { ensembles } = world
  for (const task of plan.tasks) {
    assert(task.to === task.member ? standing(task.member) === 'present' : standing(task.member) !== 'present') // A2
    assert(task.parts.length > 0 || task.to !== task.member) // A4
    if (task.to === undefined) continue
    for (const part of task.parts) {
      for (const id of entriesOf(part, quorum.ensembleSize)) {
        const writers = membersOf(id, quorum, world.ensembles)
        assert(writers.includes(task.member) && part.from.length > 0)
        for (const source of part.from) assert(writers.includes(source) && before.get(source)?.has(id) === true) // A1
        held.get(task.to)?.add(id)
      }
    }
    ensembles = withRepair(ensembles, task)
  }
  const lost = new Set(plan.lost.flatMap(stripe => entriesOf(stripe, quorum.ensembleSize)))
  for (let id = entryId(0); id <= world.last; id = entryId(id + 1)) {
    const isLost = membersOf(id, quorum, world.ensembles).every(member => before.get(member)?.has(id) !== true)
    assert.equal(lost.has(id), isLost, `entry ${id}`) // A3
    for (const member of isLost ? membersOf(id, quorum, world.ensembles) : []) {
      const isKnownToLack = (world.missing.get(member) ?? []).some(({ first, last }) => first <= id && id <= last)
      if (standing(member) !== 'gone' || isKnownToLack) continue
      assert(membersOf(id, quorum, ensembles).includes(member), `${member} may hold entry ${id}`) // A5
    }
  }
  return ensembles
}

describe('a repair plan', () => {
  test('carried out leaves every entry that anyone had with all its copies, on distinct nodes that stay', () => {
    let whole = 0
    fc.assert(
      fc.property(worldArb, world => {
        const held = holdings(world)
        const before = new Map([...held].map(([name, ids]) => [name, new Set(ids)]))
        const ensembles = carryOut(world, held)
        for (const { bookies } of ensembles) assert.equal(new Set(bookies).size, bookies.length)
        for (let id = entryId(0); id <= world.last; id = entryId(id + 1)) {
          const had = membersOf(id, world.quorum, world.ensembles).some(member => before.get(member)?.has(id))
          const members = membersOf(id, world.quorum, ensembles)
          if (!had || members.some(member => world.standings.get(member) !== 'present')) continue // nobody could take it
          assert(
            members.every(member => held.get(member)?.has(id)),
            `entry ${id}`
          )
          whole += 1
        }
      }),
      { numRuns: 1_000 }
    )
    assert(whole > 1_000)
  })

  test('for a ledger that lacks nothing is empty', () => {
    const ensembles = [{ firstEntryId: entryId(0), bookies: names.slice(0, 3) }]
    const ledger = {
      quorum: { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 },
      ensembles,
      end: { lastEntryId: entryId(1_000_000_000), lengthBytes: 1 }
    }
    const writable = names.map(name => ({ bookieId: name }))
    const view = { ledger, missing: new Map(), writable, seed: 0.5 }
    assert.deepEqual(planRepair({ ...view, standing: () => 'present' }), { tasks: [], lost: [] })
    const { tasks } = planRepair({ ...view, standing: name => (name === names[1] ? 'leaving' : 'present') })
    assert.equal(tasks.length, 1)
    assert.deepEqual(tasks[0]?.parts, [
      { first: 0, last: 1_000_000_000, remainder: undefined, from: names.slice(0, 3) }
    ])
  })
})
