import { ledgerId } from '@strata/base'
import { eventually } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { PersistentTopic } from '../topic/persistent-topic.ts'

let admin: AdminWorld
let client: PulsarClient

beforeAll(async () => {
  admin = await AdminWorld.start({}, { nodes: 3 })
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
})

afterAll(async () => {
  await client.close()
  await admin.close()
})

const wide = {
  bookkeeperEnsemble: 3,
  bookkeeperWriteQuorum: 2,
  bookkeeperAckQuorum: 2,
  managedLedgerMaxMarkDeleteRate: 0.5
}

function loaded(name: string): PersistentTopic {
  const topic = admin.world.broker.topics.find(TopicName.parse(`persistent://public/default/${name}`))
  if (!(topic instanceof PersistentTopic)) throw new Error('the topic is not loaded')
  return topic
}

/** Ensemble, write quorum and ack quorum of the ledger that takes entries now. */
async function quorumOf(name: string): Promise<number[]> {
  const last = loaded(name).log.stats().ledgers.at(-1)
  const described = await admin.world.openLedgers().describe(ledgerId(last?.ledgerId ?? -1))
  const { ensembleSize = 0, writeQuorum = 0, ackQuorum = 0 } = described?.quorum ?? {}
  return [ensembleSize, writeQuorum, ackQuorum]
}

test.each([
  ['a topic', (name: string) => `persistent/public/default/${name}/persistence`],
  ['the namespace', () => 'namespaces/public/default/persistence']
])(
  'of %s: ledgers begun from now on are on as many nodes as it says',
  async (of, pathOf) => {
    const name = `kept-${of.length}`
    const producer = await client.createProducer({ topic: name })
    const consumer = await client.subscribe({ topic: name, subscription: 's' })
    await producer.send({ data: Buffer.from('before') })
    expect(await quorumOf(name)).toEqual([1, 1, 1])
    expect((await admin.call('POST', pathOf(name), wide)).status).toBe(204)
    await eventually(() => {
      expect(loaded(name).policies.persistence).toMatchObject({ cursorFlushMs: 2000, quorum: { ensembleSize: 3 } })
    })
    await loaded(name).log.roll()
    await producer.send({ data: Buffer.from('wide') })
    expect(await quorumOf(name)).toEqual([3, 2, 2])
    expect((await admin.call('DELETE', pathOf(name))).status).toBe(204)
    await eventually(() => {
      expect(loaded(name).policies.persistence).toEqual({ cursorFlushMs: 500, quorum: undefined })
    })
    await loaded(name).log.roll()
    await producer.send({ data: Buffer.from('narrow') })
    expect(await quorumOf(name)).toEqual([1, 1, 1])
    for (const text of ['before', 'wide', 'narrow']) expect((await consumer.receive(5000)).text).toBe(text)
  },
  180_000
)

test('values that are refused', async () => {
  const told = (body: Record<string, number>): Promise<string> =>
    admin.told('POST', 'namespaces/public/default/persistence', body)
  expect(await told({ ...wide, bookkeeperEnsemble: 6 })).toBe('400 Bookkeeper-Ensemble must be <= 5 and > 0.')
  expect(await told({ ...wide, bookkeeperAckQuorum: 0 })).toBe('400 Bookkeeper-AckQuorum must be <= 5 and > 0.')
  expect(await told({ ...wide, bookkeeperEnsemble: 2, bookkeeperWriteQuorum: 5 })).toBe(
    '400 Bookkeeper Ensemble (2) >= WriteQuorum (5) >= AckQuorum (2)'
  )
})
