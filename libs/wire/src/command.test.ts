import { create, fromBinary, toBinary, type MessageShape } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AckView,
  BaseCommandSchema,
  CommandAckSchema,
  CommandMessageSchema,
  CommandSendReceiptSchema,
  CommandSendSchema,
  commandTypeOf,
  decodeAck,
  decodeCommand,
  decodeFlow,
  decodeMessage,
  decodeSend,
  decodeSendReceipt,
  encodeCommand,
  FlowView,
  joinHalves,
  MessageView,
  ReceiptView,
  SendView,
  WriteBuffer,
  wireErrors,
  writeAck,
  writeAckResponse,
  writeMessageHeader,
  writeSendReceipt,
  type CommandName
} from './index.ts'
import { anyCommand, arbitraryOf, commandFields } from './testing/arbitrary.ts'

function encodeAny(name: CommandName, init: object): Buffer {
  return encodeCommand(name, init as never)
}

/** What the library writes of the same. */
function bytesByLibrary(name: CommandName, type: number, init: object): Buffer {
  return Buffer.from(toBinary(BaseCommandSchema, create(BaseCommandSchema, { type, [name]: init } as never)))
}

const asSafe = (value: bigint): bigint => value & 0xfffffffffffffn

describe('cold path', () => {
  test('decode(encode) is what was given, for every command', () => {
    fc.assert(
      fc.property(anyCommand, ({ name, init }) => {
        const frame = encodeAny(name, init)
        const decoded = decodeCommand(frame, 4, frame.length)
        expect(decoded.case).toBe(name)
        expect(decoded.headersStart).toBe(frame.length)
        expect(commandTypeOf(frame, 4, frame.length)).toBe(decoded.type)
        expect(encodeAny(name, decoded.value as object)).toEqual(frame)
      }),
      { numRuns: 2000 }
    )
  })

  test('what is written is what the library writes, for every command', () => {
    fc.assert(
      fc.property(anyCommand, ({ name, init }) => {
        const frame = encodeAny(name, init)
        const type = commandTypeOf(frame, 4, frame.length)
        const given = decodeCommand(frame, 4, frame.length).value as object
        expect(frame.subarray(8)).toEqual(bytesByLibrary(name, type, given))
      }),
      { numRuns: 2000 }
    )
  })

  test('long texts and many parts, at the lengths at which lengths grow', () => {
    for (const length of [0, 126, 127, 128, 16_383, 16_384, 200_000]) {
      const message = '\u{1F600}x'.repeat(length).slice(0, length)
      const value = { requestId: 2n ** 64n - 1n, error: 3, message }
      expect(
        encodeAny('error', value)
          .subarray(8)
          .equals(bytesByLibrary('error', 14, value))
      ).toBe(true)
    }
    const ranges = Array.from({ length: 3000 }, (_, start) => ({ start, end: start + 1 }))
    const value = { topic: 't', subscription: 's', subType: 3, consumerId: 1n, requestId: 1n }
    const init = { ...value, keySharedMeta: { keySharedMode: 1, hashRanges: ranges } }
    expect(
      encodeAny('subscribe', init)
        .subarray(8)
        .equals(bytesByLibrary('subscribe', 4, init))
    ).toBe(true)
  })

  test('what its type cannot hold, or lacks, is refused', () => {
    expect(() => encodeAny('success', {})).toThrow(/needs request_id/)
    expect(() => encodeAny('success', { requestId: -1n })).toThrow(/64 bits/)
    expect(() => encodeAny('error', { requestId: 1n, error: 1.5, message: '' })).toThrow(/32 bits/)
    expect(() => encodeAny('error', { requestId: 1n, error: 1, message: 5 })).toThrow(/text/)
  })

  test('the type of a command is the number of its body, 2 to 82', () => {
    const numbers = commandFields.map(field => field.number)
    expect(numbers[0]).toBe(2)
    expect(numbers.at(-1)).toBe(82)
    expect(numbers).toHaveLength(71)
  })

  test('what some client insists on is there, zero or empty', () => {
    const present = (name: CommandName, init: object): string[] => {
      const frame = encodeAny(name, init)
      return Object.keys(decodeCommand(frame, 4, frame.length).value as object)
    }
    expect(present('lookupTopicResponse', { requestId: 1n })).toContain('response')
    expect(present('partitionMetadataResponse', { requestId: 1n })).toEqual(
      expect.arrayContaining(['response', 'partitions'])
    )
    expect(present('producerSuccess', { requestId: 1n, producerName: '' })).toEqual(
      expect.arrayContaining(['producerName', 'schemaVersion'])
    )
    expect(present('getOrCreateSchemaResponse', { requestId: 1n })).toContain('schemaVersion')
    expect(present('getOrCreateSchemaResponse', { requestId: 1n, errorCode: 18 })).not.toContain('schemaVersion')
    expect(present('ackResponse', { consumerId: 0n, requestId: 0n })).not.toContain('message')
    const failed = encodeCommand('ackResponse', { consumerId: 0n, requestId: 0n, error: 0 })
    expect(decodeCommand(failed, 4, failed.length).value).toMatchObject({ message: 'UnknownError' })
  })

  test('a required field that is not given is a bug of the caller', () => {
    expect(() => encodeAny('success', {})).toThrow(/request_id/)
  })

  test('unknown commands and fields are tolerated', () => {
    const unknown = Buffer.from('00000009' + '00000005' + '0863' + '9a0600', 'hex')
    expect(decodeCommand(unknown, 4, unknown.length)).toMatchObject({ case: 'unknown', type: 99 })
    const body = Buffer.from('0807' + '3d00000000' + 'a20602ffff', 'hex')
    const withExtra = Buffer.concat([Buffer.from([0x08, 13, 0x6a, body.length]), body])
    const frame = Buffer.concat([Buffer.from([0, 0, 0, withExtra.length + 4, 0, 0, 0, withExtra.length]), withExtra])
    expect(decodeCommand(frame, 4, frame.length)).toMatchObject({ case: 'success', value: { requestId: 7n } })
  })

  test.each([
    ['a missing required field', '080d6a00'],
    ['no body', '080d'],
    ['no type', '6a020807'],
    ['a field of a wrong type', '080d6a030a0107'],
    ['a length past the end', '080d6a050807'],
    ['a group', '080d6a0308070b'],
    ['field zero', '080d0000'],
    ['an overlong varint', '080d6a0d08ffffffffffffffffffffff01']
  ])('%s is refused', (_name, commandHex) => {
    const command = Buffer.from(commandHex, 'hex')
    const frame = Buffer.concat([Buffer.from([0, 0, 0, command.length]), command])
    expect(() => decodeCommand(frame, 0, frame.length)).toThrow(/MALFORMED_FRAME/)
  })

  test('nesting without end and a flood of empty messages are refused', () => {
    let nested = Buffer.from('0800' + '1000', 'hex')
    for (let depth = 0; depth < 5000; depth++) {
      const prefix = new WriteBuffer()
      prefix.uint8(0x3a)
      prefix.varint(nested.length)
      nested = Buffer.concat([Buffer.from('08001000', 'hex'), prefix.take(), nested])
    }
    const init = encodeCommand('seek', { consumerId: 0n, requestId: 0n })
    expect(() =>
      decodeCommand(withBody(28, Buffer.concat([init.subarray(13), tagged(0x1a, nested)])), 0, Infinity)
    ).toThrow()
    const flood = Buffer.alloc(600_000)
    for (let at = 0; at < flood.length; at += 6) flood.set([0x1a, 4, 8, 0, 16, 0], at)
    const frame = withBody(10, Buffer.concat([Buffer.from('08001000', 'hex'), flood, flood, flood]))
    expect(() => decodeCommand(frame, 0, frame.length)).toThrow(/MALFORMED_FRAME.*too many/)
  })
})

function tagged(tag: number, body: Buffer): Buffer {
  const prefix = new WriteBuffer()
  prefix.uint8(tag)
  prefix.varint(body.length)
  return Buffer.concat([prefix.take(), body])
}

/** A frame, from its `cmdSize` on, whose command of this type has these bytes as its body. */
function withBody(type: number, body: Buffer): Buffer {
  const prefix = new WriteBuffer()
  prefix.varint((type << 3) | 2)
  prefix.varint(body.length)
  const command = Buffer.concat([Buffer.from([0x08, type]), prefix.take(), body])
  const size = Buffer.alloc(4)
  size.writeUInt32BE(command.length)
  return Buffer.concat([size, command])
}

describe('hot path', () => {
  test('SEND equals the generated decoder', () => {
    const view = new SendView()
    fc.assert(
      fc.property(arbitraryOf(CommandSendSchema), fc.uint8Array(), (init, headers) => {
        const send = create(CommandSendSchema, { ...init, producerId: asSafe(init['producerId'] as bigint) })
        const frame = Buffer.concat([encodeAny('send', send), headers])
        decodeSend(frame, 4, frame.length, view)
        expect(BigInt(view.producerId)).toBe(send.producerId)
        expect(joinHalves(view.sequenceLow, view.sequenceHigh)).toBe(send.sequenceId)
        expect(view.hasHighest).toBe(Object.hasOwn(send, 'highestSequenceId'))
        expect(joinHalves(view.highestLow, view.highestHigh)).toBe(send.highestSequenceId)
        expect(joinHalves(view.txnLeastLow, view.txnLeastHigh)).toBe(send.txnidLeastBits)
        expect(joinHalves(view.txnMostLow, view.txnMostHigh)).toBe(send.txnidMostBits)
        expect(view.hasTxn).toBe(Object.hasOwn(send, 'txnidLeastBits') || Object.hasOwn(send, 'txnidMostBits'))
        expect([view.numMessages, view.isChunk, view.isMarker]).toEqual([send.numMessages, send.isChunk, send.marker])
        expect(view.hasMessageId).toBe(send.messageId !== undefined)
        expect(frame.subarray(view.headersStart, view.headersEnd)).toEqual(Buffer.from(headers))
      })
    )
  })

  test('ACK equals the generated decoder, or leaves it to that', () => {
    const view = new AckView()
    fc.assert(
      fc.property(arbitraryOf(CommandAckSchema), init => {
        const ack = create(CommandAckSchema, { ...init, consumerId: asSafe(init['consumerId'] as bigint) })
        const frame = encodeAny('ack', ack)
        if (decodeAck(frame, 4, frame.length, view)) expectSameAck(view, ack)
        else expect(isCommonAck(ack)).toBe(false)
      }),
      { numRuns: 1000 }
    )
  })

  test('ACK of the common form is read in place', () => {
    const view = new AckView()
    const id = fc.record({
      ledgerId: fc.oneof(fc.maxSafeNat().map(BigInt), fc.constant(2n ** 64n - 1n)),
      entryId: fc.maxSafeNat().map(BigInt),
      partition: fc.integer(),
      batchIndex: fc.integer(),
      batchSize: fc.integer(),
      ackSet: fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 4 })
    })
    fc.assert(
      fc.property(
        fc.array(id),
        fc.maxSafeNat(),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (ids, consumer, requestId) => {
          const ack = create(CommandAckSchema, { consumerId: BigInt(consumer), ackType: 0, messageId: ids, requestId })
          const frame = encodeAny('ack', ack)
          expect(decodeAck(frame, 4, frame.length, view)).toBe(true)
          expectSameAck(view, ack)
        }
      )
    )
  })

  test('FLOW equals the generated decoder', () => {
    const view = new FlowView()
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 0, max: 0xffffffff }), (consumerId, messagePermits) => {
        const frame = encodeCommand('flow', { consumerId: BigInt(consumerId), messagePermits })
        decodeFlow(frame, 4, frame.length, view)
        expect([view.consumerId, view.permits]).toEqual([consumerId, messagePermits])
      })
    )
  })
})

function isCommonAck(ack: MessageShape<typeof CommandAckSchema>): boolean {
  const isRare = ['validationError', 'txnidLeastBits', 'txnidMostBits'].some(key => Object.hasOwn(ack, key))
  const isSafe = (id: bigint): boolean => id < 2n ** 53n || id === 2n ** 64n - 1n
  const ids = ack.messageId
  return (
    !isRare &&
    ack.properties.length === 0 &&
    ids.every(id => id.firstChunkMessageId === undefined && isSafe(id.ledgerId) && isSafe(id.entryId))
  )
}

function expectSameAck(view: AckView, ack: MessageShape<typeof CommandAckSchema>): void {
  expect(BigInt(view.consumerId)).toBe(ack.consumerId)
  expect(view.isCumulative).toBe(ack.ackType === 1)
  expect(view.hasRequestId).toBe(Object.hasOwn(ack, 'requestId'))
  if (view.hasRequestId) expect(joinHalves(view.requestIdLow, view.requestIdHigh)).toBe(ack.requestId)
  const { ids } = view
  expect(ids.count).toBe(ack.messageId.length)
  for (const [index, id] of ack.messageId.entries()) {
    expect(BigInt.asUintN(64, BigInt(ids.ledgerIds[index] as number))).toBe(id.ledgerId)
    expect(BigInt.asUintN(64, BigInt(ids.entryIds[index] as number))).toBe(id.entryId)
    expect([ids.partitions[index], ids.batchIndexes[index]]).toEqual([id.partition, id.batchIndex])
    expect(ids.batchSizes[index]).toBe(id.batchSize)
    const words = id.ackSet.map((_, word) => {
      const at = 2 * ((ids.ackSetStarts[index] as number) + word)
      return BigInt.asIntN(64, joinHalves(ids.ackSets[at] as number, ids.ackSets[at + 1] as number))
    })
    expect(ids.ackSetWords[index]).toBe(id.ackSet.length)
    expect(words).toEqual(id.ackSet)
  }
}

describe('hot writers', () => {
  const half = fc.integer({ min: 0, max: 0xffffffff })
  const idOrNone = fc.oneof(fc.maxSafeNat(), fc.constant(-1))
  const unsigned = (id: number): bigint => BigInt.asUintN(64, BigInt(id))

  test('SEND_RECEIPT', () => {
    const view = new ReceiptView()
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.tuple(half, half, half, half),
        idOrNone,
        idOrNone,
        (producer, halves, ledger, entry) => {
          const out = new WriteBuffer(16)
          writeSendReceipt(out, producer, ...halves, ledger, entry)
          const frame = Buffer.from(out.take())
          const decoded = decodeCommand(frame, 4, frame.length)
          expect(frame.readUInt32BE(0)).toBe(frame.length - 4)
          const [sequenceLow, sequenceHigh, highestLow, highestHigh] = halves
          const expected = {
            producerId: BigInt(producer),
            sequenceId: joinHalves(sequenceLow, sequenceHigh),
            messageId: { ledgerId: unsigned(ledger), entryId: unsigned(entry) },
            highestSequenceId: joinHalves(highestLow, highestHigh)
          }
          expect(decoded.value).toEqual(create(CommandSendReceiptSchema, expected))
          decodeSendReceipt(frame, 4, frame.length, view)
          expect(view).toMatchObject({
            producerId: producer,
            sequenceLow,
            highestHigh,
            ledgerId: ledger,
            entryId: entry
          })
        }
      )
    )
  })

  test('MESSAGE, with the length of what follows', () => {
    const view = new MessageView()
    const rest = fc.tuple(
      fc.integer({ min: -1, max: 5000 }),
      fc.nat(9),
      fc.option(fc.array(fc.tuple(half, half), { maxLength: 9 }))
    )
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        idOrNone,
        idOrNone,
        rest,
        fc.option(fc.maxSafeNat()),
        (consumer, ledger, entry, [partition, count, words], epoch) => {
          const out = new WriteBuffer(16)
          writeMessageHeader(out, consumer, ledger, entry, partition, count, words?.flat(), epoch ?? undefined, 3)
          const frame = Buffer.concat([out.take(), Buffer.from('abc')])
          expect(frame.readUInt32BE(0)).toBe(frame.length - 4)
          const decoded = decodeCommand(frame, 4, frame.length)
          expect(frame.length - decoded.headersStart).toBe(3)
          const init = {
            consumerId: BigInt(consumer),
            messageId: {
              ledgerId: unsigned(ledger),
              entryId: unsigned(entry),
              ...(partition < 0 ? {} : { partition })
            },
            ...(count > 0 ? { redeliveryCount: count } : {}),
            ackSet: (words ?? []).map(([low, high]) => BigInt.asIntN(64, joinHalves(low, high))),
            ...(epoch === null ? {} : { consumerEpoch: BigInt(epoch) })
          }
          expect(decoded.value).toEqual(create(CommandMessageSchema, init))
          decodeMessage(frame, 4, frame.length, view)
          expect(view).toMatchObject({
            consumerId: consumer,
            partition,
            redeliveryCount: count,
            hasEpoch: epoch !== null
          })
          expect(view.ids.ackSets.slice(0, 2 * view.ids.ackSetWordCount)).toEqual(words?.flat() ?? [])
        }
      )
    )
  })

  test('ACK', () => {
    const id = fc.tuple(idOrNone, idOrNone, fc.option(fc.array(fc.tuple(half, half), { maxLength: 3 })))
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.boolean(),
        fc.array(id),
        fc.option(fc.maxSafeNat()),
        (consumerId, isCumulative, ids, request) => {
          const out = new WriteBuffer(16)
          const lists = {
            ledgerIds: ids.map(([ledger]) => ledger),
            entryIds: ids.map(([, entry]) => entry),
            ackSets: ids.map(([, , words]) => words?.flat())
          }
          writeAck(out, { consumerId, isCumulative, ids: lists, ...(request === null ? {} : { requestId: request }) })
          const messageId = ids.map(([ledger, entry, words]) => ({
            ledgerId: unsigned(ledger),
            entryId: unsigned(entry),
            ackSet: (words ?? []).map(([low, high]) => BigInt.asIntN(64, joinHalves(low, high)))
          }))
          const expected = encodeCommand('ack', {
            consumerId: BigInt(consumerId),
            ackType: isCumulative ? 1 : 0,
            messageId,
            ...(request === null ? {} : { requestId: BigInt(request) })
          })
          expect(Buffer.from(out.take())).toEqual(expected)
        }
      )
    )
  })

  test('ACK_RESPONSE', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), half, half, (consumer, low, high) => {
        const out = new WriteBuffer(16)
        writeAckResponse(out, consumer, low, high)
        const expected = encodeCommand('ackResponse', {
          consumerId: BigInt(consumer),
          requestId: joinHalves(low, high)
        })
        expect(Buffer.from(out.take())).toEqual(expected)
      })
    )
  })
})

describe('hostile bytes', () => {
  const decoders: ((buffer: Buffer) => unknown)[] = [
    buffer => decodeCommand(buffer, 0, buffer.length),
    buffer => decodeSend(buffer, 0, buffer.length, new SendView()),
    buffer => decodeAck(buffer, 0, buffer.length, new AckView()),
    buffer => decodeFlow(buffer, 0, buffer.length, new FlowView()),
    buffer => decodeMessage(buffer, 0, buffer.length, new MessageView()),
    buffer => decodeSendReceipt(buffer, 0, buffer.length, new ReceiptView())
  ]

  function expectRefusedOrRead(buffer: Buffer): void {
    for (const decode of decoders) {
      try {
        decode(buffer)
      } catch (error) {
        if (!wireErrors.is(error)) throw error
      }
    }
  }

  test('garbage is refused or read, never anything else', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), bytes => expectRefusedOrRead(Buffer.from(bytes))))
    fc.assert(
      fc.property(fc.constantFrom(...commandFields), fc.uint8Array({ maxLength: 40 }), (field, bytes) =>
        expectRefusedOrRead(withBody(field.number, Buffer.from(bytes)))
      ),
      { numRuns: 3000 }
    )
  })

  test('a real command with a byte changed or cut off', () => {
    fc.assert(
      fc.property(anyCommand, fc.nat(), fc.nat(255), ({ name, init }, at, byte) => {
        const frame = Buffer.from(encodeAny(name, init).subarray(4))
        expectRefusedOrRead(frame.subarray(0, at % frame.length))
        frame[at % frame.length] = byte
        expectRefusedOrRead(frame)
      }),
      { numRuns: 2000 }
    )
  })

  test('what the check lets through, the generated decoder takes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), bytes => {
        const frame = withBody(10, Buffer.from(bytes))
        try {
          decodeCommand(frame, 0, frame.length)
        } catch (error) {
          expect(String(error)).not.toContain('does not decode')
        }
      }),
      { numRuns: 2000 }
    )
    expect(toBinary(BaseCommandSchema, fromBinary(BaseCommandSchema, Buffer.from('080d6a020807', 'hex')))).toHaveLength(
      6
    )
  })
})
