import { strict as assert } from 'node:assert'
import { silentLogger, systemClock, type EntryId, type LedgerId } from '@strata/base'
import { GrpcBookieNode, serveBookieNode, type ServedBookieNode } from '@strata/ledger-client/grpc'
import { TestWriter } from '@strata/ledger-client/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import type { DiskLane } from '../disk/disk.ts'
import { openOn } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'

const MIB = 1024 * 1024
const ADD_BYTES_MAX = 2 * MIB
/** Granted to each peer before anybody knows that the disk stands still. */
const WINDOW_BYTES = MIB

/** A disk whose journal stands still when it is told to. */
class StallingDisk extends RecordingDisk {
  #held: (() => void)[] | undefined

  stall(): void {
    this.#held ??= []
  }

  goOn(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const run of held) run()
  }

  override openLane(): DiskLane {
    const lane = super.openLane()
    return {
      allocate: bytes => lane.allocate(bytes),
      release: memory => lane.release(memory),
      close: () => lane.close(),
      writeAndSync: (write, done) => {
        if (this.#held === undefined) lane.writeAndSync(write, done)
        else this.#held.push(() => lane.writeAndSync(write, done))
      }
    }
  }
}

describe('a disk that stands still', () => {
  let disk: StallingDisk
  let bookie: Bookie
  let served: ServedBookieNode
  let peers: GrpcBookieNode[]
  beforeEach(async () => {
    disk = new StallingDisk()
    bookie = await openOn(disk, new MemoryMetadataStore())
    served = await serveBookieNode(bookie, {
      ...{ clusterId: 'c', host: '127.0.0.1', port: 0, logger: silentLogger, addBytesMax: ADD_BYTES_MAX }
    })
    peers = Array.from(
      { length: 4 },
      () =>
        new GrpcBookieNode({
          ...{ bookieId: bookie.bookieId, clusterId: 'c', address: `127.0.0.1:${served.port}` },
          ...{ clock: systemClock, logger: silentLogger, timeoutMs: 50_000 }
        })
    )
  })
  afterEach(async () => {
    disk.goOn()
    for (const peer of peers) peer.close()
    await served.close()
    await bookie.close()
  })

  test('holds a bounded number of bytes, answers reads, and goes on with everything in order', async () => {
    const [first] = peers
    assert(first !== undefined)
    const before = new TestWriter(first, 9)
    await before.append(Buffer.from('synced'))
    disk.stall()
    const writers = peers.map((peer, i) => new TestWriter(peer, i + 1))
    for (const writer of writers) for (let i = 0; i < 4_000; i++) writer.add(Buffer.alloc(1_000, i), { lac: i - 1 })

    const read = (): Promise<unknown> =>
      first.read({
        ...{ ledgerId: 9 as LedgerId, first: 0 as EntryId, last: 0 as EntryId },
        ...{ bytesMax: 100, entriesMax: 1, fence: false }
      })
    let held = -1
    for (let same = 0; same < 20;) {
      assert.equal(((await read()) as { end: string }).end, 'limit')
      const now = served.stats().heldAddBytes
      same = now === held && now >= ADD_BYTES_MAX ? same + 1 : 0
      held = now
    }
    assert(held <= ADD_BYTES_MAX + peers.length * WINDOW_BYTES, `${held} bytes of 16 million that were offered`)

    disk.goOn()
    await Promise.all(writers.map(writer => writer.settled(3_999)))
    for (const writer of writers) assert.deepEqual([writer.failed, writer.added.at(-1)], [[], 3_999])
    while (served.stats().heldAddBytes > 0) await read()
  })

  test('a fence waits for it, and behind it no add is taken', async () => {
    const [first, second] = peers
    assert(first !== undefined && second !== undefined)
    disk.stall()
    const writer = new TestWriter(first, 1)
    writer.add(Buffer.from('before'))
    while (served.stats().heldAddBytes === 0) await second.readLac({ ledgerId: 7 as LedgerId, fence: false })
    let isFenced = false
    const fence = second.readLac({ ledgerId: 1 as LedgerId, fence: true }).then(answer => {
      isFenced = true
      return answer
    })
    for (let i = 0; i < 10; i++) await second.readLac({ ledgerId: 7 as LedgerId, fence: false })
    assert.equal(isFenced, false)
    writer.add(Buffer.from('behind'))
    disk.goOn()
    await fence
    await writer.settled(1)
    assert.deepEqual([writer.added, writer.failed], [[0], [{ entryId: 1, failure: 'FENCED' }]])
  })
})
