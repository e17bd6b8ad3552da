import { strict as assert } from 'node:assert'
import { entryId, silentLogger, type BookieId, type LedgerId } from '@strata/base'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { decodeLoss, lossKey } from './care-records.ts'
import { closeWithLoss, type ClosedLedger } from './close-with-loss.ts'
import { auditorErrors } from './errors.ts'
import { AuditWorld, TIMES } from './testing/audit-world.ts'

let world: AuditWorld
let id: LedgerId
let members: BookieId[]
beforeEach(async () => {
  world = await AuditWorld.create(7)
  const writer = await world.write(20)
  id = writer.ledgerId
  members = [...((await world.record(id)).ensembles[0]?.bookies ?? assert.fail())]
})
afterEach(() => world.close())

function close(): Promise<ClosedLedger> {
  const { metadata, directory, clock } = world
  return closeWithLoss(id, { metadata, directory, clock, ledgers: world.client, logger: silentLogger })
}

const member = (at: number): BookieId => members[at] ?? assert.fail()

describe('closing a ledger whose nodes are destroyed', () => {
  test('is refused for as long as one that it waits for was not declared', async () => {
    await world.takeAway(member(0))
    await world.takeAway(member(1))
    const nodesOf = async (): Promise<unknown> => {
      const error: unknown = await close().catch((caught: unknown) => caught)
      assert(auditorErrors.is(error, 'NOT_DECLARED'))
      return error.details['nodes']
    }
    assert.deepEqual(await nodesOf(), [member(0), member(1)].sort())
    await world.declare(member(0), 'destroyed')
    assert.deepEqual(await nodesOf(), [member(1)])
    assert.equal((await world.record(id)).state, 'in-recovery')
    assert.equal(await world.metadata.get(lossKey(id)), undefined)
  })

  test('keeps all that anyone has, and records what was lost; the copies are made again', async () => {
    for (const at of [0, 1]) {
      await world.takeAway(member(at))
      await world.declare(member(at), 'destroyed')
    }
    for (const entry of [5, 18, 19]) world.node(member(2)).corrupt(id, entryId(entry))
    const { end, lost, destroyed } = await close()
    assert.deepEqual(end, { lastEntryId: 17, lengthBytes: 'entry 0'.length * 10 + 'entry 10'.length * 8 })
    assert.deepEqual(destroyed, [member(0), member(1)].sort())
    const expected = [
      { first: 5, last: 5, stripe: undefined },
      { first: 18, last: undefined, stripe: undefined }
    ]
    assert.deepEqual(lost, expected)
    const stored = await world.metadata.get(lossKey(id))
    assert.deepEqual(decodeLoss(stored?.value ?? assert.fail()).lost, expected)
    assert.deepEqual((await close()).end, end)

    const auditor = await world.startAuditor()
    world.clock.advance(TIMES.lostAfterMs)
    await auditor.settled()
    const { ensembles } = await world.record(id)
    const now = ensembles[0]?.bookies ?? assert.fail()
    assert(!now.includes(member(0)) && !now.includes(member(1)))
    for (const node of now) {
      const held = world.node(node).entryIds(id)
      assert.equal(held.filter(entry => entry <= 17).length, node === member(2) ? 18 : 17)
    }
  })

  test('loses nothing where recovery is possible', async () => {
    await world.takeAway(member(1))
    await world.declare(member(1), 'destroyed')
    const { end, lost } = await close()
    assert.equal(end.lastEntryId, 19)
    assert.deepEqual(lost, [])
    assert.equal(await world.metadata.get(lossKey(id)), undefined)
  })
})
