import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { EntryCache, type LogCache } from './entry-cache.ts'

/** What the cache says of an entry; undefined: not cached. */
function cached(log: LogCache, ledgerId: number, entryId: number): string | undefined {
  const run = log.find({ ledgerId, entryId })
  return run?.payloads[run.offset]?.toString()
}

function slices(chunkBytes: number, payloadBytes: number, count: number): Buffer[] {
  const chunk = Buffer.allocUnsafeSlow(chunkBytes).fill(7)
  return Array.from({ length: count }, (_, index) => chunk.subarray(index * payloadBytes, (index + 1) * payloadBytes))
}

describe('the entry cache', () => {
  test('never gives another entry than was put in, however pieces overlap', () => {
    const pieceArb = fc.record({
      log: fc.nat(1),
      ledgerId: fc.nat(3),
      first: fc.nat(20),
      count: fc.integer({ min: 1, max: 12 }),
      isReadAhead: fc.boolean()
    })
    fc.assert(
      fc.property(fc.array(pieceArb, { maxLength: 30 }), fc.integer({ min: 60, max: 4000 }), (pieces, bytesMax) => {
        const cache = new EntryCache({ bytesMax, clock: new ManualClock() })
        const logs = [cache.openLog(), cache.openLog()]
        const put = new Set<string>()
        for (const piece of pieces) {
          const labels = Array.from({ length: piece.count }, (_, index) => {
            return `${piece.log}/${piece.ledgerId}/${piece.first + index}`
          })
          for (const label of labels) put.add(label)
          const payloads = labels.map(label => Buffer.from(label))
          logs[piece.log]?.add(piece.ledgerId, piece.first, payloads, piece.isReadAhead)
          assert.ok(cache.bytesHeld <= bytesMax)
        }
        for (const [index, log] of logs.entries()) {
          for (let ledgerId = 0; ledgerId < 5; ledgerId++) {
            for (let entryId = 0; entryId < 40; entryId++) {
              const found = cached(log, ledgerId, entryId)
              if (found === undefined) continue
              assert.equal(found, `${index}/${ledgerId}/${entryId}`)
              assert.ok(put.has(found))
            }
          }
        }
        cache.close()
        assert.equal(cache.bytesHeld, 0)
      }),
      { numRuns: 300 }
    )
  })

  test('a small slice of a large chunk is copied; slices that fill their chunk keep it, charged once', () => {
    const cache = new EntryCache({ bytesMax: 1 << 20, clock: new ManualClock() })
    const log = cache.openLog()
    const [small] = slices(64_000, 100, 1)
    assert.ok(small !== undefined)
    log.add(1, 0, [small])
    assert.equal(cache.bytesHeld, 100)
    assert.notEqual(log.find({ ledgerId: 1, entryId: 0 })?.payloads[0]?.buffer, small.buffer)
    const many = slices(64_000, 1_000, 60)
    log.add(2, 0, many)
    assert.equal(cache.bytesHeld, 100 + 64_000)
    assert.equal(log.find({ ledgerId: 2, entryId: 59 })?.payloads[59], many[59])
  })

  test('what nobody reads is gone after a second or so; what a reader is coming to stays', () => {
    const clock = new ManualClock()
    const cache = new EntryCache({ bytesMax: 1 << 20, clock })
    const [idle, read] = [cache.openLog(), cache.openLog()]
    idle.add(1, 0, slices(1000, 100, 10))
    read.add(1, 0, slices(1000, 100, 10))
    for (let tenths = 0; tenths < 30; tenths++) {
      read.noteRead({ ledgerId: 1, entryId: 0 })
      clock.advance(100)
    }
    assert.equal(cached(idle, 1, 3), undefined)
    assert.notEqual(cached(read, 1, 3), undefined)
    clock.advance(3_000)
    assert.equal(cache.bytesHeld, 0)
  })
})
