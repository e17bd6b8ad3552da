import { strict as assert } from 'node:assert'
import { eventually } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { afterEach, beforeEach, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'
import { parseExposition } from './testing/exposition.ts'

const NAMESPACE = 'namespaces/public/default/allowedTopicPropertyKeysForMetrics'

let admin: AdminWorld
let client: PulsarClient

beforeEach(async () => {
  admin = await AdminWorld.start()
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
})

afterEach(async () => {
  await client.close()
  await admin.close()
})

async function ok(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<void> {
  const { status } = await admin.call(method, path, body)
  assert.ok(status < 300, `${method} ${path}: ${status}`)
}

/** Labels beside those that every series of a topic has, of each topic that is shown. */
async function shown(): Promise<Record<string, Record<string, string>>> {
  const { body } = await admin.call('GET', '/metrics')
  const found: Record<string, Record<string, string>> = {}
  for (const { metric, labels } of parseExposition(String(body))) {
    if (metric !== 'pulsar_producers_count' || labels.topic === undefined) continue
    const { cluster: _cluster, namespace: _namespace, topic, ...others } = labels
    found[topic] = others
  }
  return found
}

test('properties of topics are labels of their metrics: those that the namespace lets, or else the broker', async () => {
  const [whole, partition] = ['persistent://public/default/whole', 'persistent://public/default/parted-partition-0']
  await ok('PUT', 'persistent/public/default/parted/partitions', 1)
  for (const topic of ['whole', 'parted'])
    await (await client.createProducer({ topic })).send({ data: Buffer.from('a') })
  await ok('PUT', `${admin.topic('whole')}/properties`, {
    tier: 'gold',
    owner: 'a "b"',
    secret: 's',
    topic: 'x',
    'a-b': 'y'
  })
  await ok('PUT', `${admin.topic('parted')}/properties`, { tier: 'silver' })
  await ok('POST', 'brokers/configuration/allowedTopicPropertyKeysForMetrics/tier,topic,a-b')
  assert.deepEqual(await shown(), { [whole]: {}, [partition]: {} }, 'off where nobody says so')

  await ok('POST', 'brokers/configuration/exposeCustomTopicMetricLabelsEnabled/true')
  assert.deepEqual(await shown(), { [whole]: { tier: 'gold' }, [partition]: { tier: 'silver' } })

  await ok('POST', NAMESPACE, ['owner'])
  assert.deepEqual((await admin.call('GET', NAMESPACE)).body, ['owner'])
  await waitFor({ [whole]: { owner: 'a "b"' }, [partition]: {} })
  await ok('POST', NAMESPACE, [])
  await waitFor({ [whole]: {}, [partition]: {} })

  await ok('DELETE', NAMESPACE)
  await waitFor({ [whole]: { tier: 'gold' }, [partition]: { tier: 'silver' } })
  await ok('PUT', `${admin.topic('whole')}/properties`, { tier: 'bronze' })
  assert.equal((await shown())[whole]?.['tier'], 'bronze')

  await ok('DELETE', 'brokers/configuration/exposeCustomTopicMetricLabelsEnabled')
  assert.deepEqual(await shown(), { [whole]: {}, [partition]: {} })
})

async function waitFor(labels: Record<string, Record<string, string>>): Promise<void> {
  await eventually(async () => {
    assert.deepEqual(await shown(), labels)
  })
}
