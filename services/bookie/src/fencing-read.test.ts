import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, test } from 'vitest'
import { silentLogger, systemClock, type EntryId, type LedgerId } from '@strata/base'
import { MemoryMetadataStore } from '@strata/metadata'
import { bookieDirectories, type Bookie } from './bookie-types.ts'
import type { IndexStore } from './index/index-store.ts'
import { openBookie } from './open-bookie.ts'
import { addOf, BOOKIE, CLUSTER, SMALL, WaitingSink } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

const LEDGER = 7 as LedgerId
const ENTRIES = 100

/** Holds writes of the index back, as a disk does that is busy with something else. */
class HeldWrites {
  #held: Promise<void> = Promise.resolve()
  #release: () => void = () => undefined
  #begun: () => void = () => undefined

  hold(): Promise<void> {
    this.#held = new Promise(resolve => (this.#release = resolve))
    return new Promise(resolve => (this.#begun = resolve))
  }

  release(): void {
    this.#release()
  }

  over(store: IndexStore): IndexStore {
    return {
      get: key => store.get(key),
      getSync: key => store.getSync(key),
      getMany: keys => store.getMany(keys),
      scan: options => store.scan(options),
      close: () => store.close(),
      write: async (changes, options) => {
        this.#begun()
        await this.#held
        await store.write(changes, options)
      }
    }
  }
}

let metadata: MemoryMetadataStore
let writes: HeldWrites
let bookie: Bookie
beforeEach(async () => {
  const disk = new RecordingDisk()
  metadata = new MemoryMetadataStore()
  writes = new HeldWrites()
  bookie = await openBookie({
    ...{ directories: bookieDirectories('/data'), bookieId: BOOKIE, clusterId: CLUSTER, metadata, disk },
    ...{ logger: silentLogger, clock: systemClock, settings: SMALL },
    openIndexStore: async (...options) => writes.over(await disk.openIndexStore(...options))
  })
})
afterEach(async () => {
  writes.release()
  await bookie.close()
  await metadata.close()
})

function readAt(first: number): Promise<number> {
  const range = { ledgerId: LEDGER, first: first as EntryId, last: ENTRIES as EntryId, bytesMax: 1e6, entriesMax: 10 }
  return bookie.read({ ...range, fence: true }).then(({ entries }) => entries.length)
}

test('a ledger whose index is being written is read by its recoverer without another write to the journal', async () => {
  const sink = new WaitingSink()
  for (let i = 0; i < ENTRIES; i++) bookie.add(addOf(LEDGER, i, Buffer.from('entry')), sink)
  await sink.acknowledgedUpTo(LEDGER, ENTRIES - 1)
  await bookie.readLac({ ledgerId: LEDGER, fence: true })
  const isWriting = writes.hold()
  const housekeeping = bookie.housekeep()
  await isWriting
  const before = bookie.stats().journalSyncs
  for (let first = 0; first < ENTRIES; first += 10) assert.equal(await readAt(first), 10)
  assert.equal(bookie.stats().journalSyncs, before)
  writes.release()
  await housekeeping
})

test('a fencing read stands behind what another recoverer is writing', async () => {
  await bookie.readLac({ ledgerId: LEDGER, fence: true })
  const sink = new WaitingSink()
  bookie.add(addOf(LEDGER, 0, Buffer.from('entry'), { recovery: true }), sink)
  assert.equal(await readAt(0), 1)
  assert.equal(sink.acknowledged.get(LEDGER), 0)
})
