import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sharesOf, type Demand } from './shares.ts'

const demand: fc.Arbitrary<Demand> = fc.record({
  perSecond: fc.double({ min: 0, max: 1e9, noNaN: true }),
  isHeldBack: fc.boolean()
})
const limits = fc.integer({ min: 1, max: 1e9 })
const demands = fc.array(demand, { minLength: 1, maxLength: 30 })

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

test('the limit is given out, and not more', () => {
  fc.assert(
    fc.property(limits, demands, (limit, all) => {
      const total = sum(sharesOf(limit, all))
      expect(total).toBeLessThanOrEqual(limit * (1 + 1e-9))
      expect(total).toBeGreaterThanOrEqual(limit * (1 - 1e-9))
    })
  )
})

test('nobody starves: an equal share for who is held back, a part of it for who is idle', () => {
  fc.assert(
    fc.property(limits, demands, (limit, all) => {
      const equal = limit / all.length
      sharesOf(limit, all).forEach((share, index) => {
        const least = all[index]?.isHeldBack === true ? equal : equal * 0.05
        expect(share).toBeGreaterThanOrEqual(least * (1 - 1e-9))
      })
    })
  )
})

test('who uses less than an equal share keeps what it uses', () => {
  fc.assert(
    fc.property(limits, demands, (limit, all) => {
      sharesOf(limit, all).forEach((share, index) => {
        const used = all[index]?.perSecond ?? 0
        if (used <= limit / all.length) expect(share).toBeGreaterThanOrEqual(used * (1 - 1e-9))
      })
    })
  )
})

test('the order of brokers does not matter', () => {
  fc.assert(
    fc.property(limits, demands, (limit, all) => {
      const there = sharesOf(limit, all)
      const back = sharesOf(limit, [...all].reverse()).reverse()
      there.forEach((share, index) => {
        expect(back[index]).toBeCloseTo(share, 3)
      })
    })
  )
})

test.each([
  ['alone', [{ perSecond: 0, isHeldBack: false }], [100]],
  [
    'both would take more',
    [
      { perSecond: 90, isHeldBack: true },
      { perSecond: 10, isHeldBack: true }
    ],
    [50, 50]
  ],
  [
    'one has enough',
    [
      { perSecond: 20, isHeldBack: false },
      { perSecond: 60, isHeldBack: true }
    ],
    [22, 78]
  ],
  [
    'one is idle',
    [
      { perSecond: 0, isHeldBack: false },
      { perSecond: 60, isHeldBack: true }
    ],
    [2.5, 97.5]
  ]
])('%s', (_name, all, shares) => {
  sharesOf(100, all).forEach((share, index) => {
    expect(share).toBeCloseTo(shares[index] ?? 0)
  })
})
