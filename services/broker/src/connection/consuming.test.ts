import { strict as assert } from 'node:assert'
import { CommandSubscribe_SubType, ServerError } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { TopicName } from '../namespace/topic-name.ts'
import { BrokerWorld } from './testing/broker-world.ts'
import { describe as shown, payloadTextOf, type RawClient } from './testing/raw-client.ts'

const TOPIC = 'persistent://public/default/c'
const ALL_ONES = 0xffff_ffff_ffff_ffffn
const LATEST_ID = { ledgerId: 2n ** 63n - 1n, entryId: 2n ** 63n - 1n }
const EARLIEST_ID = { ledgerId: ALL_ONES, entryId: ALL_ONES }

let world: BrokerWorld
let client: RawClient

beforeEach(async () => {
  world = await BrokerWorld.start()
  client = await world.connect()
})

afterEach(async () => {
  await world.close()
})

async function refusal(init: object, from = client): Promise<number> {
  const request = {
    topic: TOPIC,
    subscription: 'sub',
    subType: CommandSubscribe_SubType.Exclusive,
    consumerId: 0n,
    ...init
  }
  const answer = await from.request('subscribe', request)
  assert.equal(answer.case, 'error', shown(answer))
  return answer.value.error
}

/** Publishes texts and resolves with their ids. */
async function publish(...texts: string[]): Promise<{ ledgerId: bigint; entryId: bigint }[]> {
  await client.producer(TOPIC)
  const ids: { ledgerId: bigint; entryId: bigint }[] = []
  for (const text of texts) {
    client.publish({ text })
    const { messageId } = await client.next('sendReceipt')
    assert.ok(messageId !== undefined)
    ids.push({ ledgerId: messageId.ledgerId, entryId: messageId.entryId })
  }
  return ids
}

async function texts(count: number, from = client): Promise<string[]> {
  const got: string[] = []
  for (let index = 0; index < count; index++) got.push(payloadTextOf((await from.nextMessage()).headers))
  return got
}

describe('SUBSCRIBE', () => {
  test('an id that is there is answered again', async () => {
    await client.subscribe(TOPIC)
    await client.subscribe(TOPIC)
  })

  test('what does not exist is not made where that is not allowed', async () => {
    assert.equal(await refusal({ forceTopicCreation: false }), ServerError.TopicNotFound)
    world.settings.allowAutoSubscriptionCreation = false
    assert.equal(await refusal({}), ServerError.SubscriptionNotFound)
    await client.subscribe(TOPIC, { durable: false })
    world.settings.allowAutoTopicCreation = false
    assert.equal(await refusal({ topic: `${TOPIC}-other`, consumerId: 1n }), ServerError.TopicNotFound)
  })

  test('names, sizes and options that cannot be are refused', async () => {
    assert.equal(await refusal({ subscription: '' }), ServerError.ProducerBusy)
    assert.equal(await refusal({ subscription: 'pulsar.repl.x' }), ServerError.ProducerBusy)
    assert.equal(
      await refusal({ subType: CommandSubscribe_SubType.Shared, readCompacted: true }),
      ServerError.NotAllowedError
    )
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Failover, readCompacted: true })
    const metadata = [{ key: 'k', value: 'v'.repeat(1024) }]
    assert.equal(await refusal({ metadata, consumerId: 3n }), ServerError.MetadataError)
  })

  test('a name of the other durability is refused', async () => {
    await client.subscribe(TOPIC)
    assert.equal(await refusal({ consumerId: 1n, durable: false }), ServerError.NotAllowedError)
    await client.subscribe(TOPIC, { consumerId: 2n, subscription: 'reader', durable: false })
    assert.equal(await refusal({ consumerId: 3n, subscription: 'reader' }), ServerError.NotAllowedError)
  })

  test('a second exclusive consumer is refused; when the first one died silently it is not', async () => {
    const other = await world.connect()
    await other.subscribe(TOPIC)
    assert.equal(await refusal({}), ServerError.ConsumerBusy)
    other.destroy()
    await client.subscribe(TOPIC)
  })

  test('limits of consumers and subscriptions', async () => {
    world.settings.maxConsumersPerSubscription = 1
    world.settings.maxSubscriptionsPerTopic = 1
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared })
    assert.equal(await refusal({ subType: CommandSubscribe_SubType.Shared, consumerId: 1n }), ServerError.ConsumerBusy)
    assert.equal(await refusal({ subscription: 'second', consumerId: 2n }), ServerError.NotAllowedError)
  })
})

describe('where a subscription begins', () => {
  test('a reader gets the very entry it names, a durable subscription ignores the id', async () => {
    const ids = await publish('a', 'b', 'c')
    await client.subscribe(TOPIC, { subscription: 'r', durable: false, startMessageId: { ...ids[1]!, batchIndex: -1 } })
    client.flow(10)
    assert.deepEqual(await texts(2), ['b', 'c'])
    await client.subscribe(TOPIC, { subscription: 'd', consumerId: 1n, startMessageId: ids[2]! })
    client.flow(10, 1n)
    assert.deepEqual(await texts(3), ['a', 'b', 'c'])
  })

  test('a reader at the latest and at the earliest position', async () => {
    await publish('old')
    await client.subscribe(TOPIC, { subscription: 'l', durable: false, startMessageId: LATEST_ID })
    await client.subscribe(TOPIC, { subscription: 'e', durable: false, startMessageId: EARLIEST_ID, consumerId: 1n })
    client.flow(10)
    client.flow(10, 1n)
    client.publish({ text: 'new' })
    const got = [await client.nextMessage(), await client.nextMessage(), await client.nextMessage()]
    const shownTexts = got.map(({ message, headers }) => `${message.consumerId} ${payloadTextOf(headers)}`).sort()
    assert.deepEqual(shownTexts, ['0 new', '1 new', '1 old'])
  })

  test('a subscription that was made late begins at the latest message', async () => {
    await publish('old')
    await client.subscribe(TOPIC, { initialPosition: 0 })
    client.flow(10)
    client.publish({ text: 'new' })
    assert.deepEqual(await texts(1), ['new'])
  })

  test('a subscription of a reader goes with its consumer', async () => {
    await client.subscribe(TOPIC, { subscription: 'r', durable: false })
    const topic = world.broker.topics.find(TopicName.parse(TOPIC))
    assert.equal(topic?.subscriptions.size, 1)
    await client.request('closeConsumer', { consumerId: 0n })
    assert.equal(topic.subscriptions.size, 0)
  })
})

describe('ACK', () => {
  test('an unknown consumer and an ACK without request id are met with silence', async () => {
    const [id] = await publish('a')
    client.send('ack', { consumerId: 9n, ackType: 0, messageId: [id!], requestId: 5n })
    await client.subscribe(TOPIC)
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [id!] })
    await client.settle()
    assert.deepEqual(client.inbox, [])
  })

  test('a receipt comes only once the acknowledgement is durable', async () => {
    const [id] = await publish('a')
    await client.subscribe(TOPIC)
    world.node.holdSyncs()
    client.send('ack', { consumerId: 0n, ackType: 1, messageId: [id!], requestId: 2n ** 64n - 2n })
    await client.settle()
    assert.deepEqual(client.inbox, [])
    world.node.releaseSyncs()
    assert.equal((await client.next('ackResponse')).requestId, 2n ** 64n - 2n)
  })

  test('of a transaction is refused, once, if it asks', async () => {
    const [id] = await publish('a')
    await client.subscribe(TOPIC)
    const txn = { txnidLeastBits: 1n, txnidMostBits: 2n }
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [id!], ...txn })
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [id!], requestId: 1n, ...txn })
    assert.equal((await client.next('ackResponse')).error, ServerError.NotAllowedError)
    await client.settle()
    assert.deepEqual(client.inbox, [])
  })

  test('bits of a batch: what is left is delivered again with its set', async () => {
    await client.producer(TOPIC)
    client.publish({ messages: 4, numMessages: 4 })
    const { messageId } = await client.next('sendReceipt')
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared })
    client.flow(10)
    await client.nextMessage()
    const id = { ledgerId: messageId!.ledgerId, entryId: messageId!.entryId, ackSet: [0b1010n], batchSize: 4 }
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [id], requestId: 1n })
    await client.next('ackResponse')
    client.send('redeliverUnacknowledgedMessages', { consumerId: 0n })
    const { message } = await client.nextMessage()
    assert.deepEqual(message.ackSet, [0b1010n])
    assert.equal(message.redeliveryCount, 1)
  })
})

describe('requests of a consumer', () => {
  test('UNSUBSCRIBE forgets the subscription; with others connected it is refused', async () => {
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared })
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared, consumerId: 1n })
    const refused = await client.request('unsubscribe', { consumerId: 0n })
    assert.equal(refused.case === 'error' && refused.value.error, ServerError.MetadataError)
    await client.request('closeConsumer', { consumerId: 1n })
    assert.equal((await client.request('unsubscribe', { consumerId: 0n })).case, 'success')
    assert.equal(world.broker.topics.find(TopicName.parse(TOPIC))?.subscriptions.size, 0)
    const unknown = await client.request('unsubscribe', { consumerId: 0n })
    assert.equal(unknown.case === 'error' && unknown.value.error, ServerError.MetadataError)
  })

  test('SEEK: CLOSE_CONSUMER first, then SUCCESS; then messages from there', async () => {
    const ids = await publish('a', 'b', 'c')
    await client.subscribe(TOPIC)
    client.flow(10)
    await texts(3)
    const requestId = client.requestId()
    client.send('seek', { consumerId: 0n, requestId, messageId: ids[1]! })
    const order = [await client.take(() => true), await client.take(() => true)]
    assert.deepEqual(
      order.map(({ command }) => command.case),
      ['closeConsumer', 'success']
    )
    await client.subscribe(TOPIC, { consumerId: 1n })
    client.flow(10, 1n)
    assert.deepEqual(await texts(2), ['b', 'c'])
    const neither = await client.request('seek', { consumerId: 1n })
    assert.equal(neither.case === 'error' && neither.value.error, ServerError.MetadataError)
  })

  test('SEEK: a SUBSCRIBE that waits for it is answered after it', async () => {
    const ids = await publish('a', 'b')
    await client.subscribe(TOPIC)
    world.node.holdSyncs()
    const seekId = client.requestId()
    client.send('seek', { consumerId: 0n, requestId: seekId, messageId: ids[0]! })
    await client.next('closeConsumer')
    const again = { topic: TOPIC, subscription: 'sub', subType: CommandSubscribe_SubType.Exclusive, consumerId: 0n }
    const subscribeId = client.requestId()
    client.send('subscribe', { ...again, requestId: subscribeId })
    await client.settle()
    assert.deepEqual(client.inbox, [])
    world.node.releaseSyncs()
    const answers = [await client.take(() => true), await client.take(() => true)]
    const requestIds = answers.map(({ command }) =>
      command.case === 'success' ? command.value.requestId : command.case
    )
    assert.deepEqual(requestIds, [seekId, subscribeId])
  })

  test('a SEEK during a SEEK is refused', async () => {
    const ids = await publish('a', 'b')
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared })
    const other = await world.connect()
    await other.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared })
    world.node.holdSyncs()
    client.send('seek', { consumerId: 0n, requestId: 1n, messageId: ids[0]! })
    other.send('seek', { consumerId: 0n, requestId: 1n, messageId: ids[0]! })
    const [first, second] = [await client.next('closeConsumer'), await other.next('closeConsumer')]
    assert.deepEqual([first.consumerId, second.consumerId], [0n, 0n])
    const answer = await Promise.race([client.next('error'), other.next('error')])
    assert.ok(answer.error === 0 || answer.error === ServerError.MetadataError)
    world.node.releaseSyncs()
  })

  test('SEEK by time goes to the first message that was published at or after it', async () => {
    await publish('a', 'b')
    await client.subscribe(TOPIC)
    const answer = await client.request('seek', { consumerId: 0n, messagePublishTime: 1_600_000_000_000n })
    assert.equal(answer.case, 'success')
    await client.subscribe(TOPIC, { consumerId: 1n })
    client.flow(10, 1n)
    assert.deepEqual(await texts(2), ['a', 'b'])
  })

  test('GET_LAST_MESSAGE_ID of an empty topic, a message and a batch', async () => {
    await client.subscribe(TOPIC)
    const empty = await client.request('getLastMessageId', { consumerId: 0n })
    assert.ok(empty.case === 'getLastMessageIdResponse')
    assert.deepEqual([empty.value.lastMessageId?.ledgerId, empty.value.lastMessageId?.entryId], [ALL_ONES, ALL_ONES])
    await client.producer(TOPIC)
    for (const [messages, batchIndex] of [
      [undefined, -1],
      [5, 4]
    ] as const) {
      client.publish(messages === undefined ? {} : { messages, numMessages: messages })
      const { messageId } = await client.next('sendReceipt')
      const last = await client.request('getLastMessageId', { consumerId: 0n })
      assert.ok(last.case === 'getLastMessageIdResponse')
      assert.equal(last.value.lastMessageId?.entryId, messageId?.entryId)
      assert.equal(last.value.lastMessageId?.batchIndex, batchIndex)
      assert.ok(last.value.consumerMarkDeletePosition !== undefined)
    }
    const unknown = await client.request('getLastMessageId', { consumerId: 9n })
    assert.equal(unknown.case === 'error' && unknown.value.error, ServerError.MetadataError)
  })

  test('CONSUMER_STATS', async () => {
    await publish('a')
    await client.subscribe(TOPIC, { subType: CommandSubscribe_SubType.Shared, consumerName: 'me' })
    client.flow(7)
    await texts(1)
    const stats = await client.request('consumerStats', { consumerId: 0n })
    assert.ok(stats.case === 'consumerStatsResponse')
    assert.deepEqual([stats.value.consumerName, stats.value.availablePermits, stats.value.type], ['me', 6n, 'Shared'])
    const unknown = await client.request('consumerStats', { consumerId: 9n })
    assert.equal(unknown.case === 'consumerStatsResponse' && unknown.value.errorCode, ServerError.ConsumerNotFound)
  })

  test('FLOW and REDELIVER of an unknown consumer are met with silence', async () => {
    client.flow(10, 9n)
    client.send('redeliverUnacknowledgedMessages', { consumerId: 9n })
    await client.settle()
    assert.deepEqual(client.inbox, [])
  })
})

describe('the end of a topic', () => {
  test('is told when all is acknowledged', async () => {
    const { PersistentTopic } = await import('../topic/persistent-topic.ts')
    const [id] = await publish('a')
    await client.subscribe(TOPIC)
    client.flow(10)
    await texts(1)
    const topic = world.broker.topics.find(TopicName.parse(TOPIC))
    assert.ok(topic instanceof PersistentTopic)
    await topic.terminate()
    await client.next('closeProducer')
    await client.settle()
    assert.deepEqual(client.inbox, [])
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [id!] })
    assert.equal((await client.next('reachedEndOfTopic')).consumerId, 0n)
  })
})

describe('a topic that stores nothing', () => {
  test('delivers to who is there and drops the rest', async () => {
    const topic = 'non-persistent://public/default/np'
    await client.producer(topic)
    client.publish({ text: 'dropped' })
    const receipt = await client.next('sendReceipt')
    assert.deepEqual([receipt.messageId?.ledgerId, receipt.messageId?.entryId], [0n, 0n])
    await client.subscribe(topic, { subType: CommandSubscribe_SubType.Shared })
    client.flow(1)
    await client.settle()
    client.publish({ text: 'taken' })
    client.publish({ text: 'no permit' })
    assert.deepEqual(await texts(1), ['taken'])
    await client.settle()
    assert.equal(client.inbox.filter(({ command }) => command.case === 'message').length, 0)
  })
})

describe('what older clients are sent', () => {
  test('below version 11 the checksum is left out', async () => {
    await publish('a')
    const old = await world.connect({ protocolVersion: 10 })
    await old.subscribe(TOPIC)
    old.flow(1)
    const { headers } = await old.nextMessage()
    assert.notEqual(headers.readUInt16BE(0), 0x0e01)
    assert.equal(headers.toString('utf8', 4 + headers.readUInt32BE(0)), 'a')
  })
})
