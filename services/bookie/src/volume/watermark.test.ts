import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import { addOf, BOOKIE, copyMetadata, openOn, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'
import { readWatermark } from './watermark.ts'

const LEDGER = 3

async function add(bookie: Bookie, from: number, to: number): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) bookie.add(addOf(LEDGER, entry, Buffer.alloc(100, entry)), sink)
  await sink.acknowledgedUpTo(LEDGER, to)
}

async function endOf(bookie: Bookie): Promise<[number, string]> {
  const range = { first: 0 as EntryId, last: 99 as EntryId, bytesMax: 1e6, entriesMax: 100 }
  const { entries, end } = await bookie.read({ ledgerId: LEDGER as LedgerId, ...range, fence: false })
  return [entries.length, end]
}

async function metadataWithLedger(): Promise<MemoryMetadataStore> {
  const metadata = new MemoryMetadataStore()
  const key = `ledgers/${String(LEDGER).padStart(16, '0')}`
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
  return metadata
}

test('a volume that was rolled back within one run of its node is noticed, once', async () => {
  const disk = new RecordingDisk()
  const metadata = await metadataWithLedger()
  const bookie = await openOn(disk, metadata)
  await add(bookie, 0, 9)
  const older = disk.copy()
  await add(bookie, 10, 19)
  await bookie.housekeep()
  assert.equal((await readWatermark(metadata, BOOKIE))?.sequence, 20)
  let again = await openOn(older, metadata)
  assert.deepEqual(await endOf(again), [10, 'unknown'])
  assert.equal((await readWatermark(metadata, BOOKIE))?.sequence, 10, 'what it has now')
  await again.close()
  again = await openOn(older, metadata)
  assert.deepEqual(await endOf(again), [10, 'unknown'], 'for ever')
  await again.close()
  await bookie.close()
})

test('a volume that was rolled back is noticed also where nothing says how far its journal was', async () => {
  const disk = new RecordingDisk()
  const metadata = await metadataWithLedger()
  const bookie = await openOn(disk, metadata, { ...SMALL, journalAgeMsMax: -1 })
  await add(bookie, 0, 9)
  // one begins the next journal file, the other moves what is in the one before
  for (let round = 0; round < 3; round++) await bookie.housekeep()
  const older = disk.copy()
  older.dropIndex()
  await add(bookie, 10, 19)
  await bookie.housekeep()
  const again = await openOn(older, metadata)
  assert.deepEqual(await endOf(again), [10, 'unknown'])
  await again.close()
  await bookie.close()
})

test('a volume that was rolled back to a failed sync, and has as many records as were told of since, is noticed', async () => {
  const disk = new RecordingDisk()
  const metadata = await metadataWithLedger()
  const bookie = await openOn(disk, metadata)
  await add(bookie, 0, 9)
  await bookie.housekeep()
  disk.fault = ({ kind, path }) => (kind === 'sync' && path.endsWith('.journal') ? 'EIO' : undefined)
  const sink = new WaitingSink()
  for (let entry = 10; entry < 14; entry++) bookie.add(addOf(LEDGER, entry, Buffer.alloc(100, entry)), sink)
  await sink.failed(4)
  const older = disk.copy()
  disk.fault = () => undefined
  for (let round = 0; round < 2; round++) await bookie.housekeep()
  await add(bookie, 10, 11)
  await bookie.housekeep()
  assert.ok(((await readWatermark(metadata, BOOKIE))?.sequence ?? 0) <= 14)
  const again = await openOn(older, await copyMetadata(metadata))
  assert.deepEqual(await endOf(again), [14, 'unknown'])
  await again.close()
  const crashed = await openOn(disk.copy(), metadata)
  assert.deepEqual(await endOf(crashed), [12, 'absent'], 'it has all that was told of')
  await crashed.close()
  await bookie.close()
})

test('an empty volume in the place of one that was told of is noticed', async () => {
  const disk = new RecordingDisk()
  const metadata = await metadataWithLedger()
  const bookie = await openOn(disk, metadata)
  const empty = disk.copy()
  await add(bookie, 0, 9)
  await bookie.housekeep()
  const again = await openOn(empty, metadata)
  assert.deepEqual(await endOf(again), [0, 'unknown'])
  await again.close()
  await bookie.close()
})

test('a node that only crashed keeps its authority, with its index or without', async () => {
  const disk = new RecordingDisk()
  const metadata = await metadataWithLedger()
  const bookie = await openOn(disk, metadata)
  await add(bookie, 0, 9)
  await bookie.housekeep()
  await add(bookie, 10, 19)
  const [crashed, indexless] = [disk.copy(), disk.copy()]
  indexless.dropIndex()
  for (const image of [crashed, indexless]) {
    const again = await openOn(image, await copyMetadata(metadata))
    assert.deepEqual(await endOf(again), [20, 'absent'])
    await again.close()
  }
  await bookie.close()
})
