import { strict as assert } from 'node:assert'
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { test } from 'vitest'
import { CompareResult, CompareTarget, SortOrder, SortTarget, TxnRequestSchema } from '../generated/etcd_pb.ts'
import { encodeTxn } from './txn-message.ts'

const OPTIONS: { requiredKeys: never[]; noNullPrototype: true } = { requiredKeys: [], noNullPrototype: true }
const bytesArb = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
const int64Arb = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-9n, 9n))
const compareArb = fc.record(
  {
    result: fc.constant(CompareResult.EQUAL),
    target: fc.constantFrom(CompareTarget.MOD, CompareTarget.VALUE, CompareTarget.UNSPECIFIED),
    key: bytesArb,
    modRevision: int64Arb,
    value: bytesArb
  },
  OPTIONS
)
const rangeArb = fc.record(
  {
    key: bytesArb,
    rangeEnd: bytesArb,
    limit: int64Arb,
    revision: int64Arb,
    sortOrder: fc.constantFrom(SortOrder.UNSPECIFIED, SortOrder.ASCENDING),
    sortTarget: fc.constantFrom(SortTarget.KEY, SortTarget.MOD),
    keysOnly: fc.boolean(),
    countOnly: fc.boolean()
  },
  OPTIONS
)
const putArb = fc.record({ key: bytesArb, value: bytesArb, lease: int64Arb }, OPTIONS)
const opArb = fc.oneof(
  rangeArb.map(value => ({ request: { case: 'range' as const, value } })),
  putArb.map(value => ({ request: { case: 'put' as const, value } })),
  fc.record({ key: bytesArb }, OPTIONS).map(value => ({ request: { case: 'deleteRange' as const, value } }))
)
const opsArb = fc.array(opArb, { maxLength: 10 })
const txnArb = fc.record(
  { compare: fc.array(compareArb, { maxLength: 10 }), success: opsArb, failure: opsArb },
  OPTIONS
)

function ofSchema(request: MessageInitShape<typeof TxnRequestSchema>): Buffer {
  return Buffer.from(toBinary(TxnRequestSchema, create(TxnRequestSchema, request)))
}

test('a transaction is the bytes that its schema gives', () => {
  fc.assert(
    fc.property(txnArb, request => {
      assert.deepEqual(encodeTxn(request), ofSchema(request))
    }),
    { numRuns: 200 }
  )
})

test('also one that is as large as may be', () => {
  const value = Buffer.alloc(64 * 1024, 'x')
  const put = { request: { case: 'put' as const, value: { key: Buffer.from('key'), value } } }
  const request = { compare: [], success: Array.from({ length: 20 }, () => put), failure: [] }
  assert(encodeTxn(request).equals(ofSchema(request)))
})
