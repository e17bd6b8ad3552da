import { strict as assert } from 'node:assert'
import { describe, expect, test } from 'vitest'
import { decide, type Decision } from './decide.ts'
import { MINUTE_MS, NO_HISTORY, type BalanceHistory } from './history.ts'
import type { BrokerView, BundleLoad } from './load.ts'
import { NO_RULES } from './rules.ts'
import { brokerView, bundleLoad, bundlesOf, TEST_SETTINGS } from './testing/load-world.ts'

/** The decisions of cycles over the same loads, cycle by cycle. */
function cycles(
  count: number,
  brokers: readonly BrokerView[] | ((cycle: number) => readonly BrokerView[]),
  more: { initialCount?: ReadonlyMap<string, number> } = {}
): (readonly Decision[])[] {
  let history: BalanceHistory = NO_HISTORY
  return Array.from({ length: count }, (_, cycle) => {
    const made = decide({
      brokers: typeof brokers === 'function' ? brokers(cycle) : brokers,
      rules: NO_RULES,
      misplaced: [],
      initialCount: more.initialCount ?? new Map(),
      settings: TEST_SETTINGS,
      history,
      nowMs: cycle * MINUTE_MS
    })
    history = made.history
    return made.decisions
  })
}

const [first = '', second = '', third = ''] = bundlesOf('t/n', 4)

describe('splits', () => {
  test.each([
    ['topics', { topics: 1001 }, '1001 topics of at most 1000'],
    ['sessions', { sessions: 1001 }, '1001 sessions of at most 1000'],
    ['messages', { messagesIn: 20_000, messagesOut: 11_000 }, '31000 messages/s of at most 30000'],
    ['bytes', { bytesIn: 2 ** 26, bytesOut: 2 ** 26 }, `${2 ** 27} bytes/s of at most ${100 * 2 ** 20}`]
  ])('by %s, at the third time in a row, then it rests', (_, load, excess) => {
    const made = cycles(20, [brokerView('a', [bundleLoad(first, 10, load)])])
    assert.deepEqual(made[0], [])
    assert.deepEqual(made[1], [])
    assert.deepEqual(made[2], [
      { kind: 'split', bundle: first, owner: 'a#1', reason: `split: ${excess}, 3 times in a row` }
    ])
    assert(made.slice(3).every(decisions => decisions.length === 0))
  })

  test('not for one that is past a limit now and then', () => {
    let history: BalanceHistory = NO_HISTORY
    for (let cycle = 0; cycle < 50; cycle++) {
      const topics = cycle % 3 === 2 ? 10 : 2000
      const brokers = [brokerView('a', [bundleLoad(first, 10, { topics })])]
      const request = { brokers, rules: NO_RULES, misplaced: [], initialCount: new Map<string, number>() }
      const made = decide({ ...request, settings: TEST_SETTINGS, history, nowMs: cycle * MINUTE_MS })
      assert.deepEqual(made.decisions, [])
      history = made.history
    }
  })

  test('not with a single topic, and not past the most bundles of a namespace', () => {
    const single = bundleLoad(first, 10, { topics: 1, messagesIn: 1e6 })
    const many = bundleLoad(second, 10, { topics: 5000, siblings: 128 })
    expect(cycles(5, [brokerView('a', [single, many])]).flat()).toEqual([])
    const last = [first, second, third].map(bundle => bundleLoad(bundle, 10, { topics: 5000, siblings: 126 }))
    expect(cycles(3, [brokerView('a', last)]).flat()).toHaveLength(2)
  })

  test('a few at a time', () => {
    const hot = bundlesOf('t/n', 64).map(bundle => bundleLoad(bundle, 10, { topics: 5000, siblings: 64 }))
    const counts = cycles(10, [brokerView('a', hot)]).map(decisions => decisions.length)
    expect(counts).toEqual([0, 0, 10, 10, 10, 10, 10, 10, 4, 0])
  })
})

describe('merges', () => {
  const initialCount = new Map([['t/n', 2]])
  const cold = [first, second].map(bundle => bundleLoad(bundle, 1))

  test('cold neighbours of a namespace that was split, after half an hour', () => {
    const made = cycles(40, [brokerView('a', cold)], { initialCount })
    expect(made.findIndex(decisions => decisions.length > 0)).toBe(29)
    expect(made.flat()).toEqual([
      {
        kind: 'merge',
        left: first,
        right: second,
        leftOwner: 'a#1',
        rightOwner: 'a#1',
        reason: 'merge: together below 25% of every limit of splits, 30 times in a row'
      }
    ])
  })

  test('not below the number that the namespace began with, nor of one that was never split', () => {
    expect(cycles(40, [brokerView('a', cold)], { initialCount: new Map([['t/n', 4]]) }).flat()).toEqual([])
    expect(cycles(40, [brokerView('a', cold)]).flat()).toEqual([])
  })

  test('what was divided last comes first, also where it was not heard of for a while', () => {
    const of = (range: string): BundleLoad => bundleLoad(`t/n/${range}`, 1, { siblings: 5 })
    const halves = [of('0x00000000_0x20000000'), of('0x20000000_0x40000000')] as const
    const quarters = ['0x40000000_0x80000000', '0x80000000_0xc0000000', '0xc0000000_0xffffffff'].map(of)
    const whole = [brokerView('a', [halves[0]]), brokerView('b', [halves[1], ...quarters])]
    const made = cycles(60, cycle => (cycle === 20 ? whole.slice(1) : whole), {
      initialCount: new Map([['t/n', 4]])
    })
    const [first] = made.flatMap((decisions, cycle) => decisions.map(decision => ({ ...decision, cycle })))
    expect(first).toMatchObject({ kind: 'merge', left: halves[0].bundle, right: halves[1].bundle, cycle: 50 })
  })

  test('not with another between them, nor where one is warm', () => {
    const apart = [first, third].map(bundle => bundleLoad(bundle, 1))
    expect(cycles(40, [brokerView('a', apart)], { initialCount }).flat()).toEqual([])
    const warm = [bundleLoad(first, 1), bundleLoad(second, 1, { topics: 250 })]
    expect(cycles(40, [brokerView('a', warm)], { initialCount }).flat()).toEqual([])
  })
})
