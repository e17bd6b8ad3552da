import { strict as assert } from 'node:assert'
import { CodedError, type EntryId, type LedgerId } from '@strata/base'
import { MemoryMetadataStore } from '@strata/metadata'
import { beforeAll, test } from 'vitest'
import { bookieDirectories, type Bookie } from '../bookie-types.ts'
import { addOf, copyMetadata, openOn, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'
import { replayJournal } from './replay.ts'

const COUNT = 24
const payload = (entry: number): Buffer => Buffer.alloc(10 + entry, `${entry};`)
const metadata = new MemoryMetadataStore()
/** Two journal files, written in several batches, with an index that knows nothing yet; the node did not close. */
let disk: RecordingDisk
let journals: string[]
let volumeId: string

function open(on: RecordingDisk, store: MemoryMetadataStore): Promise<Bookie> {
  return openOn(on, store, { ...SMALL, journalFileBytes: 4_800 })
}

beforeAll(async () => {
  const live = new RecordingDisk()
  const bookie = await open(live, metadata)
  for (let entry = 0; entry < COUNT; entry += 4) {
    const sink = new WaitingSink()
    for (let i = entry; i < entry + 4; i++) bookie.add(addOf(1, i, payload(i)), sink)
    await sink.acknowledgedUpTo(1, entry + 3)
    // Time for the next journal file to be prepared.
    for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  }
  disk = live.copy()
  await bookie.close()
  journals = disk.paths.filter(path => path.endsWith('.journal'))
  assert.ok(journals.length > 2, 'several files')
  volumeId = disk.contentOf(journals[0] ?? '').toString('hex', 16, 32)
})

/** How many entries from 0 on are there, and is each of them right? */
async function prefixOf(bookie: Bookie): Promise<number> {
  const range = { first: 0 as EntryId, last: 1_000 as EntryId, bytesMax: 1e6, entriesMax: 1_000 }
  const { entries } = await bookie.read({ ledgerId: 1 as LedgerId, ...range, fence: false })
  for (const { entryId, payload: found } of entries) assert.ok(found.equals(payload(entryId)), 'never a wrong entry')
  return entries.length
}

/** Replays the damaged copy. A number: how many entries are certain; else the error's details. */
async function replayDamaged(path: string, at: number): Promise<number | object> {
  const damaged = disk.copy((name, bytes) => {
    if (name === path) bytes[at] = (bytes[at] ?? 0) ^ 0x55
    return bytes
  })
  const directory = bookieDirectories('/data').journal
  const entries: number[] = []
  try {
    await replayJournal({
      disk: damaged,
      directory,
      volumeId,
      from: { generation: 0, offset: 0, sequence: 0 },
      onRecord: ({ entryId }) => void entries.push(entryId)
    })
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    assert.equal(error.code, 'JOURNAL_DAMAGED')
    return error.details
  }
  assert.deepEqual(entries, [...entries.keys()], 'a prefix')
  return entries.length
}

test('a journal with any byte changed gives an error that names file and offset, or the proven prefix', async () => {
  /** Of the last batch, which nothing behind it proves: it may look torn. */
  const unproven = COUNT - 4
  let errors = 0
  for (const path of journals) {
    const content = disk.contentOf(path)
    // Behind the last record is the rest of its block, all alike.
    const size = Math.min(content.length, content.findLastIndex(byte => byte !== 0) + 200)
    for (let at = 0; at < size; at = at === 64 ? 4_096 : at + 1) {
      const outcome = await replayDamaged(path, at)
      if (typeof outcome === 'number') {
        assert.ok(outcome >= unproven, `${path} at ${at}: silent loss, ${outcome} entries are left`)
        continue
      }
      errors++
      const details = outcome as { file: string; offset: number }
      assert.equal(details.file, path)
      assert.ok(details.offset <= at && at < details.offset + 200, `${at} is named as ${details.offset}`)
    }
  }
  assert.ok(errors > 1_000)
}, 180_000)

test('a node whose journal is damaged does not start, and changes nothing', async () => {
  const [path = ''] = journals
  const damaged = disk.copy((name, bytes) => {
    if (name === path) bytes[4_200] = (bytes[4_200] ?? 0) ^ 1
    return bytes
  })
  await assert.rejects(open(damaged, await copyMetadata(metadata)), { code: 'JOURNAL_DAMAGED' })
  for (const journal of journals.slice(1)) assert.ok(damaged.contentOf(journal).equals(disk.contentOf(journal)))
})

test('a journal file that is missing in the middle is damage', async () => {
  const [, middle] = journals
  const damaged = disk.copy()
  await damaged.remove(middle ?? '')
  await assert.rejects(open(damaged, await copyMetadata(metadata)), { code: 'JOURNAL_DAMAGED' })
})

test('records of a file’s earlier life are never taken for data', async () => {
  // The second file’s content is put behind the end of the first, as if the first had been reused and stopped there.
  const [first = '', second = ''] = journals
  const stale = disk.contentOf(second).subarray(4_096)
  const mixed = disk.copy((name, bytes) => (name === first ? Buffer.concat([bytes, stale]) : bytes))
  const bookie = await open(mixed, await copyMetadata(metadata))
  assert.equal(await prefixOf(bookie), COUNT)
  await bookie.close()
})
