import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { AckState } from './ack-state.ts'
import { LedgerTable } from './ledger-table.ts'
import { AckRun, stepsArb } from './testing/ack-model.ts'

describe('the state is a plain set of positions', () => {
  test('every step, and whatever was persisted, gives what the set gives', () => {
    fc.assert(
      fc.property(stepsArb, steps => {
        new AckRun({ AckState, LedgerTable }).run(steps)
      }),
      { numRuns: 60 }
    )
  })

  test('a chunk applied twice, and chunks after a prefix of a delta, do no harm', () => {
    fc.assert(
      fc.property(fc.array(atOf(4000), { minLength: 1, maxLength: 200 }), entryIds => {
        const table = new LedgerTable()
        table.add({ ledgerId: 3, entries: 4000, sizeBytes: 1, createdAtMs: 0, closedAtMs: undefined })
        const state = new AckState(table, { ledgerId: 3, entryId: -1 })
        const stored = state.takeSnapshot(1000)
        for (const entryId of entryIds) state.acknowledge(3, entryId)
        const chunks = state.takeChanges(16)
        const loaded = new AckState(table, { ledgerId: -1, entryId: -1 })
        const half = chunks.slice(0, chunks.length >> 1)
        for (const chunk of [...stored, ...half, ...half, ...chunks, ...chunks]) loaded.apply(chunk)
        loaded.settle()
        assert.deepEqual(loaded.markDelete, state.markDelete)
        assert.deepEqual([...loaded.ranges()], [...state.ranges()])
      })
    )
  })
})

describe('rules by name', () => {
  test('no number of holes is too many: a quarter of a million of them survive a snapshot', () => {
    const table = new LedgerTable()
    const entries = 500_000
    table.add({ ledgerId: 1, entries, sizeBytes: entries, createdAtMs: 0, closedAtMs: undefined })
    const state = new AckState(table, { ledgerId: 1, entryId: -1 })
    for (let entryId = 1; entryId < entries; entryId += 2) state.acknowledge(1, entryId)
    const loaded = new AckState(table, { ledgerId: -1, entryId: -1 })
    for (const chunk of state.takeSnapshot(100_000)) loaded.apply(chunk)
    loaded.settle()
    assert.equal(loaded.backlogEntries(), entries / 2)
    assert.equal(loaded.isAcknowledged(1, 249_999), true)
    assert.equal(loaded.isAcknowledged(1, 250_000), false)
  })

  test('an empty set of bits acknowledges the entry', () => {
    const table = new LedgerTable()
    table.add({ ledgerId: 1, entries: 2, sizeBytes: 2, createdAtMs: 0, closedAtMs: undefined })
    const state = new AckState(table, { ledgerId: 1, entryId: -1 })
    assert.equal(state.acknowledgeBits(1, 0, new Int32Array(0)), true)
    assert.deepEqual(state.markDelete, { ledgerId: 1, entryId: 0 })
  })

  test('the changes of an idle second are nothing', () => {
    const state = new AckState(new LedgerTable(), { ledgerId: -1, entryId: -1 })
    assert.deepEqual(state.takeChanges(100), [])
  })

  test('bytes that no state wrote are refused with a code, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        const state = new AckState(new LedgerTable(), { ledgerId: -1, entryId: -1 })
        for (const version of [0, 1]) {
          try {
            state.apply(Buffer.concat([Buffer.of(version), bytes]))
          } catch (error) {
            assert.match(String(error), /MALFORMED_CURSOR_STATE|UNKNOWN_CURSOR_STATE_VERSION/)
          }
        }
      }),
      { numRuns: 500 }
    )
  })
})

function atOf(entries: number): fc.Arbitrary<number> {
  return fc.nat(entries - 1)
}
