import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { TestAuthority } from '@strata/auth/testing'
import { silentLogger, systemClock } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { afterEach, describe, test } from 'vitest'
import { createAdminServer } from '../admin/server.ts'
import { GuardedWorld, tokenOf } from '../auth/testing/guarded-world.ts'
import { RecordingLogger } from '../auth/testing/recording-logger.ts'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerWorld } from './testing/broker-world.ts'
import { RawClient } from './testing/raw-client.ts'

const NOT_ALLOWED = 22
const AUTHENTICATION_ERROR = 3
const NOT_READY = 6
const INVALID_TOPIC_NAME = 17
const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(settings: Partial<BrokerSettings>, clock = systemClock): Promise<BrokerWorld> {
  const world = await BrokerWorld.start({ webServicePort: 0, ...settings }, { clock })
  closing.push(() => world.close())
  return world
}

/** The HTTP of a world, over real sockets. */
async function web(world: BrokerWorld): Promise<number> {
  const admin = createAdminServer({ broker: world.broker, clock: systemClock, logger: silentLogger })
  closing.push(() => admin.close())
  await admin.start()
  return admin.port
}

async function tcp(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  closing.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Everything that comes until the other end closes. */
async function textOf(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  await once(socket, 'close')
  return text
}

describe('connections', () => {
  test('are so many from one address; the next one is told so, and there is room again after one', async () => {
    const world = await start({ brokerMaxConnectionsPerIp: 2 })
    const first = await world.connect()
    await world.connect()
    const third = await world.open()
    const { error, message } = await third.next('error')
    assert.deepEqual([error, message], [NOT_ALLOWED, 'Reached the maximum number of connections on address 127.0.0.1'])
    await third.closed()
    await first.settle()
    const gone = once(first.socket, 'close')
    first.socket.end()
    await gone
    await world.connect()
  })

  test('are so many in all, and a flood of them makes no flood of lines', async () => {
    const logger = new RecordingLogger()
    const world = await BrokerWorld.start({ brokerMaxConnections: 1 }, { logger })
    closing.push(() => world.close())
    const held = await world.connect()
    for (let count = 0; count < 50; count++) {
      const refused = await world.open()
      assert.equal((await refused.next('error')).message, 'Reached the maximum number of connections')
    }
    await held.settle()
    assert.equal(logger.lines.filter(line => line.includes('connection.refused')).length, 1)
  })

  test('with TLS count before their handshake, and count no more once they are gone', async () => {
    const authority = await TestAuthority.create()
    closing.push(() => authority.remove())
    const { certificate, key } = await authority.sign('/CN=broker')
    const files = { tlsCertificateFilePath: certificate, tlsKeyFilePath: key }
    const world = await start({ brokerServicePortTls: 0, brokerMaxConnectionsPerIp: 1, ...files })
    const { brokerTls: port } = world.broker.ports
    const idle = await tcp(port)
    const second = await tcp(port)
    await once(second, 'close')
    const gone = once(idle, 'close')
    idle.destroy()
    await gone
    for (let count = 0; count < 3; count++) {
      const client = await RawClient.open({ port, tls: { rejectUnauthorized: false } })
      await client.connect()
      const closed = once(client.socket, 'close')
      client.socket.end()
      await closed
    }
  })

  test('that say nothing, or not all of it, are closed in time', async () => {
    const clock = new ManualClock()
    const world = await start({ keepAliveIntervalSeconds: 30 }, clock)
    const port = world.broker.ports.broker
    const silent = await tcp(port)
    const slow = await tcp(port)
    const accepted = await world.connect()
    const ends = [once(silent, 'close'), once(slow, 'close')]
    for (const byte of [0, 0, 0, 47, 0, 0]) {
      slow.write(Buffer.from([byte]))
      // another client's answer: the byte was read by then
      await accepted.settle()
      clock.advance(5000)
    }
    clock.advance(1000)
    await Promise.all(ends)
  })

  test('take no large frame before CONNECT', async () => {
    const world = await start({})
    const socket = await tcp(world.broker.ports.broker)
    socket.write(Buffer.from([0, 1, 0, 1]))
    assert.equal(await textOf(socket), '')
    const client = await world.connect()
    await client.producer('persistent://public/default/t')
    client.publish({ text: 'x'.repeat(1_000_000) })
    await client.next('sendReceipt')
  })
})

describe('names and properties', () => {
  const TOPIC = 'persistent://public/default/t'
  const many = Array.from({ length: 700 }, (_, index) => ({ key: `key-${index}`, value: 'x'.repeat(100) }))
  const long = 'n'.repeat(1025)

  test('of producers, consumers and subscriptions are bounded, and nothing comes of what is past it', async () => {
    const world = await start({})
    const client = await world.connect()
    const answers = [
      await client.request('producer', { topic: TOPIC, producerId: 0n, metadata: many }),
      await client.request('producer', {
        topic: TOPIC,
        producerId: 1n,
        producerName: long,
        userProvidedProducerName: true
      }),
      await client.request('subscribe', { topic: TOPIC, subscription: long, subType: 0, consumerId: 0n }),
      await client.request('subscribe', {
        ...{ topic: TOPIC, subscription: 's', subType: 0, consumerId: 1n },
        subscriptionProperties: many
      }),
      await client.request('producer', { topic: `persistent://public/default/${'t'.repeat(3000)}`, producerId: 2n })
    ]
    assert.deepEqual(
      answers.map(answer => (answer.case === 'error' ? answer.value.error : answer.case)),
      [NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, INVALID_TOPIC_NAME]
    )
    assert.equal(world.broker.topics.size, 0)
  })

  test('of topics are bounded over HTTP, also when they are given one by one', async () => {
    const port = await web(await start({}))
    const url = `http://127.0.0.1:${port}/admin/v2/persistent/public/default/t`
    const put = async (path: string, body: object): Promise<number> =>
      (await fetch(`${url}${path}`, { method: 'PUT', body: JSON.stringify(body) })).status
    assert.equal(await put('', { large: 'x'.repeat(70_000) }), 412)
    assert.equal(await put('', { half: 'x'.repeat(40_000) }), 204)
    assert.equal(await put('/properties', { other: 'x'.repeat(40_000) }), 412)
    assert.equal(await put('/properties', { half: 'y'.repeat(40_000) }), 204)
  })
})

describe('logins that fail', () => {
  test('are so many a minute; who waited, or knows, is let in', async () => {
    const clock = new ManualClock()
    const guarded = await GuardedWorld.start({ strataLoginFailuresPerMinute: 3 }, { clock })
    closing.push(() => guarded.close())
    const attempt = async (data: string): Promise<number | undefined> => {
      const client = await guarded.introduce({ method: 'basic', data })
      const { command } = await client.take(({ command: { case: name } }) => name === 'connected' || name === 'error')
      return command.case === 'error' ? command.value.error : undefined
    }
    for (let count = 0; count < 3; count++) assert.equal(await attempt(`ann:${count}`), AUTHENTICATION_ERROR)
    assert.equal(await attempt('ann:3'), NOT_READY, 'not even looked at')
    assert.equal(await attempt('ann:secret'), NOT_READY)
    clock.advance(20_000)
    assert.equal(await attempt('ann:secret'), undefined)
    assert.equal(await attempt('ann:secret'), undefined, 'success costs nothing')
  })

  test('over HTTP count as well, and what proxies pass on does not', async () => {
    const settings = { strataLoginFailuresPerMinute: 2, authenticateOriginalAuthData: true }
    const guarded = await GuardedWorld.start(settings, { clock: new ManualClock() })
    closing.push(() => guarded.close())
    for (let count = 0; count < 5; count++) {
      const shown = { originalPrincipal: 'x', originalAuthData: 'made up' }
      const client = await guarded.introduce({ method: 'token', data: tokenOf('proxy'), ...shown })
      assert.equal((await client.next('error')).error, AUTHENTICATION_ERROR)
    }
    const port = await web(guarded.world)
    const ask = async (token: string): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` }
      return (await fetch(`http://127.0.0.1:${port}/admin/v2/tenants`, { headers })).status
    }
    const statuses = [await ask('guess'), await ask('guess'), await ask('guess'), await ask(tokenOf('root'))]
    assert.deepEqual(statuses, [401, 401, 429, 429])
  })
})

describe('requests over HTTP', () => {
  test('whose head never ends are cut off, and so are bodies that drip', async () => {
    const world = await start({ strataHttpRequestTimeoutMs: 400 })
    const port = await web(world)
    const head = await tcp(port)
    head.write('GET /admin/v2/clusters HTTP/1.1\r\nHost: x\r\nX-Slow: ')
    const body = await tcp(port)
    body.write('PUT /admin/v2/tenants/t HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{')
    for (const text of await Promise.all([textOf(head), textOf(body)])) assert.match(text, /^HTTP\/1.1 408 /)
  })

  test('have a largest head and a largest body', async () => {
    const world = await start({})
    const port = await web(world)
    const head = await tcp(port)
    head.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(9000)}\r\n\r\n`)
    assert.match(await textOf(head), /^HTTP\/1.1 431 /)
    const body = await tcp(port)
    body.write(`PUT /admin/v2/tenants/t HTTP/1.1\r\nHost: x\r\nContent-Length: ${17 * 1024 * 1024}\r\n\r\n`)
    const [first] = (await once(body, 'data')) as [Buffer]
    assert.match(first.toString(), /^HTTP\/1.1 413 /)
  })

  test('of who may not ask are refused before their body is read', async () => {
    const guarded = await GuardedWorld.start()
    closing.push(() => guarded.close())
    const socket = await tcp(await web(guarded.world))
    socket.write('PUT /admin/v2/tenants/t HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n')
    const [first] = (await once(socket, 'data')) as [Buffer]
    assert.match(first.toString(), /^HTTP\/1.1 401 /)
  })

  test('come over so many connections', async () => {
    const world = await start({ maxHttpServerConnections: 1 })
    const port = await web(world)
    await tcp(port)
    const second = connect({ port, host: '127.0.0.1' })
    second.on('error', () => undefined)
    await once(second, 'close')
  })
})
