import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { describe, test } from 'vitest'
import { ByteRate } from './byte-rate.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('the rate of copies', () => {
  test('is kept over all who copy', async () => {
    const clock = new ManualClock()
    const rate = new ByteRate(clock, 1_000)
    const startMs = clock.nowMs()
    const passed: number[] = []
    const done = Promise.all(
      Array.from({ length: 10 }, () => rate.take(500).then(() => passed.push(clock.nowMs() - startMs)))
    )
    for (let i = 0; i < 100; i++) {
      await turn()
      clock.advance(100)
    }
    await done
    assert.equal(passed.length, 10)
    passed.forEach((atMs, i) => assert(atMs >= i * 500 - 100 && atMs <= i * 500 + 100, `${i}: ${atMs}`))
  })

  test('that is none lets everything pass', async () => {
    const rate = new ByteRate(new ManualClock(), 0)
    for (let i = 0; i < 10; i++) await rate.take(1e12)
  })
})
