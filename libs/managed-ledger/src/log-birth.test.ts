import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { ManagedLedgerError } from './errors.ts'
import { logBirth } from './records.ts'
import { Appends, KEEP_ALL, LogWorld, readAll } from './testing/log-world.ts'

let world: LogWorld
beforeEach(() => {
  world = new LogWorld()
})
afterEach(() => world.metadata.close())

/** With a row that stands for whatever the log belongs to. */
async function born(name: string): Promise<number> {
  const { compare, change } = logBirth(name)
  const owner = { kind: 'put' as const, key: `topic of ${name}`, value: new Uint8Array(0) }
  const result = await world.metadata.transact({ compares: [compare], changes: [owner, change] })
  assert.ok(result.committed)
  return result.revision
}

describe('a log made in the transaction of another', () => {
  test('is open without a read or a write, and works like any', async () => {
    const bornAt = await born('t')
    const { metadata } = world
    const { get, scan, transact } = metadata
    const refuse = (): never => assert.fail('the store was asked')
    Object.assign(metadata, { get: refuse, scan: refuse, transact: refuse })
    const log = await world.owner().factory.open<string>('t', { ...KEEP_ALL, bornAt })
    Object.assign(metadata, { get, scan, transact })
    assert.equal(log.stats().epoch, 1)
    await new Appends(log).all('a', 'b')
    await log.openCursor('c', { initial: 'earliest' })
    await log.close()
    const again = await world.owner().factory.open<string>('t', KEEP_ALL)
    assert.deepEqual(await readAll(again), ['a', 'b'])
    assert.equal(again.cursors().length, 1)
  })

  test('that somebody took over since takes nothing', async () => {
    const bornAt = await born('t')
    const taken = await world.owner().factory.open<string>('t', KEEP_ALL)
    const late = await world.owner().factory.open<string>('t', { ...KEEP_ALL, bornAt })
    const [outcome] = await new Appends(late).all('lost')
    assert.ok(ManagedLedgerError.is(outcome?.error, 'LOG_FENCED'))
    await new Appends(taken).all('kept')
    assert.deepEqual(await readAll(taken), ['kept'])
  })

  test('is made only where there is none', async () => {
    await born('t')
    const { compare, change } = logBirth('t')
    const result = await world.metadata.transact({ compares: [compare], changes: [change] })
    assert.equal(result.committed, false)
  })
})
