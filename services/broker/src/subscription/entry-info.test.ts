import { describe, expect, test } from 'vitest'
import { EntryReader } from './entry-info.ts'
import { encodeMessage, type MessageFields } from './testing/message.ts'

const read = (fields: MessageFields) => ({
  ...new EntryReader().read({ ledgerId: 1, entryId: 1, payload: encodeMessage(fields) }, true)
})

describe('EntryReader', () => {
  test('batch size, publish time, chunk', () => {
    expect(read({ messages: 7, publishTimeMs: 1_700_000_000_123 })).toMatchObject({
      messages: 7,
      publishTimeMs: 1_700_000_000_123,
      chunkId: -1
    })
    expect(read({ chunk: { uuid: 'p-1', id: 2, of: 5 } })).toMatchObject({ chunkId: 2, chunks: 5, uuid: 'p-1' })
  })

  test('with broker metadata in front, without a checksum', () => {
    expect(read({ messages: 3, brokerMetadataBytes: 20 }).messages).toBe(3)
    expect(read({ messages: 3, withChecksum: false }).messages).toBe(3)
  })

  test('the ordering key goes before the partition key, base64 is decoded, no key is a key of its own', () => {
    const hash = read({ key: 'x' }).hash
    expect(read({ key: 'y', orderingKey: 'x' }).hash).toBe(hash)
    expect(read({ key: Buffer.from('x').toString('base64'), keyIsBase64: true }).hash).toBe(hash)
    expect(read({ producer: 'p', sequence: 7 }).hash).toBe(read({ key: 'p-7' }).hash)
    expect(read({ producer: 'p', sequence: 2n ** 64n - 1n }).hash).toBe(read({ key: 'p--1' }).hash)
  })

  test('bytes that make no sense are one message without a key', () => {
    const entry = { ledgerId: 1, entryId: 1, payload: Buffer.from('nonsense') }
    expect(new EntryReader().read(entry, true)).toMatchObject({ messages: 1, hash: 1, chunkId: -1 })
  })
})
