import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { afterEach, describe, test } from 'vitest'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { PersistentTopic } from './persistent-topic.ts'

const TOPIC = 'persistent://public/default/swept'
const NAME = TopicName.parse(TOPIC)
const NAMESPACE = 'public/default'
const MINUTE = 60_000

let world: BrokerWorld
let clock: ManualClock

const start = async (settings: Partial<BrokerSettings> = {}): Promise<void> => {
  clock = new ManualClock()
  const rollover = { managedLedgerMaxEntriesPerLedger: 2, managedLedgerMinLedgerRolloverTimeMinutes: 0 }
  world = await BrokerWorld.start({ brokerDeleteInactiveTopicsEnabled: false, ...rollover, ...settings }, { clock })
}

afterEach(async () => {
  await world.close()
})

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise(setImmediate)
}

async function publish(count: number, topic = TOPIC): Promise<void> {
  const client = await world.connect()
  await client.producer(topic)
  for (let sent = 0; sent < count; sent++) {
    client.publish({ text: `m${sent}` })
    await client.next('sendReceipt')
  }
  client.destroy()
  await until(() => world.broker.topics.find(TopicName.parse(topic))?.producers.size === 0)
}

async function loaded(): Promise<PersistentTopic> {
  const topic = await world.broker.topics.load(NAME, { mayCreate: true })
  assert.ok(topic instanceof PersistentTopic)
  return topic
}

async function entriesStored(): Promise<number> {
  const topic = await loaded()
  const { entries } = topic.log.stats()
  await world.broker.topics.unload(NAME)
  return entries
}

const isRecorded = async (name = NAME): Promise<boolean> =>
  (await world.broker.namespaces.topics.get(name)) !== undefined

/** By the clock: the pass that is due, to its end. */
async function nextSweep(): Promise<void> {
  clock.advance(world.settings.retentionCheckIntervalInSeconds * 1000)
  await until(() => !world.broker.sweeper.isSweepingLogs)
}

describe('retention by time', () => {
  const retention = { retentionTimeInMinutes: 10, retentionSizeInMB: -1 }

  test('lets go of a loaded topic’s data by the clock alone', async () => {
    await start()
    await world.broker.namespaces.policies.set(NAMESPACE, 'retention', retention)
    await publish(5)
    const { log } = await loaded()
    await nextSweep()
    assert.equal(log.stats().entries, 5)
    clock.advance(10 * MINUTE)
    await nextSweep()
    await until(() => log.stats().entries === 1) // the open ledger stays
  })

  test('lets go of an unloaded topic’s data, by its namespace’s policy, without loading it', async () => {
    await start()
    await world.broker.namespaces.policies.set(NAMESPACE, 'retention', retention)
    await publish(5)
    await world.broker.topics.unload(NAME)
    await nextSweep()
    assert.equal(await entriesStored(), 5)
    clock.advance(8 * MINUTE) // the first four, whose ledgers were closed before
    await nextSweep()
    assert.equal(world.broker.topics.size, 0)
    clock.advance(10 * MINUTE)
    await nextSweep()
    assert.equal(world.broker.topics.size, 0)
    assert.equal(await entriesStored(), 0)
  })

  test('keeps what a subscription of an unloaded topic needs', async () => {
    await start()
    const topic = await loaded()
    await topic.createSubscription('sub', { position: 'earliest', properties: {} })
    await publish(5)
    await world.broker.topics.unload(NAME)
    clock.advance(60 * MINUTE)
    await nextSweep()
    assert.equal(await entriesStored(), 5)
  })

  test('an open broker goes through records in runs with pauses between them', async () => {
    await start()
    for (let index = 0; index < 120; index++) {
      await world.broker.namespaces.topics.create(TopicName.parse(`${TOPIC}-${index}`), { partitions: 0 })
    }
    let swept = 0
    const { logs } = world
    const sweep = logs.sweep.bind(logs)
    logs.sweep = (...args) => {
      swept++
      return sweep(...args)
    }
    const seen: number[] = []
    clock.advance(world.settings.retentionCheckIntervalInSeconds * 1000)
    while (world.broker.sweeper.isSweepingLogs) {
      const before = swept
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      if (swept > before) seen.push(swept)
      else clock.advance(50)
    }
    assert.equal(swept, 120)
    assert.deepEqual(
      [50, 100].map(count => seen.includes(count)),
      [true, true]
    )
  })
})

describe('what is due by age in an unloaded topic', () => {
  test('messages past their time to live are acknowledged; the topic does not stay in memory', async () => {
    await start({ ttlDurationDefaultInSeconds: 300 })
    const topic = await loaded()
    await topic.createSubscription('sub', { position: 'earliest', properties: {} })
    await publish(5)
    await world.broker.topics.unload(NAME)
    await nextSweep()
    assert.equal((await loaded()).log.cursor('sub')?.backlogEntries(), 5)
    await world.broker.topics.unload(NAME)
    clock.advance(10 * MINUTE)
    await nextSweep()
    await until(() => world.broker.topics.size === 0)
    assert.equal((await loaded()).log.cursor('sub')?.backlogEntries(), 0)
  })

  test('subscriptions that nobody used are deleted', async () => {
    await start({ subscriptionExpirationTimeMinutes: 30 })
    const topic = await loaded()
    await topic.createSubscription('sub', { position: 'earliest', properties: {} })
    await world.broker.topics.unload(NAME)
    clock.advance(20 * MINUTE)
    await nextSweep()
    assert.notEqual((await loaded()).subscriptions.get('sub'), undefined)
    await world.broker.topics.unload(NAME)
    clock.advance(31 * MINUTE)
    await nextSweep()
    await until(() => world.broker.topics.size === 0)
    assert.equal((await loaded()).subscriptions.size, 0)
  })

  test('it is deleted if nothing needs it, and its partitioned record with its last partition if that is asked for', async () => {
    await start({
      brokerDeleteInactiveTopicsEnabled: true,
      brokerDeleteInactivePartitionedTopicMetadataEnabled: true,
      brokerDeleteInactiveTopicsFrequencySeconds: 600
    })
    const partitioned = TopicName.parse(`${TOPIC}-parted`)
    await world.broker.namespaces.topics.create(partitioned, { partitions: 2 })
    await publish(3, partitioned.partition(1).toString())
    const needed = await world.broker.topics.load(TopicName.parse(`${TOPIC}-needed`), { mayCreate: true })
    await needed.createSubscription('sub', { position: 'earliest', properties: {} })
    await publish(3)
    for (const name of [NAME, partitioned.partition(1), needed.name]) await world.broker.topics.unload(name)
    await nextSweep()
    assert.deepEqual(await Promise.all([NAME, partitioned, needed.name].map(isRecorded)), [true, true, true])
    clock.advance(10 * MINUTE)
    await nextSweep()
    await until(async () => !(await isRecorded()) && !(await isRecorded(partitioned)))
    assert.equal(await isRecorded(needed.name), true)
    assert.equal(await world.logs.exists(NAME.storageName), false)
    assert.equal(await world.logs.exists(partitioned.partition(1).storageName), false)
  })

  test('time during which the broker was down does not count', async () => {
    await start({ brokerDeleteInactiveTopicsEnabled: true, brokerDeleteInactiveTopicsFrequencySeconds: 600 })
    await publish(3)
    await world.broker.close()
    clock.advance(100 * MINUTE)
    await world.restart()
    await nextSweep()
    assert.equal(await isRecorded(), true)
    clock.advance(10 * MINUTE)
    await nextSweep()
    await until(async () => !(await isRecorded()))
  })
})

test('a wall clock that is set forward costs no subscription of a topic in memory', async () => {
  await start({ subscriptionExpirationTimeMinutes: 30 })
  const topic = await loaded()
  await topic.createSubscription('sub', { position: 'earliest', properties: {} })
  await world.broker.sweeper.expire()
  clock.stepWall(60 * MINUTE)
  await world.broker.sweeper.expire()
  assert.notEqual(topic.subscriptions.get('sub'), undefined)
  clock.stepWall(-60 * MINUTE)
  clock.advance(30 * MINUTE)
  await until(async () => {
    await world.broker.sweeper.expire()
    return topic.subscriptions.size === 0
  })
})

test('settings that change at run time reach topics in memory', async () => {
  await start()
  const topic = await loaded()
  await world.broker.dynamicSettings.set('defaultRetentionTimeInMinutes', '-1')
  await world.broker.dynamicSettings.set('defaultRetentionSizeInMB', '-1')
  await world.broker.dynamicSettings.set('managedLedgerMaxEntriesPerLedger', '4')
  await world.broker.dynamicSettings.set('maxProducersPerTopic', '7')
  await until(() => topic.policies.maxProducersPerTopic === 7)
  await publish(9)
  assert.deepEqual(
    topic.log.stats().ledgers.map(ledger => ledger.entries),
    [4, 4, 1]
  )
})

test('a topic that nobody uses is closed after the time that is set, and nothing of it is lost; without one it stays', async () => {
  await start()
  const isLoaded = (): boolean => world.broker.topics.find(NAME) !== undefined
  const topic = await loaded()
  await topic.createSubscription('sub', { position: 'earliest', properties: {} })
  await publish(3)
  clock.advance(10 * MINUTE)
  await world.broker.sweeper.sweepIdle()
  assert.ok(isLoaded())

  await world.broker.dynamicSettings.set('brokerCloseInactiveTopicsSeconds', '60')
  const client = await world.connect()
  await client.producer(TOPIC)
  clock.advance(2 * MINUTE)
  await world.broker.sweeper.sweepIdle()
  assert.ok(isLoaded(), 'somebody uses it')
  client.destroy()
  await until(() => topic.producers.size === 0)
  await world.broker.sweeper.sweepIdle()
  assert.ok(isLoaded(), 'its time is not over')
  clock.advance(2 * MINUTE)
  await world.broker.sweeper.sweepIdle()
  assert.ok(!isLoaded())

  const consumer = await world.connect()
  await consumer.subscribe(TOPIC, { subscription: 'sub' })
  consumer.flow(10)
  for (let received = 0; received < 3; received++) await consumer.nextMessage()
  consumer.destroy()
  await until(() => world.broker.topics.find(NAME)?.idleSinceMs !== undefined)
  await world.broker.dynamicSettings.remove('brokerCloseInactiveTopicsSeconds')
  clock.advance(10 * MINUTE)
  await world.broker.sweeper.sweepIdle()
  assert.ok(isLoaded())
})

test('a ledger is left at its greatest age as it is set now', async () => {
  await start({ managedLedgerMaxEntriesPerLedger: 1000 })
  const topic = await loaded()
  const ledgerAfter = async (minutes: number): Promise<number> => {
    await publish(1)
    clock.advance(minutes * MINUTE)
    await publish(1)
    return topic.log.lastConfirmed.ledgerId
  }
  const first = await ledgerAfter(1)
  assert.equal(await ledgerAfter(10), first)
  await world.broker.dynamicSettings.set('managedLedgerMaxLedgerRolloverTimeMinutes', '5')
  const second = await ledgerAfter(10)
  assert.notEqual(second, first)
})
