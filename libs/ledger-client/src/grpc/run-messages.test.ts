import { strict as assert } from 'node:assert'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { entryId, ledgerId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import type { EntryRun, RunFailure, RunRequest } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { AddRunReplySchema, AddRunRequestSchema } from '../generated/bookie_node_pb.ts'
import { testRun } from '../testing/run-conformance.ts'
import { encodeReadReply } from './node-messages.ts'
import { decodeAddRun, decodeRun, decodeRunAnswer, encodeAddRun, encodeRunAnswer } from './run-messages.ts'

const LEDGER = ledgerId(7)
const ADDRESS = { clusterId: Buffer.from('cluster'), nodeId: Buffer.from('node') }
const shapeArb = fc.record({
  first: fc.nat(2 ** 40),
  every: fc.integer({ min: 1, max: 9 }),
  count: fc.integer({ min: 1, max: 20 }),
  bytes: fc.nat(300)
})

function requestFor(first: number, last: number, every: number): RunRequest {
  return { ledgerId: LEDGER, first: entryId(first), last: entryId(last), every, bytesMax: 0, entriesMax: 0 }
}

function replyOf(run: EntryRun, end: 'limit' | 'absent' = 'limit'): Buffer {
  return encodeReadReply({ entries: run.entries(), end })
}

describe('runs over the wire', () => {
  test('what a node gave goes on as it came', () => {
    fc.assert(
      fc.property(shapeArb, shape => {
        const run = testRun(shape)
        const given = decodeRun(requestFor(run.first, run.last, shape.every), replyOf(run, 'absent'))
        assert(given !== undefined)
        const { first, last, count, payloadBytes } = run
        assert.deepEqual({ first, last, count, payloadBytes }, pick(given))
        assert.deepEqual(given.entries(), run.entries())
        const { names, run: taken } = decodeAddRun(encodeAddRun(ADDRESS, given))
        assert.deepEqual(names, { clusterId: 'cluster', nodeId: 'node' })
        assert.deepEqual(taken?.entries(), run.entries())
        assert.deepEqual(decodeAddRun(encodeAddRun(ADDRESS, run)).run?.entries(), run.entries())
      })
    )
  })

  test('the schema says the same', () => {
    const message = fromBinary(AddRunRequestSchema, encodeAddRun(ADDRESS, testRun({ first: 3, count: 2 })))
    assert.equal(message.clusterId, 'cluster')
    assert.equal(message.ledgerId, 7n)
    assert.deepEqual(
      message.entries.map(({ entryId: id }) => id),
      [3n, 4n]
    )
  })

  test('of an answer counts what was asked for, up to the first entry that was not', () => {
    const reply = replyOf(testRun({ first: 10, count: 6 }))
    assert.equal(decodeRun(requestFor(10, 12, 1), reply)?.last, 12)
    assert.equal(decodeRun(requestFor(10, 99, 1), reply)?.last, 15)
    assert.equal(decodeRun(requestFor(9, 99, 1), reply), undefined)
    // a node that knows nothing of stripes gives every entry
    const stripe = decodeRun(requestFor(10, 99, 3), reply)
    assert.deepEqual(stripe?.entries(), testRun({ first: 10, count: 1 }).entries())
  })

  test('an answer says that all were added, or which was not', () => {
    const run = testRun({ first: 4, count: 5 })
    assert.equal(decodeRunAnswer(run, encodeRunAnswer(run, undefined)), undefined)
    for (const failure of ['FENCED', 'READ_ONLY', 'STORAGE_FAILED', 'DAMAGED'] as const) {
      const failed: RunFailure = { entryId: entryId(6), failure }
      assert.deepEqual(decodeRunAnswer(run, encodeRunAnswer(run, failed)), failed)
    }
    const silent = Buffer.from(toBinary(AddRunReplySchema, create(AddRunReplySchema)))
    for (const answer of [silent, encodeRunAnswer(testRun({ count: 4 }), undefined), Buffer.from([0xff])]) {
      assert.throws(
        () => decodeRunAnswer(run, answer),
        error => LedgerError.is(error, 'MALFORMED_MESSAGE')
      )
    }
  })

  test('bytes that are no run are refused', () => {
    const message = encodeAddRun(ADDRESS, testRun({ count: 3 }))
    const twice = Buffer.concat([message, message])
    for (const bytes of [twice, message.subarray(0, 50)]) {
      assert.throws(
        () => decodeAddRun(bytes),
        error => LedgerError.is(error, 'MALFORMED_MESSAGE')
      )
    }
    assert.equal(decodeAddRun(Buffer.alloc(0)).run, undefined)
  })
})

function pick({ first, last, count, payloadBytes }: EntryRun) {
  return { first, last, count, payloadBytes }
}
