import { strict as assert } from 'node:assert'
import { encodeBaseCommand } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { brokerSettings } from '../config/settings.ts'
import { pulsarKeys } from '../config/pulsar-keys.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { BrokerWorld } from './testing/broker-world.ts'
import type { RawClient } from './testing/raw-client.ts'

let world: BrokerWorld
let client: RawClient

beforeEach(async () => {
  world = await BrokerWorld.start()
  client = await world.connect()
})

afterEach(async () => {
  await world.close()
})

function frameOf(command: Uint8Array): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(4 + command.length, 0)
  head.writeUInt32BE(command.length, 4)
  return Buffer.concat([head, command])
}

describe('what a later protocol may bring', () => {
  test('a command of an unknown type closes its connection and no other', async () => {
    const other = await world.connect()
    client.socket.write(frameOf(Buffer.from('08639a0600', 'hex'))) // type 99, its body empty
    await client.closed()
    await other.settle()
    assert.equal(other.isClosed, false)
  })

  test('unknown fields of a known command are passed over', async () => {
    const requestId = client.requestId()
    const topic = 'persistent://public/default/t'
    const known = encodeBaseCommand('lookupTopic', { topic, requestId })
    // field 999 of BaseCommand: a varint, then bytes
    client.socket.write(frameOf(Buffer.concat([known, Buffer.from('b83e07ba3e03010203', 'hex')])))
    assert.equal((await client.answerTo(requestId)).case, 'lookupTopicResponse')
  })
})

test('a subscription of a non-persistent topic is shown as not durable, however it was asked for', async () => {
  const topic = 'non-persistent://public/default/passing'
  await client.subscribe(topic, { durable: true })
  const found = world.broker.topics.find(TopicName.parse(topic))
  assert.equal(found?.subscriptions.get('sub')?.stats().isDurable, false)
})

test('a key that would do nothing is refused with what to do instead', () => {
  const key = 'maxConcurrentNonPersistentMessagePerConnection'
  assert.equal(Object.hasOwn(brokerSettings, key), false)
  assert.match(pulsarKeys.explain(key) ?? '', /leave it out/)
})
