import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { MetadataView, readBrokerEntryMetadata, readMessageMetadata } from '@strata/wire'
import { afterEach, describe, test } from 'vitest'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { payloadTextOf } from '../connection/testing/raw-client.ts'
import { isNamespaceError } from '../namespace/errors.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { PersistentTopic } from './persistent-topic.ts'

const TOPIC = 'persistent://public/default/life'
const NAME = TopicName.parse(TOPIC)

let world: BrokerWorld
const started = async (settings: Partial<BrokerSettings> = {}, clock?: ManualClock): Promise<void> => {
  world = await BrokerWorld.start(settings, clock === undefined ? {} : { clock })
}

afterEach(async () => {
  await world.close()
})

describe('loading', () => {
  test('at once by many gives one topic', async () => {
    await started()
    const { topics } = world.broker
    const loaded = await Promise.all(Array.from({ length: 20 }, () => topics.load(NAME, { mayCreate: true })))
    assert.equal(new Set(loaded).size, 1)
    assert.equal(topics.size, 1)
  })

  test('waits for the one that leaves', async () => {
    await started()
    const { topics } = world.broker
    const first = await topics.load(NAME, { mayCreate: true })
    const unloading = topics.unload(NAME)
    const second = await topics.load(NAME, { mayCreate: true })
    await unloading
    assert.notEqual(first, second)
    assert.deepEqual([first.state, second.state], ['closed', 'open'])
  })

  test('no more at once than maxConcurrentTopicLoadRequest', async () => {
    await started({ maxConcurrentTopicLoadRequest: 1 })
    const names = Array.from({ length: 5 }, (_, index) => TopicName.parse(`${TOPIC}-${index}`))
    await Promise.all(names.map(name => world.broker.topics.load(name, { mayCreate: true })))
    assert.equal(world.broker.topics.size, 5)
  })
})

describe('unloading', () => {
  test('sends clients away after their receipts, and keeps messages and subscriptions', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    world.node.holdSyncs()
    client.publish({ text: 'pending', sequenceId: 5n })
    await client.settle()
    const unloading = world.broker.topics.unload(NAME)
    world.node.releaseSyncs()
    const kinds = [await client.take(() => true), await client.take(() => true), await client.take(() => true)]
    assert.deepEqual(
      kinds.map(({ command }) => command.case),
      ['sendReceipt', 'closeProducer', 'closeConsumer']
    )
    await unloading
    await client.subscribe(TOPIC, { consumerId: 1n })
    client.flow(1, 1n)
    assert.equal(payloadTextOf((await client.nextMessage()).headers), 'pending')
  })
})

describe('unloading what stays here', () => {
  test('is loaded again for clients that are about to come back, and only for them', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    const { topics } = world.broker
    const before = await topics.load(NAME, { mayCreate: false })
    await topics.reload(NAME)
    assert.equal((await client.take(() => true)).command.case, 'closeProducer')
    assert.notEqual(topics.find(NAME) ?? before, before)
    await topics.reload(NAME)
    await new Promise(setImmediate)
    assert.equal(topics.find(NAME), undefined)
  })
})

describe('deleting', () => {
  test('is refused while clients are connected, unless it is forced; then nothing is left', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    client.publish({})
    await client.next('sendReceipt')
    const { topics, namespaces } = world.broker
    await assert.rejects(topics.delete(NAME, { force: false }), error => isNamespaceError(error, 'NOT_EMPTY'))
    await topics.delete(NAME, { force: true })
    await client.next('closeProducer')
    assert.equal(await namespaces.topics.get(NAME), undefined)
    assert.equal(await world.logs.exists(NAME.storageName), false)
    await assert.rejects(topics.delete(NAME, { force: true }), error => isNamespaceError(error, 'TOPIC_NOT_FOUND'))
  })

  test('nobody can begin to use a topic while it is deleted', async () => {
    await started()
    const { topics } = world.broker
    const old = await topics.load(NAME, { mayCreate: true })
    const deleting = topics.delete(NAME, { force: false })
    const progress = { isDone: false }
    void deleting.finally(() => (progress.isDone = true))
    let refusals = 0
    while (!progress.isDone) {
      const wasClosing = old.state !== 'open'
      const result = await topics.load(NAME, { mayCreate: true }).then(
        () => 'given',
        () => 'refused'
      )
      if (result === 'refused') refusals++
      else assert.ok(!wasClosing || progress.isDone, 'a topic was handed out while it was deleted')
      await new Promise(resolve => setImmediate(resolve))
    }
    await deleting
    assert.ok(refusals > 0)
    assert.equal(old.state, 'closed')
    assert.notEqual(await topics.load(NAME, { mayCreate: true }), old)
  })

  test('one that a crash cut short is carried on at the next start', async () => {
    await started()
    await world.broker.topics.load(NAME, { mayCreate: true })
    await world.broker.namespaces.topics.beginDelete(NAME)
    await world.restart()
    while ((await world.broker.namespaces.topics.get(NAME)) !== undefined) {
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.equal(await world.logs.exists(NAME.storageName), false)
  })

  test('takes all partitions', async () => {
    await started()
    await world.broker.namespaces.topics.create(NAME, { partitions: 2 })
    const client = await world.connect()
    await client.producer(`${TOPIC}-partition-1`)
    client.publish({})
    await client.next('sendReceipt')
    await client.request('closeProducer', { producerId: 0n })
    await world.broker.topics.delete(NAME, { force: false })
    assert.equal(world.broker.topics.size, 0)
    assert.equal(await world.logs.exists(NAME.partition(1).storageName), false)
  })
})

describe('what nobody uses', () => {
  const gone = async (): Promise<void> => {
    while (world.broker.topics.size > 0) await new Promise(resolve => setImmediate(resolve))
  }

  test('is deleted after a while if it has no subscription', async () => {
    const clock = new ManualClock()
    await started({}, clock)
    await world.broker.topics.load(NAME, { mayCreate: true })
    clock.advance(61_000)
    await gone()
    while ((await world.broker.namespaces.topics.get(NAME)) !== undefined) await new Promise(setImmediate)
  })

  test('is only closed if it has one, and stays while a client is connected', async () => {
    const clock = new ManualClock()
    await started({}, clock)
    const client = await world.connect()
    await client.subscribe(TOPIC)
    for (let minute = 0; minute < 10; minute++) {
      clock.advance(29_000)
      await client.settle()
    }
    assert.equal(world.broker.topics.size, 1)
    await client.request('closeConsumer', { consumerId: 0n })
    for (let minute = 0; minute < 12; minute++) {
      clock.advance(29_000)
      await client.settle()
    }
    await gone()
    assert.notEqual(await world.broker.namespaces.topics.get(NAME), undefined)
    assert.equal(await world.logs.exists(NAME.storageName), true)
  })
})

describe('broker entry metadata', () => {
  const interceptors = ['AppendIndexMetadataInterceptor', 'AppendBrokerTimestampMetadataInterceptor']
    .map(name => `org.apache.pulsar.common.intercept.${name}`)
    .join(',')
  const settings = { brokerEntryMetadataInterceptors: interceptors, exposingBrokerEntryMetadataToClientEnabled: true }

  test('counts messages, goes to consumers that understand it, and goes on after a restart', async () => {
    await started(settings)
    const publisher = await world.connect()
    await publisher.producer(TOPIC)
    publisher.publish({ text: 'one' })
    publisher.publish({ text: 'batch', messages: 4, numMessages: 4 })
    await publisher.next('sendReceipt')
    await publisher.next('sendReceipt')
    await world.restart()
    const again = await world.connect({ supportsBrokerEntryMetadata: true })
    await again.producer(TOPIC)
    again.publish({ text: 'last' })
    await again.subscribe(TOPIC)
    again.flow(10)
    const indexes: (number | undefined)[] = []
    for (let count = 0; count < 3; count++) {
      const { headers } = await again.nextMessage()
      const view = new MetadataView()
      readMessageMetadata(headers, 0, headers.length, view)
      const stamp = readBrokerEntryMetadata(headers, view.brokerMetadataStart, view.brokerMetadataEnd)
      assert.ok((stamp.brokerTimestampMs ?? 0) > 1_600_000_000_000)
      indexes.push(stamp.index)
    }
    assert.deepEqual(indexes, [0, 4, 5])
    const plain = await world.connect()
    await plain.subscribe(TOPIC, { subscription: 'plain' })
    plain.flow(1)
    assert.equal((await plain.nextMessage()).headers.readUInt16BE(0), 0x0e01)
  })

  test('goes on where everything was trimmed before a crash, unloaded or not', async () => {
    for (const isUnloaded of [false, true]) {
      await started({
        ...settings,
        managedLedgerMaxEntriesPerLedger: isUnloaded ? 1000 : 3,
        managedLedgerMinLedgerRolloverTimeMinutes: 0,
        brokerDeleteInactiveTopicsEnabled: false
      })
      const publisher = await world.connect()
      await publisher.producer(TOPIC)
      for (let count = 0; count < 3; count++) {
        publisher.publish({ messages: 5, numMessages: 5 })
        await publisher.next('sendReceipt')
      }
      const topic = world.broker.topics.find(NAME)
      assert.ok(topic instanceof PersistentTopic)
      while (!isUnloaded && topic.log.stats().entries > 0) await new Promise(setImmediate)
      await world.crash()
      if (isUnloaded) await world.broker.sweeper.sweepLogs()
      const again = await world.connect({ supportsBrokerEntryMetadata: true })
      await again.producer(TOPIC)
      await again.subscribe(TOPIC)
      again.flow(10)
      again.publish({ text: 'next' })
      const { headers } = await again.nextMessage()
      const view = new MetadataView()
      readMessageMetadata(headers, 0, headers.length, view)
      const stamp = readBrokerEntryMetadata(headers, view.brokerMetadataStart, view.brokerMetadataEnd)
      assert.equal(stamp.index, 15)
      if (!isUnloaded) await world.close()
    }
  })

  test('an interceptor that is not known stops the start by name', async () => {
    await started()
    const { stampKindsOf } = await import('./entry-stamper.ts')
    assert.throws(() => stampKindsOf('org.example.Mine'), /brokerEntryMetadataInterceptors: org.example.Mine/)
  })
})

describe('stats', () => {
  test('have Pulsar’s names', async () => {
    await started()
    const client = await world.connect({ clientVersion: 'Pulsar-Go-version-x' })
    await client.producer(TOPIC, { producerName: 'me' })
    await client.subscribe(TOPIC)
    client.publish({ messages: 3, numMessages: 3 })
    await client.next('sendReceipt')
    const topic = world.broker.topics.find(NAME)
    const stats = topic?.stats() as {
      publishers: { producerName: string; address: string; clientVersion: string }[]
    } & Record<string, unknown>
    assert.equal(stats.msgInCounter, 3)
    assert.deepEqual(Object.keys(stats.subscriptions as object), ['sub'])
    const [publisher] = stats.publishers
    assert.equal(publisher?.producerName, 'me')
    assert.match(publisher.address, /127\.0\.0\.1:\d+$/)
    assert.equal(publisher.clientVersion, 'Pulsar-Go-version-x')
    const internal = topic?.internalStats() as { lastConfirmedEntry: string; numberOfEntries: number; cursors: object }
    assert.match(internal.lastConfirmedEntry, /^\d+:0$/)
    assert.equal(internal.numberOfEntries, 1)
    assert.deepEqual(Object.keys(internal.cursors), ['sub'])
  })
})
