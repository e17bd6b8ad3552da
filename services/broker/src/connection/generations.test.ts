import { strict as assert } from 'node:assert'
import { CodedError } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { ServerError } from '@strata/wire'
import { afterEach, describe, test } from 'vitest'
import type { BrokerSettings } from '../config/settings.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { BrokerWorld } from './testing/broker-world.ts'
import type { RawClient } from './testing/raw-client.ts'

const TOPIC = 'persistent://public/default/reborn'
const NAME = TopicName.parse(TOPIC)

let world: BrokerWorld
const started = async (settings: Partial<BrokerSettings> = {}, clock?: ManualClock): Promise<void> => {
  world = await BrokerWorld.start(settings, clock === undefined ? {} : { clock })
}
afterEach(async () => {
  await world.close()
})

const generation = async (): Promise<string | undefined> => (await world.broker.namespaces.topics.get(NAME))?.generation

async function errorOf(asked: ReturnType<RawClient['request']>): Promise<ServerError | undefined> {
  const answer = await asked
  return answer.case === 'error' ? answer.value.error : undefined
}

const produce = (client: RawClient, init: object = {}): ReturnType<RawClient['request']> =>
  client.request('producer', { topic: TOPIC, producerId: 0n, ...init })

const subscribe = (client: RawClient, init: object = {}): ReturnType<RawClient['request']> =>
  client.request('subscribe', { topic: TOPIC, subscription: 'sub', subType: 0, consumerId: 0n, ...init })

describe('a topic that somebody deleted', () => {
  test('is not brought back by the producers and consumers it had', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    await world.broker.topics.delete(NAME, { force: true })
    await client.next('closeProducer')
    await client.next('closeConsumer')
    assert.equal(await errorOf(produce(client)), ServerError.TopicNotFound)
    assert.equal(await errorOf(subscribe(client)), ServerError.TopicNotFound)
    assert.equal(await generation(), undefined)
  })

  test('is made anew by whoever had none of it; those of the old one stay out, however late they come', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    const old = await generation()
    await world.broker.topics.delete(NAME, { force: true })
    await client.producer(TOPIC, { producerId: 1n })
    const young = await generation()
    assert.ok(young !== undefined && young !== old)
    for (const when of ['loaded', 'unloaded']) {
      assert.equal(await errorOf(produce(client)), ServerError.TopicNotFound, when)
      assert.equal(await errorOf(subscribe(client)), ServerError.TopicNotFound, when)
      await world.broker.topics.unload(NAME)
    }
    assert.equal(await generation(), young)
    await client.producer(TOPIC, { producerId: 1n })
  })

  test('an id that its client closed is as good as new', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    await world.broker.topics.delete(NAME, { force: true })
    await client.request('closeProducer', { producerId: 0n })
    await client.request('closeConsumer', { consumerId: 0n })
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
  })

  test('is not brought back over another connection by a producer that a broker named', async () => {
    await started()
    const first = await world.connect()
    const { producerName } = await first.producer(TOPIC, { userProvidedProducerName: false })
    first.destroy()
    await world.broker.topics.delete(NAME, { force: true })
    const second = await world.connect()
    const returning = { producerName, userProvidedProducerName: false }
    assert.equal(await errorOf(produce(second, returning)), ServerError.TopicNotFound)
    assert.equal(await generation(), undefined)
    await second.producer(TOPIC, { producerId: 1n, userProvidedProducerName: false })
  })

  test('may be made by a program that starts again with the names it always uses', async () => {
    await started()
    const first = await world.connect()
    await first.producer(TOPIC, { producerName: 'mine', userProvidedProducerName: true })
    await first.subscribe(TOPIC, { consumerName: 'mine' })
    first.destroy()
    await world.broker.topics.delete(NAME, { force: true })
    const second = await world.connect()
    await second.producer(TOPIC, { producerName: 'mine', userProvidedProducerName: true })
    await second.subscribe(TOPIC, { consumerName: 'mine' })
  })

  test('ends the producer and the consumer of a client that comes back by itself', async () => {
    await started()
    const serviceUrl = `pulsar://127.0.0.1:${world.broker.ports.broker}`
    const client = new PulsarClient({ serviceUrl, backoff: { initialMs: 1, maxMs: 5 } })
    const message = { data: Buffer.from('x') }
    const producer = await client.createProducer({ topic: TOPIC })
    const consumer = await client.subscribe({ topic: TOPIC, subscription: 'sub' })
    await producer.send(message)
    await consumer.receive()
    await world.broker.topics.delete(NAME, { force: true })
    const isGone = (error: unknown): boolean => error instanceof CodedError && error.code === 'TOPIC_NOT_FOUND'
    await assert.rejects(producer.send(message), isGone)
    await assert.rejects(consumer.receive(), isGone)
    assert.equal(await generation(), undefined)
    const young = await client.createProducer({ topic: TOPIC })
    await young.send(message)
    await assert.rejects(producer.send(message))
    client.shutdown()
  })

  test('partitions go with their topic', async () => {
    await started()
    await world.broker.namespaces.topics.create(NAME, { partitions: 2 })
    const client = await world.connect()
    const partition = { topic: `${TOPIC}-partition-1` }
    await client.producer(partition.topic)
    await world.broker.topics.delete(NAME, { force: true })
    assert.equal(await errorOf(produce(client, partition)), ServerError.TopicNotFound)
    await world.broker.namespaces.topics.create(NAME, { partitions: 2 })
    assert.equal(await errorOf(produce(client, partition)), ServerError.TopicNotFound)
    assert.equal(world.broker.topics.size, 0)
  })
})

describe('coming back', () => {
  test('to a topic that was only unloaded is as ever', async () => {
    await started()
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    await world.broker.topics.unload(NAME)
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
  })

  test('to one that the broker deleted by itself makes it anew', async () => {
    const clock = new ManualClock()
    await started({ keepAliveIntervalSeconds: 3600 }, clock)
    const client = await world.connect()
    const { producerName } = await client.producer(TOPIC, { userProvidedProducerName: false })
    await world.broker.topics.unload(NAME)
    await client.next('closeProducer')
    const other = await world.connect()
    await other.producer(TOPIC)
    await other.request('closeProducer', { producerId: 0n })
    clock.advance(61_000)
    while (world.broker.topics.size > 0 || (await generation()) !== undefined) {
      await new Promise(resolve => setImmediate(resolve))
    }
    await client.producer(TOPIC)
    await world.broker.topics.unload(NAME)
    const later = await world.connect()
    await later.producer(TOPIC, { producerName, userProvidedProducerName: false })
  })

  test('to a topic that lives in memory only makes it again', async () => {
    await started()
    const topic = 'non-persistent://public/default/reborn'
    const client = await world.connect()
    await client.producer(topic)
    await world.broker.topics.delete(TopicName.parse(topic), { force: true })
    await client.producer(topic)
  })
})
