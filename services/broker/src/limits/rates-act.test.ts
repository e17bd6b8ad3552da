import { eventually } from '@strata/base/testing'
import type { PulsarClient, Consumer, Producer } from '@strata/client'
import { describe, expect, test } from 'vitest'
import type { AdminWorld } from '../admin/testing/admin-world.ts'
import { eachTestWith } from '../admin/testing/each-test.ts'

/*
  What holds consumers back, seen by clients: each limit at each of its levels, and its removal.
*/

const MESSAGES = 40

let admin: AdminWorld
let client: PulsarClient
let name: string

eachTestWith(given => ({ admin, client, name } = given))

const text = (content: string): { data: Buffer } => ({ data: Buffer.from(content) })

function rate(messages: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { dispatchThrottlingRateInMsg: messages, dispatchThrottlingRateInByte: -1, ratePeriodInSecond: 1, ...more }
}

async function filled(): Promise<Producer> {
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  for (let index = 0; index < MESSAGES; index++) await producer.send(text(String(index)))
  return producer
}

async function stats(): Promise<Record<string, number>> {
  const { body } = await admin.call('GET', `persistent/public/default/${name}/stats`)
  return (body as { subscriptions: Record<string, Record<string, number>> }).subscriptions['s'] ?? {}
}

const TOPIC = (path: string): string => `persistent/public/default/${name}/${path}`
const NAMESPACE = (path: string): string => `namespaces/public/default/${path}`

interface Level {
  readonly name: string
  readonly path: () => string
  readonly event: string
  readonly rate?: Record<string, unknown>
}

const LEVELS: readonly Level[] = [
  { name: 'a topic', path: () => TOPIC('dispatchRate'), event: 'dispatchThrottledMsgEventsByTopicLimit' },
  { name: 'the namespace', path: () => NAMESPACE('dispatchRate'), event: 'dispatchThrottledMsgEventsByTopicLimit' },
  {
    name: 'the subscriptions of a topic',
    path: () => TOPIC('subscriptionDispatchRate'),
    event: 'dispatchThrottledMsgEventsBySubscriptionLimit'
  },
  {
    name: 'the subscriptions of the namespace',
    path: () => NAMESPACE('subscriptionDispatchRate'),
    event: 'dispatchThrottledMsgEventsBySubscriptionLimit'
  },
  {
    name: 'one subscription',
    path: () => TOPIC('s/dispatchRate'),
    event: 'dispatchThrottledMsgEventsBySubscriptionLimit'
  },
  {
    name: 'a topic, in bytes',
    path: () => TOPIC('dispatchRate'),
    event: 'dispatchThrottledBytesEventsByTopicLimit',
    rate: rate(-1, { dispatchThrottlingRateInByte: 50 })
  }
]

describe('dispatch rate', () => {
  test.each(LEVELS)(
    'of $name: holds messages back, and lets them go when it is removed',
    async level => {
      await filled()
      expect((await admin.call('POST', level.path(), level.rate ?? rate(1, { ratePeriodInSecond: 10 }))).status).toBe(
        204
      )
      const consumer = await client.subscribe({ topic: name, subscription: 's', initialPosition: 'earliest' })
      await consumer.receive(5000)
      await eventually(async () => {
        expect((await stats())[level.event]).toBeGreaterThan(0)
      })
      expect((await stats())['msgOutCounter']).toBeLessThan(MESSAGES / 2)
      expect((await admin.call('DELETE', level.path())).status).toBe(204)
      for (let index = 1; index < MESSAGES; index++) expect((await consumer.receive(5000)).text).toBe(String(index))
    },
    180_000
  )

  test.each(['shared', 'key-shared'] as const)(
    'a %s subscription gets all at the rate, each once',
    async type => {
      await filled()
      await admin.call('POST', TOPIC('dispatchRate'), rate(100))
      const consumer = await client.subscribe({ topic: name, subscription: 's', initialPosition: 'earliest', type })
      const startedAt = performance.now()
      const seen = new Set<string>()
      while (seen.size < MESSAGES) seen.add((await receivedAndAcknowledged(consumer)).text)
      expect(performance.now() - startedAt).toBeGreaterThan(150)
      expect((await stats())['msgOutCounter']).toBe(MESSAGES)
    },
    180_000
  )

  test('of the broker, by its dynamic setting', async () => {
    await filled()
    const path = 'brokers/configuration/dispatchThrottlingRateInMsg'
    expect((await admin.call('POST', `${path}/1`)).status).toBe(200)
    const consumer = await client.subscribe({ topic: name, subscription: 's', initialPosition: 'earliest' })
    await consumer.receive(5000)
    await eventually(async () => {
      expect((await stats())['dispatchThrottledMsgEventsByBrokerLimit']).toBeGreaterThan(0)
    })
    expect((await admin.call('DELETE', path)).status).toBe(200)
    for (let index = 1; index < MESSAGES; index++) await consumer.receive(5000)
  })

  test('whoever has caught up is free of it, where settings say so', async () => {
    const path = 'brokers/configuration/dispatchThrottlingOnNonBacklogConsumerEnabled'
    await filled()
    await admin.call('POST', `${path}/false`)
    await admin.call('POST', TOPIC('dispatchRate'), rate(1, { ratePeriodInSecond: 60 }))
    const consumer = await client.subscribe({ topic: name, subscription: 's', initialPosition: 'earliest' })
    for (let index = 0; index < MESSAGES; index++) await consumer.receive(5000)
    await admin.call('DELETE', path)
  })
})

async function receivedAndAcknowledged(consumer: Consumer): Promise<{ text: string }> {
  const message = await consumer.receive(5000)
  await consumer.acknowledge(message)
  return message
}

describe('subscribe rate', () => {
  test.each([
    ['a topic', () => TOPIC('subscribeRate')],
    ['the namespace', () => NAMESPACE('subscribeRate')]
  ])(
    'of %s: who subscribes too often is refused, until it is removed',
    async (_, path) => {
      const raw = await admin.world.connect()
      const topic = `persistent://public/default/${name}`
      await admin.call('PUT', `persistent/public/default/${name}`)
      const limit = { subscribeThrottlingRatePerConsumer: 1, ratePeriodInSecond: 60 }
      expect((await admin.call('POST', path(), limit)).status).toBe(204)
      await eventually(async () => {
        const { body } = await admin.call('GET', `${TOPIC('subscribeRate')}?applied=true`)
        expect(body).toEqual(limit)
      })
      const subscribe = (): Promise<void> => raw.subscribe(topic, { consumerId: 1n, consumerName: 'c' })
      await subscribe()
      await raw.request('closeConsumer', { consumerId: 1n })
      await expect(subscribe()).rejects.toThrow(/subscribe rate limit/)
      expect((await admin.call('DELETE', path())).status).toBe(204)
      await eventually(subscribe)
    },
    180_000
  )
})
