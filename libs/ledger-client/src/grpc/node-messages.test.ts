import { strict as assert } from 'node:assert'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { entryId, ledgerId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import type { AddRequest, StoredEntry } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { AddAnswersSchema, AddBatchSchema, ReadReplySchema } from '../generated/bookie_node_pb.ts'
import { encodedAddBatch } from '../testing/encoded-add-batch.ts'
import { decodeAddBatch, type ChannelAdd } from './add-batch.ts'
import {
  decodeAddAnswers,
  decodeReadReply,
  encodeAddAnswers,
  encodeReadReply,
  type AddAnswer
} from './node-messages.ts'

const idArb = fc.oneof(fc.nat(200), fc.nat(2 ** 31 - 1), fc.maxSafeNat()).filter(id => id < Number.MAX_SAFE_INTEGER)
const payloadArb = fc
  .oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
  .map(bytes => Buffer.from(bytes))
const uint32Arb = fc.nat(2 ** 31 - 1).map(low => low * 2 + 1)
const entryArb: fc.Arbitrary<StoredEntry> = fc
  .record({ entry: idArb, behind: fc.nat(3), lengthBytes: idArb, crc32c: uint32Arb, payload: payloadArb })
  .map(({ entry, behind, ...rest }) => ({
    entryId: entryId(entry),
    lac: entryId(Math.max(-1, entry - 1 - behind)),
    ...rest
  }))
const addArb: fc.Arbitrary<ChannelAdd> = fc
  .record({ channel: uint32Arb, ledger: idArb, recovery: fc.boolean(), entry: entryArb })
  .map(({ channel, ledger, recovery, entry }) => ({
    channel,
    request: { ledgerId: ledgerId(ledger), recovery, ...entry }
  }))
const answerArb: fc.Arbitrary<AddAnswer> = fc.record(
  {
    channel: uint32Arb,
    entryId: idArb.map(entryId),
    failure: fc.constantFrom(undefined, 'FENCED' as const, 'READ_ONLY' as const, 'STORAGE_FAILED' as const)
  },
  { noNullPrototype: true }
)
const replyArb = fc.record(
  {
    entries: fc.array(entryArb, { maxLength: 5 }),
    end: fc.constantFrom('limit' as const, 'absent' as const, 'unknown' as const)
  },
  { noNullPrototype: true }
)
const address = { clusterId: Buffer.from('cluster'), nodeId: Buffer.from('node'.repeat(40)) }

function decodeBatch(message: Buffer): { names: string[]; adds: ChannelAdd[]; taken: number } {
  const names: string[] = []
  const adds: ChannelAdd[] = []
  let taken = -1
  decodeAddBatch(message, {
    onAddress: ({ clusterId, nodeId }) => names.push(clusterId.toString(), nodeId.toString()),
    onAdd: (channel: number, request: AddRequest) => adds.push({ channel, request }),
    onStretch: (channel, stretch) => {
      for (let i = 0; i < stretch.count; i++) adds.push({ channel, request: stretch.requestAt(i) })
    },
    onAnswersTaken: count => (taken = count)
  })
  return { names, adds, taken }
}

describe('messages between brokers and bookies', () => {
  test('adds survive the way, also through the generated code', () => {
    fc.assert(
      fc.property(fc.array(addArb, { maxLength: 5 }), idArb, (adds, taken) => {
        const message = encodedAddBatch(address, adds, taken)
        const expected = { names: [address.clusterId.toString(), address.nodeId.toString()], adds, taken }
        assert.deepEqual(decodeBatch(message), expected)
        const generated = Buffer.from(toBinary(AddBatchSchema, fromBinary(AddBatchSchema, message)))
        assert.deepEqual(decodeBatch(generated), expected)
      })
    )
  })

  test('answers survive the way, also through the generated code', () => {
    fc.assert(
      fc.property(fc.array(answerArb, { maxLength: 8 }), fc.option(idArb, { nil: undefined }), (answers, granted) => {
        const message = encodeAddAnswers(answers, granted)
        assert.deepEqual(decodeAddAnswers(message), { answers, grantedBytes: granted ?? 0 })
        const parsed = fromBinary(AddAnswersSchema, message)
        assert.equal(parsed.added.length + parsed.failed.length, answers.length)
        assert.equal(toBinary(AddAnswersSchema, parsed).length, message.length)
      })
    )
  })

  test('replies survive the way, also through the generated code', () => {
    fc.assert(
      fc.property(replyArb, answer => {
        const message = encodeReadReply(answer)
        assert.deepEqual(decodeReadReply(message), answer)
        const generated = Buffer.from(toBinary(ReadReplySchema, fromBinary(ReadReplySchema, message)))
        assert.deepEqual(decodeReadReply(generated), answer)
      })
    )
  })

  test('what a reply does not say is unknown, never absent', () => {
    assert.deepEqual(decodeReadReply(Buffer.alloc(0)), { entries: [], end: 'unknown' })
    const newer = toBinary(ReadReplySchema, create(ReadReplySchema, { entries: [], end: 0 }))
    assert.equal(decodeReadReply(Buffer.from(newer)).end, 'unknown')
  })

  test('fields of a newer peer are passed over', () => {
    const message = encodedAddBatch(address, [], 1)
    const extra = Buffer.from([0x78, 0x01, 0x7a, 0x02, 1, 2, 0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8])
    assert.deepEqual(decodeBatch(Buffer.concat([extra, message])), decodeBatch(message))
  })

  test('any bytes are decoded or refused, never anything else', () => {
    const cutArb = fc
      .tuple(fc.array(addArb, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(), fc.nat(255))
      .map(([adds, end, at, byte]) => {
        const message = Buffer.from(encodedAddBatch(address, adds, 0))
        message[at % message.length] = byte
        return message.subarray(0, end % (message.length + 1))
      })
    const bytesArb = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes)),
      cutArb
    )
    const run = fc.property(bytesArb, bytes => {
      for (const decode of [decodeBatch, decodeAddAnswers, decodeReadReply]) {
        try {
          decode(bytes)
        } catch (error) {
          assert(LedgerError.is(error, 'MALFORMED_MESSAGE'), String(error))
        }
      }
    })
    fc.assert(run, { numRuns: 1_000 })
  })
})
