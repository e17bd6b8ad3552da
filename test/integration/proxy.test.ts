import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { MessageId, PulsarClient, type Message } from '@strata/client'
import { encodeCommand } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { startProxy, type ProxyProcess } from '../support/proxy-process.ts'
import { residentBytes } from '../support/resident.ts'
import { settingFlags } from '../support/server-process.ts'
import { startStrata, STRATA, withDirectory, type StrataProcess } from '../support/strata-process.ts'

const MIB = 1024 * 1024

let proxy: ProxyProcess | undefined
let clients: PulsarClient[] = []

beforeEach(() => {
  clients = []
})

afterEach(async () => {
  for (const client of clients) client.shutdown()
  const code = await proxy?.stop()
  proxy = undefined
  assert(code === undefined || code === 0, `the proxy ended with ${code}`)
})

async function front(strata: StrataProcess): Promise<ProxyProcess> {
  proxy = await startProxy({ set: { brokerServiceURL: strata.brokerUrl, brokerWebServiceURL: strata.webUrl } })
  return proxy
}

function clientOf({ serviceUrl }: ProxyProcess): PulsarClient {
  const client = new PulsarClient({ serviceUrl, backoff: { initialMs: 20, maxMs: 200 } })
  clients.push(client)
  return client
}

async function metric({ webUrl }: ProxyProcess, name: string): Promise<number> {
  const text = await (await fetch(`${webUrl}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/** Runs with a standalone and a proxy in front of it. */
function withBoth(run: (strata: StrataProcess, proxy: ProxyProcess) => Promise<void>): Promise<void> {
  return withDirectory(async data => {
    const strata = await startStrata({ data })
    try {
      await run(strata, await front(strata))
    } finally {
      await strata.stop()
    }
  })
}

describe('strata proxy in front of a standalone', () => {
  test('publishes, consumes, reads and administers, messages of megabytes and in pieces included', () =>
    withBoth(async (strata, through) => {
      const client = clientOf(through)
      const topic = 'persistent://public/default/through-a-proxy'
      const consumer = await client.subscribe({ topic, subscription: 's', initialPosition: 'earliest' })
      const producer = await client.createProducer({ topic })
      const large = randomBytes(5 * MIB - 10_000)
      const sent = [Buffer.from('one'), Buffer.from('two'), large]
      for (const data of sent) await producer.send({ data })
      const pieces = await client.createProducer({ topic, chunking: true, batching: { enabled: false } })
      const larger = randomBytes(12 * MIB)
      await pieces.send({ data: larger })
      for (const data of [...sent, larger]) {
        const message = await consumer.receive(20_000)
        assert(message.data.equals(data))
        await consumer.acknowledge(message)
      }
      const reader = await client.createReader({ topic, startMessageId: MessageId.earliest })
      assert.equal((await reader.readNext(20_000)).text, 'one')
      const path = 'admin/v2/persistent/public/default/through-a-proxy/stats'
      const stats = (await (await fetch(`${through.webUrl}/${path}`)).json()) as { msgInCounter: number }
      assert.deepEqual(stats.msgInCounter, 3 + 3)
      // nothing of it went past the proxy, and none of the sockets of the broker is the client's
      assert((await metric(through, 'pulsar_proxy_binary_bytes_total')) > 2 * 12 * MIB)
      assert.equal((await fetch(`${through.webUrl}/status.html`)).status, 200)
      assert.equal(strata.log().includes('"level":50'), false)
    }))

  test('a consumer that does not read does not grow the proxy, and gets every message later', () =>
    withBoth(async (strata, through) => {
      const client = clientOf(through)
      const topic = 'persistent://public/default/deaf'
      const count = 200
      const producer = await client.createProducer({ topic, batching: { enabled: false } })
      await producer.send({ data: Buffer.from('first') })
      // a socket of its own that asks for everything and reads nothing
      const { hostname: host, port } = new URL(through.serviceUrl)
      const socket = connect({ host, port: Number(port) })
      const to = new URL(strata.brokerUrl).host
      socket.write(encodeCommand('connect', { clientVersion: 'deaf', protocolVersion: 21, proxyToBrokerUrl: to }))
      await once(socket, 'data')
      const subscription = {
        subscription: 'deaf',
        subType: 0,
        initialPosition: 1,
        consumerId: 0n,
        requestId: 0n
      } as const
      socket.write(encodeCommand('subscribe', { topic, ...subscription }))
      await once(socket, 'data')
      socket.pause()
      socket.write(encodeCommand('flow', { consumerId: 0n, messagePermits: 10_000 }))
      const before = residentBytes(through.pid)
      const data = randomBytes(MIB)
      for (let sent = 0; sent < count; sent++) await producer.send({ data })
      const grown = residentBytes(through.pid) - before
      // 200 MB went through it the other way, which costs garbage; kept, it would be as much once more
      assert(grown < 120 * MIB, `the proxy grew by ${grown} bytes`)
      let bytes = 0
      socket.on('data', chunk => {
        bytes += chunk.length
      })
      socket.resume()
      while (bytes < count * MIB) await once(socket, 'data')
      socket.destroy()
    }))

  test('a broker that is killed and comes back is found again by its clients, through the proxy', () =>
    withDirectory(async data => {
      const topic = 'persistent://public/default/comes-back'
      let strata = await startStrata({ data })
      const ports = { brokerServicePort: strata.brokerPort, webServicePort: strata.webPort }
      const through = await front(strata)
      const client = clientOf(through)
      const producer = await client.createProducer({ topic })
      const received: Message[] = []
      const consumer = await client.subscribe({ topic, subscription: 's' })
      await producer.send({ data: Buffer.from('before') })
      received.push(await consumer.receive(20_000))
      await consumer.acknowledge(received[0]!)
      await strata.kill()
      assert.equal((await fetch(`${through.webUrl}/admin/v2/clusters`)).status, 503)
      const sending = producer.send({ data: Buffer.from('after') })
      strata = await startStrata({ data, set: ports })
      try {
        await sending
        for (;;) {
          const message = await consumer.receive(20_000)
          await consumer.acknowledge(message)
          if (message.text === 'after') break
          assert.equal(message.text, 'before')
        }
      } finally {
        await strata.stop()
      }
    }))

  test('what is no broker is not connected to, and what is no client does no harm', () =>
    withBoth(async (strata, through) => {
      const { hostname: host, port } = new URL(through.serviceUrl)
      const hostile = [
        encodeCommand('connect', {
          clientVersion: 'x',
          protocolVersion: 21,
          proxyToBrokerUrl: `127.0.0.1:${strata.webPort}`
        }),
        Buffer.from('GET /admin/v2/clusters HTTP/1.1\r\nHost: x\r\n\r\n'),
        randomBytes(1000)
      ]
      for (const bytes of hostile) {
        const socket = connect({ host, port: Number(port) })
        socket.on('error', () => undefined)
        socket.resume()
        socket.write(bytes)
        await once(socket, 'close')
      }
      assert.equal(await metric(through, 'strata_proxy_denied_targets_total'), 1)
      assert.equal(await metric(through, 'pulsar_proxy_active_connections'), 0)
      const producer = await clientOf(through).createProducer({ topic: 'persistent://public/default/unharmed' })
      await producer.send({ data: Buffer.from('x') })
    }))
})

test('settings that say too little, too much or nothing sensible stop the start with one line each', () => {
  const refused = (...set: Parameters<typeof settingFlags>): string => {
    const { status, stderr } = spawnSync(process.execPath, [STRATA, 'proxy', ...settingFlags(...set)], {
      encoding: 'utf8'
    })
    assert.equal(status, 78, stderr)
    assert.equal(stderr.trim().split('\n').length, 1, stderr)
    return stderr
  }
  const brokers = { brokerServiceURL: 'pulsar://a:6650', brokerWebServiceURL: 'http://a:8080' }
  assert.match(refused({}), /metadataStoreUrl/)
  assert.match(refused({ ...brokers, tlsEnabledWithBroker: true }), /brokerServiceURLTLS/)
  assert.match(refused({ ...brokers, servicePortTls: 6651 }), /TLS needs tlsCertificateFilePath/)
  assert.match(refused({ ...brokers, brokerProxyAllowedIPAddresses: 'x' }), /brokerProxyAllowedIPAddresses/)
})
