import { ManualClock, eventually } from '@strata/base/testing'
import type { PulsarClient } from '@strata/client'
import { Schema_Type } from '@strata/wire'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AdminWorld } from '../admin/testing/admin-world.ts'
import { eachTestWith } from '../admin/testing/each-test.ts'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import type { EffectivePolicies } from './effective-policies.ts'
import { TopicName } from './topic-name.ts'

/* Policies of namespaces, seen by clients: what each does, and that it stops when it is taken back. */

let admin: AdminWorld
let client: PulsarClient
let name: string

eachTestWith(given => ({ admin, client, name } = given))

/** Sets (or, without a value, removes) the policy of the namespace, and waits until the live topic goes by it. */
async function policy(path: string, value: unknown, isSeen: (policies: EffectivePolicies) => boolean): Promise<void> {
  const url = `namespaces/public/default/${path}`
  const answer = value === undefined ? admin.call('DELETE', url) : admin.call('POST', url, JSON.stringify(value))
  expect((await answer).status).toBe(204)
  const topic = TopicName.parse(`persistent://public/default/${name}`)
  await eventually(() => {
    const loaded = admin.world.broker.topics.find(topic)
    if (loaded !== undefined && !isSeen(loaded.policies)) throw new Error('not seen yet')
  })
}

const record = (...fields: readonly string[]): { type: Schema_Type; name: string; data: Buffer } => ({
  type: Schema_Type.Json,
  name: 'r',
  data: Buffer.from(
    JSON.stringify({
      type: 'record',
      name: 'R',
      fields: fields.map(field => ({ name: field, type: ['null', 'string'], default: null }))
    })
  )
})

test('schema validation: a producer without a schema is refused where the topic has one', async () => {
  const producing = async (): Promise<void> => {
    await (await client.createProducer({ topic: name })).close()
  }
  await (await client.createProducer({ topic: name, schema: record('a') })).close()
  await producing()
  await policy('schemaValidationEnforced', true, policies => policies.schemaValidationEnforced)
  await expect(producing()).rejects.toThrow()
  await (await client.createProducer({ topic: name, schema: record('a') })).close()
  await policy('schemaValidationEnforced', false, policies => !policies.schemaValidationEnforced)
  await producing()
})

test('schema updates by producers: a new schema is refused, an old one is not', async () => {
  const producing = async (...fields: readonly string[]): Promise<void> => {
    await (await client.createProducer({ topic: name, schema: record(...fields) })).close()
  }
  await producing('a')
  await policy('isAllowAutoUpdateSchema', false, policies => !policies.isAllowAutoUpdateSchema)
  await expect(producing('a', 'b')).rejects.toThrow()
  await producing('a')
  await policy('isAllowAutoUpdateSchema', true, policies => policies.isAllowAutoUpdateSchema)
  await producing('a', 'b')
})

test('subscriptions made by consumers: refused, those that there are can be used', async () => {
  const subscribing = async (subscription: string): Promise<void> => {
    await (await client.subscribe({ topic: name, subscription })).close()
  }
  await subscribing('old')
  const off = { allowAutoSubscriptionCreation: false }
  await policy('autoSubscriptionCreation', off, policies => !policies.autoSubscriptionCreation)
  await expect(subscribing('new')).rejects.toThrow()
  await subscribing('old')
  await policy('autoSubscriptionCreation', undefined, policies => policies.autoSubscriptionCreation)
  await subscribing('new')
})

test('a pause for acknowledgements that cannot be kept: they all are, and nothing waits', async () => {
  const path = 'namespaces/public/default/dispatcherPauseOnAckStatePersistent'
  expect((await admin.call('GET', path)).body).toBe(false)
  expect(await admin.told('POST', path)).toBe('204')
  expect((await admin.call('GET', path)).body).toBe(true)
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  const subscribe = async (): ReturnType<PulsarClient['subscribe']> =>
    await client.subscribe({ topic: name, subscription: 's', type: 'shared', initialPosition: 'earliest' })
  const consumer = await subscribe()
  await Promise.all(Array.from({ length: 400 }, (_, index) => producer.send({ data: Buffer.from(String(index)) })))
  for (let index = 0; index < 400; index++) {
    const message = await consumer.receive(5000)
    if (index % 2 === 1) await consumer.acknowledge(message)
  }
  await consumer.close()
  await admin.call('PUT', `persistent/public/default/${name}/unload`)
  const again = await subscribe()
  for (let index = 0; index < 400; index += 2) expect((await again.receive(5000)).text).toBe(String(index))
  expect(await admin.told('DELETE', path)).toBe('204')
  expect((await admin.call('GET', path)).body).toBe(false)
})

describe('topics that nobody uses', () => {
  const TOPIC = TopicName.parse('persistent://public/default/unused')
  let clock: ManualClock
  let world: BrokerWorld

  beforeEach(async () => {
    clock = new ManualClock()
    world = await BrokerWorld.start({ brokerDeleteInactiveTopicsEnabled: false }, { clock })
  })

  afterEach(async () => {
    await world.close()
  })

  async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isTrue())) await new Promise(setImmediate)
  }

  const isThere = async (): Promise<boolean> => (await world.broker.namespaces.topics.get(TOPIC)) !== undefined

  async function used(subscription: string | undefined): Promise<void> {
    const raw = await world.connect()
    await raw.producer(TOPIC.toString())
    if (subscription !== undefined) await raw.subscribe(TOPIC.toString(), { subscription })
    raw.destroy()
    await until(() => world.broker.topics.find(TOPIC)?.idleSinceMs !== undefined)
  }

  async function set(inactiveTopicDeleteMode: string): Promise<void> {
    await world.broker.namespaces.policies.set('public/default', 'inactiveTopicPolicies', {
      ...{ inactiveTopicDeleteMode, deleteWhileInactive: true, maxInactiveDurationSeconds: 60 }
    })
    await until(() => world.broker.topics.find(TOPIC)?.policies.inactiveTopics.maxInactiveSeconds === 60)
  }

  /** One that is under way counts as well. */
  const sweep = async (): Promise<void> => {
    await world.broker.sweeper.sweepIdle()
  }

  async function untilDeleted(): Promise<void> {
    await until(async () => {
      await sweep()
      return !(await isThere())
    })
  }

  test('are deleted where the policy says so, and not once it is taken back', async () => {
    await used(undefined)
    await set('delete_when_no_subscriptions')
    await world.broker.namespaces.policies.remove('public/default', 'inactiveTopicPolicies')
    await until(() => world.broker.topics.find(TOPIC)?.policies.inactiveTopics.delete === false)
    clock.advance(120_000)
    await sweep()
    expect(await isThere()).toBe(true)
    await set('delete_when_no_subscriptions')
    await untilDeleted()
  })

  test('with subscriptions only where the policy goes by what these have left', async () => {
    await used('s')
    await set('delete_when_no_subscriptions')
    clock.advance(120_000)
    await sweep()
    expect(await isThere()).toBe(true)
    await set('delete_when_subscriptions_caught_up')
    await until(
      () => world.broker.topics.find(TOPIC)?.policies.inactiveTopics.mode === 'delete_when_subscriptions_caught_up'
    )
    await untilDeleted()
  })
})
