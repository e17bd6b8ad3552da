import { fileURLToPath } from 'node:url'
import { eventually } from '@strata/base/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { POLICY_NAMES, specOf, type PolicyName } from '../namespace/policy-table.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start({
    entryFiltersDirectory: fileURLToPath(new URL('../filters/examples', import.meta.url))
  })
})

afterAll(async () => {
  await admin.close()
})

/** Each policy with a value that is taken. */
const VALUES: Readonly<Partial<Record<PolicyName, unknown>>> = {
  subscriptionAuthMode: 'Prefix',
  retention: { retentionTimeInMinutes: 10, retentionSizeInMB: 100 },
  messageTTL: 120,
  subscriptionExpirationTime: 7,
  inactiveTopicPolicies: {
    inactiveTopicDeleteMode: 'delete_when_no_subscriptions',
    maxInactiveDurationSeconds: 60,
    deleteWhileInactive: true
  },
  autoTopicCreation: { allowAutoTopicCreation: true, topicType: 'partitioned', defaultNumPartitions: 2 },
  autoSubscriptionCreation: { allowAutoSubscriptionCreation: false },
  schemaCompatibilityStrategy: 'FORWARD',
  schemaAutoUpdateCompatibilityStrategy: 'Forward',
  scalableTopicAutoScalePolicy: { enabled: true },
  isAllowAutoUpdateSchema: false,
  schemaValidationEnforced: true,
  encryptionRequired: true,
  maxTopicsPerNamespace: 1000,
  maxProducersPerTopic: 5,
  maxConsumersPerTopic: 6,
  maxConsumersPerSubscription: 7,
  maxSubscriptionsPerTopic: 8,
  maxUnackedMessagesPerConsumer: 9,
  maxUnackedMessagesPerSubscription: 10,
  maxMessageSize: 1000,
  subscriptionTypesEnabled: ['Shared'],
  publishRate: { publishThrottlingRateInMsg: 1000, publishThrottlingRateInByte: -1 },
  dispatchRate: {
    dispatchThrottlingRateInMsg: 10,
    dispatchThrottlingRateInByte: 1000,
    relativeToPublishRate: false,
    ratePeriodInSecond: 1
  },
  subscriptionDispatchRate: {
    dispatchThrottlingRateInMsg: -1,
    dispatchThrottlingRateInByte: 1000,
    relativeToPublishRate: true,
    ratePeriodInSecond: 2
  },
  subscribeRate: { subscribeThrottlingRatePerConsumer: 5, ratePeriodInSecond: 30 },
  backlogQuotaSize: { limit: 1000, limitSize: 1000, limitTime: -1, policy: 'producer_request_hold' },
  backlogQuotaAge: { limit: 0, limitSize: 0, limitTime: 60, policy: 'consumer_backlog_eviction' },
  persistence: {
    bookkeeperEnsemble: 3,
    bookkeeperWriteQuorum: 2,
    bookkeeperAckQuorum: 2,
    managedLedgerMaxMarkDeleteRate: 2.5
  },
  entryFilters: { entryFilterNames: 'by-property' },
  dispatcherPauseOnAckStatePersistent: true,
  deduplication: true,
  deduplicationSnapshotInterval: 9,
  delayedDelivery: { active: true, tickTime: 500, maxDeliveryDelayInMillis: 1000 },
  compactionThreshold: 1_000_000,
  replicationClusters: ['standalone'],
  allowedClusters: ['standalone'],
  allowedTopicPropertyKeysForMetrics: ['team'],
  replicatorDispatchRate: {
    dispatchThrottlingRateInMsg: 10,
    dispatchThrottlingRateInByte: 2048,
    ratePeriodInSecond: 2,
    relativeToPublishRate: false
  },
  shadowTopics: ['persistent://public/default/of-shadowTopics'],
  offloadPolicies: {
    managedLedgerOffloadDriver: 'filesystem',
    fileSystemURI: 'file:///offloaded',
    offloadersDirectory: './offloaders',
    managedLedgerOffloadMaxThreads: 2,
    managedLedgerOffloadReadThreads: 2,
    managedLedgerOffloadPrefetchRounds: 1,
    s3ManagedLedgerOffloadMaxBlockSizeInBytes: 67_108_864,
    s3ManagedLedgerOffloadReadBufferSizeInBytes: 1_048_576,
    s3ManagedLedgerOffloadRoleSessionName: 'pulsar-s3-offload',
    gcsManagedLedgerOffloadMaxBlockSizeInBytes: 134_217_728,
    gcsManagedLedgerOffloadReadBufferSizeInBytes: 1_048_576,
    managedLedgerExtraConfigurations: {},
    s3Driver: false,
    gcsDriver: false,
    fileSystemDriver: true
  }
}

test('of offloading, what a topic leaves at its default is as its namespace has it', async () => {
  const path = 'persistent/public/offloads/t/offloadPolicies'
  expect(await admin.told('PUT', 'namespaces/public/offloads')).toBe('204')
  expect(await admin.told('PUT', 'persistent/public/offloads/t')).toBe('204')
  expect(await admin.told('PUT', 'namespaces/public/offloads/offloadThresholdInSeconds', 600)).toBe('200')
  const own = {
    managedLedgerOffloadDriver: 'aws-s3',
    s3ManagedLedgerOffloadBucket: 'b',
    managedLedgerOffloadMaxThreads: 2
  }
  for (const place of [path, `${path}?isGlobal=true`]) {
    const applied = `${path}?applied=true${place === path ? '' : '&isGlobal=true'}`
    expect(await admin.told('POST', place, own)).toBe('204')
    expect((await admin.call('GET', place)).body).not.toHaveProperty('managedLedgerOffloadThresholdInSeconds')
    const held = { ...own, managedLedgerOffloadThresholdInSeconds: 600, s3Driver: true }
    expect((await admin.call('GET', applied)).body).toMatchObject(held)
    expect(await admin.told('DELETE', place)).toBe('204')
    expect((await admin.call('GET', applied)).body).toMatchObject({
      managedLedgerOffloadThresholdInSeconds: 600,
      s3Driver: false
    })
  }
})

describe('every policy of a topic', () => {
  test.each(
    POLICY_NAMES.flatMap(name => {
      const level = specOf(name).onTopic
      return level === undefined ? [] : [{ name, level }]
    })
  )('$name: set, read, inherited, removed', async ({ name, level }) => {
    const topic = `persistent/public/default/of-${name}`
    const path = `${topic}/${level.path}`
    const value = VALUES[name]
    expect(await admin.told('GET', path)).toBe(`404 Topic persistent://public/default/of-${name} not found`)
    expect(await admin.told('PUT', topic)).toBe('204')
    const unset = await admin.call('GET', path)
    expect([200, 204]).toContain(unset.status)
    const before = await admin.call('GET', `${path}?applied=true`)
    expect((await admin.call(level.method ?? 'POST', path, JSON.stringify(value))).status).toBe(204)
    expect((await admin.call('GET', path)).body).toEqual(value)
    expect((await admin.call('GET', `${path}?applied=true`)).body).toEqual(value)
    expect(await admin.call('GET', `${path}?isGlobal=true`)).toMatchObject({ status: unset.status, body: unset.body })
    if (level.isKept === true) {
      expect((await admin.call('DELETE', path)).status).toBe(405)
      expect((await admin.call('DELETE', `${topic}/policies`)).status).toBe(204)
    } else {
      expect((await admin.call('DELETE', path)).status).toBe(204)
    }
    // an empty list leaves it to the namespace, and is shown after a removal
    const left = name === 'subscriptionTypesEnabled' ? { status: 200, body: [] } : unset
    expect(await admin.call('GET', path)).toMatchObject({ status: left.status, body: left.body })
    if (left !== unset) return
    expect(await admin.call('GET', `${path}?applied=true`)).toMatchObject({ status: before.status, body: before.body })
  })

  test('one for all clusters counts behind the topic’s own, and before that of the namespace', async () => {
    const topic = 'persistent/public/default/layers'
    await admin.call('PUT', topic)
    const applied = async (): Promise<unknown> => (await admin.call('GET', `${topic}/maxProducers?applied=true`)).body
    expect(await applied()).toBe(0)
    await admin.call('POST', 'namespaces/public/default/maxProducersPerTopic', '3')
    expect(await applied()).toBe(3)
    await admin.call('POST', `${topic}/maxProducers?isGlobal=true`, '2')
    expect(await applied()).toBe(2)
    await admin.call('POST', `${topic}/maxProducers`, '1')
    expect(await applied()).toBe(1)
    expect((await admin.call('DELETE', `${topic}/policies`)).status).toBe(204)
    expect(await applied()).toBe(3)
    await admin.call('DELETE', 'namespaces/public/default/maxProducersPerTopic')
    expect(await applied()).toBe(0)
  })

  test('a topic that is made anew has none of its predecessor’s', async () => {
    const topic = 'persistent/public/default/anew'
    await admin.call('PUT', topic)
    await admin.call('POST', `${topic}/messageTTL`, '5')
    expect((await admin.call('GET', `${topic}/messageTTL`)).body).toBe(5)
    expect((await admin.call('DELETE', topic)).status).toBe(204)
    await admin.call('PUT', topic)
    expect(await admin.call('GET', `${topic}/messageTTL`)).toMatchObject({ status: 200, body: undefined })
  })

  test('a subscription may have a dispatch rate of its own', async () => {
    const topic = 'persistent/public/default/of-one'
    await admin.call('PUT', topic)
    const path = `${topic}/a%2Fb/dispatchRate`
    const rate = (messages: number): Record<string, unknown> => ({
      dispatchThrottlingRateInMsg: messages,
      dispatchThrottlingRateInByte: -1,
      relativeToPublishRate: false,
      ratePeriodInSecond: 1
    })
    expect((await admin.call('GET', path)).status).toBe(200)
    expect((await admin.call('POST', `${topic}/subscriptionDispatchRate`, rate(7))).status).toBe(204)
    expect((await admin.call('GET', `${path}?applied=true`)).body).toEqual(rate(7))
    expect((await admin.call('POST', path, rate(5))).status).toBe(204)
    expect((await admin.call('GET', path)).body).toEqual(rate(5))
    expect((await admin.call('GET', `${path}?isGlobal=true`)).status).toBe(200)
    expect((await admin.call('GET', `${topic}/other/dispatchRate?applied=true`)).body).toEqual(rate(7))
    expect((await admin.call('DELETE', path)).status).toBe(204)
    expect((await admin.call('GET', path)).status).toBe(200)
  })

  test('partitions have those of their topic', async () => {
    const topic = 'persistent/public/default/parts'
    await admin.call('PUT', `${topic}/partitions`, '2')
    await admin.call('POST', `${topic}/maxConsumers`, '4')
    expect(await admin.told('GET', `${topic}-partition-0/maxConsumers`)).toBe(
      '412 Not allowed to set/get topic policy for a partition'
    )
    const name = TopicName.parse('persistent://public/default/parts-partition-1')
    const loaded = await admin.world.broker.topics.load(name, { mayCreate: true })
    expect(loaded.policies.maxConsumersPerTopic).toBe(4)
    await admin.call('POST', `${topic}/maxConsumers`, '5')
    await eventually(() => {
      expect(loaded.policies.maxConsumersPerTopic).toBe(5)
    })
  })

  test('a topic in memory goes by it, and by the namespace again once it is gone', async () => {
    const topic = 'persistent/public/default/live'
    await admin.call('PUT', topic)
    const loaded = await admin.world.broker.topics.load(TopicName.parse('persistent://public/default/live'), {
      mayCreate: false
    })
    const of = (): unknown => [loaded.policies.messageTtlSeconds, loaded.policies.autoSubscriptionCreation]
    expect(of()).toEqual([0, true])
    await admin.call('POST', `${topic}/messageTTL`, '30')
    await admin.call('POST', `${topic}/autoSubscriptionCreation`, { allowAutoSubscriptionCreation: false })
    await eventually(() => {
      expect(of()).toEqual([30, false])
    })
    await admin.call('DELETE', `${topic}/policies`)
    await eventually(() => {
      expect(of()).toEqual([0, true])
    })
  })

  test('values that are refused', async () => {
    await admin.call('PUT', 'persistent/public/default/refuse')
    const told = (path: string, body: string): Promise<string> =>
      admin.told('POST', `persistent/public/default/refuse/${path}`, body)
    expect(await told('messageTTL', '-1')).toBe('412 Invalid value for message TTL')
    expect(await told('messageTTL?messageTTL=-1', '')).toBe('412 Invalid value for message TTL')
    expect(await told('maxProducers', '-1')).toBe('412 maxProducers must be 0 or more')
    expect(await told('maxProducers', '"x"')).toBe('400')
    expect(await told('retention', '{')).toBe('400')
  })
})

describe('every policy of a namespace', () => {
  test.each(
    POLICY_NAMES.flatMap(name => {
      const level = specOf(name).onNamespace
      return level === undefined ? [] : [{ name, level }]
    })
  )('$name: set, read, listed, removed where it can be', async ({ name, level }) => {
    expect(VALUES, 'a value to try it with').toHaveProperty(name)
    const namespace = `namespaces/public/${name}`
    await admin.call('PUT', namespace)
    const path = `${namespace}/${level.path}`
    const before = await admin.call('GET', path)
    const set = await admin.call(level.method ?? 'POST', path, JSON.stringify(VALUES[name]))
    expect(set.status).toBe(level.setStatus ?? 204)
    expect((await admin.call('GET', path)).body).toEqual(VALUES[name])
    const all = (await admin.call('GET', namespace)).body as Record<string, unknown>
    const { field = '', isByCluster } = specOf(name)
    expect(all[field]).toEqual(isByCluster === true ? { standalone: VALUES[name] } : VALUES[name])
    expect((await admin.call('DELETE', path)).status).toBe(level.isKept === true ? 405 : 204)
    if (level.isKept === true) return
    expect(await admin.call('GET', path)).toMatchObject({ status: before.status, body: before.body })
  })
})

test('persistence needs a value: nothing is no policy', async () => {
  const { status } = await admin.call('POST', 'namespaces/public/default/persistence')
  expect(status).toBe(400)
  expect((await admin.call('GET', 'namespaces/public/default/persistence')).body).toBeUndefined()
})

test('what a persistence policy leaves out is what Apache Pulsar takes for it', async () => {
  const path = 'namespaces/public/default/persistence'
  expect(await admin.told('POST', path, {})).toBe('204')
  expect((await admin.call('GET', path)).body).toEqual({
    bookkeeperEnsemble: 2,
    bookkeeperWriteQuorum: 2,
    bookkeeperAckQuorum: 2,
    managedLedgerMaxMarkDeleteRate: -1
  })
  expect(await admin.told('DELETE', path)).toBe('204')
})
