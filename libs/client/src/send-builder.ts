import type { Clock } from '@strata/base'
import { highHalf, joinHalves, lowHalf, type CommandBody, type EntryFields, type MessageFields } from '@strata/wire'
import { BatchBuilder } from './batch-builder.ts'
import { compress, compressionTypeOf } from './compression.ts'
import { EntryEncoder } from './entry-encoder.ts'
import { clientErrors } from './errors.ts'
import type { ChunkGroup, PendingSend } from './pending-sends.ts'
import type { ProducerMessage, ProducerOptions, SendCallback } from './producer-options.ts'

const BATCH_MESSAGES_MAX_DEFAULT = 1000
const BATCH_BYTES_MAX_DEFAULT = 128 * 1024
const BATCH_DELAY_MS_DEFAULT = 1

/** What metadata may take beside the payload of a chunk. */
const CHUNK_BYTES_MIN = 1024

export interface SendBuilderOptions {
  readonly options: ProducerOptions
  readonly producerId: number
  readonly clock: Clock
  emit(send: PendingSend): void
}

/** An entry's metadata while it is put together. */
type EntryDraft = { -readonly [Key in keyof Required<EntryFields>]: EntryFields[Key] }

/**
 * Turns messages into frames: gives sequence ids, batches, compresses, splits. Emits in order of sequence ids. Before
 * the first registration nothing is emitted, since the producer's name is part of every frame.
 */
export class SendBuilder {
  readonly #given: SendBuilderOptions
  readonly #options: ProducerOptions
  readonly #encoder = new EntryEncoder()
  readonly #compression: number
  readonly #isBatching: boolean
  readonly #messagesMax: number
  readonly #bytesMax: number
  readonly #delayMs: number
  /** By key if so asked, else one under the empty key. */
  readonly #batches = new Map<string, BatchBuilder>()
  #waitingCount = 0
  #cancelDelay: (() => void) | undefined
  #producerName = ''
  #schemaVersion: Uint8Array | undefined
  #nextSequence: number | bigint = 0
  #messageBytesMax = 0
  #isStarted = false

  constructor(given: SendBuilderOptions) {
    const { options } = given
    const { batching = {} } = options
    this.#given = given
    this.#options = options
    this.#compression = compressionTypeOf(options.compression ?? 'none')
    this.#isBatching = batching.enabled ?? options.chunking !== true
    this.#messagesMax = batching.messagesMax ?? BATCH_MESSAGES_MAX_DEFAULT
    this.#bytesMax = batching.bytesMax ?? BATCH_BYTES_MAX_DEFAULT
    this.#delayMs = batching.delayMaxMs ?? BATCH_DELAY_MS_DEFAULT
    if (this.#isBatching && options.chunking === true) {
      throw clientErrors.create('INVALID_OPTIONS', { reason: 'chunking excludes batching' })
    }
  }

  get isStarted(): boolean {
    return this.#isStarted
  }

  /** Messages in batches that are not emitted yet. */
  get waitingCount(): number {
    return this.#waitingCount
  }

  /** With what the broker said. Returns true the first time, when sequence ids continue from there. */
  start(success: CommandBody<'producerSuccess'>, messageBytesMax: number): boolean {
    this.#producerName = success.producerName
    this.#messageBytesMax = messageBytesMax
    if (success.schemaVersion.length > 0) this.#schemaVersion = success.schemaVersion
    if (this.#isStarted) return false
    this.#isStarted = true
    const last = this.#options.initialSequenceId ?? success.lastSequenceId
    this.#nextSequence = typeof last === 'bigint' && isSafe(last) ? Number(last) + 1 : successor(last)
    return true
  }

  /** @throws MESSAGE_TOO_BIG */
  add(message: ProducerMessage, callback: SendCallback): void {
    const { deliverAfterMs } = message
    const deliverAtMs =
      message.deliverAtMs ?? (deliverAfterMs === undefined ? undefined : this.#given.clock.wallMs() + deliverAfterMs)
    const isAlone = !this.#isBatching || deliverAtMs !== undefined || message.replicationClusters !== undefined
    if (!isAlone && message.data.length <= this.#messageBytesMax) {
      this.#addToBatch(message, callback)
      return
    }
    this.flush() // the order of sequence ids
    this.#addAlone(message, deliverAtMs, callback)
  }

  #fieldsOf(message: ProducerMessage): MessageFields {
    const sequence = message.sequenceId ?? this.#nextSequence
    this.#nextSequence = successor(sequence)
    const { keyBytes } = message
    return {
      sequenceLow: lowHalf(sequence),
      sequenceHigh: highHalf(sequence),
      properties: message.properties,
      partitionKey: keyBytes === undefined ? message.key : Buffer.from(keyBytes).toString('base64'),
      isPartitionKeyBase64: keyBytes !== undefined,
      orderingKey: message.orderingKey,
      eventTimeMs: message.eventTimeMs,
      isNullValue: message.isNullValue
    }
  }

  #addToBatch(message: ProducerMessage, callback: SendCallback): void {
    const fields = this.#fieldsOf(message)
    const key = this.#options.batching?.byKey === true ? keyOf(fields) : ''
    let batch = this.#batches.get(key)
    if (batch !== undefined && batch.bytes + message.data.length > this.#messageBytesMax) {
      this.flush()
      batch = undefined
    }
    if (batch === undefined) {
      batch = new BatchBuilder()
      this.#batches.set(key, batch)
    }
    batch.add(fields, message.data, callback)
    this.#waitingCount++
    if (batch.count >= this.#messagesMax || batch.bytes >= this.#bytesMax) this.flush()
    else this.#cancelDelay ??= this.#given.clock.after(this.#delayMs, () => this.flush())
  }

  /** Emits all batches. */
  flush(): void {
    this.#cancelDelay?.()
    this.#cancelDelay = undefined
    if (this.#batches.size === 0) return
    const batches = [...this.#batches.values()]
    this.#batches.clear()
    this.#waitingCount = 0
    for (const batch of batches) this.#emitBatch(batch)
  }

  #emitBatch(batch: BatchBuilder): void {
    const { first, last } = batch
    if (first === undefined || last === undefined) return
    const plain = batch.take()
    const entry = this.#entryOf(first, plain.length)
    // What belongs to each message is inside the batch.
    entry.properties = entry.eventTimeMs = entry.isNullValue = undefined
    entry.numMessagesInBatch = batch.count
    entry.highestLow = last.sequenceLow
    entry.highestHigh = last.sequenceHigh
    const payload = compress(this.#compression, plain)
    this.#emit(entry, payload, last, batch.callbacks, batch.payloadBytes, true, undefined)
  }

  /** Written out, so that all have one shape: this runs once a message. */
  #entryOf(fields: MessageFields, uncompressedBytes: number): EntryDraft {
    const isCompressed = this.#compression !== 0
    return {
      sequenceLow: fields.sequenceLow,
      sequenceHigh: fields.sequenceHigh,
      properties: fields.properties,
      partitionKey: fields.partitionKey,
      isPartitionKeyBase64: fields.isPartitionKeyBase64,
      orderingKey: fields.orderingKey,
      eventTimeMs: fields.eventTimeMs,
      isNullValue: fields.isNullValue,
      producerName: this.#producerName,
      publishTimeMs: this.#given.clock.wallMs(),
      highestLow: undefined,
      highestHigh: undefined,
      compression: isCompressed ? this.#compression : undefined,
      uncompressedBytes: isCompressed ? uncompressedBytes : undefined,
      numMessagesInBatch: undefined,
      schemaVersion: this.#schemaVersion,
      deliverAtMs: undefined,
      replicateTo: undefined,
      chunk: undefined
    }
  }

  #addAlone(message: ProducerMessage, deliverAtMs: number | undefined, callback: SendCallback): void {
    const { data } = message
    const plain = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.length)
    const payload = compress(this.#compression, plain)
    if (payload.length > this.#messageBytesMax && this.#options.chunking !== true) {
      throw clientErrors.create('MESSAGE_TOO_BIG', { bytes: payload.length, bytesMax: this.#messageBytesMax })
    }
    const fields = this.#fieldsOf(message)
    const entry = this.#entryOf(fields, plain.length)
    entry.deliverAtMs = deliverAtMs
    entry.replicateTo = clustersOf(message)
    if (payload.length > this.#messageBytesMax) this.#emitChunks(entry, payload, callback, plain.length)
    else this.#emit(entry, payload, fields, [callback], plain.length, false, undefined)
  }

  /** Each chunk is an entry of its own, of the same sequence id; only the last one is told and charged. */
  #emitChunks(entry: EntryDraft, payload: Buffer, callback: SendCallback, chargedBytes: number): void {
    const uuid = `${this.#producerName}-${joinHalves(entry.sequenceLow, entry.sequenceHigh)}`
    const totalBytes = payload.length
    entry.chunk = { uuid, id: totalBytes, count: totalBytes, totalBytes }
    const headBytes = this.#encoder.metadataBytes(entry)
    const bytesMax = this.#messageBytesMax - headBytes - CHUNK_BYTES_MIN
    if (bytesMax < CHUNK_BYTES_MIN) throw clientErrors.create('MESSAGE_TOO_BIG', { bytes: headBytes })
    const count = Math.ceil(totalBytes / bytesMax)
    const chunks: ChunkGroup = { firstId: undefined }
    for (let id = 0; id < count; id++) {
      const isLast = id === count - 1
      entry.chunk = { uuid, id, count, totalBytes }
      const part = payload.subarray(id * bytesMax, (id + 1) * bytesMax)
      this.#emit(entry, part, entry, isLast ? [callback] : [], isLast ? chargedBytes : 0, false, chunks)
    }
  }

  /** Positional: it runs once a message. */
  #emit(
    entry: EntryDraft,
    payload: Uint8Array,
    last: MessageFields,
    callbacks: readonly SendCallback[],
    chargedBytes: number,
    isBatch: boolean,
    chunks: ChunkGroup | undefined
  ): void {
    const command = {
      producerId: this.#given.producerId,
      sequenceLow: entry.sequenceLow,
      sequenceHigh: entry.sequenceHigh,
      highestLow: last.sequenceLow,
      highestHigh: last.sequenceHigh,
      numMessages: isBatch ? callbacks.length : 1,
      isChunk: chunks !== undefined
    }
    this.#given.emit({
      frame: this.#encoder.encode(command, entry, payload),
      sequenceLow: entry.sequenceLow,
      sequenceHigh: entry.sequenceHigh,
      highestLow: last.sequenceLow,
      highestHigh: last.sequenceHigh,
      callbacks,
      isBatch,
      chargedBytes,
      createdAtMs: this.#given.clock.nowMs(),
      chunks,
      onDone: undefined
    })
  }
}

function successor(sequence: number | bigint): number | bigint {
  if (typeof sequence === 'number' && sequence < Number.MAX_SAFE_INTEGER) return sequence + 1
  return BigInt(sequence) + 1n
}

function isSafe(value: bigint): boolean {
  return value >= -1n && value < BigInt(Number.MAX_SAFE_INTEGER)
}

function keyOf(fields: MessageFields): string {
  return fields.orderingKey === undefined
    ? (fields.partitionKey ?? '')
    : Buffer.from(fields.orderingKey).toString('hex')
}

/** The protocol's way to say that a message stays here. */
const LOCAL_ONLY = '__local__'

function clustersOf(message: ProducerMessage): readonly string[] | undefined {
  const { replicationClusters } = message
  return replicationClusters?.length === 0 ? [LOCAL_ONLY] : replicationClusters
}
