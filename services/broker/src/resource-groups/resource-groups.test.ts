import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DispatchThrottle } from '../limits/dispatch-throttle.ts'
import { PublishThrottle } from '../limits/publish-throttle.ts'
import { ResourceGroups } from './resource-groups.ts'

const BYTES = 100
const STEP_MS = 10

let clock: ManualClock
let store: MemoryMetadataStore
let brokers: ResourceGroups[]

beforeEach(() => {
  clock = new ManualClock()
  store = new MemoryMetadataStore()
  brokers = []
})

afterEach(async () => {
  for (const broker of brokers) {
    await broker.stop()
    broker.close()
  }
  await store.close()
})

async function open(instance: string): Promise<ResourceGroups> {
  const settings = { resourceUsageTransportPublishIntervalInSecs: 1 }
  const groups = await ResourceGroups.open({ store, clock, logger: silentLogger, settings })
  groups.start(() => instance)
  brokers.push(groups)
  return groups
}

/** Topics of one broker that are published to, or consumed from, at `perSecond` if they may. */
interface Traffic {
  perSecond: number
  done: number
  step(): void
}

/** One topic of the group. What is held back is parked, as frames of a producer are. */
function publishing(groups: ResourceGroups, perSecond: number): Traffic {
  const throttle = new PublishThrottle(clock)
  throttle.setShared(groups.of('g').publish)
  let [parked, owed] = [0, 0]
  const publish = (): void => {
    throttle.spend(1, BYTES)
    traffic.done++
  }
  const sends = {
    publishNext: (): boolean => {
      parked--
      publish()
      return parked > 0
    }
  }
  const traffic: Traffic = {
    perSecond,
    done: 0,
    step: () => {
      // clients have no more than so many on their way
      for (owed += (traffic.perSecond * STEP_MS) / 1000; owed >= 1; owed--) {
        if (throttle.isOpen()) publish()
        else if (parked < 500 && ++parked === 1) throttle.park(sends)
      }
    }
  }
  return traffic
}

/** One subscription of the group. */
function consuming(groups: ResourceGroups, perSecond: number): Traffic {
  let waiting = 0
  const throttle: DispatchThrottle = new DispatchThrottle({
    clock,
    countsEntries: () => false,
    wake: () => {
      send()
    }
  })
  const send = (): void => {
    for (; waiting >= 1 && throttle.isOpen(); waiting--) {
      throttle.spend(1, BYTES)
      traffic.done++
    }
    if (waiting >= 1) throttle.wait()
  }
  const traffic: Traffic = {
    perSecond,
    done: 0,
    step: () => {
      waiting = Math.min(500, waiting + (traffic.perSecond * STEP_MS) / 1000)
      send()
    }
  }
  const { dispatch } = groups.of('g')
  throttle.setLimits({ broker: undefined, group: dispatch, topic: undefined, subscription: undefined })
  return traffic
}

/** What each has done in that time. */
async function run(seconds: number, all: readonly Traffic[]): Promise<number[]> {
  const before = all.map(({ done }) => done)
  for (let step = 0; step < (seconds * 1000) / STEP_MS; step++) {
    for (const traffic of all) traffic.step()
    clock.advance(STEP_MS)
    for (const broker of brokers) await broker.told()
  }
  return all.map(({ done }, index) => done - (before[index] ?? 0))
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function expectAbout(actual: number, expected: number): void {
  expect(actual).toBeGreaterThan(expected * 0.9)
  expect(actual).toBeLessThan(expected * 1.1)
}

describe.each([
  ['publishing', publishing, { publishRateInMsgs: 1000 }],
  ['publishing, in bytes', publishing, { publishRateInBytes: 1000 * BYTES }],
  ['dispatching', consuming, { dispatchRateInMsgs: 1000 }],
  ['dispatching, in bytes', consuming, { dispatchRateInBytes: 1000 * BYTES }]
] as const)('two brokers share a limit of 1,000 a second: %s', (_name, trafficOf, limit) => {
  test('together they keep it, whoever wants how much', async () => {
    const [one, two] = [await open('one'), await open('two')]
    await one.set('g', limit)
    const all = [trafficOf(one, 3000), trafficOf(two, 3000)]
    await run(3, all)
    const even = await run(10, all)
    expectAbout(sum(even), 10_000)
    expectAbout(even[0] ?? 0, 5000)

    if (all[1] !== undefined) all[1].perSecond = 100
    await run(5, all)
    const uneven = await run(10, all)
    expectAbout(sum(uneven), 10_000)
    expectAbout(uneven[1] ?? 0, 1000)

    if (all[1] !== undefined) all[1].perSecond = 0
    await run(5, all)
    expectAbout(sum(await run(10, all)), 10_000)

    if (all[1] !== undefined) all[1].perSecond = 3000
    const [, again] = await run(4, all)
    expect(again).toBeGreaterThan(500)
  })

  test('a broker that goes leaves its share to the other', async () => {
    const [one, two] = [await open('one'), await open('two')]
    await one.set('g', limit)
    const all = [trafficOf(one, 3000), trafficOf(two, 3000)]
    await run(5, all)
    await two.stop()
    const [alone] = await run(5, all.slice(0, 1))
    expectAbout(alone ?? 0, 5000)
  })

  test('it holds from when it is said to when it is taken back', async () => {
    const one = await open('one')
    const all = [trafficOf(one, 3000)]
    expectAbout(sum(await run(1, all)), 3000)
    await one.set('g', limit)
    await run(1, all)
    expectAbout(sum(await run(5, all)), 5000)
    expect(await one.remove('g')).toBe(true)
    await run(1, all)
    expectAbout(sum(await run(2, all)), 6000)
  })
})

test('who uses nothing of a group writes nothing', async () => {
  const one = await open('one')
  await one.set('g', { publishRateInMsgs: 10 })
  one.of('g')
  await run(3, [])
  expect((await store.scan({ prefix: 'resource-group-uses/', limit: 10 })).records).toEqual([])
})

test('what a broker used is forgotten some time after the last of it', async () => {
  const one = await open('one')
  await one.set('g', { publishRateInMsgs: 1000 })
  const traffic = publishing(one, 100)
  await run(2, [traffic])
  expect((await store.scan({ prefix: 'resource-group-uses/', limit: 10 })).records).toHaveLength(1)
  await run(40, [])
  expect((await store.scan({ prefix: 'resource-group-uses/', limit: 10 })).records).toEqual([])
})
