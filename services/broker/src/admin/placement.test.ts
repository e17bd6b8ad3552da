import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

/** Statuses and reasons are those of Apache Pulsar. */
async function script(lines: readonly (readonly [string, string, string, unknown?])[]): Promise<void> {
  for (const [method, path, expected, body] of lines) {
    const told = await admin.told(method as 'GET', path, body)
    expect(`${method} ${path} ⇒ ${told}`).toBe(`${method} ${path} ⇒ ${expected}`)
  }
}

const ISOLATION = 'clusters/standalone/namespaceIsolationPolicies'
const DOMAINS = 'clusters/standalone/failureDomains'
const N = 'namespaces/public/default'

describe('isolation policies', () => {
  const policy = {
    namespaces: ['public/.*'],
    primary: ['broker-1.*'],
    secondary: ['broker-2:8080'],
    auto_failover_policy: { policy_type: 'min_available', parameters: { min_limit: '1', usage_threshold: '80' } }
  }

  test('set, read, listed, removed', async () => {
    await script([
      ['GET', ISOLATION, '404 NamespaceIsolationPolicies for cluster standalone does not exist'],
      ['GET', 'clusters/nope/namespaceIsolationPolicies', '404 Cluster nope does not exist.'],
      ['GET', 'clusters/nope/namespaceIsolationPolicies/p', '412 Cluster nope does not exist.'],
      ['POST', 'clusters/nope/namespaceIsolationPolicies/p', '412 Cluster nope does not exist.', policy],
      ['POST', `${ISOLATION}/p`, '204', policy],
      ['GET', `${ISOLATION}/q`, '404 Cannot find NamespaceIsolationPolicy q for cluster standalone']
    ])
    expect((await admin.call('GET', `${ISOLATION}/p`)).body).toEqual(policy)
    expect((await admin.call('GET', ISOLATION)).body).toEqual({ p: policy })
    await script([
      ['DELETE', `${ISOLATION}/p`, '204'],
      ['DELETE', `${ISOLATION}/p`, '204'],
      ['GET', ISOLATION, '404 NamespaceIsolationPolicies for cluster standalone does not exist']
    ])
  })

  test('by broker', async () => {
    await script([['POST', `${ISOLATION}/p`, '204', policy]])
    const shown = { policyName: 'p', primary: true, namespaceRegex: ['public/.*'] }
    const of = async (broker: string): Promise<unknown> =>
      (await admin.call('GET', `${ISOLATION}/brokers/${encodeURIComponent(broker)}`)).body
    expect(await of('broker-1.example:8080')).toEqual({ brokerName: 'broker-1.example:8080', ...shown })
    expect(await of('broker-2:8080')).toMatchObject({ policyName: 'p', primary: false })
    expect(await of('broker-2:8081')).toMatchObject({ policyName: null, namespaceRegex: [] })
    expect((await admin.call('GET', `${ISOLATION}/brokers`)).body).toMatchObject([{ policyName: null }])
    await script([['DELETE', `${ISOLATION}/p`, '204']])
  })

  test.each([
    ['no namespaces', { ...policy, namespaces: [] }],
    ['no primary', { ...policy, primary: [] }],
    ['a pattern that is none', { ...policy, secondary: ['('] }],
    ['no failover', { ...policy, auto_failover_policy: undefined }],
    ['another failover', { ...policy, auto_failover_policy: { policy_type: 'other', parameters: {} } }],
    [
      'a threshold past 100',
      {
        ...policy,
        auto_failover_policy: { policy_type: 'min_available', parameters: { min_limit: '1', usage_threshold: '101' } }
      }
    ]
  ])('refused: %s', async (_, body) => {
    const told = await admin.told('POST', `${ISOLATION}/p`, body)
    expect(told).toMatch(/^400 Invalid format of input policy data\. policy: p; data: \{\n {2}"namespaces" : /)
  })
})

test('failure domains', async () => {
  const left = { brokers: ['a:8080', 'b:8080'] }
  await script([
    ['GET', DOMAINS, '200'],
    ['GET', `${DOMAINS}/left`, '404 Domain left for cluster standalone does not exist'],
    ['GET', 'clusters/nope/failureDomains/left', '412 Cluster nope does not exist.'],
    ['POST', `${DOMAINS}/left`, '204', left],
    ['POST', `${DOMAINS}/left`, '204', left],
    ['POST', `${DOMAINS}/right`, '409 [b:8080] already exists in left', { brokers: ['b:8080', 'c:8080'] }],
    ['POST', `${DOMAINS}/right`, '204', { brokers: ['c:8080'] }],
    ['DELETE', `${DOMAINS}/middle`, '404 Domain-name middle or cluster standalone does not exist']
  ])
  expect((await admin.call('GET', DOMAINS)).body).toEqual({ left, right: { brokers: ['c:8080'] } })
  expect((await admin.call('GET', `${DOMAINS}/left`)).body).toEqual(left)
  await script([['DELETE', `${DOMAINS}/left`, '200']])
  expect((await admin.call('GET', DOMAINS)).body).toEqual({ right: { brokers: ['c:8080'] } })
})

test('anti-affinity groups, as plain words and as JSON', async () => {
  await script([
    ['GET', `${N}/antiAffinity`, '200'],
    ['GET', 'namespaces/public/nope/antiAffinity', '200'],
    ['POST', 'namespaces/public/nope/antiAffinity', '404 Namespace does not exist', 'Group-1'],
    ['POST', `${N}/antiAffinity`, "412 Anti-affinity group can't be empty", ''],
    ['POST', `${N}/antiAffinity`, '204', '""'],
    ['GET', 'namespaces/standalone/antiAffinity/%20', "412 anti-affinity group can't be empty."],
    ['POST', `${N}/antiAffinity`, '204', 'Group-1']
  ])
  expect((await admin.call('GET', `${N}/antiAffinity`)).body).toBe('Group-1')
  expect((await admin.call('GET', 'namespaces/standalone/antiAffinity/group-1')).body).toEqual(['public/default'])
  expect((await admin.call('GET', 'namespaces/standalone/antiAffinity/group-1?tenant=pulsar')).body).toEqual([])
  await script([
    ['GET', 'namespaces/nope/antiAffinity/group-1', '412 Cluster nope does not exist.'],
    ['POST', `${N}/antiAffinity`, '204', '"group-2"']
  ])
  expect((await admin.call('GET', `${N}/antiAffinity`)).body).toBe('group-2')
  await script([
    ['DELETE', `${N}/antiAffinity`, '204'],
    ['GET', `${N}/antiAffinity`, '200']
  ])
})

test('bookie affinity and racks', async () => {
  const groups = { bookkeeperAffinityGroupPrimary: 'fast', bookkeeperAffinityGroupSecondary: 'slow,old' }
  await script([
    ['GET', `${N}/persistence/bookieAffinity`, '404 Namespace local-policies does not exist'],
    [
      ...(['POST', `${N}/persistence/bookieAffinity`, '412 A primary bookie affinity group is needed'] as const),
      { bookkeeperAffinityGroupSecondary: 'slow' }
    ],
    ['POST', `${N}/persistence/bookieAffinity`, '204', { x: 1 }],
    ['POST', `${N}/persistence/bookieAffinity`, '204', groups]
  ])
  expect((await admin.call('GET', `${N}/persistence/bookieAffinity`)).body).toEqual(groups)
  await script([
    ['DELETE', `${N}/persistence/bookieAffinity`, '204'],
    ['GET', `${N}/persistence/bookieAffinity`, '200'],
    ['GET', 'bookies/racks-info/node-1', '404 Bookie rack placement configuration not found: node-1'],
    ['POST', 'bookies/racks-info/node-1', "412 Bookie 'group' parameters is missing", { rack: '/r1' }],
    ['POST', 'bookies/racks-info/node-1?group=fast', '204', { rack: '/r1', hostname: 'h1' }],
    ['POST', 'bookies/racks-info/node.2%3A3181?group=slow', '204', { rack: '/r2' }]
  ])
  const place = { rack: '/r1', hostname: 'h1' }
  expect((await admin.call('GET', 'bookies/racks-info/node-1')).body).toEqual(place)
  expect((await admin.call('GET', 'bookies/racks-info')).body).toEqual({
    fast: { 'node-1': place },
    slow: { 'node.2:3181': { rack: '/r2', hostname: '' } }
  })
  await script([
    ['DELETE', 'bookies/racks-info/node-1', '204'],
    ['DELETE', 'bookies/racks-info/node-1', '404 Bookie rack placement configuration not found: node-1']
  ])
  expect((await admin.call('GET', 'bookies/all')).body).toEqual({ bookies: [] })
})

test('a broker that is alone by construction reports its load to nobody', async () => {
  expect(await admin.told('GET', 'broker-stats/load-report')).toBe('204')
  expect((await admin.call('GET', 'broker-stats/balance')).body).toMatchObject({ cycles: [] })
})

test('a bundle is divided where its traffic is even', async () => {
  await admin.call('PUT', 'namespaces/public/busy?bundles=1')
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const name of names) await admin.call('PUT', `persistent/public/busy/${name}`)
  const bundle = 'namespaces/public/busy/0x00000000_0xffffffff'
  const { body } = await admin.call('GET', `${bundle}/topicHashPositions`)
  const { topicHashPositions } = body as { topicHashPositions: Record<string, number> }
  const byHash = Object.entries(topicHashPositions).sort(([, one], [, other]) => one - other)
  const [heavy, from] = byHash[3] ?? ['', 0]
  const [, to] = byHash[4] ?? ['', 0]

  const split = 'split?splitAlgorithmName=flow_or_qps_equally_divide'
  await script([['PUT', `${bundle}/${split}`, '204']])
  expect((await admin.call('GET', 'namespaces/public/busy/bundles')).body).toMatchObject({ numBundles: 1 })

  const client = await admin.world.connect()
  for (const [producerId, [topic]] of byHash.entries()) {
    await client.producer(topic, { producerId: BigInt(producerId) })
    for (let index = 0; index < (topic === heavy ? 20 : 1); index++) {
      client.publish({ producerId: BigInt(producerId), sequenceId: BigInt(index), text: 'x' })
      await client.next('sendReceipt')
    }
  }
  for (const topic of admin.world.broker.topics.values()) topic.sample(1)
  await script([['PUT', `${bundle}/${split}`, '204']])
  const middle = from + Math.ceil((to - from) / 2)
  expect((await admin.call('GET', 'namespaces/public/busy/bundles')).body).toMatchObject({
    boundaries: ['0x00000000', `0x${middle.toString(16).padStart(8, '0')}`, '0xffffffff']
  })
  client.destroy()
})
