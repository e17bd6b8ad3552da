import { silentLogger, systemClock } from '@strata/base'
import { eventually } from '@strata/base/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { TopicName } from '../namespace/topic-name.ts'
import { createAdminServer } from './server.ts'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

test('whether a subscription is replicated is kept beside its properties, and shown apart from them', async () => {
  const topic = admin.topic('marked')
  const path = `${topic}/subscription/s`
  const name = 'persistent://public/default/marked'
  expect(await admin.told('PUT', topic)).toBe('204')
  expect(await admin.told('PUT', `${path}?replicated=true`)).toBe('204')
  expect((await admin.call('GET', `${path}/replicatedSubscriptionStatus`)).body).toEqual({ [name]: true })
  expect(await admin.told('PUT', `${path}/properties`, { a: '1' })).toBe('204')
  expect((await admin.call('GET', `${path}/properties`)).body).toEqual({ a: '1' })
  const shown = { isReplicated: true, replicated: true, subscriptionProperties: { a: '1' } }
  expect((await admin.call('GET', `${topic}/stats`)).body).toMatchObject({ subscriptions: { s: shown } })
  expect(await admin.told('POST', `${path}/replicatedSubscriptionStatus`, 'false')).toBe('204')
  expect((await admin.call('GET', `${path}/replicatedSubscriptionStatus`)).body).toEqual({ [name]: false })
  expect((await admin.call('GET', `${path}/properties`)).body).toEqual({ a: '1' })
})

test('the rate of publishing that the broker allows holds for topics in memory once it changes', async () => {
  const name = TopicName.parse('persistent://public/default/rated')
  const topic = await admin.world.broker.topics.load(name, { mayCreate: true })
  const rate = (): unknown => topic.policies.publishRate
  expect(rate()).toMatchObject({ messagesPerSecond: 0, bytesPerSecond: 0 })
  for (const [key, value] of [
    ['maxPublishRatePerTopicInMessages', 5],
    ['maxPublishRatePerTopicInBytes', 6]
  ] as const) {
    expect(await admin.told('POST', `brokers/configuration/${key}/${value}`)).toBe('200')
  }
  await eventually(() => {
    expect(rate()).toMatchObject({ messagesPerSecond: 5, bytesPerSecond: 6 })
  })
  for (const key of ['maxPublishRatePerTopicInMessages', 'maxPublishRatePerTopicInBytes']) {
    expect(await admin.told('DELETE', `brokers/configuration/${key}`)).toBe('200')
  }
  await eventually(() => {
    expect(rate()).toMatchObject({ messagesPerSecond: 0, bytesPerSecond: 0 })
  })
})

test('a broker that is told to shut down by HTTP says so to whoever runs it, unless what it is told makes no sense', async () => {
  const shutDown = vi.fn()
  const options = { broker: admin.world.broker, clock: systemClock, logger: silentLogger, shutDown }
  const server = createAdminServer(options)
  const post = async (query: string): Promise<number> =>
    (await server.inject({ method: 'POST', url: `/admin/v2/brokers/shutdown${query}` })).statusCode
  expect(await post('?maxConcurrentUnloadPerSec=words')).toBe(404)
  expect(shutDown).not.toHaveBeenCalled()
  expect(await post('?maxConcurrentUnloadPerSec=5&forcedTerminateTopic=true')).toBe(204)
  expect(shutDown).toHaveBeenCalledOnce()
  await server.close()
})
