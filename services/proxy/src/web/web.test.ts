import { strict as assert } from 'node:assert'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { ProxyWorld } from '../testing/world.ts'

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

let world: ProxyWorld

/** A broker's HTTP, which answers as a test says. */
class FakeWeb {
  readonly seen: Seen[] = []
  onRequest: (seen: Seen, response: ServerResponse) => void = (_seen, response) => {
    response.setHeader('X-Pulsar-Message-ID', '1:2')
    response.end('{"ok":true}')
  }
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#handle(request, response)
    })
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    world.closing(() => this.stop())
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const { method, url, headers } = request
    const seen = { method, url, headers, body: Buffer.concat(chunks).toString() }
    this.seen.push(seen)
    this.onRequest(seen, response)
  }
}

let first: FakeWeb
let second: FakeWeb

beforeEach(async () => {
  world = new ProxyWorld()
  first = new FakeWeb()
  second = new FakeWeb()
  await first.start()
  await second.start()
})

afterEach(async () => {
  await world.close()
})

const only = (web: FakeWeb): Promise<void> =>
  world.register('1', { urls: { brokerUrl: 'pulsar://127.0.0.1:1', httpUrl: web.url } })

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** Raw, so that paths go out as a test writes them. */
async function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {}
): Promise<Answer> {
  const { hostname: host, port } = new URL(world.proxy.webUrl)
  const { method = 'GET', headers = {}, body } = options
  const asked = httpRequest({ host, port: Number(port), path, method, headers, agent: false })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
  const { statusCode: status = 0, rawHeaders } = answer
  return { status, headers: answer.headers, rawHeaders, body: Buffer.concat(chunks).toString() }
}

describe('passing on', () => {
  test('requests and answers pass as they are, but for what is of one connection and what only a proxy may say', async () => {
    await only(first)
    await world.start({ anonymousUserRole: 'guest' })
    const answer = await ask('/admin/v2/persistent/a/b/x%2Fy//..?q=%2F', {
      method: 'POST',
      headers: {
        Authorization: 'Bearer t',
        'X-Original-Principal': 'admin',
        'X-Forwarded-For': '1.2.3.4',
        Connection: 'close, X-Hop',
        'X-Hop': '1',
        'Content-Type': 'text/plain'
      },
      body: 'four'
    })
    assert.deepEqual([answer.status, answer.body], [200, '{"ok":true}'])
    assert(answer.rawHeaders.includes('X-Pulsar-Message-ID'))
    const [seen] = first.seen
    assert.deepEqual(
      [seen?.method, seen?.url, seen?.body],
      ['POST', '/admin/v2/persistent/a/b/x%2Fy//..?q=%2F', 'four']
    )
    assert.equal(seen?.headers.authorization, 'Bearer t')
    assert.equal(seen.headers['x-original-principal'], 'guest')
    assert.equal(seen.headers['x-forwarded-for'], '1.2.3.4, 127.0.0.1')
    assert.equal(seen.headers['x-hop'], undefined)
    assert.equal(seen.headers['content-length'], '4')
    assert.equal(seen.headers.host, new URL(world.proxy.webUrl).host)
  })

  test('nothing is said of a principal that nobody knows', async () => {
    await only(first)
    await world.start()
    await ask('/lookup/v2/topic/persistent/a/b/c', { headers: { 'x-original-principal': 'admin' } })
    assert.equal(first.seen[0]?.headers['x-original-principal'], undefined)
  })

  test('a redirect to another broker is followed with method, body and credentials', async () => {
    await only(first)
    await world.register('2', { urls: { httpUrl: second.url }, draining: true })
    await world.start()
    first.onRequest = ({ url }, response) => {
      response.writeHead(307, { Location: `${second.url}${url ?? ''}&redirected=1` })
      response.end()
    }
    const options = {
      method: 'PUT',
      body: '{"a":1}',
      headers: { authorization: 'x', 'content-type': 'application/json' }
    }
    assert.equal((await ask('/admin/v2/t?x=1', options)).status, 200)
    const [seen] = second.seen
    assert.deepEqual([seen?.method, seen?.url, seen?.body], ['PUT', '/admin/v2/t?x=1&redirected=1', '{"a":1}'])
    assert.equal(seen?.headers.authorization, 'x')
  })

  test('a redirect to what is no broker is not', async () => {
    await only(first)
    await world.start()
    first.onRequest = (_seen, response) => {
      response.writeHead(307, { Location: `${second.url}/admin` })
      response.end()
    }
    const answer = await ask('/admin/v2/t')
    assert.equal(answer.status, 502)
    assert.equal(second.seen.length, 0)
    assert(!answer.body.includes(second.url))
  })

  test('redirects without end end', async () => {
    await only(first)
    await world.start()
    first.onRequest = (_seen, response) => {
      response.writeHead(307, { Location: `${first.url}/admin` })
      response.end()
    }
    assert.equal((await ask('/admin/v2/t')).status, 504)
    assert.equal(first.seen.length, 9)
  })

  test('a broker that refuses connections is passed over; none is 503', async () => {
    await only(first)
    await world.register('2', { urls: { httpUrl: second.url } })
    await world.start()
    await first.stop()
    for (let i = 0; i < 4; i++) assert.equal((await ask('/admin/v2/t')).status, 200)
    await world.unregister('1')
    await world.unregister('2')
    const answer = await ask('/admin/v2/t')
    assert.deepEqual([answer.status, answer.body], [503, '{"reason":"No active broker is available"}'])
  })

  test('a body past the limit is 413, and the connection of a client that leaves is given up', async () => {
    await only(first)
    await world.start({ httpInputMaxReplayBufferSize: 1000 })
    assert.equal((await ask('/admin/v2/t', { method: 'POST', body: 'x'.repeat(1001) })).status, 413)
    assert.equal(first.seen.length, 0)
    assert.equal((await ask('/admin/v2/t', { method: 'POST', body: 'x'.repeat(1000) })).status, 200)
  })
})

describe('of the proxy itself', () => {
  test('metrics by the names of Apache Pulsar; anything else is 404', async () => {
    await only(first)
    await world.start({ clusterName: 'c' })
    await (await world.client()).connect()
    const { status, body } = await ask('/metrics/')
    assert.equal(status, 200)
    assert.match(body, /^pulsar_proxy_active_connections\{cluster="c"\} 1$/m)
    assert.match(body, /^# TYPE pulsar_proxy_new_connections counter$/m)
    assert.match(body, /^pulsar_proxy_new_connections_total\{cluster="c"\} 1$/m)
    for (const name of ['rejected_connections', 'binary_ops', 'binary_bytes', 'lookup_requests']) {
      assert.match(body, new RegExp(`^pulsar_proxy_${name}_total\\{cluster="c"\\} 0$`, 'm'))
    }
    assert.match(body, /^process_cpu_seconds_total\{cluster="c"\}/m)
    for (const path of ['/', '/adminx', '/ws/v2', '/metricsx']) assert.equal((await ask(path)).status, 404, path)
    assert.equal(first.seen.length, 0)
  })

  test('the status is OK while there are brokers, and the file is there if one is named', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'strata-proxy-'))
    world.closing(() => rm(directory, { recursive: true }))
    const statusFilePath = join(directory, 'status')
    writeFileSync(statusFilePath, '')
    await world.start({ statusFilePath })
    assert.equal((await ask('/status.html')).status, 404)
    await only(first)
    const ok = await ask('/status.html')
    assert.deepEqual([ok.status, ok.body], [200, 'OK'])
    rmSync(statusFilePath)
    assert.equal((await ask('/status.html')).status, 404)
  })
})
