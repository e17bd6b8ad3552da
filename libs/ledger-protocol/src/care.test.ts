import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, type BookieId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import {
  collectDecision,
  dependenceOn,
  orphanDecision,
  repairStance,
  type LedgerFacts,
  type NodeAbsence,
  type OwnershipFacts
} from './care.ts'
import type { Ensemble } from './quorum.ts'
import { planRepair, withRepair } from './repair-plan.ts'

const names = Array.from({ length: 9 }, (_, i) => bookieId(`n${i}`))

describe('many nodes gone at once', () => {
  const absent = (...gone: (number | undefined)[]): NodeAbsence[] =>
    gone.map((goneSinceMs, i) => ({ bookieId: names[i] ?? assert.fail(), rack: `r${i % 3}`, goneSinceMs }))
  const HOUR = 3_600_000

  test('stop repair where they are a third of all, or of a rack', () => {
    assert.deepEqual(repairStance(absent(0, 1, 2, undefined, undefined, undefined)), {
      kind: 'wait',
      rack: undefined,
      gone: 3,
      of: 6
    })
    const rack = absent(0, undefined, undefined, 5, undefined, undefined, undefined, undefined, undefined)
    assert.deepEqual(repairStance(rack), { kind: 'wait', rack: 'r0', gone: 2, of: 3 })
  })

  test('do not where it is one node, or one after the other over time', () => {
    assert.deepEqual(repairStance(absent(0, undefined)), { kind: 'repair' })
    assert.deepEqual(repairStance(absent(undefined, undefined, undefined)), { kind: 'repair' })
    const slowly = absent(0, undefined, undefined, 2 * HOUR, undefined, undefined, 4 * HOUR, undefined, undefined)
    assert.deepEqual(repairStance(slowly), { kind: 'repair' })
  })

  test('law: more nodes gone at the same time never turn waiting into repair', () => {
    const nodeArb = fc.record({ rack: fc.nat(2), isGone: fc.boolean() })
    fc.assert(
      fc.property(fc.array(nodeArb, { minLength: 1, maxLength: 9 }), fc.nat(), (nodes, who) => {
        const build = (isGone: (i: number) => boolean): NodeAbsence[] =>
          nodes.map(({ rack }, i) => ({
            bookieId: names[i] ?? assert.fail(),
            rack: `r${rack}`,
            goneSinceMs: isGone(i) ? 7 : undefined
          }))
        const before = repairStance(build(i => nodes[i]?.isGone === true))
        const after = repairStance(build(i => nodes[i]?.isGone === true || i === who % nodes.length))
        if (before.kind === 'wait') assert.equal(after.kind, 'wait')
        const gone = nodes.filter(({ isGone }) => isGone).length
        if (gone >= 2 && gone * 3 >= nodes.length) assert.equal(before.kind, 'wait')
        if (gone < 2) assert.equal(before.kind, 'repair')
      })
    )
  })
})

describe('a node that is to leave', () => {
  const leaving = names[0] ?? assert.fail()
  const ledger = (state: LedgerFacts['state'], last?: number): LedgerFacts => ({
    ledgerId: ledgerId(4),
    state,
    end: last === undefined ? undefined : { lastEntryId: entryId(last), lengthBytes: 9 },
    ensembles: [
      { firstEntryId: entryId(0), bookies: names.slice(0, 3) },
      { firstEntryId: entryId(10), bookies: names.slice(1, 4) },
      { firstEntryId: entryId(20), bookies: [...names.slice(5, 7), leaving] }
    ]
  })

  test('is needed by the ensembles that hold something on it; those of a writer are left to it', () => {
    const first = { ledgerId: 4, kind: 'repair', first: 0, last: 9 }
    assert.deepEqual(dependenceOn(leaving, ledger('open')), [
      { ...first, why: 'open' },
      { ledgerId: 4, kind: 'wait', why: 'open', first: 20, last: undefined }
    ])
    assert.deepEqual(dependenceOn(leaving, ledger('closed', 30)), [
      { ...first, why: 'closed' },
      { ledgerId: 4, kind: 'repair', why: 'closed', first: 20, last: 30 }
    ])
    assert.deepEqual(dependenceOn(leaving, ledger('closed', 19)), [{ ...first, why: 'closed' }])
    assert.deepEqual(dependenceOn(leaving, ledger('closed', -1)), [])
  })

  test('law: when the plan for it is carried out nothing depends on it, and until then nothing lacks a copy', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: 3, maxLength: 3 }), fc.nat(40), (bookies, last) => {
        const quorum = { ensembleSize: 3, writeQuorum: 2, ackQuorum: 2 }
        const facts = { ...ledger('closed', last), ensembles: [{ firstEntryId: entryId(0), bookies }] }
        const end = facts.end ?? assert.fail()
        const writable = names.filter(name => name !== leaving).map(name => ({ bookieId: name }))
        const plan = planRepair({
          ledger: { quorum, ensembles: facts.ensembles, end },
          standing: (name: BookieId) => (name === leaving ? 'leaving' : 'present'),
          missing: new Map(),
          writable,
          seed: 0.3
        })
        assert.equal(plan.tasks.length, bookies.includes(leaving) ? 1 : 0)
        assert.deepEqual(plan.lost, [])
        const ensembles = plan.tasks.reduce<readonly Ensemble[]>(
          (sofar, task) => withRepair(sofar, task),
          facts.ensembles
        )
        assert.deepEqual(dependenceOn(leaving, { ...facts, ensembles }), [])
      })
    )
  })
})

describe('what a node throws away', () => {
  const storeArb = fc.record({
    ownClusterId: fc.constant('a'),
    storeClusterId: fc.constantFrom('a', 'b'),
    revision: fc.nat(3),
    highestRevision: fc.nat(3)
  })
  const heldArb = fc.record({
    hasDeletionRecord: fc.boolean(),
    ledger: fc.option(
      fc.record({ state: fc.constantFrom('open', 'in-recovery', 'closed'), isMember: fc.boolean() } as const),
      { nil: undefined }
    )
  })

  test('law: it deletes exactly on a committed record, from its own store, that is not an older one', () => {
    const reached = new Set<string>()
    fc.assert(
      fc.property(storeArb, heldArb, (store, held) => {
        const decision = collectDecision(store, held)
        reached.add(decision.kind === 'delete' ? 'delete' : `${decision.kind}: ${decision.why}`)
        const isTrusted = store.storeClusterId === 'a' && store.revision >= store.highestRevision
        const isDeleted = held.hasDeletionRecord && held.ledger === undefined
        assert.equal(decision.kind === 'delete', isTrusted && isDeleted)
        if (!isTrusted) assert.equal(decision.kind, 'keep')
        if (held.ledger?.isMember === true) assert.equal(decision.kind, 'keep')
      }),
      { numRuns: 500 }
    )
    assert.equal(reached.size, 8, [...reached].join())
  })
})

test('a ledger is collected when its owner says so, or has not listed it for long; never on an unknown', () => {
  const after = (listing: OwnershipFacts['listing'], unlistedForMs: number): string =>
    orphanDecision({ listing, unlistedForMs, graceMs: 100 })
  assert.deepEqual(
    (['listed', 'unknown', 'deleting', 'not listed', 'no owner'] as const).map(listing => [
      after(listing, 99),
      after(listing, 100)
    ]),
    [
      ['keep', 'keep'],
      ['keep', 'keep'],
      ['delete', 'delete'],
      ['wait', 'delete'],
      ['wait', 'delete']
    ]
  )
})
