import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

/** Statuses and reasons are those of Apache Pulsar 4.0.8. */
async function script(lines: readonly (readonly [string, string, string, unknown?])[]): Promise<void> {
  for (const [method, path, expected, body] of lines) {
    const told = await admin.told(method as 'GET', path, body)
    expect(`${method} ${path} ⇒ ${told}`).toBe(`${method} ${path} ⇒ ${expected}`)
  }
}

describe('clusters, tenants and namespaces', () => {
  test('what exists at start', async () => {
    expect((await admin.call('GET', 'clusters')).body).toEqual(['standalone'])
    expect((await admin.call('GET', 'tenants')).body).toEqual(['public', 'pulsar'])
    expect((await admin.call('GET', 'namespaces/public')).body).toEqual(['public/default'])
  })

  test('how clients of a cluster connect is kept, without secrets', async () => {
    const sent = { serviceUrl: 'http://x:1', brokerClientTlsEnabled: true, brokerClientTlsTrustStoreType: 'PKCS12' }
    const secret = { brokerClientTlsTrustStorePassword: 'secret', authenticationParameters: 'token:secret' }
    await admin.call('PUT', 'clusters/over-tls', { ...sent, ...secret, tlsAllowInsecureConnection: false })
    expect((await admin.call('GET', 'clusters/over-tls')).body).toEqual({
      ...sent,
      brokerClientTlsEnabledWithKeyStore: false,
      tlsAllowInsecureConnection: false
    })
    await admin.call('POST', 'clusters/over-tls/peers', ['standalone'])
    expect((await admin.call('GET', 'clusters/over-tls')).body).toMatchObject({ brokerClientTlsEnabled: true })
    await admin.call('DELETE', 'clusters/over-tls')
  })

  test('clusters', async () => {
    await script([
      ['GET', 'clusters/nope', '404 Cluster does not exist'],
      ['PUT', 'clusters/standalone', '409 Cluster already exists', { serviceUrl: 'http://x:1' }],
      ['PUT', 'clusters/c2', '200', { serviceUrl: 'http://x:1' }],
      ['PUT', 'clusters/b%20d', '412 Cluster name is not valid', {}],
      ['POST', 'clusters/nope', '404 Cluster does not exist', {}],
      ['DELETE', 'clusters/c2', '204'],
      ['DELETE', 'clusters/nope', '404 Cluster does not exist']
    ])
  })

  test('tenants', async () => {
    const info = { adminRoles: ['a'], allowedClusters: ['standalone'] }
    await script([
      ['GET', 'tenants/nope', '404 Tenant does not exist'],
      ['PUT', 'tenants/t1', '204', info],
      ['PUT', 'tenants/t1', '409 Tenant already exist', info],
      ['PUT', 'tenants/t2', '412 Clusters do not exist', { allowedClusters: ['nope'] }],
      ['PUT', 'tenants/t3', '412 Clusters cannot be null', {}],
      ['PUT', 'tenants/t%204', '412 Tenant name is not valid', info],
      ['POST', 'tenants/nope', '404 Tenant nope not found', info],
      ['DELETE', 'tenants/nope', "404 Tenant doesn't exist"],
      ['DELETE', 'tenants/public', '409 The tenant still has active namespaces'],
      ['PUT', 'tenants', '405']
    ])
    expect((await admin.call('GET', 'tenants/t1')).body).toEqual(info)
  })

  test('namespaces', async () => {
    await script([
      ['GET', 'namespaces/nope', '404 Tenant not found'],
      ['PUT', 'namespaces/t1/n1', '204'],
      ['PUT', 'namespaces/t1/n1', '409 Namespace already exists'],
      ['PUT', 'namespaces/nope/n1', '404 Tenant does not exist'],
      ['PUT', 'namespaces/t1/b%20d', '412 Namespace name is not valid'],
      ['GET', 'namespaces/t1/nope', '404 Namespace does not exist'],
      ['GET', 'namespaces/t1/nope/topics', '404 Namespace does not exist'],
      ['PUT', 'namespaces/t1/n2', '204', { bundles: { numBundles: 2 } }],
      ['PUT', 'namespaces/t1/n3', '204', { bundles: { numBundles: -1 } }],
      ['DELETE', 'namespaces/t1/nope', '404 Namespace t1/nope does not exist.'],
      ['DELETE', 'namespaces/t1/n3', '204'],
      ['DELETE', 'namespaces/public/default?force=true', "405 Broker doesn't allow forced deletion of namespaces"]
    ])
    expect((await admin.call('GET', 'namespaces/t1/n1/bundles')).body).toEqual({
      boundaries: ['0x00000000', '0x40000000', '0x80000000', '0xc0000000', '0xffffffff'],
      numBundles: 4
    })
    expect((await admin.call('GET', 'namespaces/t1/n2/bundles')).body).toEqual({
      boundaries: ['0x00000000', '0x80000000', '0xffffffff'],
      numBundles: 2
    })
    expect((await admin.call('GET', 'namespaces/t1/n1')).body).toMatchObject({
      replication_clusters: ['standalone'],
      bundles: { numBundles: 4 },
      schema_compatibility_strategy: 'UNDEFINED'
    })
  })

  test('a namespace with topics is not deleted, and goes on', async () => {
    await script([
      ['PUT', 'namespaces/t1/full', '204'],
      ['PUT', 'persistent/t1/full/a', '204'],
      ['DELETE', 'namespaces/t1/full', '409 Cannot delete non empty namespace'],
      ['PUT', 'persistent/t1/full/b', '204']
    ])
    admin.world.settings.forceDeleteNamespaceAllowed = true
    await script([
      ['DELETE', 'namespaces/t1/full?force=true', '204'],
      ['GET', 'namespaces/t1/full', '404 Namespace does not exist'],
      ['PUT', 'persistent/t1/full/a', '404 Namespace not found']
    ])
    admin.world.settings.forceDeleteNamespaceAllowed = false
  })

  test('policies that are refused', async () => {
    await script([
      ['POST', 'namespaces/t1/n1/maxProducersPerTopic', '412 maxProducersPerTopic must be 0 or more', '-5'],
      ['POST', 'namespaces/t1/n1/messageTTL', '412 Invalid value for message TTL, message TTL must >= 0', '-5'],
      ['POST', 'namespaces/t1/nope/messageTTL', '404 Namespace does not exist', '5'],
      ['POST', 'namespaces/t1/n1/messageTTL', '400', '{'],
      [
        'POST',
        'namespaces/t1/n1/retention',
        '400 Invalid retention policy: time limit must be >= -1',
        { retentionTimeInMinutes: -2, retentionSizeInMB: 1 }
      ],
      ['GET', 'namespaces/t1/n1/noSuchPolicy', '404']
    ])
  })
})
