import { strict as assert } from 'node:assert'
import { fromBinary } from '@bufbuild/protobuf'
import { entryId, ledgerId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { LedgerError } from '../errors.ts'
import { ReadEnd, RecoverAnswersSchema, RecoverRequestSchema } from '../generated/bookie_node_pb.ts'
import { testRun } from '../testing/run-conformance.ts'
import {
  decodeRecoverAnswers,
  decodeRecoverRequest,
  encodedAnswer,
  encodeRecoverAnswers,
  encodeRecoverRequest,
  RECOVERY_ORDERS_MAX,
  type RecoveryAnswer,
  type RecoveryOrder
} from './recovery-messages.ts'

const ADDRESS = { clusterId: Buffer.from('cluster'), nodeId: Buffer.from('node') }
const idArb = fc.maxSafeNat()
const uint32Arb = fc.nat(0xffff_ffff)
const readArb = fc.record({ first: idArb, last: idArb, bytesMax: uint32Arb, entriesMax: uint32Arb })
const ordersArb = fc.array(
  fc.record({ ledger: idArb, read: fc.option(readArb, { nil: undefined }) }).map(({ ledger, read }): RecoveryOrder => {
    const limits = read && { ...read, first: entryId(read.first), last: entryId(read.last) }
    return { ledgerId: ledgerId(ledger), read: limits }
  }),
  { maxLength: RECOVERY_ORDERS_MAX }
)
const indexArb = uint32Arb
const answersArb = fc.array(
  fc.oneof(
    fc
      .record({ index: indexArb, lac: fc.integer({ min: -1, max: 2 ** 50 }), authority: fc.boolean() })
      .map(({ index, lac, authority }): RecoveryAnswer => ({ index, lac: { lac: entryId(lac), authority } })),
    fc
      .record({ index: indexArb, count: fc.nat(5), end: fc.constantFrom('limit', 'absent', 'unknown') })
      .map(({ index, count, end }): RecoveryAnswer => {
        return { index, read: { entries: count === 0 ? [] : testRun({ count }).entries(), end } }
      }),
    fc.tuple(indexArb, fc.string()).map(([index, failure]): RecoveryAnswer => ({ index, failure }))
  ),
  { maxLength: 20 }
)

const encoded = (answers: readonly RecoveryAnswer[]): Buffer => encodeRecoverAnswers(answers.map(encodedAnswer))

function refused(run: () => unknown): void {
  assert.throws(run, error => LedgerError.is(error, 'MALFORMED_MESSAGE'))
}

describe('orders of recovery over the wire', () => {
  test('they survive the way', () => {
    fc.assert(
      fc.property(ordersArb, orders => {
        const { names, orders: taken } = decodeRecoverRequest(encodeRecoverRequest(ADDRESS, orders))
        assert.deepEqual(names, { clusterId: 'cluster', nodeId: 'node' })
        assert.deepEqual(taken, orders)
      })
    )
  })

  test('so do answers', () => {
    fc.assert(fc.property(answersArb, answers => assert.deepEqual(decodeRecoverAnswers(encoded(answers)), answers)))
  })

  test('the schema says the same', () => {
    const limits = { first: entryId(5), last: entryId(8), bytesMax: 100, entriesMax: 7 }
    const { clusterId, nodeId, orders } = fromBinary(
      RecoverRequestSchema,
      encodeRecoverRequest(ADDRESS, [
        { ledgerId: ledgerId(3), read: undefined },
        { ledgerId: ledgerId(4), read: limits }
      ])
    )
    assert.deepEqual([clusterId, nodeId], ['cluster', 'node'])
    assert.deepEqual(
      orders.map(({ ledgerId: id, firstEntryId, lastEntryId, bytesMax, entriesMax }) => {
        return [id, firstEntryId, lastEntryId, bytesMax, entriesMax]
      }),
      [
        [3n, undefined, undefined, undefined, undefined],
        [4n, 5n, 8n, 100, 7]
      ]
    )
    const { answers } = fromBinary(
      RecoverAnswersSchema,
      encoded([
        { index: 0, lac: { lac: entryId(6), authority: true } },
        { index: 1, read: { entries: testRun({ first: 5, count: 2 }).entries(), end: 'absent' } },
        { index: 2, failure: 'UNAVAILABLE' }
      ])
    )
    assert.deepEqual([answers[0]?.confirmedCount, answers[0]?.authority], [7n, true])
    assert.deepEqual(
      answers[1]?.read?.entries.map(({ entryId: id }) => id),
      [5n, 6n]
    )
    assert.equal(answers[1].read.end, ReadEnd.ABSENT)
    assert.deepEqual([answers[2]?.index, answers[2]?.failure], [2, 'UNAVAILABLE'])
  })

  test('more orders than may be in one request are refused, as is one for no ledger', () => {
    const fence = { ledgerId: ledgerId(1), read: undefined }
    const most = encodeRecoverRequest(
      ADDRESS,
      Array.from({ length: RECOVERY_ORDERS_MAX }, () => fence)
    )
    assert.equal(decodeRecoverRequest(most).orders.length, RECOVERY_ORDERS_MAX)
    refused(() => decodeRecoverRequest(Buffer.concat([most, encodeRecoverRequest(ADDRESS, [fence])])))
    refused(() => decodeRecoverRequest(Buffer.from([26, 0])))
  })

  test('any bytes are decoded or refused, never anything else', () => {
    for (const decode of [decodeRecoverRequest, decodeRecoverAnswers]) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
          try {
            decode(Buffer.from(bytes))
          } catch (error) {
            assert(LedgerError.is(error, 'MALFORMED_MESSAGE'))
          }
        })
      )
    }
  })

  test('an answer that says nothing is a failure, never an end', () => {
    assert.deepEqual(decodeRecoverAnswers(Buffer.from([10, 5, 13, 4, 0, 0, 0])), [{ index: 4, failure: 'no answer' }])
    const silent = Buffer.from([10, 7, 13, 4, 0, 0, 0, 26, 0]) // a read without its end
    assert.deepEqual(decodeRecoverAnswers(silent), [{ index: 4, read: { entries: [], end: 'unknown' } }])
  })
})
