import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenBucket } from './token-bucket.ts'

test.each([1_000, 100 * 1024 * 1024])('gives %i a second within 5% over ten seconds', perSecond => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 50 }), (partsPerStep, stepMs) => {
      const bucket = new TokenBucket(perSecond, 0)
      const part = Math.max(1, Math.floor(perSecond / 1000 / partsPerStep))
      let given = 0
      for (let nowMs = 0; nowMs <= 10_000; nowMs += stepMs) {
        while (bucket.waitMs(nowMs) === 0) {
          bucket.spend(part)
          given += part
        }
      }
      expect(given).toBeGreaterThan(perSecond * 10 * 0.95)
      expect(given).toBeLessThan(perSecond * 10 * 1.05)
    }),
    { numRuns: 20 }
  )
})

test('what is larger than the burst passes, and is paid for afterwards', () => {
  const bucket = new TokenBucket(100, 0)
  expect(bucket.waitMs(0)).toBe(0)
  bucket.spend(110)
  expect(bucket.waitMs(0)).toBeCloseTo(1000)
  expect(bucket.waitMs(999)).toBeGreaterThan(0)
  expect(bucket.waitMs(1001)).toBe(0)
})
