import { strict as assert } from 'node:assert'
import { silentLogger, systemClock, type EntryId, type LedgerId } from '@strata/base'
import { ledgerDeletionKey } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import { bookieDirectories, type Bookie } from './bookie-types.ts'
import { openBookie } from './open-bookie.ts'
import { addOf, BOOKIE, CLUSTER, copyMetadata, openOn, seededRandom, SMALL, WaitingSink } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

const payload = (ledger: number, entry: number): Buffer => Buffer.alloc(2_000, `${ledger}/${entry};`)

async function add(bookie: Bookie, ledger: number, from: number, to: number, recovery = false): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) {
    bookie.add(addOf(ledger, entry, payload(ledger, entry), { recovery }), sink)
  }
  await sink.acknowledgedUpTo(ledger, to)
  assert.deepEqual(sink.failures, [])
}

/** What the node says of every entry of a ledger, up to `last`. */
async function contentOf(bookie: Bookie, ledger: number, last: number): Promise<string[]> {
  const said: string[] = []
  for (let entry = 0; entry <= last; entry++) {
    const range = { first: entry as EntryId, last: entry as EntryId, bytesMax: 1, entriesMax: 1 }
    const { entries, end } = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
    const isRight = entries[0]?.payload.equals(payload(ledger, entry))
    said.push(isRight === undefined ? end : isRight ? 'right' : 'WRONG')
  }
  return said
}

async function deleteLedger(metadata: MemoryMetadataStore, ledger: number): Promise<void> {
  const key = ledgerDeletionKey(ledger as LedgerId)
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
}

/**
 * Ledger 1: in entry logs and journals; 2: the same, fenced and written back to; 3: deleted; 5: fenced, never written to;
 * 6: a LAC that was told apart from any entry; 7: with holes.
 */
async function fill(bookie: Bookie, metadata: MemoryMetadataStore): Promise<void> {
  const fence = (ledgerId: number): Promise<unknown> => bookie.readLac({ ledgerId: ledgerId as LedgerId, fence: true })
  for (let round = 0; round < 10; round++) {
    for (const ledger of [1, 2, 3, 6]) await add(bookie, ledger, round * 20, round * 20 + 19)
    await add(bookie, 7, round * 20, round * 20)
    if (round === 2) await fence(5)
    await bookie.housekeep()
  }
  await fence(2)
  await add(bookie, 2, 200, 209, true)
  await bookie.writeLac({ ledgerId: 6 as LedgerId, lac: 199 as EntryId })
  await deleteLedger(metadata, 3)
  await bookie.housekeep()
  await bookie.housekeep()
  assert.ok(bookie.stats().entryLogs > 0 && bookie.stats().journalFiles > 1, 'both kinds of files hold something')
}

const heldBy = async (bookie: Bookie): Promise<object[]> => {
  const held = await bookie.heldLedgers({ after: -1, limit: 100 })
  return held.map(({ ledgerId, lastEntryId, isFenced }) => ({ ledgerId, lastEntryId, isFenced }))
}

test('an index made anew from the files says of every row what the one before it said', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await openOn(disk, metadata)
  await fill(bookie, metadata)
  const image = disk.crashImage(disk.operations.length, seededRandom(4))
  image.dropIndex()
  const store = await copyMetadata(metadata)
  const again = await openOn(image, store)

  // Its entries are still in files: the deletion record deletes them once more.
  for (let round = 0; round < 3; round++) await again.housekeep()
  assert.deepEqual(await heldBy(again), await heldBy(bookie))
  for (const ledger of [1, 2, 3, 5, 6, 7]) {
    const before = await contentOf(bookie, ledger, 215)
    assert.deepEqual(await contentOf(again, ledger, 215), before, `ledger ${ledger}`)
    assert.ok(!before.includes('WRONG') && before.at(-1) === (ledger === 3 ? 'unknown' : 'absent'))
  }
  const lacOf = async (ledgerId: number): Promise<number> =>
    (await again.readLac({ ledgerId: ledgerId as LedgerId, fence: false })).lac
  // The hint of 199 is lost, as it may be; what entries carried is not.
  assert.deepEqual([await lacOf(1), await lacOf(2), await lacOf(6)], [198, 208, 198])
  const sink = new WaitingSink()
  for (const ledger of [2, 5]) again.add(addOf(ledger, 300, payload(ledger, 300)), sink)
  await sink.failed(2)
  assert.deepEqual(
    sink.failures.map(({ failure }) => failure),
    ['FENCED', 'FENCED']
  )
  await again.close()
  await bookie.close()
})

test('after a crash only what is behind the checkpoint is read from the journal', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await openOn(disk, metadata)
  await add(bookie, 1, 0, 399)
  await bookie.housekeep()
  await add(bookie, 1, 400, 449)
  const image = disk.crashImage(disk.operations.length, seededRandom(7))
  const lines: { event?: string; records?: number; rebuilt?: boolean }[] = []
  const again = await openBookie({
    ...{ bookieId: BOOKIE, clusterId: CLUSTER, metadata: await copyMetadata(metadata), clock: systemClock },
    ...{ directories: bookieDirectories('/data'), disk: image, openIndexStore: image.openIndexStore, settings: SMALL },
    logger: { ...silentLogger, info: (fields: object) => void lines.push(fields) }
  })
  const { records, rebuilt } = lines.find(({ event }) => event === 'bookie.recovered') ?? {}
  assert.deepEqual({ records, rebuilt }, { records: 50, rebuilt: false })
  assert.deepEqual(new Set((await contentOf(again, 1, 449)).values()), new Set(['right']))
  await again.close()
  await bookie.close()
})
