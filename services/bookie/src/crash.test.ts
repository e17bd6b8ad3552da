import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { AddStretch, type AddSink } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { expect, test } from 'vitest'
import type { Bookie } from './bookie-types.ts'
import type { BookieSettings } from './settings.ts'
import { addOf, copyMetadata, openOn, seededRandom, SMALL } from './testing/fixtures.ts'
import { RecordingDisk, type Random } from './testing/recording-disk.ts'

const KIB = 1024
const TINY: Partial<BookieSettings> = {
  ...SMALL,
  journalFileBytes: 48 * KIB,
  journalBytesMax: 96 * KIB,
  writeBufferBytes: 8 * KIB,
  writeBufferBytesMax: 32 * KIB,
  moveChunkBytes: 16 * KIB
}
const LEDGERS = [1, 2, 3]

const open = (disk: RecordingDisk, metadata: MemoryMetadataStore): Promise<Bookie> => openOn(disk, metadata, TINY)

/** The one content that an entry may ever have. */
function payloadOf(ledger: number, entry: number): Buffer {
  const random = seededRandom(ledger * 100_000 + entry)
  return Buffer.alloc(1 + Math.floor(random() ** 3 * 3_000), `${ledger}:${entry}/`)
}

/** What a node has promised, and at which operation of the disk it did. */
class Promises {
  readonly entries: { ledger: number; entry: number; at: number }[] = []
  readonly fences: { ledger: number; at: number }[] = []
  readonly next = new Map<number, number>()

  sinkOn(disk: RecordingDisk): AddSink {
    const first = new Map<number, number>()
    return {
      onAdded: (ledger, entry) => {
        for (let id = first.get(ledger) ?? 0; id <= entry; id++)
          this.entries.push({ ledger, entry: id, at: disk.operations.length })
        first.set(ledger, entry + 1)
      },
      onAddFailed: (ledger, entry, failure) => {
        assert.fail(`${ledger}:${entry} failed: ${failure}`)
      }
    }
  }

  before(cut: number): Promises {
    const kept = new Promises()
    kept.entries.push(...this.entries.filter(({ at }) => at <= cut).map(promise => ({ ...promise, at: 0 })))
    kept.fences.push(...this.fences.filter(({ at }) => at <= cut).map(promise => ({ ...promise, at: 0 })))
    return kept
  }
}

async function work(
  bookie: Bookie,
  { disk, promises, random }: { disk: RecordingDisk; promises: Promises; random: Random }
): Promise<void> {
  const sink = promises.sinkOn(disk)
  const nothing = { bytesMax: 1, entriesMax: 1, first: 0 as EntryId, last: 0 as EntryId }
  /** Background work under load. */
  const rounds: Promise<void>[] = []
  for (let step = 0; step < 30; step++) {
    const ledger = LEDGERS[Math.floor(random() * LEDGERS.length)] ?? 1
    const from = promises.next.get(ledger) ?? 0
    const count = 1 + Math.floor(random() ** 2 * 40)
    const adds = Array.from({ length: count }, (_, i) => addOf(ledger, from + i, payloadOf(ledger, from + i)))
    promises.next.set(ledger, from + count)
    if (step % 2 === 0) for (const add of adds) bookie.add(add, sink)
    else bookie.addStretch(AddStretch.of(adds), sink)
    const dice = random()
    if (dice < 0.1) await bookie.housekeep()
    else if (dice < 0.25) rounds.push(bookie.housekeep())
    else if (dice < 0.35) {
      const fenced = (100 + step) as LedgerId
      await bookie.read({ ledgerId: fenced, ...nothing, fence: true })
      promises.fences.push({ ledger: fenced, at: disk.operations.length })
    } else if (dice < 0.8) await bookie.read({ ledgerId: 99 as LedgerId, ...nothing, fence: true })
  }
  await bookie.read({ ledgerId: 98 as LedgerId, ...nothing, fence: true })
  await Promise.all(rounds)
  await bookie.housekeep()
}

/** Everything promised is there; of the rest, nothing wrong is. */
async function check(bookie: Bookie, promises: Promises): Promise<void> {
  for (const ledger of LEDGERS) {
    const last = Math.max(
      -1,
      ...promises.entries.filter(promise => promise.ledger === ledger).map(({ entry }) => entry)
    )
    for (let first = 0, isMore = true; isMore;) {
      const range = { first: first as EntryId, last: 1e6 as EntryId, bytesMax: 1e6, entriesMax: 1_000 }
      const { entries, end } = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
      for (const entry of entries)
        assert.ok(entry.payload.equals(payloadOf(ledger, entry.entryId)), `content of ${ledger}:${entry.entryId}`)
      first += entries.length
      isMore = end === 'limit'
      if (!isMore) assert.equal(end, 'absent')
    }
    const { lac } = await bookie.readLac({ ledgerId: ledger as LedgerId, fence: false })
    assert.ok(lac >= last - 1, `LAC of ${ledger}`)
    const range = { first: last as EntryId, last: last as EntryId, bytesMax: 1, entriesMax: 1 }
    if (last < 0) continue
    const { entries } = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
    assert.equal(entries.length, 1, `${ledger}:${last} was acknowledged`)
  }
  for (const { ledger } of promises.fences) {
    const failure = await new Promise(resolve => {
      bookie.add(addOf(ledger, 0, payloadOf(ledger, 0)), {
        onAdded: () => resolve('added'),
        onAddFailed: (_, __, why) => resolve(why)
      })
    })
    assert.equal(failure, 'FENCED')
  }
}

/** Reads of all entries from 0 to the last acknowledged one end without a hole. */
async function checkWhole(bookie: Bookie, promises: Promises): Promise<void> {
  for (const { ledger, entry } of promises.entries) {
    const range = { first: entry as EntryId, last: entry as EntryId, bytesMax: 1, entriesMax: 1 }
    const { entries } = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
    assert.equal(entries.length, 1, `${ledger}:${entry} was acknowledged`)
  }
}

test.each([1, 2])('a power failure at any sync loses nothing that was promised (seed %i)', async seed => {
  const random = seededRandom(seed)
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await open(disk, metadata)
  const opened = disk.operations.length
  const promises = new Promises()
  await work(bookie, { disk, promises, random })
  expect(bookie.stats().entryLogs).toBeGreaterThan(0)
  const cuts = disk.operations
    .map((operation, i) => ({ operation, cut: i + 1 }))
    .filter(({ operation, cut }) => cut > opened && (operation.kind.startsWith('sync') || random() < 0.05))
    .flatMap(({ cut }) => (random() < 0.5 ? [cut - 1, cut] : [cut]))
  for (const cut of new Set(cuts)) {
    const image = disk.crashImage(cut, random)
    const copied = await copyMetadata(metadata)
    const again = await open(image, copied)
    const kept = promises.before(cut)
    await check(again, kept)
    await checkWhole(again, kept)
    if (random() < 0.1) await crashAgain({ image, metadata: copied, bookie: again, kept, random })
    else await again.close()
  }
  await bookie.close()
})

/** The node that came back works on, and fails once more. */
async function crashAgain(world: {
  image: RecordingDisk
  metadata: MemoryMetadataStore
  bookie: Bookie
  kept: Promises
  random: Random
}): Promise<void> {
  const { image, metadata, bookie, kept, random } = world
  const opened = image.operations.length
  for (const ledger of LEDGERS) kept.next.set(ledger, await lengthOf(bookie, ledger))
  await work(bookie, { disk: image, promises: kept, random })
  for (let i = 0; i < 5; i++) {
    const cut = opened + Math.floor(random() * (image.operations.length - opened + 1))
    const second = await open(image.crashImage(cut, random), await copyMetadata(metadata))
    await check(second, kept.before(cut))
    await checkWhole(second, kept.before(cut))
    await second.close()
  }
  await bookie.close()
}

async function lengthOf(bookie: Bookie, ledger: number): Promise<number> {
  for (let first = 0; ;) {
    const range = { first: first as EntryId, last: 1e6 as EntryId, bytesMax: 1e6, entriesMax: 1_000 }
    const { entries, end } = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
    first += entries.length
    if (end !== 'limit') return first
  }
}
