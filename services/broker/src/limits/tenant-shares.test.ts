import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { TenantShares, type TenantShare } from './tenant-shares.ts'

const KIB = 1024

function sharesOf(contendedBytes = 1024 * KIB): { clock: ManualClock; shares: TenantShares } {
  const clock = new ManualClock()
  return { clock, shares: new TenantShares({ clock, contendedBytes: () => contendedBytes }) }
}

describe('shares of tenants', () => {
  test('who publishes alone is not held back; beside others each has an equal part', () => {
    const { shares } = sharesOf()
    const flood = shares.of('flood')
    flood.take(10_000 * KIB)
    assert.equal(flood.isOver(1), false)
    const quiet = shares.of('quiet')
    quiet.take(KIB)
    assert.deepEqual([flood.isOver(1), quiet.isOver(1), shares.shareBytes], [true, false, 512 * KIB])
    const third = shares.of('third')
    third.take(KIB)
    assert.equal(shares.shareBytes, Math.floor((1024 * KIB) / 3) + 1 / 3)
  })

  test('while little waits nobody is held back, however it is divided', () => {
    const { shares } = sharesOf()
    shares.of('quiet').take(KIB)
    const other = shares.of('other')
    other.take(1023 * KIB)
    assert.equal(other.isOver(1), false)
    other.take(1)
    assert.equal(other.isOver(1), true)
  })

  test('many tenants have a batch each', () => {
    const { shares } = sharesOf()
    const tenants = Array.from({ length: 100 }, (_, i) => shares.of(`tenant-${i}`))
    for (const tenant of tenants) tenant.take(127 * KIB)
    assert.equal(shares.shareBytes, 128 * KIB)
    assert.equal(
      tenants.some(tenant => tenant.isOver(1)),
      false
    )
  })

  test('a tenant that publishes no more counts for a second at most', () => {
    const { clock, shares } = sharesOf()
    const quiet = shares.of('quiet')
    quiet.take(KIB)
    quiet.give(KIB)
    const flood = shares.of('flood')
    flood.take(2000 * KIB)
    assert.equal(flood.isOver(1), true)
    clock.advance(500)
    flood.take(KIB)
    assert.equal(flood.isOver(1), true)
    clock.advance(500)
    assert.equal(flood.isOver(1), false)
  })

  test('nothing is held back where the setting is 0', () => {
    const { shares } = sharesOf(0)
    for (const name of ['a', 'b']) shares.of(name).take(5000 * KIB)
    assert.equal(shares.of('a').isOver(1), false)
  })

  test('who waits is called when half of the share is free, the last one first', () => {
    const { shares } = sharesOf()
    shares.of('quiet').take(KIB)
    const flood = shares.of('flood')
    flood.take(1100 * KIB)
    const called: string[] = []
    flood.wait({ onRoom: () => called.push('first') })
    flood.wait({ onRoom: () => called.push('second') })
    flood.give(50 * KIB)
    assert.deepEqual(called, [])
    flood.give(800 * KIB)
    assert.deepEqual(called, ['second', 'first'])
    flood.give(250 * KIB)
    assert.equal(called.length, 2)
  })

  test('whatever is taken and given, nobody waits when nothing of its tenant is on its way', () => {
    const step = fc.record({ tenant: fc.nat(3), bytes: fc.nat(600 * KIB), ms: fc.nat(700) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const { clock, shares } = sharesOf()
        const held: { share: TenantShare; bytes: number }[] = []
        const waiting = new Set<TenantShare>()
        for (const { tenant, bytes, ms } of steps) {
          const share = shares.of(`${tenant}`)
          const isOver = share.isOver(1)
          if (isOver) {
            waiting.add(share)
            share.wait({ onRoom: () => waiting.delete(share) })
          } else {
            share.take(bytes)
            held.push({ share, bytes })
          }
          clock.advance(ms)
          if (bytes % 3 === 0) {
            const oldest = held.shift()
            oldest?.share.give(oldest.bytes)
          }
        }
        for (const { share, bytes } of held) share.give(bytes)
        assert.deepEqual([waiting.size, shares.heldBytes], [0, 0])
      })
    )
  })
})
