import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, test } from 'vitest'
import { bookieDirectories, type Bookie } from '../bookie-types.ts'
import { openBookie } from '../open-bookie.ts'
import type { BookieSettings } from '../settings.ts'
import { addOf, BOOKIE, CLUSTER, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'

const MIB = 1024 * 1024

let disk: RecordingDisk
let clock: ManualClock
let bookie: Bookie
beforeEach(() => {
  disk = new RecordingDisk()
  clock = new ManualClock()
})
afterEach(() => bookie.close())

async function open(settings: Partial<BookieSettings>): Promise<void> {
  bookie = await openBookie({
    ...{ bookieId: BOOKIE, clusterId: CLUSTER, metadata: new MemoryMetadataStore(), logger: silentLogger, clock, disk },
    directories: bookieDirectories('/data'),
    settings: { ...SMALL, ...settings },
    openIndexStore: disk.openIndexStore
  })
}

/** About a MiB of entries of 4 KB. */
async function addMiB(first: number): Promise<void> {
  const sink = new WaitingSink()
  const last = first + 255
  for (let entry = first; entry <= last; entry++) bookie.add(addOf(1, entry, Buffer.alloc(4_096, entry)), sink)
  await sink.acknowledgedUpTo(1, last)
}

/** How long the clock must go on until it is done. */
async function secondsUntil(done: Promise<void>): Promise<number> {
  const state = { isDone: false }
  void done.then(() => (state.isDone = true))
  for (let seconds = 0; ; seconds += 0.25) {
    // Whatever can be done without a pause is done.
    for (let turn = 0; turn < 2_000 && !state.isDone; turn++) await new Promise(setImmediate)
    if (state.isDone) return seconds
    assert.ok(seconds < 100)
    clock.advance(250)
  }
}

test('moves keep to their rate, and what is written for a byte is counted', async () => {
  await open({ moveBytesPerSecond: MIB / 4, moveChunkBytes: 64 * 1024, journalBytesMax: 1.5 * MIB })
  for (let round = 0; round < 2; round++) {
    await addMiB(round * 256)
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
  }
  const before = bookie.stats()
  assert.equal(before.addedBytes, 2 * MIB)
  assert.ok(before.journalWrittenBytes >= before.addedBytes && before.journalWrittenBytes < before.addedBytes * 1.2)
  assert.equal(before.movedBytes, 0)
  const seconds = await secondsUntil(bookie.housekeep())
  const { movedBytes, indexWrittenBytes, journalBytes } = bookie.stats()
  assert.ok(movedBytes > 0 && journalBytes <= 1.5 * MIB)
  assert.ok(seconds >= movedBytes / (MIB / 4) - 1, `${movedBytes} B in ${seconds} s`)
  assert.ok(indexWrittenBytes > 0 && indexWrittenBytes < before.addedBytes / 10)
})

test('a scrub begins when it is due and keeps to its rate', async () => {
  await open({ scrubBytesPerSecond: MIB / 4, scrubIntervalMs: 3_600_000 - 1, journalBytesMax: 16 * MIB })
  await addMiB(0)
  await bookie.housekeep()
  assert.equal(bookie.stats().scrubbedBytes, 0, 'not yet')
  clock.advance(3_600_000)
  for (let turn = 0; turn < 2_000; turn++) await new Promise(setImmediate)
  const { scrubbedBytes, scrubRounds } = bookie.stats()
  assert.ok(scrubbedBytes > 0 && scrubRounds === 0, 'under way')
  const seconds = await secondsUntil(bookie.scrub())
  assert.ok(seconds >= 3, `${seconds} s for a MiB`)
  assert.deepEqual(await bookie.damaged(), [])
  assert.equal(bookie.stats().scrubRounds, 1)
})
