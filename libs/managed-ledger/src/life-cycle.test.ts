import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import type { ManagedLedger } from './contract.ts'
import { ManagedLedgerError } from './errors.ts'
import { Appends, KEEP_ALL, labelsOf, LogWorld, numbered, readAll } from './testing/log-world.ts'

const DROP_ALL = { timeMs: 0, sizeBytes: 0 }
const SMALL = { ...KEEP_ALL, rollover: { ...KEEP_ALL.rollover, entriesMax: 10 } }

async function filled(world: LogWorld, entries: number, options = SMALL): Promise<ManagedLedger<string>> {
  const log = await world.owner().factory.open<string>('t', options)
  await new Appends(log).all(...numbered('m', entries))
  return log
}

describe('roll-over and trimming', () => {
  test('a ledger closes at its age without traffic, and costs nothing afterwards', async () => {
    const world = new LogWorld()
    const log = await filled(world, 3)
    world.clock.advance(SMALL.rollover.ageMsMax)
    await world.until(() => log.stats().ledgers[0]?.closedAtMs !== undefined)
    assert.equal(world.ledgers.stored.size, 1)
    await new Appends(log).all('later')
    assert.deepEqual(await readAll(log), ['m0', 'm1', 'm2', 'later'])
    assert.equal(world.ledgers.stored.size, 2)
  })

  test('a log that is rolled goes on in a ledger that was there before; what comes meanwhile keeps its place', async () => {
    const world = new LogWorld()
    const log = await filled(world, 3)
    const appends = new Appends(log)
    const rolled = log.roll()
    appends.append('with it')
    await world.until(() => world.ledgers.stored.size === 2)
    appends.append('behind it')
    await rolled
    const [first] = log.stats().ledgers
    assert.notEqual(first?.closedAtMs, undefined)
    assert.equal(first?.entries, 4)
    await appends.settled()
    assert.deepEqual(await readAll(log), ['m0', 'm1', 'm2', 'with it', 'behind it'])
    await log.roll()
    await log.roll() // nothing is in it any more
    assert.equal(world.ledgers.stored.size, 3)
    await log.close()
    await log.roll()
    assert.deepEqual(await readAll(await world.owner().factory.open('t', SMALL)), [
      ...['m0', 'm1', 'm2', 'with it', 'behind it']
    ])
  })

  test('a ledger that is full by entries or bytes waits for its minimum age, and goes at its maximum whatever it has', async () => {
    for (const full of [{ entriesMax: 10 }, { bytesMax: 20 }]) {
      const world = new LogWorld()
      const rollover = { ...KEEP_ALL.rollover, ...full, ageMsMin: 60_000 }
      const log = await filled(world, 25, { ...KEEP_ALL, rollover })
      const appends = new Appends(log)
      assert.deepEqual(
        log.stats().ledgers.map(ledger => ledger.entries),
        [25]
      )
      world.clock.advance(59_999)
      await appends.all('young')
      assert.equal(log.stats().ledgers.length, 1)
      world.clock.advance(1)
      await appends.all('old')
      await appends.all('next')
      assert.deepEqual(await readAll(log), [...numbered('m', 25), 'young', 'old', 'next'])
      assert.deepEqual(
        log.stats().ledgers.map(ledger => ledger.entries),
        [26, 2]
      )
      world.clock.advance(rollover.ageMsMax)
      await world.until(() => log.stats().ledgers[1]?.closedAtMs !== undefined)
    }
  })

  test('whole ledgers go when every durable cursor has passed them, and their storage with them', async () => {
    const world = new LogWorld()
    const log = await filled(world, 35)
    const [a, b] = [
      await log.openCursor('a', { initial: 'earliest' }),
      await log.openCursor('b', { initial: 'earliest' })
    ]
    const reader = log.openNonDurableCursor('r', log.firstPosition)
    log.setRetention(DROP_ALL)
    const at = (entries: number) => log.positionAfter({ ledgerId: -1, entryId: -1 }, entries)
    const [at10, at25] = [at(10), at(25)]
    a.acknowledgeUpTo(at25)
    await log.trim()
    assert.equal(log.stats().entries, 35)
    b.acknowledgeUpTo(at10)
    await log.trim()
    assert.equal(log.stats().entries, 25)
    b.acknowledgeUpTo(at25)
    await log.trim()
    assert.equal(log.stats().entries, 15)
    assert.equal(reader.backlogEntries(), 15)
    assert.equal(a.backlogEntries(), 10)
    assert.deepEqual(await log.read({ ledgerId: 0, entryId: 0 }, { entriesMax: 1, bytesMax: 10 }).then(labelsOf), [
      'm20'
    ])
    await log.close()
    assert.deepEqual(
      [...world.ledgers.stored.values()].filter(ledger => ledger.owner.startsWith('log:')).map(l => l.entries.length),
      [10, 5]
    )
  })

  test('positions go on where they were when everything was trimmed', async () => {
    const world = new LogWorld()
    const log = await filled(world, 5)
    const tail = log.lastConfirmed
    await log.close()
    const { factory } = world.owner()
    await factory.sweep('t', DROP_ALL)
    assert.equal(world.ledgers.stored.size, 0)
    const again = await factory.open<string>('t', SMALL)
    assert.ok(again.lastConfirmed.ledgerId > tail.ledgerId)
    const cursor = await again.openCursor('s', { initial: 'latest' })
    await new Appends(again).all('x')
    assert.equal(cursor.backlogEntries(), 1)
    assert.deepEqual(await readAll(again), ['x'])
  })

  test('a sweep of an unloaded log keeps what a cursor needs, whether it was closed in order or not', async () => {
    for (const isCrash of [false, true]) {
      const world = new LogWorld()
      const owner = world.owner()
      const log = await owner.factory.open<string>('t', SMALL)
      await new Appends(log).all(...numbered('m', 25))
      const cursor = await log.openCursor('s', { initial: 'earliest' })
      cursor.acknowledgeUpTo(log.positionAfter(cursor.markDelete, 12))
      await cursor.flush()
      if (isCrash) owner.client.kill(() => 0)
      else await log.close()
      const { factory } = world.owner()
      await factory.sweep('t', DROP_ALL)
      await factory.sweep('t', DROP_ALL)
      const again = await factory.open<string>('t', SMALL)
      assert.deepEqual(await readAll(again), numbered('m', 25).slice(10))
      assert.equal(again.cursor('s')?.backlogEntries(), 13)
    }
  })

  test('a sweep tells what is left, since when nobody has the log, and nothing of one that is open or not there', async () => {
    const world = new LogWorld()
    const { factory } = world.owner()
    assert.equal(await factory.sweep('t', DROP_ALL), undefined)
    const log = await factory.open<string>('t', SMALL)
    await new Appends(log).all(...numbered('m', 25))
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    const slowest = log.positionAfter(cursor.markDelete, 12)
    cursor.acknowledgeUpTo(slowest)
    assert.equal(await factory.sweep('t', DROP_ALL), undefined)
    const closedAtMs = world.clock.wallMs()
    await log.close()
    world.clock.advance(5000)
    for (let times = 0; times < 2; times++) {
      const swept = await factory.sweep('t', DROP_ALL)
      assert.equal(swept?.closedAtMs, closedAtMs)
      assert.deepEqual(swept.slowestCursor, slowest)
      assert.deepEqual(
        swept.ledgers.map(ledger => ledger.entries),
        [10, 5]
      )
    }
  })

  test('what must outlive dropped entries is put in the transaction that drops them', async () => {
    const world = new LogWorld()
    const { factory, client } = world.owner()
    const told: { properties?: Record<string, string> } = {}
    const log = await factory.open<string>('t', { ...SMALL, propertiesOnTrim: () => told.properties })
    await log.putProperties({ other: 'kept', told: 'before' })
    await new Appends(log).all(...numbered('m', 10))
    log.setRetention(DROP_ALL)
    await log.trim()
    assert.equal(log.stats().entries, 10)
    told.properties = { told: 'at the drop' }
    // Decided on what it finds: a change that was asked for meanwhile takes nothing back.
    await Promise.all([log.trim(), log.putProperties({ third: 'too' })])
    client.kill(() => 0)
    const again = await world.owner().factory.open<string>('t', SMALL)
    assert.deepEqual(again.properties, { other: 'kept', told: 'at the drop', third: 'too' })
    assert.deepEqual(await readAll(again), [])
  })
})

describe('the end of a log', () => {
  test('terminated: nothing follows, also after it is opened again; cursors go on', async () => {
    const world = new LogWorld()
    const { factory } = world.owner()
    const log = await factory.open<string>('t', KEEP_ALL)
    const appends = new Appends(log)
    appends.append('a', 'b')
    const end = await log.terminate()
    const outcomes = await appends.all('c')
    assert.deepEqual(end, outcomes.findLast(outcome => outcome.error === undefined)?.position)
    assert.ok(ManagedLedgerError.is(outcomes[2]?.error, 'LOG_TERMINATED'))
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    assert.equal(cursor.backlogEntries(), 2)
    await log.close()
    const again = await factory.open<string>('t', KEEP_ALL)
    assert.deepEqual(again.terminatedAt, end)
    assert.ok(ManagedLedgerError.is((await new Appends(again).all('d'))[0]?.error, 'LOG_TERMINATED'))
    assert.deepEqual(await readAll(again), ['a', 'b'])
  })

  test('terminated: the last ledger stays, also where nobody needs it and nothing is retained', async () => {
    const world = new LogWorld()
    const { factory } = world.owner()
    const options = { ...SMALL, retention: { timeMs: 0, sizeBytes: 0 } }
    const log = await factory.open<string>('t', options)
    await new Appends(log).all(...numbered('m', 15))
    await log.terminate()
    await log.trim()
    assert.deepEqual(await readAll(log), numbered('m', 15).slice(10))
    await log.close()
    const again = await factory.open<string>('t', options)
    await again.trim()
    assert.deepEqual(await readAll(again), numbered('m', 15).slice(10))
  })

  test('deleted: nothing is left behind, and the name is free', async () => {
    const world = new LogWorld()
    const { factory } = world.owner()
    const log = await factory.open<string>('t', SMALL)
    await new Appends(log).all(...numbered('m', 35))
    await log.openCursor('s', { initial: 'earliest' })
    await factory.delete('t')
    assert.equal(world.ledgers.stored.size, 0)
    assert.deepEqual((await world.metadata.scan({ prefix: 'logs/' })).records, [])
    assert.equal(await factory.exists('t'), false)
    await factory.delete('t')
    await assert.rejects(factory.open('t', { ...KEEP_ALL, create: false }), /LOG_NOT_FOUND/)
    assert.deepEqual(await readAll(await factory.open<string>('t', KEEP_ALL)), [])
  })

  test('a deletion that was cut off is finished by whoever comes next', async () => {
    const world = new LogWorld()
    const log = await filled(world, 35)
    await log.close()
    world.ledgers.isDown = true
    await assert.rejects(world.owner().factory.delete('t'))
    world.ledgers.isDown = false
    const { factory } = world.owner()
    assert.equal(await factory.exists('t'), false)
    assert.deepEqual(await readAll(await factory.open<string>('t', KEEP_ALL)), [])
    assert.equal(world.ledgers.stored.size, 0)
  })
})

describe('cursors are durable', () => {
  test('within a second of the first change, by themselves', async () => {
    const world = new LogWorld()
    const owner = world.owner()
    const log = await owner.factory.open<string>('t', KEEP_ALL)
    await new Appends(log).all('a', 'b')
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    cursor.acknowledge(log.firstPosition.ledgerId, 0)
    world.clock.advance(999)
    await world.until(() =>
      [...world.ledgers.stored.values()].some(
        ledger => ledger.entries.length === 2 && ledger.owner.startsWith('cursors')
      )
    )
    owner.client.kill(() => 0)
    const again = await world.owner().factory.open<string>('t', KEEP_ALL)
    assert.equal(again.cursor('s')?.backlogEntries(), 1)
  })

  test('as seldom as the log is told, which may change', async () => {
    const world = new LogWorld()
    const persistence = { quorum: undefined, cursorFlushMs: 5000 }
    const log = await world.owner().factory.open<string>('t', { ...KEEP_ALL, persistence })
    await new Appends(log).all('a', 'b', 'c')
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    const writes = (): number => world.ledgers.stored.get(log.stats().cursorLedgerId ?? -1)?.entries.length ?? 0
    cursor.acknowledge(log.firstPosition.ledgerId, 0)
    const before = writes()
    world.clock.advance(4999)
    await world.until(() => true)
    assert.equal(writes(), before)
    world.clock.advance(1)
    await world.until(() => writes() === before + 1)
    persistence.cursorFlushMs = 100
    cursor.acknowledge(log.firstPosition.ledgerId, 1)
    world.clock.advance(100)
    await world.until(() => writes() === before + 2)
  })

  test('one write for all who ask in a tick', async () => {
    const world = new LogWorld()
    const log = await filled(world, 9)
    const cursors = await Promise.all(numbered('s', 6).map(name => log.openCursor(name, { initial: 'earliest' })))
    const ledger = world.ledgers.stored.get(log.stats().cursorLedgerId ?? -1)
    const before = ledger?.entries.length ?? 0
    await Promise.all(
      cursors.flatMap(cursor => {
        cursor.acknowledgeUpTo(log.lastConfirmed)
        return [cursor.flush(), cursor.flush()]
      })
    )
    assert.equal(ledger?.entries.length, before + 1)
  })

  test('a long cursor ledger is replaced by a new one, and the old one deleted', async () => {
    const world = new LogWorld()
    const owner = world.owner({ cursorLedgerBytesMax: 300 })
    const log = await owner.factory.open<string>('t', KEEP_ALL)
    await new Appends(log).all(...numbered('m', 200))
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    for (let entryId = 1; entryId < 200; entryId += 2) {
      cursor.acknowledge(log.firstPosition.ledgerId, entryId)
      await cursor.flush()
    }
    await log.close()
    const owned = [...world.ledgers.stored.values()].filter(ledger => ledger.owner.startsWith('cursors'))
    assert.equal(owned.length, 1)
    assert.ok((owned[0]?.entries.length ?? 99) < 60)
    const again = await world.owner().factory.open<string>('t', KEEP_ALL)
    assert.equal(again.cursor('s')?.backlogEntries(), 100)
    assert.equal(again.cursor('s')?.ackedRangeCount(), 100)
  })

  test('a reset, also into a batch, is durable when it resolves; so is a deletion', async () => {
    const world = new LogWorld()
    const owner = world.owner()
    const log = await owner.factory.open<string>('t', KEEP_ALL)
    await new Appends(log).all(...numbered('m', 10))
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    await log.openCursor('gone', { initial: 'earliest' })
    await cursor.clearBacklog()
    assert.equal(cursor.backlogEntries(), 0)
    const target = log.positionAfter({ ledgerId: -1, entryId: -1 }, 4)
    await cursor.reset(target, Int32Array.of(6, 0))
    await log.deleteCursor('gone')
    owner.client.kill(() => 0)
    const again = await world.owner().factory.open<string>('t', KEEP_ALL)
    assert.equal(again.cursor('gone'), undefined)
    assert.equal(again.cursor('s')?.backlogEntries(), 7)
    assert.deepEqual(again.cursor('s')?.ackSet(target.ledgerId, target.entryId), Int32Array.of(6, 0))
  })
})

describe('reading', () => {
  test('findFirst finds what a scan finds, and reads only a few entries', async () => {
    const world = new LogWorld()
    const log = await filled(world, 200)
    for (const wanted of [0, 1, 57, 110, 199, 200]) {
      world.ledgers.reads = 0
      const found = await log.findFirst(entry => Number(entry.payload.toString().slice(1)) >= wanted)
      const expected =
        wanted === 200
          ? log.nextPosition(log.lastConfirmed)
          : log.positionAfter({ ledgerId: -1, entryId: -1 }, wanted + 1)
      assert.deepEqual(found, expected)
      assert.ok(world.ledgers.reads <= 9)
    }
  })

  test('readers at one place share a read, and the next ones are served from it', async () => {
    const world = new LogWorld()
    const first = await filled(world, 500, KEEP_ALL)
    await first.close()
    const log = await world.owner().factory.open<string>('t', KEEP_ALL)
    const limits = { entriesMax: 10, bytesMax: 1 << 20 }
    const reads = await Promise.all(Array.from({ length: 20 }, () => log.read(log.firstPosition, limits)))
    assert.ok(reads.every(entries => labelsOf(entries).join() === numbered('m', 10).join()))
    assert.deepEqual(await readAll(log), numbered('m', 500))
    assert.equal(world.ledgers.reads, 1)
  })
})
