import { eventually } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'

/* Resource groups, seen by clients: what they hold back, and their removal. */

const GROUP = 'resourcegroups/g'
const NAMESPACES = ['public/default', 'public/second'] as const

let admin: AdminWorld
let client: PulsarClient
let count = 0
let name: string

beforeAll(async () => {
  admin = await AdminWorld.start()
  await admin.call('PUT', 'namespaces/public/second')
})

afterAll(async () => {
  await admin.close()
})

beforeEach(async () => {
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
  name = `t${++count}`
})

afterEach(async () => {
  await client.close()
  for (const namespace of NAMESPACES) await admin.call('DELETE', `namespaces/${namespace}/resourcegroup`)
  expect(await admin.told('DELETE', GROUP)).toBe('204')
})

const text = (content: string): { data: Buffer } => ({ data: Buffer.from(content) })

async function joined(...namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces)
    expect(await admin.told('POST', `namespaces/${namespace}/resourcegroup/g`)).toBe('204')
  await eventually(() => {
    for (const topic of admin.world.broker.topics.values()) {
      if (namespaces.includes(topic.name.namespace) && topic.policies.resourceGroup !== 'g') throw new Error('not yet')
    }
  })
}

test('the group of a namespace is told in plain words', async () => {
  expect(await admin.told('PUT', GROUP, { publishRateInMsgs: 7 })).toBe('204')
  await joined('public/default')
  const { headers } = await admin.call('GET', 'namespaces/public/default/resourcegroup')
  expect(headers).toMatchObject({ 'content-length': '1', 'content-type': 'application/json' })
})

test('a publish rate holds producers of all its namespaces back, and nobody else; what waits goes with it', async () => {
  const topics = NAMESPACES.map(namespace => `persistent://${namespace}/${name}`)
  const producers = await Promise.all(
    topics.map(topic => client.createProducer({ topic, batching: { enabled: false } }))
  )
  expect(await admin.told('PUT', GROUP, { publishRateInMsgs: 1 })).toBe('204')
  await joined(...NAMESPACES)
  let sent = 0
  const sends = producers.flatMap(producer =>
    Array.from({ length: 10 }, async () => {
      await producer.send(text('x'))
      sent++
    })
  )
  await admin.call('PUT', 'namespaces/public/free')
  const free = await client.createProducer({ topic: `persistent://public/free/${name}`, batching: { enabled: false } })
  for (let index = 0; index < 10; index++) await free.send(text('free'))
  expect(sent).toBeLessThan(10)
  expect(await admin.told('DELETE', 'namespaces/public/second/resourcegroup')).toBe('204')
  await Promise.all(sends.slice(10))
  expect(await admin.told('PUT', GROUP, { publishRateInMsgs: 0 })).toBe('204')
  await Promise.all(sends)
})

test('a dispatch rate holds consumers back, until the namespace leaves', async () => {
  expect(await admin.told('PUT', GROUP, { dispatchRateInMsgs: 1 })).toBe('204')
  const producer = await client.createProducer({ topic: name, batching: { enabled: false } })
  for (let index = 0; index < 20; index++) await producer.send(text(String(index)))
  await joined('public/default')
  const consumer = await client.subscribe({ topic: name, subscription: 's', initialPosition: 'earliest' })
  await consumer.receive(5000)
  const { body } = await admin.call('GET', `persistent/public/default/${name}/stats`)
  expect((body as { msgOutCounter: number }).msgOutCounter).toBeLessThan(10)
  expect(await admin.told('DELETE', 'namespaces/public/default/resourcegroup')).toBe('204')
  for (let index = 1; index < 20; index++) expect((await consumer.receive(5000)).text).toBe(String(index))
})

test('as Apache Pulsar answers', async () => {
  expect((await admin.call('GET', 'resourcegroups')).body).toEqual([])
  expect(await admin.told('GET', GROUP)).toBe('404 ResourceGroup does not exist')
  const namespace = 'namespaces/public/default/resourcegroup'
  expect(await admin.told('GET', namespace)).toBe('200')
  expect(await admin.told('POST', `${namespace}/g`)).toBe('412 ResourceGroup does not exist')
  expect(await admin.told('PUT', GROUP, { publishRateInMsgs: 100, dispatchRateInBytes: 5 })).toBe('204')
  expect(await admin.told('PUT', GROUP, { publishRateInMsgs: 50, replicationDispatchRateInMsgs: 7 })).toBe('204')
  const rates = { publishRateInMsgs: 50, dispatchRateInBytes: 5, replicationDispatchRateInMsgs: 7 }
  const none = { publishRateInBytes: -1, dispatchRateInMsgs: -1 }
  expect((await admin.call('GET', GROUP)).body).toEqual({ ...rates, ...none })
  expect((await admin.call('GET', 'resourcegroups')).body).toEqual(['g'])
  expect((await admin.call('PUT', GROUP, { publishRateInMsgs: 'many' })).status).toBe(400)
  await joined('public/default')
  expect((await admin.call('GET', namespace)).body).toBe('g')
  expect((await admin.call('GET', 'namespaces/public/default')).body).toMatchObject({ resource_group_name: 'g' })
  expect(await admin.told('DELETE', GROUP)).toBe('412 ResourceGroup is in use')
  expect(await admin.told('DELETE', namespace)).toBe('204')
})
