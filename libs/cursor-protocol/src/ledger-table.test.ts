import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { LedgerTable } from './ledger-table.ts'
import { comparePositions, EARLIEST, LATEST, type Position } from './position.ts'
import { trimmableLedgers } from './retention.ts'

/** Ledgers as (gap before it, entries), the first `trimmed` of which are dropped again. */
const logArb = fc.record({
  ledgers: fc.array(fc.record({ gap: fc.nat(2), entries: fc.nat(4) }), { maxLength: 8 }),
  trimmed: fc.nat(8)
})
const anyPositionArb = fc.oneof(
  fc.record({ ledgerId: fc.integer({ min: -1, max: 26 }), entryId: fc.integer({ min: -1, max: 6 }) }),
  fc.constantFrom(EARLIEST, LATEST)
)

function build(log: { ledgers: readonly { gap: number; entries: number }[]; trimmed: number }): {
  table: LedgerTable
  positions: Position[]
} {
  const table = new LedgerTable()
  let positions: Position[] = []
  let ledgerId = -1
  for (const { gap, entries } of log.ledgers) {
    ledgerId += gap + 1
    const id = ledgerId
    table.add({ ledgerId: id, entries: 0, sizeBytes: 0, createdAtMs: 0, closedAtMs: undefined })
    table.grow(id, entries, entries * 7)
    positions.push(...Array.from({ length: entries }, (_, entryId) => ({ ledgerId: id, entryId })))
  }
  for (const row of table.rows.slice(0, log.trimmed)) {
    const before = table.lastConfirmed
    table.remove(row.ledgerId)
    assert.ok(comparePositions(table.lastConfirmed, before) >= 0, 'T2')
    positions = positions.filter(position => position.ledgerId !== row.ledgerId)
  }
  return { table, positions }
}

describe('positions', () => {
  test('all arithmetic is that of a sorted list', () => {
    fc.assert(
      fc.property(logArb, anyPositionArb, anyPositionArb, fc.integer({ min: 1, max: 30 }), (log, a, b, n) => {
        const { table, positions } = build(log)
        const after = positions.filter(position => comparePositions(position, a) > 0)
        const before = positions.filter(position => comparePositions(position, a) < 0)
        const last = table.lastConfirmed
        const onePast = { ledgerId: last.ledgerId, entryId: last.entryId + 1 }
        if (positions.length > 0) assert.deepEqual(last, positions.at(-1))
        else assert.equal(last.entryId, -1)
        assert.deepEqual(table.firstPosition, positions[0] ?? onePast)
        assert.deepEqual(table.next(a), after[0] ?? onePast)
        assert.deepEqual(table.previous(a), before.at(-1) ?? { ledgerId: table.firstPosition.ledgerId, entryId: -1 })
        assert.deepEqual(table.clamp(a), positions.find(position => comparePositions(position, a) >= 0) ?? onePast)
        assert.deepEqual(table.positionAfter(a, n), after[n - 1] ?? last)
        assert.equal(table.count(a, b), after.filter(position => comparePositions(position, b) <= 0).length)
        assert.equal(
          table.has(a.ledgerId, a.entryId),
          positions.some(position => comparePositions(position, a) === 0)
        )
        assert.equal(table.entries, positions.length)
        assert.equal(table.sizeBytes, positions.length * 7)
        assert.equal(table.bytesAfter(a), after.length * 7)
      }),
      { numRuns: 500 }
    )
  })
})

describe('retention', () => {
  const row = (ledgerId: number, sizeBytes: number, closedAtMs: number | undefined) => {
    return { ledgerId, entries: 10, sizeBytes, createdAtMs: 0, closedAtMs }
  }
  const rows = [row(1, 100, 1000), row(2, 100, 2000), row(3, 100, 3000), row(4, 50, undefined)]
  const none = { timeMs: 0, sizeBytes: 0 }
  const past = (ledgerId: number): Position => ({ ledgerId, entryId: 9 })

  test('nothing that a cursor has not passed goes, and never the open ledger', () => {
    const count = (slowest: Position | undefined): number => {
      return trimmableLedgers(rows, { slowest, retention: none, nowMs: 9000 })
    }
    assert.equal(count(undefined), 3)
    assert.equal(count(past(4)), 3)
    assert.equal(count(past(2)), 2)
    assert.equal(count({ ledgerId: 2, entryId: 8 }), 1)
    assert.equal(count({ ledgerId: 0, entryId: 0 }), 0)
  })

  test('time is counted from the close of the ledger; size keeps the newest that fit', () => {
    const count = (timeMs: number, sizeBytes: number): number => {
      return trimmableLedgers(rows, { slowest: undefined, retention: { timeMs, sizeBytes }, nowMs: 4000 })
    }
    assert.equal(count(-1, -1), 0)
    assert.equal(count(2000, -1), 2)
    assert.equal(count(2001, -1), 1)
    assert.equal(count(-1, 100), 2)
    assert.equal(count(-1, 199), 2)
    assert.equal(count(-1, 200), 1)
    assert.equal(count(-1, 300), 0)
    assert.equal(count(2000, 300), 2)
    assert.equal(count(3_600_000, 0), 3)
  })
})
