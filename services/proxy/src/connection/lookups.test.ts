import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { ServerError, type DecodedCommand } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { FakeBroker, FakeBrokerConnection } from '../testing/fake-broker.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ProxyWorld } from '../testing/world.ts'
import { REDIRECTS_MAX } from './lookup-session.ts'

const TOPIC = 'persistent://public/default/t'
/** Past 2^53, as Java's are. */
const ID = 0x7fff_0000_0000_0001n

let world: ProxyWorld
let first: FakeBroker
let second: FakeBroker

beforeEach(async () => {
  world = new ProxyWorld()
  first = await world.broker()
  second = await world.broker()
})

afterEach(async () => {
  await world.close()
})

async function connected(): Promise<RawClient> {
  const client = await world.client()
  await client.connect()
  return client
}

/** Answers lookups with an address. */
function answering(url: string) {
  return (command: DecodedCommand, connection: FakeBrokerConnection): void => {
    if (command.case !== 'lookupTopic') return
    const { requestId } = command.value
    connection.reply('lookupTopicResponse', { requestId, response: 1, authoritative: true, brokerServiceUrl: url })
  }
}

const only = (broker: FakeBroker): Promise<void> => world.register('1', { urls: { brokerUrl: broker.url } })

describe('LOOKUP', () => {
  test('is passed on as it came, and the address in the answer is marked as one behind the proxy', async () => {
    await only(first)
    await world.start({ anonymousUserRole: 'guest', forwardAuthorizationCredentials: true })
    first.onCommand = answering('pulsar://inside:6650')
    const client = await world.client()
    await client.connect({ authMethodName: 'token', authData: Buffer.from('secret'), originalPrincipal: 'admin' })
    client.send('lookupTopic', { topic: TOPIC, requestId: ID, advertisedListenerName: 'x', originalPrincipal: 'admin' })
    const answer = await client.next('lookupTopicResponse')
    assert.equal(answer.requestId, ID)
    assert.equal(answer.response, 1)
    assert.equal(answer.brokerServiceUrl, 'pulsar://inside:6650')
    assert.equal(answer.brokerServiceUrlTls, 'pulsar://inside:6650')
    assert.equal(answer.proxyThroughServiceUrl, true)
    const [connection] = first.connections
    const asked = connection?.commands[0]
    assert(asked?.case === 'lookupTopic')
    assert.equal(asked.value.advertisedListenerName, 'x')
    // what the client claims of itself does not pass
    assert.equal(asked.value.originalPrincipal, '')
    assert.equal(connection?.connect?.originalPrincipal, 'guest')
    assert.equal(connection.connect.originalAuthMethod, 'token')
    assert.equal(connection.connect.originalAuthData, 'secret')
    assert.equal(connection.connect.authMethodName, 'none')
    assert.equal(connection.connect.clientVersion, 'Raw-1.0')
    assert.equal(connection.connect.proxyVersion, 'Strata 0')
  })

  test('a redirect is followed, with what the broker said of its authority', async () => {
    await only(first)
    await world.start()
    first.onCommand = (command, connection) => {
      if (command.case !== 'lookupTopic') return
      const { requestId } = command.value
      connection.reply('lookupTopicResponse', {
        requestId,
        response: 0,
        authoritative: true,
        brokerServiceUrl: second.url
      })
    }
    second.onCommand = answering(second.url)
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    assert.equal((await client.next('lookupTopicResponse')).brokerServiceUrl, second.url)
    const asked = second.connections[0]?.commands[0]
    assert(asked?.case === 'lookupTopic')
    assert.equal(asked.value.authoritative, true)
  })

  test('redirects without end end', async () => {
    await only(first)
    await world.start()
    let asked = 0
    first.onCommand = (command, connection) => {
      if (command.case !== 'lookupTopic') return
      asked++
      const { requestId } = command.value
      connection.reply('lookupTopicResponse', { requestId, response: 0, brokerServiceUrl: first.url })
    }
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    const answer = await client.next('lookupTopicResponse')
    assert.deepEqual([answer.response, answer.error], [2, ServerError.MetadataError])
    assert.equal(answer.message, 'Reached max number of redirections')
    assert.equal(asked, REDIRECTS_MAX + 1)
  })

  test('what a broker refuses passes in its own words', async () => {
    await only(first)
    await world.start()
    first.onCommand = (command, connection) => {
      if (command.case !== 'lookupTopic') return
      const { requestId } = command.value
      connection.reply('lookupTopicResponse', { requestId, response: 2, error: 11, message: 'no such thing' })
    }
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    const answer = await client.next('lookupTopicResponse')
    assert.deepEqual([answer.error, answer.message], [ServerError.TopicNotFound, 'no such thing'])
  })
})

describe('other questions', () => {
  test('pass as they are, and so do their answers', async () => {
    await only(first)
    await world.start()
    first.onCommand = (command, connection) => {
      switch (command.case) {
        case 'partitionMetadata':
          connection.reply('partitionMetadataResponse', {
            requestId: command.value.requestId,
            response: 0,
            partitions: 3
          })
          return
        case 'getTopicsOfNamespace': {
          const topics = Array.from({ length: 5000 }, (_, index) => `${TOPIC}-${index}`)
          connection.reply('getTopicsOfNamespaceResponse', {
            requestId: command.value.requestId,
            topics,
            filtered: true
          })
          return
        }
        case 'getSchema':
          connection.reply('getSchemaResponse', {
            requestId: command.value.requestId,
            errorCode: 11,
            errorMessage: 'none'
          })
          return
        case 'watchTopicList': {
          const { requestId, watcherId } = command.value
          connection.reply('watchTopicListSuccess', { requestId, watcherId, topic: [TOPIC], topicsHash: 'h' })
          connection.reply('watchTopicUpdate', { watcherId, newTopics: ['new'], deletedTopics: [], topicsHash: 'i' })
          return
        }
        default:
      }
    }
    const client = await connected()
    client.send('partitionMetadata', { topic: TOPIC, requestId: ID, originalPrincipal: 'admin' })
    assert.equal((await client.next('partitionMetadataResponse')).partitions, 3)
    client.send('getTopicsOfNamespace', { namespace: 'public/default', requestId: ID })
    const listed = await client.next('getTopicsOfNamespaceResponse')
    assert.deepEqual([listed.requestId, listed.topics.length, listed.filtered], [ID, 5000, true])
    client.send('getSchema', { topic: TOPIC, requestId: ID })
    assert.equal((await client.next('getSchemaResponse')).errorMessage, 'none')
    client.send('watchTopicList', { namespace: 'a/b', topicsPattern: '.*', requestId: ID, watcherId: 7n })
    assert.equal((await client.next('watchTopicListSuccess')).watcherId, 7n)
    assert.deepEqual((await client.next('watchTopicUpdate')).newTopics, ['new'])
    assert.equal(first.connections.length, 1)
    assert.equal(world.proxy.metrics.counts.pendingLookups, 0)
    const [partitions] = first.connections[0]?.commands ?? []
    assert(partitions?.case === 'partitionMetadata' && partitions.value.originalPrincipal === '')
    // a watch is gone with its broker: the client must come again
    await first.stop()
    await client.closed()
  })
})

describe('brokers that are gone', () => {
  test('another one is asked what the first did not answer', async () => {
    await only(first)
    await world.start()
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    await first.until(() => (first.connections[0]?.commands.length ?? 0) > 0)
    second.onCommand = answering('pulsar://found:6650')
    await world.register('1', { urls: { brokerUrl: second.url } })
    await first.stop()
    assert.equal((await client.next('lookupTopicResponse')).brokerServiceUrl, 'pulsar://found:6650')
  })

  test('one that hangs is given up when its registration ends', async () => {
    const clock = new ManualClock()
    await only(first)
    await world.start({}, clock)
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    await first.until(() => (first.connections[0]?.commands.length ?? 0) > 0)
    second.onCommand = answering('pulsar://found:6650')
    await world.register('2', { urls: { brokerUrl: second.url } })
    await world.unregister('1')
    clock.advance(2000)
    assert.equal((await client.next('lookupTopicResponse')).brokerServiceUrl, 'pulsar://found:6650')
  })

  test('where none can be reached, clients are told what they try again after, on the same connection', async () => {
    await only(first)
    await first.stop()
    await world.start()
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    assert.equal((await client.next('lookupTopicResponse')).error, ServerError.MetadataError)
    client.send('partitionMetadata', { topic: TOPIC, requestId: ID })
    assert.equal((await client.next('partitionMetadataResponse')).error, ServerError.MetadataError)
    client.send('getSchema', { topic: TOPIC, requestId: ID })
    assert.equal((await client.next('error')).error, ServerError.ServiceNotReady)
    await world.unregister('1')
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    assert.equal((await client.next('lookupTopicResponse')).message, 'No active broker is available')
    assert.equal(world.proxy.metrics.counts.pendingLookups, 0)
  })

  test('one that never answers fails the request in the end', async () => {
    const clock = new ManualClock()
    await only(first)
    await world.start({ keepAliveIntervalSeconds: 600 }, clock)
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: ID })
    await first.until(() => (first.connections[0]?.commands.length ?? 0) > 0)
    clock.advance(31_000)
    const answer = await client.next('lookupTopicResponse')
    assert.deepEqual([answer.error, answer.message], [ServerError.MetadataError, 'The broker did not answer in time'])
  })
})

describe('limits', () => {
  test('of requests that wait, with the errors of Apache Pulsar', async () => {
    await only(first)
    await world.start({ maxConcurrentLookupRequests: 1 })
    const client = await connected()
    client.send('lookupTopic', { topic: TOPIC, requestId: 1n })
    await first.until(() => (first.connections[0]?.commands.length ?? 0) > 0)
    client.send('lookupTopic', { topic: TOPIC, requestId: 2n })
    const lookup = await client.next('lookupTopicResponse')
    assert.deepEqual([lookup.requestId, lookup.error], [2n, ServerError.TooManyRequests])
    assert.equal(lookup.message, 'Too many concurrent lookup and partitionsMetadata requests')
    client.send('partitionMetadata', { topic: TOPIC, requestId: 3n })
    assert.equal((await client.next('partitionMetadataResponse')).error, ServerError.ServiceNotReady)
    client.send('getTopicsOfNamespace', { namespace: 'a/b', requestId: 4n })
    assert.equal((await client.next('error')).error, ServerError.ServiceNotReady)
    const { counts } = world.proxy.metrics
    assert.deepEqual([counts.rejectedLookups, counts.rejectedPartitions, counts.rejectedTopics], [1, 1, 1])
    // the one that waited goes with its client
    client.destroy()
    await first.until(() => first.connections[0]?.socket.destroyed === true)
    assert.equal(counts.pendingLookups, 0)
  })

  test('a client that asks faster than brokers answer is read no further, and gets every answer', async () => {
    await only(first)
    await world.start()
    const client = await connected()
    const topic = `${TOPIC}-${'x'.repeat(2000)}`
    const count = 800
    for (let id = 0; id < count; id++) client.send('lookupTopic', { topic, requestId: BigInt(id) })
    await first.until(() => (first.connections[0]?.commands.length ?? 0) >= 100)
    const [connection] = first.connections
    assert(connection !== undefined)
    // 256 KB of requests, and what one read brings
    assert(connection.commands.length < 400, `${connection.commands.length}`)
    first.onCommand = answering('pulsar://inside:6650')
    const answer = answering('pulsar://inside:6650')
    for (const command of [...connection.commands]) answer(command, connection)
    for (let id = 0; id < count; id++) await client.next('lookupTopicResponse')
  })
})
