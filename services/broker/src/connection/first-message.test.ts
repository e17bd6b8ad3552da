import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { BrokerWorld } from './testing/broker-world.ts'
import { payloadTextOf } from './testing/raw-client.ts'

let world: BrokerWorld

beforeEach(async () => {
  world = await BrokerWorld.start()
})

afterEach(async () => {
  await world.close()
})

describe('from CONNECT to ACK', () => {
  test('a message published is delivered, acknowledged and not delivered again', async () => {
    const client = await world.connect()
    const topic = 'persistent://public/default/first'
    const metadata = await client.request('partitionMetadata', { topic })
    assert.equal(metadata.case, 'partitionMetadataResponse')
    const lookup = await client.request('lookupTopic', { topic })
    assert.equal(lookup.case, 'lookupTopicResponse')
    assert.equal(lookup.value.response, 1)
    assert.equal(lookup.value.brokerServiceUrl, `pulsar://127.0.0.1:${world.broker.ports.broker}`)

    const created = await client.producer(topic)
    assert.match(created.producerName, /^standalone-\d+-\d+$/)
    assert.equal(created.lastSequenceId, -1n)
    await client.subscribe(topic)
    client.flow(10)
    client.publish({ text: 'one', sequenceId: 9_007_199_254_740_993n })
    const receipt = await client.next('sendReceipt')
    assert.equal(receipt.sequenceId, 9_007_199_254_740_993n)

    const { message, headers } = await client.nextMessage()
    assert.equal(payloadTextOf(headers), 'one')
    assert.deepEqual(message.messageId?.ledgerId, receipt.messageId?.ledgerId)
    client.send('ack', {
      consumerId: 0n,
      ackType: 0,
      messageId: [{ ledgerId: receipt.messageId?.ledgerId ?? 0n, entryId: receipt.messageId?.entryId ?? 0n }],
      requestId: 77n
    })
    const acked = await client.next('ackResponse')
    assert.equal(acked.requestId, 77n)
    assert.equal(Object.hasOwn(acked, 'error'), false)

    const closed = await client.request('closeConsumer', { consumerId: 0n })
    assert.equal(closed.case, 'success')
    await client.subscribe(topic, { consumerId: 1n })
    client.flow(10, 1n)
    client.publish({ text: 'two', sequenceId: 2n })
    assert.equal(payloadTextOf((await client.nextMessage()).headers), 'two')
  })

  test('messages outlive the broker', async () => {
    const topic = 'persistent://public/default/kept'
    const client = await world.connect()
    await client.producer(topic)
    await client.subscribe(topic)
    for (const index of [0, 1, 2]) client.publish({ text: `m${index}`, sequenceId: BigInt(index) })
    for (const index of [0, 1, 2]) assert.equal((await client.next('sendReceipt')).sequenceId, BigInt(index))
    await world.restart()
    assert.equal((await client.next('closeProducer')).requestId, 0xffff_ffff_ffff_ffffn)
    assert.equal((await client.next('closeConsumer')).requestId, 0xffff_ffff_ffff_ffffn)
    await client.closed()

    const again = await world.connect()
    await again.subscribe(topic)
    again.flow(10)
    for (const index of [0, 1, 2]) assert.equal(payloadTextOf((await again.nextMessage()).headers), `m${index}`)
  })
})
