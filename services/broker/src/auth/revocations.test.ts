import { strict as assert } from 'node:assert'
import type { GrantScope } from '@strata/auth'
import { clientErrors, PulsarClient, tokenAuthentication } from '@strata/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TopicName } from '../namespace/topic-name.ts'
import { GuardedWorld, tokenOf } from './testing/guarded-world.ts'

const TOPIC = 'persistent://acme/app/t'
const onNamespace: GrantScope = { kind: 'namespace', namespace: 'acme/app' }
const onTopic: GrantScope = { kind: 'topic', namespace: 'acme/app', domain: 'persistent', localName: 't' }

let guarded: GuardedWorld

beforeEach(async () => {
  guarded = await GuardedWorld.start()
})

afterEach(async () => {
  await guarded.close()
})

/** How long after a revocation somebody may go on. */
const WITHIN_MS = 1000

async function soon(what: Promise<unknown>): Promise<void> {
  const sinceMs = performance.now()
  await what
  expect(performance.now() - sinceMs).toBeLessThan(WITHIN_MS)
}

describe.each([
  ['namespace', onNamespace],
  ['topic', onTopic]
])('a grant on a %s that is revoked', (_name, scope) => {
  test('closes producers, and they stay out', async () => {
    await guarded.grant(scope, 'ann', 'produce')
    await guarded.grant({ kind: 'namespace', namespace: 'acme/second' }, 'ann', 'produce')
    const client = await guarded.connectAs('ann')
    await client.producer(TOPIC, { producerId: 1n })
    await client.producer('persistent://acme/second/t', { producerId: 2n })
    await guarded.world.broker.grants.revoke(scope, 'ann')
    await soon(client.next('closeProducer'))
    const answer = await client.request('producer', { topic: TOPIC, producerId: 1n })
    expect(answer).toMatchObject({ case: 'error', value: { error: 4, message: 'Client is not authorized to Produce' } })
    client.publish({ producerId: 2n })
    await client.next('sendReceipt')
  })

  test('closes consumers, and leaves those of others', async () => {
    await guarded.grant(scope, 'ann', 'consume')
    await guarded.grant(scope, 'bob', 'consume')
    const [ann, bob] = [await guarded.connectAs('ann'), await guarded.connectAs('bob')]
    for (const client of [ann, bob]) await client.subscribe(TOPIC, { subType: 1 })
    await guarded.world.broker.grants.revoke(scope, 'ann')
    await soon(ann.next('closeConsumer'))
    bob.flow(10)
    const producer = await guarded.connectAs('root')
    await producer.producer(TOPIC)
    producer.publish({ text: 'still here' })
    await bob.nextMessage()
    expect(ann.inbox).toEqual([])
  })
})

test('a subscription that is kept for others is lost to whoever used it', async () => {
  await guarded.grant(onNamespace, 'ann', 'consume')
  const client = await guarded.connectAs('ann')
  await client.subscribe(TOPIC, { subscription: 'hers', consumerId: 1n })
  await client.subscribe(TOPIC, { subscription: 'other', consumerId: 2n })
  const { grants, namespaces } = guarded.world.broker
  const scope = { kind: 'subscription', namespace: 'acme/app', subscription: 'hers' } as const
  const fence = await namespaces.tenancy.fenceOf('acme/app')
  await grants.keepSubscriptionFor(scope, { roles: ['bob'], fence })
  const closed = client.next('closeConsumer')
  await soon(closed)
  expect((await closed).consumerId).toBe(1n)
  await client.settle()
  expect(client.inbox).toEqual([])
})

test('names of subscriptions that must begin with the role', async () => {
  await guarded.grant(onNamespace, 'ann', 'consume')
  const client = await guarded.connectAs('ann')
  await client.subscribe(TOPIC, { subscription: 'mine', consumerId: 1n })
  await client.subscribe(TOPIC, { subscription: 'ann-1', consumerId: 2n })
  await guarded.world.broker.namespaces.policies.set('acme/app', 'subscriptionAuthMode', 'Prefix')
  const closed = client.next('closeConsumer')
  await soon(closed)
  expect((await closed).consumerId).toBe(1n)
})

test('a watcher hears of nothing any more', async () => {
  await guarded.grant(onNamespace, 'ann', 'consume')
  const client = await guarded.connectAs('ann')
  const watch = { namespace: 'acme/app', topicsPattern: 'persistent://acme/app/.*', watcherId: 0n }
  const answer = await client.request('watchTopicList', watch)
  assert.equal(answer.case, 'watchTopicListSuccess')
  await guarded.world.broker.grants.revoke(onNamespace, 'ann')
  await soon(client.closed())
})

test('an admin of a tenant who is one no more is closed everywhere in it', async () => {
  const client = await guarded.connectAs('boss')
  await client.producer(TOPIC)
  await client.subscribe('persistent://acme/second/t')
  const { tenancy } = guarded.world.broker.namespaces
  await tenancy.updateTenant('acme', { adminRoles: ['next'], allowedClusters: [guarded.world.settings.clusterName] })
  await soon(Promise.all([client.next('closeProducer'), client.next('closeConsumer')]))
})

test('what is revoked while a producer comes about', async () => {
  await guarded.grant(onNamespace, 'ann', 'produce')
  const client = await guarded.connectAs('ann')
  for (let round = 0; round < 20; round++) {
    const created = client.request('producer', {
      topic: `persistent://acme/app/new-${round}`,
      producerId: BigInt(round)
    })
    await guarded.world.broker.grants.revoke(onNamespace, 'ann')
    if ((await created).case === 'producerSuccess') await soon(client.next('closeProducer'))
    await guarded.grant(onNamespace, 'ann', 'produce')
  }
})

test('grants of a topic and of a namespace go with them', async () => {
  const { broker } = guarded.world
  await guarded.grant(onTopic, 'ann', 'produce')
  const client = await guarded.connectAs('ann')
  await client.producer(TOPIC)
  await client.request('closeProducer', { producerId: 0n })

  await broker.topics.delete(TopicName.parse(TOPIC), { force: true })
  expect((await broker.grants.of('acme/app')).topics.size).toBe(0)
})

test('a client library says who it is, and is told what it may not', async () => {
  await guarded.grant(onTopic, 'ann', 'produce', 'consume')
  const client = new PulsarClient({
    serviceUrl: `pulsar://127.0.0.1:${guarded.world.broker.ports.broker}`,
    authentication: tokenAuthentication(tokenOf('ann'))
  })
  try {
    const producer = await client.createProducer({ topic: TOPIC })
    const consumer = await client.subscribe({ topic: TOPIC, subscription: 's', initialPosition: 'earliest' })
    await producer.send({ data: Buffer.from('hello') })
    expect((await consumer.receive()).data.toString()).toBe('hello')
    await expect(client.createProducer({ topic: 'persistent://acme/app/other' })).rejects.toSatisfy(error =>
      clientErrors.is(error)
    )
  } finally {
    await client.close()
  }
})
