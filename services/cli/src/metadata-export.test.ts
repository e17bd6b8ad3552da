import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, NO_ENTRY } from '@strata/base'
import { decodeLedger, encodeLedger, ledgerKey, type LedgerRecord } from '@strata/ledger-client'
import { describe, test } from 'vitest'
import { Widening } from './metadata-export.ts'

const one = bookieId('one')
const ledger = (change: Partial<LedgerRecord> = {}): LedgerRecord => ({
  quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
  state: 'closed',
  end: { lastEntryId: entryId(9), lengthBytes: 90 },
  ensembles: [{ firstEntryId: entryId(0), bookies: [one] }],
  owner: 'log:orders@1',
  operationId: 'op',
  createdAtMs: 1,
  ...change
})
const row = (record: LedgerRecord) => ({ key: ledgerKey(ledgerId(7)), value: encodeLedger(record), version: 3 })

describe('ledgers of a standalone that grows', () => {
  test('are written down with as many members, of which the first is there and the others are declared destroyed', () => {
    const widening = new Widening(3)
    const wide = decodeLedger(widening.record(row(ledger())).value)
    assert.deepEqual(wide.quorum, { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 })
    const members = wide.ensembles[0]?.bookies ?? []
    assert.equal(members[0], one)
    assert.equal(new Set(members).size, 3)
    assert.deepEqual({ ...wide, quorum: 0, ensembles: 0 }, { ...ledger(), quorum: 0, ensembles: 0 })
    assert.equal(widening.count, 1)
    const declared = [...widening.declarations()].map(({ key }) => key)
    assert.deepEqual(declared.length, 2)
    for (const member of members.slice(1))
      assert(
        declared.some(key => key.endsWith(`/${member}`)),
        member
      )
  })

  test('that are not closed or empty, or have copies, and all other rows stay as they are', () => {
    const widening = new Widening(2)
    const open = row(ledger({ state: 'open', end: undefined }))
    const empty = row(ledger({ end: { lastEntryId: NO_ENTRY, lengthBytes: 0 } }))
    const two = { ensembleSize: 2, writeQuorum: 2, ackQuorum: 2 }
    const wide = row(
      ledger({ quorum: two, ensembles: [{ firstEntryId: entryId(0), bookies: [one, bookieId('two')] }] })
    )
    const other = { key: 'ledger-ids', value: Buffer.from('x'), version: 1 }
    for (const record of [open, empty, wide, other]) assert.equal(widening.record(record), record)
    assert.deepEqual([...widening.declarations()], [])
    const single = new Widening(1)
    const closed = row(ledger())
    assert.equal(single.record(closed), closed)
  })
})
