import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { StoreStateSchema } from './generated/metadata_pb.ts'
import { rowCodec } from './row-codec.ts'

const codec = rowCodec({
  version: 7,
  unreadable: ({ cause, ...problem }, subject) => new Error(JSON.stringify({ ...problem, subject }), { cause })
})

test('a row is a byte of version and the message', () => {
  const bytes = codec.encode(StoreStateSchema, { revision: 300n })
  assert.equal(bytes[0], 7)
  assert.equal(codec.decode(StoreStateSchema, bytes).revision, 300n)
  assert.equal(codec.decode(StoreStateSchema, new Uint8Array(bytes)).revision, 300n)
})

test.each([
  ['', { reason: 'unknown format version' }],
  ['08ac02', { reason: 'unknown format version', version: 8 }],
  ['0708', { reason: 'not a message', version: 7 }]
])('%j is refused with what is known of it', (hex, expected) => {
  const refused = (): unknown => codec.decode(StoreStateSchema, Buffer.from(hex, 'hex'), 'a/key')
  assert.throws(refused, (error: Error) => {
    const { type, ...problem } = JSON.parse(error.message) as Record<string, unknown>
    assert.equal(type, StoreStateSchema.typeName)
    assert.deepEqual(problem, { ...expected, subject: 'a/key' })
    return true
  })
})
