import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { RECORD_KIND, type RecordHeader } from '../format/record.ts'
import { MoveList } from './move-list.ts'

const headerOf = (ledgerId: number, entryId: number): RecordHeader =>
  ({ ledgerId, entryId, kind: RECORD_KIND.entry, payloadBytes: ledgerId + entryId }) as RecordHeader

function rowsOf(moves: MoveList): number[][] {
  return Array.from({ length: moves.count }, (_, i) => [
    ...[moves.ledgerId(i), moves.entryId(i), moves.kind(i)],
    ...[moves.payloadBytes(i), moves.from(i), moves.at(i)]
  ])
}

test('what is kept of records is sorted by ledger and entry, as an array of them would be', async () => {
  const record = fc.record({ ledger: fc.nat(3), entry: fc.nat(50), isKept: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 200 }), fc.boolean(), async (records, isInOrder) => {
      if (isInOrder) records.sort((a, b) => a.ledger - b.ledger || a.entry - b.entry)
      const moves = new MoveList()
      records.forEach(({ ledger, entry }, i) => moves.push(headerOf(ledger, entry), { from: 4_096 + i, at: i }))
      let kept = 0
      records.forEach(({ isKept }, i) => {
        if (isKept) moves.moveUp(i, kept++)
      })
      moves.cut(kept)
      const wanted = records
        .map(({ ledger, entry, isKept }, i) => ({
          isKept,
          row: [ledger, entry, 1, ledger + entry, 4_096 + i, i] as const
        }))
        .filter(({ isKept }) => isKept)
        .map(({ row }) => [...row])
        .sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0))
      assert.deepEqual(rowsOf(await moves.sorted()), wanted)
    })
  )
})
