import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { ManualClock } from '@strata/base/testing'
import { encodeCommand, ServerError } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { FakeBroker, FakeBrokerConnection } from '../testing/fake-broker.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ProxyWorld } from '../testing/world.ts'

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

/** A client that is connected to the broker through the proxy. */
async function piped(): Promise<{ client: RawClient; connection: FakeBrokerConnection }> {
  const client = await world.client()
  await client.connect({ proxyToBrokerUrl: broker.name })
  const connection = broker.connections.at(-1)
  assert(connection !== undefined)
  return { client, connection }
}

describe('CONNECT with a broker', () => {
  test('is made anew for the broker, and its CONNECTED passes as it is', async () => {
    await world.start({ anonymousUserRole: 'guest' })
    const client = await world.client()
    const connected = await client.connect({ proxyToBrokerUrl: broker.name, originalPrincipal: 'admin' })
    assert.deepEqual([connected.serverVersion, connected.maxMessageSize], ['fake', 1_000_000])
    const connect = broker.connections[0]?.connect
    assert.equal(connect?.proxyToBrokerUrl, '')
    assert.equal(connect.originalPrincipal, 'guest')
    assert.equal(connect.proxyVersion, 'Strata 0')
    assert.equal(connect.originalAuthData, '')
  })

  test('bytes pass both ways, from right behind CONNECT on, looked at by nobody', async () => {
    await world.start()
    const client = await world.client()
    const behind = encodeCommand('ping', {})
    const connect = encodeCommand('connect', { clientVersion: 'x', protocolVersion: 21, proxyToBrokerUrl: broker.name })
    client.socket.write(Buffer.concat([connect, behind, behind.subarray(0, 3)]))
    await client.next('connected')
    client.socket.write(behind.subarray(3))
    await broker.until(() => broker.connections[0]?.commands.length === 2)
    broker.connections[0]?.reply('pong', {})
    await client.next('pong')
    assert(world.proxy.metrics.counts.binaryBytes >= 3 * behind.length)
  })

  test('megabytes arrive whole', async () => {
    await world.start()
    const { client, connection } = await piped()
    const sent = randomBytes(8 * 1024 * 1024)
    const received: Buffer[] = []
    let bytes = 0
    client.socket.removeAllListeners('data')
    client.socket.on('data', chunk => {
      received.push(chunk)
      bytes += chunk.length
    })
    connection.socket.write(sent)
    while (bytes < sent.length) await once(client.socket, 'data')
    assert(Buffer.concat(received).equals(sent))
  })
})

describe('what is no broker', () => {
  test.each(['127.0.0.1:22', 'metadata.internal:80', 'pulsar://127.0.0.1:6650', '169.254.169.254:80', 'nonsense'])(
    'is refused before anything is connected to: %s',
    async target => {
      await world.start()
      const client = await world.client()
      client.sendConnect({ proxyToBrokerUrl: target })
      const error = await client.next('error')
      assert.deepEqual(
        [error.error, error.message],
        [ServerError.ServiceNotReady, 'Target broker cannot be validated.']
      )
      await client.closed()
      assert.equal(world.proxy.metrics.counts.deniedTargets, 1)
      assert.equal(broker.connections.length, 0)
    }
  )

  test('hosts that the settings allow may be connected to', async () => {
    const other = await world.broker()
    await world.start({ brokerProxyAllowedHostNames: '127.0.0.*', brokerProxyAllowedTargetPorts: String(other.port) })
    const client = await world.client()
    await client.connect({ proxyToBrokerUrl: other.name })
    assert.equal(other.connections.length, 1)
  })
})

describe('brokers that are gone', () => {
  test('before the handshake: the client is told to try again', async () => {
    await world.start()
    await broker.stop()
    const client = await world.client()
    client.sendConnect({ proxyToBrokerUrl: broker.name })
    assert.equal((await client.next('error')).error, ServerError.ServiceNotReady)
    await client.closed()
  })

  test('that refuse: in their own words', async () => {
    await world.start()
    broker.onConnect = connection => {
      connection.reply('error', { requestId: 0n, error: ServerError.NotAllowedError, message: 'full' })
    }
    const client = await world.client()
    client.sendConnect({ proxyToBrokerUrl: broker.name })
    const error = await client.next('error')
    assert.deepEqual([error.error, error.message], [ServerError.NotAllowedError, 'full'])
  })

  test('that never answer: not for ever', async () => {
    const clock = new ManualClock()
    await world.start({ brokerProxyConnectTimeoutMs: 5000 }, clock)
    broker.onConnect = () => undefined
    const client = await world.client()
    client.sendConnect({ proxyToBrokerUrl: broker.name })
    await broker.until(() => broker.connections[0]?.connect !== undefined)
    clock.advance(5000)
    assert.equal((await client.next('error')).error, ServerError.ServiceNotReady)
  })

  test('later: the client gets what was sent, and is closed', async () => {
    await world.start()
    const { client, connection } = await piped()
    connection.socket.end(encodeCommand('closeProducer', { producerId: 1n, requestId: 2n }))
    assert.equal((await client.next('closeProducer')).producerId, 1n)
    await client.closed()
  })

  test('that left the cluster, although their connections are open: the client is closed', async () => {
    const clock = new ManualClock()
    await world.start({}, clock)
    const { client } = await piped()
    await world.unregister('1')
    clock.advance(2000)
    await client.closed()
  })

  test('that are silent for too long: the client is closed', async () => {
    const clock = new ManualClock()
    await world.start({ brokerProxyReadTimeoutMs: 75_000 }, clock)
    const { client, connection } = await piped()
    clock.advance(70_000)
    connection.reply('ping', {})
    await client.next('ping')
    clock.advance(70_000)
    client.send('ping', {})
    await broker.until(() => connection.commands.length === 1)
    clock.advance(10_000)
    await client.closed()
  })

  test('and a client that is gone takes its connection to the broker with it', async () => {
    await world.start()
    const { client, connection } = await piped()
    client.destroy()
    await broker.until(() => connection.socket.destroyed)
    assert.equal(world.proxy.metrics.counts.activeConnections, 0)
  })
})

describe('back-pressure', () => {
  test('a client that does not read stops its broker, and gets all when it reads again', async () => {
    await world.start()
    const { client, connection } = await piped()
    client.socket.pause()
    const sent = 64 * 1024 * 1024
    connection.socket.write(Buffer.alloc(sent))
    const { counts } = world.proxy.metrics
    // until nothing moves any more
    for (let passed = 0, idle = 0; idle < 200; idle = passed === counts.binaryBytes ? idle + 1 : 0) {
      passed = counts.binaryBytes
      await new Promise(resolve => setImmediate(resolve))
    }
    // what two sockets of the system take, and little more
    assert(counts.binaryBytes < sent / 2, `${counts.binaryBytes} bytes were read`)
    let bytes = 0
    client.socket.removeAllListeners('data')
    client.socket.on('data', data => {
      bytes += data.length
    })
    client.socket.resume()
    while (bytes < sent) await once(client.socket, 'data')
    assert.equal(bytes, sent)
  })
})

test('a stop lets what waits for an answer have it, and closes the rest', async () => {
  await world.start()
  const client = await world.client()
  await client.connect()
  client.send('lookupTopic', { topic: 'persistent://a/b/c', requestId: 5n })
  await broker.until(() => (broker.connections[0]?.commands.length ?? 0) > 0)
  const closing = world.proxy.close()
  broker.connections[0]?.reply('lookupTopicResponse', { requestId: 5n, response: 1, brokerServiceUrl: broker.url })
  assert.equal((await client.next('lookupTopicResponse')).requestId, 5n)
  await closing
  await client.closed()
})
