import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { describe, test } from 'vitest'
import { LoginLimit } from './login-limit.ts'

describe('failed logins of one address', () => {
  test('are counted until they are too many, and forgotten as time goes by', () => {
    const clock = new ManualClock()
    const limit = new LoginLimit({ clock, perMinute: () => 6 })
    for (let count = 0; count < 6; count++) {
      assert.equal(limit.waitMs('10.0.0.1'), 0)
      limit.failed('10.0.0.1')
    }
    assert.equal(limit.waitMs('10.0.0.1'), 10_000)
    assert.equal(limit.waitMs('::ffff:10.0.0.1'), 10_000)
    assert.equal(limit.waitMs('10.0.0.2'), 0, 'nobody else waits')
    clock.advance(9_999)
    assert.ok(limit.waitMs('10.0.0.1') > 0)
    clock.advance(1)
    assert.equal(limit.waitMs('10.0.0.1'), 0)
    limit.failed('10.0.0.1')
    assert.equal(limit.waitMs('10.0.0.1'), 10_000, 'one more at a time')
    clock.advance(3_600_000)
    for (let count = 0; count < 6; count++) limit.failed('10.0.0.1')
    assert.equal(limit.waitMs('10.0.0.1'), 10_000, 'rest is no credit for more')
  })

  test('a host of IPv6 is one, whatever addresses it takes', () => {
    const limit = new LoginLimit({ clock: new ManualClock(), perMinute: () => 2 })
    limit.failed('2001:db8:1:2::7')
    limit.failed('2001:db8:1:2:aaaa:bbbb:cccc:dddd')
    assert.ok(limit.waitMs('2001:db8:1:2:1::') > 0)
    assert.equal(limit.waitMs('2001:db8:1:3::7'), 0)
    limit.failed('::1')
    limit.failed('::1')
    assert.ok(limit.waitMs('::1') > 0)
  })

  test('an attack from everywhere takes bounded memory', () => {
    const limit = new LoginLimit({ clock: new ManualClock(), perMinute: () => 1 })
    for (let count = 0; count < 50_000; count++) limit.failed(`10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`)
    assert.equal(limit.size, 10_000)
    assert.ok(limit.waitMs('10.0.195.79') > 0, 'the last one is remembered')
  })

  test('0 is no limit', () => {
    const limit = new LoginLimit({ clock: new ManualClock(), perMinute: () => 0 })
    for (let count = 0; count < 100; count++) limit.failed('10.0.0.1')
    assert.deepEqual([limit.waitMs('10.0.0.1'), limit.size], [0, 0])
  })
})
