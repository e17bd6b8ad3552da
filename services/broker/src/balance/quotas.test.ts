import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { describe, expect, test } from 'vitest'
import { LoadDigest } from './load-digest.ts'
import type { BrokerView } from './load.ts'
import { PlacementStore } from './placement-store.ts'
import { USUAL_QUOTA, withQuotas, type Quotas, type ResourceQuota } from './quotas.ts'
import { bundleLoad } from './testing/load-world.ts'
import { bundleNames, collected, ShellWorld } from './testing/shell-world.ts'

const [FIRST = '', SECOND = '', THIRD = ''] = bundleNames('t/n', 4).map(bundle => bundle.toString())

function view(instance: string, usage: number, bundles: BrokerView['bundles']): BrokerView {
  const units = bundles.reduce((sum, each) => sum + each.messagesIn + each.messagesOut, 0)
  return { id: instance, instance, isDraining: false, usage, topics: 1, units, bundles }
}

function quota(more: Partial<ResourceQuota>): ResourceQuota {
  return { msgRateIn: 0, msgRateOut: 0, bandwidthIn: 0, bandwidthOut: 0, memory: 0, dynamic: false, ...more }
}

function quotas(byBundle: Record<string, ResourceQuota>, usual?: ResourceQuota): Quotas {
  return { usual, byBundle: new Map(Object.entries(byBundle)) }
}

const NOBODY = (): undefined => undefined
const IDLE = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, topics: 1, sessions: 0, siblings: 4 }

describe('what is expected of bundles', () => {
  const busy = { ...IDLE, bundle: FIRST, messagesIn: 1000 }
  const views = [view('a', 20, [busy]), view('b', 5, [{ ...IDLE, bundle: SECOND }])]

  test('changes nothing where nobody said anything', () => {
    expect(withQuotas(views, quotas({}), NOBODY)).toEqual(views)
  })

  test('is the least that counts, and raises usage by what work costs', () => {
    const [a, b] = withQuotas(views, quotas({ [SECOND]: quota({ msgRateIn: 2000 }) }), NOBODY)
    expect(a).toEqual(views[0])
    // 25 points for 1000 units, by all brokers
    expect(b).toMatchObject({ usage: 55, units: 2000, bundles: [{ bundle: SECOND, messagesIn: 2000 }] })
  })

  test('gives way to more', () => {
    const [a] = withQuotas(views, quotas({ [FIRST]: quota({ msgRateIn: 10, msgRateOut: 500 }) }), NOBODY)
    expect(a).toMatchObject({ units: 1500, bundles: [{ messagesIn: 1000, messagesOut: 500 }] })
  })

  test('where it is dynamic, gives way to anything', () => {
    const both = {
      [FIRST]: quota({ msgRateOut: 500, dynamic: true }),
      [SECOND]: quota({ msgRateIn: 100, dynamic: true })
    }
    const [a, b] = withQuotas(views, quotas(both), NOBODY)
    expect(a).toEqual(views[0])
    expect(b).toMatchObject({ units: 100 })
  })

  test('counts for a bundle that its broker does not tell of', () => {
    const holder = (bundle: string): string | undefined => (bundle === THIRD ? 'b' : undefined)
    const [, b] = withQuotas(views, quotas({ [THIRD]: quota({ bandwidthIn: 1024 * 100 }) }), holder)
    expect(b?.bundles.map(({ bundle, bytesIn }) => [bundle, bytesIn])).toEqual([
      [THIRD, 102_400],
      [SECOND, 0]
    ])
  })

  test('of all bundles counts for those without one of their own', () => {
    const own = { [SECOND]: quota({ msgRateIn: 1 }) }
    const [a, b] = withQuotas(views, quotas(own, quota({ msgRateIn: 1200 })), NOBODY)
    expect([a?.units, b?.units]).toEqual([1200, 1])
  })

  test('is never more than a broker can carry', () => {
    const [, b] = withQuotas(views, quotas({ [SECOND]: quota({ msgRateIn: 1e9 }) }), NOBODY)
    expect(b?.usage).toBe(100)
  })
})

describe('the leader', () => {
  test('moves bundles away from where much is expected, and tells placement', async () => {
    const world = new ShellWorld(['a:1', 'b:1', 'c:1'])
    world.leader = 'a:1'
    const bundles = bundleNames('t/n', 8)
    for (const [index, bundle] of bundles.entries()) {
      world.owners.set(bundle.toString(), world.broker(index < 4 ? 'b:1' : 'c:1'))
    }
    const told = (from: number): ReturnType<typeof collected> =>
      collected(
        bundles.slice(from, from + 4).map(bundle => bundleLoad(bundle.toString(), 500)),
        0.2
      )
    await world.report('a:1', collected([], 0.19))
    await world.report('b:1', told(0))
    await world.report('c:1', told(4))
    const rows = new PlacementStore(world.store)
    const balancer = await world.balancer('a:1')
    for (let minutes = 0; minutes < 5; minutes++) await world.minute(balancer)
    expect(world.asked).toEqual([])

    for (const bundle of bundles.slice(0, 4)) await rows.setQuota(bundle.toString(), quota({ msgRateIn: 3000 }))
    const digest = await LoadDigest.open(world.store, silentLogger)
    for (let minutes = 0; minutes < 15; minutes++) await world.minute(balancer)
    expect(new Set(world.asked.map(({ from }) => from))).toEqual(new Set(['b:1']))
    const [b = 0, c = 0] = ['b:1', 'c:1'].map(id => digest.usage.get(`${id}#1`)?.usage)
    assert(b > c + 10, `${b} % is told of the one, ${c} % of the other`)

    await rows.removeQuotasOf('t/n')
    await rows.setUsualQuota(USUAL_QUOTA) // dynamic, and all of them carry something
    for (let minutes = 0; minutes < 2; minutes++) await world.minute(balancer)
    expect(digest.usage.get('b:1#1')?.usage).toBe(20)
    digest.close()
    await balancer.close()
  })
})
