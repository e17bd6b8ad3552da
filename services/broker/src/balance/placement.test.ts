import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Placement, type PlacementBroker } from './placement.ts'
import { namePattern, NO_RULES, type IsolationPolicy, type NamePattern, type PlacementRules } from './rules.ts'
import { bundlesOf, TEST_SETTINGS } from './testing/load-world.ts'

const limits = TEST_SETTINGS.placement

function broker(id: string, more: Partial<PlacementBroker> = {}): PlacementBroker {
  return { id: `${id}:8080`, instance: `${id}#1`, isDraining: false, usage: 20, topics: 10, ...more }
}

const patterns = (texts: readonly string[]): NamePattern[] => texts.map(text => namePattern(text) ?? assert.fail(text))

function policy(more: {
  namespaces: readonly string[]
  primary: readonly string[]
  secondary?: readonly string[]
  minLimit?: number
  usageThreshold?: number
}): IsolationPolicy {
  return {
    name: 'p',
    namespaces: patterns(more.namespaces),
    primary: patterns(more.primary),
    secondary: patterns(more.secondary ?? []),
    minLimit: more.minLimit ?? 1,
    usageThreshold: more.usageThreshold ?? 100
  }
}

const isolatedBy = (...isolation: IsolationPolicy[]): PlacementRules => ({ ...NO_RULES, isolation })
const B = 't/n/0x00000000_0x40000000'

/** Where each of many bundles goes. */
function spreadOver(placement: Placement, bundles = bundlesOf('t/n', 4000)): Map<string, number> {
  const counts = new Map<string, number>()
  for (const bundle of bundles) {
    const { instance = 'none' } = placement.place(bundle)
    counts.set(instance, (counts.get(instance) ?? 0) + 1)
  }
  return counts
}

describe('by load', () => {
  test('bundles are spread in proportion to what is left of brokers', () => {
    const counts = spreadOver(
      new Placement(
        [broker('a', { usage: 20 }), broker('b', { usage: 60 }), broker('c', { usage: 40 })],
        NO_RULES,
        limits
      )
    )
    // 80 : 40 : 60
    expect(counts.get('a#1') ?? 0).toBeGreaterThan(1650)
    expect(counts.get('a#1') ?? 0).toBeLessThan(1900)
    expect(counts.get('b#1') ?? 0).toBeGreaterThan(780)
    expect(counts.get('b#1') ?? 0).toBeLessThan(1000)
  })

  test('one of whom nothing is known gets its share, not everything', () => {
    const counts = spreadOver(
      new Placement([broker('a'), broker('b'), broker('new', { usage: undefined, topics: 0 })], NO_RULES, limits)
    )
    expect(counts.get('new#1') ?? 0).toBeGreaterThan(1150)
    expect(counts.get('new#1') ?? 0).toBeLessThan(1500)
  })

  test('one that is full gets nothing, unless all are; one that is going away never', () => {
    const full = broker('full', { usage: 90 })
    const crowded = broker('crowded', { topics: 60_000 })
    const going = broker('going', { isDraining: true, usage: 0 })
    const calm = new Placement([full, crowded, going, broker('a')], NO_RULES, limits)
    expect([...spreadOver(calm).keys()]).toEqual(['a#1'])
    expect([...spreadOver(new Placement([full, going], NO_RULES, limits)).keys()]).toEqual(['full#1'])
    expect(new Placement([going], NO_RULES, limits).place(B)).toEqual({
      instance: undefined,
      reason: 'no broker may have it: no isolation policy'
    })
  })

  test('without balance by load all brokers are alike', () => {
    const counts = spreadOver(
      new Placement([broker('a'), broker('b', { usage: 99 })], NO_RULES, { ...limits, byLoad: false })
    )
    expect(Math.abs((counts.get('a#1') ?? 0) - 2000)).toBeLessThan(150)
  })

  test('a broker that goes moves only its own bundles, and the order of brokers does not count', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 2, maxLength: 12 }),
        fc.array(fc.integer({ min: 0, max: 80 }), { minLength: 12, maxLength: 12 }),
        fc.nat(),
        (ids, usages, seed) => {
          const brokers = ids.map((id, i) => broker(`b${id}`, { usage: usages[i] }))
          const all = new Placement(brokers, NO_RULES, limits)
          const gone = brokers[0] ?? assert.fail()
          const rest = new Placement(brokers.slice(1).reverse(), NO_RULES, limits)
          for (const bundle of bundlesOf('t/n', 32)) {
            const before = all.place(bundle, seed).instance
            if (before !== gone.instance) assert.equal(rest.place(bundle, seed).instance, before)
          }
        }
      )
    )
  })
})

describe('isolation', () => {
  const brokers = [broker('p1'), broker('p2'), broker('s1'), broker('free')]
  const rules = isolatedBy(policy({ namespaces: ['t/.*'], primary: ['p\\d'], secondary: ['s1'], minLimit: 2 }))
  const where = (all: readonly PlacementBroker[], bundle: string): string[] =>
    new Placement(all, rules, limits).candidates(bundle).brokers.map(({ instance }) => instance)

  test('a namespace goes to its primary brokers, others to those that are nobody’s', () => {
    expect(where(brokers, B)).toEqual(['p1#1', 'p2#1'])
    expect(where(brokers, 'u/n/0x00000000_0xffffffff')).toEqual(['s1#1', 'free#1'])
  })

  test('with too few primary brokers the secondary ones take part, and nobody else', () => {
    expect(where([broker('p1'), broker('s1'), broker('free')], B)).toEqual(['p1#1', 's1#1'])
    expect(where([broker('s1'), broker('free')], B)).toEqual(['s1#1'])
    expect(where([broker('free')], B)).toEqual([])
    expect(new Placement([broker('free')], rules, limits).place(B).instance).toBe(undefined)
  })

  test('a primary broker past the threshold does not count, yet it is better than none', () => {
    const hot = isolatedBy(policy({ namespaces: ['t/n'], primary: ['p.'], secondary: ['s1'], usageThreshold: 50 }))
    const full = broker('p1', { usage: 60 })
    const placed = (all: readonly PlacementBroker[]): string | undefined =>
      new Placement(all, hot, limits).place(B).instance
    expect(placed([full, broker('p2')])).toBe('p2#1')
    expect(placed([full, broker('s1')])).toBe('s1#1')
    expect(placed([full, broker('free')])).toBe('p1#1')
  })

  test('a bundle is called back to the primary brokers once enough of them are calm, and not before', () => {
    const hot = isolatedBy(policy({ namespaces: ['t/n'], primary: ['p.'], secondary: ['s1'], usageThreshold: 50 }))
    const stays = (usage: number): boolean =>
      new Placement([broker('p1', { usage }), broker('s1')], hot, limits).mayStay(B, 's1#1')
    expect(stays(55)).toBe(true)
    expect(stays(45)).toBe(true)
    expect(stays(35)).toBe(false)
    const placement = new Placement(brokers, rules, limits)
    expect(placement.mayStay(B, 'p1#1')).toBe(true)
    expect(placement.mayStay(B, 'free#1')).toBe(false)
    expect(placement.mayStay('u/n/0x00000000_0xffffffff', 'p1#1')).toBe(false)
    expect(placement.mayStay(B, 'gone#1')).toBe(true)
  })

  test('never elsewhere, whatever the load (property)', () => {
    const brokerArb = fc.record({
      id: fc.constantFrom('p1', 'p2', 's1', 's2', 'f1', 'f2'),
      usage: fc.option(fc.integer({ min: 0, max: 120 }), { nil: undefined }),
      isDraining: fc.boolean()
    })
    const strict = isolatedBy(policy({ namespaces: ['t/n'], primary: ['p.'], secondary: ['s.'], minLimit: 2 }))
    fc.assert(
      fc.property(fc.uniqueArray(brokerArb, { selector: ({ id }) => id }), fc.nat(), (all, seed) => {
        const living = all.map(({ id, ...more }) => broker(id, more))
        const placed = new Placement(living, strict, limits).place(B, seed).instance
        const may = all.filter(({ id, isDraining }) => !isDraining && !id.startsWith('f'))
        assert.equal(placed === undefined, may.length === 0)
        if (placed !== undefined) assert(may.some(({ id }) => `${id}#1` === placed))
      })
    )
  })
})

describe('anti-affinity', () => {
  const domains = new Map([
    ['a1:8080', 'a'],
    ['a2:8080', 'a'],
    ['b1:8080', 'b'],
    ['c1:8080', 'c']
  ])
  const brokers = ['a1', 'a2', 'b1', 'c1'].map(id => broker(id))
  const groups = new Map(['t/n', 't/m', 't/o'].map(namespace => [namespace, 'g']))

  function placed(holders: Record<string, string[]>, withDomains = true): Set<string | undefined> {
    const rules: PlacementRules = {
      isolation: [],
      groups,
      holders: new Map(Object.entries(holders)),
      domains: withDomains ? domains : new Map()
    }
    const placement = new Placement(brokers, rules, limits)
    return new Set(bundlesOf('t/n', 64).map(bundle => placement.place(bundle).instance))
  }

  test('namespaces of a group are in different domains, as far as there are enough', () => {
    expect(placed({ 't/m': ['a1#1'] })).toEqual(new Set(['b1#1', 'c1#1']))
    expect(placed({ 't/m': ['a1#1'], 't/o': ['b1#1'] })).toEqual(new Set(['c1#1']))
    expect(placed({ 't/m': ['a1#1', 'b1#1'], 't/o': ['b1#1', 'c1#1'] })).toEqual(new Set(['a1#1', 'a2#1', 'c1#1']))
  })

  test('a namespace of a group keeps together', () => {
    expect(placed({ 't/n': ['a2#1'] })).toEqual(new Set(['a1#1', 'a2#1']))
    expect(placed({ 't/n': ['a2#1'] }, false)).toEqual(new Set(['a2#1']))
  })

  test('without domains it is brokers that are kept apart', () => {
    expect(placed({ 't/m': ['a1#1'] }, false)).toEqual(new Set(['a2#1', 'b1#1', 'c1#1']))
  })
})
