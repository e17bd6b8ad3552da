import { strict as assert } from 'node:assert'
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import { isAuthError } from '@strata/auth'
import { TestAuthority, type KeyPair } from '@strata/auth/testing'
import { PulsarClient, type Authentication } from '@strata/client'
import { silentLogger, systemClock } from '@strata/base'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { createAdminServer, type AdminServer } from '../admin/server.ts'
import { ClusterWorld } from '../admin/testing/cluster-world.ts'
import type { Broker } from '../broker.ts'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { RawClient } from '../connection/testing/raw-client.ts'

const TOPIC = 'persistent://public/default/t'
const TLS_METHOD: Authentication = { method: 'tls', getData: () => Buffer.alloc(0) }

let authority: TestAuthority
let broker: KeyPair
let ann: KeyPair
let root: KeyPair
let world: BrokerWorld
let serving: Broker
let admin: AdminServer
const closing: (() => unknown)[] = []

beforeAll(async () => {
  authority = await TestAuthority.create()
  broker = await authority.sign('/CN=a broker')
  ann = await authority.sign('/CN=ann')
  root = await authority.sign('/', 'URI:spiffe://here/root')
})
afterAll(async () => {
  await authority.remove()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function tlsSettings(): Partial<BrokerSettings> {
  return {
    brokerServicePortTls: 0,
    webServicePort: 0,
    webServicePortTls: 0,
    tlsCertificateFilePath: broker.certificate,
    tlsKeyFilePath: broker.key,
    tlsTrustCertsFilePath: authority.certificate
  }
}

async function start(settings: Partial<BrokerSettings> = {}): Promise<void> {
  world = await BrokerWorld.start({ ...tlsSettings(), ...settings })
  serving = world.broker
  admin = createAdminServer({ broker: serving, clock: systemClock, logger: silentLogger })
  closing.push(
    () => world.close(),
    () => admin.close()
  )
  await admin.start()
}

async function optionsOf(pair?: KeyPair): Promise<ConnectionOptions> {
  const ca = await readFile(authority.certificate)
  return pair === undefined ? { ca } : { ca, cert: await readFile(pair.certificate), key: await readFile(pair.key) }
}

async function open(pair?: KeyPair): Promise<RawClient> {
  const client = await RawClient.open({ port: world.broker.ports.brokerTls, tls: await optionsOf(pair) })
  closing.push(() => client.destroy())
  return client
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly location: string
}

async function ask(path: string, pair?: KeyPair, options: { method?: string; body?: string } = {}): Promise<Answer> {
  const tls = await optionsOf(pair)
  return await new Promise<Answer>((resolve, reject) => {
    const { method = 'GET', body: sent = '' } = options
    const headers = { 'content-type': 'application/json', 'content-length': sent.length }
    const target = { host: '127.0.0.1', port: serving.ports.webTls, path, agent: false as const }
    const asked = request({ ...target, ...tls, method, headers }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body, location: response.headers.location ?? '' })
      })
    })
    asked.on('error', reject)
    asked.end(sent)
  })
}

describe('TLS on both ports, with nobody asked who they are', () => {
  test('a client publishes and consumes, led from TLS to TLS, also by way of https', async () => {
    await start()
    const { brokerTls, webTls } = world.broker.ports
    for (const serviceUrl of [`pulsar+ssl://127.0.0.1:${brokerTls}`, `pulsar+ssl://localhost:${brokerTls}`]) {
      const client = new PulsarClient({ serviceUrl, tls: await optionsOf() })
      closing.push(() => client.close())
      const consumer = await client.subscribe({ topic: TOPIC, subscription: serviceUrl.replace(/\W+/g, '-') })
      const producer = await client.createProducer({ topic: TOPIC })
      await producer.send({ data: Buffer.alloc(300_000, 'x') })
      const message = await consumer.receive()
      assert.equal(message.data.length, 300_000)
    }
    const found = JSON.parse((await ask(`/lookup/v2/topic/persistent/public/default/t`)).body) as Record<string, string>
    assert.equal(found['brokerUrlTls'], `pulsar+ssl://127.0.0.1:${brokerTls}`)
    assert.equal(found['httpUrlTls'], `https://127.0.0.1:${webTls}`)
    const client = await open()
    await client.connect()
    const looked = await client.request('lookupTopic', { topic: TOPIC })
    assert.equal(looked.case, 'lookupTopicResponse')
    assert.equal((looked.value as { brokerServiceUrlTls: string }).brokerServiceUrlTls, found['brokerUrlTls'])
  })

  test('without plain ports there is no plain way, and none is told', async () => {
    await start({ brokerServicePort: -1, webServicePort: -1 })
    assert.deepEqual([world.broker.ports.broker, world.broker.ports.web], [-1, -1])
    const client = await open()
    await client.connect()
    const looked = await client.request('lookupTopic', { topic: TOPIC })
    assert.equal((looked.value as { brokerServiceUrl: string }).brokerServiceUrl, '')
    const brokers = JSON.parse((await ask('/admin/v2/brokers/standalone')).body) as string[]
    assert.deepEqual(brokers, [`127.0.0.1:${world.broker.ports.webTls}`])
  })

  test('bytes without TLS on its port get nothing but an end', async () => {
    await start()
    const client = await RawClient.open({ port: world.broker.ports.brokerTls })
    closing.push(() => client.destroy())
    client.send('connect', { clientVersion: 'plain', protocolVersion: 21 })
    await client.closed()
    assert.equal(client.inbox.length, 0)
  })

  test('without a certificate it does not start', async () => {
    await assert.rejects(BrokerWorld.start({ ...tlsSettings(), tlsKeyFilePath: '' }), error =>
      isAuthError(error, 'AUTH_SETTING_INVALID')
    )
  })
})

describe('certificates say who clients are', () => {
  const GUARDED: Partial<BrokerSettings> = {
    authenticationEnabled: true,
    authenticationProviders: 'org.apache.pulsar.broker.authentication.AuthenticationProviderTls',
    authorizationEnabled: true,
    superUserRoles: 'spiffe://here/root'
  }

  test('by the binary protocol: common name, else alternative name; nobody without', async () => {
    await start(GUARDED)
    const known = await open(root)
    await known.connect({ authMethod: 'tls' })
    await known.producer(TOPIC)
    const other = await open(ann)
    await other.connect({ authMethod: 'tls' })
    const refused = await other.request('producer', { topic: TOPIC, producerId: 0n })
    assert.equal(refused.case, 'error')
    assert.match((refused.value as { message: string }).message, /not authorized|Unauthorized|authorize/i)
    const nobody = await open()
    await assert.rejects(nobody.connect({ authMethod: 'tls' }))
    const plain = await world.open()
    await assert.rejects(plain.connect({ authMethod: 'tls' }))
  })

  test('over HTTPS', async () => {
    await start(GUARDED)
    assert.equal((await ask('/admin/v2/tenants', root)).status, 200)
    assert.equal((await ask('/admin/v2/tenants', ann)).status, 401)
    assert.equal((await ask('/admin/v2/tenants')).status, 401)
    const plain = await fetch(`http://127.0.0.1:${world.broker.ports.web}/admin/v2/tenants`)
    assert.equal(plain.status, 401)
  })

  test('a certificate of another authority says of nobody who they are, whatever its name', async () => {
    const stranger = await TestAuthority.create('another authority')
    closing.push(() => stranger.remove())
    const pretender = await stranger.sign('/CN=ann', 'URI:spiffe://here/root')
    await start(GUARDED)
    await assert.rejects(async () => (await open(pretender)).connect({ authMethod: 'tls' }))
    await assert.rejects(ask('/admin/v2/tenants', pretender))
    assert.equal((await ask('/admin/v2/tenants', root)).status, 200)

    await world.close()
    await start({ ...GUARDED, tlsAllowInsecureConnection: true })
    await assert.rejects(async () => (await open(pretender)).connect({ authMethod: 'tls' }))
    assert.equal((await ask('/admin/v2/tenants', pretender)).status, 401)
    const serviceUrl = `pulsar+ssl://127.0.0.1:${world.broker.ports.brokerTls}`
    const client = new PulsarClient({ serviceUrl, tls: await optionsOf(pretender), authentication: TLS_METHOD })
    closing.push(() => client.close())
    await assert.rejects(client.createProducer({ topic: TOPIC }))
  })

  test('nobody is nobody, unless there is a role for those who say nothing', async () => {
    await start(GUARDED)
    for (const connecting of [open(), world.open()]) {
      const client = await connecting
      await assert.rejects(client.connect())
      await client.closed()
    }
    assert.equal((await ask('/admin/v2/namespaces/public')).status, 401)

    await world.close()
    await start({ ...GUARDED, anonymousUserRole: 'spiffe://here/root' })
    for (const connecting of [open(), world.open()]) {
      const client = await connecting
      await client.connect()
      await client.producer(`${TOPIC}-${client.socket.localPort}`)
    }
    assert.equal((await ask('/admin/v2/tenants')).status, 200)
  })

  test('a client of ours, with a grant', async () => {
    await start(GUARDED)
    const { grants, namespaces } = world.broker
    const fence = await namespaces.tenancy.fenceOf('public/default')
    await grants.grant(
      { kind: 'namespace', namespace: 'public/default' },
      { role: 'ann', actions: ['produce', 'consume'], fence }
    )
    const serviceUrl = `pulsar+ssl://127.0.0.1:${world.broker.ports.brokerTls}`
    const client = new PulsarClient({ serviceUrl, tls: await optionsOf(ann), authentication: TLS_METHOD })
    closing.push(() => client.close())
    const producer = await client.createProducer({ topic: TOPIC })
    await producer.send({ data: Buffer.from('hello') })
  })
})

describe('brokers that ask each other over HTTPS', () => {
  test('with no plain port at all; a redirect keeps to https', async () => {
    const cluster = await ClusterWorld.start(2, {
      ...tlsSettings(),
      brokerServicePort: -1,
      webServicePort: -1,
      brokerClientTlsEnabled: true,
      brokerClientTrustCertsFilePath: authority.certificate
    })
    closing.push(() => cluster.close())
    const [a, b] = cluster.members
    assert(a !== undefined && b !== undefined)
    serving = a.broker
    const many = '/admin/v2/persistent/public/default/many'
    const made = await ask(`${many}/partitions`, undefined, { method: 'PUT', body: '12' })
    assert.equal(made.status, 204, made.body)
    // its partitions are spread over both, so that one asks the other
    const stats = await ask(`${many}/partitioned-stats`)
    assert.equal(stats.status, 200, stats.body)
    const statuses = new Set<number>()
    for (let index = 0; index < 12; index++) {
      const path = `/admin/v2/persistent/public/default/one-${index}`
      const { status, location } = await ask(path, undefined, { method: 'PUT' })
      statuses.add(status)
      if (status === 307) assert.match(location, /^https:\/\//)
    }
    assert.ok(statuses.has(307), 'some topic is of the other one')
  })
})
