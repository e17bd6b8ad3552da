import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { beforeEach, describe, test } from 'vitest'
import { RecoveryLane } from './recovery-lane.ts'
import { shareBeside, WriterLoad } from './writer-load.ts'

const KIB = 1024
const MIB = 1024 * KIB
const BUSY_MS = 500
describe('RecoveryLane', () => {
  let clock: ManualClock
  let taken: number[]
  let writers: WriterLoad
  let lane: RecoveryLane
  let dropped: number[]
  let unwanted: Set<number>
  beforeEach(() => {
    clock = new ManualClock()
    taken = []
    writers = new WriterLoad(clock)
    lane = new RecoveryLane(clock, writers)
    dropped = []
    unwanted = new Set()
  })

  function offer(count: number, bytes = 64 * KIB): void {
    for (let i = 0; i < count; i++) {
      lane.add({
        start: () => taken.push(i),
        isWanted: () => !unwanted.has(i),
        onDropped: () => dropped.push(i),
        bytes
      })
    }
  }

  const inOrder = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

  test('with nobody else it fills what may be in the journal, in order, and goes on as that is answered', () => {
    offer(200)
    assert.deepEqual(taken, inOrder(64)) // 4 MB
    lane.onAnswered(64 * KIB * 10)
    assert.deepEqual(taken, inOrder(74))
  })

  test('a writer who does not wait for the node holds nothing up', () => {
    for (let i = 0; i < 100; i++) {
      writers.onWrites(900 * KIB)
      writers.onAnswered(900 * KIB)
    }
    offer(64)
    assert.equal(taken.length, 64)
  })

  test('while writers wait it lets in a small part of what they send', () => {
    writers.onWrites(2 * MIB)
    offer(200, 4 * KIB)
    const before = taken.length
    assert(before <= 17, `${before} at once`) // a 32nd of it, and one
    for (let i = 0; i < 4; i++) {
      writers.onWrites(8 * MIB)
      writers.onAnswered(8 * MIB)
      lane.onAnswered(0)
    }
    const share = (taken.length - before) * 4 * KIB
    assert(share > MIB / 2 && share <= MIB + 4 * KIB, `${share} bytes of 32 MB`)
  })

  test('while writers wait and nothing gets on, it goes on a little by time alone', () => {
    writers.onWrites(64 * MIB)
    offer(10_000, KIB)
    const before = taken.length
    for (let i = 0; i < 20; i++) {
      clock.advance(50)
      writers.onWrites(1)
    }
    const perSecond = taken.length - before
    assert(perSecond > 900 && perSecond <= 1_100, `${perSecond} KB in a second`)
  })

  test('after a while without recovery the tails of logs go in at once, as much as is saved', () => {
    clock.advance(60_000)
    writers.onWrites(64 * MIB)
    offer(512)
    for (let answered = 0; answered < 20; answered++) lane.onAnswered(MIB)
    assert.equal(taken.length, 256) // 16 MB
  })

  test('when writers have what they wanted it goes on by itself as if they were not there', () => {
    writers.onWrites(64 * MIB)
    offer(64)
    assert(taken.length < 64)
    writers.onAnswered(64 * MIB)
    clock.advance(BUSY_MS + 100)
    assert.equal(taken.length, 64)
  })

  test('what nobody waits for any more is dropped when its turn comes, busy or not', () => {
    writers.onWrites(2 * MIB)
    offer(40)
    for (let i = taken.length; i < 40; i++) unwanted.add(i)
    const before = taken.length
    lane.onAnswered(0)
    assert.equal(taken.length, before)
    assert.deepEqual(dropped, inOrder(40).slice(before))
    assert.equal(lane.waitingCount, 0)
  })

  test('what goes in and what is read for others have a share each, so that neither waits for the other', () => {
    const reads = new RecoveryLane(clock, writers)
    const read: number[] = []
    writers.onWrites(64 * MIB)
    offer(100)
    for (let i = 0; i < 100; i++) {
      reads.add({ start: () => read.push(i), isWanted: () => true, onDropped: () => undefined, bytes: 64 * KIB })
    }
    assert.equal(taken.length, 32) // 2 MB
    assert.equal(read.length, 32)
    reads.onAnswered(0)
    assert.equal(read.length, 32)
  })
})

describe('what recovery may take beside writers', () => {
  test('is a small part of what they send', () => {
    assert.equal(shareBeside({ writtenBytes: 320 * MIB, elapsedMs: 1_000 }), 10 * MIB)
  })

  test('goes on by time alone where they send little', () => {
    assert.equal(shareBeside({ writtenBytes: MIB, elapsedMs: 1_000 }), 1_000 * KIB)
  })
})
