import { describe, expect, test } from 'vitest'
import { FakeConnection } from './testing/fake-connection.ts'
import { consumerOptions, createWorld } from './testing/world.ts'

const ids = (connection: FakeConnection): string[] => connection.sent.map(s => `${s.ledgerId}:${s.entryId}`)

describe('Exclusive', () => {
  test('delivers in order, as far as permits go, and goes on with the next flow', async () => {
    const world = createWorld()
    world.publish(...Array.from({ length: 25 }, () => ({})))
    const { connection, consumer } = await world.join('Exclusive')
    expect(connection.sent).toHaveLength(0)
    consumer.flow(12)
    await world.turns.settle()
    expect(ids(connection).at(-1)).toBe('2:1')
    expect(consumer.stats().availablePermits).toBe(0)
    consumer.flow(100)
    await world.turns.settle()
    expect(connection.sent).toHaveLength(25)
    world.publish({})
    expect(connection.sent).toHaveLength(26)
    expect(world.subscription.stall).toBeUndefined()
  })

  test('permits count messages and go below zero by at most one batch', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Exclusive')
    consumer.flow(15)
    world.publish({ messages: 10 }, { messages: 10 }, { messages: 10 })
    expect(connection.sent).toHaveLength(2)
    expect(consumer.stats().availablePermits).toBe(-5)
    consumer.flow(5)
    await world.turns.settle()
    expect(connection.sent).toHaveLength(2)
    consumer.flow(1)
    await world.turns.settle()
    expect(connection.sent).toHaveLength(3)
  })

  test('a second consumer is refused while the first lives, and let in when its connection is dead', async () => {
    const world = createWorld()
    const first = await world.join('Exclusive')
    await expect(world.join('Exclusive')).rejects.toMatchObject({ code: 'ConsumerBusy' })
    expect(first.connection.probes).toBe(1)
    first.connection.isAlive = false
    const second = await world.join('Exclusive')
    expect(world.subscription.consumers).toEqual([second.consumer])
  })

  test('of two that come at once one gets in', async () => {
    const world = createWorld()
    const results = await Promise.allSettled([world.join('Exclusive'), world.join('Exclusive')])
    expect(results.map(r => r.status)).toEqual(['fulfilled', 'rejected'])
    expect(world.subscription.consumers).toHaveLength(1)
  })

  test('another type, or the other durability, is refused', async () => {
    const world = createWorld()
    await world.join('Exclusive')
    await expect(world.join('Shared')).rejects.toMatchObject({ code: 'ConsumerBusy' })
    await expect(world.join('Exclusive', { durable: false })).rejects.toMatchObject({ code: 'NotAllowedError' })
  })

  test('redelivery starts again at the mark-delete position, leaves out what is acknowledged, adopts the epoch', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Exclusive', { consumerEpoch: 0 })
    consumer.flow(100)
    world.publish({}, {}, {}, {})
    consumer.acknowledge([{ ledgerId: 1, entryId: 0, remaining: undefined }], false)
    consumer.acknowledge([{ ledgerId: 1, entryId: 2, remaining: undefined }], false)
    connection.sent.length = 0
    consumer.redeliverAll(3)
    await world.turns.settle()
    expect(ids(connection)).toEqual(['1:1', '1:3'])
    expect(connection.sent.map(s => s.consumerEpoch)).toEqual([3, 3])
    expect(connection.sent.map(s => s.redeliveryCount)).toEqual([0, 0])
  })

  test('what the former consumer did not acknowledge goes to the next', async () => {
    const world = createWorld()
    const first = await world.join('Exclusive')
    first.consumer.flow(10)
    world.publish({}, {}, {})
    first.consumer.acknowledgeCumulative({ ledgerId: 1, entryId: 0, remaining: undefined })
    first.consumer.leave()
    const second = await world.join('Exclusive')
    second.consumer.flow(10)
    await world.turns.settle()
    expect(ids(second.connection)).toEqual(['1:1', '1:2'])
  })

  test('a socket that is full stops delivery and reading, and opens it again', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Exclusive')
    connection.onMessage = () => {
      if (connection.sent.length === 2) connection.isWritable = false
    }
    consumer.flow(10)
    world.publish({}, {}, {}, {})
    expect(connection.sent).toHaveLength(2)
    connection.isWritable = true
    await world.turns.settle()
    expect(connection.sent).toHaveLength(4)
  })

  test('seek: CLOSE_CONSUMER first, joins wait, then delivery from the position on', async () => {
    const world = createWorld()
    const first = await world.join('Exclusive')
    first.consumer.flow(100)
    world.publish({}, {}, {})
    first.consumer.acknowledgeCumulative({ ledgerId: 1, entryId: 2, remaining: undefined })
    const order: string[] = []
    let letGo = (): void => {}
    world.cursor.gate = () => new Promise(resolve => (letGo = resolve))
    const seek = world.subscription.seek({ position: { ledgerId: 1, entryId: 1 } }).then(() => order.push('seek'))
    expect(first.connection.events).toEqual(['1 closed'])
    const connection = new FakeConnection(2)
    const join = world.subscription.subscribe(consumerOptions({ type: 'Exclusive', connection, consumerId: 2 }))
    void join.then(() => order.push('join'))
    await expect(world.subscription.seek({ publishTimeMs: 1 })).rejects.toMatchObject({ code: 'UnknownError' })
    letGo()
    await seek
    await world.turns.settle()
    expect(order).toEqual(['seek', 'join'])
    const second = await join
    second.flow(10)
    await world.turns.settle()
    expect(ids(connection)).toEqual(['1:1', '1:2'])
  })

  test('the end of a terminated topic is told when all is acknowledged, once', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Exclusive')
    consumer.flow(10)
    world.publish({}, {})
    await world.log.terminate()
    world.subscription.onTerminated()
    consumer.acknowledge([{ ledgerId: 1, entryId: 0, remaining: undefined }], false)
    expect(connection.events).toEqual([])
    consumer.acknowledge([{ ledgerId: 1, entryId: 1, remaining: undefined }], false)
    expect(connection.events).toEqual(['1 end'])
    world.subscription.onTerminated()
    expect(connection.events).toEqual(['1 end'])
  })

  test('a read that fails is tried again', async () => {
    const world = createWorld()
    world.log.isCached = () => false
    world.log.failures = 2
    const { connection, consumer } = await world.join('Exclusive')
    consumer.flow(10)
    world.publish({}, {})
    for (let i = 0; i < 3; i++) {
      await world.turns.settle()
      world.clock.advance(10_000)
    }
    await world.turns.settle()
    expect(connection.sent).toHaveLength(2)
    expect(world.pool.bytesHeld).toBe(0)
  })
})
