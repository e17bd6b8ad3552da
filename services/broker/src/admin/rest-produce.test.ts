import { PulsarClient } from '@strata/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TopicName } from '../namespace/topic-name.ts'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld
let client: PulsarClient

beforeAll(async () => {
  admin = await AdminWorld.start()
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
})

afterAll(async () => {
  await client.close()
  await admin.close()
})

const INT32 = '{"name":"","schema":"","type":"INT32","properties":{}}'
const STRING = '{"name":"","schema":"","type":"STRING","properties":{}}'

interface Acks {
  readonly messagePublishResults: readonly {
    readonly messageId: string
    readonly errorCode: number
    readonly errorMsg?: string
  }[]
}

async function acksOf(path: string, body: object): Promise<Acks['messagePublishResults']> {
  const { status, body: answer } = await admin.call('POST', `/topics/persistent/public/default/${path}`, body)
  expect(status).toBe(200)
  return (answer as Acks).messagePublishResults
}

test('what is sent over HTTP reaches a consumer as what a producer with the schema would send', async () => {
  await admin.call('PUT', admin.topic('sent'))
  const topic = 'persistent://public/default/sent'
  const consumer = await client.subscribe({ topic, subscription: 's', initialPosition: 'earliest' })
  const acks = await acksOf('sent', {
    keySchema: STRING,
    valueSchema: INT32,
    messages: [{ key: 'k', payload: '-2', eventTime: '1603045262772', properties: { a: '1' } }, { payload: '7' }]
  })
  expect(acks.map(({ messageId, errorCode }) => [messageId.replace(/^\d+/, 'L'), errorCode])).toEqual([
    ['L:0:-1', 0],
    ['L:1:-1', 0]
  ])
  const first = await consumer.receive()
  expect(first.properties).toEqual({ a: '1' })
  expect([...first.data]).toEqual([255, 255, 255, 254])
  expect([...(await consumer.receive()).data]).toEqual([0, 0, 0, 7])
  await consumer.close()
})

test('messages go to partitions in turn, and to the one that is named', async () => {
  await admin.call('PUT', `${admin.topic('turns')}/partitions`, '2')
  const three = { messages: [{ payload: 'a' }, { payload: 'b' }, { payload: 'c' }] }
  const partitionsOf = (acks: Acks['messagePublishResults']): unknown[] =>
    acks.map(({ messageId }) => messageId.split(':').at(-1))
  expect(partitionsOf(await acksOf('turns', three))).toEqual(['0', '1', '0'])
  expect(partitionsOf(await acksOf('turns/partitions/1', three))).toEqual(['1', '1', '1'])
  const [missing] = await acksOf('turns/partitions/2', { messages: [{ payload: 'a' }] })
  expect(missing).toMatchObject({ errorCode: 2, errorMsg: 'Topic not owned by current broker.' })
})

test('a value that is none of its schema, and a topic that is not there, publish nothing', async () => {
  await admin.call('PUT', admin.topic('strict'))
  const path = '/topics/persistent/public/default'
  const wrong = { valueSchema: INT32, messages: [{ payload: '1' }, { payload: 'words' }] }
  expect(await admin.told('POST', `${path}/strict`, wrong)).toBe(
    '500 Fail to publish message: message 1 is none of schema INT32'
  )
  expect((await admin.call('GET', `${admin.topic('strict')}/stats`)).body).toMatchObject({ msgInCounter: 0 })
  expect(await admin.told('POST', `${path}/absent`, { messages: [] })).toBe(
    '500 Fail to publish message: Topic persistent://public/default/absent not found'
  )
})

test('the limits of a topic hold', async () => {
  await admin.call('PUT', admin.topic('limited'))
  expect(await admin.told('POST', `${admin.topic('limited')}/maxMessageSize`, '100')).toBe('204')
  const name = TopicName.parse('persistent://public/default/limited')
  const topic = await admin.world.broker.topics.load(name, { mayCreate: false })
  expect(topic.policies.maxMessageBytes).toBe(100)
  const [small, large] = await acksOf('limited', { messages: [{ payload: 'a' }, { payload: 'b'.repeat(100) }] })
  expect(small).toMatchObject({ errorCode: 0 })
  expect(large).toMatchObject({ errorCode: 2, errorMsg: 'Larger than 100 bytes' })
})
