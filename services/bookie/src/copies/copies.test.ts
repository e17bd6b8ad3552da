import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, type BookieId } from '@strata/base'
import type { BulkCopies, CopyAnswer, CopyOrder, EntryRecords } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import { recordBytes } from '../format/record.ts'
import { addOf, copyMetadata, openOn, readAll, seededRandom, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'

const SOURCE = bookieId('source')
const COUNT = 700
const LEDGERS = [1, 2]

const payloadOf = (ledger: number, entry: number): Buffer =>
  Buffer.alloc(1 + ((entry * 7) % 900), `${ledger}:${entry}/`)

let source: Bookie
let target: Bookie
let disk: RecordingDisk
let metadata: MemoryMetadataStore
/** What the target reaches of the source. */
let given: BulkCopies

beforeEach(async () => {
  source = await openOn(new RecordingDisk(), new MemoryMetadataStore())
  const sink = new WaitingSink()
  // one among the other, as journals have them
  for (let entry = 0; entry < COUNT; entry++) {
    for (const ledger of LEDGERS) source.add(addOf(ledger, entry, payloadOf(ledger, entry)), sink)
  }
  for (const ledger of LEDGERS) await sink.acknowledgedUpTo(ledger, COUNT - 1)
  given = source.bulk ?? assert.fail('it copies nothing')
  disk = new RecordingDisk()
  metadata = new MemoryMetadataStore()
  target = await openOn(disk, metadata)
  target.useNodes(reach)
})
afterEach(async () => {
  await source.close()
  await target.close()
})

function reach(id: BookieId): { bulk: BulkCopies } | undefined {
  return id === SOURCE ? { bulk: given } : undefined
}

function copy(order: Partial<CopyOrder> & { ledger?: number } = {}): Promise<CopyAnswer> {
  const { ledger = 1, ...rest } = order
  const all = { ledgerId: ledgerId(ledger), first: entryId(0), last: entryId(COUNT - 1), every: 1 }
  return target.bulk?.copyFrom({ ...all, from: [SOURCE], bytesMax: 1e9, ...rest }) ?? assert.fail('it copies nothing')
}

async function checkHas(bookie: Bookie, ledger: number): Promise<void> {
  const { payloads } = await readAll(bookie, ledger, COUNT - 1)
  assert.equal(payloads.length, COUNT)
  for (const [entry, payload] of payloads.entries()) assert(payload.equals(payloadOf(ledger, entry)), `entry ${entry}`)
}

test('a node stores what another one has, of several ledgers at once, and nothing of it passes its journal', async () => {
  const journalBytes = target.stats().journalWrittenBytes
  const answers = await Promise.all(LEDGERS.map(ledger => copy({ ledger })))
  const bytes = Array.from({ length: COUNT }, (_, entry) => payloadOf(1, entry).length).reduce((a, b) => a + b)
  assert.deepEqual(answers, [
    { next: COUNT, bytes },
    { next: COUNT, bytes }
  ])
  for (const ledger of LEDGERS) await checkHas(target, ledger)
  assert.equal(target.stats().journalWrittenBytes, journalBytes)
  const { lac } = await target.readLac({ ledgerId: ledgerId(1), fence: false })
  assert.equal(lac, COUNT - 2)
  const held = await target.inventory({ ledgerId: ledgerId(1), first: entryId(0), last: entryId(9_999), verify: true })
  assert.deepEqual(held.held, [{ first: 0, last: COUNT - 1 }])
})

test('entries of a stripe are copied alone, and a fence goes with them', async () => {
  await source.readLac({ ledgerId: ledgerId(1), fence: true })
  assert.equal((await copy({ first: entryId(2), every: 5 })).next, 702)
  const { held } = await target.inventory({
    ledgerId: ledgerId(1),
    first: entryId(0),
    last: entryId(20),
    verify: false
  })
  assert.deepEqual(
    held.map(({ first, last }) => [first, last]),
    [2, 7, 12, 17].map(id => [id, id])
  )
  const sink = new WaitingSink()
  target.add(addOf(1, COUNT, Buffer.from('late')), sink)
  await sink.failed(1)
  assert.equal(sink.failures[0]?.failure, 'FENCED')
})

test('it ends before an entry that comes damaged, and is answered for what was before it', async () => {
  const whole = given
  given = {
    copyFrom: order => whole.copyFrom(order),
    readRecords: async request => {
      const records = await whole.readRecords(request)
      let at = 0
      for (let entry: number = request.first; entry < 300; entry++) at += recordBytes(payloadOf(1, entry).length)
      const isIn = request.first <= 300 && at < (records?.bytes.length ?? 0)
      if (isIn && records !== undefined) records.bytes[at + 64] = (records.bytes[at + 64] ?? 0) ^ 1
      return records
    }
  }
  assert.equal((await copy()).next, 300)
  assert.equal((await readAll(target, 1, COUNT - 1)).payloads.length, 300)
})

test('a copy of what was damaged as soon as it was written takes its place, whatever the index knew by then', async () => {
  const sink = new WaitingSink()
  for (let entry = 0; entry < COUNT; entry++) target.add(addOf(1, entry, payloadOf(1, entry)), sink)
  await sink.acknowledgedUpTo(1, COUNT - 1)
  const journal = disk.contentOf(disk.paths.find(path => path.endsWith('.journal')) ?? '')
  for (const payload of ['1:200/', '1:300/']) {
    const at = journal.indexOf(payload)
    journal[at] = (journal[at] ?? 0) ^ 1
  }
  const range = { ledgerId: ledgerId(1), first: entryId(0), last: entryId(COUNT - 1), verify: true }
  const held = async (): Promise<unknown> => (await target.inventory(range)).held
  assert.deepEqual(await held(), [
    { first: 0, last: 199 },
    { first: 201, last: 299 },
    { first: 301, last: COUNT - 1 }
  ])
  for (const entry of [200, 300]) await copy({ first: entryId(entry), last: entryId(entry) })
  assert.deepEqual(await held(), [{ first: 0, last: COUNT - 1 }])
  await target.housekeep()
  assert.deepEqual(await held(), [{ first: 0, last: COUNT - 1 }])
})

test('where nobody can be reached nothing is copied', async () => {
  assert.deepEqual(await copy({ from: [bookieId('another')] }), { next: 0, bytes: 0 })
})

test('pieces for others come in memory that is used again when it is given back, and not before', async () => {
  const read = async (ledger: number): Promise<EntryRecords> => {
    const range = { ledgerId: ledgerId(ledger), first: entryId(0), last: entryId(COUNT - 1), every: 1 }
    const records = await given.readRecords({ ...range, bytesMax: 1e6, entriesMax: COUNT })
    return records ?? assert.fail('nothing is given')
  }
  const first = await read(1)
  const copied = Buffer.from(first.bytes)
  const second = await read(2)
  assert.notEqual(second.bytes.buffer, first.bytes.buffer)
  assert(first.bytes.equals(copied))
  first.release?.()
  first.release?.()
  const [third, fourth] = [await read(1), await read(2)]
  assert.equal(third.bytes.buffer, first.bytes.buffer)
  assert.notEqual(fourth.bytes.buffer, first.bytes.buffer)
  assert(third.bytes.equals(copied))
})

test('what is much goes to the disk while more of it comes', async () => {
  const sink = new WaitingSink()
  const [large, count] = [Buffer.alloc(100_000, 'large'), 200] // 20 MB
  for (let entry = 0; entry < count; entry++) source.add(addOf(3, entry, large), sink)
  await sink.acknowledgedUpTo(3, count - 1)
  let syncs = 0
  disk.fault = ({ kind, path }) => {
    if (kind === 'sync' && path.endsWith('.entries')) syncs += 1
    return undefined
  }
  assert.equal((await copy({ ledger: 3, last: entryId(count - 1) })).next, count)
  assert(syncs >= 2, `${syncs} syncs`)
})

test('what is lost before it is stored is never answered for, and the rest of the file is not written to again', async () => {
  let failed = 0
  disk.fault = ({ kind, path }) => (kind === 'sync' && path.endsWith('.entries') && failed++ === 0 ? 'EIO' : undefined)
  await expect(copy()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  assert.equal((await copy()).next, COUNT)
  await checkHas(target, 1)
})

test('what was answered is there after any crash, and one before that leaves a node that starts', async () => {
  await copy()
  const [answered, before] = [disk.operations.length, 1]
  const random = seededRandom(7)
  await copy({ ledger: 2 })
  for (let cut = before; cut <= disk.operations.length; cut += 1 + Math.floor(random() * 12)) {
    const image = disk.crashImage(cut, random)
    const again = await openOn(image, await copyMetadata(metadata))
    if (cut >= answered) await checkHas(again, 1)
    await again.close()
  }
})
