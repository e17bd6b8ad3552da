import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { AddStretch } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, test } from 'vitest'
import type { Bookie } from './bookie-types.ts'
import { addOf, copyMetadata, openOn, readAll, seededRandom, WaitingSink } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

/** So that the node finds its ledgers in the metadata store. */
const LEDGER_KEYS = ['ledgers/0000000000000001', 'ledgers/0000000000000002']

let disk: RecordingDisk
let metadata: MemoryMetadataStore
let bookie: Bookie
beforeEach(async () => {
  disk = new RecordingDisk()
  metadata = new MemoryMetadataStore()
  await metadata.transact({
    compares: [],
    changes: LEDGER_KEYS.map(key => ({ kind: 'put', key, value: Buffer.of(1) }))
  })
  bookie = await openOn(disk, metadata)
})
afterEach(() => bookie.close())

const payload = (entry: number): Buffer => Buffer.alloc(500, `${entry};`)

/** The first half one by one, the others together. */
function give(sink: WaitingSink, { ledger, from, to }: { ledger: number; from: number; to: number }): void {
  const adds = Array.from({ length: to - from + 1 }, (_, i) => addOf(ledger, from + i, payload(from + i)))
  const half = Math.floor(adds.length / 2)
  for (const each of adds.slice(0, half)) bookie.add(each, sink)
  bookie.addStretch(AddStretch.of(adds.slice(half)), sink)
}

async function add(ledger: number, from: number, to: number): Promise<void> {
  const sink = new WaitingSink()
  give(sink, { ledger, from, to })
  await sink.acknowledgedUpTo(ledger, to)
  assert.deepEqual(sink.failures, [])
}

async function refused(ledger: number, from: number, to: number): Promise<Set<string>> {
  const sink = new WaitingSink()
  give(sink, { ledger, from, to })
  await sink.failed(to - from + 1)
  assert.equal(sink.acknowledged.size, 0, 'no false receipt')
  return new Set(sink.failures.map(({ failure }) => failure))
}

async function holds(ledger: number, count: number, on = bookie): Promise<void> {
  const { payloads, end } = await readAll(on, ledger, 10_000)
  assert.deepEqual(
    payloads,
    Array.from({ length: count }, (_, i) => payload(i))
  )
  assert.equal(end, 'absent')
}

/** Does a power failure now, too, leave exactly these entries? */
async function holdsAfterPowerFailure(ledger: number, count: number): Promise<void> {
  const image = disk.crashImage(disk.operations.length, seededRandom(3))
  const again = await openOn(image, await copyMetadata(metadata))
  await holds(ledger, count, again)
  await again.close()
}

test.each(['write', 'sync'] as const)(
  'a failed %s acknowledges nothing; the node says why, reads on, and recovers without a restart',
  async kind => {
    await add(1, 0, 99)
    disk.fault = operation => (operation.kind === kind ? 'EIO' : undefined)
    assert.deepEqual(await refused(1, 100, 149), new Set(['STORAGE_FAILED']))
    assert.equal(bookie.health().state, 'failed')
    assert.match(bookie.health().reasons.join('\n'), /journal: .*EIO/)
    await holds(1, 100)
    assert.deepEqual(await refused(1, 100, 100), new Set(['STORAGE_FAILED']))
    await bookie.housekeep()
    assert.equal(bookie.health().state, 'failed', 'the disk still refuses')

    disk.fault = () => undefined
    await bookie.housekeep()
    await bookie.housekeep()
    assert.deepEqual(bookie.health(), { state: 'writable', reasons: [] })
    await holds(1, 100)
    await add(1, 100, 199)
    await holds(1, 200)
    await holdsAfterPowerFailure(1, 200)
  }
)

test('one failed sync is enough to give the file up, although the next one would succeed', async () => {
  await add(1, 0, 9)
  let isFirst = true
  disk.fault = ({ kind, path }) => {
    if (kind !== 'sync' || !path.endsWith('.journal') || !isFirst) return undefined
    isFirst = false
    return 'EIO'
  }
  assert.deepEqual(await refused(1, 10, 19), new Set(['STORAGE_FAILED']))
  assert.deepEqual(await refused(1, 10, 10), new Set(['STORAGE_FAILED']))
  await bookie.housekeep()
  await add(1, 10, 29)
  await holds(1, 30)
  await holdsAfterPowerFailure(1, 30)
})

test('a full disk makes the node read-only, until there is room again', async () => {
  await add(1, 0, 99)
  disk.fault = ({ kind }) => (kind === 'sync' ? undefined : 'ENOSPC')
  assert.deepEqual(await refused(1, 100, 100), new Set(['STORAGE_FAILED']))
  assert.equal(bookie.health().state, 'read-only')
  assert.deepEqual(await refused(1, 100, 110), new Set(['READ_ONLY']))
  await bookie.housekeep()
  assert.match(bookie.health().reasons.join('\n'), /index: .*ENOSPC/)
  await holds(1, 100)
  disk.fault = () => undefined
  await bookie.housekeep()
  await bookie.housekeep()
  assert.deepEqual(bookie.health(), { state: 'writable', reasons: [] })
  await add(1, 100, 150)
  await holds(1, 151)
  await holdsAfterPowerFailure(1, 151)
})

test('little free space makes the node read-only before the disk is full; a fence still works', async () => {
  await add(1, 0, 9)
  disk.free = 0
  await bookie.housekeep()
  assert.equal(bookie.health().state, 'read-only')
  assert.deepEqual(await refused(1, 10, 10), new Set(['READ_ONLY']))
  await bookie.readLac({ ledgerId: 1 as LedgerId, fence: true })
  await holds(1, 10)
  disk.free = 1e9
  await bookie.housekeep()
  assert.equal(bookie.health().state, 'writable')
  await add(2, 0, 9)
})

test('a fence that could not be synced is not answered as one, and holds all the same', async () => {
  await add(1, 0, 9)
  disk.fault = ({ kind }) => (kind === 'sync' ? 'EIO' : undefined)
  const range = { first: 0 as EntryId, last: 0 as EntryId, bytesMax: 1, entriesMax: 1 }
  await assert.rejects(bookie.read({ ledgerId: 1 as LedgerId, ...range, fence: true }), { code: 'UNAVAILABLE' })
  disk.fault = () => undefined
  await bookie.housekeep()
  assert.deepEqual(await refused(1, 10, 10), new Set(['FENCED']))
})

test('what a killed process had written but not synced is synced before the next one shows it', async () => {
  await add(1, 0, 9)
  // As if the process had been killed between its last write and the sync: the page cache has it, the disk may not.
  const sync = disk.operations.findLastIndex(({ kind }) => kind === 'sync')
  disk.operations.splice(sync, 1)
  const next = await openOn(disk, metadata)
  await holds(1, 10, next)
  await next.housekeep()
  for (const seed of [1, 2, 3, 4, 5]) {
    const image = disk.crashImage(disk.operations.length, seededRandom(seed))
    const again = await openOn(image, await copyMetadata(metadata))
    await holds(1, 10, again)
    await again.close()
  }
  await next.close()
})
