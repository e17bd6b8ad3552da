import { strict as assert } from 'node:assert'
import { silentLogger, systemClock } from '@strata/base'
import { PulsarClient } from '@strata/client'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { payloadTextOf, type RawClient } from '../connection/testing/raw-client.ts'
import { BALANCE_METRICS, BUNDLE_METRICS, LOAD_METRICS } from '../metrics/testing/dashboard-metrics.ts'
import { parseExposition, sampleOf } from '../metrics/testing/exposition.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { createAdminServer } from './server.ts'
import { ClusterWorld, type Member } from './testing/cluster-world.ts'

const NAMESPACE = 'public/default'
const TOPIC = `persistent://${NAMESPACE}/t`
const T = `persistent/${NAMESPACE}`

let world: ClusterWorld
let a: Member
let b: Member

beforeEach(async () => {
  world = await ClusterWorld.start(2)
  const [first, second] = world.members
  assert(first !== undefined && second !== undefined)
  a = first
  b = second
})
afterEach(async () => {
  await world.close()
})

async function bundleOf(topic: string): Promise<string> {
  const { body } = await a.call('GET', `/lookup/v2/topic/${T}/${topic}/bundle`)
  assert(typeof body === 'string')
  return body
}

/** The topic is served by this one from now on. */
async function place(topic: string, to: Member): Promise<void> {
  await a.call('GET', `/lookup/v2/topic/${T}/${topic}`)
  const path = `namespaces/${NAMESPACE}/${await bundleOf(topic)}/unload?destinationBroker=${to.id}`
  const { status, body } = await a.call('PUT', path)
  assert.equal(status, 204, JSON.stringify(body))
}

async function lookUp(client: RawClient, topic: string): Promise<string> {
  const answer = await client.request('lookupTopic', { topic })
  assert(answer.case === 'lookupTopicResponse')
  assert.equal(answer.value.response, 1)
  return answer.value.brokerServiceUrl
}

/** Partitions 0, 1, …, spread over both. */
async function makePartitioned(name: string, count: number): Promise<void> {
  assert.equal((await a.call('PUT', `${T}/${name}/partitions`, { body: count })).status, 204)
  const bundles = new Set<string>()
  for (let index = 0; index < count; index++) bundles.add(await bundleOf(`${name}-partition-${index}`))
  for (const [index, bundle] of [...bundles].entries()) {
    await a.call('GET', `/lookup/v2/topic/${T}/${name}-partition-0`)
    const to = index % 2 === 0 ? a : b
    await a.call('POST', `namespaces/${NAMESPACE}/${bundle}/clearBacklog`)
    const { status } = await a.call('PUT', `namespaces/${NAMESPACE}/${bundle}/unload?destinationBroker=${to.id}`)
    assert.equal(status, 204)
  }
  assert(bundles.size > 1, 'the partitions are in several bundles')
}

describe('lookups', () => {
  test('both brokers name the owner, in both protocols, and so does its successor', async () => {
    const clients = [await a.connect(), await b.connect()]
    for (const owner of [b, a]) {
      await place('t', owner)
      for (const client of clients) assert.equal(await lookUp(client, TOPIC), owner.brokerUrl)
      for (const member of [a, b]) {
        const { body } = await member.call('GET', `/lookup/v2/topic/${T}/t`)
        assert.equal((body as { brokerUrl: string }).brokerUrl, owner.brokerUrl)
      }
    }
  })

  test('a producer and a consumer at the wrong broker are told to look the topic up', async () => {
    await place('t', b)
    const client = await a.connect()
    const refused = [
      await client.request('producer', { topic: TOPIC, producerId: 0n }),
      await client.request('subscribe', { topic: TOPIC, subscription: 's', subType: 0, consumerId: 0n })
    ]
    // ServiceNotReady, which every client tries again on the same connection
    for (const answer of refused)
      assert.deepEqual([answer.case, answer.case === 'error' && answer.value.error], ['error', 6])
  })
})

describe('a planned move', () => {
  test('answers what is in flight, keeps acknowledgements, and sends clients to the next owner', async () => {
    await place('t', a)
    const client = await a.connect()
    await client.producer(TOPIC)
    await client.subscribe(TOPIC)
    client.flow(10)
    for (let index = 0n; index < 3n; index++) client.publish({ sequenceId: index, text: `m${index}` })
    for (let index = 0; index < 3; index++) await client.next('sendReceipt')
    const [first] = [await client.nextMessage(), await client.nextMessage(), await client.nextMessage()]
    const { messageId } = first.message
    assert(messageId !== undefined)
    client.send('ack', { consumerId: 0n, ackType: 0, messageId: [messageId] })
    client.publish({ sequenceId: 3n, text: 'm3' })
    const moved = place('t', b)
    assert.equal((await client.next('sendReceipt')).sequenceId, 3n)
    const closed = [await client.next('closeProducer'), await client.next('closeConsumer')]
    for (const { assignedBrokerServiceUrl } of closed) assert.equal(assignedBrokerServiceUrl, b.brokerUrl)
    // it comes at once, perhaps before the other one has the topic: then it is held
    const next = await b.connect()
    await next.subscribe(TOPIC)
    next.flow(10)
    const texts = [await next.nextMessage(), await next.nextMessage(), await next.nextMessage()]
    assert.deepEqual(
      texts.map(({ headers }) => payloadTextOf(headers)),
      ['m1', 'm2', 'm3']
    )
    await moved
    assert.equal(a.broker.topics.find(TopicName.parse(TOPIC)), undefined)
  })

  test('to a broker that is not there is refused', async () => {
    await place('t', a)
    const path = `namespaces/${NAMESPACE}/${await bundleOf('t')}/unload?destinationBroker=nowhere:1`
    assert.equal((await b.call('PUT', path)).status, 409)
    assert.equal((await b.call('PUT', `namespaces/${NAMESPACE}/0x00000000_0x00000001/unload`)).status, 412)
  })

  test('of a whole namespace, from any broker', async () => {
    await place('t', a)
    const client = await a.connect()
    await client.producer(TOPIC)
    assert.equal((await b.call('PUT', `namespaces/${NAMESPACE}/unload`)).status, 204)
    await client.next('closeProducer')
  })

  test('one that stops hands over what it has', async () => {
    await place('t', a)
    const client = await a.connect()
    await client.producer(TOPIC)
    await a.broker.close()
    const { assignedBrokerServiceUrl } = await client.next('closeProducer')
    assert.equal(assignedBrokerServiceUrl, b.brokerUrl)
    await (await b.connect()).producer(TOPIC)
    assert.deepEqual((await b.call('GET', 'brokers/standalone')).body, [b.id])
  })

  test('one that is told by HTTP to shut down hands everything over first, at the pace that it is told', async () => {
    for (const topic of ['t', 'u', 'v', 'w']) await place(topic, a)
    const client = await b.connect()
    let heldAtEnd: number | undefined
    const admin = createAdminServer({
      ...{ broker: a.broker, clock: systemClock, logger: silentLogger },
      shutDown: () => (heldAtEnd = a.broker.homes.ownership.held().length)
    })
    const held = a.broker.homes.ownership.held().length
    assert(held > 1)
    const perSecond = 20
    const sinceMs = performance.now()
    const url = `/admin/v2/brokers/shutdown?maxConcurrentUnloadPerSec=${perSecond}&forcedTerminateTopic=true`
    const { statusCode } = await admin.inject({ method: 'POST', url })
    assert.equal(statusCode, 204)
    // timers may come a millisecond early each
    assert(performance.now() - sinceMs >= (held - 1) * (1000 / perSecond - 1))
    assert.equal(heldAtEnd, 0)
    assert.equal(await lookUp(client, TOPIC), b.brokerUrl)
    await admin.close()
  })
})

describe('the admin API', () => {
  test('sends to the owner of a topic, keeping the query', async () => {
    await place('t', b)
    assert.equal((await a.call('PUT', `${T}/t`)).status, 204)
    const { status, location } = await a.call('GET', `${T}/t/stats?getPreciseBacklog=true`, { redirect: 'manual' })
    assert.equal(status, 307)
    assert.equal(location, `http://${b.id}/admin/v2/${T}/t/stats?getPreciseBacklog=true&authoritative=true`)
    const { body } = await a.call('GET', `${T}/t/stats`)
    assert.equal((body as { ownerBroker: string }).ownerBroker, b.id)
    assert.equal((await a.call('GET', `${T}/nowhere/stats`)).status, 404)
    assert.equal((await a.call('GET', 'persistent/public/nowhere/t/stats')).status, 404)
    assert.equal((await b.call('DELETE', `${T}/t`)).status, 204)
  })

  test('asks the brokers of all partitions', async () => {
    await makePartitioned('p', 6)
    assert.equal((await a.call('PUT', `${T}/p/subscription/s`)).status, 204)
    assert.equal((await b.call('PUT', `${T}/p/subscription/s`)).status, 409)
    assert.deepEqual((await b.call('GET', `${T}/p/subscriptions`)).body, ['s'])
    assert.equal((await a.call('PUT', `${T}/p/subscription/s/properties`, { body: { k: 'v' } })).status, 204)
    assert.deepEqual((await b.call('GET', `${T}/p/subscription/s/properties`)).body, { k: 'v' })
    assert.equal((await a.call('POST', `${T}/p/partitions`, { body: 8 })).status, 204)
    const { body } = await b.call('GET', `${T}/p/partitioned-stats`)
    const stats = body as { partitions: Record<string, { ownerBroker: string; subscriptions: object }> }
    const parts = Object.values(stats.partitions)
    assert.equal(parts.length, 8)
    assert.deepEqual(new Set(parts.map(({ ownerBroker }) => ownerBroker)), new Set([a.id, b.id]))
    for (const { subscriptions } of parts) assert.deepEqual(Object.keys(subscriptions), ['s'])
    assert.equal((await a.call('POST', `${T}/p/subscription/s/skip_all`)).status, 204)
    // nothing is left to expire
    assert.equal((await a.call('POST', `${T}/p/subscription/s/expireMessages/0`)).status, 409)
    assert.equal((await b.call('DELETE', `${T}/p/subscription/s`)).status, 204)
    assert.equal((await a.call('DELETE', `${T}/p/subscription/s`)).status, 404)
    assert.equal((await a.call('PUT', `${T}/p/unload`)).status, 204)
    const ends = (await b.call('POST', `${T}/p/terminate/partitions`)).body as object
    assert.deepEqual(Object.keys(ends), ['0', '1', '2', '3', '4', '5', '6', '7'])
  })

  test('statistics leave out a partition whose broker does not answer, and name it', async () => {
    await makePartitioned('p', 6)
    await b.admin.close()
    const { status, body } = await a.call('GET', `${T}/p/partitioned-stats`)
    const { partitions, failures } = body as { partitions: object; failures: Record<string, string> }
    assert.equal(status, 200)
    assert.equal(Object.keys(partitions).length + Object.keys(failures).length, 6)
    assert(Object.keys(failures).length > 0)
    for (const reason of Object.values(failures)) assert(reason.startsWith(`${b.id} does not answer`), reason)
    const truncated = await a.call('DELETE', `${T}/p/truncate`)
    assert.equal(truncated.status, 500)
    assert.match(
      (truncated.body as { reason: string }).reason,
      /-partition-\d: .* does not answer.*\(done for \d of 6\)/
    )
  })

  test('deletes a topic wherever its partitions are; nothing is left', async () => {
    await makePartitioned('p', 6)
    const inUse = await b.connect()
    for (let index = 0; index < 6; index++) {
      const member = (await lookUp(inUse, `${TOPIC.replace(/t$/, 'p')}-partition-${index}`)) === a.brokerUrl ? a : b
      const client = await member.connect()
      await client.producer(`persistent://${NAMESPACE}/p-partition-${index}`)
      client.publish({ text: 'kept until it is deleted' })
      await client.next('sendReceipt')
      if (index < 5) await client.request('closeProducer', { producerId: 0n })
    }
    for (const member of [a, b]) assert.equal((await member.call('DELETE', `${T}/p/partitions`)).status, 412)
    assert.equal((await a.call('GET', `${T}/p/partitioned-stats`)).status, 200)
    assert.equal((await b.call('DELETE', `${T}/p/partitions?force=true`)).status, 204)
    const left: string[] = []
    for (const prefix of ['logs/', 'topics/', 'topic-deletions/', 'ledgers/']) {
      const { records } = await world.metadata.scan({ prefix, keysOnly: true })
      left.push(...records.map(({ key }) => key).filter(key => key.includes('default')))
    }
    assert.deepEqual(left, [])
  })

  test('clears and unsubscribes across a namespace', async () => {
    await makePartitioned('p', 6)
    assert.equal((await a.call('PUT', `${T}/p/subscription/s`)).status, 204)
    assert.equal((await b.call('POST', `namespaces/${NAMESPACE}/clearBacklog`)).status, 204)
    assert.equal((await b.call('POST', `namespaces/${NAMESPACE}/unsubscribe/s`)).status, 204)
    assert.deepEqual((await a.call('GET', `${T}/p/subscriptions`)).body, [])
  })

  test('divides bundles, evenly, by their topics and where it is told', async () => {
    for (let index = 0; index < 8; index++) assert.equal((await a.call('PUT', `${T}/s${index}`)).status, 204)
    const boundaries = async (): Promise<string[]> => {
      const { body } = await b.call('GET', `namespaces/${NAMESPACE}/bundles`)
      return (body as { boundaries: string[] }).boundaries
    }
    const split = async (bundle: string, query: string, body?: unknown): Promise<number> =>
      (await b.call('PUT', `namespaces/${NAMESPACE}/${bundle}/split?${query}`, body === undefined ? {} : { body }))
        .status
    assert.equal(await split('0x00000000_0x40000000', 'splitAlgorithmName=nope'), 412)
    assert.equal(await split('0x00000000_0x40000000', ''), 204)
    assert.deepEqual((await boundaries()).slice(0, 3), ['0x00000000', '0x20000000', '0x40000000'])
    const divide = 'splitAlgorithmName=specified_positions_divide'
    assert.equal(await split('0x40000000_0x80000000', divide, [0x50000000, 0x60000000, 7]), 204)
    assert.deepEqual((await boundaries()).slice(2, 6), ['0x40000000', '0x50000000', '0x60000000', '0x80000000'])
    const byTopics = await a.call('GET', `namespaces/${NAMESPACE}/0x80000000_0xc0000000/topicHashPositions`)
    const { topicHashPositions } = byTopics.body as { topicHashPositions: Record<string, number> }
    const before = (await boundaries()).length
    assert.equal(await split('0x80000000_0xc0000000', 'splitAlgorithmName=topic_count_equally_divide&unload=true'), 204)
    const isDivided = Object.keys(topicHashPositions).length > 1
    assert.equal((await boundaries()).length, isDivided ? before + 1 : before)
    for (let index = 0; index < 8; index++) assert.equal((await b.call('GET', `${T}/s${index}/stats`)).status, 200)
    const range = '0x40000000_0x50000000'
    const there = (await a.call('GET', `namespaces/${NAMESPACE}/${range}/topicHashPositions`)).body
    const isEmpty = Object.keys((there as { topicHashPositions: object }).topicHashPositions).length === 0
    assert.equal((await b.call('DELETE', `namespaces/${NAMESPACE}/${range}`)).status, isEmpty ? 204 : 409)
  })

  test('a broker tells its load in the shape of Pulsar’s', async () => {
    assert.equal((await a.call('PUT', `${T}/loaded`)).status, 204)
    await place('loaded', b)
    assert.equal((await b.call('GET', `${T}/loaded/stats`)).status, 200)
    const { status, body } = await b.call('GET', 'broker-stats/load-report')
    assert.equal(status, 200)
    const report = body as Record<string, unknown>
    assert.equal(report.loadReportType, 'LocalBrokerData')
    assert.equal(report.numProducers, 0)
    assert.deepEqual(Object.keys(report.lastStats as object), report.bundles)
    assert((report.bundles as string[]).some(bundle => bundle.startsWith(`${NAMESPACE}/0x`)))
  })

  test('a broker tells its load and that of its bundles by the names that dashboards ask for', async () => {
    assert.equal((await a.call('PUT', `${T}/loaded`)).status, 204)
    await place('loaded', b)
    const client = await b.connect()
    await client.producer(`persistent://${NAMESPACE}/loaded`)
    const { body } = await b.call('GET', '/metrics')
    const samples = parseExposition(String(body))
    const of = { broker: b.id }
    for (const metric of LOAD_METRICS) sampleOf(samples, metric, { ...of, metric: 'loadBalancing' })
    for (const metric of BALANCE_METRICS) sampleOf(samples, metric)
    const bundle = `${NAMESPACE}/${await bundleOf('loaded')}`
    for (const metric of BUNDLE_METRICS) sampleOf(samples, metric, { ...of, bundle, metric: 'bundle' })
    assert.equal(sampleOf(samples, 'pulsar_bundle_topics_count', { bundle }), 1)
    assert.equal(sampleOf(samples, 'pulsar_bundle_producer_count', { bundle }), 1)
    assert.equal(sampleOf(samples, 'pulsar_bundle_consumer_count', { bundle }), 0)
  })

  test('a bundle that nobody serves has nothing that could go', async () => {
    assert.equal((await a.call('PUT', 'namespaces/public/unserved')).status, 204)
    const { status, body } = await a.call('DELETE', 'namespaces/public/unserved/0x00000000_0x40000000')
    assert.equal(status, 412)
    const unit = 'public/unserved/0x00000000_0x40000000'
    assert.deepEqual(body, { reason: `Failed to find ownership for ServiceUnit:${unit}` })
  })

  test('a namespace that was divided, deleted and made again is divided as a new one', async () => {
    assert.equal((await a.call('PUT', 'namespaces/public/again')).status, 204)
    assert.equal((await b.call('PUT', 'namespaces/public/again/0x00000000_0x40000000/split')).status, 204)
    const count = async (member: Member): Promise<unknown> =>
      ((await member.call('GET', 'namespaces/public/again/bundles')).body as { numBundles: unknown }).numBundles
    assert.deepEqual([await count(a), await count(b)], [5, 5])
    assert.equal((await a.call('DELETE', 'namespaces/public/again')).status, 204)
    assert.equal((await b.call('PUT', 'namespaces/public/again')).status, 204)
    assert.deepEqual([await count(a), await count(b)], [4, 4])
  })

  test('says who there is, who leads, who has what, and why', async () => {
    await place('t', b)
    await a.call('PUT', `${T}/t`)
    for (const member of [a, b]) {
      assert.deepEqual((await member.call('GET', 'brokers/standalone')).body, [a.id, b.id].sort())
      const { body } = await member.call('GET', `brokers/standalone/${b.id}/ownedNamespaces`)
      assert(`${NAMESPACE}/${await bundleOf('t')}` in (body as object))
      assert.equal((await member.call('GET', 'brokers/health')).body, 'ok')
      assert.equal((await member.call('GET', 'brokers/ready')).body, 'ok')
      for (const what of ['metadata', 'storage']) {
        assert.deepEqual((await member.call('GET', `brokers/internal/reaches-${what}`)).body, { reaches: true })
      }
    }
    const leaders = await Promise.all([a, b].map(member => member.call('GET', 'brokers/leaderBroker')))
    assert.deepEqual(leaders[0]?.body, leaders[1]?.body)
    const why = (await a.call('GET', `${T}/t/why`)).body as { state: string; owner: string; reasons: string[] }
    assert.deepEqual([why.state, why.owner], ['owned', b.id])
    assert(why.reasons.length > 0)
    const metrics = String((await b.call('GET', '/metrics')).body)
    for (const series of ['strata_bundles_held', 'strata_brokers', 'strata_broker_has_lease', 'strata_broker_ready']) {
      assert.match(metrics, new RegExp(`^${series}\\{cluster="standalone"\\} [1-9]`, 'm'))
    }
  })
})

describe('messages that are sent over HTTP', () => {
  interface Ack {
    readonly messageId: string
    readonly errorCode: number
    readonly errorMsg?: string
  }

  async function send(member: Member, topic: string, payloads: readonly string[]): Promise<readonly Ack[]> {
    const body = { messages: payloads.map(payload => ({ payload })) }
    const answer = await member.call('POST', `/topics/${T}/${topic}`, { body })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return (answer.body as { messagePublishResults: Ack[] }).messagePublishResults
  }

  async function received(topic: string, count: number): Promise<readonly string[]> {
    const client = new PulsarClient({ serviceUrl: a.brokerUrl })
    try {
      const consumer = await client.subscribe({ topic, subscription: 's', initialPosition: 'earliest' })
      const texts: string[] = []
      while (texts.length < count) {
        const message = await consumer.receive(10_000)
        texts.push(message.text)
        await consumer.acknowledge(message)
      }
      await consumer.close()
      return texts.sort()
    } finally {
      await client.close()
    }
  }

  test('go to the broker that serves the topic, whichever was asked, also once it is served elsewhere', async () => {
    assert.equal((await a.call('PUT', `${T}/sent`)).status, 204)
    for (const owner of [b, a]) {
      await place('sent', owner)
      for (const member of [a, b]) {
        const [ack, ...more] = await send(member, 'sent', [`by ${member.id}`])
        assert.deepEqual([ack?.errorCode, ack?.errorMsg, more], [0, undefined, []])
      }
      assert.deepEqual(await received('sent', 2), [`by ${a.id}`, `by ${b.id}`].sort())
    }
  })

  test('to partitions of both brokers', async () => {
    await makePartitioned('spread', 4)
    const payloads = Array.from({ length: 8 }, (_, index) => `m${index}`)
    const acks = await send(a, 'spread', payloads)
    assert.deepEqual(
      acks.map(({ errorCode }) => errorCode),
      payloads.map(() => 0)
    )
    const partitions = new Set(acks.map(({ messageId }) => messageId.split(':').at(-1)))
    assert.deepEqual([...partitions].sort(), ['0', '1', '2', '3'])
    assert.deepEqual(await received('spread', 8), payloads)
  })
})
