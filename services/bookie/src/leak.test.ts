import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { ledgerDeletionKey } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { expect, test } from 'vitest'
import type { Bookie } from './bookie-types.ts'
import { addOf, copyMetadata, openOn, seededRandom, SMALL, WaitingSink } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

const KIB = 1024
const TINY = { ...SMALL, journalFileBytes: 48 * KIB, journalBytesMax: 96 * KIB, moveChunkBytes: 16 * KIB }
const DELETED = [1, 2]
const KEPT = 3
const ROUNDS = 8
const ENTRIES = ROUNDS * 10
/** Enough for every step of a deletion, a move and a compaction. */
const HOUSEKEEPING_ROUNDS = 6

const payload = (ledger: number, entry: number): Buffer => Buffer.alloc(1_000, `${ledger}/${entry};`)

/** Ledgers side by side, in entry logs and in journal files. */
async function fill(bookie: Bookie): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const sink = new WaitingSink()
    const last = round * 10 + 9
    for (let entry = round * 10; entry <= last; entry++) {
      for (const ledger of [...DELETED, KEPT]) bookie.add(addOf(ledger, entry, payload(ledger, entry)), sink)
    }
    for (const ledger of [...DELETED, KEPT]) await sink.acknowledgedUpTo(ledger, last)
    await bookie.housekeep()
  }
}

async function housekeep(bookie: Bookie): Promise<void> {
  for (let round = 0; round < HOUSEKEEPING_ROUNDS; round++) await bookie.housekeep()
}

/** As the ledger client does it: from here on the ledger is nobody's. */
async function deleteAll(metadata: MemoryMetadataStore): Promise<void> {
  const changes = DELETED.map(ledger => {
    return { kind: 'put' as const, key: ledgerDeletionKey(ledger as LedgerId), value: Buffer.of(1) }
  })
  await metadata.transact({ compares: [], changes })
}

async function read(bookie: Bookie, ledger: number, entry: number): Promise<Buffer | undefined> {
  const range = { first: entry as EntryId, last: entry as EntryId, bytesMax: 1, entriesMax: 1 }
  return (await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })).entries[0]?.payload
}

/** What was deleted is gone, with its space; what was not is there. */
async function check(bookie: Bookie, liveBytes: number): Promise<void> {
  const held = await bookie.heldLedgers({ after: -1, limit: 10 })
  assert.deepEqual(
    held.map(({ ledgerId }) => ledgerId),
    [KEPT]
  )
  for (let entry = 0; entry < ENTRIES; entry++) {
    assert.ok((await read(bookie, KEPT, entry))?.equals(payload(KEPT, entry)), `${KEPT}:${entry}`)
  }
  for (const ledger of DELETED) assert.equal(await read(bookie, ledger, 0), undefined)
  const stats = bookie.stats()
  assert.equal(stats.liveBytes, liveBytes)
  // an entry log is merged with others below half, and journal files are bounded
  assert.ok(stats.entryLogBytes < 4 * liveBytes, `${stats.entryLogBytes} bytes of entry logs for ${liveBytes}`)
}

test('wherever a node crashes while it deletes, the space comes back, and nothing else goes', async () => {
  const random = seededRandom(11)
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await openOn(disk, metadata, TINY)
  await fill(bookie)
  expect(bookie.stats().entryLogs).toBeGreaterThan(0)
  const before = disk.operations.length
  const liveBytesBefore = bookie.stats().liveBytes
  await deleteAll(metadata)
  await housekeep(bookie)
  const { liveBytes } = bookie.stats()
  expect(liveBytes).toBeLessThan(liveBytesBefore / 2.9)
  await check(bookie, liveBytes)
  const end = disk.operations.length
  // what happens between two of these is the same for whoever comes after
  const isStep = (kind: string): boolean => kind === 'index' || kind.startsWith('sync') || kind === 'unlink'
  for (let cut = before; cut <= end; cut++) {
    if (cut < end && !isStep(disk.operations[cut]?.kind ?? '') && random() > 0.1) continue
    const store = await copyMetadata(metadata)
    const again = await openOn(disk.crashImage(cut, random), store, TINY)
    await housekeep(again)
    try {
      await check(again, liveBytes)
    } catch (cause) {
      throw new Error(`after operation ${cut} of ${before} to ${end}`, { cause })
    }
    await again.close()
    await store.close()
  }
  await bookie.close()
}, 120_000)

test('a record that comes while the node does not run is found when it does', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const first = await openOn(disk, metadata, TINY)
  await fill(first)
  await first.close()
  await deleteAll(metadata)
  const again = await openOn(disk, metadata, TINY)
  await housekeep(again)
  await check(again, again.stats().liveBytes)
  await again.close()
})

test('a store that was set back, emptied or swapped deletes nothing until it is accepted', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const first = await openOn(disk, metadata, TINY)
  await fill(first)
  const old = await copyMetadata(metadata)
  await first.signMetadata()
  await first.signMetadata()
  await first.close()
  await deleteAll(old)
  const again = await openOn(disk, old, TINY)
  const standing = await again.signMetadata()
  assert.ok(standing.kind === 'set back')
  await housekeep(again)
  for (const ledger of DELETED) assert.ok(await read(again, ledger, 0))
  const accept = (count: number): Promise<unknown> => {
    const change = { kind: 'put', key: 'bookies/bookie-1/accepted', value: Buffer.from(String(count)) } as const
    return old.transact({ compares: [], changes: [change] })
  }
  await accept(standing.signedCount - 1)
  assert.equal((await again.signMetadata()).kind, 'set back')
  await accept(standing.signedCount)
  assert.equal((await again.signMetadata()).kind, 'trusted')
  await housekeep(again)
  for (const ledger of DELETED) assert.equal(await read(again, ledger, 0), undefined)
  // what was accepted is not so again for a store that is set back later
  await again.signMetadata()
  await again.close()
  const older = await copyMetadata(old)
  const changes = [{ kind: 'delete' as const, key: 'bookies/bookie-1/revision' }]
  await older.transact({ compares: [], changes })
  const third = await openOn(disk, older, TINY)
  assert.equal((await third.signMetadata()).kind, 'set back')
  await third.close()
})
