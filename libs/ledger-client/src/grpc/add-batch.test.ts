import { strict as assert } from 'node:assert'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { entryId, ledgerId } from '@strata/base'
import fc from 'fast-check'
import { test } from 'vitest'
import { entryPitch, STRETCH_STRIDE, type AddStretch } from '../add-stretch.ts'
import type { AddRequest } from '../contract.ts'
import { AddBatchSchema } from '../generated/bookie_node_pb.ts'
import { encodedAddBatch } from '../testing/encoded-add-batch.ts'
import { decodeAddBatch, type ChannelAdd } from './add-batch.ts'

const address = { clusterId: Buffer.from('cluster'), nodeId: Buffer.from('node') }

function addOf(entry: number, bytes: number, { ledger = 5, recovery = false } = {}): AddRequest {
  const payload = Buffer.alloc(bytes, `${entry};`)
  const ids = { ledgerId: ledgerId(ledger), entryId: entryId(entry), lac: entryId(entry - 1) }
  return { ...ids, lengthBytes: 2 ** 40 + entry, crc32c: 2 ** 32 - 1 - entry, payload, recovery }
}

function decoded(message: Buffer): { adds: ChannelAdd[]; stretches: AddStretch[] } {
  const adds: ChannelAdd[] = []
  const stretches: AddStretch[] = []
  decodeAddBatch(message, {
    onAddress: () => undefined,
    onAdd: (channel, request) => adds.push({ channel, request }),
    onStretch: (channel, stretch) => {
      stretches.push(stretch)
      for (let i = 0; i < stretch.count; i++) adds.push({ channel, request: stretch.requestAt(i) })
    },
    onAnswersTaken: () => undefined
  })
  return { adds, stretches }
}

// around the places where the lengths of a payload and of its item take another byte
const bytesArb = fc.oneof(
  fc.nat(200),
  fc.integer({ min: 1_000, max: 1_100 }),
  fc.integer({ min: 16_250, max: 16_400 }),
  fc.integer({ min: 2_096_950, max: 2_097_160 })
)

test('adds of one channel come as one stretch, their payloads as far apart as a journal has them', () => {
  fc.assert(
    fc.property(fc.array(bytesArb, { minLength: 4, maxLength: 12 }), sizes => {
      const given = sizes.map((bytes, i) => ({ channel: 9, request: addOf(i * 2, bytes) }))
      const { adds, stretches } = decoded(encodedAddBatch(address, given, 0))
      assert.deepEqual(adds, given)
      assert.equal(stretches.length, 1)
      const numbers = stretches[0]?.numbers ?? new Float64Array()
      for (let i = 1; i < given.length; i++) {
        const [before = 0, at = 0] = [i - 1, i].map(each => numbers[each * STRETCH_STRIDE + 4])
        const isBorder = isLengthBorder(sizes[i - 1] ?? 0, sizes[i] ?? 0)
        if (!isBorder) assert.equal(at - before, entryPitch(sizes[i - 1] ?? 0), `${sizes[i - 1]}, ${sizes[i]}`)
      }
    }),
    { numRuns: 60 }
  )
})

/** An item that is one byte too long for the shorter length, and with the longer one would have to be one shorter. */
function isLengthBorder(before: number, bytes: number): boolean {
  const between = entryPitch(before) - before
  return [128, 16_384, 2_097_152].some((border, i) => bytes + between - 1 - (i + 1) === border)
}

test('what does not follow each other, is of recovery, or is little comes one by one or apart, all in its order', () => {
  const channelArb = fc.nat(1).map(channel => ({ channel, ledger: channel + 70, recovery: false }))
  const oneArb = fc.record({ of: channelArb, recovery: fc.boolean(), back: fc.boolean(), bytes: fc.nat(300) })
  const partArb = fc.record({ of: channelArb, count: fc.nat(9), one: oneArb })
  fc.assert(
    fc.property(fc.array(partArb, { maxLength: 6 }), parts => {
      let next = 100
      const given: ChannelAdd[] = []
      for (const { of, count, one } of parts) {
        for (let i = 0; i < count; i++) given.push({ channel: of.channel, request: addOf(next++, 40 + i, of) })
        const entry = one.back ? next - 50 : next++
        const request = addOf(entry, one.bytes, { ledger: one.of.ledger, recovery: one.recovery })
        given.push({ channel: one.of.channel, request })
      }
      const message = encodedAddBatch(address, given, 3)
      const { adds, stretches } = decoded(message)
      assert.deepEqual(adds, given)
      for (const { numbers, count } of stretches) {
        for (let i = 1; i < count; i++) {
          assert((numbers[i * STRETCH_STRIDE] ?? 0) > (numbers[(i - 1) * STRETCH_STRIDE] ?? 0))
        }
      }
      const generated = Buffer.from(toBinary(AddBatchSchema, fromBinary(AddBatchSchema, message)))
      assert.deepEqual(decoded(generated).adds, given)
    })
  )
})
