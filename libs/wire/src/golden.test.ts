import { describe, expect, test } from 'vitest'
import {
  AckView,
  BaseCommand_Type,
  commandTypeOf,
  decodeAck,
  decodeCommand,
  decodeFlow,
  decodeSend,
  encodeCommand,
  FlowView,
  MetadataView,
  readEntryProperties,
  readMessageMetadata,
  SendView,
  verifyChecksum,
  WriteBuffer,
  writeFlow,
  writeMessageMetadata,
  writePing,
  writePong,
  writeSendHeader
} from './index.ts'

// Frames as the C++ client 4.0 wrote them.
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const TOPIC = 'persistent://public/default/t1'
const TOPIC_HEX = Buffer.from(TOPIC).toString('hex')
const CONNECT = hex(
  '0000002f 0000002b 0802 1227 0a15 50756c7361722d4350502d76342e302e302d707265 2015 2a04 6e6f6e65 5206 0801 1001 4001'
)
const PARTITIONED_METADATA = hex(`0000002b 00000027 0815 aa0122 0a1e ${TOPIC_HEX} 1001`)
const LOOKUP = hex(`0000002f 0000002b 0817 ba0126 0a1e ${TOPIC_HEX} 1002 1800 3a00`)
const PRODUCER = hex(`00000037 00000033 0805 2a2f 0a1e ${TOPIC_HEX} 1000 1800 220170 2800 4000 4801 5000`)
const SEND_ONE = hex(
  '00000032 00000008 0806 3204 0800 1000 0e01 3ff3f0d4 00000017 0a017010 0018aeb3aaeb9f34 22060a016112013132016b 68656c6c6f'
)
const SEND_BATCH = hex(
  '00000046 0000000a 0806 3206 0801 1000 1803 0e01 22b42113 00000013 0a0270321000 18b0b3aaeb9f34 4001 481e 5803' +
    'a300000004180240006d310a00d0016d3200000004180240026d33'
)
const FLOW = hex('0000000d 00000009 080b 5a05 0800 10e807')
const ACK = hex('00000018 00000014 080a 5210 0800 1000 1a04 0801 1000 1a04 0801 1001')

describe('commands of a real client', () => {
  test('CONNECT', () => {
    const command = decodeCommand(CONNECT, 4, CONNECT.length)
    expect(command).toMatchObject({ case: 'connect', type: BaseCommand_Type.CONNECT, headersStart: CONNECT.length })
    expect(command.value).toMatchObject({
      clientVersion: 'Pulsar-CPP-v4.0.0-pre',
      protocolVersion: 21,
      authMethodName: 'none',
      featureFlags: { supportsAuthRefresh: true, supportsBrokerEntryMetadata: true, supportsScalableTopics: true }
    })
    const encoded = encodeCommand('connect', {
      clientVersion: 'Pulsar-CPP-v4.0.0-pre',
      protocolVersion: 21,
      authMethodName: 'none',
      featureFlags: { supportsAuthRefresh: true, supportsBrokerEntryMetadata: true, supportsScalableTopics: true }
    })
    expect(encoded).toEqual(CONNECT)
  })

  test('PARTITIONED_METADATA, LOOKUP and PRODUCER, zeros included', () => {
    expect(encodeCommand('partitionMetadata', { topic: TOPIC, requestId: 1n })).toEqual(PARTITIONED_METADATA)
    expect(
      encodeCommand('lookupTopic', { topic: TOPIC, requestId: 2n, authoritative: false, advertisedListenerName: '' })
    ).toEqual(LOOKUP)
    expect(
      encodeCommand('producer', {
        topic: TOPIC,
        producerId: 0n,
        requestId: 0n,
        producerName: 'p',
        encrypted: false,
        epoch: 0n,
        userProvidedProducerName: true,
        producerAccessMode: 0
      })
    ).toEqual(PRODUCER)
    expect(decodeCommand(LOOKUP, 4, LOOKUP.length).value).toMatchObject({ topic: TOPIC, requestId: 2n })
  })

  test('FLOW and ACK by the hot path', () => {
    const flow = new FlowView()
    decodeFlow(FLOW, 4, FLOW.length, flow)
    expect(flow).toMatchObject({ consumerId: 0, permits: 1000 })
    const out = new WriteBuffer()
    writeFlow(out, 0, 1000)
    expect(Buffer.from(out.take())).toEqual(FLOW)

    const ack = new AckView()
    expect(decodeAck(ACK, 4, ACK.length, ack)).toBe(true)
    expect(ack).toMatchObject({ consumerId: 0, isCumulative: false, hasRequestId: false })
    expect(ack.ids).toMatchObject({ count: 2, ledgerIds: [1, 1], entryIds: [0, 1], ackSetWords: [0, 0] })
  })

  test('PING and PONG equal the generated encoding', () => {
    const out = new WriteBuffer()
    writePing(out)
    writePong(out)
    expect(Buffer.from(out.take())).toEqual(Buffer.concat([encodeCommand('ping', {}), encodeCommand('pong', {})]))
  })
})

describe('messages of a real client', () => {
  test('one message with a key and a property', () => {
    const send = new SendView()
    const metadata = new MetadataView()
    expect(commandTypeOf(SEND_ONE, 4, SEND_ONE.length)).toBe(BaseCommand_Type.SEND)
    decodeSend(SEND_ONE, 4, SEND_ONE.length, send)
    expect(send).toMatchObject({ producerId: 0, sequenceLow: 0, numMessages: 1, isChunk: false, headersStart: 16 })
    readMessageMetadata(SEND_ONE, send.headersStart, send.headersEnd, metadata)
    expect(metadata).toMatchObject({ isBatch: false, numMessages: 1, publishTimeMs: 1795252984238, checksumAt: 18 })
    expect(SEND_ONE.toString('utf8', metadata.partitionKeyStart, metadata.partitionKeyEnd)).toBe('k')
    expect(SEND_ONE.toString('utf8', metadata.payloadStart)).toBe('hello')
    expect(readEntryProperties(SEND_ONE, metadata.metadataStart, metadata.payloadStart)).toEqual({ a: '1' })
    expect(verifyChecksum(SEND_ONE, metadata)).toBe(true)
  })

  test('a damaged byte anywhere behind the checksum is noticed', () => {
    const metadata = new MetadataView()
    for (let at = 26; at < SEND_ONE.length; at++) {
      const damaged = Buffer.from(SEND_ONE)
      damaged[at] = (damaged[at] as number) ^ 0x20
      const view = new MetadataView()
      Object.assign(view, metadata, { checksumAt: 18, payloadEnd: damaged.length })
      expect(verifyChecksum(damaged, view)).toBe(false)
    }
  })

  test('a batch of three', () => {
    const send = new SendView()
    const metadata = new MetadataView()
    decodeSend(SEND_BATCH, 4, SEND_BATCH.length, send)
    expect(send).toMatchObject({ producerId: 1, numMessages: 3, hasHighest: false })
    readMessageMetadata(SEND_BATCH, send.headersStart, send.headersEnd, metadata)
    expect(metadata).toMatchObject({ isBatch: true, numMessages: 3, compression: 1, uncompressedBytes: 30 })
    expect(verifyChecksum(SEND_BATCH, metadata)).toBe(true)
  })

  test('the writers make the same bytes', () => {
    const out = new WriteBuffer()
    writeMessageMetadata(out, {
      producerName: 'p',
      publishTimeMs: 1795252984238,
      sequenceLow: 0,
      sequenceHigh: 0,
      properties: { a: '1' },
      partitionKey: 'k'
    })
    expect(Buffer.from(out.take())).toEqual(SEND_ONE.subarray(26, 49))
    writeSendHeader(
      out,
      { producerId: 1, sequenceLow: 0, sequenceHigh: 0, highestLow: 0, highestHigh: 0, numMessages: 3, isChunk: false },
      SEND_BATCH.length - 18
    )
    expect(Buffer.from(out.take())).toEqual(SEND_BATCH.subarray(0, 18))
  })
})
