import { strict as assert } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import { silentLogger, type EntryId, type LedgerId } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { bookieDirectories, type Bookie } from '../bookie-types.ts'
import type { DiskLane } from '../disk/disk.ts'
import { openBookie } from '../open-bookie.ts'
import { addOf, BOOKIE, CLUSTER, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'
import { GroupWait } from './group-wait.ts'

const WAIT_MS = 2
const LARGE = Buffer.alloc(8 * 1024, 7)
const SMALL_ENTRY = Buffer.alloc(1024, 7)

class CountingDisk extends RecordingDisk {
  writes = 0

  override openLane(): DiskLane {
    const lane = super.openLane()
    return {
      allocate: bytes => lane.allocate(bytes),
      release: memory => lane.release(memory),
      close: () => lane.close(),
      writeAndSync: (write, done) => {
        this.writes++
        lane.writeAndSync(write, done)
      }
    }
  }
}

describe('a lone batch waits for another one', () => {
  let clock: ManualClock
  let disk: CountingDisk
  let bookie: Bookie
  let sink: WaitingSink
  let next: number
  beforeEach(async () => {
    clock = new ManualClock()
    disk = new CountingDisk()
    sink = new WaitingSink()
    next = 0
    bookie = await openBookie({
      directories: bookieDirectories('/data'),
      bookieId: BOOKIE,
      clusterId: CLUSTER,
      metadata: new MemoryMetadataStore(),
      logger: silentLogger,
      clock,
      settings: { ...SMALL, journalGroupWaitMs: WAIT_MS },
      disk,
      openIndexStore: disk.openIndexStore
    })
    disk.writes = 0
  })
  afterEach(() => bookie.close())

  const add = (payload: Buffer): void => bookie.add(addOf(1, next++, payload), sink)
  const allAcknowledged = (): Promise<void> => sink.acknowledgedUpTo(1, next - 1)

  /** Whatever would have been written by now is. */
  async function turns(): Promise<void> {
    for (let i = 0; i < 10; i++) await turn()
  }

  test('and shares its sync', async () => {
    for (let pairs = 1; pairs <= 100; pairs++) {
      add(LARGE)
      await turns()
      assert.equal(disk.writes, pairs - 1, 'nothing is written yet')
      add(LARGE)
      await allAcknowledged()
      assert.equal(disk.writes, pairs)
    }
  })

  test('but not for long, and not again where nobody came', async () => {
    add(LARGE)
    await turns()
    assert.equal(disk.writes, 0)
    clock.advance(WAIT_MS)
    await allAcknowledged()
    let waits = 0
    for (let entries = 0; entries < 1_000; entries++) {
      const before: number = disk.writes
      add(LARGE)
      await turns()
      if (disk.writes === before) {
        waits++
        clock.advance(WAIT_MS)
      }
      await allAcknowledged()
    }
    assert.ok(waits > 0 && waits < 30, `${waits} of a thousand that nobody followed`)
  })

  test('an entry that is no batch, several at once and a fence do not wait', async () => {
    add(SMALL_ENTRY)
    await allAcknowledged()
    add(LARGE)
    add(LARGE)
    await allAcknowledged()
    assert.equal(disk.writes, 2)
    add(LARGE)
    await turns()
    const range = { first: 0 as EntryId, last: 0 as EntryId, bytesMax: 1, entriesMax: 1 }
    await bookie.read({ ledgerId: 1 as LedgerId, ...range, fence: true })
    await allAcknowledged()
    assert.equal(disk.writes, 3)
  })

  test('what waits is written before the node closes', async () => {
    add(LARGE)
    await turns()
    const closed = bookie.close()
    clock.advance(WAIT_MS)
    await closed
    await allAcknowledged()
  })

  test('nobody waits when no time is given', () => {
    assert.equal(new GroupWait(0).isWanted({ records: 1, bytes: LARGE.length }), false)
  })
})
