import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import type { ManagedLedger } from './contract.ts'
import { ManagedLedgerError } from './errors.ts'
import { Appends, KEEP_ALL, LogWorld, numbered, readAll } from './testing/log-world.ts'

function open(world: LogWorld): Promise<ManagedLedger<string>> {
  return world.owner().factory.open<string>('t', KEEP_ALL)
}

function isFenced(error: unknown): boolean {
  return ManagedLedgerError.is(error, 'LOG_FENCED')
}

describe('takeover', () => {
  test('after it nothing the old owner does survives, and everything it acknowledged is there', async () => {
    const world = new LogWorld()
    const old = await open(world)
    const oldAppends = new Appends(old)
    const cursor = await old.openCursor('s', { initial: 'earliest' })
    await oldAppends.all('a', 'b')
    const taken = await open(world)
    const late = await oldAppends.all('c')
    assert.ok(isFenced(late[2]?.error), 'the late append is refused')
    cursor.acknowledgeUpTo(old.lastConfirmed)
    await assert.rejects(cursor.flush(), isFenced)
    await assert.rejects(old.openCursor('new', { initial: 'earliest' }), isFenced)
    await assert.rejects(old.putProperties({ a: 'b' }), isFenced)
    await assert.rejects(old.terminate(), isFenced)
    assert.equal(old.stats().state, 'fenced')
    assert.deepEqual(await readAll(taken), ['a', 'b'])
    assert.equal(taken.cursor('s')?.backlogEntries(), 2)
    assert.deepEqual((await new Appends(taken).all('d')).at(-1)?.error, undefined)
    await old.close()
    const again = await open(world)
    assert.deepEqual(await readAll(again), ['a', 'b', 'd'])
    assert.deepEqual(
      again.cursors().map(known => known.name),
      ['s']
    )
    assert.equal(again.isTerminated, false)
  })

  test('a fenced owner learns it from a change of metadata alone', async () => {
    const world = new LogWorld()
    const old = await open(world)
    await open(world)
    await assert.rejects(old.putProperties({ a: 'b' }), isFenced)
    const outcomes = await new Appends(old).all('x')
    assert.ok(isFenced(outcomes[0]?.error))
    assert.deepEqual([...world.ledgers.stored.keys()], [])
  })

  test('a first append under way when the log is taken over is in the log, or refused', async () => {
    const world = new LogWorld()
    const old = await open(world)
    const appends = new Appends(old)
    appends.append('a')
    const taken = await open(world)
    const outcomes = await appends.settled()
    const again = await readAll(taken)
    assert.deepEqual(again, outcomes[0]?.error === undefined ? ['a'] : [])
  })

  test('many owners at once: one of them has the log at the end', async () => {
    const world = new LogWorld()
    const logs = await Promise.all(Array.from({ length: 6 }, () => open(world)))
    const results = await Promise.all(logs.map((log, index) => new Appends(log).all(`m${index}`)))
    const stored = results.flat().filter(outcome => outcome.error === undefined)
    assert.equal(stored.length, 1)
    assert.equal(new Set(logs.map(log => log.stats().epoch)).size, 6)
  })
})

describe('a writer that fails', () => {
  test('what its ledger holds is acknowledged there, the rest is appended to the next, in order', async () => {
    const world = new LogWorld()
    const log = await open(world)
    const appends = new Appends(log)
    await appends.all('a', 'b')
    world.ledgers.failAfter = 2
    const outcomes = await appends.all('c', 'd', 'e', 'f')
    assert.deepEqual(
      outcomes.map(outcome => [outcome.label, outcome.position?.ledgerId, outcome.position?.entryId]),
      [
        ['a', 0, 0],
        ['b', 0, 1],
        ['c', 0, 2],
        ['d', 0, 3],
        ['e', 1, 0],
        ['f', 1, 1]
      ]
    )
    assert.deepEqual(await readAll(log), ['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('appends fail once the deadline has passed, later ones at once, until storage is back', async () => {
    const world = new LogWorld()
    const log = await open(world)
    const appends = new Appends(log)
    await appends.all('a')
    world.ledgers.isDown = true
    appends.append('b')
    await world.until(() => {
      world.clock.advance(1_000)
      return appends.outcomes.length === 2
    })
    assert.ok(ManagedLedgerError.is(appends.outcomes[1]?.error, 'STORAGE_FAILED'))
    appends.append('c')
    assert.ok(ManagedLedgerError.is(appends.outcomes[2]?.error, 'STORAGE_FAILED'))
    world.ledgers.isDown = false
    await world.until(() => {
      world.clock.advance(500)
      appends.append('again')
      return appends.outcomes.at(-1)?.error === undefined || appends.outcomes.length < appends.appended
    })
    await appends.settled()
    assert.equal(appends.outcomes.at(-1)?.error, undefined)
    const stored = appends.outcomes.filter(outcome => outcome.error === undefined).map(outcome => outcome.label)
    assert.deepEqual(await readAll(log), stored)
  })

  test('a deadline that passes over entries in doubt does not lose count of them', async () => {
    const world = new LogWorld()
    const log = await world.owner().factory.open<string>('t', {
      ...KEEP_ALL,
      rollover: { ...KEEP_ALL.rollover, entriesMax: 3 }
    })
    const appends = new Appends(log)
    world.ledgers.isHolding = true
    appends.append('a', 'b', 'c', 'd') // the ledger is full: closing waits for confirmations that are held
    await world.until(() => world.ledgers.held.length > 0)
    await world.until(() => {
      world.clock.advance(1_000)
      return appends.outcomes.length === 4
    })
    assert.ok(appends.outcomes.every(outcome => ManagedLedgerError.is(outcome.error, 'STORAGE_FAILED')))
    world.ledgers.release()
    await world.until(() => {
      world.clock.advance(500)
      return log.stats().currentLedgerEntries === 0 && log.stats().state === 'open' && log.stats().entries === 3
    })
    await appends.all('e')
    assert.deepEqual(await readAll(log), ['a', 'b', 'c', 'e'])
  })

  test('a cursor ledger that fails is replaced by one that holds all cursors', async () => {
    const world = new LogWorld()
    const log = await open(world)
    await new Appends(log).all(...numbered('m', 20))
    const cursors = await Promise.all(numbered('s', 5).map(name => log.openCursor(name, { initial: 'earliest' })))
    const before = log.stats().cursorLedgerId
    world.ledgers.failAfter = 0
    for (const [index, cursor] of cursors.entries()) cursor.acknowledgeUpTo(log.positionAfter(cursor.markDelete, index))
    await Promise.all(cursors.map(cursor => cursor.flush()))
    assert.notEqual(log.stats().cursorLedgerId, before)
    const again = await open(world)
    assert.deepEqual(
      again.cursors().map(cursor => cursor.backlogEntries()),
      [20, 19, 18, 17, 16]
    )
  })
})
