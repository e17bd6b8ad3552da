// The admin API by plain HTTP: status codes, reasons, bodies.
import { strict as assert } from 'node:assert'
import { topicPath } from '../http.ts'
import { eventually, numbered, type Context, type Row } from '../row.ts'

function row(name: string, proves: string, run: (c: Context) => Promise<void>): Row {
  return { name: `admin-${name}`, proves, feature: 'admin', once: true, run }
}

/** A topic with a subscription `s` at the beginning and `m-0` … `m-(count-1)` in it, one entry each. */
async function filled(c: Context, count: number): Promise<string> {
  const topic = c.topic()
  const client = await c.client()
  await (await client.consumer(topic, 's')).close()
  await (await client.producer(topic)).sendMany(numbered('m', count).map(data => ({ data, properties: { at: data } })))
  return topicPath(topic)
}

const asTopic = (path: string): string => path.replace('/', '://')
const backlog = async (c: Context, path: string, name = 's'): Promise<number> =>
  (await c.admin.subscription(asTopic(path), name)).msgBacklog

const placeRows: Row[] = [
  row('clusters', 'the cluster names itself, and an unknown one is 404', async c => {
    const clusters = await c.admin.get<string[]>('clusters')
    assert(clusters.length >= 1)
    const own = clusters.find(name => name !== 'global')
    const { brokerServiceUrl } = await c.admin.get<{ brokerServiceUrl: string }>(`clusters/${own}`)
    assert.match(brokerServiceUrl, /^pulsar:\/\//)
    await c.admin.refused(404, /cluster.*(not exist|not found)/i, 'GET', `clusters/${c.unique()}`)
  }),
  row('tenants', 'tenants: create 204, again 409, get, list, delete 204, then 404', async c => {
    const tenant = c.unique()
    const [cluster] = (await c.admin.get<string[]>('clusters')).filter(name => name !== 'global')
    const info = { adminRoles: ['boss'], allowedClusters: [cluster] }
    await c.admin.expect(204, 'PUT', `tenants/${tenant}`, info)
    await c.admin.refused(409, /already exist/i, 'PUT', `tenants/${tenant}`, info)
    assert((await c.admin.get<string[]>('tenants')).includes(tenant))
    const read = await c.admin.get<typeof info>(`tenants/${tenant}`)
    assert.deepEqual([read.adminRoles, read.allowedClusters], [['boss'], [cluster]])
    await c.admin.expect(204, 'DELETE', `tenants/${tenant}`)
    await c.admin.refused(404, /tenant.*(not exist|not found|doesn't exist)/i, 'GET', `tenants/${tenant}`)
    await c.admin.refused(404, /tenant.*(not exist|not found|doesn't exist)/i, 'DELETE', `tenants/${tenant}`)
  }),
  row('tenant-of-unknown-cluster', 'a tenant with a cluster that does not exist is refused with 412', async c => {
    const info = { adminRoles: [], allowedClusters: [c.unique()] }
    await c.admin.refused(412, /cluster/i, 'PUT', `tenants/${c.unique()}`, info)
  }),
  row('tenant-not-empty', 'a tenant with a namespace is not deleted: 409', async c => {
    const tenant = c.unique()
    const clusters = (await c.admin.get<string[]>('clusters')).filter(name => name !== 'global')
    await c.admin.expect(204, 'PUT', `tenants/${tenant}`, { adminRoles: [], allowedClusters: clusters })
    await c.admin.expect(204, 'PUT', `namespaces/${tenant}/n`)
    await c.admin.refused(409, /namespace/i, 'DELETE', `tenants/${tenant}`)
    await c.admin.expect(204, 'DELETE', `namespaces/${tenant}/n`)
    await c.admin.expect(204, 'DELETE', `tenants/${tenant}`)
  }),
  row('namespaces', 'namespaces: create 204, again 409, list, policies, delete 204, then 404', async c => {
    const name = `public/${c.unique()}`
    await c.admin.expect(204, 'PUT', `namespaces/${name}`)
    await c.admin.refused(409, /already exists/i, 'PUT', `namespaces/${name}`)
    const list = await c.admin.get<string[]>('namespaces/public')
    assert(list.includes(name) && list.includes('public/default'))
    const policies = await c.admin.get<{ replication_clusters: string[]; bundles: { numBundles: number } }>(
      `namespaces/${name}`
    )
    assert(policies.replication_clusters.length === 1 && policies.bundles.numBundles >= 1)
    assert.deepEqual(await c.admin.get(`namespaces/${name}/topics`), [])
    await c.admin.expect(204, 'DELETE', `namespaces/${name}`)
    await c.admin.refused(404, /namespace.*not (exist|found)/i, 'GET', `namespaces/${name}`)
    await c.admin.refused(404, /namespace.*not (exist|found)/i, 'GET', `namespaces/${name}/topics`)
  }),
  row('namespace-refusals', 'a namespace of an unknown tenant is 404, one with a bad name 412', async c => {
    await c.admin.refused(404, /tenant.*(not exist|not found|doesn't exist)/i, 'PUT', `namespaces/${c.unique()}/n`)
    await c.admin.refused(404, /tenant.*(not exist|not found|doesn't exist)/i, 'GET', `namespaces/${c.unique()}`)
    await c.admin.refused(412, /name/i, 'PUT', 'namespaces/public/a%20b')
  }),
  row('namespace-not-empty', 'a namespace with a topic is not deleted: 409', async c => {
    const name = await c.namespace()
    await c.admin.expect(204, 'PUT', `persistent/${name}/t`)
    await c.admin.refused(409, /non empty/i, 'DELETE', `namespaces/${name}`)
    await c.admin.expect(204, 'DELETE', `persistent/${name}/t`)
    await c.admin.expect(204, 'DELETE', `namespaces/${name}`)
  }),
  row('namespace-unload', 'unloading a namespace lets its topics be used again', async c => {
    const name = await c.namespace()
    const topic = `persistent://${name}/t`
    const client = await c.client()
    const consumer = await client.consumer(topic, 's')
    const producer = await client.producer(topic)
    await producer.send('before')
    await c.admin.expect(204, 'PUT', `namespaces/${name}/unload`)
    await producer.send('after')
    const texts = new Set((await consumer.drain(3_000)).map(({ text }) => text))
    assert.deepEqual([...texts], ['before', 'after'])
  }),
  row('retention-and-ttl', 'a namespace’s retention and message TTL are kept and read back', async c => {
    const name = await c.namespace()
    const retention = { retentionTimeInMinutes: 60, retentionSizeInMB: 100 }
    await c.admin.request('POST', `namespaces/${name}/retention`, retention)
    assert.deepEqual(await c.admin.get(`namespaces/${name}/retention`), retention)
    await c.admin.expect(204, 'POST', `namespaces/${name}/messageTTL`, 3600)
    assert.equal(await c.admin.get(`namespaces/${name}/messageTTL`), 3600)
  })
]

const topicRows: Row[] = [
  row('topics', 'topics: create 204, again 409, list, delete 204, then 404', async c => {
    const name = await c.namespace()
    const path = `persistent/${name}/t`
    await c.admin.expect(204, 'PUT', path)
    await c.admin.refused(409, /already exists/i, 'PUT', path)
    assert.deepEqual(await c.admin.get(`persistent/${name}`), [asTopic(path)])
    assert.deepEqual(await c.admin.get(`namespaces/${name}/topics`), [asTopic(path)])
    await c.admin.expect(204, 'DELETE', path)
    assert.deepEqual(await c.admin.get(`persistent/${name}`), [])
    await c.admin.refused(404, /not found/i, 'DELETE', path)
  }),
  row('topic-in-no-namespace', 'a topic in a namespace that does not exist is 404', async c => {
    await c.admin.refused(404, /namespace.*not (exist|found)/i, 'PUT', `persistent/public/${c.unique()}/t`)
    await c.admin.refused(404, /namespace.*not (exist|found)/i, 'GET', `persistent/public/${c.unique()}`)
  }),
  row(
    'partitioned',
    'partitioned topics: create, again 409, metadata, partitions listed, grow, shrink refused, delete',
    async c => {
      const name = await c.namespace()
      const path = `persistent/${name}/p`
      await c.admin.expect(204, 'PUT', `${path}/partitions`, 2)
      await c.admin.refused(409, /already exists/i, 'PUT', `${path}/partitions`, 2)
      await c.admin.refused(409, /already exists/i, 'PUT', path)
      assert.equal((await c.admin.get<{ partitions: number }>(`${path}/partitions`)).partitions, 2)
      assert.deepEqual(await c.admin.get(`persistent/${name}/partitioned`), [asTopic(path)])
      const partitions = [0, 1].map(index => `${asTopic(path)}-partition-${index}`)
      assert.deepEqual((await c.admin.get<string[]>(`persistent/${name}`)).sort(), partitions)
      await c.admin.expect(204, 'POST', `${path}/partitions`, 4)
      assert.equal((await c.admin.get<{ partitions: number }>(`${path}/partitions`)).partitions, 4)
      const fewer = await c.admin.request('POST', `${path}/partitions`, 3)
      assert([409, 422].includes(fewer.status), fewer.text)
      await c.admin.expect(204, 'DELETE', `${path}/partitions`)
      assert.deepEqual(await c.admin.get(`persistent/${name}`), [])
      await c.admin.refused(404, /not found/i, 'DELETE', `${path}/partitions`)
    }
  ),
  row(
    'partitions-refusals',
    'no partitions at all is 406; a plain topic has 0; one that is not partitioned cannot grow: 409',
    async c => {
      const name = await c.namespace()
      await c.admin.refused(406, /partition/i, 'PUT', `persistent/${name}/p/partitions`, 0)
      await c.admin.expect(204, 'PUT', `persistent/${name}/t`)
      assert.equal((await c.admin.get<{ partitions: number }>(`persistent/${name}/t/partitions`)).partitions, 0)
      await c.admin.refused(409, /not the partitioned topic/i, 'POST', `persistent/${name}/none/partitions`, 3)
    }
  ),
  row('stats', 'stats count messages, bytes, producers and subscriptions; an unknown topic is 404', async c => {
    const path = await filled(c, 5)
    const stats = await c.admin.stats(asTopic(path))
    assert.equal(stats.msgInCounter, 5)
    assert(stats.storageSize > 0 && stats.publishers.length === 1)
    assert.deepEqual([stats.subscriptions.s?.msgBacklog, stats.subscriptions.s?.consumers], [5, []])
    await c.admin.refused(404, /not found/i, 'GET', `persistent/public/default/${c.unique()}/stats`)
  }),
  row('partitioned-stats', 'partitioned stats are the sum of the partitions’', async c => {
    const topic = c.topic()
    const path = topicPath(topic)
    await c.admin.expect(204, 'PUT', `${path}/partitions`, 2)
    const client = await c.client()
    await (await client.consumer(topic, 's')).close()
    await (await client.producer(topic)).sendMany(numbered('m', 8).map(data => ({ data, key: data })))
    interface Sum {
      msgInCounter: number
      metadata: { partitions: number }
      subscriptions: { s: { msgBacklog: number } }
      partitions: Record<string, { msgInCounter: number }>
    }
    const sum = await c.admin.get<Sum>(`${path}/partitioned-stats?perPartition=true`)
    assert.deepEqual([sum.msgInCounter, sum.metadata.partitions, sum.subscriptions.s.msgBacklog], [8, 2, 8])
    assert.deepEqual(Object.keys(sum.partitions).sort(), [`${topic}-partition-0`, `${topic}-partition-1`])
    await c.admin.refused(404, /not found/i, 'GET', `persistent/public/default/${c.unique()}/partitioned-stats`)
  }),
  row('internal-stats', 'internal stats show ledgers, entries and cursors', async c => {
    const path = await filled(c, 5)
    interface Internal {
      entriesAddedCounter: number
      numberOfEntries: number
      totalSize: number
      lastConfirmedEntry: string
      state: string
      ledgers: { ledgerId: number }[]
      cursors: { s: { markDeletePosition: string } }
    }
    const internal = await c.admin.get<Internal>(`${path}/internalStats`)
    assert.deepEqual([internal.entriesAddedCounter, internal.numberOfEntries], [5, 5])
    assert(internal.totalSize > 0 && internal.ledgers.length >= 1)
    assert.equal(internal.lastConfirmedEntry, `${internal.ledgers.at(-1)?.ledgerId}:4`)
    assert.match(internal.cursors.s.markDeletePosition, /:-1$/)
  }),
  row('last-message-id', 'the last message id by HTTP', async c => {
    const path = await filled(c, 3)
    const last = await c.admin.get<{ ledgerId: number; entryId: number; partitionIndex: number }>(
      `${path}/lastMessageId`
    )
    assert(last.ledgerId >= 0)
    assert.deepEqual([last.entryId, last.partitionIndex], [2, -1])
    await c.admin.refused(404, /not found/i, 'GET', `persistent/public/default/${c.unique()}/lastMessageId`)
  }),
  row('peek', 'peeking shows a message of the backlog without taking it; past the end is 404', async c => {
    const path = await filled(c, 3)
    const second = await c.admin.expect(200, 'GET', `${path}/subscription/s/position/2`)
    assert.equal(second.text, 'm-1')
    assert.match(second.headers.get('x-pulsar-message-id') ?? '', /^\d+:1$/)
    assert.deepEqual(JSON.parse(second.headers.get('x-pulsar-property') ?? ''), { at: 'm-1' })
    assert.equal(await backlog(c, path), 3)
    await c.admin.expect(404, 'GET', `${path}/subscription/s/position/9`)
  }),
  row('examine', 'examining counts from either end of the log', async c => {
    const path = await filled(c, 4)
    const from = async (query: string): Promise<string> =>
      (await c.admin.expect(200, 'GET', `${path}/examinemessage?${query}`)).text
    assert.equal(await from('initialPosition=earliest&messagePosition=2'), 'm-1')
    assert.equal(await from('initialPosition=latest&messagePosition=1'), 'm-3')
  }),
  row('unload', 'unloading an unknown topic is 404', async c => {
    await c.admin.refused(404, /not found/i, 'PUT', `persistent/public/default/${c.unique()}/unload`)
  }),
  row('terminate', 'terminating an unknown topic is 404, a partitioned one 405', async c => {
    await c.admin.refused(404, /not found/i, 'POST', `persistent/public/default/${c.unique()}/terminate`)
    const path = topicPath(c.topic())
    await c.admin.expect(204, 'PUT', `${path}/partitions`, 2)
    await c.admin.refused(405, /partitioned/i, 'POST', `${path}/terminate`)
  })
]

const subscriptionRows: Row[] = [
  row(
    'subscription-create',
    'a subscription is created at the latest or the earliest, listed, and refused twice with 409',
    async c => {
      const path = await filled(c, 3)
      await c.admin.expect(204, 'PUT', `${path}/subscription/late`)
      await c.admin.expect(204, 'PUT', `${path}/subscription/early`, { ledgerId: -1, entryId: -1, partitionIndex: -1 })
      await c.admin.refused(409, /already exists/i, 'PUT', `${path}/subscription/late`)
      assert.deepEqual((await c.admin.get<string[]>(`${path}/subscriptions`)).sort(), ['early', 'late', 's'])
      assert.deepEqual([await backlog(c, path, 'late'), await backlog(c, path, 'early')], [0, 3])
    }
  ),
  row('subscription-delete', 'a subscription is deleted; in use it is 412, unknown 404', async c => {
    const path = await filled(c, 1)
    await c.admin.expect(204, 'DELETE', `${path}/subscription/s`)
    await c.admin.refused(404, /subscription.*not found/i, 'DELETE', `${path}/subscription/s`)
    const client = await c.client()
    await client.consumer(asTopic(path), 'used')
    await c.admin.refused(412, /active/i, 'DELETE', `${path}/subscription/used`)
    assert.deepEqual(await c.admin.get(`${path}/subscriptions`), ['used'])
  }),
  row('subscription-of-partitioned', 'a subscription of a partitioned topic is one of every partition', async c => {
    const path = topicPath(c.topic())
    await c.admin.expect(204, 'PUT', `${path}/partitions`, 2)
    await c.admin.expect(204, 'PUT', `${path}/subscription/s`)
    for (const index of [0, 1]) assert.deepEqual(await c.admin.get(`${path}-partition-${index}/subscriptions`), ['s'])
    await c.admin.expect(204, 'DELETE', `${path}/subscription/s`)
    assert.deepEqual(await c.admin.get(`${path}-partition-1/subscriptions`), [])
  }),
  row('skip', 'skip takes messages off the front, skip_all all; an unknown subscription is 404', async c => {
    const path = await filled(c, 10)
    await c.admin.expect(204, 'POST', `${path}/subscription/s/skip/3`)
    assert.equal(await backlog(c, path), 7)
    assert.equal((await c.admin.expect(200, 'GET', `${path}/subscription/s/position/1`)).text, 'm-3')
    await c.admin.expect(204, 'POST', `${path}/subscription/s/skip_all`)
    assert.equal(await backlog(c, path), 0)
    await c.admin.refused(404, /subscription.*not found/i, 'POST', `${path}/subscription/none/skip_all`)
    await c.admin.refused(404, /subscription.*not found/i, 'POST', `${path}/subscription/none/skip/1`)
  }),
  row('reset-by-time', 'resetting a cursor to a time brings back what was published since', async c => {
    const path = await filled(c, 5)
    await c.admin.expect(204, 'POST', `${path}/subscription/s/skip_all`)
    await c.admin.expect(204, 'POST', `${path}/subscription/s/resetcursor/${Date.now() - 3_600_000}`)
    assert.equal(await backlog(c, path), 5)
    await c.admin.refused(404, /subscription.*not found/i, 'POST', `${path}/subscription/none/resetcursor/0`)
  }),
  row('reset-by-id', 'resetting a cursor to an id starts with that message, or behind it', async c => {
    const path = await filled(c, 5)
    const { ledgerId } = await c.admin.get<{ ledgerId: number }>(`${path}/lastMessageId`)
    const id = { ledgerId, entryId: 2, partitionIndex: -1 }
    await c.admin.expect(204, 'POST', `${path}/subscription/s/resetcursor`, id)
    assert.equal(await backlog(c, path), 3)
    await c.admin.expect(204, 'POST', `${path}/subscription/s/resetcursor`, { ...id, excluded: true })
    assert.equal(await backlog(c, path), 2)
  }),
  row('expire', 'expiring messages older than some seconds takes what is older, and not what is newer', async c => {
    const path = await filled(c, 3)
    const kept = await c.admin.request('POST', `${path}/subscription/s/expireMessages/3600`)
    assert([204, 409].includes(kept.status), kept.text)
    assert.equal(await backlog(c, path), 3)
    await c.admin.refused(404, /subscription.*not found/i, 'POST', `${path}/subscription/none/expireMessages/1`)
  }),
  row('subscription-properties', 'subscription properties are set and read by HTTP', async c => {
    const path = await filled(c, 1)
    await c.admin.expect(204, 'PUT', `${path}/subscription/s/properties`, { owner: 'me' })
    assert.deepEqual(await c.admin.get(`${path}/subscription/s/properties`), { owner: 'me' })
    assert.deepEqual((await c.admin.subscription(asTopic(path), 's')).subscriptionProperties, { owner: 'me' })
  })
]

const serverRows: Row[] = [
  row('health', 'the health check sends a real message and says ok', async c => {
    assert.equal((await c.admin.expect(200, 'GET', 'brokers/health')).text, 'ok')
  }),
  row('version', 'the broker tells its version', async c => {
    assert.match((await c.admin.expect(200, 'GET', 'brokers/version')).text, /\d+\.\d+/)
  }),
  row('configuration', 'the configuration in force is shown by Pulsar’s key names', async c => {
    const runtime = await c.admin.get<Record<string, string>>('brokers/configuration/runtime')
    assert.equal(runtime.maxMessageSize, '1048576')
    assert.equal(runtime.acknowledgmentAtBatchIndexLevelEnabled, 'true')
  }),
  row('brokers', 'the list of brokers has this one', async c => {
    const clusters = (await c.admin.get<string[]>('clusters')).filter(name => name !== 'global')
    const brokers = await c.admin.get<string[]>(`brokers/${clusters[0]}`)
    assert.equal(brokers.length, 1)
    assert.match(brokers[0] ?? '', /:\d+$/)
  }),
  row('lookup', 'HTTP lookup answers the broker’s address; an unknown namespace is 404', async c => {
    const topic = c.topic()
    await c.admin.expect(204, 'PUT', topicPath(topic))
    const found = await c.admin.get<{ brokerUrl: string; httpUrl: string }>(`/lookup/v2/topic/${topicPath(topic)}`)
    assert.equal(new URL(found.brokerUrl).port, new URL(c.brokerUrl).port)
    assert.equal(new URL(found.httpUrl).port, new URL(c.webUrl).port)
    await c.admin.expect(404, 'GET', `/lookup/v2/topic/persistent/public/${c.unique()}/t`)
  }),
  row('metrics', 'metrics are Prometheus text with Pulsar’s names', async c => {
    const path = await filled(c, 5)
    const text = await eventually(
      async () => (await c.admin.expect(200, 'GET', '/metrics/')).text,
      metrics => metrics.includes(asTopic(path)),
      40_000
    )
    for (const name of [
      'pulsar_topics_count',
      'pulsar_in_messages_total',
      'pulsar_subscription_back_log',
      'pulsar_storage_size'
    ]) {
      assert.match(text, new RegExp(`^${name}\\{`, 'm'))
    }
  }),
  row('status-page', 'status.html says OK', async c => {
    assert.match((await c.admin.expect(200, 'GET', '/status.html')).text, /OK/)
  }),
  row('no-such-path', 'an unknown path of the admin API is 404', async c => {
    await c.admin.expect(404, 'GET', 'nothing/like/this')
  }),
  row('bad-topic-name', 'a topic path with a bad namespace is 412', async c => {
    await c.admin.refused(412, /name/i, 'PUT', 'persistent/public/a%20b/t')
  })
]

export const adminRows: readonly Row[] = [...placeRows, ...topicRows, ...subscriptionRows, ...serverRows]
