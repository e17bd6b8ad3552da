import { BytePool, silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { EARLIEST } from '@strata/cursor-protocol'
import { describe, expect, test } from 'vitest'
import type { ConsumerOptions, SubscriptionType } from '../contract.ts'
import { createSubscription } from './index.ts'
import { FakeConnection } from './testing/fake-connection.ts'
import { ManualTurns } from './testing/manual-turns.ts'
import { encodeMessage, type MessageFields } from './testing/message.ts'
import { consumerOptions, DEFAULT_SETTINGS } from './testing/world.ts'

function createPassing() {
  const turns = new ManualTurns()
  const clock = new ManualClock()
  const host = {
    topic: 'non-persistent://public/default/t',
    partition: 0,
    log: undefined,
    clock,
    logger: silentLogger,
    dispatchPool: new BytePool('dispatch', 1 << 20),
    settings: DEFAULT_SETTINGS,
    suspension: { isOn: false }
  }
  const subscription = createSubscription(host, 's', { durable: false, start: EARLIEST }, turns)
  let consumerId = 0
  return {
    subscription,
    clock,
    turns,
    publish(fields: MessageFields = {}) {
      subscription.onMessage({ ledgerId: 0, entryId: 0, payload: encodeMessage(fields) })
    },
    async join(type: SubscriptionType, more: Partial<ConsumerOptions> = {}) {
      const connection = new FakeConnection(++consumerId)
      const options = consumerOptions({ ...more, type, connection, consumerId })
      const consumer = await subscription.subscribe(options)
      await turns.settle()
      return { connection, consumer }
    }
  }
}

describe('a topic that stores nothing', () => {
  test('drops and counts what nobody can take', async () => {
    const world = createPassing()
    world.subscription.sample(world.clock.nowMs())
    world.publish()
    const { connection, consumer } = await world.join('Exclusive')
    world.publish({ messages: 3 })
    consumer.flow(1)
    world.publish()
    world.publish()
    expect(connection.sent).toHaveLength(1)
    consumer.flow(10)
    connection.isWritable = false
    world.publish()
    world.clock.advance(1000)
    expect(world.subscription.stats()).toMatchObject({ msgDropRate: 6, msgOutCounter: 1, type: 'Exclusive' })
  })

  test('Failover tells who is active and serves it', async () => {
    const world = createPassing()
    const b = await world.join('Failover', { consumerName: 'b' })
    const a = await world.join('Failover', { consumerName: 'a' })
    a.consumer.flow(5)
    b.consumer.flow(5)
    world.publish()
    expect([a.connection.sent.length, b.connection.sent.length]).toEqual([1, 0])
    expect(b.connection.events).toEqual(['1 active', '1 inactive'])
    a.consumer.leave()
    await world.turns.settle()
    world.publish()
    expect(b.connection.sent).toHaveLength(1)
  })

  test('Shared takes turns, Key_Shared keeps keys together', async () => {
    const world = createPassing()
    const a = await world.join('Shared')
    const b = await world.join('Shared')
    a.consumer.flow(10)
    b.consumer.flow(1)
    for (let i = 0; i < 4; i++) world.publish()
    expect([a.connection.sent.length, b.connection.sent.length]).toEqual([3, 1])
    const keyed = createPassing()
    const c = await keyed.join('Key_Shared')
    const d = await keyed.join('Key_Shared')
    c.consumer.flow(100)
    d.consumer.flow(100)
    for (let i = 0; i < 40; i++) keyed.publish({ key: `k${i % 2}` })
    expect([0, 20, 40]).toContain(c.connection.sent.length)
    expect(c.connection.sent.length + d.connection.sent.length).toBe(40)
  })

  test('closing disconnects', async () => {
    const world = createPassing()
    const { connection } = await world.join('Shared')
    await world.subscription.close()
    expect(connection.events).toEqual(['1 closed'])
    expect(world.subscription.consumers).toEqual([])
  })
})
