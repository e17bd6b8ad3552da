import { stickyHashOf } from '@strata/wire'
import { describe, expect, test } from 'vitest'
import type { KeySharedOptions } from '../contract.ts'
import type { FakeConnection } from './testing/fake-connection.ts'
import { createWorld } from './testing/world.ts'

const ids = (connection: FakeConnection): string[] => connection.sent.map(s => `${s.ledgerId}:${s.entryId}`)
const at = (entryId: number, ledgerId = 1) => ({ ledgerId, entryId, remaining: undefined })
const hashOf = (key: string): number => stickyHashOf(Buffer.from(key))
const sticky = (...ranges: [number, number][]): KeySharedOptions => ({
  mode: 'STICKY',
  ranges: ranges.map(([start, end]) => ({ start, end })),
  allowOutOfOrderDelivery: false
})
const around = (key: string): KeySharedOptions => sticky([hashOf(key), hashOf(key)])

describe('Key_Shared', () => {
  for (const consistent of [true, false]) {
    test(`every key goes to one consumer, every consumer gets some (consistent hashing: ${consistent})`, async () => {
      const world = createWorld({ settings: { subscriptionKeySharedUseConsistentHashing: consistent } })
      const joined = []
      for (let i = 0; i < 4; i++) joined.push(await world.join('Key_Shared'))
      for (const { consumer } of joined) consumer.flow(1000)
      world.publish(...Array.from({ length: 400 }, (_, i) => ({ key: `k${i % 100}` })))
      await world.turns.settle()
      const keysOf = joined.map(
        ({ connection }) => new Set(connection.sent.map(s => s.payload.toString('latin1').match(/k\d+/)?.[0]))
      )
      expect(keysOf.reduce((sum, keys) => sum + keys.size, 0)).toBe(100)
      expect(joined.reduce((sum, { connection }) => sum + connection.sent.length, 0)).toBe(400)
      for (const keys of keysOf) expect(keys.size).toBeGreaterThan(5)
    })
  }

  test('a hash moves to its new owner only when the old one holds nothing of it, then in order', async () => {
    const world = createWorld()
    const a = await world.join('Key_Shared', { consumerName: 'a' })
    a.consumer.flow(1000)
    world.publish(...Array.from({ length: 40 }, (_, i) => ({ key: `k${i}` })))
    const b = await world.join('Key_Shared', { consumerName: 'b' })
    b.consumer.flow(1000)
    world.publish(...Array.from({ length: 40 }, (_, i) => ({ key: `k${i}` })))
    await world.turns.settle()
    expect(b.connection.sent).toHaveLength(0)
    const held = 80 - a.connection.sent.length
    expect(held).toBeGreaterThan(5)
    expect(world.subscription.stats()).toMatchObject({
      msgInReplay: held,
      drainingHashesCount: held,
      drainingHashesUnackedMessages: held,
      drainingHashesClearedTotal: 0
    })
    a.consumer.acknowledge(
      a.connection.sent.map(s => at(s.entryId, s.ledgerId)),
      false
    )
    await world.turns.settle()
    expect(b.connection.sent).toHaveLength(held)
    expect(world.subscription.stats()).toMatchObject({ drainingHashesCount: 0, drainingHashesClearedTotal: held })
    const sorted = [...b.connection.sent].sort((x, y) => x.ledgerId - y.ledgerId || x.entryId - y.entryId)
    expect(b.connection.sent).toEqual(sorted)
  })

  test('a consumer without credit delays only its own keys', async () => {
    const world = createWorld()
    const a = await world.join('Key_Shared', { keyShared: around('x') })
    const b = await world.join('Key_Shared', { keyShared: around('y') })
    a.consumer.flow(1)
    b.consumer.flow(100)
    world.publish({ key: 'x' }, { key: 'x' }, { key: 'y' }, { key: 'x' }, { key: 'y' })
    expect(ids(a.connection)).toEqual(['1:0'])
    expect(ids(b.connection)).toEqual(['1:2', '1:4'])
    a.consumer.flow(100)
    await world.turns.settle()
    expect(ids(a.connection)).toEqual(['1:0', '1:1', '1:3'])
  })

  test('what was sent back goes before what is newer of its key', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Key_Shared')
    consumer.flow(2)
    world.publish({ key: 'x' }, { key: 'x' }, { key: 'x' })
    consumer.redeliverAll(undefined)
    consumer.flow(10)
    await world.turns.settle()
    expect(ids(connection)).toEqual(['1:0', '1:1', '1:0', '1:1', '1:2'])
    expect(connection.sent.map(s => s.redeliveryCount)).toEqual([0, 0, 1, 1, 0])
  })

  test('what is sent back while a later one of its key is read goes first', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Key_Shared')
    consumer.flow(10)
    world.publish({ key: 'x' }, { key: 'x' }, { key: 'x' })
    connection.sent.length = 0
    const reads: (() => void)[] = []
    world.log.isCached = () => false
    world.log.gate = () => new Promise(resolve => reads.push(resolve))
    consumer.redeliver([{ ledgerId: 1, entryId: 2 }])
    await world.turns.settle()
    consumer.redeliver([{ ledgerId: 1, entryId: 0 }])
    while (connection.sent.length < 2) {
      for (const resolve of reads.splice(0)) resolve()
      await world.turns.settle()
    }
    expect(ids(connection)).toEqual(['1:0', '1:2'])
  })

  test('ranges that overlap are refused while the holder lives; hashes of nobody wait', async () => {
    const world = createWorld()
    const a = await world.join('Key_Shared', { keyShared: sticky([0, 30000]) })
    a.consumer.flow(100)
    await expect(world.join('Key_Shared', { keyShared: sticky([30000, 40000]) })).rejects.toMatchObject({
      code: 'ConsumerAssignError'
    })
    await expect(world.join('Key_Shared', { keyShared: sticky([5, 4]) })).rejects.toMatchObject({
      code: 'ConsumerAssignError'
    })
    await expect(world.join('Key_Shared', { keyShared: sticky() })).rejects.toMatchObject({
      code: 'ConsumerAssignError'
    })
    await expect(world.join('Key_Shared')).rejects.toMatchObject({ code: 'ConsumerBusy' })
    world.publish(...Array.from({ length: 30 }, (_, i) => ({ key: `k${i}` })))
    const low = Array.from({ length: 30 }, (_, i) => hashOf(`k${i}`)).filter(hash => hash <= 30000).length
    expect(a.connection.sent).toHaveLength(low)
    const b = await world.join('Key_Shared', { keyShared: sticky([30001, 65535]) })
    b.consumer.flow(100)
    await world.turns.settle()
    expect(b.connection.sent).toHaveLength(30 - low)
    expect(b.consumer.subscription.stats().consumers.map(c => c.keyHashRanges)).toEqual([
      ['[0, 30000]'],
      ['[30001, 65535]']
    ])
    a.connection.isAlive = false
    const c = await world.join('Key_Shared', { keyShared: sticky([0, 100]) })
    expect(world.subscription.consumers).toEqual([b.consumer, c.consumer])
  })

  test('with out-of-order delivery allowed a hash moves at once', async () => {
    const keyShared: KeySharedOptions = { mode: 'AUTO_SPLIT', ranges: [], allowOutOfOrderDelivery: true }
    const world = createWorld()
    const a = await world.join('Key_Shared', { keyShared })
    a.consumer.flow(1000)
    world.publish(...Array.from({ length: 40 }, (_, i) => ({ key: `k${i}` })))
    const b = await world.join('Key_Shared', { keyShared })
    b.consumer.flow(1000)
    world.publish(...Array.from({ length: 40 }, (_, i) => ({ key: `k${i}` })))
    expect(a.connection.sent.length + b.connection.sent.length).toBe(80)
    expect(b.connection.sent.length).toBeGreaterThan(0)
  })

  test('chunks of a message that its consumer has begun follow it though the hash moves', async () => {
    const world = createWorld()
    const chunk = (id: number) => ({ key: 'x', chunk: { uuid: 'u', id, of: 3 } })
    const first = await world.join('Key_Shared', { consumerName: 'first' })
    first.consumer.flow(1)
    world.publish(chunk(0))
    for (let i = 0; i < 40; i++) await world.join('Key_Shared', { consumerName: `n${i}` })
    world.publish(chunk(1), chunk(2), { key: 'x' })
    expect(ids(first.connection)).toEqual(['1:0'])
    first.consumer.flow(10)
    await world.turns.settle()
    expect(ids(first.connection)).toEqual(['1:0', '1:1', '1:2'])
  })

  test('Exclusive with hash ranges delivers only keys in them', async () => {
    const world = createWorld()
    const { connection, consumer } = await world.join('Exclusive', { keyShared: around('x') })
    consumer.flow(10)
    world.publish({ key: 'x' }, { key: 'y' }, { key: 'x' })
    expect(ids(connection)).toEqual(['1:0', '1:2'])
  })

  test('the look-ahead is bounded, and goes on when the slow consumer does', async () => {
    const world = createWorld({ ledgerEntriesMax: 100_000 })
    const a = await world.join('Key_Shared', { keyShared: around('x') })
    const b = await world.join('Key_Shared', { keyShared: around('y') })
    b.consumer.flow(1000)
    a.consumer.flow(1)
    world.publish(...Array.from({ length: 30_000 }, () => ({ key: 'x' })), { key: 'y' })
    await world.turns.settle()
    expect(b.connection.sent).toHaveLength(0)
    expect(world.subscription.stats()['msgInReplay']).toBeLessThan(20_200)
    a.consumer.flow(40_000)
    await world.turns.settle()
    expect(b.connection.sent).toHaveLength(1)
    expect(a.connection.sent).toHaveLength(30_000)
  })
})
