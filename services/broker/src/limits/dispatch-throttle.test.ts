import { ManualClock } from '@strata/base/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DispatchLimit } from './dispatch-limit.ts'
import { DispatchThrottle, type DispatchLimits } from './dispatch-throttle.ts'
import type { Rate } from './rate-pair.ts'

const MIB = 1024 * 1024

/** A subscription that always has something to send. */
class Eager {
  sent = 0
  wakes = 0
  readonly throttle: DispatchThrottle
  readonly #bytes: number
  readonly #messages: number

  constructor(clock: ManualClock, bytes: number, { countsEntries = false, messages = 1 } = {}) {
    this.#bytes = bytes
    this.#messages = messages
    const wake = (): void => {
      this.wakes++
      this.send()
    }
    this.throttle = new DispatchThrottle({ clock, countsEntries: () => countsEntries, wake })
  }

  send(): void {
    for (; this.throttle.isOpen(); this.sent += this.#messages) this.throttle.spend(this.#messages, this.#bytes)
    this.throttle.wait()
  }
}

function shared(clock: ManualClock, rate: Rate): DispatchLimit {
  const limit = new DispatchLimit(clock)
  limit.setRate(rate)
  return limit
}

const onTurn = (): void => undefined

const none: DispatchLimits = { broker: undefined, topic: undefined, subscription: undefined }

describe('a rate that subscriptions share', () => {
  test.each([
    {
      name: '1,000 messages a second',
      rate: { messagesPerSecond: 1000, bytesPerSecond: 0 },
      bytes: 100,
      expected: 10_000
    },
    { name: '100 MB a second', rate: { messagesPerSecond: 0, bytesPerSecond: 100 * MIB }, bytes: MIB, expected: 1000 }
  ])('$name is kept within 5% over ten seconds', ({ rate, bytes, expected }) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 40 }), (count, stepMs) => {
        const clock = new ManualClock()
        const topic = shared(clock, rate)
        const all = Array.from({ length: count }, () => new Eager(clock, bytes))
        for (const one of all) {
          one.throttle.setLimits({ ...none, topic })
          one.send()
        }
        for (let atMs = 0; atMs < 10_000; atMs += stepMs) clock.advance(stepMs)
        const sent = all.reduce((sum, one) => sum + one.sent, 0)
        expect(sent).toBeGreaterThan(expected * 0.95)
        expect(sent).toBeLessThan(expected * 1.05)
      }),
      { numRuns: 10 }
    )
  })

  test('is shared in turns, and nobody is woken for nothing', () => {
    const clock = new ManualClock()
    const topic = shared(clock, { messagesPerSecond: 100, bytesPerSecond: 0 })
    const all = Array.from({ length: 50 }, () => new Eager(clock, 1))
    for (const one of all) {
      one.throttle.setLimits({ ...none, topic })
      one.send()
    }
    for (let atMs = 0; atMs < 20_000; atMs += 5) clock.advance(5)
    const sent = all.map(one => one.sent)
    expect(Math.max(...sent) - Math.min(...sent)).toBeLessThan(15)
    const wakes = all.reduce((sum, one) => sum + one.wakes, 0)
    expect(wakes).toBeLessThanOrEqual(sent.reduce((sum, count) => sum + count, 0))
  })

  test('whoever had to read first keeps its turn until it has sent something', () => {
    const clock = new ManualClock()
    const limit = shared(clock, { messagesPerSecond: 10, bytesPerSecond: 0 })
    const [reading, behind, third] = [{ onTurn }, { onTurn }, { onTurn }]
    limit.spend(reading, 2, 0)
    limit.wait(reading)
    clock.advance(1000)
    limit.wait(behind)
    expect(limit.isOpenTo(reading)).toBe(true)
    expect(limit.isOpenTo(third)).toBe(false)
    limit.spend(reading, 1, 0)
    expect(limit.isOpenTo(reading)).toBe(false)
  })
})

test('all limits hold, and it is told which one made it wait', () => {
  const clock = new ManualClock()
  const broker = shared(clock, { messagesPerSecond: 1000, bytesPerSecond: 0 })
  const topic = shared(clock, { messagesPerSecond: 0, bytesPerSecond: 1000 })
  const one = new Eager(clock, 10)
  one.throttle.setLimits({ broker, topic, subscription: { messagesPerSecond: 10, bytesPerSecond: 0 } })
  one.send()
  for (let atMs = 0; atMs < 10_000; atMs += 10) clock.advance(10)
  expect(one.sent).toBeGreaterThan(95)
  expect(one.sent).toBeLessThan(105)
  expect(one.throttle.events.dispatchThrottledMsgEventsBySubscriptionLimit).toBeGreaterThan(0)
  expect(one.throttle.events.dispatchThrottledBytesEventsByTopicLimit).toBe(0)
  one.throttle.setLimits({ ...none, topic })
  one.send()
  expect(one.throttle.events.dispatchThrottledBytesEventsByTopicLimit).toBe(1)
})

test('a higher rate wakes whoever waits', () => {
  const clock = new ManualClock()
  const topic = shared(clock, { messagesPerSecond: 1, bytesPerSecond: 0 })
  const one = new Eager(clock, 1)
  one.throttle.setLimits({ ...none, topic })
  one.send()
  const before = one.sent
  topic.setRate({ messagesPerSecond: 1000, bytesPerSecond: 0 })
  expect(one.sent).toBeGreaterThan(before)
})

test('a batch may count as one', () => {
  const clock = new ManualClock()
  const one = new Eager(clock, 1, { countsEntries: true, messages: 100 })
  one.throttle.setLimits({ ...none, subscription: { messagesPerSecond: 10, bytesPerSecond: 0 } })
  one.send()
  for (let atMs = 0; atMs < 10_000; atMs += 10) clock.advance(10)
  expect(one.sent).toBeGreaterThan(9_500)
  expect(one.sent).toBeLessThan(10_500)
})
