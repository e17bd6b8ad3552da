import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { ProducerAccessMode, ServerError } from '@strata/wire'
import { afterEach, describe, test } from 'vitest'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { payloadTextOf, type RawClient } from '../connection/testing/raw-client.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { PersistentTopic } from './persistent-topic.ts'

const TOPIC = 'persistent://public/default/renewed'
const NAME = TopicName.parse(TOPIC)
const EXCLUSIVE = ProducerAccessMode.Exclusive

let world: BrokerWorld
const started = async (clock?: ManualClock, settings: Partial<BrokerSettings> = {}): Promise<void> => {
  world = await BrokerWorld.start(settings, clock === undefined ? {} : { clock })
}
afterEach(async () => {
  await world.close()
})

function topic(): PersistentTopic {
  const found = world.broker.topics.find(NAME)
  assert(found instanceof PersistentTopic)
  return found
}

async function publish(client: RawClient, text: string, sequenceId: bigint): Promise<void> {
  client.publish({ text, sequenceId })
  await client.next('sendReceipt')
}

/** Those of a new consumer, until there are so many. */
async function delivered(client: RawClient, count: number, consumerId: bigint): Promise<string[]> {
  client.flow(100, consumerId)
  const texts: string[] = []
  while (texts.length < count) texts.push(payloadTextOf((await client.nextMessage()).headers))
  return texts
}

describe('a topic that is unloaded and stays', () => {
  test('is another object over the same log, in a next ledger, before its clients are told', async () => {
    await started()
    const client = await world.connect()
    await client.subscribe(TOPIC) // or what is closed would be trimmed
    await client.producer(TOPIC)
    await publish(client, 'a', 0n)
    const before = topic()
    const epoch = before.log.stats().epoch
    await world.broker.topics.reload(NAME)
    const after = topic()
    assert.notEqual(after, before)
    assert.equal(before.state, 'closed')
    assert.equal(after.log, before.log)
    assert.equal(after.log.stats().epoch, epoch)
    await client.next('closeProducer')
    client.publish({ text: 'to nobody', sequenceId: 1n })
    await client.producer(TOPIC, { epoch: 1n })
    await publish(client, 'b', 1n)
    assert.deepEqual(
      after.log.stats().ledgers.map(({ entries, closedAtMs }) => [entries, closedAtMs !== undefined]),
      [
        [1, true],
        [1, false]
      ]
    )
  })

  test('answers what is in flight first, and takes nothing afterwards that it does not answer', async () => {
    await started()
    const client = await world.connect()
    await client.subscribe(TOPIC)
    await client.producer(TOPIC)
    await publish(client, 'a', 0n)
    world.node.holdSyncs()
    client.publish({ text: 'in flight', sequenceId: 1n })
    await client.settle()
    const reloading = world.broker.topics.reload(NAME)
    await client.settle()
    world.node.releaseSyncs()
    await reloading
    const kinds = [await client.take(() => true), await client.take(() => true)]
    assert.deepEqual(
      kinds.map(({ command }) => command.case),
      ['sendReceipt', 'closeProducer']
    )
    await client.subscribe(TOPIC, { consumerId: 1n })
    assert.deepEqual(await delivered(client, 2, 1n), ['a', 'in flight'])
  })

  test('delivers again what was not acknowledged, and nothing that was; a reader leaves nothing behind', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC, { subType: 1 })
    await client.subscribe(TOPIC, { subscription: 'reader', consumerId: 1n, durable: false })
    for (const [index, text] of ['a', 'b', 'c'].entries()) await publish(client, text, BigInt(index))
    client.flow(10)
    const [first] = [await client.nextMessage(), await client.nextMessage(), await client.nextMessage()]
    const { messageId } = first.message
    assert(messageId !== undefined)
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [messageId] })
    await client.settle()
    await world.broker.topics.reload(NAME)
    await client.next('closeConsumer')
    await client.next('closeConsumer')
    const { log } = topic()
    while (log.cursor('reader') !== undefined) await new Promise(setImmediate)
    await client.subscribe(TOPIC, { subType: 1, consumerId: 2n })
    client.flow(10, 2n)
    const again = [await client.nextMessage(), await client.nextMessage()]
    assert.deepEqual(
      again.map(({ headers }) => payloadTextOf(headers)),
      ['b', 'c']
    )
  })

  test('keeps the exclusive right: its holder comes back with its epoch, and an earlier one does not', async () => {
    await started()
    const client = await world.connect()
    const first = await client.producer(TOPIC, { producerAccessMode: EXCLUSIVE })
    await client.request('closeProducer', { producerId: 0n })
    const second = await client.producer(TOPIC, { producerId: 1n, producerAccessMode: EXCLUSIVE })
    assert.equal(second.topicEpoch, first.topicEpoch + 1n)
    await world.broker.topics.reload(NAME)
    await client.next('closeProducer')
    const old = { topic: TOPIC, producerId: 2n, producerAccessMode: EXCLUSIVE, topicEpoch: first.topicEpoch }
    const refused = await client.request('producer', old)
    assert(refused.case === 'error')
    assert.equal(refused.value.error, ServerError.ProducerFenced)
    const back = { producerId: 1n, producerAccessMode: EXCLUSIVE, epoch: 1n, topicEpoch: second.topicEpoch }
    assert.equal((await client.producer(TOPIC, back)).topicEpoch, second.topicEpoch)
  })

  test('under a client that publishes and consumes all the while: all of it, in order, once', async () => {
    await started()
    const client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${world.broker.ports.broker}` })
    try {
      const consumer = await client.subscribe({ topic: TOPIC, subscription: 'sub', type: 'exclusive' })
      const producer = await client.createProducer({ topic: TOPIC, batching: { enabled: false } })
      const count = 400
      const sent: Promise<unknown>[] = []
      for (let index = 0; index < count; index++) {
        sent.push(producer.send({ data: Buffer.from(String(index)) }))
        if (index % 100 === 50) await Promise.all([sent.at(-2), world.broker.topics.reload(NAME)])
      }
      await Promise.all(sent)
      assert.equal(topic().log.stats().entriesAdded, count)
      const texts = new Set<string>()
      while (texts.size < count) {
        const message = await consumer.receive()
        // what was delivered and not acknowledged when it was unloaded comes twice, and never before what is behind it
        assert(texts.has(message.text) || Number(message.text) === texts.size)
        texts.add(message.text)
        await consumer.acknowledge(message)
      }
    } finally {
      await client.close()
    }
  })
})

describe('a topic that cannot be renewed', () => {
  test('because storage does not answer, is closed when it does, and loaded again', async () => {
    const clock = new ManualClock()
    await started(clock)
    const client = await world.connect()
    await client.subscribe(TOPIC)
    await client.producer(TOPIC)
    await publish(client, 'a', 0n)
    const before = topic()
    world.node.holdSyncs()
    client.publish({ text: 'held', sequenceId: 1n })
    await client.settle()
    before.prepareHandOver = () => Promise.resolve(true)
    const reloading = world.broker.topics.reload(NAME)
    while (before.state === 'open') await client.settle()
    clock.advance(2_000)
    await client.settle()
    assert.equal(before.state, 'closing')
    world.node.releaseSyncs()
    await client.next('sendReceipt')
    await client.next('closeProducer')
    await reloading
    await client.producer(TOPIC, { epoch: 1n })
    assert.notEqual(topic().log, before.log)
    assert.equal(topic().log.stats().entries, 2)
  })

  test('because it is to be deleted, is closed instead', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await publish(client, 'a', 0n)
    const { topics } = world.broker
    const before = topic()
    world.node.holdSyncs()
    client.publish({ text: 'held', sequenceId: 1n })
    await client.settle()
    const handedOver = before.handOver.bind(before)
    let deleting: Promise<void> = Promise.resolve()
    before.handOver = (take, next) => {
      const ended = handedOver(take, next)
      deleting = topics.delete(NAME, { force: true })
      world.node.releaseSyncs()
      return ended
    }
    before.prepareHandOver = () => Promise.resolve(true)
    await topics.reload(NAME)
    await deleting
    assert.equal(topics.find(NAME), undefined)
    assert.equal(await world.logs.exists(NAME.storageName), false)
  })

  test('because its bundle leaves, leaves with it', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await publish(client, 'a', 0n)
    const { topics, homes } = world.broker
    const before = topic()
    const bundle = await homes.ownership.bundleOf(NAME)
    const handedOver = before.handOver.bind(before)
    let released: Promise<void> = Promise.resolve()
    before.handOver = (take, next) => {
      released = topics.release(bundle, undefined)
      return handedOver(take, next)
    }
    const reloading = topics.reload(NAME)
    await reloading
    await released
    assert.equal(before.log.stats().state, 'closed')
  })

  test('because a subscription is being moved, is closed once it was', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await publish(client, 'a', 0n)
    await client.subscribe(TOPIC)
    const before = topic()
    world.node.holdSyncs()
    const seeking = before.subscriptions.get('sub')?.seek({ publishTimeMs: 0 })
    while (before.subscriptions.get('sub')?.isResetting !== true) await new Promise(setImmediate)
    before.prepareHandOver = () => Promise.resolve(true)
    const reloading = world.broker.topics.reload(NAME)
    world.node.releaseSyncs()
    await Promise.all([seeking, reloading])
    assert.equal(before.log.stats().state, 'closed')
  })
})

describe('the only broker', () => {
  const ways: readonly (readonly [string, () => Promise<void>])[] = [
    ['a topic is unloaded', () => world.broker.topics.reload(NAME)],
    [
      'its bundle is unloaded',
      async () => {
        const { ownership } = world.broker.homes
        await ownership.unload(await ownership.bundleOf(NAME))
      }
    ]
  ]
  test.each(ways)('tells clients its own address as %s', async (_, unload) => {
    await started(undefined, { advertisedAddress: 'localhost' })
    const client = await usedBy()
    await unload()
    const url = `pulsar://localhost:${world.broker.ports.broker}`
    for (const closed of [await client.next('closeProducer'), await client.next('closeConsumer')]) {
      assert.equal(closed.assignedBrokerServiceUrl, url)
      assert.equal(closed.assignedBrokerServiceUrlTls, '')
    }
  })

  test('tells none where it only knows the one that a client came by', async () => {
    await started()
    const client = await usedBy()
    await world.broker.topics.reload(NAME)
    for (const closed of [await client.next('closeProducer'), await client.next('closeConsumer')]) {
      assert.equal(closed.assignedBrokerServiceUrl, '')
    }
  })

  test('tells the address of the listener that clients look topics up by', async () => {
    const advertisedListeners = 'in:pulsar://inside:6650,out:pulsar://outside:6651'
    await started(undefined, { advertisedListeners })
    const client = await usedBy()
    const looked = { topic: TOPIC, authoritative: false, advertisedListenerName: 'out' }
    await client.request('lookupTopic', looked)
    await world.broker.topics.reload(NAME)
    const { assignedBrokerServiceUrl } = await client.next('closeProducer')
    assert.equal(assignedBrokerServiceUrl, 'pulsar://outside:6651')
  })

  test('tells none as it leaves', async () => {
    await started(undefined, { advertisedAddress: 'localhost' })
    const client = await usedBy()
    await world.broker.homes.ownership.drain()
    const { assignedBrokerServiceUrl } = await client.next('closeProducer')
    assert.equal(assignedBrokerServiceUrl, '')
  })

  async function usedBy(): Promise<RawClient> {
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    return client
  }
})
