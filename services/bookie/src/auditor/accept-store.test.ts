import { strict as assert } from 'node:assert'
import { ledgerId, type BookieId, type LedgerId } from '@strata/base'
import { ledgerKey, raiseLedgerIds } from '@strata/ledger-client'
import { afterEach, describe, test } from 'vitest'
import { acceptForAll, reconcileLedgers, type Reconciled } from './accept-store.ts'
import { AuditWorld } from './testing/audit-world.ts'

let world: AuditWorld
afterEach(() => world.close())

async function reconciled(): Promise<Reconciled[]> {
  const { metadata, directory, clock } = world
  const doors = { metadata, directory, clock, ownerOf: () => Promise.resolve('rebuilt'), onSeen: () => undefined }
  const found: Reconciled[] = []
  for await (const each of reconcileLedgers(doors)) found.push(each)
  return found
}

/** The row as it was at some time. */
async function rowOf(id: LedgerId): Promise<Uint8Array> {
  return (await world.metadata.get(ledgerKey(id)))?.value ?? assert.fail()
}

async function setBack(id: LedgerId, value: Uint8Array | undefined): Promise<void> {
  const key = ledgerKey(id)
  const change = value === undefined ? ({ kind: 'delete', key } as const) : ({ kind: 'put', key, value } as const)
  await world.metadata.transact({ compares: [], changes: [change] })
}

async function membersOf(id: LedgerId): Promise<readonly BookieId[]> {
  return (await world.record(id)).ensembles.at(-1)?.bookies ?? []
}

describe('metadata that was set back', () => {
  test('where all is well nothing is done', async () => {
    world = await AuditWorld.create(4)
    for (let i = 1; i < 6; i++) await world.writeClosed(i)
    assert.deepEqual(await reconciled(), [])
  })

  test('a ledger that it names by an ensemble from before a change keeps what was confirmed since', async () => {
    world = await AuditWorld.create(4)
    const writer = await world.write(10)
    const { ledgerId: id } = writer
    const old = await rowOf(id)
    const [first, second] = await membersOf(id)
    assert(first !== undefined && second !== undefined)
    // two of three change, one after the other: the old ensemble alone would say that nothing came after
    for (const node of [first, second]) {
      await world.takeAway(node)
      for (let i = 0; i < 10; i++) writer.append(Buffer.from(`entry ${writer.nextEntryId}`))
      while (writer.lastAddConfirmed < writer.nextEntryId - 1) await new Promise(resolve => setImmediate(resolve))
      await world.bringBack(node)
    }
    assert.notDeepEqual(await membersOf(id), (await world.record(id)).ensembles[0]?.bookies)
    await setBack(id, old)
    assert.deepEqual(await reconciled(), [{ kind: 'rebuilt', ledgerId: id, was: 'open', lastEntryId: 29 }])
    await world.startAuditor()
    await world.checkWhole(id, 29)
  })

  test('ledgers that it does not know are known again, those that were deleted are not', async () => {
    world = await AuditWorld.create(3)
    const unknown = await world.writeClosed(7)
    const deleted = await world.writeClosed(3)
    await setBack(unknown, undefined)
    await world.client.delete(deleted)
    assert.deepEqual(await reconciled(), [{ kind: 'rebuilt', ledgerId: unknown, was: 'unknown', lastEntryId: 6 }])
    assert.equal((await world.record(unknown)).owner, 'rebuilt')
    await world.checkWhole(unknown, 6)
    assert.deepEqual(await reconciled(), [])
  })

  test('a closed ledger whose copies went elsewhere since is found there', async () => {
    world = await AuditWorld.create(6)
    const id = await world.writeClosed(12)
    const old = await rowOf(id)
    const auditor = await world.startAuditor()
    const members = await membersOf(id)
    for (const node of members) {
      await world.takeAway(node)
      // longer than what counts as at once
      for (let i = 0; i < 2; i++) {
        world.clock.advance(3_700_000)
        await auditor.settled()
      }
    }
    for (const node of members) await world.bringBack(node, { isEmpty: true })
    await auditor.settled()
    await setBack(id, old)
    assert.deepEqual(await reconciled(), [{ kind: 'rebuilt', ledgerId: id, was: 'closed', lastEntryId: 11 }])
    await world.checkWhole(id, 11)
  })

  test('what cannot be put right is named, and blocks where it is not closed', async () => {
    world = await AuditWorld.create(3)
    const open = (await world.write(5)).ledgerId
    const unknown = await world.writeClosed(5)
    await setBack(unknown, undefined)
    for (const node of world.nodes.values()) {
      for (const id of [open, unknown]) node.corrupt(id, node.entryIds(id)[2] ?? assert.fail())
    }
    assert.deepEqual(
      (await reconciled()).map(each => [each.kind, each.ledgerId, each.kind === 'unresolved' && each.isBlocking]),
      [
        ['unresolved', open, true],
        ['unresolved', unknown, false]
      ]
    )
  })

  test('ids that were given out since are not given out again, though no node that is there has such ledgers', async () => {
    world = await AuditWorld.create(3)
    const held = await world.writeClosed(2)
    const { metadata, clock } = world
    const key = 'ledger-ids'
    const old = (await metadata.get(key))?.value ?? assert.fail()
    const later = ledgerId(held + 10_000)
    await raiseLedgerIds(metadata, { above: later, clock })
    await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: old }] })
    const directory = await world.openWideDirectory()
    for (const id of world.nodes.keys()) await world.setState(id, 'set-aside')
    assert.deepEqual(await acceptForAll({ metadata, directory, clock }), [...world.nodes.keys()])
    for (const id of world.nodes.keys()) await world.setState(id, 'writable')
    assert((await world.writeClosed(1)) > later)
  })

  test('a store that no node doubts goes on giving out its ids', async () => {
    world = await AuditWorld.create(3)
    const first = await world.writeClosed(1)
    const { metadata, clock } = world
    const directory = await world.openWideDirectory()
    assert.deepEqual(await acceptForAll({ metadata, directory, clock }), [])
    assert.equal(await world.writeClosed(1), first + 1)
  })
})
