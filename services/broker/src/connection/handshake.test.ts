import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { encodeCommand } from '@strata/wire'
import { afterEach, describe, test } from 'vitest'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerWorld } from './testing/broker-world.ts'

let world: BrokerWorld
const started = async (settings: Partial<BrokerSettings> = {}, clock?: ManualClock): Promise<void> => {
  world = await BrokerWorld.start(settings, clock === undefined ? {} : { clock })
}

afterEach(async () => {
  await world.close()
})

describe('CONNECT', () => {
  test('answers with the lower protocol version, the size limit and what works', async () => {
    await started({ maxMessageSize: 1_024_000 })
    const client = await world.open()
    const connected = await client.connect({ protocolVersion: 15 })
    assert.equal(connected.protocolVersion, 15)
    assert.equal(connected.maxMessageSize, 1_024_000)
    assert.notEqual(connected.serverVersion, '')
    assert.equal(connected.featureFlags?.supportsTopicWatchers, true)
    assert.equal(connected.featureFlags.supportsScalableTopics, false)
    assert.equal(connected.featureFlags.supportsAuthRefresh, false)
    const newer = await world.open()
    assert.equal((await newer.connect({ protocolVersion: 99 })).protocolVersion, 21)
  })

  test('watchers are advertised only where they are on', async () => {
    await started({ enableBrokerTopicListWatcher: false })
    const client = await world.open()
    assert.equal((await client.connect()).featureFlags?.supportsTopicWatchers, false)
  })

  test('with credentials of any method, and through a proxy address, it is accepted while authentication is off', async () => {
    await started()
    const client = await world.open()
    client.send('connect', {
      clientVersion: 'x',
      protocolVersion: 21,
      authMethodName: 'token',
      authData: Buffer.from('nonsense'),
      proxyToBrokerUrl: 'localhost:6650'
    })
    await client.next('connected')
  })

  test('a second one closes the connection', async () => {
    await started()
    const client = await world.connect()
    client.send('connect', { clientVersion: 'x' })
    await client.closed()
  })

  test('any other command before it closes the connection, PING does not', async () => {
    await started()
    const client = await world.open()
    await client.settle()
    client.send('lookupTopic', { topic: 't', requestId: 1n })
    await client.closed()
  })

  test('connections past brokerMaxConnectionsPerIp are closed at once', async () => {
    await started({ brokerMaxConnectionsPerIp: 1 })
    const first = await world.connect()
    const second = await world.open()
    await second.closed()
    await first.settle()
  })
})

describe('hostile bytes', () => {
  test('a frame past the size limit closes only its connection', async () => {
    await started({ maxMessageSize: 1024 })
    const good = await world.connect()
    const bad = await world.connect()
    const prefix = Buffer.alloc(4)
    prefix.writeUInt32BE(1024 + 10 * 1024 + 1)
    bad.socket.write(prefix)
    await bad.closed()
    await good.settle()
  })

  test('a frame that comes byte by byte is a frame', async () => {
    await started()
    const client = await world.connect()
    for (const byte of encodeCommand('ping', {})) client.socket.write(Buffer.from([byte]))
    await client.next('pong')
  })

  test('a command of a type that nobody knows closes the connection, as in Apache Pulsar', async () => {
    await started()
    const client = await world.connect()
    client.socket.write(Buffer.from('0000000900000005087b9a07' + '00', 'hex'))
    await client.closed()
  })

  test('a command that only a broker sends closes the connection', async () => {
    await started()
    const client = await world.connect()
    client.send('success', { requestId: 1n })
    await client.closed()
  })

  test('random frames close the connection or are answered, and leave others alone', async () => {
    await started()
    const good = await world.connect()
    let seed = 0x2545f491
    const random = (below: number): number => {
      seed ^= seed << 13
      seed ^= seed >>> 17
      seed ^= seed << 5
      return (seed >>> 0) % below
    }
    for (let round = 0; round < 150; round++) {
      const client = await world.connect()
      const frame = Buffer.alloc(8 + random(60))
      for (let at = 8; at < frame.length; at++) frame[at] = random(256)
      frame.writeUInt32BE(frame.length - 4)
      frame.writeUInt32BE(random(2) === 0 ? frame.length - 8 : random(80), 4)
      // A type and its field, so that more than the first check is reached.
      if (frame.length > 12) frame.set([0x08, 2 + random(80)], 8)
      client.socket.write(frame)
      client.socket.end()
      await client.closed()
    }
    await good.settle()
  })
})

describe('keep-alive', () => {
  test('no handshake in one interval closes the connection', async () => {
    const clock = new ManualClock()
    await started({}, clock)
    const client = await world.open()
    await client.settle()
    clock.advance(30_000)
    await client.closed()
  })

  test('silence of two intervals closes the connection, any command is life', async () => {
    const clock = new ManualClock()
    await started({}, clock)
    const alive = await world.connect()
    const silent = await world.connect()
    silent.answersPings = false
    clock.advance(30_000)
    await alive.pinged()
    await silent.pinged()
    await alive.settle()
    clock.advance(30_000)
    await silent.closed()
    await alive.settle()
  })
})
