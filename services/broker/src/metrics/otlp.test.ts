import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, test } from 'vitest'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { AdminWorld } from '../admin/testing/admin-world.ts'
import { Families, Labels } from './families.ts'
import { encodeOtlp } from './otlp-encode.ts'
import { OtlpExporter } from './otlp-exporter.ts'

interface Point {
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[]
  readonly startTimeUnixNano?: string
  readonly timeUnixNano: string
  readonly asDouble: number
}

interface Metric {
  readonly name: string
  readonly gauge?: { readonly dataPoints: readonly Point[] }
  readonly sum?: {
    readonly aggregationTemporality: number
    readonly isMonotonic: boolean
    readonly dataPoints: readonly Point[]
  }
}

interface Body {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: Point['attributes'] }
    readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[]
  }[]
}

/** A receiver of OTLP over HTTP, with the answers of its test. */
class Receiver {
  readonly bodies: Body[] = []
  readonly headers: IncomingHttpHeaders[] = []
  status = 200
  readonly #server: Server
  #onRequest: () => void = () => undefined

  constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        this.headers.push(request.headers)
        if (this.status === 200) {
          this.bodies.push(JSON.parse(gunzipSync(Buffer.concat(parts)).toString('utf8')) as Body)
        }
        response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}')
        this.#onRequest()
      })
    })
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/metrics`
  }

  asked(): Promise<void> {
    return new Promise(resolve => (this.#onRequest = resolve))
  }

  metrics(): readonly Metric[] {
    return this.bodies.flatMap(({ resourceMetrics }) =>
      resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    )
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

let receiver: Receiver
let url: string

beforeEach(async () => {
  receiver = new Receiver()
  url = await receiver.listen()
})

afterEach(async () => {
  await receiver.close()
})

function exporter(clock: ManualClock, families: Families, url: string): OtlpExporter {
  return new OtlpExporter({
    ...{ clock, url, logger: silentLogger, intervalMs: 1000, headers: 'authorization=Bearer x, x-team=a' },
    resource: () => ({ 'service.name': 'strata-broker' }),
    startedAtMs: 5,
    collect: () => Promise.resolve([families])
  })
}

test('counters are cumulative sums, the rest gauges, with labels as attributes', async () => {
  const clock = new ManualClock(1_700_000_000_000)
  const families = new Families()
  families.counter('c_total', new Labels([['cluster', 'one "two"']]), 7)
  families.gauge('g', new Labels([]), 0.5)
  const own = exporter(clock, families, url)
  await own.push()
  own.close()
  assert.equal(receiver.headers[0]?.['content-type'], 'application/json')
  assert.equal(receiver.headers[0].authorization, 'Bearer x')
  assert.equal(receiver.headers[0]['x-team'], 'a')
  const attributes = [{ key: 'cluster', value: { stringValue: 'one "two"' } }]
  const timeUnixNano = '1700000000000000000'
  assert.deepEqual(receiver.metrics(), [
    {
      name: 'c_total',
      sum: {
        aggregationTemporality: 2,
        isMonotonic: true,
        dataPoints: [{ attributes, startTimeUnixNano: '5000000', timeUnixNano, asDouble: 7 }]
      }
    },
    { name: 'g', gauge: { dataPoints: [{ attributes: [], timeUnixNano, asDouble: 0.5 }] } }
  ])
  const [resource] = receiver.bodies[0]?.resourceMetrics ?? []
  assert.deepEqual(resource?.resource.attributes, [{ key: 'service.name', value: { stringValue: 'strata-broker' } }])
})

test('a receiver that fails is asked again an interval later', async () => {
  const clock = new ManualClock()
  const families = new Families()
  families.gauge('g', new Labels([]), 1)
  const own = exporter(clock, families, url)
  receiver.status = 503
  await own.push()
  assert.equal(receiver.bodies.length, 0)
  receiver.status = 200
  own.start()
  const asked = receiver.asked()
  clock.advance(1000)
  await asked
  assert.equal(receiver.metrics().length, 1)
  own.close()
})

test('no request has more points than it may', () => {
  const families = new Families()
  for (let index = 0; index < 7; index++) families.gauge('g', new Labels([['i', String(index)]]), index)
  for (let index = 0; index < 4; index++) families.counter('c', new Labels([['i', String(index)]]), index)
  const origin = { resource: {}, startedAtMs: 0, nowMs: 0 }
  const bodies = [...encodeOtlp([families], origin, 5)].map(text => JSON.parse(text) as Body)
  const counts = bodies.map(({ resourceMetrics }) =>
    resourceMetrics[0]?.scopeMetrics[0]?.metrics.map(({ gauge, sum }) => (gauge ?? sum)?.dataPoints.length)
  )
  assert.deepEqual(counts, [[5], [2, 3], [1]])
})

test('settings that cannot work stop the start', () => {
  const clock = new ManualClock()
  assert.throws(() => exporter(clock, new Families(), 'collector:4318'), /strataOtlpMetricsUrl/)
})

test('a broker pushes what it shows on /metrics', async () => {
  const admin = await AdminWorld.start({ strataOtlpMetricsUrl: url })
  try {
    await admin.publish('t', ['a', 'b'])
    await admin.admin.pushMetrics()
    const counted = receiver.metrics().find(({ name }) => name === 'strata_namespace_in_messages_total')
    const point = counted?.sum?.dataPoints.find(({ attributes }) =>
      attributes.some(({ key, value }) => key === 'namespace' && value.stringValue === 'public/default')
    )
    assert.equal(point?.asDouble, 2)
    assert.ok(receiver.metrics().some(({ name }) => name === 'process_cpu_seconds_total'))
    const pushed = new Set(receiver.metrics().map(({ name }) => name))
    const shown = String((await admin.call('GET', '/metrics')).body).matchAll(/^# TYPE (pulsar_\S+|strata_\S+)/gm)
    for (const [, name = ''] of shown) assert.ok(pushed.has(name), name)
  } finally {
    await admin.close()
  }
})
