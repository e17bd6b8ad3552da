import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { payloadTextOf } from '../connection/testing/raw-client.ts'
import { TopicName } from '../namespace/topic-name.ts'
import type { BundleName } from '../ownership/contract.ts'
import { PersistentTopic } from './persistent-topic.ts'

const TOPIC = 'persistent://public/default/leaving'
const NAME = TopicName.parse(TOPIC)
const SERVICE_NOT_READY = 6

let world: BrokerWorld
beforeEach(async () => {
  world = await BrokerWorld.start()
})
afterEach(async () => {
  await world.close()
})

function bundle(): Promise<BundleName> {
  return world.broker.homes.ownership.bundleOf(NAME)
}

async function stored(): Promise<(readonly [string, number])[]> {
  const { records } = await world.metadata.scan({ prefix: 'logs/' })
  return records.map(({ key, version }) => [key, version] as const)
}

describe('a broker out of touch with its cluster', () => {
  test('sends nothing, and sends everybody away; afterwards all goes on', async () => {
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    client.publish({ text: 'before' })
    await client.next('sendReceipt')
    world.node.holdSyncs()
    client.publish({ sequenceId: 1n, text: 'in flight' })
    await client.settle()
    world.broker.topics.suspend(true)
    const { assignedBrokerServiceUrl } = await client.next('closeProducer')
    assert.equal(assignedBrokerServiceUrl, '')
    await client.next('closeConsumer')
    world.node.releaseSyncs()
    client.flow(10)
    client.publish({ sequenceId: 2n, text: 'too late' })
    const refused = [
      await client.request('producer', { topic: TOPIC, producerId: 1n }),
      await client.request('subscribe', { topic: TOPIC, subscription: 'other', subType: 0, consumerId: 1n })
    ]
    for (const answer of refused) {
      assert(answer.case === 'error')
      assert.equal(answer.value.error, SERVICE_NOT_READY)
    }
    await client.settle()
    assert.deepEqual(client.inbox, [])
    assert.deepEqual(world.broker.troubles.length, 1)
    world.broker.topics.suspend(false)
    await client.subscribe(TOPIC)
    client.flow(10)
    for (const text of ['before', 'in flight']) {
      assert.equal(payloadTextOf((await client.nextMessage()).headers), text)
    }
    await client.producer(TOPIC, { producerId: 2n })
    client.publish({ producerId: 2n, sequenceId: 2n, text: 'again' })
    await client.next('sendReceipt')
    assert.equal(payloadTextOf((await client.nextMessage()).headers), 'again')
    assert.deepEqual(world.broker.troubles, [])
  })

  test('a topic that stores nothing does the same', async () => {
    const client = await world.connect()
    await client.producer('non-persistent://public/default/leaving')
    await client.subscribe('non-persistent://public/default/leaving')
    world.broker.topics.suspend(true)
    await client.next('closeProducer')
    await client.next('closeConsumer')
  })
})

describe("a bundle that is another broker's already", () => {
  test('nothing is written any more; no receipt goes out, and clients are sent away', async () => {
    const client = await world.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    client.flow(10)
    client.publish({ text: 'a' })
    await client.next('sendReceipt')
    const { message } = await client.nextMessage()
    world.node.holdSyncs()
    client.publish({ sequenceId: 1n, text: 'in flight' })
    client.send('ack', {
      consumerId: 0n,
      ackType: 0,
      messageId: message.messageId === undefined ? [] : [message.messageId]
    })
    await client.settle()
    const before = await stored()
    await world.broker.topics.drop(await bundle(), undefined)
    await client.next('closeProducer')
    await client.next('closeConsumer')
    world.node.releaseSyncs()
    await client.settle()
    assert.deepEqual(client.inbox, [])
    assert.deepEqual(await stored(), before)
    // whoever comes next finds what was stored, and nobody holds the log
    const topic = await world.broker.topics.load(NAME, { mayCreate: false })
    assert(topic instanceof PersistentTopic)
    assert(topic.log.stats().entries >= 1)
    assert.equal(topic.log.cursor('sub')?.backlogEntries(), topic.log.stats().entries)
  })
})

describe('a bundle that leaves', () => {
  test('takes its topics along, and no others; what is asked for meanwhile waits', async () => {
    const { topics } = world.broker
    const leaving = await topics.load(NAME, { mayCreate: true })
    const all = Array.from({ length: 20 }, (_, index) => TopicName.parse(`${TOPIC}-${index}`))
    await Promise.all(all.map(name => topics.load(name, { mayCreate: true })))
    const range = await bundle()
    const going = new Set(topics.loaded(range).map(String))
    assert(going.has(TOPIC) && going.size < topics.size)
    const stay = topics.size - going.size
    const released = topics.release(range, undefined)
    const again = topics.load(NAME, { mayCreate: false })
    await released
    assert.equal(leaving.state, 'closed')
    assert.notEqual(await again, leaving)
    assert.equal(topics.size, stay + 1)
    assert.deepEqual(topics.moves, { released: 1, dropped: 0 })
  })

  test('the log is closed before clients are sent away', async () => {
    const client = await world.connect()
    await client.producer(TOPIC)
    client.publish({ text: 'a' })
    await client.next('sendReceipt')
    const released = world.broker.topics.release(await bundle(), undefined)
    await client.next('closeProducer')
    const { logs } = world
    const swept = await logs.sweep(NAME.storageName, { timeMs: -1, sizeBytes: -1 })
    assert.notEqual(swept?.closedAtMs, undefined)
    await released
  })
})
