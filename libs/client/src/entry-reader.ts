import {
  joinHalves,
  MetadataView,
  ProtoReader,
  readBrokerEntryMetadata,
  readEntryProperties,
  readMessageMetadata,
  readSingleMessage,
  verifyChecksum,
  type MessageView
} from '@strata/wire'
import { BatchAcks } from './batch-acks.ts'
import type { Assembled, ChunkAssembler } from './chunk-assembler.ts'
import { decompress } from './compression.ts'
import { clientErrors } from './errors.ts'
import { Message, type MessageSource } from './message.ts'
import { MessageId } from './message-id.ts'

export interface EntryReaderOptions {
  readonly topic: string
  readonly partition: number
  readonly source: MessageSource
  readonly chunks: ChunkAssembler
}

export type ReadEntry =
  | { readonly kind: 'messages'; readonly messages: readonly Message[]; readonly skipped: number }
  | { readonly kind: 'chunk'; readonly dropped: readonly MessageId[] }

/** What all messages of an entry have in common. */
interface EntryContext {
  readonly ledgerId: number
  readonly entryId: number
  readonly redeliveryCount: number
  readonly producerName: string
  readonly schemaVersion: Buffer | undefined
  readonly replicatedFrom: string | undefined
  readonly index: number | undefined
  readonly brokerPublishTimeMs: number | undefined
}

/** A batch that claims more is not believed. */
const BATCH_MESSAGES_MAX = 1_000_000

/** Turns MESSAGE frames into messages: checks, decompresses, takes batches apart and puts chunks together. */
export class EntryReader {
  readonly #options: EntryReaderOptions
  readonly #metadata = new MetadataView()
  readonly #reader = new ProtoReader()
  /** Of each chunked message: all of its entries, which are acknowledged together. */
  readonly chunkIds = new WeakMap<MessageId, readonly MessageId[]>()

  constructor(options: EntryReaderOptions) {
    this.#options = options
  }

  /** @throws CHECKSUM_FAILED, PAYLOAD_CORRUPT, MALFORMED_FRAME: the entry cannot be delivered */
  read(view: MessageView, buffer: Buffer, uncompressedBytesMax: number): ReadEntry {
    const metadata = this.#metadata
    readMessageMetadata(buffer, view.headersStart, view.headersEnd, metadata)
    const ledgerId = view.ids.ledgerIds[0] as number
    const entryId = view.ids.entryIds[0] as number
    if (!verifyChecksum(buffer, metadata)) throw clientErrors.create('CHECKSUM_FAILED', { ledgerId, entryId })
    const context = this.#contextOf(view, buffer)
    if (metadata.chunkCount > 1) return this.#readChunk(context, buffer)

    const { payloadStart, payloadEnd, uncompressedBytes, compression } = metadata
    if (uncompressedBytes > uncompressedBytesMax) {
      throw clientErrors.create('PAYLOAD_CORRUPT', { ledgerId, entryId, uncompressedBytes })
    }
    const payload = decompress(compression, buffer.subarray(payloadStart, payloadEnd), uncompressedBytes)
    if (metadata.isBatch) return this.#readBatch(context, payload, view)
    return { kind: 'messages', messages: [this.#single(context, buffer, payload, this.#idOf(context))], skipped: 0 }
  }

  #contextOf(view: MessageView, buffer: Buffer): EntryContext {
    const metadata = this.#metadata
    const { brokerMetadataStart, brokerMetadataEnd } = metadata
    const broker =
      brokerMetadataStart < 0 ? undefined : readBrokerEntryMetadata(buffer, brokerMetadataStart, brokerMetadataEnd)
    const { schemaVersionStart, schemaVersionEnd, replicatedFromStart, replicatedFromEnd } = metadata
    return {
      ledgerId: view.ids.ledgerIds[0] as number,
      entryId: view.ids.entryIds[0] as number,
      redeliveryCount: view.redeliveryCount,
      producerName: buffer.toString('utf8', metadata.producerNameStart, metadata.producerNameEnd),
      schemaVersion: schemaVersionStart < 0 ? undefined : buffer.subarray(schemaVersionStart, schemaVersionEnd),
      replicatedFrom:
        replicatedFromStart < 0 ? undefined : buffer.toString('utf8', replicatedFromStart, replicatedFromEnd),
      index: broker?.index,
      brokerPublishTimeMs: broker?.brokerTimestampMs
    }
  }

  #idOf(context: EntryContext): MessageId {
    const { ledgerId, entryId } = context
    return new MessageId({ ledgerId, entryId, partition: this.#options.partition, topic: this.#options.topic })
  }

  #single(context: EntryContext, buffer: Buffer, data: Buffer, id: MessageId): Message {
    const metadata = this.#metadata
    const { partitionKeyStart, partitionKeyEnd, orderingKeyStart, orderingKeyEnd } = metadata
    const hasProperties = metadata.propertyCount > 0
    return new Message({
      id,
      topic: this.#options.topic,
      data,
      properties: hasProperties ? readEntryProperties(buffer, metadata.metadataStart, metadata.payloadStart) : {},
      key: partitionKeyStart < 0 ? undefined : buffer.toString('utf8', partitionKeyStart, partitionKeyEnd),
      isKeyBase64: metadata.isPartitionKeyBase64,
      orderingKey: orderingKeyStart < 0 ? undefined : buffer.subarray(orderingKeyStart, orderingKeyEnd),
      publishTimeMs: metadata.publishTimeMs,
      eventTimeMs: metadata.eventTimeMs,
      sequenceId: joinHalves(metadata.sequenceLow, metadata.sequenceHigh),
      isNullValue: metadata.hasNullValue,
      producerName: context.producerName,
      redeliveryCount: context.redeliveryCount,
      schemaVersion: context.schemaVersion,
      replicatedFrom: context.replicatedFrom,
      brokerPublishTimeMs: context.brokerPublishTimeMs,
      index: context.index,
      source: this.#options.source
    })
  }

  #readBatch(context: EntryContext, payload: Buffer, view: MessageView): ReadEntry {
    const { numMessages, publishTimeMs } = this.#metadata
    const { topic, partition, source } = this.#options
    if (numMessages < 0 || numMessages > BATCH_MESSAGES_MAX) {
      throw clientErrors.create('PAYLOAD_CORRUPT', { ledgerId: context.ledgerId, numMessages })
    }
    const batch = new BatchAcks(numMessages)
    const messages: Message[] = []
    let at = 0
    for (let batchIndex = 0; batchIndex < numMessages; batchIndex++) {
      const single = readSingleMessage(this.#reader, payload, at, payload.length)
      at = single.payloadEnd
      if (single.isCompactedOut || isAcknowledged(view, batchIndex)) {
        batch.acknowledge(batchIndex)
        continue
      }
      const { ledgerId, entryId, index } = context
      const sequence = single.hasSequence
        ? joinHalves(single.sequenceLow, single.sequenceHigh)
        : joinHalves(this.#metadata.sequenceLow, this.#metadata.sequenceHigh) + BigInt(batchIndex)
      messages.push(
        new Message({
          id: new MessageId({ ledgerId, entryId, partition, topic, batchIndex, batchSize: numMessages, batch }),
          topic,
          data: payload.subarray(single.payloadStart, single.payloadEnd),
          properties: single.properties,
          key: single.partitionKey,
          isKeyBase64: single.isPartitionKeyBase64,
          orderingKey: single.orderingKey,
          publishTimeMs,
          eventTimeMs: single.eventTimeMs,
          sequenceId: sequence,
          isNullValue: single.isNullValue,
          producerName: context.producerName,
          redeliveryCount: context.redeliveryCount,
          schemaVersion: context.schemaVersion,
          replicatedFrom: context.replicatedFrom,
          brokerPublishTimeMs: context.brokerPublishTimeMs,
          // The broker counts up to the last message of the entry.
          index: index === undefined ? undefined : index - (numMessages - 1 - batchIndex),
          source
        })
      )
    }
    return { kind: 'messages', messages, skipped: numMessages - messages.length }
  }

  #readChunk(context: EntryContext, buffer: Buffer): ReadEntry {
    const found = this.#options.chunks.add(this.#metadata, buffer, this.#idOf(context))
    if (found === 'more') return { kind: 'chunk', dropped: [] }
    if ('dropped' in found) return { kind: 'chunk', dropped: found.dropped }
    return { kind: 'messages', messages: [this.#assembled(context, buffer, found)], skipped: 0 }
  }

  #assembled(context: EntryContext, buffer: Buffer, found: Assembled): Message {
    const { compression, uncompressedBytes } = this.#metadata
    const payload = decompress(compression, found.payload, uncompressedBytes)
    const { ledgerId, entryId } = context
    const { partition, topic } = this.#options
    const id = new MessageId({ ledgerId, entryId, partition, topic, firstChunk: found.ids[0] })
    this.chunkIds.set(id, found.ids)
    return this.#single(context, buffer, payload, id)
  }
}

/** By the ack set that came with the message: absent words, and all without a set, are still to be delivered. */
function isAcknowledged(view: MessageView, index: number): boolean {
  const words = view.ids.ackSetWordCount
  if (words === 0) return false
  const half = index >>> 5
  if (half >= words * 2) return true
  return ((view.ids.ackSets[half] as number) & (1 << (index & 31))) === 0
}
