import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { describe, expect, test } from 'vitest'
import { NamespaceRowSchema, PolicyRowSchema } from '../generated/broker_pb.ts'
import { encodeRow, keys } from '../namespace/rows.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { evenBoundaries } from '../ownership/bundle-name.ts'
import { encodeBoundaries, ownershipKeys } from '../ownership/rows.ts'
import { DecisionLog } from './decision-log.ts'
import { collectLoad, type LoadedTopic, type TopicRates } from './load-collector.ts'
import { LoadDigest } from './load-digest.ts'
import { createLoadPlacement } from './load-placement.ts'
import { ReportTable } from './report-table.ts'
import { balanceKeys, encodeDomain, encodeIsolation } from './rows.ts'
import { weightsOf } from './settings.ts'
import { bundleLoad } from './testing/load-world.ts'
import { brokerAddress, bundleNames, collected, ShellWorld } from './testing/shell-world.ts'

const HOUR_MS = 3_600_000
const IDS = ['a:1', 'b:1', 'c:1']

/** One broker that carries nearly everything, and two that carry little. */
async function lopsided(): Promise<ShellWorld> {
  const world = new ShellWorld(IDS)
  world.leader = 'a:1'
  const bundles = bundleNames('t/n', 16)
  const load = bundles.map(bundle => bundleLoad(bundle.toString(), 1000))
  for (const bundle of bundles) world.owners.set(bundle.toString(), world.broker('b:1'))
  await world.report('a:1', collected([], 0.05))
  await world.report('b:1', collected(load, 0.8))
  await world.report('c:1', collected([], 0.05))
  return world
}

describe('reports', () => {
  test('are written when there is news, and go with their broker', async () => {
    const world = new ShellWorld(IDS)
    let load = collected([bundleLoad('t/n/0x00000000_0x40000000', 1000)], 0.3)
    const reporter = world.reporter('a:1', () => load)
    const table = await ReportTable.open(world.store, silentLogger)
    await reporter.report()
    await reporter.report()
    expect(reporter.writes).toBe(1)
    load = collected([bundleLoad('t/n/0x00000000_0x40000000', 1050)], 0.34)
    await reporter.report()
    expect(reporter.writes).toBe(1)
    load = collected([bundleLoad('t/n/0x00000000_0x40000000', 2000)], 0.34)
    await reporter.report()
    expect(reporter.writes).toBe(2)
    const [view] = table.views([world.broker('a:1')], weightsOf(world.settings))
    expect(view).toMatchObject({ usage: 34, units: 2000, topics: 10 })
    expect(view?.bundles.map(({ bundle }) => bundle)).toEqual(['t/n/0x00000000_0x40000000'])
    world.clock.advance(16 * 60_000)
    await reporter.report()
    expect(reporter.writes).toBe(3)
    await reporter.close()
    expect(table.report('a:1#1')).toBe(undefined)
    table.close()
  })

  test('are written by the share of change and the age that are set now', async () => {
    const world = new ShellWorld(IDS)
    let load = collected([bundleLoad('t/n/0x00000000_0x40000000', 1000)], 0.3)
    const reporter = world.reporter('a:1', () => load)
    await reporter.report()
    world.settings.loadBalancerReportUpdateThresholdPercentage = 90
    load = collected([bundleLoad('t/n/0x00000000_0x40000000', 1800)], 0.3)
    await reporter.report()
    expect(reporter.writes).toBe(1)
    world.settings.loadBalancerReportUpdateThresholdPercentage = 10
    await reporter.report()
    expect(reporter.writes).toBe(2)
    world.clock.advance(10 * 60_000)
    await reporter.report()
    expect(reporter.writes).toBe(2)
    world.settings.loadBalancerReportUpdateMaxIntervalMinutes = 10
    await reporter.report()
    expect(reporter.writes).toBe(3)
    await reporter.close()
  })

  test('follow the registration of their broker', async () => {
    const world = new ShellWorld(IDS)
    const reporter = world.reporter('a:1', () => collected([], 0.3))
    await reporter.report()
    world.brokers[0] = brokerAddress('a:1', 'a:1#2')
    await reporter.report()
    expect((await world.store.get(balanceKeys.report('a:1#2')))?.key).toBe('load-reports/a:1#2')
    expect(reporter.writes).toBe(2)
    await reporter.close()
  })

  test('of many bundles are pages, and only the heaviest are told', async () => {
    const world = new ShellWorld(IDS)
    world.settings.loadBalancerMaxNumberOfBundlesInBundleLoadReport = 600
    let count = 1000
    const reporter = world.reporter('a:1', () =>
      collected(
        bundleNames('t/n', count).map((bundle, index) => bundleLoad(bundle.toString(), index + 1)),
        0.5
      )
    )
    const table = await ReportTable.open(world.store, silentLogger)
    const told = (): number[] | undefined =>
      table.views([world.broker('a:1')], weightsOf(world.settings))[0]?.bundles.map(({ messagesIn }) => messagesIn * 4)
    await reporter.report()
    expect(told()).toHaveLength(600)
    expect(told()?.[0]).toBe(1000)
    expect(told()?.at(-1)).toBe(401)
    count = 100
    await reporter.report()
    expect(told()).toHaveLength(100)
    const { records } = await world.store.scan({ prefix: balanceKeys.reports })
    expect(records.map(({ key }) => key)).toEqual(['load-reports/a:1#1', 'load-reports/a:1#1/0'])
    await reporter.close()
    table.close()
  })

  test('are sums over topics by bundle, made in turns', async () => {
    const bundles = bundleNames('t/n', 4)
    const rates: TopicRates = { messagesIn: 1, messagesOut: 2, bytesIn: 10, bytesOut: 20, producers: 1, consumers: 2 }
    const topics: LoadedTopic[] = Array.from({ length: 5000 }, (_, i) => ({
      name: TopicName.parse(`persistent://t/n/topic-${i}`),
      rates
    }))
    let pauses = 0
    const load = await collectLoad({
      topics: () => topics,
      held: () => bundles.slice(0, 3),
      bundlesOf: async () => bundles,
      pools: [
        { bytesHeld: 10, bytesMax: 100 },
        { bytesHeld: 60, bytesMax: 100 }
      ],
      gauge: { sample: () => ({ lagMs: 3, loop: 0.4, cpu: 0.7 }), close: () => undefined },
      pause: async () => {
        pauses += 1
      }
    })
    expect(pauses).toBe(2)
    expect(load.broker).toMatchObject({
      topics: 5000,
      producers: 5000,
      consumers: 10_000,
      bundles: 3,
      messagesOut: 10_000
    })
    expect(load.broker).toMatchObject({ lagMs: 3, loop: 0.4, cpu: 0.7, memory: 0.6 })
    expect(load.bundles).toHaveLength(3)
    for (const { topics: count, messagesIn, sessions, siblings } of load.bundles) {
      expect(Math.abs(count - 1250)).toBeLessThan(150)
      expect([messagesIn, sessions, siblings]).toEqual([count, 3 * count, 4])
    }
  })
})

describe('the leader', () => {
  test('moves what is too much, within the cap, and tells why', async () => {
    const world = await lopsided()
    world.settings.strataLoadBalancerMovesPerMinuteMax = 4
    const balancer = await world.balancer('a:1')
    for (let minute = 0; minute < 2; minute++) await world.minute(balancer)
    expect(world.asked).toEqual([])
    await world.minute(balancer)
    expect(world.asked).toHaveLength(4)
    assert(world.asked.every(({ from }) => from === 'b:1'))
    expect(new Set(world.asked.map(({ to }) => to))).toEqual(new Set(['a:1', 'c:1']))
    expect(balancer.counts).toEqual({ unloadedBrokers: 1, unloadedBundles: 4, splitBundles: 0 })
    const log = new DecisionLog(world.store, world.clock)
    const [cycle] = await log.cycles()
    expect(cycle?.leader).toBe('a:1')
    expect(cycle?.decisions).toHaveLength(4)
    const [line] = await log.reasonsOf(world.asked[0]?.bundle ?? '')
    expect(line).toMatch(
      /a:1: load: 80\.0% is 50\.0 points above the average of 30\.0%: moves 5\.0 points from b:1 to .*; done$/
    )
    await balancer.close()
  })

  test('tells all brokers how full each is, and placement goes by it', async () => {
    const world = await lopsided()
    const balancer = await world.balancer('a:1')
    const digest = await LoadDigest.open(world.store, silentLogger)
    expect(digest.usage.size).toBe(0)
    await balancer.tick()
    expect(digest.usage.get('b:1#1')).toEqual({ instance: 'b:1#1', usage: 80, topics: 160 })
    const rules = await world.rules()
    const place = createLoadPlacement({ settings: world.settings, rules, digest })
    const counts = new Map<string, number>()
    for (const bundle of bundleNames('t/m', 1000)) {
      const id = place({ bundle, brokers: world.brokers })?.broker.id ?? assert.fail()
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    expect(counts.get('b:1') ?? 0).toBeLessThan(150)
    rules.close()
    digest.close()
    await balancer.close()
  })

  test('is the only one that does anything; the next one goes on from what was done', async () => {
    const world = await lopsided()
    world.settings.strataLoadBalancerMovesPerMinuteMax = 2
    const [first, second] = [await world.balancer('a:1'), await world.balancer('c:1')]
    for (let minute = 0; minute < 3; minute++) {
      await world.minute(first)
      await second.tick()
    }
    expect(world.asked).toHaveLength(2)
    world.leader = 'c:1'
    await first.tick()
    // at once, were it not for the cap that the first has used up
    for (let cycle = 0; cycle < 3; cycle++) {
      await second.tick()
      world.clock.advance(10_000)
    }
    expect(world.asked).toHaveLength(2)
    const moved = new Set(world.asked.map(({ bundle }) => bundle))
    for (let minute = 0; minute < 5; minute++) await world.minute(second)
    const later = world.asked.slice(2)
    assert(later.length > 0)
    assert(
      later.every(({ bundle }) => !moved.has(bundle)),
      'what was moved rests'
    )
    await first.close()
    await second.close()
  })

  test.each([-HOUR_MS, HOUR_MS])('does what it would do if the wall clock is set by %d ms meanwhile', async stepMs => {
    const movesOf = async (byMs: number): Promise<unknown> => {
      const world = await lopsided()
      const balancer = await world.balancer('a:1')
      for (let minute = 0; minute < 6; minute++) {
        await world.minute(balancer)
        world.clock.stepWall(byMs)
      }
      await balancer.close()
      return world.asked
    }
    expect(await movesOf(stepMs)).toEqual(await movesOf(0))
  })

  test('goes by what was done before, though its clock is an hour behind', async () => {
    const world = await lopsided()
    world.settings.strataLoadBalancerMovesPerMinuteMax = 2
    const [first, second] = [await world.balancer('a:1'), await world.balancer('c:1')]
    for (let minute = 0; minute < 3; minute++) await world.minute(first)
    expect(world.asked).toHaveLength(2)
    world.leader = 'c:1'
    world.clock.stepWall(-HOUR_MS)
    // the cap that the first has used up is not used up for an hour
    for (let minute = 0; minute < 5; minute++) await world.minute(second)
    assert(world.asked.length > 2)
    await first.close()
    await second.close()
  })

  test('lets a refused move be, says so, and tries again', async () => {
    const world = await lopsided()
    world.settings.strataLoadBalancerMovesPerMinuteMax = 1
    world.refusal = 'b:1 answered 503'
    const balancer = await world.balancer('a:1')
    for (let minute = 0; minute < 3; minute++) await world.minute(balancer)
    expect(world.asked).toEqual([])
    const log = new DecisionLog(world.store, world.clock)
    expect((await log.cycles()).flatMap(({ decisions }) => decisions.map(({ outcome }) => outcome))).toEqual([
      'not done: b:1 answered 503'
    ])
    world.refusal = undefined
    await world.minute(balancer)
    expect(world.asked).toHaveLength(1)
    await balancer.close()
  })

  test('asks nothing of a broker that has lost the bundle meanwhile', async () => {
    const world = await lopsided()
    for (const bundle of world.owners.keys()) world.owners.set(bundle, world.broker('c:1'))
    const balancer = await world.balancer('a:1')
    for (let minute = 0; minute < 3; minute++) await world.minute(balancer)
    expect(world.asked).toEqual([])
    await balancer.close()
  })

  test('carries out isolation', async () => {
    const world = await lopsided()
    const data = { namespaces: ['t/.*'], primary: ['c:.*'], secondary: [], policyType: 'min_available', parameters: {} }
    await world.store.transact({
      compares: [],
      changes: [{ kind: 'put', key: balanceKeys.isolationPolicy('standalone', 'p'), value: encodeIsolation(data) }]
    })
    const balancer = await world.balancer('a:1')
    await world.minute(balancer)
    expect(world.asked).toHaveLength(16)
    assert(world.asked.every(({ to }) => to === 'c:1'))
    await balancer.close()
  })

  test('asks for splits', async () => {
    const world = new ShellWorld(IDS)
    world.leader = 'a:1'
    const [bundle = ''] = bundleNames('t/n', 4).map(String)
    world.owners.set(bundle, world.broker('b:1'))
    await world.report('b:1', collected([bundleLoad(bundle, 10, { topics: 2000 })], 0.1))
    const balancer = await world.balancer('a:1')
    for (let minute = 0; minute < 3; minute++) await world.minute(balancer)
    expect(world.askedSplits).toEqual([{ bundle, isUnloaded: false }])
    world.settings.loadBalancerAutoUnloadSplitBundlesEnabled = true
    world.clock.advance(60 * 60_000)
    await world.report('b:1', collected([bundleLoad(bundle, 11, { topics: 2100 })], 0.1))
    for (let minute = 0; minute < 3; minute++) await world.minute(balancer)
    expect(world.askedSplits.at(-1)).toEqual({ bundle, isUnloaded: true })
    await balancer.close()
  })

  test('asks for merges of namespaces that were split, down to what they began with', async () => {
    const world = new ShellWorld(IDS)
    world.leader = 'a:1'
    world.settings.strataLoadBalancerAutoBundleMergeEnabled = true
    world.settings.loadBalancerSheddingEnabled = false
    const put = (key: string, value: Uint8Array) => ({ kind: 'put', key, value }) as const
    await world.store.transact({
      compares: [],
      changes: [
        put(keys.namespace('t/n'), encodeRow(NamespaceRowSchema, { bundleCount: 2 })),
        put(ownershipKeys.bundlesOf('t/n'), encodeBoundaries(evenBoundaries(4))),
        put(keys.namespace('t/whole'), encodeRow(NamespaceRowSchema, { bundleCount: 1 }))
      ]
    })
    const [left = '', right = '', ...rest] = bundleNames('t/n', 4).map(String)
    const others = bundleNames('t/whole', 4).map(String)
    const empty = (bundle: string) => bundleLoad(bundle, 0, { topics: 0, sessions: 0, siblings: 4 })
    const here = [left, ...rest, ...others]
    for (const bundle of here) world.owners.set(bundle, world.broker('a:1'))
    world.owners.set(right, world.broker('b:1'))
    const tell = async (warm: string | undefined): Promise<void> => {
      const loads = here.map(bundle => (bundle === warm ? { ...empty(bundle), topics: 900 } : empty(bundle)))
      await world.report('a:1', collected(loads, 0.1))
      await world.report('b:1', collected([empty(right)], 0.1))
    }
    await tell(rest[0])
    const balancer = await world.balancer('a:1')
    await world.minute(balancer)
    await tell(undefined)
    for (let minute = 1; minute < 29; minute++) await world.minute(balancer)
    expect(world.askedMerges).toEqual([])
    world.refusal = 'not now'
    await world.minute(balancer)
    world.refusal = undefined
    await world.minute(balancer)
    expect(world.askedMerges).toEqual([{ left: rest[0], right: rest[1], owner: 'a:1' }])
    const cycles = await new DecisionLog(world.store, world.clock).cycles()
    expect(cycles.flatMap(({ decisions }) => decisions.map(({ outcome }) => outcome))).toEqual([
      'not done: not now',
      'done'
    ])
    await balancer.close()
  })
})

test('rules follow their rows: policies, domains, groups and where these are', async () => {
  const world = new ShellWorld(IDS)
  world.settings.failureDomainsEnabled = true
  const rules = await world.rules()
  const put = async (key: string, value: Uint8Array): Promise<void> => {
    await world.store.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
  }
  expect(rules.rules()).toEqual({ isolation: [], domains: new Map(), groups: new Map(), holders: new Map() })
  const data = {
    namespaces: ['t/n'],
    primary: ['a.*'],
    secondary: [],
    policyType: 'min_available',
    parameters: { min_limit: '2', usage_threshold: '70' }
  }
  await put(balanceKeys.isolationPolicy('standalone', 'p.1'), encodeIsolation(data))
  await put(balanceKeys.isolationPolicy('another', 'p'), encodeIsolation(data))
  await put(balanceKeys.domain('standalone', 'left'), encodeDomain(['a:1', 'b:1']))
  await put(keys.policy('t/n', 'antiAffinity'), encodeRow(PolicyRowSchema, { json: '"g"' }))
  await put(keys.policy('t/n', 'retention'), encodeRow(PolicyRowSchema, { json: '{}' }))
  const [bundle] = bundleNames('t/n', 4)
  world.owners.set(String(bundle), world.broker('b:1'))
  await rules.refresh()
  const now = rules.rules('t/n')
  expect(now.isolation.map(({ name, minLimit, usageThreshold }) => [name, minLimit, usageThreshold])).toEqual([
    ['p.1', 2, 70]
  ])
  expect(now.domains).toEqual(
    new Map([
      ['a:1', 'left'],
      ['b:1', 'left']
    ])
  )
  expect(now.groups).toEqual(new Map([['t/n', 'g']]))
  expect(now.holders).toEqual(new Map([['t/n', ['b:1#1']]]))
  expect(rules.rules('t/other').holders).toEqual(new Map())
  await world.store.transact({ compares: [], changes: [{ kind: 'delete', key: keys.policy('t/n', 'antiAffinity') }] })
  expect(rules.rules().groups).toEqual(new Map())
  rules.close()
})
