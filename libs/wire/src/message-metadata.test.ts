import { create, toBinary } from '@bufbuild/protobuf'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  highHalf,
  javaStringHash,
  joinHalves,
  lowHalf,
  MessageMetadataSchema,
  MetadataView,
  murmur3_32,
  ProtoReader,
  readBrokerEntryMetadata,
  readEntryProperties,
  readMessageMetadata,
  readSingleMessage,
  SingleMessageMetadataSchema,
  skipBrokerEntryMetadata,
  stickyKeyHash,
  varint64Bytes,
  verifyChecksum,
  wireErrors,
  WriteBuffer,
  writeBrokerEntryMetadata,
  writeMessageMetadata,
  writeSingleMessageMetadata,
  type MessageMetadata
} from './index.ts'
import { arbitraryOf } from './testing/arbitrary.ts'

const PAYLOAD = Buffer.from('payload')

function size(bytes: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(bytes)
  return buffer
}

/** Headers and payload around a metadata, with junk in front so that offsets matter. */
function entryOf(
  metadata: Uint8Array,
  options: { hasChecksum: boolean; index?: number }
): { buffer: Buffer; start: number } {
  const body = Buffer.concat([size(metadata.length), metadata, PAYLOAD])
  const sum = Buffer.alloc(6)
  sum.writeUInt16BE(0x0e01)
  sum.writeUInt32BE(crc32c(body), 2)
  const out = new WriteBuffer()
  if (options.index !== undefined) writeBrokerEntryMetadata(out, { brokerTimestampMs: 5, index: options.index })
  const buffer = Buffer.concat([Buffer.from('junk'), out.take(), options.hasChecksum ? sum : Buffer.alloc(0), body])
  return { buffer, start: 4 }
}

function textOf(buffer: Buffer, start: number, end: number): string {
  return start < 0 ? '' : buffer.toString('utf8', start, end)
}

function expectSame(buffer: Buffer, view: MetadataView, metadata: MessageMetadata): void {
  expect(textOf(buffer, view.producerNameStart, view.producerNameEnd)).toBe(metadata.producerName)
  expect(joinHalves(view.sequenceLow, view.sequenceHigh)).toBe(metadata.sequenceId)
  expect(joinHalves(view.highestLow, view.highestHigh)).toBe(metadata.highestSequenceId)
  expect(view.publishTimeMs).toBe(Number(BigInt.asIntN(64, metadata.publishTime)))
  expect(view.eventTimeMs).toBe(Number(BigInt.asIntN(64, metadata.eventTime)))
  expect(textOf(buffer, view.replicatedFromStart, view.replicatedFromEnd)).toBe(metadata.replicatedFrom)
  expect(textOf(buffer, view.partitionKeyStart, view.partitionKeyEnd)).toBe(metadata.partitionKey)
  expect(view.partitionKeyStart >= 0).toBe(Object.hasOwn(metadata, 'partitionKey'))
  expect(view.isPartitionKeyBase64).toBe(metadata.partitionKeyB64Encoded)
  expect(buffer.subarray(view.orderingKeyStart, view.orderingKeyEnd)).toEqual(Buffer.from(metadata.orderingKey))
  expect(buffer.subarray(view.schemaVersionStart, view.schemaVersionEnd)).toEqual(Buffer.from(metadata.schemaVersion))
  expect(view.isBatch).toBe(Object.hasOwn(metadata, 'numMessagesInBatch'))
  expect([view.compression, view.uncompressedBytes]).toEqual([metadata.compression, metadata.uncompressedSize])
  expect(view.numMessages).toBe(metadata.numMessagesInBatch)
  expect(view.hasDeliverAt).toBe(Object.hasOwn(metadata, 'deliverAtTime'))
  expect(view.deliverAtMs).toBe(Number(metadata.deliverAtTime))
  expect([view.hasMarker, view.markerType]).toEqual([Object.hasOwn(metadata, 'markerType'), metadata.markerType])
  expect(joinHalves(view.txnLeastLow, view.txnLeastHigh)).toBe(metadata.txnidLeastBits)
  expect(joinHalves(view.txnMostLow, view.txnMostHigh)).toBe(metadata.txnidMostBits)
  expect([view.encryptionKeyCount, view.propertyCount]).toEqual([
    metadata.encryptionKeys.length,
    metadata.properties.length
  ])
  expect(textOf(buffer, view.uuidStart, view.uuidEnd)).toBe(metadata.uuid)
  expect(view.chunkId).toBe(Object.hasOwn(metadata, 'chunkId') ? metadata.chunkId : -1)
  expect([view.chunkCount, view.chunkedBytes]).toEqual([metadata.numChunksFromMsg, metadata.totalChunkMsgSize])
  expect([view.hasNullValue, view.hasNullPartitionKey]).toEqual([metadata.nullValue, metadata.nullPartitionKey])
}

describe('metadata of an entry', () => {
  test('equals the generated decoder, with and without checksum and broker metadata', () => {
    const view = new MetadataView()
    const options = fc.record({ hasChecksum: fc.boolean(), index: fc.maxSafeNat() }, { requiredKeys: ['hasChecksum'] })
    fc.assert(
      fc.property(arbitraryOf(MessageMetadataSchema), options, (init, how) => {
        const metadata = create(MessageMetadataSchema, init)
        const { buffer, start } = entryOf(toBinary(MessageMetadataSchema, metadata), how)
        readMessageMetadata(buffer, start, buffer.length, view)
        expectSame(buffer, view, metadata)
        expect(view.checksumAt >= 0).toBe(how.hasChecksum)
        expect(verifyChecksum(buffer, view)).toBe(true)
        expect(buffer.subarray(view.payloadStart, view.payloadEnd)).toEqual(PAYLOAD)
        expect(skipBrokerEntryMetadata(buffer, start, buffer.length)).toBe(view.bodyStart)
        if (how.index === undefined) expect(view.brokerMetadataStart).toBe(-1)
        else {
          const fields = readBrokerEntryMetadata(buffer, view.brokerMetadataStart, view.brokerMetadataEnd)
          expect(fields).toEqual({ brokerTimestampMs: 5, index: how.index })
        }
      }),
      { numRuns: 1000 }
    )
  })

  test('garbage is refused or read, never anything else', () => {
    const view = new MetadataView()
    const magic = fc.constantFrom('', '0e01', '0e02', '0e0200000002', '0e0100000000')
    fc.assert(
      fc.property(magic, fc.uint8Array({ maxLength: 40 }), fc.nat(50), (start, bytes, metadataBytes) => {
        const buffer = Buffer.concat([Buffer.from(start, 'hex'), size(metadataBytes), bytes])
        try {
          readMessageMetadata(buffer, 0, buffer.length, view)
          stickyKeyHash(buffer, view)
        } catch (error) {
          if (!wireErrors.is(error)) throw error
        }
      }),
      { numRuns: 3000 }
    )
  })

  test('what a producer writes is what the generated decoder reads', () => {
    const view = new MetadataView()
    const text = fc.string({ unit: 'grapheme' })
    const fields = fc.record({
      producerName: text,
      publishTimeMs: fc.maxSafeNat(),
      sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      properties: fc.dictionary(text, text),
      partitionKey: fc.option(text, { nil: undefined }),
      orderingKey: fc.option(fc.uint8Array(), { nil: undefined }),
      uncompressedBytes: fc.option(fc.nat(), { nil: undefined }),
      numMessagesInBatch: fc.option(fc.nat(), { nil: undefined }),
      deliverAtMs: fc.option(fc.maxSafeNat(), { nil: undefined }),
      eventTimeMs: fc.option(fc.maxSafeNat(), { nil: undefined })
    })
    fc.assert(
      fc.property(fields, given => {
        const out = new WriteBuffer(8)
        const halves = { sequenceLow: lowHalf(given.sequence), sequenceHigh: highHalf(given.sequence) }
        const chunk = { uuid: 'ü-1', id: 2, count: 3, totalBytes: 4 }
        writeMessageMetadata(out, { ...given, ...halves, chunk, schemaVersion: Buffer.from([1]), isNullValue: true })
        const { buffer, start } = entryOf(out.take(), { hasChecksum: true })
        readMessageMetadata(buffer, start, buffer.length, view)
        const optional = Object.entries({
          partitionKey: given.partitionKey,
          orderingKey: given.orderingKey,
          uncompressedSize: given.uncompressedBytes,
          numMessagesInBatch: given.numMessagesInBatch,
          deliverAtTime: given.deliverAtMs === undefined ? undefined : BigInt(given.deliverAtMs),
          eventTime: given.eventTimeMs === undefined ? undefined : BigInt(given.eventTimeMs)
        }).filter(([, value]) => value !== undefined)
        const metadata = create(MessageMetadataSchema, {
          producerName: given.producerName,
          publishTime: BigInt(given.publishTimeMs),
          sequenceId: given.sequence,
          properties: Object.entries(given.properties).map(([key, value]) => ({ key, value })),
          schemaVersion: Buffer.from([1]),
          nullValue: true,
          uuid: 'ü-1',
          chunkId: 2,
          numChunksFromMsg: 3,
          totalChunkMsgSize: 4,
          ...Object.fromEntries(optional)
        })
        expectSame(buffer, view, metadata)
        const properties = readEntryProperties(buffer, view.metadataStart, view.payloadStart)
        expect(Object.entries(properties).sort()).toEqual(Object.entries(given.properties).sort())
      })
    )
  })
})

describe('messages of a batch', () => {
  test('read back as written, and by the generated decoder', () => {
    const text = fc.string({ unit: 'grapheme' })
    const message = fc.record({
      properties: fc.dictionary(text, text),
      partitionKey: fc.option(text, { nil: undefined }),
      orderingKey: fc.option(fc.uint8Array(), { nil: undefined }),
      eventTimeMs: fc.option(fc.maxSafeNat(), { nil: undefined }),
      sequenceLow: fc.integer({ min: 0, max: 0xffffffff }),
      sequenceHigh: fc.integer({ min: 0, max: 0xffffffff }),
      payload: fc.uint8Array()
    })
    fc.assert(
      fc.property(fc.array(message), messages => {
        const out = new WriteBuffer(8)
        for (const { payload, ...fields } of messages) {
          writeSingleMessageMetadata(out, fields, payload.length)
          out.ensure(payload.length)
          out.copy(payload, 0, payload.length)
        }
        const batch = Buffer.from(out.take())
        const reader = new ProtoReader()
        let at = 0
        for (const given of messages) {
          const read = readSingleMessage(reader, batch, at, batch.length)
          expect(batch.subarray(read.payloadStart, read.payloadEnd)).toEqual(Buffer.from(given.payload))
          expect([read.sequenceLow, read.sequenceHigh]).toEqual([given.sequenceLow, given.sequenceHigh])
          expect(read.partitionKey).toBe(given.partitionKey)
          expect(read.orderingKey?.toString('hex')).toBe(
            given.orderingKey === undefined ? undefined : Buffer.from(given.orderingKey).toString('hex')
          )
          expect(read.eventTimeMs).toBe(given.eventTimeMs ?? 0)
          expect(Object.entries(read.properties).sort()).toEqual(Object.entries(given.properties).sort())
          at = read.payloadEnd
        }
        expect(at).toBe(batch.length)
      })
    )
  })

  test('what another client may write is read as well', () => {
    const single = toBinary(
      SingleMessageMetadataSchema,
      create(SingleMessageMetadataSchema, {
        payloadSize: 3,
        compactedOut: true,
        partitionKeyB64Encoded: true,
        nullValue: true
      })
    )
    const batch = Buffer.concat([size(single.length), single, Buffer.from('abc')])
    const read = readSingleMessage(new ProtoReader(), batch, 0, batch.length)
    expect(read).toMatchObject({
      isCompactedOut: true,
      isPartitionKeyBase64: true,
      isNullValue: true,
      hasSequence: false
    })
    expect(() => readSingleMessage(new ProtoReader(), batch, 0, batch.length - 1)).toThrow(/MALFORMED_FRAME/)
  })
})

describe('hashes', () => {
  test.each([
    ['', 0],
    ['a', 0x3c2569b2],
    ['hello', 0x248bfa47],
    ['hello, world', 0x149bbb7f],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723]
  ])('murmur3_32(%j)', (text, hash) => {
    expect(murmur3_32(Buffer.from(text))).toBe(hash)
    expect(murmur3_32(Buffer.from(`xx${text}yy`), 2, 2 + Buffer.byteLength(text))).toBe(hash)
  })

  test('javaStringHash is that of Java, without the sign', () => {
    expect(javaStringHash('hello')).toBe(99162322)
    expect(javaStringHash('polygenelubricants')).toBe(0)
  })

  test('the sticky hash prefers the ordering key and decodes a base64 key', () => {
    const hashOf = (init: object): number => {
      const metadata = create(MessageMetadataSchema, { producerName: 'p', sequenceId: 7n, publishTime: 1n, ...init })
      const { buffer, start } = entryOf(toBinary(MessageMetadataSchema, metadata), { hasChecksum: false })
      const view = new MetadataView()
      readMessageMetadata(buffer, start, buffer.length, view)
      return stickyKeyHash(buffer, view)
    }
    const expected = (key: string): number => (murmur3_32(Buffer.from(key)) & 0x7fffffff) % 65536
    expect(hashOf({ orderingKey: Buffer.from('o'), partitionKey: 'k' })).toBe(expected('o'))
    expect(hashOf({ partitionKey: 'k' })).toBe(expected('k'))
    expect(hashOf({ partitionKey: Buffer.from('k').toString('base64'), partitionKeyB64Encoded: true })).toBe(
      expected('k')
    )
    expect(hashOf({})).toBe(expected('p-7'))
    expect(hashOf({ partitionKey: '' })).toBe(1)
  })
})

test('varint lengths', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(63), (value, shift) => {
      const shifted = value >> BigInt(shift)
      const out = new WriteBuffer(16)
      out.varint64(lowHalf(shifted), highHalf(shifted))
      expect(out.length).toBe(varint64Bytes(lowHalf(shifted), highHalf(shifted)))
      const reader = new ProtoReader()
      reader.open(out.take(), 0, out.position)
      reader.varint()
      expect(joinHalves(reader.low, reader.high)).toBe(shifted)
    })
  )
})
