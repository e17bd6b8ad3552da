import { strict as assert } from 'node:assert'
import { encodeCommand, ProducerAccessMode, ServerError, type CommandInit } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { BrokerWorld } from './testing/broker-world.ts'
import { describe as shown, entryOf, payloadTextOf, type RawClient } from './testing/raw-client.ts'

const TOPIC = 'persistent://public/default/p'

let world: BrokerWorld
let client: RawClient

beforeEach(async () => {
  world = await BrokerWorld.start()
  client = await world.connect()
})

afterEach(async () => {
  await world.close()
})

async function refused(
  from: RawClient,
  init: Omit<CommandInit<'producer'>, 'requestId'>
): Promise<{ error: number; message: string }> {
  const answer = await from.request('producer', init)
  assert.equal(answer.case, 'error', shown(answer))
  assert.notEqual(answer.value.message, '')
  return { error: answer.value.error, message: answer.value.message }
}

describe('PRODUCER', () => {
  test('always has a name and a schema version on the wire; the client may choose the name', async () => {
    const unnamed = await client.producer(TOPIC)
    assert.equal(Object.hasOwn(unnamed, 'schemaVersion'), true)
    const named = await client.producer(TOPIC, { producerId: 1n, producerName: 'mine' })
    assert.equal(named.producerName, 'mine')
    assert.equal(named.producerReady, true)
  })

  test('an id that is ready is answered again with the same name', async () => {
    const first = await client.producer(TOPIC)
    assert.equal((await client.producer(TOPIC)).producerName, first.producerName)
  })

  test('a name that a live connection has is refused; after that connection died it is free', async () => {
    const other = await world.connect()
    await other.producer(TOPIC, { producerName: 'mine' })
    const { error, message } = await refused(client, { topic: TOPIC, producerId: 0n, producerName: 'mine' })
    assert.equal(error, ServerError.ProducerBusy)
    assert.match(message, /'mine' is already connected/)
    other.destroy()
    await client.producer(TOPIC, { producerName: 'mine', producerId: 1n })
  })

  test('names that are none are refused', async () => {
    for (const topic of ['persistent://a/b', 'nonsense://a/b/c', '']) {
      assert.equal((await refused(client, { topic, producerId: 0n })).error, ServerError.InvalidTopicName)
    }
    const { error } = await refused(client, { topic: 'persistent://public/nowhere/t', producerId: 0n })
    assert.equal(error, ServerError.TopicNotFound)
  })

  test('the base name of a partitioned topic and an index past its partitions are refused', async () => {
    const { TopicName } = await import('../namespace/topic-name.ts')
    await world.broker.namespaces.topics.create(TopicName.parse('persistent://public/default/parts'), { partitions: 2 })
    for (const topic of ['persistent://public/default/parts', 'persistent://public/default/parts-partition-2']) {
      assert.equal((await refused(client, { topic, producerId: 0n })).error, ServerError.NotAllowedError)
    }
    await client.producer('persistent://public/default/parts-partition-1')
    const metadata = await client.request('partitionMetadata', { topic: 'parts' })
    assert.equal(metadata.case === 'partitionMetadataResponse' && metadata.value.partitions, 2)
  })

  test('an empty initial subscription means none, a name makes one from the start', async () => {
    await client.producer(TOPIC, { initialSubscriptionName: '' })
    client.publish({ text: 'early' })
    await client.next('sendReceipt')
    await client.producer(`${TOPIC}2`, { producerId: 1n, initialSubscriptionName: 'dlq' })
    const stats = [...world.broker.topics.values()].map(topic => [...topic.subscriptions.keys()])
    assert.deepEqual(stats, [[], ['dlq']])
  })

  test('encryption can be required', async () => {
    world.settings.encryptionRequireOnProducer = true
    const { error, message } = await refused(client, { topic: TOPIC, producerId: 0n })
    assert.equal(error, ServerError.MetadataError)
    assert.match(message, /Encryption is required/)
    await client.producer(TOPIC, { encrypted: true })
    client.publish({ sequenceId: 3n })
    const failure = await client.next('sendError')
    assert.equal(failure.error, ServerError.MetadataError)
    assert.equal(failure.sequenceId, 3n)
  })

  test('maxProducersPerTopic', async () => {
    world.settings.maxProducersPerTopic = 1
    await client.producer(TOPIC)
    assert.equal((await refused(client, { topic: TOPIC, producerId: 1n })).error, ServerError.ProducerBusy)
  })
})

describe('access modes', () => {
  test('Exclusive keeps others out and is kept out by them', async () => {
    const held = await client.producer(TOPIC, { producerAccessMode: ProducerAccessMode.Exclusive })
    assert.equal(held.topicEpoch, 0n)
    assert.equal((await refused(client, { topic: TOPIC, producerId: 1n })).error, ServerError.ProducerBusy)
    const exclusive = { topic: TOPIC, producerId: 1n, producerAccessMode: ProducerAccessMode.Exclusive }
    assert.equal((await refused(client, exclusive)).error, ServerError.ProducerFenced)
    await client.request('closeProducer', { producerId: 0n })
    const next = await client.producer(TOPIC, { ...exclusive, producerId: 2n })
    assert.equal(next.topicEpoch, 1n)
  })

  test('a lower topic epoch is fenced, an equal one is kept, and epochs outlive the broker', async () => {
    await client.producer(TOPIC, { producerAccessMode: ProducerAccessMode.Exclusive })
    await client.request('closeProducer', { producerId: 0n })
    await client.producer(TOPIC, { producerAccessMode: ProducerAccessMode.Exclusive })
    await world.restart()
    const again = await world.connect()
    const old = { topic: TOPIC, producerId: 0n, producerAccessMode: ProducerAccessMode.Exclusive, topicEpoch: 0n }
    assert.equal((await refused(again, old)).error, ServerError.ProducerFenced)
    assert.equal((await again.producer(TOPIC, { ...old, topicEpoch: 1n })).topicEpoch, 1n)
  })

  test('a topic epoch does not count in Shared', async () => {
    await client.producer(TOPIC, { topicEpoch: 0n })
    await client.producer(TOPIC, { producerId: 1n, topicEpoch: 0n })
  })

  test('WaitForExclusive is ready at once when nobody produces, else answered twice', async () => {
    const first = await client.producer(TOPIC, { producerAccessMode: ProducerAccessMode.WaitForExclusive })
    assert.equal(first.producerReady, true)
    const requestId = client.requestId()
    client.send('producer', {
      topic: TOPIC,
      producerId: 1n,
      requestId,
      producerAccessMode: ProducerAccessMode.WaitForExclusive
    })
    const waiting = await client.next('producerSuccess')
    assert.deepEqual([waiting.requestId, waiting.producerReady], [requestId, false])
    await client.request('closeProducer', { producerId: 0n })
    const ready = await client.next('producerSuccess')
    assert.deepEqual([ready.requestId, ready.producerReady, ready.topicEpoch], [requestId, true, 1n])
  })

  test('ExclusiveWithFencing closes who is there and fails who waits', async () => {
    const other = await world.connect()
    await other.producer(TOPIC, { producerAccessMode: ProducerAccessMode.Exclusive })
    const requestId = client.requestId()
    client.send('producer', {
      topic: TOPIC,
      producerId: 5n,
      requestId,
      producerAccessMode: ProducerAccessMode.WaitForExclusive
    })
    assert.equal((await client.next('producerSuccess')).producerReady, false)
    const taker = await client.producer(TOPIC, { producerAccessMode: ProducerAccessMode.ExclusiveWithFencing })
    assert.equal(taker.topicEpoch, 1n)
    assert.equal((await other.next('closeProducer')).producerId, 0n)
    const failed = await client.answerTo(requestId)
    assert.equal(failed.case === 'error' && failed.value.error, ServerError.ProducerFenced)
  })

  test('a waiting producer that goes leaves its place', async () => {
    const other = await world.connect()
    await other.producer(TOPIC, { producerAccessMode: ProducerAccessMode.Exclusive })
    client.send('producer', {
      topic: TOPIC,
      producerId: 5n,
      requestId: 1n,
      producerAccessMode: ProducerAccessMode.WaitForExclusive
    })
    assert.equal((await client.next('producerSuccess')).producerReady, false)
    assert.equal((await client.request('closeProducer', { producerId: 5n })).case, 'success')
    const failed = await client.answerTo(1n)
    assert.equal(failed.case, 'error')
    await other.request('closeProducer', { producerId: 0n })
    await other.producer(TOPIC, { producerId: 2n })
  })
})

describe('SEND', () => {
  test('receipts come in order with all 64 bits of both sequence ids', async () => {
    await client.producer(TOPIC)
    const ids = [0xffff_ffff_ffff_fff0n, 3n, 2n ** 53n + 1n]
    for (const id of ids) client.publish({ sequenceId: id, highestSequenceId: id + 2n, messages: 3, numMessages: 3 })
    for (const id of ids) {
      const receipt = await client.next('sendReceipt')
      assert.deepEqual([receipt.sequenceId, receipt.highestSequenceId], [id, id + 2n])
    }
  })

  test('a wrong checksum is told, and the connection goes on', async () => {
    await client.producer(TOPIC)
    client.publish({ headers: entryOf('x', { badChecksum: true }), sequenceId: 4n, highestSequenceId: 6n })
    const failure = await client.next('sendError')
    assert.deepEqual([failure.error, failure.sequenceId], [ServerError.ChecksumError, 6n])
    client.publish({ sequenceId: 7n })
    assert.equal((await client.next('sendReceipt')).sequenceId, 7n)
  })

  test('a payload of exactly the largest size plus its headers is taken', async () => {
    await client.producer(TOPIC)
    const text = 'x'.repeat(world.settings.maxMessageSize)
    client.publish({ text })
    await client.next('sendReceipt')
    await client.subscribe(TOPIC)
    client.flow(1)
    assert.equal(payloadTextOf((await client.nextMessage()).headers).length, text.length)
  })

  test('of a producer that it never had closes the connection', async () => {
    client.publish({ producerId: 9n })
    await client.closed()
  })

  test('of a transaction is refused', async () => {
    await client.producer(TOPIC)
    client.publish({ txnidLeastBits: 1n, txnidMostBits: 0n })
    assert.equal((await client.next('sendError')).error, ServerError.NotAllowedError)
  })

  test('garbage for metadata closes the connection', async () => {
    await client.producer(TOPIC)
    client.publish({ headers: Buffer.from('00000004ffffffff', 'hex') })
    await client.closed()
  })

  test('a terminated topic sends its producers away and refuses new ones', async () => {
    await client.producer(TOPIC)
    client.publish({})
    await client.next('sendReceipt')
    const [topic] = world.broker.topics.values()
    const { PersistentTopic } = await import('../topic/persistent-topic.ts')
    assert.ok(topic instanceof PersistentTopic)
    await topic.terminate()
    assert.equal((await client.next('closeProducer')).producerId, 0n)
    client.publish({ sequenceId: 2n })
    assert.equal((await refused(client, { topic: TOPIC, producerId: 1n })).error, ServerError.TopicTerminatedError)
  })
})

describe('when storage fails', () => {
  test('the topic is fenced: CLOSE_PRODUCER and CLOSE_CONSUMER, no SEND_ERROR, no receipt, late SENDs passed over', async () => {
    await client.producer(TOPIC)
    await client.subscribe(TOPIC, { consumerId: 7n })
    client.publish({ text: 'good', sequenceId: 1n })
    await client.next('sendReceipt')
    world.node.stop()
    client.publish({ text: 'lost', sequenceId: 2n })
    assert.equal((await client.next('closeProducer')).producerId, 0n)
    assert.equal((await client.next('closeConsumer')).consumerId, 7n)
    client.publish({ text: 'late', sequenceId: 3n })
    await client.settle()
    assert.deepEqual(client.inbox, [])

    world.node.start()
    const again = await world.connect()
    await again.producer(TOPIC)
    again.publish({ text: 'again', sequenceId: 2n })
    await again.next('sendReceipt')
  })
})

describe('CLOSE_PRODUCER', () => {
  test('comes after the receipts of what was sent before, and is answered for an unknown id too', async () => {
    await client.producer(TOPIC)
    world.node.holdSyncs()
    client.publish({ sequenceId: 1n })
    const requestId = client.requestId()
    client.send('closeProducer', { producerId: 0n, requestId })
    await client.settle()
    assert.deepEqual(client.inbox, [])
    world.node.releaseSyncs()
    const answers = [await client.take(() => true), await client.take(() => true)]
    assert.deepEqual(
      answers.map(({ command }) => command.case),
      ['sendReceipt', 'success']
    )
    assert.equal((await client.request('closeProducer', { producerId: 0n })).case, 'success')
  })

  test('and PRODUCER of the same id in one write make a new producer', async () => {
    await client.producer(TOPIC, { producerName: 'mine' })
    const close = encodeCommand('closeProducer', { producerId: 0n, requestId: 1n })
    const create = encodeCommand('producer', { topic: TOPIC, producerId: 0n, requestId: 2n, producerName: 'mine' })
    client.socket.write(Buffer.concat([close, create]))
    assert.equal((await client.answerTo(1n)).case, 'success')
    assert.equal((await client.answerTo(2n)).case, 'producerSuccess')
    client.publish({ sequenceId: 8n })
    assert.equal((await client.next('sendReceipt')).sequenceId, 8n)
  })
})
