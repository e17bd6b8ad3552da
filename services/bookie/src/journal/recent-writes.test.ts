import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import fc from 'fast-check'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import type { DiskLane } from '../disk/disk.ts'
import { addOf, openOn, readAll, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'
import { RecentWrites } from './recent-writes.ts'

const KIB = 1024

/** Counts what it gave out and did not get back. */
class CountingLane implements DiskLane {
  readonly given = new Set<Buffer>()

  allocate(bytes: number): Buffer {
    const memory = Buffer.alloc(bytes)
    this.given.add(memory)
    return memory
  }

  release(memory: Buffer): void {
    assert.ok(this.given.delete(memory), 'given back once')
  }

  writeAndSync(): void {
    assert.fail('nothing is written')
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** One journal: batches of any size, one behind the other, in files that end now and then; `wrote` is all it ever wrote. */
class Source {
  readonly lane = new CountingLane()
  readonly wrote = new Map<number, Buffer>()
  #memory = this.lane.allocate(1024 * KIB)
  #file: number
  #at = 4_096

  constructor(file: number) {
    this.#file = file
    this.wrote.set(file, Buffer.alloc(0))
  }

  write(recent: RecentWrites, bytes: number, fill: number): void {
    const from = this.#at % 4_096
    const memory = this.#memory
    memory.fill(fill, from, from + bytes)
    const [file, start] = [this.#file, this.#at]
    const before = this.wrote.get(file) ?? Buffer.alloc(0)
    this.wrote.set(
      file,
      Buffer.concat([before, Buffer.alloc(start - before.length), memory.subarray(from, from + bytes)])
    )
    this.#memory = recent.keep({ file, start, memory, from, bytes, lane: this.lane })
    assert.ok(this.#memory.length === memory.length && this.lane.given.has(this.#memory))
    // Whoever writes next writes over it.
    this.#memory.fill(0xee)
    this.#at += bytes
  }

  roll(file: number): void {
    this.#file = file
    this.#at = 4_096
    this.wrote.set(file, Buffer.alloc(0))
  }
}

test('whatever it says it holds is what was written, within its bound, and no memory is lost', () => {
  const step = fc.record({
    source: fc.integer({ min: 0, max: 1 }),
    bytes: fc.oneof(fc.integer({ min: 8, max: 3_000 }), fc.integer({ min: 100_000, max: 1_000_000 })),
    rolls: fc.boolean(),
    probe: fc.double({ min: 0, max: 1, noNaN: true })
  })
  const bound = 2 * 1024 * KIB
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const recent = new RecentWrites(bound)
      const sources = [new Source(1), new Source(2)]
      steps.forEach(({ source: which, bytes, rolls, probe }, i) => {
        const source = sources[which] ?? assert.fail()
        if (rolls && i % 7 === 0) source.roll(3 + i)
        source.write(recent, Math.ceil(bytes / 8) * 8, i + 1)
        assert.ok(recent.bytes <= bound)
        for (const [file, wrote] of source.wrote) {
          const offset = Math.floor(4_096 + (wrote.length - 4_096) * probe)
          const end = recent.endOf(file, offset)
          if (end > 0)
            assert.ok(recent.copy(file, offset, end).equals(wrote.subarray(offset, end)), `${file}:${offset}`)
        }
        const [file, wrote] = [...source.wrote].at(-1) ?? assert.fail()
        assert.equal(recent.endOf(file, wrote.length - 1), wrote.length, 'the newest bytes are there')
      })
      const held = sources.reduce((sum, { lane }) => sum + lane.given.size, 0)
      assert.ok(held <= 2 + bound / (1024 * KIB), `${held} buffers`)
    }),
    { numRuns: 60 }
  )
})

const payload = (entry: number): Buffer => Buffer.alloc(1_000, `${entry};`)

async function add(bookie: Bookie, from: number, to: number): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) bookie.add(addOf(1, entry, payload(entry)), sink)
  await sink.acknowledgedUpTo(1, to)
}

test('a reader at the tail is answered from memory, one further back from the disk', async () => {
  const disk = new RecordingDisk()
  const bookie = await openOn(disk, new MemoryMetadataStore(), { ...SMALL, recentBytes: 1024 * KIB })
  await add(bookie, 0, 9)
  for (let from = 10; from < 300; from += 10) await add(bookie, from, from + 9)
  const before = bookie.stats()
  assert.ok(before.recentBytes > 0 && before.recentBytes <= 1024 * KIB)
  // What is on the disk is of no account to what is in memory.
  for (const path of disk.paths.filter(name => name.endsWith('.journal'))) disk.contentOf(path).fill(0, 4_096)
  const { payloads } = await readAll(bookie, 1, 299)
  assert.deepEqual(
    payloads,
    Array.from({ length: 300 }, (_, i) => payload(i))
  )
  assert.ok(bookie.stats().recentReads > before.recentReads)
  await add(bookie, 300, 1_999)
  assert.ok(bookie.stats().recentBytes <= 1024 * KIB)
  assert.equal((await readAll(bookie, 1, 299)).end, 'unknown', 'these were written over in memory')
  await bookie.close()
})

test('what memory has is not taken for a copy when the node verifies what is on its disk', async () => {
  const disk = new RecordingDisk()
  const bookie = await openOn(disk, new MemoryMetadataStore(), { ...SMALL, recentBytes: 1024 * KIB })
  await add(bookie, 0, 9)
  const range = { ledgerId: 1 as LedgerId, first: 0 as EntryId, last: 9 as EntryId }
  const heldNow = async (): Promise<unknown> => (await bookie.inventory({ ...range, verify: true })).held
  assert.deepEqual(await heldNow(), [{ first: 0, last: 9 }])
  for (const path of disk.paths.filter(name => name.endsWith('.journal'))) disk.contentOf(path).fill(0, 4_096)
  assert.deepEqual(
    (await readAll(bookie, 1, 9)).payloads,
    Array.from({ length: 10 }, (_, i) => payload(i))
  )
  assert.deepEqual(await heldNow(), [])
  await bookie.close()
})
