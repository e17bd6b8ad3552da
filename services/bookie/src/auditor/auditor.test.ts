import { strict as assert } from 'node:assert'
import { bookieId, entryId } from '@strata/base'
import { afterEach, describe, test } from 'vitest'
import { decodeLoss, lossKey } from './care-records.ts'
import { AuditWorld, TIMES } from './testing/audit-world.ts'

const N0 = bookieId('n0')
const N1 = bookieId('n1')
const N2 = bookieId('n2')
const LOST_MS = TIMES.lostAfterMs

let world: AuditWorld
afterEach(() => world.close())

describe('a node that is gone', () => {
  test('has its copies made anew, after its grace and not before', async () => {
    world = await AuditWorld.create(5)
    const ids = [await world.writeClosed(40), await world.writeClosed(1), await world.writeClosed(0)]
    const auditor = await world.startAuditor()
    const [first] = ids
    assert(first !== undefined)
    const gone = (await world.record(first)).ensembles[0]?.bookies[1] ?? assert.fail()
    await world.takeAway(gone)
    world.clock.advance(LOST_MS - 1)
    await auditor.settled()
    assert.equal((await world.record(first)).ensembles[0]?.bookies[1], gone)
    world.clock.advance(1)
    await auditor.settled()
    for (const [id, last] of [
      [ids[0], 39],
      [ids[1], 0]
    ] as const) {
      assert(id !== undefined)
      await world.checkWhole(id, last)
      assert(!(await world.record(id)).ensembles.some(({ bookies }) => bookies.includes(gone)))
    }
    assert.equal(auditor.status()?.unfinishedCount, 0)
    assert.equal(auditor.status()?.lastPass?.kind, 'copies')
    assert((auditor.status()?.lastPass?.bytesCopied ?? 0) > 0)
  })

  test('is left alone when it is back in time', async () => {
    world = await AuditWorld.create(4)
    const id = await world.writeClosed(10)
    const before = await world.record(id)
    const auditor = await world.startAuditor()
    const [gone] = before.ensembles[0]?.bookies ?? []
    assert(gone !== undefined)
    await world.takeAway(gone)
    world.clock.advance(LOST_MS - 1)
    await world.bringBack(gone)
    world.clock.advance(LOST_MS * 2)
    await auditor.settled()
    assert.deepEqual(await world.record(id), before)
  })

  test('that comes back while it is repaired keeps its place', async () => {
    world = await AuditWorld.create(4)
    const id = await world.writeClosed(10)
    const before = await world.record(id)
    const members = before.ensembles[0]?.bookies ?? []
    const [gone] = members
    const spare = [...world.nodes.keys()].find(node => !members.includes(node))
    assert(gone !== undefined && spare !== undefined)
    const auditor = await world.startAuditor()
    await world.takeAway(gone)
    world.node(spare).holdSyncs()
    world.clock.advance(LOST_MS)
    while (auditor.status()?.pass === null) await turn()
    for (let i = 0; i < 100; i++) await turn()
    await world.bringBack(gone)
    world.node(spare).releaseSyncs()
    await auditor.settled()
    assert.deepEqual((await world.record(id)).ensembles, before.ensembles)
    await world.checkWhole(id, 9)
  })

  test('leaves a striped ledger whole over those that are left', async () => {
    world = await AuditWorld.create(7)
    const quorum = { ensembleSize: 5, writeQuorum: 3, ackQuorum: 2 }
    const id = await world.writeClosed(203, { quorum })
    const auditor = await world.startAuditor()
    const gone = (await world.record(id)).ensembles[0]?.bookies[2] ?? assert.fail()
    await world.takeAway(gone)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    await world.checkWhole(id, 202)
  })

  test('one whose place nobody can take is named; a new node takes it', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(5)
    const auditor = await world.startAuditor()
    await world.takeAway(N1)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    assert.deepEqual(auditor.status()?.unfinished, [{ ledgerId: id, why: 'no node can take the place of n1' }])
    await world.addNode('n9')
    await auditor.settled()
    await world.checkWhole(id, 4)
    assert.equal(auditor.status()?.unfinishedCount, 0)
  })
})

describe('a ledger of some groups of nodes', () => {
  const groups = { primary: ['fast'], secondary: [] }

  test('gets no member of another group: it waits for one of its own, and names what it waits for', async () => {
    world = await AuditWorld.create(5)
    const fast = ['n0', 'n1', 'n2'].map(name => bookieId(name))
    for (const id of fast) await world.putInGroup(id, 'fast')
    const id = await world.writeClosed(5, { groups })
    const anywhere = await world.writeClosed(5)
    const auditor = await world.startAuditor()
    await world.takeAway(N1)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    await world.checkWhole(anywhere, 4)
    const why = 'no node of fast can take the place of n1'
    assert.deepEqual(auditor.status()?.unfinished, [{ ledgerId: id, why }])
    await world.putInGroup(bookieId('n4'), 'fast')
    await auditor.settled()
    await world.checkWhole(id, 4)
    const members = (await world.record(id)).ensembles.flatMap(({ bookies }) => bookies)
    assert.deepEqual([...members].sort(), ['n0', 'n2', 'n4'])
    assert.deepEqual((await world.record(id)).groups, groups)
    assert.equal(auditor.status()?.unfinishedCount, 0)
  })
})

describe('what is left undone', () => {
  test('a node that takes copies again gets what nobody could take, without a walk over all ledgers', async () => {
    world = await AuditWorld.create(4)
    const id = await world.writeClosed(5)
    const members = (await world.record(id)).ensembles[0]?.bookies ?? []
    const [gone] = members
    const spare = [...world.nodes.keys()].find(node => !members.includes(node))
    assert(gone !== undefined && spare !== undefined)
    await world.setState(spare, 'read-only')
    const auditor = await world.startAuditor()
    await world.takeAway(gone)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    assert.deepEqual(auditor.status()?.unfinished, [{ ledgerId: id, why: `no node can take the place of ${gone}` }])
    await world.setState(spare, 'writable')
    await auditor.settled()
    await world.checkWhole(id, 4)
    assert.equal(auditor.status()?.unfinishedCount, 0)
    assert.deepEqual([auditor.status()?.lastPass?.kind, auditor.status()?.lastPass?.ledgersSeen], ['retry', 1])
  })

  test('is tried again in time however often nodes tell of trouble meanwhile', async () => {
    world = await AuditWorld.create(4)
    const id = await world.writeClosed(10)
    const members = (await world.record(id)).ensembles[0]?.bookies ?? []
    const [silent, talker] = members
    assert(silent !== undefined && talker !== undefined)
    world.node(silent).stop()
    const auditor = await world.startAuditor()
    assert.equal(auditor.status()?.unfinished[0]?.ledgerId, id)
    world.node(silent).start()
    for (let told = 1; told <= 5; told++) {
      world.clock.advance(TIMES.retryMs / 5)
      await auditor.settled()
      await world.tellOfTrouble(talker, `${told} entries are damaged`)
      await auditor.settled()
    }
    assert.equal(auditor.status()?.unfinishedCount, 0)
  })

  test('after all was done, waits no longer than at first', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(10)
    const auditor = await world.startAuditor()
    const becomesSilent = async (retries: number): Promise<void> => {
      world.node(N1).stop()
      auditor.trigger('check')
      await auditor.settled()
      assert.equal(auditor.status()?.unfinished[0]?.ledgerId, id)
      for (let i = 0; i < retries; i++) {
        world.clock.advance(TIMES.retryMs * 2 ** i)
        await auditor.settled()
      }
      world.node(N1).start()
      world.clock.advance(TIMES.retryMs * 2 ** retries)
      await auditor.settled()
      assert.equal(auditor.status()?.unfinishedCount, 0)
    }
    await becomesSilent(4)
    await becomesSilent(0)
  })
})

describe('copies that are not what they must be', () => {
  test('an empty disk in the place of a full one is filled again', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(30)
    const auditor = await world.startAuditor()
    const before = await world.record(id)
    await world.takeAway(N2)
    await world.bringBack(N2, { isEmpty: true })
    await auditor.settled()
    await world.checkWhole(id, 29)
    assert.deepEqual((await world.record(id)).ensembles, before.ensembles)
  })

  test('damage that a check of all bytes finds is mended in place', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(30)
    const auditor = await world.startAuditor()
    for (const entry of [0, 7, 29]) world.node(N1).corrupt(id, entryId(entry))
    world.node(N2).corrupt(id, entryId(7))
    auditor.trigger('verify')
    await auditor.settled()
    await world.checkWhole(id, 29)
  })

  test('damage that is met while copying is not copied, and is mended', async () => {
    world = await AuditWorld.create(4)
    const id = await world.writeClosed(30)
    const members = (await world.record(id)).ensembles[0]?.bookies ?? []
    const [gone, damaged] = members
    assert(gone !== undefined && damaged !== undefined)
    const auditor = await world.startAuditor()
    world.node(damaged).corrupt(id, entryId(4))
    await world.takeAway(gone)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    await world.checkWhole(id, 29)
  })

  test('damage that a node tells of is mended, without a walk over all ledgers', async () => {
    world = await AuditWorld.create(3)
    const ids = [await world.writeClosed(30), await world.writeClosed(30), await world.writeClosed(30)]
    const auditor = await world.startAuditor()
    const damaged = ids[1] ?? assert.fail()
    for (const entry of [0, 7, 29]) world.node(N1).corrupt(damaged, entryId(entry))
    assert.equal(world.node(N1).scrub(), 3)
    await world.tellOfTrouble(N1, '3 entries are damaged')
    await auditor.settled()
    await world.checkWhole(damaged, 29)
    const pass = auditor.status()?.lastPass
    assert.deepEqual([pass?.kind, pass?.ledgersSeen], ['damage', 1])
    assert.equal(world.node(N1).scrub(), 0)
  })

  test('damage in what a writer still has is mended when that is closed', async () => {
    world = await AuditWorld.create(3)
    const writer = await world.write(20)
    const auditor = await world.startAuditor()
    world.node(N1).corrupt(writer.ledgerId, entryId(4))
    world.node(N1).scrub()
    await world.tellOfTrouble(N1, '1 entries are damaged')
    await auditor.settled()
    await writer.close()
    for (let i = 0; i < 3; i++) {
      world.clock.advance(TIMES.retryMs)
      await auditor.settled()
    }
    await world.checkWhole(writer.ledgerId, 19)
  })

  test('a node that tells of trouble and does not say what is asked for all it should have', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(10)
    const auditor = await world.startAuditor()
    world.node(N1).stop()
    await world.tellOfTrouble(N1, 'index: failed')
    await auditor.settled()
    assert.equal(auditor.status()?.unfinished[0]?.ledgerId, id)
    world.node(N1).start()
    world.clock.advance(TIMES.retryMs)
    await auditor.settled()
    assert.equal(auditor.status()?.unfinishedCount, 0)
  })

  test('what nobody has any more is reported once, with its range, and the rest is brought back', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(10)
    const auditor = await world.startAuditor()
    for (const node of [N0, N1, N2]) world.node(node).corrupt(id, entryId(3))
    world.node(N1).corrupt(id, entryId(8))
    auditor.trigger('verify')
    await auditor.settled()
    const stored = await world.metadata.get(lossKey(id))
    assert(stored !== undefined)
    assert.deepEqual(decodeLoss(stored.value).lost, [{ first: 3, last: 3, stripe: undefined }])
    auditor.trigger('verify')
    await auditor.settled()
    assert.equal((await world.metadata.get(lossKey(id)))?.version, stored.version)
    assert.equal(auditor.status()?.unfinishedCount, 0)
  })
})

describe('many nodes gone at once', () => {
  test('repair waits, and goes on when one is back', async () => {
    world = await AuditWorld.create(6)
    const ids = []
    for (let i = 0; i < 6; i++) ids.push(await world.writeClosed(5))
    const before = await Promise.all(ids.map(id => world.record(id)))
    const auditor = await world.startAuditor()
    await world.takeAway(N1)
    await world.takeAway(N2)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    assert.deepEqual(auditor.status()?.waiting, { rack: null, gone: 2, of: 6 })
    assert.deepEqual(await Promise.all(ids.map(id => world.record(id))), before)
    await world.bringBack(N1)
    await auditor.settled()
    assert.equal(auditor.status()?.waiting, null)
    for (const id of ids) await world.checkWhole(id, 4)
  })
})

describe('a rack that goes at once', () => {
  test('is waited for, though most nodes are there; a node that is declared destroyed does not count', async () => {
    world = await AuditWorld.create(8, { racks: ['r1', 'r1', 'r2', 'r2', 'r2', 'r3', 'r3', 'r3'] })
    const ids = [await world.writeClosed(5), await world.writeClosed(5), await world.writeClosed(5)]
    const before = await Promise.all(ids.map(id => world.record(id)))
    const auditor = await world.startAuditor()
    await world.takeAway(N0)
    await world.takeAway(N1)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    assert.deepEqual(auditor.status()?.waiting, { rack: 'r1', gone: 2, of: 2 })
    assert.deepEqual(await Promise.all(ids.map(id => world.record(id))), before)
    await world.declare(N0, 'destroyed')
    await auditor.settled()
    assert.equal(auditor.status()?.waiting, null)
    for (const id of ids) await world.checkWhole(id, 4)
  })
})

describe('ledgers that are not closed', () => {
  test('are left to their writer for a while, then recovered and repaired', async () => {
    world = await AuditWorld.create(5)
    const writer = await world.write(20)
    const auditor = await world.startAuditor()
    const gone = (await world.record(writer.ledgerId)).ensembles[0]?.bookies[0] ?? assert.fail()
    await world.takeAway(gone)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    assert.equal((await world.record(writer.ledgerId)).state, 'open')
    for (let waited = 0; waited <= TIMES.openLedgerGraceMs; waited += 5_000) {
      world.clock.advance(5_000)
      await auditor.settled()
    }
    world.clock.advance(60_000)
    await auditor.settled()
    assert.equal((await world.record(writer.ledgerId)).state, 'closed')
    await world.checkWhole(writer.ledgerId, 19)
  })

  test('one that cannot be recovered is named, and closed when its nodes are back', async () => {
    world = await AuditWorld.create(9)
    const writer = await world.write(20)
    const auditor = await world.startAuditor()
    const members = (await world.record(writer.ledgerId)).ensembles[0]?.bookies ?? []
    const [first, second] = members
    assert(first !== undefined && second !== undefined)
    await world.takeAway(first)
    await world.takeAway(second)
    for (let i = 0; i < 60; i++) {
      world.clock.advance(5_000)
      await auditor.settled()
    }
    assert.equal((await world.record(writer.ledgerId)).state, 'in-recovery')
    assert.match(auditor.status()?.unfinished[0]?.why ?? '', /cannot be closed/)
    await world.bringBack(first)
    for (let i = 0; i < 100; i++) {
      world.clock.advance(5_000)
      await auditor.settled()
    }
    assert.equal((await world.record(writer.ledgerId)).state, 'closed')
    await world.checkWhole(writer.ledgerId, 19)
  })
})

describe('a node that lost what its writer still appends to', () => {
  test('gets it back when the ledger is closed', async () => {
    world = await AuditWorld.create(3)
    const writer = await world.write(20)
    const auditor = await world.startAuditor()
    await world.takeAway(N1)
    await world.bringBack(N1, { isEmpty: true })
    await auditor.settled()
    assert.equal((await world.record(writer.ledgerId)).state, 'open')
    await world.client.recover(writer.ledgerId)
    for (let i = 0; i < 3; i++) {
      world.clock.advance(TIMES.retryMs)
      await auditor.settled()
    }
    await world.checkWhole(writer.ledgerId, 19)
  })
})

describe('a node that is to leave', () => {
  test('is read from until others have all it had, and then let go', async () => {
    world = await AuditWorld.create(4)
    const ids = [await world.writeClosed(12), await world.writeClosed(3)]
    const writer = await world.write(4)
    const auditor = await world.startAuditor()
    const leaving = (await world.record(writer.ledgerId)).ensembles[0]?.bookies[2] ?? assert.fail()
    await world.declare(leaving, 'leaving')
    for (let i = 0; i < 20; i++) {
      await auditor.settled()
      world.clock.advance(5_000)
    }
    await auditor.settled()
    for (const id of [...ids, writer.ledgerId]) {
      assert(!(await world.record(id)).ensembles.some(({ bookies }) => bookies.includes(leaving)))
    }
    await world.checkWhole(ids[0] ?? assert.fail(), 11)
    assert.deepEqual(auditor.status()?.departures, [])
    await world.takeAway(leaving)
    world.clock.advance(LOST_MS)
    await auditor.settled()
    assert.deepEqual(auditor.status()?.nodes, [])
  })

  test('stays where nobody can take its place', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(5)
    const auditor = await world.startAuditor()
    await world.declare(N1, 'leaving')
    await auditor.settled()
    assert.deepEqual(auditor.status()?.departures, [{ bookieId: N1, kind: 'leaving', ledgers: 1, notClosed: 0 }])
    await world.checkWhole(id, 4)
    assert((await world.record(id)).ensembles[0]?.bookies.includes(N1))
  })
})

describe('ledgers that nobody lists', () => {
  test('are deleted after their grace, and those of an owner that is not known never', async () => {
    world = await AuditWorld.create(3)
    const orphan = await world.writeClosed(2, { owner: 'log:gone@1' })
    const foreign = await world.writeClosed(2, { owner: 'somebody else' })
    const auditor = await world.startAuditor({ orphanGraceMs: 10_000 })
    world.clock.advance(9_999)
    auditor.trigger('check')
    await auditor.settled()
    await world.record(orphan)
    world.clock.advance(1)
    auditor.trigger('check')
    await auditor.settled()
    assert.equal(await world.client.describe(orphan), undefined)
    assert((await world.metadata.get(`ledger-deletions/${String(orphan).padStart(16, '0')}`)) !== undefined)
    await world.record(foreign)
  })
})

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
