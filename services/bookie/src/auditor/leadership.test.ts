import { strict as assert } from 'node:assert'
import { LedgerError, LedgerMetadata } from '@strata/ledger-client'
import { afterEach, describe, test } from 'vitest'
import { AUDITOR_LEADER_KEY } from './care-records.ts'
import { AuditWorld, TIMES } from './testing/audit-world.ts'

let world: AuditWorld
afterEach(() => world.close())

describe('one that leads', () => {
  test('hands over to the next one, which does what is left', async () => {
    world = await AuditWorld.create(5)
    const id = await world.writeClosed(30)
    const first = await world.startAuditor()
    const second = world.addCandidate('n1')
    const gone = (await world.record(id)).ensembles[0]?.bookies[1] ?? assert.fail()
    await world.takeAway(gone)
    await first.close()
    assert.equal(first.leads, false)
    await second.settled()
    assert.equal(second.leads, true)
    assert((await world.record(id)).ensembles[0]?.bookies.includes(gone)) // a new leader grants the whole grace
    world.clock.advance(TIMES.lostAfterMs)
    await second.settled()
    await world.checkWhole(id, 29)
  })

  test('changes nothing any more when another one was elected', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(3)
    await world.startAuditor()
    const leader = (await world.metadata.get(AUDITOR_LEADER_KEY)) ?? assert.fail()
    const guardedBy = (version: number): LedgerMetadata =>
      new LedgerMetadata(world.metadata, world.clock, [{ key: AUDITOR_LEADER_KEY, version }])
    const stale = guardedBy(leader.version - 1)
    const before = (await stale.read(id)) ?? assert.fail()
    const change = { ...before.record, owner: 'changed' }
    await assert.rejects(stale.replace(id, before, change), error => LedgerError.is(error, 'NOT_LEADER'))
    await assert.rejects(stale.delete(id), error => LedgerError.is(error, 'NOT_LEADER'))
    assert.deepEqual(await stale.read(id), before)
    assert((await guardedBy(leader.version).replace(id, before, change)) !== undefined)
  })

  test('that is deposed amid a copy names nobody; led again, it does it all', async () => {
    world = await AuditWorld.create(4)
    const id = await world.writeClosed(10)
    const before = await world.record(id)
    const members = before.ensembles[0]?.bookies ?? assert.fail()
    const spare = [...world.nodes.keys()].find(node => !members.includes(node)) ?? assert.fail()
    const auditor = await world.startAuditor()
    await world.takeAway(members[0] ?? assert.fail())
    world.node(spare).holdSyncs()
    world.clock.advance(TIMES.lostAfterMs)
    for (let i = 0; i < 200; i++) await turn()
    assert.equal(auditor.status()?.pass?.kind, 'copies')
    await world.metadata.transact({ compares: [], changes: [{ kind: 'delete', key: AUDITOR_LEADER_KEY }] })
    world.node(spare).releaseSyncs()
    for (let i = 0; i < 200; i++) await turn()
    assert.deepEqual(await world.record(id), before)
    while ((await world.metadata.get(AUDITOR_LEADER_KEY)) === undefined) await turn()
    while (!auditor.leads) await turn()
    await auditor.settled()
    world.clock.advance(TIMES.lostAfterMs)
    await auditor.settled()
    await world.checkWhole(id, 9)
  })
})

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
