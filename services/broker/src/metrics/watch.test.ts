import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { ManualClock } from '@strata/base/testing'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import type { RawClient } from '../connection/testing/raw-client.ts'
import { TopicName } from '../namespace/topic-name.ts'
import type { SampledSubscription } from '../subscription/index.ts'
import type { Topic } from '../topic/topic.ts'
import { PublishMarks } from './backlog-ages.ts'
import { IntervalBuckets, IntervalQuantiles } from './interval-buckets.ts'
import { StorageMeter } from './storage-meter.ts'
import { TenantWork } from './tenant-work.ts'
import { TrafficBook } from './traffic-book.ts'

const TOPIC = 'persistent://public/default/t'

let clock: ManualClock
let world: BrokerWorld
let client: RawClient

beforeEach(async () => {
  clock = new ManualClock()
  world = await BrokerWorld.start({}, { clock })
  client = await world.connect()
})

afterEach(async () => {
  await world.close()
})

/** What a subscription holds that was there before its messages: the first `count` sequence ids. */
async function publish(count: number): Promise<void> {
  await client.producer(TOPIC)
  for (let sequence = 0; sequence < count; sequence++) {
    client.publish({ sequenceId: BigInt(sequence) })
    await client.next('sendReceipt')
  }
  await client.request('closeProducer', { producerId: 0n })
}

function subscription(): { topic: Topic; subscription: SampledSubscription } {
  const topic = world.broker.topics.find(TopicName.parse(TOPIC))
  const found = topic?.subscriptions.get('sub')
  assert.ok(topic !== undefined && found !== undefined)
  return { topic, subscription: found }
}

function age(): number | undefined {
  const of = subscription()
  return world.broker.meters.ages.ageOf(of.topic, of.subscription)
}

function stuck(): readonly string[] {
  return [...world.broker.meters.stuck.stuckFor(15_000)].map(
    ({ subscription, reason }) => `${subscription.name} ${reason}`
  )
}

describe('ages of backlogs', () => {
  test('grow while nobody acknowledges, and end with the backlog', async () => {
    const { meters } = world.broker
    await client.subscribe(TOPIC)
    assert.equal(age(), undefined)
    await publish(3)
    assert.equal(age(), 0)
    await meters.look()
    clock.advance(20_000)
    assert.equal(age(), 20)
    await subscription().subscription.skip(3)
    assert.equal(age(), undefined)
  })

  test('what was published between two looks is as old as the second one', async () => {
    const { meters } = world.broker
    await client.subscribe(TOPIC)
    await publish(1)
    await meters.look()
    clock.advance(10_000)
    await publish(1)
    await meters.look()
    await subscription().subscription.skip(1)
    clock.advance(5_000)
    assert.equal(age(), 5)
  })

  test('what was there before the topic was loaded is read', async () => {
    await client.subscribe(TOPIC)
    await publish(2)
    await world.broker.topics.unload(TopicName.parse(TOPIC))
    clock.advance(25_000)
    const again = await world.connect()
    await again.subscribe(TOPIC)
    await world.broker.meters.look()
    assert.equal(age(), 25)
  })

  test('marks are never older than what they are of, and later positions never have earlier marks', () => {
    const steps = fc.array(fc.nat(3), { maxLength: 200 })
    fc.assert(
      fc.property(steps, appended => {
        const marks = new PublishMarks()
        const storedAt: number[] = []
        for (const [round, count] of appended.entries()) {
          for (let entry = 0; entry < count; entry++) storedAt.push(round)
          marks.note({ ledgerId: 1, entryId: storedAt.length - 1 }, round)
        }
        let before = -1
        for (const [entryId, at] of storedAt.entries()) {
          const position = { ledgerId: 1, entryId }
          const told = marks.storedBy(position)
          assert.ok(told !== undefined && told >= before)
          before = told
          if (!marks.isFromBefore(position)) assert.ok(told >= at)
        }
      })
    )
  })
})

describe('stuck subscriptions', () => {
  test('a consumer that has all and acknowledges nothing', async () => {
    const { meters } = world.broker
    await publish(3)
    await client.subscribe(TOPIC)
    client.flow(10)
    for (let left = 3; left > 0; left--) await client.next('message')
    await meters.look()
    assert.deepEqual(stuck(), [])
    clock.advance(16_000)
    assert.deepEqual(stuck(), ['sub unacknowledged'])
    await subscription().subscription.skip(1)
    await meters.look()
    assert.deepEqual(stuck(), [])
  })

  test('a consumer without permits waits, and is not stuck', async () => {
    const { meters } = world.broker
    await publish(3)
    await client.subscribe(TOPIC)
    await meters.look()
    clock.advance(16_000)
    assert.deepEqual(stuck(), [])
  })
})

test('a tenant with most of the work is noisy, where there is another one', () => {
  const own = new ManualClock()
  const book = new TrafficBook()
  const shares = new TenantWork(book, own)
  book.of('loud/ns').bytesIn += 90_000_000
  own.advance(10_000)
  shares.look()
  assert.equal(shares.isNoisy('loud', 0.5), false)
  book.of('loud/ns').bytesIn += 90_000_000
  book.of('loud/other').bytesOut += 5_000_000
  book.of('quiet/ns').bytesOut += 5_000_000
  book.onRequest('quiet')
  own.advance(10_000)
  shares.look()
  assert.equal(shares.of('loud')?.bytesShare, 0.95)
  assert.equal(shares.of('loud')?.bytesPerSecond, 9_500_000)
  assert.equal(shares.of('quiet')?.requestsShare, 1)
  assert.equal(shares.isNoisy('loud', 0.5), true)
  assert.equal(shares.isNoisy('quiet', 0.5), false)
})

test('buckets and quantiles tell of the interval before', () => {
  const buckets = new IntervalBuckets([1, 10])
  for (const value of [0.5, 1, 2, 11]) buckets.add(value)
  assert.equal(buckets.count, 0)
  buckets.roll()
  assert.deepEqual([...Array.from(buckets.counts)], [2, 1, 1])
  assert.equal(buckets.sum, 14.5)
  const quantiles = new IntervalQuantiles()
  for (let ms = 1; ms <= 100; ms++) quantiles.add(ms)
  quantiles.roll()
  for (const share of [0.5, 0.99]) {
    const told = quantiles.quantile(share) ?? 0
    assert.ok(told >= share * 100 && told <= share * 110, `${share}: ${told}`)
  }
  assert.equal(new IntervalQuantiles().quantile(0.5), undefined)
})

test('each entry counts once, as long as the one that was timed took', () => {
  const own = new ManualClock()
  const meter = new StorageMeter(own, new IntervalQuantiles())
  const publications = Array.from({ length: 4 }, () => ({}))
  for (const publication of publications) meter.onTaken(publication, 100)
  own.advance(3)
  for (const publication of publications) meter.onStored(publication)
  const [lost, last] = [{}, {}]
  meter.onTaken(lost, 100)
  meter.onLost(lost)
  meter.onTaken(last, 2_000_000)
  own.advance(30)
  meter.onStored(last)
  meter.roll()
  assert.equal(meter.latencies.count, 5)
  assert.deepEqual(Array.from(meter.latencies.counts), [0, 0, 1, 0, 0, 4, 0, 0, 0, 0])
  assert.equal(meter.sizes.count, 6)
  assert.equal(meter.sizes.counts[8], 1)
})
