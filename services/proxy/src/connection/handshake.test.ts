import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { encodeCommand, ServerError } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { FakeBroker } from '../testing/fake-broker.ts'
import { ProxyWorld } from '../testing/world.ts'
import { NO_REQUEST } from './services.ts'

let world: ProxyWorld
let broker: FakeBroker

beforeEach(async () => {
  world = new ProxyWorld()
  broker = await world.broker()
  await world.register('1', { urls: { brokerUrl: broker.url } })
})

afterEach(async () => {
  await world.close()
})

describe('CONNECT without a broker', () => {
  test('is answered by the proxy, and no broker is asked', async () => {
    await world.start()
    const client = await world.client()
    const connected = await client.connect({ protocolVersion: 15 })
    assert.equal(connected.protocolVersion, 15)
    assert.equal(connected.serverVersion, 'Strata 0')
    assert.equal(connected.featureFlags?.supportsTopicWatchers, false)
    client.send('ping', {})
    await client.next('pong')
    assert.equal(broker.connections.length, 0)
  })

  test('of a client that is too old, or that says it is a proxy, is refused', async () => {
    await world.start()
    const old = await world.client()
    old.sendConnect({ protocolVersion: 9 })
    await old.closed()
    const proxy = await world.client()
    proxy.sendConnect({ proxyVersion: '1' })
    const error = await proxy.next('error')
    assert.deepEqual([error.error, error.message], [ServerError.NotAllowedError, 'Must not provide proxyVersion'])
    await proxy.closed()
  })

  test('only what is asked before a client has a broker is taken', async () => {
    await world.start()
    const client = await world.client()
    await client.connect()
    client.send('producer', { topic: 'persistent://a/b/c', producerId: 0n, requestId: 0n })
    await client.closed()
  })
})

describe('what is no CONNECT', () => {
  const hostile: Readonly<Record<string, Buffer>> = {
    'a request of HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    'a frame that claims two gigabytes': Buffer.from('7fffffff00000000', 'hex'),
    'a frame that is too short': Buffer.from('00000001ff', 'hex'),
    'a command that does not decode': Buffer.from('00000008000000040802ffff', 'hex'),
    'a command before it': encodeCommand('lookupTopic', { topic: 'x', requestId: 0n }),
    'a command of a broker': encodeCommand('success', { requestId: 0n })
  }

  test.each(Object.keys(hostile))('closes the connection: %s', async name => {
    await world.start()
    const client = await world.client()
    client.socket.write(hostile[name] ?? '')
    await client.closed()
    // and no other
    await (await world.client()).connect()
  })

  test('silence closes it after one interval; a client that looks up is pinged first', async () => {
    const clock = new ManualClock()
    await world.start({ keepAliveIntervalSeconds: 30 }, clock)
    const silent = await world.client()
    const looking = await world.client()
    await looking.connect()
    clock.advance(32_000)
    await silent.closed()
    await looking.next('ping')
    looking.send('pong', {})
    looking.send('ping', {})
    await looking.next('pong')
    clock.advance(32_000)
    await looking.next('ping')
    assert(!looking.isClosed)
    clock.advance(32_000)
    await looking.closed()
  })
})

describe('limits', () => {
  test('of connections, and of those from one address, are told in the words of Apache Pulsar', async () => {
    await world.start({ maxConcurrentInboundConnections: 3, maxConcurrentInboundConnectionsPerIp: 2 })
    const [first, second] = [await world.client(), await world.client()]
    await first.connect()
    await second.connect()
    const third = await world.client()
    const error = await third.next('error')
    assert.equal(error.requestId, NO_REQUEST)
    assert.equal(error.error, ServerError.NotAllowedError)
    assert.match(error.message, /^Reached the maximum number of connections on address/)
    await third.closed()
    const { counts } = world.proxy.metrics
    assert.deepEqual([counts.activeConnections, counts.newConnections, counts.rejectedConnections], [2, 2, 1])
  })

  test('a place that became free is given again', async () => {
    await world.start({ maxConcurrentInboundConnections: 1 })
    const first = await world.client()
    const { topic } = { topic: 'persistent://public/default/t' }
    await first.connect()
    first.send('lookupTopic', { topic, requestId: 1n })
    await broker.until(() => broker.connections.length === 1)
    const second = await world.client()
    assert.equal((await second.next('error')).message, 'Reached the maximum number of connections')
    first.destroy()
    // its connection to the broker goes with it
    await broker.until(() => broker.connections[0]?.socket.destroyed === true)
    await (await world.client()).connect()
  })
})
