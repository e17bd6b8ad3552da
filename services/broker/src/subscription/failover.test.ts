import { describe, expect, test } from 'vitest'
import { createWorld } from './testing/world.ts'

describe('Failover', () => {
  test('of a partition: the partition-th of the highest priority by name', async () => {
    const world = createWorld({ partition: 3 })
    const c = await world.join('Failover', { consumerName: 'c' })
    await world.join('Failover', { consumerName: 'a' })
    await world.join('Failover', { consumerName: 'z', priorityLevel: 1 })
    expect(world.subscription.stats()['activeConsumerName']).toBe('c')
    const b = await world.join('Failover', { consumerName: 'b' })
    expect(world.subscription.stats()['activeConsumerName']).toBe('a')
    b.consumer.leave()
    c.consumer.leave()
    expect(world.subscription.stats()['activeConsumerName']).toBe('a')
  })

  test('of a topic that is no partition: the same one whoever comes first', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const activeOf = async (order: string[]): Promise<unknown> => {
      const world = createWorld()
      for (const consumerName of order) await world.join('Failover', { consumerName })
      return world.subscription.stats()['activeConsumerName']
    }
    expect(await activeOf(names)).toBe(await activeOf([...names].reverse()))
  })

  test('the first is served at once and told after the delay; one that takes over from a live one after the delay', async () => {
    const world = createWorld({ partition: 0 })
    const b = await world.join('Failover', { consumerName: 'b' })
    b.consumer.flow(10)
    world.publish({}, {})
    expect(b.connection.sent).toHaveLength(2)
    expect(b.connection.events).toEqual([])
    world.clock.advance(1000)
    expect(b.connection.events).toEqual(['1 active'])
    const a = await world.join('Failover', { consumerName: 'a' })
    a.consumer.flow(10)
    world.publish({})
    await world.turns.settle()
    expect([a.connection.sent.length, b.connection.sent.length]).toEqual([0, 2])
    expect(a.connection.events).toEqual([])
    b.consumer.acknowledge([{ ledgerId: 1, entryId: 0, remaining: undefined }], false)
    world.clock.advance(1000)
    await world.turns.settle()
    expect(a.connection.events).toEqual(['2 active'])
    expect(b.connection.events).toEqual(['1 active', '1 inactive'])
    expect(a.connection.sent.map(s => s.entryId)).toEqual([1, 2])
  })

  test('one that does not take over is told so', async () => {
    const world = createWorld({ partition: 0 })
    await world.join('Failover', { consumerName: 'a' })
    const b = await world.join('Failover', { consumerName: 'b' })
    expect(b.connection.events).toEqual(['2 inactive'])
  })

  test('who remains alone is served at once', async () => {
    const world = createWorld({ partition: 0 })
    const a = await world.join('Failover', { consumerName: 'a' })
    const b = await world.join('Failover', { consumerName: 'b' })
    b.consumer.flow(10)
    a.consumer.flow(10)
    world.publish({}, {})
    a.consumer.leave()
    await world.turns.settle()
    expect(b.connection.sent.map(s => s.entryId)).toEqual([0, 1])
    expect(b.connection.events).toEqual(['2 inactive', '2 active'])
  })

  test('REDELIVER of one that is not active changes only its epoch; seek closes the active one', async () => {
    const world = createWorld({ partition: 0 })
    const a = await world.join('Failover', { consumerName: 'a' })
    const b = await world.join('Failover', { consumerName: 'b' })
    a.consumer.flow(10)
    b.consumer.flow(10)
    world.publish({}, {})
    b.consumer.redeliverAll(7)
    await world.turns.settle()
    expect(a.connection.sent).toHaveLength(2)
    await world.subscription.seek({ position: { ledgerId: 1, entryId: 1 } })
    await world.turns.settle()
    expect(a.connection.events).toContain('1 closed')
    expect(b.connection.events).not.toContain('2 closed')
    expect(b.connection.sent).toMatchObject([{ entryId: 1, consumerEpoch: 7 }])
  })
})
