import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { Appends, KEEP_ALL, labelsOf, LogWorld, numbered, readAll } from './testing/log-world.ts'

describe('append and read', () => {
  test('a new log makes no ledger before its first entry', async () => {
    const world = new LogWorld()
    const log = await world.owner().factory.open<string>('t', KEEP_ALL)
    assert.equal(world.ledgers.stored.size, 0)
    assert.deepEqual(await log.read(log.firstPosition, { entriesMax: 1, bytesMax: 1 }), [])
    assert.equal(log.lastConfirmed.entryId, -1)
    await log.close()
    assert.equal(world.ledgers.stored.size, 0)
  })

  test('entries settle in order and are read in order', async () => {
    const world = new LogWorld()
    const log = await world.owner().factory.open<string>('t', KEEP_ALL)
    const appends = new Appends(log)
    const labels = numbered('m', 3000)
    const outcomes = await appends.all(...labels)
    assert.deepEqual(
      outcomes.map(outcome => outcome.label),
      labels
    )
    assert.deepEqual(await readAll(log, 100), labels)
    assert.deepEqual(log.lastConfirmed, outcomes.at(-1)?.position)
  })

  test('rolls over by entries without losing or reordering, and reads across', async () => {
    const world = new LogWorld()
    const rollover = { ...KEEP_ALL.rollover, entriesMax: 10 }
    const { factory } = world.owner()
    const log = await factory.open<string>('t', { ...KEEP_ALL, rollover })
    const appends = new Appends(log)
    const labels = numbered('m', 95)
    await appends.all(...labels)
    assert.deepEqual(await readAll(log), labels)
    assert.equal(log.stats().ledgers.filter(ledger => ledger.entries > 0).length, 10)
    await log.close()
    const again = await factory.open<string>('t', KEEP_ALL)
    assert.deepEqual(await readAll(again), labels)
    assert.ok(again.stats().ledgers.every(ledger => ledger.closedAtMs !== undefined && ledger.entries > 0))
  })

  test('tail reads come from the cache', async () => {
    const world = new LogWorld()
    const log = await world.owner().factory.open<string>('t', KEEP_ALL)
    const appends = new Appends(log)
    await log.openCursor('s', { initial: 'latest' })
    await appends.all('a', 'b', 'c')
    const cached = log.readCached(log.firstPosition, { entriesMax: 10, bytesMax: 1000 })
    assert.deepEqual(labelsOf(cached ?? []), ['a', 'b', 'c'])
    assert.equal(world.ledgers.reads, 0)
  })
})

describe('cursors', () => {
  test('acknowledgements that were flushed survive a crash', async () => {
    const world = new LogWorld()
    const first = world.owner()
    const log = await first.factory.open<string>('t', KEEP_ALL)
    const cursor = await log.openCursor('sub/ä 1', { initial: 'earliest', properties: { a: 'b' } })
    const outcomes = await new Appends(log).all(...numbered('m', 10))
    const at = (index: number): [number, number] => {
      const position = outcomes[index]?.position
      return [position?.ledgerId ?? -9, position?.entryId ?? -9]
    }
    cursor.acknowledge(...at(0))
    cursor.acknowledge(...at(3))
    cursor.acknowledgeBits(...at(5), Int32Array.of(0b101, 0))
    await cursor.flush()
    first.client.kill(() => 0)
    const log2 = await world.owner().factory.open<string>('t', KEEP_ALL)
    const reopened = log2.cursor('sub/ä 1')
    assert.ok(reopened !== undefined)
    assert.deepEqual(reopened.properties, { a: 'b' })
    assert.deepEqual(reopened.markDelete, outcomes[0]?.position)
    assert.equal(reopened.describeRanges(), cursor.describeRanges())
    assert.deepEqual(reopened.ackSet(...at(5)), Int32Array.of(0b101, 0))
    assert.equal(reopened.backlogEntries(), 8)
    assert.deepEqual(await readAll(log2), numbered('m', 10))
  })
})
