import { eventually } from '@strata/base/testing'
import type { PulsarClient } from '@strata/client'
import { describe, expect, test } from 'vitest'
import type { AdminWorld } from '../admin/testing/admin-world.ts'
import { eachTestWith } from '../admin/testing/each-test.ts'
import type { EffectivePolicies } from '../namespace/effective-policies.ts'
import { TopicName } from '../namespace/topic-name.ts'

let admin: AdminWorld
let client: PulsarClient
let name: string

eachTestWith(given => ({ admin, client, name } = given))

/** Sets (or, without a value, removes) the policy of the topic, and waits until the live topic goes by it. */
async function policy(path: string, value: unknown, isSeen: (policies: EffectivePolicies) => boolean): Promise<void> {
  const url = `persistent/public/default/${name}/${path}`
  const method = value === undefined ? 'DELETE' : 'POST'
  expect((await admin.call(method, url, value === undefined ? undefined : JSON.stringify(value))).status).toBe(204)
  await eventually(() => {
    const topic = admin.world.broker.topics.find(TopicName.parse(`persistent://public/default/${name}`))
    if (topic === undefined || !isSeen(topic.policies)) throw new Error('not seen yet')
  })
}

const text = (content: string): { data: Buffer } => ({ data: Buffer.from(content) })

describe('publish rate', () => {
  test('holds a producer back, and nobody else on the same connection; what waits goes once it is removed', async () => {
    const slow = await client.createProducer({ topic: name, batching: { enabled: false } })
    const free = await client.createProducer({ topic: `${name}-free`, batching: { enabled: false } })
    await policy(
      'publishRate',
      { publishThrottlingRateInMsg: 1, publishThrottlingRateInByte: -1 },
      ({ publishRate }) => publishRate.messagesPerSecond === 1
    )
    let received = 0
    const sends = Array.from({ length: 20 }, async () => {
      await slow.send(text('slow'))
      received++
    })
    for (let index = 0; index < 5; index++) await free.send(text('free'))
    const consumer = await client.subscribe({ topic: `${name}-free`, subscription: 's' })
    await free.send(text('read'))
    await consumer.acknowledge(await consumer.receive(5000))
    expect(received).toBeLessThan(10)
    await policy('publishRate', undefined, ({ publishRate }) => publishRate.messagesPerSecond === 0)
    await Promise.all(sends)
    expect(received).toBe(20)
  })

  test('order is kept, and closing waits for what is parked', async () => {
    const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
    const consumer = await client.subscribe({ topic: name, subscription: 's' })
    await policy(
      'publishRate',
      { publishThrottlingRateInMsg: 100, publishThrottlingRateInByte: -1 },
      ({ publishRate }) => publishRate.messagesPerSecond === 100
    )
    const startedAt = performance.now()
    const sends = Array.from({ length: 40 }, (_, index) => producer.send(text(String(index))))
    await Promise.all(sends)
    await producer.close()
    expect(performance.now() - startedAt).toBeGreaterThan(250)
    for (let index = 0; index < 40; index++) expect((await consumer.receive(5000)).text).toBe(String(index))
  })
})

test('a consumer stops at its unacknowledged messages, and goes on when the limit goes', async () => {
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  const consumer = await client.subscribe({ topic: name, subscription: 's', type: 'shared' })
  await policy('maxUnackedMessagesOnConsumer', 3, policies => policies.maxUnackedMessagesPerConsumer === 3)
  for (let index = 0; index < 6; index++) await producer.send(text(String(index)))
  for (let index = 0; index < 3; index++) await consumer.receive(5000)
  const stats = (await admin.call('GET', `persistent/public/default/${name}/stats`)).body as {
    subscriptions: Record<string, { consumers: { blockedConsumerOnUnackedMsgs: boolean }[] }>
  }
  expect(stats.subscriptions['s']?.consumers[0]?.blockedConsumerOnUnackedMsgs).toBe(true)
  expect(consumer.tryReceive()).toBeUndefined()
  await policy('maxUnackedMessagesOnConsumer', undefined, policies => policies.maxUnackedMessagesPerConsumer !== 3)
  for (let index = 3; index < 6; index++) expect((await consumer.receive(5000)).text).toBe(String(index))
})

test('subscription types that are not enabled are refused', async () => {
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  await policy('subscriptionTypesEnabled', ['Exclusive'], ({ subscriptionTypes }) => subscriptionTypes?.length === 1)
  await expect(client.subscribe({ topic: name, subscription: 's', type: 'shared' })).rejects.toThrow()
  await policy('subscriptionTypesEnabled', undefined, ({ subscriptionTypes }) => subscriptionTypes === undefined)
  await client.subscribe({ topic: name, subscription: 's', type: 'shared' })
  await producer.close()
})

test('messages past the size of the topic are refused', async () => {
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  await policy('maxMessageSize', 1000, ({ maxMessageBytes }) => maxMessageBytes === 1000)
  await expect(producer.send({ data: Buffer.alloc(2000) })).rejects.toThrow()
  await producer.send({ data: Buffer.alloc(100) })
  await policy('maxMessageSize', undefined, ({ maxMessageBytes }) => maxMessageBytes === 0)
  await producer.send({ data: Buffer.alloc(2000) })
})
