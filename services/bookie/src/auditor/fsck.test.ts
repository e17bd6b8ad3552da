import { strict as assert } from 'node:assert'
import { bookieId, entryId, type LedgerId } from '@strata/base'
import { ledgerKey } from '@strata/ledger-client'
import { entryDigest } from '@strata/ledger-protocol'
import { afterEach, describe, test } from 'vitest'
import { auditorErrors } from './errors.ts'
import { checkCluster, isHarmless, type Difference } from './fsck.ts'
import { rebuildLedger } from './rebuild.ts'
import { AuditWorld } from './testing/audit-world.ts'

const N1 = bookieId('n1')

let world: AuditWorld
afterEach(() => world.close())

async function differences({ verify = false }: { verify?: boolean } = {}): Promise<Difference[]> {
  const { metadata, directory } = world
  const found: Difference[] = []
  for await (const each of checkCluster({ metadata, directory, verify, onSeen: () => undefined })) found.push(each)
  return found
}

async function forget(id: LedgerId): Promise<void> {
  await world.metadata.transact({ compares: [], changes: [{ kind: 'delete', key: ledgerKey(id) }] })
}

const rebuild = (id: LedgerId): Promise<unknown> => {
  const { metadata, directory, clock } = world
  return rebuildLedger(id, { metadata, directory, clock, owner: 'rebuilt' })
}

describe('differences between the metadata and the nodes', () => {
  test('there are none where all is well', async () => {
    world = await AuditWorld.create(4)
    for (let i = 0; i < 5; i++) await world.writeClosed(i)
    await world.write(3)
    assert.deepEqual(await differences({ verify: true }), [])
  })

  test('each is named', async () => {
    world = await AuditWorld.create(3)
    const whole = await world.writeClosed(9)
    const cut = await world.writeClosed(9)
    const unknown = await world.writeClosed(4)
    const deleted = await world.writeClosed(4)
    const orphan = await world.writeClosed(1, { owner: 'log:gone@3' })
    world.node(N1).drop(cut)
    world.node(N1).corrupt(whole, entryId(5))
    await forget(unknown)
    await world.client.delete(deleted)
    const nodes = ['n0', 'n1', 'n2']
    const expected = [
      { kind: 'missing', ledgerId: whole, bookieId: 'n1', first: 5, last: 5 },
      { kind: 'missing', ledgerId: cut, bookieId: 'n1', first: 0, last: 8 },
      { kind: 'unlisted', ledgerId: orphan, owner: 'log:gone@3' },
      ...nodes.flatMap(node => [
        { kind: 'unknown', ledgerId: unknown, bookieId: node, lastEntryId: 3 },
        { kind: 'deletion-due', ledgerId: deleted, bookieId: node }
      ])
    ]
    const found = await differences({ verify: true })
    assert.deepEqual(found, expected)
    assert.equal(found.filter(isHarmless).length, 4)
  })

  test('a node that is away is named with each ledger that needs it', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(2)
    await world.takeAway(N1)
    assert.deepEqual(await differences(), [{ kind: 'unanswered', ledgerId: id, bookieId: 'n1' }])
  })
})

describe('metadata made anew from nodes', () => {
  test('says again what it said, for a closed ledger', async () => {
    world = await AuditWorld.create(3)
    const id = await world.writeClosed(25)
    const before = await world.record(id)
    await forget(id)
    await rebuild(id)
    const after = await world.record(id)
    assert.deepEqual([after.state, after.end, after.quorum], ['closed', before.end, before.quorum])
    await world.checkWhole(id, 24)
    assert.deepEqual(await differences({ verify: true }), [])
    const next = await world.client.create({ owner: 'test', listener: NOBODY })
    assert(next.ledgerId > id)
  })

  test('of a striped ledger, finds its stripes', async () => {
    world = await AuditWorld.create(5)
    const quorum = { ensembleSize: 5, writeQuorum: 3, ackQuorum: 2 }
    const id = await world.writeClosed(120, { quorum })
    const before = await world.record(id)
    await forget(id)
    await rebuild(id)
    const after = await world.record(id)
    assert.deepEqual([after.end, after.quorum, after.ensembles], [before.end, quorum, before.ensembles])
    assert.deepEqual(await differences({ verify: true }), [])
    await world.checkWhole(id, 119)
  })

  test('of a striped ledger that lost a node, leaves a place that is filled', async () => {
    world = await AuditWorld.create(7)
    const id = await world.writeClosed(400, { quorum: { ensembleSize: 5, writeQuorum: 3, ackQuorum: 2 } })
    const lost = (await world.record(id)).ensembles[0]?.bookies[1] ?? assert.fail()
    await world.takeAway(lost)
    await world.declare(lost, 'destroyed')
    await forget(id)
    await rebuild(id)
    assert.equal((await world.record(id)).quorum.writeQuorum, 3)
    await world.startAuditor()
    await world.checkWhole(id, 399)
  })

  test('ends where nobody has, nor can have had, what comes next; not before what was confirmed', async () => {
    world = await AuditWorld.create(3)
    const writer = await world.write(20, { quorum: { ensembleSize: 3, writeQuorum: 2, ackQuorum: 2 } })
    const { ledgerId: id } = writer
    // the tail of a writer that died: entry 20 came to nobody, 21 to one
    const payload = Buffer.from('entry 21')
    const last = { ledgerId: id, entryId: entryId(21), lac: entryId(19), lengthBytes: 1_000, payload }
    const sink = new Sink()
    world.node(N1).add({ ...last, crc32c: entryDigest(last), recovery: false }, sink)
    await sink.answered
    await forget(id)
    await rebuild(id)
    assert.equal((await world.record(id)).end?.lastEntryId, 19)
    await world.checkWhole(id, 19)
    // what a node lost may be what is missing
    const other = (await world.write(5)).ledgerId
    for (const node of world.nodes.values()) node.corrupt(other, entryId(4))
    await forget(other)
    await assert.rejects(rebuild(other), error => auditorErrors.is(error, 'CANNOT_REBUILD'))
  })

  test('is refused where nodes do not tell enough', async () => {
    world = await AuditWorld.create(3)
    const reasonOf = async (id: LedgerId): Promise<string> => {
      const error: unknown = await rebuild(id).catch((caught: unknown) => caught)
      assert(auditorErrors.is(error, 'CANNOT_REBUILD'))
      return String(error.details['reason'])
    }
    const id = await world.writeClosed(8)
    assert.match(await reasonOf(id), /knows it/)
    const deleted = await world.writeClosed(8)
    await world.client.delete(deleted)
    assert.match(await reasonOf(deleted), /was deleted/)
    await forget(id)
    for (const node of world.nodes.values()) node.corrupt(id, entryId(3))
    assert.match(await reasonOf(id), /nobody has entries 3 to 3/)
    assert.match(await reasonOf(1_000_000 as LedgerId), /no node/)
    await world.takeAway(N1)
    assert.match(await reasonOf(id), /n1 may have more/)
  })
})

class Sink {
  #answer: () => void = () => undefined
  readonly answered = new Promise<void>(resolve => (this.#answer = resolve))

  onAdded(): void {
    this.#answer()
  }

  onAddFailed(): void {
    assert.fail()
  }
}

const NOBODY = { onConfirmed: () => undefined, onFailed: () => undefined }
