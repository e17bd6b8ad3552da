import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ClusterWorld, type Member } from '../admin/testing/cluster-world.ts'

const NAMESPACE = 'public/default'
const ISOLATION = 'clusters/standalone/namespaceIsolationPolicies'

let world: ClusterWorld
let members: Member[]

beforeEach(async () => {
  world = await ClusterWorld.start(2, {
    loadBalancerSheddingIntervalMinutes: 0.005,
    loadBalancerReportUpdateMinIntervalMillis: 500
  })
  members = world.members
})
afterEach(async () => {
  await world.close()
})

async function lookUp(asked: Member, namespace: string, topic: string): Promise<string> {
  const { status, body } = await asked.call('GET', `/lookup/v2/topic/persistent/${namespace}/${topic}`)
  assert.equal(status, 200, JSON.stringify(body))
  return (body as { brokerUrl: string }).brokerUrl
}

async function isolate(asked: Member, namespaces: string, to: { readonly id: string }): Promise<void> {
  const body = {
    namespaces: [namespaces],
    primary: [to.id],
    secondary: [],
    auto_failover_policy: { policy_type: 'min_available', parameters: { min_limit: '1', usage_threshold: '100' } }
  }
  assert.equal((await asked.call('POST', `${ISOLATION}/p`, { body })).status, 204)
}

describe('brokers of a cluster', () => {
  test('move what isolation does not let stay, and say so', async () => {
    const [asked = assert.fail()] = members
    const where = await lookUp(asked, NAMESPACE, 't')
    const to = members.find(({ brokerUrl }) => brokerUrl !== where) ?? assert.fail()
    await isolate(asked, NAMESPACE, to)
    await expect.poll(() => lookUp(asked, NAMESPACE, 't'), { timeout: 60_000, interval: 100 }).toBe(to.brokerUrl)
    // it is written once all of the cycle is done
    const decided = async (): Promise<string[]> => {
      const { body } = await to.call('GET', 'broker-stats/balance')
      const { cycles } = body as { cycles: { decisions: { kind: string; to: string; outcome: string }[] }[] }
      return cycles.flatMap(({ decisions }) => decisions.map(each => `${each.kind} to ${each.to}: ${each.outcome}`))
    }
    await expect.poll(decided, { timeout: 60_000, interval: 100 }).toContain(`move to ${to.id}: done`)
    await asked.call('PUT', `persistent/${NAMESPACE}/t`)
    const { body } = await asked.call('GET', `persistent/${NAMESPACE}/t/why`)
    const { owner, balance } = body as { owner: string; balance: string[] }
    expect(owner).toBe(to.id)
    expect(balance.join('\n')).toMatch(/isolation: it may not stay; goes to .*; done/)
  })

  test('place by the rules from the first bundle on, whoever is asked', async () => {
    const [asked = assert.fail(), to = assert.fail()] = members
    await isolate(asked, 'public/apart', to)
    for (const member of members) {
      await expect.poll(() => member.broker.balance.rules().isolation.length, { timeout: 60_000, interval: 20 }).toBe(1)
    }
    assert.equal((await asked.call('PUT', 'namespaces/public/apart?bundles=16')).status, 204)
    for (let i = 0; i < 16; i++) {
      const member = members[i % 2] ?? assert.fail()
      expect(await lookUp(member, 'public/apart', `t-${i}`)).toBe(to.brokerUrl)
    }
    await isolate(asked, 'public/apart', { id: 'nobody:1' })
    await expect
      .poll(() => asked.broker.balance.rules().isolation[0]?.primary[0]?.text, { timeout: 60_000, interval: 20 })
      .toBe('nobody:1')
    expect(asked.broker.balance.place({ bundle: await bundleOf(asked), brokers: brokersOf(asked) })).toBe(undefined)
  })

  test('keep namespaces of an anti-affinity group on different brokers', async () => {
    const [asked = assert.fail()] = members
    for (const namespace of ['public/x', 'public/y']) {
      assert.equal((await asked.call('PUT', `namespaces/${namespace}?bundles=8`)).status, 204)
      assert.equal((await asked.call('POST', `namespaces/${namespace}/antiAffinity`, { body: 'g' })).status, 204)
    }
    for (const { broker } of members) {
      await expect.poll(() => broker.balance.rules().groups.size, { timeout: 60_000, interval: 20 }).toBe(2)
    }
    const served: Record<string, Set<string>> = {}
    for (const namespace of ['public/x', 'public/y']) {
      const urls = (served[namespace] = new Set())
      for (let i = 0; i < 12; i++) {
        urls.add(await lookUp(members[i % 2] ?? assert.fail(), namespace, `t-${i}`))
        for (const { broker } of members) {
          const held = (): number => broker.balance.rules().holders.get(namespace)?.length ?? 0
          await expect.poll(held, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0)
        }
      }
    }
    expect(served['public/x']?.size).toBe(1)
    expect(served['public/y']?.size).toBe(1)
    expect(served['public/x']).not.toEqual(served['public/y'])
  })
})

function brokersOf(member: Member) {
  return member.broker.homes.ownership.brokers()
}

async function bundleOf(member: Member) {
  const [bundle] = await member.broker.homes.ownership.bundlesOf('public/apart')
  return bundle ?? assert.fail()
}
