import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { ledgerDeletionKey } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import { recordBytes } from '../format/record.ts'
import { addOf, copyMetadata, openOn, readAll, seededRandom, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'

const COUNT = 60
const BYTES = 4_000
const payload = (ledger: number, entry: number): Buffer => Buffer.alloc(BYTES, `${ledger}/${entry};`)
/** In a journal that took the entries of ledger 1 alone, from 0 on. */
const offsetOf = (entry: number): number => 4_096 + entry * recordBytes(BYTES)

let disk: RecordingDisk
let metadata: MemoryMetadataStore
let bookie: Bookie
beforeEach(async () => {
  disk = new RecordingDisk()
  metadata = new MemoryMetadataStore()
  const key = 'ledgers/0000000000000001'
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
  bookie = await openOn(disk, metadata)
  await add(1, 0, COUNT - 1)
})
afterEach(() => bookie.close())

async function add(ledger: number, from: number, to: number, options: { recovery?: boolean } = {}): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) bookie.add(addOf(ledger, entry, payload(ledger, entry), options), sink)
  await sink.acknowledgedUpTo(ledger, to)
  assert.deepEqual(sink.failures, [])
}

const firstJournal = (): string => disk.paths.find(path => path.endsWith('.journal')) ?? ''

function flip(path: string, at: number): void {
  const bytes = disk.contentOf(path)
  bytes[at] = (bytes[at] ?? 0) ^ 0x10
}

async function endAt(entry: number, on = bookie): Promise<string> {
  const range = { first: entry as EntryId, last: entry as EntryId, bytesMax: 1, entriesMax: 1 }
  const { entries, end } = await on.read({ ledgerId: 1 as LedgerId, ...range, fence: false })
  return entries.length === 1 ? 'there' : end
}

const ranges = async (on = bookie): Promise<[number, number, number][]> =>
  (await on.damaged()).map(({ ledgerId, first, last }) => [ledgerId, first, last])

async function reopen(): Promise<void> {
  const image = disk.copy()
  await bookie.close()
  disk = image
  bookie = await openOn(disk, await copyMetadata(metadata))
}

test('a scrub finds what nobody read; added again it is there, and the file can go', async () => {
  const path = firstJournal()
  for (const entry of [10, 11, 40]) flip(path, offsetOf(entry) + 500)
  await bookie.scrub()
  assert.deepEqual(await ranges(), [
    [1, 10, 11],
    [1, 40, 40]
  ])
  assert.ok(bookie.health().reasons.includes(`entry 1:10 is unreadable in ${path} at ${offsetOf(10)}: digest`))
  assert.equal(await endAt(10), 'unknown')
  assert.equal(await endAt(12), 'there')
  await add(1, 10, 11, { recovery: true })
  assert.deepEqual(await ranges(), [[1, 40, 40]])
  assert.equal(await endAt(10), 'there')
  for (let round = 0; round < 12; round++) {
    await add(2, round * 30, round * 30 + 29)
    await bookie.housekeep()
  }
  assert.ok(disk.paths.includes(path), 'what is damaged and live is kept')
  await add(1, 40, 40, { recovery: true })
  assert.deepEqual(await ranges(), [])
  for (let round = 12; round < 18; round++) {
    await add(2, round * 30, round * 30 + 29)
    await bookie.housekeep()
  }
  assert.ok(!disk.paths.includes(path), 'nothing refers to the file any more')
  assert.deepEqual(
    bookie.health().reasons.filter(reason => !reason.includes('metadata store')),
    []
  )
  const { payloads } = await readAll(bookie, 1, COUNT - 1)
  assert.deepEqual(
    payloads,
    Array.from({ length: COUNT }, (_, i) => payload(1, i))
  )
})

test('a record whose header is damaged is found by the index, and those behind it are still there', async () => {
  flip(firstJournal(), offsetOf(20) + 24)
  flip(firstJournal(), offsetOf(COUNT - 1) + 12)
  await bookie.scrub()
  assert.deepEqual(await ranges(), [
    [1, 20, 20],
    [1, COUNT - 1, COUNT - 1]
  ])
  assert.equal(await endAt(21), 'there')
})

test('what is in order again, or was never wrong, is no longer named', async () => {
  flip(firstJournal(), offsetOf(20) + 100)
  assert.equal(await endAt(20), 'unknown')
  assert.deepEqual(await ranges(), [[1, 20, 20]])
  flip(firstJournal(), offsetOf(20) + 100)
  await bookie.scrub()
  assert.deepEqual(await ranges(), [])
  assert.equal(bookie.stats().scrubRounds, 1)
})

test('a restart forgets no damage: reads say unknown, and the next scrub names it', async () => {
  await bookie.housekeep()
  flip(firstJournal(), offsetOf(20) + 100)
  await reopen()
  assert.deepEqual(await ranges(), [])
  await bookie.scrub()
  assert.deepEqual(await ranges(), [[1, 20, 20]])
  assert.equal(await endAt(20), 'unknown')
})

test('the entries of a missing file are named', async () => {
  for (let round = 0; round < 10; round++) {
    await add(2, round * 30, round * 30 + 29)
    await bookie.housekeep()
  }
  const log = disk.paths.find(path => path.endsWith('.entries')) ?? ''
  await disk.remove(log)
  await reopen()
  await bookie.scrub()
  const [first] = await ranges()
  assert.deepEqual(first, [1, 0, COUNT - 1])
  assert.equal(await endAt(0), 'unknown')
})

test('an index made anew from the files names damaged entries too, and not the copies that were repaired', async () => {
  for (let round = 0; round < 10; round++) {
    await add(2, round * 30, round * 30 + 29)
    await bookie.housekeep()
  }
  const log = disk.paths.find(path => path.endsWith('.entries')) ?? ''
  for (const entry of [10, 30]) flip(log, offsetOf(entry) + 500)
  await bookie.scrub()
  assert.deepEqual(await ranges(), [
    [1, 10, 10],
    [1, 30, 30]
  ])
  await add(1, 30, 30, { recovery: true })
  const image = disk.crashImage(disk.operations.length, seededRandom(1)).copy((path, bytes) => {
    if (path === log) for (const entry of [10, 30]) bytes[offsetOf(entry) + 500] = 0
    return bytes
  })
  image.dropIndex()
  const again = await openOn(image, await copyMetadata(metadata), SMALL)
  await again.scrub()
  assert.deepEqual(await ranges(again), [[1, 10, 10]])
  assert.equal(await endAt(10, again), 'unknown')
  for (const entry of [9, 11, 30, COUNT - 1]) assert.equal(await endAt(entry, again), 'there', `${entry}`)
  assert.equal(await endAt(COUNT, again), 'absent')
  await again.close()
})

test('a file with an unreadable stretch can go once its entries were added again, and no fence is lost with it', async () => {
  const path = firstJournal()
  await bookie.readLac({ ledgerId: 7 as LedgerId, fence: true })
  flip(path, offsetOf(20) + 24)
  flip(path, offsetOf(COUNT) + 24)
  let next = 0
  const fillUp = async (): Promise<void> => {
    for (const stop = next + 240; next < stop; next += 30) {
      await add(2, next, next + 29)
      await bookie.housekeep()
    }
  }
  await fillUp()
  await fillUp()
  assert.ok(disk.paths.includes(path), 'entry 20 is live there')
  assert.deepEqual(await ranges(), [[1, 20, 20]])
  await add(1, 20, 20, { recovery: true })
  await fillUp()
  assert.ok(!disk.paths.includes(path))
  const image = disk.crashImage(disk.operations.length, seededRandom(2))
  image.dropIndex()
  const again = await openOn(image, await copyMetadata(metadata), SMALL)
  const { payloads } = await readAll(again, 1, COUNT - 1)
  assert.equal(payloads.length, COUNT)
  const sink = new WaitingSink()
  again.add(addOf(7, 0, payload(7, 0)), sink)
  await sink.failed(1)
  assert.equal(sink.failures[0]?.failure, 'FENCED')
  await again.close()
})

test('an entry log that holds nothing but what is needed is not written again and again', async () => {
  await bookie.readLac({ ledgerId: 7 as LedgerId, fence: true })
  for (let round = 0; round < 8; round++) {
    await add(2, round * 30, round * 30 + 29)
    await bookie.housekeep()
  }
  const key = ledgerDeletionKey(1 as LedgerId)
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
  for (let round = 0; round < 4; round++) await bookie.housekeep()
  const logs = (): string[] => disk.paths.filter(path => path.endsWith('.entries'))
  const before = logs()
  assert.ok(before.length > 0)
  for (let round = 0; round < 4; round++) await bookie.housekeep()
  assert.deepEqual(logs(), before)
})
