import { strict as assert } from 'node:assert'
import { silentLogger, type EntryId, type LedgerId } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { ledgerDeletionKey } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, test } from 'vitest'
import { bookieDirectories, type Bookie } from '../bookie-types.ts'
import { openBookie } from '../open-bookie.ts'
import { addOf, BOOKIE, CLUSTER, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'

const RESERVE = '/data/index/reserve'
const RESERVE_BYTES = 64 * 1024

let disk: RecordingDisk
let clock: ManualClock
let metadata: MemoryMetadataStore
let bookie: Bookie
beforeEach(async () => {
  disk = new RecordingDisk()
  clock = new ManualClock()
  metadata = new MemoryMetadataStore()
  bookie = await open()
})
afterEach(() => bookie.close())

function open(): Promise<Bookie> {
  return openBookie({
    ...{ bookieId: BOOKIE, clusterId: CLUSTER, metadata, logger: silentLogger, clock, disk },
    directories: bookieDirectories('/data'),
    settings: { ...SMALL, readOnlyBelowBytes: 256 * 1024, reserveBytes: RESERVE_BYTES },
    openIndexStore: disk.openIndexStore
  })
}

async function add(ledger: number, count: number): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = 0; entry < count; entry++) bookie.add(addOf(ledger, entry, Buffer.alloc(500, ledger)), sink)
  await sink.acknowledgedUpTo(ledger, count - 1)
}

async function count(ledger: number): Promise<number> {
  const range = { first: 0 as EntryId, last: 99 as EntryId, bytesMax: 1e6, entriesMax: 100 }
  return (await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })).entries.length
}

const isHeld = (): boolean => disk.paths.includes(RESERVE)

/** Others took all the room: what the reserve gives back is all there is. */
function fillUp(): void {
  disk.free = 0
  disk.fault = ({ kind }) => (kind !== 'sync' && isHeld() ? 'ENOSPC' : undefined)
}

test('on a full disk the reserve lets deletes and the index go on; it is made again when there is room', async () => {
  await bookie.housekeep()
  assert.equal(disk.contentOf(RESERVE).length, RESERVE_BYTES)
  assert.equal(bookie.stats().reserveBytes, 3 * RESERVE_BYTES, 'one in each directory')
  await add(1, 20)
  await add(2, 20)
  await bookie.housekeep()
  fillUp()
  const key = ledgerDeletionKey(1 as LedgerId)
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
  for (let round = 0; round < 4; round++) await bookie.housekeep()
  assert.ok(!isHeld(), 'it was given up')
  assert.deepEqual([await count(1), await count(2)], [0, 20])
  assert.equal(bookie.health().state, 'read-only', 'its room is not for adds')
  disk.free = 1e9
  disk.fault = () => undefined
  await bookie.housekeep()
  assert.ok(!isHeld(), 'not at once: what the disk says of its room may not be what it takes')
  assert.equal(bookie.health().state, 'writable')
  clock.advance(60_000)
  await bookie.housekeep()
  assert.equal(disk.contentOf(RESERVE).length, RESERVE_BYTES)
})

test('a disk that fills up between two rounds is noticed by what was written', async () => {
  await bookie.housekeep()
  disk.free = 200 * 1024
  await add(1, 20)
  assert.equal(bookie.health().state, 'writable', 'little was written since the last look')
  await add(2, 2_100)
  assert.equal(bookie.health().state, 'read-only')
})

test('an index that finds no room is opened again on what the reserve gives back', async () => {
  await bookie.housekeep()
  await add(1, 20)
  // The disk says that there is room, and takes nothing: a quota.
  disk.fault = ({ kind }) => (kind === 'index' && isHeld() ? 'ENOSPC' : undefined)
  for (let round = 0; round < 3; round++) await bookie.housekeep()
  assert.ok(!isHeld())
  assert.equal(bookie.health().state, 'writable')
  assert.equal(bookie.stats().unindexedBytes, 0, 'all is in the index')
  assert.equal(await count(1), 20)
})

test('a start finds the reserve, and makes the rest of one that was cut short', async () => {
  await bookie.housekeep()
  await bookie.close()
  await disk.truncate(RESERVE, 1_000)
  bookie = await open()
  await bookie.housekeep()
  assert.equal(disk.contentOf(RESERVE).length, RESERVE_BYTES)
})
