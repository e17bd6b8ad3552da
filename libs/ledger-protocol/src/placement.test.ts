import { strict as assert } from 'node:assert'
import { bookieId, entryId, type BookieId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { choosePlacement, fillPlaces, readOrder, type PlacementNode } from './placement.ts'
import { sharesWriteSet, type QuorumConfig } from './quorum.ts'

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(bookieId)
const seedArb = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

/** Hosts stand in racks, as they do. */
const registryArb = fc
  .array(fc.record({ host: fc.nat(5), free: fc.nat(1_000_000), isNamed: fc.boolean() }), { maxLength: names.length })
  .map(nodes =>
    nodes.map(({ host, free, isNamed }, i): PlacementNode => ({
      bookieId: names[i] ?? assert.fail(),
      ...(isNamed ? { host: `h${host}`, rack: `r${host % 3}` } : {}),
      freeBytes: free
    }))
  )

const quorumArb = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat()).map(([ensembleSize, a]): QuorumConfig => {
  return { ensembleSize, writeQuorum: 1 + (a % ensembleSize), ackQuorum: 1 }
})

/** Pairs of places with copies of one entry that stand on one host (or in one rack). */
function clashesOf(
  by: 'host' | 'rack',
  chosen: readonly BookieId[],
  registry: readonly PlacementNode[],
  quorum: QuorumConfig
): number {
  const where = chosen.map(id => registry.find(node => node.bookieId === id)?.[by])
  let clashes = 0
  for (let a = 0; a < chosen.length; a++) {
    for (let b = 0; b < a; b++) {
      if (where[a] !== undefined && where[a] === where[b] && sharesWriteSet(a, b, quorum)) clashes += 1
    }
  }
  return clashes
}

/** Is there any ensemble at all without two copies on one host? Tries them all. */
function hasCleanEnsemble(registry: readonly PlacementNode[], quorum: QuorumConfig, chosen: BookieId[] = []): boolean {
  if (clashesOf('host', chosen, registry, quorum) > 0) return false
  if (chosen.length === quorum.ensembleSize) return true
  return registry.some(
    ({ bookieId: id }) => !chosen.includes(id) && hasCleanEnsemble(registry, quorum, [...chosen, id])
  )
}

describe('a placement', () => {
  test('is distinct nodes that are writable and not excluded, the same however the registry is ordered', () => {
    fc.assert(
      fc.property(registryArb, fc.subarray(names), quorumArb, seedArb, (writable, excluded, quorum, seed) => {
        const chosen = choosePlacement({ writable, excluded, quorum, seed })
        const candidates = writable.filter(node => !excluded.includes(node.bookieId)).map(node => node.bookieId)
        assert.equal(chosen === undefined, candidates.length < quorum.ensembleSize)
        if (chosen === undefined) return
        assert.equal(new Set(chosen).size, quorum.ensembleSize)
        assert(chosen.every(name => candidates.includes(name)))
        const reversed = [...writable].reverse()
        assert.deepEqual(choosePlacement({ writable: reversed, excluded, quorum, seed }), chosen)
      })
    )
  })

  test('puts no two copies of an entry on one host wherever any ensemble avoids it', () => {
    const oneHost = names.slice(0, 2).map(name => ({ bookieId: name, host: 'alone' }))
    let crowded = 0
    fc.assert(
      fc.property(registryArb, quorumArb, seedArb, (writable, quorum, seed) => {
        const chosen = choosePlacement({ writable, quorum, seed })
        if (chosen === undefined) return
        const clashes = clashesOf('host', chosen, writable, quorum)
        if (hasCleanEnsemble(writable, quorum)) assert.equal(clashes, 0)
        else crowded += 1
      }),
      { numRuns: 400, examples: [[oneHost, { ensembleSize: 2, writeQuorum: 2, ackQuorum: 1 }, 0.5]] }
    )
    assert(crowded > 0, 'some registries must leave no choice')
  })

  test('of whole write sets uses as many racks as there are', () => {
    fc.assert(
      fc.property(registryArb, fc.integer({ min: 1, max: 5 }), seedArb, (nodes, size, seed) => {
        const writable = nodes.map((node, i) => ({ host: `host-${i}`, ...node, rack: node.rack ?? 'r0' }))
        const quorum = { ensembleSize: size, writeQuorum: size, ackQuorum: 1 }
        const chosen = choosePlacement({ writable, quorum, seed })
        if (chosen === undefined) return
        const racks = new Set(chosen.map(id => writable.find(node => node.bookieId === id)?.rack))
        assert.equal(racks.size, Math.min(size, new Set(writable.map(({ rack }) => rack)).size))
      })
    )
  })

  test('keeps who is there, fills what it can, and takes a node to be avoided last', () => {
    fc.assert(
      fc.property(
        registryArb,
        quorumArb,
        fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
        fc.subarray(names),
        seedArb,
        (writable, quorum, keep, avoided, seed) => {
          const kept = ['x', 'y', 'z', 'u', 'v'].map(bookieId).slice(0, quorum.ensembleSize)
          const places = kept.map((id, i) => (keep[i] === true ? id : undefined))
          const filled = fillPlaces({ writable, quorum, places, avoided, seed })
          const chosen = filled.flatMap((id, i) => (places[i] === undefined ? (id ?? []) : []))
          places.forEach((place, i) => assert(place === undefined || filled[i] === place))
          const empty = places.filter(place => place === undefined).length
          assert.equal(chosen.length, Math.min(empty, writable.length))
          assert.equal(new Set(chosen).size, chosen.length)
          const good = writable.filter(node => !avoided.includes(node.bookieId)).length
          assert.equal(chosen.filter(id => !avoided.includes(id)).length, Math.min(good, empty))
        }
      )
    )
  })

  test('draws nodes in proportion to their free space', () => {
    const writable = [100, 200, 300, 400].map((freeBytes, i) => ({ bookieId: names[i] ?? assert.fail(), freeBytes }))
    const quorum = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
    const used = new Map<BookieId, number>()
    for (let i = 0; i < 10_000; i++) {
      for (const id of choosePlacement({ writable, quorum, seed: i / 10_000 }) ?? [])
        used.set(id, (used.get(id) ?? 0) + 1)
    }
    for (const { bookieId: id, freeBytes } of writable) {
      const share = (used.get(id) ?? 0) / 10_000
      assert(Math.abs(share - freeBytes / 1_000) < 0.03, `${id}: ${share}`)
    }
  })
})

test('a read asks the write set of the ensemble that holds the entry, each member once', () => {
  const quorum = { ensembleSize: 3, writeQuorum: 2, ackQuorum: 1 }
  const ensembles = [
    { firstEntryId: entryId(0), bookies: names.slice(0, 3) },
    { firstEntryId: entryId(5), bookies: names.slice(3, 6) }
  ]
  assert.deepEqual(readOrder(entryId(4), { quorum, ensembles }, 0), ['b', 'c'])
  assert.deepEqual(readOrder(entryId(4), { quorum, ensembles }, 0.9), ['c', 'b'])
  assert.deepEqual(readOrder(entryId(5), { quorum, ensembles }, 0), ['f', 'd'])
})
