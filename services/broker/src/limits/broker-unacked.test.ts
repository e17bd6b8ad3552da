import { eventually } from '@strata/base/testing'
import type { PulsarClient, Consumer } from '@strata/client'
import { afterEach, expect, test } from 'vitest'
import type { AdminWorld } from '../admin/testing/admin-world.ts'
import { eachTestWith } from '../admin/testing/each-test.ts'

const LIMIT = 'maxUnackedMessagesPerBroker'
const PART = 'maxUnackedMessagesPerSubscriptionOnBrokerBlocked'

let admin: AdminWorld
let client: PulsarClient
let name: string

eachTestWith(given => ({ admin, client, name } = given))

afterEach(async () => {
  for (const key of [LIMIT, PART]) await admin.call('DELETE', `brokers/configuration/${key}`)
})

async function set(key: string, value: number): Promise<void> {
  expect((await admin.call('POST', `brokers/configuration/${key}/${value}`)).status).toBe(200)
}

async function publish(topic: string, messages: number): Promise<void> {
  const producer = await client.createProducer({ topic, batching: { enabled: false } })
  for (let index = 0; index < messages; index++) await producer.send({ data: Buffer.from(String(index)) })
  await producer.close()
}

async function hasWith(consumer: Consumer, messages: number): Promise<void> {
  for (let index = 0; index < messages; index++) await consumer.receive(5000)
}

async function isBlocked(topic: string): Promise<boolean | undefined> {
  const stats = (await admin.call('GET', `persistent/public/default/${topic}/stats`)).body as {
    subscriptions: Record<string, { blockedSubscriptionOnUnackedMsgs: boolean }>
  }
  return stats.subscriptions['s']?.blockedSubscriptionOnUnackedMsgs
}

test.each(['shared', 'key-shared'] as const)(
  'past the limit of the broker who holds most gets no more (%s), who acknowledges goes on',
  async type => {
    await set(LIMIT, 20)
    await set(PART, 0.2)
    const hoarder = await client.subscribe({ topic: name, subscription: 's', type })
    const reader = await client.subscribe({ topic: `${name}-read`, subscription: 's', type })
    await publish(name, 30)
    await hasWith(hoarder, 20)
    expect(await isBlocked(name)).toBe(true)

    await publish(`${name}-read`, 30)
    for (let index = 0; index < 30; index++) await reader.acknowledge(await reader.receive(5000))
    await eventually(async () => {
      expect(await isBlocked(`${name}-read`)).toBe(false)
    })
    expect(hoarder.tryReceive()).toBeUndefined()
  }
)

test('who was stopped goes on once the broker holds less than half of the limit', async () => {
  await set(LIMIT, 20)
  await set(PART, 0.2)
  const hoarder = await client.subscribe({ topic: name, subscription: 's', type: 'shared' })
  const other = await client.subscribe({ topic: `${name}-other`, subscription: 's', type: 'shared' })
  await publish(`${name}-other`, 11)
  await hasWith(other, 11)
  await publish(name, 12)
  await hasWith(hoarder, 9)
  expect(await isBlocked(name)).toBe(true)
  expect(hoarder.tryReceive()).toBeUndefined()
  await other.close() // what it held is with nobody now
  await hasWith(hoarder, 3)
})

test('the limit acts on what is held already, and its removal lets everybody go on', async () => {
  const consumer = await client.subscribe({ topic: name, subscription: 's', type: 'shared' })
  await publish(name, 10)
  await hasWith(consumer, 10)
  await set(LIMIT, 10)
  await publish(name, 5)
  expect(await isBlocked(name)).toBe(true)
  expect(consumer.tryReceive()).toBeUndefined()
  await admin.call('DELETE', `brokers/configuration/${LIMIT}`)
  await hasWith(consumer, 5)
  expect(await isBlocked(name)).toBe(false)
})

test('a part of 0 means that the broker has no limit', async () => {
  await set(LIMIT, 5)
  const consumer = await client.subscribe({ topic: name, subscription: 's', type: 'shared' })
  await publish(name, 10)
  await hasWith(consumer, 5)
  expect(await isBlocked(name)).toBe(true)
  await set(PART, 0)
  await hasWith(consumer, 5)
})

test('a subscription that acknowledges down to half of its part goes on while the broker is past its limit', async () => {
  await set(LIMIT, 20)
  await set(PART, 0.2)
  const hoarder = await client.subscribe({ topic: name, subscription: 's', type: 'shared' })
  const mender = await client.subscribe({ topic: `${name}-mends`, subscription: 's', type: 'shared' })
  await publish(`${name}-mends`, 12)
  const held = await Promise.all(Array.from({ length: 12 }, () => mender.receive(5000)))
  await publish(name, 30)
  await hasWith(hoarder, 8)
  await publish(`${name}-mends`, 1)
  expect(await isBlocked(`${name}-mends`)).toBe(true)
  for (const message of held) await mender.acknowledge(message)
  await mender.receive(5000)
})
