import { strict as assert } from 'node:assert'
import { bookieId, entryId } from '@strata/base'
import { fromBinary, type UnknownField } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { test } from 'vitest'
import { LedgerError } from './errors.ts'
import { LedgerRowSchema } from './generated/ledger-client_pb.ts'
import { decodeLedger, encodeLedger, type LedgerRecord } from './ledger-records.ts'
import { readLedgerRow, type StoredLedger } from './ledger-row.ts'

const number = fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat())

const OPTIONS = { noNullPrototype: true }
const end = fc.record({ lastEntryId: number.map(id => entryId(id - 1)), lengthBytes: number }, OPTIONS)

const name = fc.constantFrom('fast', 'slow')
const groups = fc.record({ primary: fc.array(name, { minLength: 1 }), secondary: fc.array(name) }, OPTIONS)

const made = fc.record({
  quorum: fc.constantFrom({ ensembleSize: 2, writeQuorum: 2, ackQuorum: 1 }),
  state: fc.constantFrom('open', 'in-recovery', 'closed'),
  end: fc.option(end, { nil: undefined }),
  ensembles: fc
    .uniqueArray(number, { maxLength: 5 })
    .map(firsts => [0, ...firsts.filter(first => first > 0).sort((a, b) => a - b)])
    .map(firsts => firsts.map(first => ({ firstEntryId: entryId(first), bookies: ['a-1:3181', 'b'].map(bookieId) }))),
  owner: fc.string({ unit: fc.constantFrom('a', 'é', '/') }),
  operationId: fc.uuid(),
  createdAtMs: number
})

const record: fc.Arbitrary<LedgerRecord> = fc
  .tuple(made, fc.option(groups, { nil: undefined }))
  .map(([fields, of]) => (of === undefined ? fields : { ...fields, groups: of }))

/** The fields of a row with numbers as the fast reader has them. */
function plain(row: StoredLedger & { $typeName?: string; $unknown?: UnknownField[] }): unknown {
  const text = JSON.stringify(row, (key, value: unknown) => {
    if (key.startsWith('$')) return undefined
    return typeof value === 'bigint' ? Number(value) : value
  })
  return JSON.parse(text)
}

function bySchema(bytes: Uint8Array): StoredLedger | undefined {
  try {
    return fromBinary(LedgerRowSchema, bytes.subarray(1))
  } catch {
    return undefined
  }
}

test('what is encoded is decoded, read fast or by the schema', () => {
  fc.assert(
    fc.property(record, given => {
      const isClosed = given.state === 'closed' && given.end !== undefined
      const made = { ...given, state: given.state === 'closed' && !isClosed ? 'open' : given.state } as const
      const expected = { ...made, end: isClosed ? given.end : undefined }
      const bytes = encodeLedger(made)
      assert.deepEqual(decodeLedger(bytes), expected)
      assert.equal(readLedgerRow(bytes) === undefined, given.owner.includes('é'))
    })
  )
})

test('whatever the bytes, what is read fast is what the schema reads', () => {
  const change = fc.record({ at: fc.nat(400), to: fc.nat(255), cut: fc.boolean() })
  fc.assert(
    fc.property(record, change, (given, { at, to, cut }) => {
      const bytes = Buffer.from(encodeLedger(given))
      const damaged = cut ? bytes.subarray(0, at) : bytes
      if (!cut && at > 0 && at < bytes.length) bytes[at] = to
      const fast = readLedgerRow(damaged)
      if (fast === undefined) return
      const slow = bySchema(damaged)
      assert.ok(slow !== undefined)
      assert.deepEqual(plain(fast), plain(slow))
    }),
    { numRuns: 2_000 }
  )
})

test('a row with what a later version wrote beside is read by the schema', () => {
  const made: LedgerRecord = {
    ...{ quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }, state: 'open', end: undefined },
    ...{ owner: 'o', operationId: 'x', createdAtMs: 5 },
    ensembles: [{ firstEntryId: entryId(0), bookies: [bookieId('a')] }]
  }
  const bytes = Buffer.concat([encodeLedger(made), Buffer.from([0xa0, 0x01, 7])]) // field 20
  assert.equal(readLedgerRow(bytes), undefined)
  assert.deepEqual(decodeLedger(bytes), made)
  assert.throws(
    () => decodeLedger(Buffer.from([2])),
    (error: unknown) => LedgerError.is(error, 'METADATA_CORRUPT')
  )
})
