import { eventually } from '@strata/base/testing'
import { PulsarClient, type Consumer, type Producer } from '@strata/client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'

/*
  Quotas of backlogs, seen by clients: each action, by size and by age, at each level, and its removal.
*/

const BYTES = 1000

let admin: AdminWorld
let client: PulsarClient
let count = 0
let name: string

beforeAll(async () => {
  admin = await AdminWorld.start({ preciseTimeBasedBacklogQuotaCheck: true })
})

afterAll(async () => {
  await admin.close()
})

beforeEach(() => {
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
  name = `t${++count}`
})

afterEach(async () => {
  await client.close()
})

const TOPIC = (): string => `persistent/public/default/${name}/backlogQuota`
const NAMESPACE = (): string => 'namespaces/public/default/backlogQuota'

async function quota(path: string, action: string, limits: Record<string, number>): Promise<void> {
  const type = 'limitTime' in limits ? 'message_age' : 'destination_storage'
  const body = { policy: action, ...limits }
  expect((await admin.call('POST', `${path}?backlogQuotaType=${type}`, body)).status).toBe(204)
}

async function removeQuota(path: string, type = 'destination_storage'): Promise<void> {
  expect((await admin.call('DELETE', `${path}?backlogQuotaType=${type}`)).status).toBe(204)
}

async function subscribed(): Promise<{ producer: Producer; consumer: Consumer }> {
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  const consumer = await client.subscribe({ topic: name, subscription: 's' })
  return { producer, consumer }
}

/** Messages that say they were published long ago. */
async function publishOld(messages: number): Promise<void> {
  const raw = await admin.world.connect()
  await raw.producer(`persistent://public/default/${name}`)
  for (let index = 0; index < messages; index++) {
    raw.publish({ sequenceId: BigInt(index), text: 'old' })
    await raw.next('sendReceipt')
  }
  raw.destroy()
}

const message = (index: number): { data: Buffer } => ({ data: Buffer.alloc(BYTES, index) })

async function drain(consumer: Consumer, messages: number): Promise<number[]> {
  const seen: number[] = []
  while (seen.length < messages) {
    const received = await consumer.receive(5000)
    seen.push(received.data[0] ?? -1)
    await consumer.acknowledge(received)
  }
  return seen
}

async function stats(): Promise<Record<string, unknown>> {
  return (await admin.call('GET', `persistent/public/default/${name}/stats`)).body as Record<string, unknown>
}

const backlogOf = (body: Record<string, unknown>): number =>
  (body as { subscriptions: Record<string, { msgBacklog: number }> }).subscriptions['s']?.msgBacklog ?? -1

/** Sends until the broker has sent the producer away. */
async function fill(producer: Producer, answered: number[]): Promise<Promise<void>[]> {
  const sends = Array.from({ length: 40 }, async (_, index) => {
    await producer.send(message(index))
    answered.push(index)
  })
  await eventually(async () => {
    expect(((await stats()) as { publishers: unknown[] }).publishers).toHaveLength(0)
  })
  return sends
}

describe('producer_request_hold', () => {
  test.each([
    ['a topic', TOPIC],
    ['the namespace', NAMESPACE]
  ])(
    'of %s: producers are sent away and wait until there is room',
    async (_, path) => {
      const { producer, consumer } = await subscribed()
      await quota(path(), 'producer_request_hold', { limitSize: 5 * BYTES })
      await eventually(async () => {
        expect((await stats())['backlogQuotaLimitSize']).toBe(5 * BYTES)
      })
      const answered: number[] = []
      for (let index = 0; index < 4; index++) await producer.send(message(index))
      const sends = await fill(producer, answered)
      expect(backlogOf(await stats())).toBeGreaterThanOrEqual(5)
      const refused = await admin.world.connect()
      await expect(refused.producer(`persistent://public/default/${name}`)).rejects.toThrow(/backlog quota exceeded/)
      await removeQuota(path())
      await Promise.all(sends)
      await drain(consumer, 44)
      expect(answered).toHaveLength(40)
    },
    180_000
  )

  test('goes on by itself once consumers have made room', async () => {
    const { producer, consumer } = await subscribed()
    for (let index = 0; index < 10; index++) await producer.send(message(index))
    await quota(TOPIC(), 'producer_request_hold', { limitSize: 8 * BYTES })
    await eventually(async () => {
      expect(((await stats()) as { publishers: unknown[] }).publishers).toHaveLength(0)
    })
    const held = producer.send(message(10))
    await drain(consumer, 10)
    await held
    expect(await drain(consumer, 1)).toEqual([10])
  })
})

test('producer_exception: who wants to publish is refused with the error that says so', async () => {
  const { producer, consumer } = await subscribed()
  for (let index = 0; index < 10; index++) await producer.send(message(index))
  await quota(TOPIC(), 'producer_exception', { limitSize: 8 * BYTES })
  const raw = await admin.world.connect()
  await eventually(async () => {
    expect(((await stats()) as { publishers: unknown[] }).publishers).toHaveLength(0)
  })
  await expect(producer.send(message(10))).rejects.toThrow(/quota/)
  await eventually(async () => {
    const answer = await raw.request('producer', { topic: `persistent://public/default/${name}`, producerId: 5n })
    expect(answer).toMatchObject({ case: 'error', value: { error: 8 } })
  })
  await drain(consumer, 10)
  await eventually(async () => {
    await raw.producer(`persistent://public/default/${name}`, { producerId: 6n })
  })
})

describe('consumer_backlog_eviction', () => {
  test('by size: the oldest messages go, producers go on', async () => {
    const { producer } = await subscribed()
    await client.subscribe({ topic: name, subscription: 's2' })
    await quota(TOPIC(), 'consumer_backlog_eviction', { limitSize: 10 * BYTES })
    await eventually(async () => {
      expect((await stats())['backlogQuotaLimitSize']).toBe(10 * BYTES)
    })
    for (let index = 0; index < 50; index++) await producer.send(message(index))
    await eventually(async () => {
      expect(backlogOf(await stats())).toBeLessThanOrEqual(10)
    })
    await removeQuota(TOPIC())
    for (let index = 0; index < 20; index++) await producer.send(message(index))
    expect(backlogOf(await stats())).toBeGreaterThanOrEqual(20)
  })

  test('by age: messages past it go, when backlogs are looked at', async () => {
    await client.subscribe({ topic: name, subscription: 's' })
    await quota(TOPIC(), 'consumer_backlog_eviction', { limitTime: 30 })
    await publishOld(3)
    const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
    await producer.send(message(1))
    expect((await admin.call('GET', 'brokers/backlog-quota-check')).status).toBe(204)
    expect(backlogOf(await stats())).toBe(1)
    await removeQuota(TOPIC(), 'message_age')
    await publishOld(3)
    await admin.call('GET', 'brokers/backlog-quota-check')
    expect(backlogOf(await stats())).toBe(4)
  })
})

test('producer_request_hold, by age: until what is too old is acknowledged', async () => {
  const { producer, consumer } = await subscribed()
  await publishOld(2)
  await quota(TOPIC(), 'producer_request_hold', { limitTime: 30 })
  await eventually(async () => {
    const seen = await stats()
    expect((seen as { publishers: unknown[] }).publishers).toHaveLength(0)
    expect(seen['oldestBacklogMessageAgeSeconds']).toBeGreaterThan(30)
  })
  const held = producer.send(message(7))
  await drain(consumer, 2)
  await held
  expect(await drain(consumer, 1)).toEqual([7])
})

test('what the broker says of all, and is not looked after where that is switched off', async () => {
  const other = await AdminWorld.start({ backlogQuotaDefaultLimitBytes: 5000, backlogQuotaCheckEnabled: false })
  const path = 'persistent/public/default/defaults'
  await other.call('PUT', path)
  const limit = { limit: 5000, limitSize: 5000, limitTime: -1, policy: 'producer_request_hold' }
  expect((await other.call('GET', `${path}/backlogQuotaMap?applied=true`)).body).toEqual({
    destination_storage: limit,
    message_age: limit
  })
  expect((await other.call('GET', `${path}/backlogQuotaMap`)).body).toEqual({})
  await other.close()
})

test('values that are refused, and what retention must be above', async () => {
  const [set, map] = [TOPIC(), `persistent/public/default/${name}/backlogQuotaMap`]
  const value = { limitSize: 1000, limitTime: -1, policy: 'producer_request_hold' }
  await admin.call('PUT', `persistent/public/default/${name}`)
  expect(await admin.told('POST', set, { limitSize: 1 })).toBe(
    '400 Set namespace[public/default] backlog quota failed because the data validation failed. the attribute policy cannot be null'
  )
  expect((await admin.call('POST', `${set}?backlogQuotaType=other`, value)).status).toBe(404)
  expect((await admin.call('POST', set, value)).status).toBe(204)
  expect((await admin.call('GET', map)).body).toEqual({ destination_storage: { limit: 1000, ...value } })
  const retention = { retentionTimeInMinutes: 10, retentionSizeInMB: 1 }
  const retained = `persistent/public/default/${name}/retention`
  expect((await admin.call('POST', retained, retention)).status).toBe(204)
  expect(await admin.told('POST', set, { ...value, limitSize: 1024 * 1024 })).toBe(
    '412 Backlog Quota exceeds configured retention quota for topic. Please increase retention quota and retry'
  )
  expect((await admin.call('DELETE', retained)).status).toBe(204)
  expect((await admin.call('POST', set, { ...value, limitSize: 1024 * 1024 })).status).toBe(204)
  expect(await admin.told('POST', retained, retention)).toBe(
    '412 Retention Quota must exceed configured backlog quota for topic. Please increase retention quota and retry'
  )
})

test('a namespace shows both of its quotas in one map', async () => {
  const value = { limitSize: 1000, limitTime: -1, policy: 'producer_request_hold' }
  await admin.call('PUT', 'namespaces/public/quotas')
  expect((await admin.call('GET', 'namespaces/public/quotas/backlogQuotaMap')).body).toEqual({})
  await admin.call('POST', 'namespaces/public/quotas/backlogQuota', value)
  const age = { limit: '0', limitTime: 60, policy: 'consumer_backlog_eviction' }
  await admin.call('POST', 'namespaces/public/quotas/backlogQuota?backlogQuotaType=message_age', age)
  const both = {
    destination_storage: { limit: 1000, ...value },
    message_age: { limit: 0, limitSize: 0, limitTime: 60, policy: 'consumer_backlog_eviction' }
  }
  expect((await admin.call('GET', 'namespaces/public/quotas/backlogQuotaMap')).body).toEqual(both)
  expect((await admin.call('GET', 'namespaces/public/quotas')).body).toMatchObject({ backlog_quota_map: both })
  await admin.call('PUT', 'namespaces/public/quotas2', { backlog_quota_map: both })
  expect((await admin.call('GET', 'namespaces/public/quotas2/backlogQuotaMap')).body).toEqual(both)
  await admin.call('DELETE', 'namespaces/public/quotas/backlogQuota')
  expect((await admin.call('GET', 'namespaces/public/quotas/backlogQuotaMap')).body).toEqual({
    message_age: both.message_age
  })
})
