import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server as TlsServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { IncomingHttpHeaders } from 'node:http'
import type { ConnectionOptions, TlsOptions } from 'node:tls'
import { TestAuthority, type KeyPair } from '@strata/auth/testing'
import { ManualClock } from '@strata/base/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import type { ProxySettings } from '../settings.ts'
import { ProxyWorld } from '../testing/world.ts'

const SECRET = Buffer.from('a secret that only tests have, of 40 bytes')
const PACKAGE = 'org.apache.pulsar.broker.authentication.'
const AUTHENTICATION_ERROR = 3
const NOT_READY = 6

const ASKING: Partial<ProxySettings> = {
  authenticationEnabled: true,
  authenticationProviders: `${PACKAGE}AuthenticationProviderToken,${PACKAGE}AuthenticationProviderTls`,
  tokenSecretKey: `data:;base64,${SECRET.toString('base64')}`,
  brokerClientAuthenticationPlugin: 'org.apache.pulsar.client.impl.auth.AuthenticationToken',
  brokerClientAuthenticationParameters: 'token:the-proxy-itself'
}

function tokenOf(role: string, claims: Readonly<Record<string, unknown>> = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256' })}.${part({ sub: role, ...claims })}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

function saying(token: string): { authMethodName: string; authData: Uint8Array } {
  return { authMethodName: 'token', authData: Buffer.from(token) }
}

let authority: TestAuthority
let server: KeyPair
let world: ProxyWorld

beforeAll(async () => {
  authority = await TestAuthority.create()
  server = await authority.sign('/CN=somebody', 'DNS:localhost,IP:127.0.0.1')
})
afterAll(async () => {
  await authority.remove()
})
beforeEach(() => {
  world = new ProxyWorld()
})
afterEach(async () => {
  await world.close()
})

async function serverOptions(): Promise<TlsOptions> {
  return { cert: await readFile(server.certificate), key: await readFile(server.key) }
}

async function clientOptions(pair?: KeyPair): Promise<ConnectionOptions> {
  const ca = await readFile(authority.certificate)
  return pair === undefined ? { ca } : { ca, cert: await readFile(pair.certificate), key: await readFile(pair.key) }
}

/** The settings of a proxy that listens with TLS. */
function inFront(): Partial<ProxySettings> {
  return {
    servicePortTls: 0,
    webServicePortTls: 0,
    tlsCertificateFilePath: server.certificate,
    tlsKeyFilePath: server.key,
    tlsTrustCertsFilePath: authority.certificate
  }
}

describe('clients that say who they are', () => {
  test('a broker is told their role, by a proxy that says who it is itself', async () => {
    const broker = await world.broker()
    await world.start({ ...ASKING, brokerServiceURL: broker.url, brokerWebServiceURL: 'http://127.0.0.1:1' })
    const client = await world.client()
    await client.connect({
      ...saying(tokenOf('ann')),
      proxyToBrokerUrl: broker.name,
      originalPrincipal: 'root',
      originalAuthData: 'made up'
    })
    const [{ connect } = {}] = broker.connections
    assert.equal(connect?.originalPrincipal, 'ann')
    assert.equal(connect.authMethodName, 'token')
    assert.equal(Buffer.from(connect.authData).toString(), 'the-proxy-itself')
    assert.equal(connect.originalAuthData, '', 'credentials stay here unless they are to be handed on')
  })

  test('their credentials go on where they are to', async () => {
    const broker = await world.broker()
    await world.start({
      ...ASKING,
      forwardAuthorizationCredentials: true,
      brokerServiceURL: broker.url,
      brokerWebServiceURL: 'http://127.0.0.1:1'
    })
    const client = await world.client()
    const token = tokenOf('ann')
    await client.connect({ ...saying(token), proxyToBrokerUrl: broker.name })
    const [{ connect } = {}] = broker.connections
    assert.deepEqual([connect?.originalAuthMethod, connect?.originalAuthData], ['token', token])
  })

  test('lookups are asked in their name; what follows CONNECT at once is not lost', async () => {
    const broker = await world.broker()
    await world.start({ ...ASKING, brokerServiceURL: broker.url, brokerWebServiceURL: 'http://127.0.0.1:1' })
    broker.onCommand = (command, connection) => {
      assert(command.case === 'lookupTopic')
      const { requestId } = command.value
      connection.reply('lookupTopicResponse', { requestId, response: 1, brokerServiceUrl: broker.url })
    }
    const client = await world.client()
    client.sendConnect(saying(tokenOf('ann')))
    client.send('lookupTopic', { topic: 'persistent://public/default/t', requestId: 7n })
    await client.next('connected')
    const answer = await client.next('lookupTopicResponse')
    assert.deepEqual([answer.requestId, answer.brokerServiceUrl], [7n, broker.url])
    assert.equal(broker.connections[0]?.connect?.originalPrincipal, 'ann')
  })

  test('nobody else gets near a broker', async () => {
    const broker = await world.broker()
    await world.start({ ...ASKING, brokerServiceURL: broker.url, brokerWebServiceURL: 'http://127.0.0.1:1' })
    const forged = `${tokenOf('ann').slice(0, -6)}AAAAAA`
    for (const said of [{}, saying(''), saying(forged), saying(tokenOf('ann', { exp: 1 }))]) {
      const client = await world.client()
      client.sendConnect({ ...said, proxyToBrokerUrl: broker.name })
      const { error, message } = await client.next('error')
      assert.deepEqual([error, message], [AUTHENTICATION_ERROR, 'Failed to authenticate'])
      await client.closed()
    }
    assert.equal(broker.connections.length, 0)
  })

  test('who guesses has to wait, also with the right answer', async () => {
    const clock = new ManualClock()
    const brokers = { brokerServiceURL: 'pulsar://127.0.0.1:1', brokerWebServiceURL: 'http://127.0.0.1:1' }
    await world.start({ ...ASKING, ...brokers, strataLoginFailuresPerMinute: 2 }, clock)
    const attempt = async (token: string): Promise<number | undefined> => {
      const client = await world.client()
      client.sendConnect(saying(token))
      return (await Promise.race([client.next('error'), client.next('connected').then(() => undefined)]))?.error
    }
    const [refused, wait] = [AUTHENTICATION_ERROR, NOT_READY]
    const errors = [await attempt('a'), await attempt('b'), await attempt('c'), await attempt(tokenOf('ann'))]
    assert.deepEqual(errors, [refused, refused, wait, wait])
    assert.equal((await fetch(`${world.proxy.webUrl}/admin/v2/tenants`)).status, 429)
    clock.advance(30_000)
    assert.equal(await attempt(tokenOf('ann')), undefined)
  })

  test('they are closed when their credentials expire', async () => {
    const clock = new ManualClock()
    const broker = await world.broker()
    await world.start({ ...ASKING, brokerServiceURL: broker.url, brokerWebServiceURL: 'http://127.0.0.1:1' }, clock)
    const client = await world.client()
    const exp = Math.floor(clock.wallMs() / 1000) + 60
    await client.connect({ ...saying(tokenOf('ann', { exp })), proxyToBrokerUrl: broker.name })
    clock.advance(30_000)
    assert.equal(client.isClosed, false)
    clock.advance(32_000)
    await client.closed()
  })

  test('a token that is renewed in its file is the one that is said', async () => {
    const path = authority.path('token')
    await writeFile(path, 'first\n')
    const broker = await world.broker()
    await world.start({
      ...ASKING,
      brokerClientAuthenticationParameters: `file://${path}`,
      brokerServiceURL: broker.url,
      brokerWebServiceURL: 'http://127.0.0.1:1'
    })
    for (const token of ['first', 'second']) {
      await writeFile(path, token)
      const client = await world.client()
      await client.connect({ ...saying(tokenOf('ann')), proxyToBrokerUrl: broker.name })
      assert.equal(Buffer.from(broker.connections.at(-1)?.connect?.authData ?? []).toString(), token)
    }
  })
})

describe('TLS', () => {
  test('in front: a certificate says who a client is', async () => {
    const broker = await world.broker()
    await world.start({
      ...ASKING,
      ...inFront(),
      brokerServiceURL: broker.url,
      brokerWebServiceURL: 'http://127.0.0.1:1'
    })
    const client = await world.client(await clientOptions(await authority.sign('/CN=ann')))
    await client.connect({ authMethodName: 'tls', proxyToBrokerUrl: broker.name })
    assert.equal(broker.connections[0]?.connect?.originalPrincipal, 'ann')
    const nobody = await world.client(await clientOptions())
    nobody.sendConnect({ authMethodName: 'tls' })
    assert.equal((await nobody.next('error')).error, AUTHENTICATION_ERROR)
  })

  test('behind: lookups and connections, to addresses with TLS alone', async () => {
    const broker = await world.broker(await serverOptions())
    const url = `pulsar+ssl://localhost:${broker.port}`
    await world.start({
      tlsEnabledWithBroker: true,
      brokerClientTrustCertsFilePath: authority.certificate,
      brokerServiceURLTLS: url,
      brokerWebServiceURLTLS: 'https://127.0.0.1:1'
    })
    broker.onCommand = (command, connection) => {
      assert(command.case === 'lookupTopic')
      const { requestId } = command.value
      const urls = { brokerServiceUrl: 'pulsar://127.0.0.1:1', brokerServiceUrlTls: url }
      connection.reply('lookupTopicResponse', { requestId, response: 1, ...urls })
    }
    const client = await world.client()
    await client.connect()
    client.send('lookupTopic', { topic: 'persistent://public/default/t', requestId: 1n })
    const { brokerServiceUrl, brokerServiceUrlTls } = await client.next('lookupTopicResponse')
    assert.deepEqual([brokerServiceUrl, brokerServiceUrlTls], [url, url])
    const piped = await world.client()
    await piped.connect({ proxyToBrokerUrl: `localhost:${broker.port}` })
  })

  test('behind: a broker of another authority, or of another name, is not believed', async () => {
    const elsewhere = await authority.sign('/CN=else', 'DNS:elsewhere')
    const cert = await readFile(elsewhere.certificate)
    const broker = await world.broker({ cert, key: await readFile(elsewhere.key) })
    await world.start({
      tlsEnabledWithBroker: true,
      brokerClientTrustCertsFilePath: authority.certificate,
      brokerServiceURLTLS: `pulsar+ssl://localhost:${broker.port}`,
      brokerWebServiceURLTLS: 'https://127.0.0.1:1'
    })
    const client = await world.client()
    client.sendConnect({ proxyToBrokerUrl: `localhost:${broker.port}` })
    assert.equal((await client.next('error')).message, "Target broker isn't available.")
    assert.equal(
      broker.connections.every(({ connect }) => connect === undefined),
      true
    )
  })
})

describe('over HTTP', () => {
  let web: TlsServer
  let seen: IncomingHttpHeaders[]
  let url: string

  beforeEach(async () => {
    seen = []
    web = createServer(await serverOptions(), (request, response) => {
      seen.push(request.headers)
      response.end('{}')
    })
    web.listen(0, '127.0.0.1')
    await once(web, 'listening')
    url = `https://127.0.0.1:${(web.address() as AddressInfo).port}`
    world.closing(() => {
      web.closeAllConnections()
      return new Promise(resolve => web.close(resolve))
    })
    await world.start({
      ...ASKING,
      tlsEnabledWithBroker: true,
      brokerClientTrustCertsFilePath: authority.certificate,
      brokerServiceURLTLS: 'pulsar+ssl://127.0.0.1:1',
      brokerWebServiceURLTLS: url
    })
  })

  async function ask(headers: Record<string, string>): Promise<number> {
    return (await fetch(`${world.proxy.webUrl}/admin/v2/tenants`, { headers })).status
  }

  test('the role of the client goes on, with the credentials of the proxy', async () => {
    const authorization = `Bearer ${tokenOf('ann')}`
    assert.equal(await ask({ authorization, 'x-original-principal': 'root' }), 200)
    const [headers] = seen
    assert.equal(headers?.['x-original-principal'], 'ann')
    assert.equal(headers.authorization, 'Bearer the-proxy-itself')
  })

  test('who is not believed is refused here', async () => {
    for (const headers of [
      {},
      { authorization: 'Bearer x' },
      { authorization: `Bearer ${tokenOf('a', { exp: 1 })}` }
    ]) {
      assert.equal(await ask(headers), 401)
    }
    assert.equal(seen.length, 0)
  })
})
