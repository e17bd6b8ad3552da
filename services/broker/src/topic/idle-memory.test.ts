import { strict as assert } from 'node:assert'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ManualClock } from '@strata/base/testing'
import { afterEach, test } from 'vitest'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import type { RawClient } from '../connection/testing/raw-client.ts'
import { PersistentTopic } from './persistent-topic.ts'

const TOPICS = 10
const ROUNDS_MAX = 100

let world: BrokerWorld
afterEach(async () => {
  await world.close()
})

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

async function useOnce(
  client: RawClient,
  topic: string,
  { isAcknowledged }: { isAcknowledged: boolean }
): Promise<void> {
  await client.producer(topic)
  await client.subscribe(topic)
  client.publish({})
  await client.next('sendReceipt')
  client.flow(1)
  const { message } = await client.nextMessage()
  assert.ok(message.messageId !== undefined)
  if (isAcknowledged) client.send('ack', { consumerId: 0n, ackType: 0, messageId: [message.messageId] })
  await client.request('closeConsumer', { consumerId: 0n })
  await client.request('closeProducer', { producerId: 0n })
}

/** In a function of its own, whose end lets go of what it named. */
async function useTopics(): Promise<void> {
  const client = await world.connect()
  for (let index = 0; index < TOPICS; index++) {
    await useOnce(client, `persistent://public/default/idle-${index}`, { isAcknowledged: index % 2 === 0 })
  }
  await world.broker.meters.look() // also of what has a backlog nothing is to stay
  client.destroy()
  while (world.broker.connectionCount > 0) await new Promise(resolve => setImmediate(resolve))
}

async function closeTopics(): Promise<void> {
  for (const topic of [...world.broker.topics.values()]) await world.broker.topics.closeIfIdle(topic)
}

/** Whatever topics in memory are made of, by kind. */
function partsInMemory(): { readonly kind: string; readonly part: WeakRef<object> }[] {
  return [...world.broker.topics.values()].flatMap(topic => {
    assert.ok(topic instanceof PersistentTopic)
    const parts: object[] = [topic, topic.log, ...topic.log.cursors(), ...topic.subscriptions.values()]
    return parts.map(part => ({ kind: part.constructor.name, part: new WeakRef(part) }))
  })
}

test('nothing of a topic stays in memory once nobody uses it', async () => {
  // nothing may go only because some time passes
  world = await BrokerWorld.start({}, { clock: new ManualClock() })
  await useTopics()
  const parts = partsInMemory()
  assert.equal(parts.length, TOPICS * 4)
  await closeTopics()
  const collect = collector()
  let left = parts.map(({ kind }) => kind)
  // a timer that was set before may hold some for a moment
  for (let round = 0; round < ROUNDS_MAX && left.length > 0; round++) {
    await new Promise(resolve => setImmediate(resolve))
    collect()
    left = parts.flatMap(({ kind, part }) => (part.deref() === undefined ? [] : [kind]))
  }
  assert.deepEqual(left, [])
})
