import { readFile } from 'node:fs/promises'
import { eventually } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { POLICY_NAMES, specOf } from '../namespace/policy-table.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeEach(async () => {
  admin = await AdminWorld.start()
})

afterEach(async () => {
  await admin.close()
})

const NAMESPACE = 'namespaces/public/default'
const TOPIC = 'persistent/public/default/t'
const FILES = { managedLedgerOffloadDriver: 'filesystem', fileSystemURI: 'file:///offloaded' }

async function withOtherCluster(): Promise<void> {
  await admin.call('PUT', 'clusters/other', { serviceUrl: 'http://other:8080' })
  const tenant = { adminRoles: [], allowedClusters: ['standalone', 'other'] }
  expect(await admin.told('POST', 'tenants/public', tenant)).toMatch(/^2/)
}

describe('clusters of a namespace', () => {
  test('must exist, and the tenant must have them', async () => {
    const replicate = (clusters: readonly string[]): Promise<string> =>
      admin.told('POST', `${NAMESPACE}/replication`, clusters)
    expect(await replicate([])).toBe('412 ClusterIds should not be null or empty')
    expect(await replicate(['absent'])).toBe('403 Invalid cluster id: absent')
    await admin.call('PUT', 'clusters/other', { serviceUrl: 'http://other:8080' })
    expect(await replicate(['standalone', 'other'])).toBe(
      '403 Cluster [other] is not in the list of allowed clusters list for tenant [public]'
    )
    await withOtherCluster()
    expect(await replicate(['standalone', 'other'])).toBe('200')
    expect((await admin.call('GET', `${NAMESPACE}/replication`)).body).toEqual(['standalone', 'other'])
    expect((await admin.call('GET', NAMESPACE)).body).toMatchObject({ replication_clusters: ['standalone', 'other'] })
  })

  test('those that are allowed hold those that are replicated to, and the other way round', async () => {
    await withOtherCluster()
    const allow = (clusters: readonly string[]): Promise<string> =>
      admin.told('POST', `${NAMESPACE}/allowedClusters`, clusters)
    expect(await allow(['absent'])).toBe(
      '403 Cluster [absent] is not in the list of allowed clusters list for tenant [public]'
    )
    expect(await allow(['other'])).toMatch(/^400 Allowed clusters do not contain the replication cluster \[standalone]/)
    expect(await allow(['standalone'])).toBe('200')
    expect(await admin.told('POST', `${NAMESPACE}/replication`, ['other'])).toBe(
      '400 Cluster [other] is not in the list of allowed clusters list for namespace [public/default]'
    )
  })

  test('a topic whose clusters leave out this one has no clients, until they do not', async () => {
    await withOtherCluster()
    const client = new PulsarClient({
      serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}`,
      operationTimeoutMs: 1000
    })
    try {
      const producer = await client.createProducer({ topic: 't', batching: { enabled: false } })
      await producer.send({ data: Buffer.from('before') })
      expect(await admin.told('POST', `${NAMESPACE}/replication`, ['other'])).toBe('200')
      const topic = admin.world.broker.topics.find(TopicName.parse('persistent://public/default/t'))
      await eventually(() => {
        expect(topic?.producers.size).toBe(0)
      })
      await expect(client.createProducer({ topic: 't' })).rejects.toThrow()
      await expect(client.subscribe({ topic: 't', subscription: 's' })).rejects.toThrow()
      expect(await admin.told('POST', `${NAMESPACE}/replication`, ['standalone'])).toBe('200')
      await eventually(async () => {
        await (await client.createProducer({ topic: 't' })).close()
      })
      await producer.send({ data: Buffer.from('after') })
    } finally {
      await client.close()
    }
  })
})

describe('clusters and shadows of a topic', () => {
  beforeEach(async () => {
    await admin.call('PUT', TOPIC)
  })

  test('its own clusters keep this one', async () => {
    const replicate = (body: readonly string[]): Promise<string> => admin.told('POST', `${TOPIC}/replication`, body)
    expect(await replicate(['absent'])).toBe(
      '412 Can not remove local cluster from the local topic-level replication clusters policy'
    )
    expect(await replicate([])).toBe('412 ClusterIds should not be null or empty')
    expect(await replicate(['standalone', 'absent'])).toBe('403 Invalid cluster id: absent')
    expect(await replicate(['standalone'])).toBe('204')
    expect((await admin.call('GET', `${TOPIC}/replication?applied=true`)).body).toEqual(['standalone'])
  })

  test('a shadow must be there', async () => {
    expect(await admin.told('PUT', `${TOPIC}/shadowTopics`, ['absent'])).toBe('412 Shadow topic [absent] not exists.')
    expect(await admin.told('PUT', `${TOPIC}/shadowTopics`, ['persistent://public/default/t'])).toBe('204')
  })
})

describe('offloading', () => {
  test('a driver that there is not is refused', async () => {
    const set = (body?: unknown): Promise<string> => admin.told('POST', `${NAMESPACE}/offloadPolicies`, body)
    const drivers = 'S3,aws-s3,google-cloud-storage,filesystem,azureblob,aliyun-oss'
    expect(await set({ managedLedgerOffloadDriver: 'absent' })).toBe(
      `412 The driver is not supported, support value: ${drivers}`
    )
    expect(await set({ managedLedgerOffloadDriver: 'S3' })).toBe(
      '412 The bucket must be specified for namespace offload.'
    )
    expect(await set()).toBe('412 The offloadPolicies must be specified for namespace offload.')
    expect(await set(FILES)).toBe('204')
    expect(await admin.told('DELETE', `${NAMESPACE}/removeOffloadPolicies`)).toBe('204')
    expect((await admin.call('GET', `${NAMESPACE}/offloadPolicies`)).body).toBeUndefined()
  })

  test('a namespace that is made with numbers of it keeps them', async () => {
    const body = { offload_threshold: 5, offload_deletion_lag_ms: 7, dispatcherPauseOnAckStatePersistentEnabled: false }
    expect(await admin.told('PUT', 'namespaces/public/offloaded', { ...body, offload_threshold_in_seconds: -1 })).toBe(
      '204'
    )
    expect((await admin.call('GET', 'namespaces/public/offloaded/offloadPolicies')).body).toMatchObject({
      managedLedgerOffloadThresholdInBytes: 5,
      managedLedgerOffloadDeletionLagInMillis: 7
    })
    expect((await admin.call('GET', 'namespaces/public/offloaded/dispatcherPauseOnAckStatePersistent')).body).toBe(
      false
    )
  })

  test('its numbers are part of it, each with a path of its own', async () => {
    expect((await admin.call('GET', `${NAMESPACE}/offloadThreshold`)).body).toBe(-1)
    expect((await admin.call('GET', `${NAMESPACE}/offloadDeletionLagMs`)).status).toBe(200)
    await Promise.all([
      admin.call('PUT', `${NAMESPACE}/offloadThreshold`, '5'),
      admin.call('PUT', `${NAMESPACE}/offloadThresholdInSeconds`, '6'),
      admin.call('PUT', `${NAMESPACE}/offloadDeletionLagMs`, '7')
    ])
    expect((await admin.call('GET', `${NAMESPACE}/offloadPolicies`)).body).toMatchObject({
      managedLedgerOffloadThresholdInBytes: 5,
      managedLedgerOffloadThresholdInSeconds: 6,
      managedLedgerOffloadDeletionLagInMillis: 7
    })
    expect(await admin.told('DELETE', `${NAMESPACE}/offloadDeletionLagMs`)).toBe('204')
    expect((await admin.call('GET', `${NAMESPACE}/offloadThresholdInSeconds`)).body).toBe(6)
    expect((await admin.call('GET', `${NAMESPACE}/offloadDeletionLagMs`)).status).toBe(200)
  })
})

test('what is kept and does nothing is listed, wherever it was set', async () => {
  await withOtherCluster()
  await admin.call('PUT', TOPIC)
  expect((await admin.call('GET', 'policies/check')).body).toEqual([])
  await admin.call('POST', `${NAMESPACE}/deduplication`, 'true')
  await admin.call('POST', `${NAMESPACE}/messageTTL`, '5')
  expect(await admin.told('POST', `${TOPIC}/replication?isGlobal=true`, ['standalone', 'other'])).toMatch(
    /^412 Please do not use the global topic level policy/
  )
  await admin.call('POST', `${NAMESPACE}/replication`, ['standalone', 'other'])
  expect(await admin.told('POST', `${TOPIC}/replication?isGlobal=true`, ['standalone', 'other'])).toBe('204')
  await admin.call('POST', `${NAMESPACE}/replication`, ['standalone'])
  expect((await admin.call('GET', 'policies/check')).body).toEqual([
    { policy: 'deduplication', namespace: 'public/default', value: true },
    {
      policy: 'replicationClusters',
      namespace: 'public/default',
      topic: 'persistent://public/default/t',
      reach: 'global',
      value: ['standalone', 'other']
    }
  ])
})

test('the documentation names each of them', async () => {
  const readme = await readFile(new URL('README.md', import.meta.url), 'utf8')
  for (const name of POLICY_NAMES) if (specOf(name).isStoredOnly === true) expect(readme).toContain(`\`${name}\``)
})
