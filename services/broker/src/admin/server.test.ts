import { request } from 'node:http'
import { eventually } from '@strata/base/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

const avro = (...fields: string[]): string =>
  JSON.stringify({ type: 'record', name: 'R', fields: fields.map(name => ({ name, type: 'int' })) })

const optional = (...fields: string[]): string =>
  JSON.stringify({ type: 'record', name: 'R', fields: fields.map(name => ({ name, type: 'int', default: 0 })) })

const WORDS = ['partitioned', 'delete_when_subscriptions_caught_up', 'BACKWARD', 'backlog', 'any']

/** Values that a setting of this type may take: one of them it does. */
function othersThan(value: unknown): readonly unknown[] {
  if (typeof value === 'boolean') return [!value]
  return typeof value === 'number' ? [value + 1, value - 1, value / 2] : WORDS
}

describe('schemas', () => {
  const at = 'schemas/public/default/sc'

  test('post, get, list, delete', async () => {
    expect(await admin.told('GET', `${at}/schema`)).toBe('404 Schema not found')
    const body = { type: 'AVRO', schema: avro('a'), properties: { k: 'v' } }
    expect((await admin.call('POST', `${at}/schema`, body)).body).toEqual({ version: { version: 0 } })
    const stored = { version: 0, type: 'AVRO', data: avro('a'), properties: { k: 'v' } }
    expect((await admin.call('GET', `${at}/schema`)).body).toMatchObject(stored)
    expect((await admin.call('GET', `${at}/schema/0`)).body).toMatchObject(stored)
    expect(await admin.told('GET', `${at}/schema/7`)).toBe('404 Schema not found')
    expect((await admin.call('GET', `${at}/schemas`)).body).toMatchObject({ getSchemaResponses: [stored] })
    expect((await admin.call('POST', `${at}/version`, body)).body).toEqual({ version: 0 })
    const changed = { type: 'AVRO', schema: avro('a', 'b') }
    expect((await admin.call('POST', `${at}/version`, changed)).body).toEqual({ version: -1 })
    expect(await admin.call('POST', `${at}/compatibility`, body)).toMatchObject({
      status: 202,
      body: { compatibility: true, schemaCompatibilityStrategy: 'FULL' }
    })
    expect((await admin.call('POST', `${at}/compatibility`, changed)).body).toMatchObject({ compatibility: false })
    expect(await admin.told('POST', `${at}/schema`, changed)).toMatch(/^409 .*'b'/)
    expect(await admin.told('POST', `${at}/schema`, { type: 'STRING', schema: '' })).toBe(
      '409 Incompatible schema: exists schema type AVRO, new schema type STRING'
    )
    expect(await admin.told('POST', `${at}/schema`, { type: 'AVRO', schema: '{not' })).toEqual(
      expect.stringMatching(/^422 Invalid schema definition data for AVRO schema: /)
    )
    expect(await admin.told('POST', `${at}/schema`, { type: 'AUTO_CONSUME', schema: '' })).toBe(
      '422 Schema AUTO_CONSUME is a client-side schema type'
    )
    expect((await admin.call('DELETE', `${at}/schema`)).body).toEqual({ version: 1 })
    expect(await admin.told('GET', `${at}/schema`)).toBe('404 Schema not found')
  })

  test('the numbers of its versions; a deletion by force begins them again', async () => {
    const path = 'schemas/public/default/numbers'
    const add = (...fields: string[]) =>
      admin.call('POST', `${path}/schema`, { type: 'JSON', schema: optional(...fields) })
    expect(await admin.call('GET', `${path}/metadata`)).toMatchObject({ status: 200, body: undefined })
    await add('a')
    await add('a', 'b')
    const entry = (version: number) => ({ ledgerId: -1, entryId: 0, version })
    const numbers = { info: entry(1), index: [entry(0), entry(1)] }
    expect((await admin.call('GET', `${path}/metadata`)).body).toEqual(numbers)
    expect((await admin.call('DELETE', `${path}/schema`)).body).toEqual({ version: 2 })
    expect((await add('c')).body).toEqual({ version: { version: 3 } })
    expect((await admin.call('DELETE', `${path}/schema?force=true`)).body).toEqual({ version: -1 })
    expect((await add('d')).body).toEqual({ version: { version: 0 } })
  })

  test('where there is no such namespace nothing is found and nothing is added', async () => {
    expect(await admin.told('GET', 'schemas/public/none/t/schema')).toBe('404 Schema not found')
    expect((await admin.call('GET', 'schemas/public/none/t/schemas')).body).toEqual({ getSchemaResponses: [] })
    const body = { type: 'STRING', schema: '' }
    expect(await admin.told('POST', 'schemas/public/none/t/schema', body)).toBe('404 Namespace does not exist')
    expect(await admin.told('POST', 'schemas/public/none/t/compatibility', body)).toBe('404 Namespace does not exist')
  })

  test('key and value', async () => {
    const body = {
      type: 'KEY_VALUE',
      schema: JSON.stringify({ key: '', value: avro('a') }),
      properties: { 'key.schema.type': 'STRING', 'value.schema.type': 'AVRO' }
    }
    await admin.call('POST', 'schemas/public/default/kv/schema', body)
    const { data } = (await admin.call('GET', 'schemas/public/default/kv/schema')).body as { data: string }
    expect(JSON.parse(data)).toEqual({ key: '', value: JSON.parse(avro('a')) as unknown })
  })

  test('a strategy of the topic is what counts for it', async () => {
    const own = admin.topic('ownstrategy')
    const path = 'schemas/public/default/ownstrategy'
    await admin.call('PUT', own)
    await admin.call('POST', `${path}/schema`, { type: 'AVRO', schema: avro('a') })
    const changed = { type: 'AVRO', schema: avro('b') }
    expect(await admin.told('POST', `${path}/schema`, changed)).toMatch(/^409 /)
    const set = await admin.call('PUT', `${own}/schemaCompatibilityStrategy`, '"ALWAYS_COMPATIBLE"')
    expect(set).toMatchObject({ status: 204 })
    const answer = { compatibility: true, schemaCompatibilityStrategy: 'ALWAYS_COMPATIBLE' }
    await eventually(async () => {
      expect((await admin.call('POST', `${path}/compatibility`, changed)).body).toEqual(answer)
    })
    expect((await admin.call('POST', `${path}/schema`, changed)).body).toEqual({ version: { version: 1 } })
  })

  test('go with their topic', async () => {
    await admin.call('PUT', admin.topic('withschema'))
    await admin.call('POST', 'schemas/public/default/withschema/schema', { type: 'STRING', schema: '' })
    await admin.call('DELETE', admin.topic('withschema'))
    expect(await admin.told('GET', 'schemas/public/default/withschema/schema')).toBe('404 Schema not found')
  })

  test('a producer finds what HTTP put', async () => {
    await admin.call('POST', 'schemas/public/default/both/schema', { type: 'AVRO', schema: avro('a') })
    const client = await admin.world.connect()
    const success = await client.producer('persistent://public/default/both', {
      schema: { name: '', type: 4, schemaData: Buffer.from(avro('a')), properties: [] } as never
    })
    expect(Buffer.from(success.schemaVersion).toString('hex')).toBe('0000000000000000')
    client.destroy()
  })
})

describe('brokers', () => {
  test('health is a message that came back', async () => {
    expect(await admin.call('GET', 'brokers/health')).toMatchObject({ status: 200, body: 'ok' })
    const [first, second] = await Promise.all([1, 2].map(() => admin.call('GET', 'brokers/health?topicVersion=V2')))
    expect([first?.status, second?.status]).toEqual([200, 200])
    const topics = (await admin.call('GET', 'broker-stats/topics')).body as Record<string, unknown>
    expect(JSON.stringify(topics)).toContain('"msgInCount":3')
    expect(JSON.stringify(topics)).not.toContain('"health-')
  })

  test('numbers of topics under their older names, by namespace, bundle and domain', async () => {
    const client = await admin.world.connect()
    const name = 'persistent://public/default/numbered'
    await client.producer(name, { producerName: 'p' })
    await client.subscribe(name, { subscription: 's', subType: 1 })
    client.publish({ sequenceId: 0n, text: 'x' })
    await client.next('sendReceipt')
    const { body } = await admin.call('GET', 'broker-stats/topics')
    const bundles = Object.values(
      (body as Record<string, Record<string, Record<string, object>>>)['public/default'] ?? {}
    )
    const domain = bundles.find(domains => Object.keys(domains.persistent ?? {}).includes(name))?.persistent
    const stats = (domain as Record<string, object> | undefined)?.[name]
    expect(stats).toMatchObject({
      producerCount: 1,
      msgInCount: 1,
      pendingAddEntriesCount: 0,
      filteredEntriesCount: 0,
      publishers: [{ producerName: 'p', producerId: 0 }],
      subscriptions: {
        s: {
          type: 'Shared',
          msgBacklog: 1,
          unackedMessages: 0,
          consumers: [{ availablePermits: 0, unackedMessages: 0 }]
        }
      }
    })
    expect(stats).not.toHaveProperty('ownerBroker')
    client.destroy()
  })

  test('health says why not', async () => {
    const broken = await AdminWorld.start({ enablePersistentTopics: false })
    const { status, body } = await broken.call('GET', 'brokers/health')
    expect(status).toBe(503)
    expect(JSON.stringify(body)).toContain('unable to load persistent topic')
    await broken.close()
  })

  test('what they are', async () => {
    const [broker] = (await admin.call('GET', 'brokers')).body as [string]
    expect((await admin.call('GET', 'brokers/standalone')).body).toEqual([broker])
    expect((await admin.call('GET', 'brokers/leaderBroker')).body).toEqual({
      brokerId: broker,
      serviceUrl: `http://${broker}`
    })
    expect((await admin.call('GET', 'brokers/ready')).body).toBe('ok')
    expect(await admin.call('GET', 'brokers/version')).toMatchObject({ status: 200 })
    expect((await admin.call('GET', 'brokers/configuration')).body).toContain('ttlDurationDefaultInSeconds')
    expect((await admin.call('GET', 'brokers/configuration/runtime')).body).toMatchObject({ clusterName: 'standalone' })
    expect((await admin.call('GET', 'brokers/internal-configuration')).status).toBe(200)
    expect((await admin.call('GET', `brokers/standalone/${broker}/ownedNamespaces`)).status).toBe(200)
  })

  test('every key that is listed changes while the broker runs, and no other does', async () => {
    const listed = (await admin.call('GET', 'brokers/configuration')).body as string[]
    const settings: Readonly<Record<string, unknown>> = { ...admin.world.settings }
    expect(listed.filter(key => !Object.hasOwn(settings, key))).toEqual([])
    const live = admin.world.settings as unknown as Readonly<Record<string, unknown>>
    for (const [key, before] of Object.entries(settings)) {
      const path = `brokers/configuration/${key}`
      if (!listed.includes(key)) {
        expect(await admin.told('POST', `${path}/1`), key).toBe("412 Can't update non-dynamic configuration")
        continue
      }
      let answer = ''
      for (const value of othersThan(before)) {
        if (answer !== '200') answer = await admin.told('POST', `${path}/${String(value)}`)
      }
      expect(answer, key).toBe('200')
      expect(live[key], key).not.toEqual(before)
      expect(await admin.told('DELETE', path), key).toBe('200')
      expect(live[key], key).toEqual(before)
    }
  })

  test('a setting changes at run time, is kept, and goes back', async () => {
    const key = 'ttlDurationDefaultInSeconds'
    const { settings } = admin.world
    expect(await admin.told('POST', `brokers/configuration/${key}/7`)).toBe('200')
    expect(settings[key]).toBe(7)
    expect((await admin.call('GET', 'brokers/configuration/values')).body).toEqual({ [key]: '7' })
    expect(await admin.told('POST', `brokers/configuration/${key}/many`)).toBe(`412 ${key} must be a number`)
    expect(await admin.told('POST', 'brokers/configuration/clusterName/x')).toBe(
      "412 Can't update non-dynamic configuration"
    )
    expect(await admin.told('POST', 'brokers/configuration/nope/a%2Fb')).toBe(
      "412 Can't update non-dynamic configuration"
    )
    expect(await admin.told('DELETE', `brokers/configuration/${key}`)).toBe('200')
    expect(settings[key]).toBe(0)
    expect((await admin.call('GET', 'brokers/configuration/values')).body).toEqual({})
  })

  test('lookup', async () => {
    const { broker } = admin.world.broker.ports
    expect((await admin.call('GET', '/lookup/v2/topic/persistent/public/default/ap')).body).toMatchObject({
      brokerUrl: `pulsar://127.0.0.1:${broker}`,
      nativeUrl: `pulsar://127.0.0.1:${broker}`,
      brokerUrlSsl: ''
    })
    // the range that Apache Pulsar 4.0.8 gives for the same name
    const bundle = await admin.call('GET', '/lookup/v2/topic/persistent/public/default/ap/bundle')
    expect(bundle.body).toBe('0xc0000000_0xffffffff')
    expect(await admin.told('GET', '/lookup/v2/topic/persistent/public/nope/x')).toBe('404 Namespace not found')
    expect(await admin.told('GET', '/lookup/v2/topic/persistent/public/default/x?listenerName=nope')).toBe(
      '500 the broker do not have nope listener'
    )
    admin.world.settings.allowAutoTopicCreation = false
    expect((await admin.call('GET', '/lookup/v2/topic/persistent/public/default/nowhere')).status).toBe(404)
    admin.world.settings.allowAutoTopicCreation = true
  })
})

describe('metrics and page', () => {
  test('Prometheus text, every metric once declared', async () => {
    await admin.publish('measured', ['a', 'b'])
    await admin.call('PUT', `${admin.topic('measured')}/subscription/s`, { ledgerId: -1, entryId: -1 })
    const { body, headers } = await admin.call('GET', '/metrics/')
    const text = body as string
    expect(headers['content-type']).toContain('text/plain')
    const labels = 'cluster="standalone",namespace="public/default",topic="persistent://public/default/measured"'
    expect(text).toContain(`pulsar_in_messages_total{${labels}} 2`)
    expect(text).toContain(`pulsar_subscription_back_log{${labels},subscription="s"} 2`)
    expect(text).toContain('process_resident_memory_bytes{cluster="standalone"}')
    const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(match => match[1])
    expect(new Set(types).size).toBe(types.length)
    for (const line of text.split('\n')) {
      expect(line).toMatch(/^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+|)$/)
    }
  })

  test('without topic metrics, namespaces are summed', async () => {
    admin.world.settings.exposeTopicLevelMetricsInPrometheus = false
    const text = (await admin.call('GET', '/metrics')).body as string
    expect(text).not.toContain(',topic="')
    expect(text).toMatch(/pulsar_topics_count\{cluster="standalone",namespace="public\/default"\} \d/)
    admin.world.settings.exposeTopicLevelMetricsInPrometheus = true
  })

  test('the page escapes what clients named', async () => {
    const evil = '<script>x'
    await admin.publish(evil, ['a'])
    const { body, headers } = await admin.call('GET', '/status.html')
    expect(headers['content-type']).toContain('text/html')
    expect(body).toContain('&lt;script&gt;x')
    expect(body).not.toContain(evil)
    expect(body).toContain('Connections')
    expect(body).toContain('OK')
  })
})

describe('the server', () => {
  test('paths and methods that do not exist', async () => {
    expect(await admin.told('GET', 'nope')).toBe('404')
    expect(await admin.told('GET', 'worker')).toBe('404')
    expect((await admin.call('POST', 'brokers/health')).headers.allow).toBe('GET')
    expect((await admin.call('GET', '/admin/v2/odd/public/default')).status).toBe(404)
    expect((await admin.call('GET', 'persistent/public/default/%ZZ/stats')).status).toBe(400)
  })

  test('an answer without a body has no type: the Java admin client would wait for one that it can read', async () => {
    const unset = await admin.call('GET', 'namespaces/public/default/compactionThreshold')
    expect(unset).toMatchObject({ status: 200, headers: { 'content-length': '0' } })
    expect(unset.headers).not.toHaveProperty('content-type')
  })

  test('names of headers keep their case on the wire', async () => {
    await admin.admin.start()
    await admin.publish('cased', ['x'])
    const names = await new Promise<string[]>((resolve, reject) => {
      const options = { port: admin.admin.port, path: `${admin.topic('cased')}/examinemessage` }
      const get = request(options, response => {
        response.resume()
        resolve(response.rawHeaders)
      })
      get.on('error', reject)
      get.end()
    })
    expect(names).toContain('X-Pulsar-PROPERTY')
    expect(names).toContain('X-Pulsar-Message-ID')
  })

  test('over a socket: a body without type or length, and a port that is told', async () => {
    expect(admin.admin.port).toBeGreaterThan(0)
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const options = { port: admin.admin.port, method: 'PUT', path: `${admin.topic('raw')}/partitions` }
      const put = request(options, response => {
        response.resume()
        resolve(response.statusCode)
      })
      put.on('error', reject)
      put.write('4')
      put.end()
    })
    expect(status).toBe(204)
    expect((await admin.call('GET', `${admin.topic('raw')}/partitions`)).body).toMatchObject({ partitions: 4 })
  })
})
