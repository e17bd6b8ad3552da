import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entryId, ledgerId } from '@strata/base'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Location } from '../format/page.ts'
import { recordBytes } from '../format/record.ts'
import { noteEntry } from '../recovery.ts'
import { FileTable } from '../storage/file-table.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'
import { EntryIndex } from './entry-index.ts'
import type { IndexStore } from './index-store.ts'
import { IndexWriter } from './index-writer.ts'
import { LevelIndexStore } from './level-index-store.ts'

const FILE = 7

interface Flushed {
  readonly index: EntryIndex
  /** Of the event loop, while it was flushed. */
  readonly turns: number
}

/** Flushes ledgers 1, 2, … with so many entries each. */
async function flush(store: IndexStore, counts: { ledgers: number; entries: number }): Promise<Flushed> {
  const index = new EntryIndex(store)
  const writer = new IndexWriter(index, new FileTable(new RecordingDisk()))
  for (let id = 1; id <= counts.ledgers; id++) {
    const ledger = index.ledger(ledgerId(id))
    for (let i = 0; i < counts.entries; i++) {
      noteEntry(ledger, { entryId: entryId(i), file: FILE, offset: offsetOf(id, i), payloadBytes: 8 })
    }
    writer.noteDirty(ledger)
  }
  let turns = 0
  let isDone = false
  const count = (): void => {
    turns++
    if (!isDone) setImmediate(count)
  }
  setImmediate(count)
  await writer.flush(() => undefined)
  isDone = true
  return { index, turns }
}

function offsetOf(ledger: number, entry: number): number {
  return (ledger * 1000 + entry) * 8
}

function recordingStore(): Promise<IndexStore> {
  return new RecordingDisk().openIndexStore('index', { isNew: true })
}

test('a flush lets others run after a few hundred entries, or a few rows and pages', async () => {
  const long = await flush(await recordingStore(), { ledgers: 1, entries: 20_000 })
  // 20,000 entries and 79 pages of them: slices of 512 entries, and of 8 pages
  expect(long.turns).toBeGreaterThanOrEqual(39 + 9)
  const wide = await flush(await recordingStore(), { ledgers: 2_000, entries: 1 })
  // 2,000 rows: slices of 32; and as many pages
  expect(wide.turns).toBeGreaterThanOrEqual(2_000 / 32 + 2_000 / 8)
})

test('more pages than are cached are flushed, and found again', async () => {
  const { index } = await flush(await recordingStore(), { ledgers: 1_500, entries: 2 })
  for (const id of [1, 700, 1_500]) {
    const ledger = index.ledger(ledgerId(id))
    expect(ledger.tail ?? ledger.flushing).toBeUndefined()
    const place = { file: FILE, offset: offsetOf(id, 1), payloadBytes: 8 }
    expect(await index.locate(ledger, 1)).toEqual(place)
    expect(await index.locate(ledger, 2)).toBeUndefined()
  }
})

test('entries that came in any order, and again, are found where they came last, and counted there alone', async () => {
  const record = fc.record({ entry: fc.nat(700), count: fc.integer({ min: 1, max: 300 }), file: fc.constantFrom(7, 8) })
  const flushes = fc.array(fc.array(record, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(flushes, async each => {
      const files = new FileTable(new RecordingDisk())
      for (const number of [7, 8]) {
        const path = `${number}`
        files.add({ kind: 'journal', number, directory: '', path, liveBytes: 0, totalBytes: 0, sinceMs: 0, end: 0 })
      }
      const index = new EntryIndex(await recordingStore())
      const writer = new IndexWriter(index, files)
      const ledger = index.ledger(ledgerId(1))
      const wanted = new Map<number, Location>()
      let offset = 0
      for (const runs of each) {
        for (const { entry, count, file } of runs) {
          for (let id = entry; id < entry + count; id++) {
            const place = { file, offset, payloadBytes: id % 50 }
            offset += recordBytes(place.payloadBytes)
            noteEntry(ledger, { entryId: entryId(id), ...place })
            wanted.set(id, place)
          }
        }
        writer.noteDirty(ledger)
        await writer.flush(() => undefined)
      }
      for (let id = 0; id < 1_001; id++) expect(await index.locate(ledger, id)).toEqual(wanted.get(id))
      for (const { number, liveBytes } of files.all) {
        const live = [...wanted.values()].filter(({ file }) => file === number)
        expect(liveBytes).toBe(live.reduce((sum, { payloadBytes }) => sum + recordBytes(payloadBytes), 0))
      }
    }),
    { numRuns: 50 }
  )
})

test('a large batch goes into LevelDB in slices, as one', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'strata-index-'))
  try {
    const store = await LevelIndexStore.open(directory)
    const changes = Array.from({ length: 5_000 }, (_, i) => ({ key: Buffer.from(`k${i}`), value: Buffer.from(`${i}`) }))
    let isDone = false
    const written = store.write(changes, { sync: false }).then(() => (isDone = true))
    for (let turn = 0; turn < 5_000 / 128 - 1; turn++) {
      expect(isDone).toBe(false)
      expect(store.getSync(Buffer.from('k0'))).toBeUndefined()
      await new Promise(resolve => setImmediate(resolve))
    }
    await written
    expect(store.getSync(Buffer.from('k4999'))?.toString()).toBe('4999')
    await store.close()
  } finally {
    await rm(directory, { recursive: true })
  }
})
