import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'
import type { BrokerSettings } from '../config/settings.ts'
import { TopicName } from '../namespace/topic-name.ts'
import type { BrokerMeters } from './broker-meters.ts'
import { SERIES_OF_TOPIC } from './topic-series.ts'
import { BROKER_METRICS, LOG_METRICS, SUBSCRIPTION_METRICS, TOPIC_METRICS } from './testing/dashboard-metrics.ts'
import { parseExposition, sampleOf, sumOf, type Sample } from './testing/exposition.ts'

let admin: AdminWorld

beforeEach(async () => {
  admin = await AdminWorld.start()
})

afterEach(async () => {
  await admin.close()
})

async function scrape(): Promise<readonly Sample[]> {
  const { status, body } = await admin.call('GET', '/metrics')
  assert.equal(status, 200)
  return parseExposition(String(body))
}

async function backlog(topic: string, texts: readonly string[]): Promise<void> {
  const made = await admin.call('PUT', `${admin.topic(topic)}/subscription/s`, { ledgerId: -1, entryId: -1 })
  assert.equal(made.status, 204)
  await admin.publish(topic, texts)
}

function set(settings: Partial<BrokerSettings>): void {
  Object.assign(admin.world.settings, settings)
}

const full = (topic: string): string => `persistent://public/default/${topic}`
const meters = (): BrokerMeters => admin.world.broker.meters

describe('what dashboards ask for', () => {
  test('is there, with the labels that they ask by', async () => {
    await backlog('t', ['a', 'bb', 'ccc'])
    meters().roll()
    const samples = await scrape()
    const labels = { cluster: 'standalone', namespace: 'public/default', topic: full('t') }
    for (const metric of TOPIC_METRICS) sampleOf(samples, metric, labels)
    for (const metric of SUBSCRIPTION_METRICS) sampleOf(samples, metric, { ...labels, subscription: 's' })
    for (const metric of LOG_METRICS) {
      sampleOf(samples, metric, { cluster: 'standalone', namespace: 'public/default' })
    }
    for (const metric of BROKER_METRICS) {
      assert.ok(
        samples.some(sample => sample.metric === metric && sample.labels.cluster === 'standalone'),
        `there is no ${metric}`
      )
    }
    sampleOf(samples, 'pulsar_topics_count', { cluster: 'standalone', namespace: 'public/default' })
    assert.equal(sampleOf(samples, 'pulsar_in_messages_total', labels), 3)
    assert.equal(sampleOf(samples, 'pulsar_subscription_back_log', { ...labels, subscription: 's' }), 3)
    assert.equal(sampleOf(samples, 'pulsar_msg_backlog', labels), 3)
    assert.equal(sampleOf(samples, 'pulsar_storage_write_latency_count', labels), 3)
    assert.equal(sampleOf(samples, 'pulsar_entry_size_le_128', labels), 3)
    assert.ok(sampleOf(samples, 'pulsar_storage_size', labels) > 0)
    assert.ok(sampleOf(samples, 'pulsar_broker_publish_latency', { quantile: '0.99' }) > 0)
  })

  test('without topics, namespaces are told as Pulsar tells them', async () => {
    set({ exposeTopicLevelMetricsInPrometheus: false })
    await backlog('t', ['a', 'b'])
    meters().roll()
    const samples = await scrape()
    assert.ok(samples.every(({ labels }) => labels.topic === undefined))
    const labels = { cluster: 'standalone', namespace: 'public/default' }
    for (const metric of TOPIC_METRICS) sampleOf(samples, metric, labels)
    assert.equal(sampleOf(samples, 'pulsar_msg_backlog', labels), 2)
    assert.equal(sampleOf(samples, 'pulsar_in_messages_total', labels), 2)
  })

  test('what is read at the tail comes from the cache of entries, and is told by the second', async () => {
    const rate = async (name: string): Promise<number> => sampleOf(await scrape(), `pulsar_ml_cache_${name}`)
    const client = await admin.world.connect()
    await client.subscribe(full('t'), { subscription: 's' })
    await admin.publish('t', ['a', 'bb'])
    client.send('flow', { consumerId: 0n, messagePermits: 10 })
    await client.next('message')
    await client.next('message')
    meters().cache.look()
    const [hits, bytes] = [await rate('hits_rate'), await rate('hits_throughput')]
    assert.ok(hits > 0 && bytes > hits, `${hits} entries, ${bytes} bytes a second`)
    assert.equal(await rate('misses_rate'), 0)
    assert.equal(await rate('inserted_entries_total'), 2)
    assert.ok((await rate('entries')) + (await rate('evicted_entries_total')) === 2)
    assert.equal(sampleOf(await scrape(), 'pulsar_ml_count'), 1)
  })

  test('what goes out moves the counters of its subscription, namespace, tenant and broker', async () => {
    await admin.publish('t', ['a', 'b'])
    const client = await admin.world.connect()
    await client.subscribe(full('t'), { subscription: 's', initialPosition: 1 })
    client.send('flow', { consumerId: 0n, messagePermits: 10 })
    await client.next('message')
    await client.next('message')
    const samples = await scrape()
    assert.equal(sampleOf(samples, 'pulsar_out_messages_total', { topic: full('t'), subscription: 's' }), 2)
    assert.equal(sampleOf(samples, 'strata_namespace_out_messages_total', { namespace: 'public/default' }), 2)
    assert.equal(sampleOf(samples, 'strata_tenant_out_messages_total', { tenant: 'public' }), 2)
    assert.equal(sampleOf(samples, 'pulsar_broker_out_messages_total'), 2)
    assert.ok(sampleOf(samples, 'pulsar_broker_out_bytes_total', { system_subscription: 'false' }) > 0)
    set({ exposeConsumerLevelMetricsInPrometheus: true })
    const more = await scrape()
    assert.equal(sampleOf(more, 'pulsar_consumer_available_permits', { consumer_id: '0' }), 8)
    client.destroy()
  })
})

describe('the budget', () => {
  test('what is not shown singly is one series a namespace, and sums stay what they are', async () => {
    for (const topic of ['a', 'b', 'c']) await backlog(topic, ['1', '2'])
    set({ strataMetricsTopicsMax: 1, strataMetricsTopicsBy: 'backlog' })
    await backlog('big', ['1', '2', '3'])
    const samples = await scrape()
    const shown = new Set(samples.flatMap(({ labels }) => labels.topic ?? []))
    assert.deepEqual([...shown], [full('big')])
    const labels = { namespace: 'public/default' }
    assert.equal(sumOf(samples, 'pulsar_msg_backlog', labels), 9)
    assert.equal(sumOf(samples, 'pulsar_subscriptions_count', labels), 4)
    assert.equal(sampleOf(samples, 'pulsar_topics_count', labels), 4)
    assert.equal(sumOf(samples, 'pulsar_in_messages_total', labels), 9)
    assert.equal(sampleOf(samples, 'strata_namespace_in_messages_total', labels), 9)
    assert.equal(sampleOf(samples, 'pulsar_broker_msg_backlog'), 9)
  })

  test('counters of the rest never fall, whichever topics are shown', async () => {
    set({ strataMetricsTopicsMax: 1, strataMetricsTopicsBy: 'backlog' })
    await backlog('a', ['1', '2'])
    await backlog('b', ['1'])
    const rest = (samples: readonly Sample[]): number =>
      samples.find(({ metric, labels }) => metric === 'pulsar_in_messages_total' && labels.topic === undefined)
        ?.value ?? 0
    const first = await scrape()
    assert.equal(rest(first), 1)
    await admin.publish('b', ['2', '3', '4'])
    const second = await scrape()
    assert.equal(sampleOf(second, 'pulsar_in_messages_total', { topic: full('b') }), 4)
    assert.equal(rest(second), 4) // three that came before it was shown
    await admin.publish('b', ['5'])
    await admin.publish('a', ['3'])
    assert.equal(rest(await scrape()), 5)
  })

  test('pinned topics are shown whatever they do, and series end with the budget', async () => {
    for (const topic of ['a', 'b', 'c']) await backlog(topic, ['1'])
    set({ strataMetricsTopicsMax: 0, strataMetricsPinnedTopics: full('b') })
    const shownIn = (samples: readonly Sample[]): string[] => [
      ...new Set(samples.flatMap(({ labels }) => labels.topic ?? []))
    ]
    assert.deepEqual(shownIn(await scrape()), [full('b')])
    set({ strataMetricsPinnedTopics: 'public/default/*' })
    assert.equal(shownIn(await scrape()).length, 3)
    set({ strataMetricsSeriesMax: 120 })
    const samples = await scrape()
    const singly = samples.filter(({ labels }) => labels.topic !== undefined)
    // a topic with its subscription, and one without
    assert.equal(singly.length, 2 * SERIES_OF_TOPIC + SUBSCRIPTION_METRICS.length + 1)
    assert.equal(shownIn(samples).length, 2)
    assert.equal(sumOf(samples, 'pulsar_msg_backlog', { namespace: 'public/default' }), 3)
  })

  test('totals outlast what they are of', async () => {
    await backlog('gone', ['a', 'b'])
    await admin.call('DELETE', `${admin.topic('gone')}?force=true`)
    const samples = await scrape()
    assert.equal(sampleOf(samples, 'strata_namespace_in_messages_total', { namespace: 'public/default' }), 2)
    assert.equal(sampleOf(samples, 'strata_namespace_topics_count', { namespace: 'public/default' }), 0)
  })
})

test('what is stored and not loaded is counted by the sweep', async () => {
  await backlog('kept', ['a', 'b'])
  await admin.world.broker.topics.unload(TopicName.parse(full('kept')))
  await admin.world.broker.sweeper.sweepLogs()
  const samples = await scrape()
  const labels = { namespace: 'public/default' }
  assert.equal(sampleOf(samples, 'strata_namespace_unloaded_topics_count', labels), 1)
  assert.ok(sampleOf(samples, 'strata_namespace_unloaded_storage_size', labels) > 0)
  const { body } = await admin.call('GET', 'broker-stats/metrics')
  const rows = body as { metrics: Record<string, number>; dimensions: Record<string, string> }[]
  const own = rows.find(({ dimensions }) => dimensions.namespace === 'public/default')?.metrics
  assert.equal(own?.brk_unloadedTopics, 1)
  assert.ok((own.brk_storedBytes ?? 0) > 0)
})
