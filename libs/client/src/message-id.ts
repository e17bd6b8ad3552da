import { fromBinary, toBinary, create } from '@bufbuild/protobuf'
import { MessageIdDataSchema, wireErrors, type MessageIdData } from '@strata/wire'
import type { BatchAcks } from './batch-acks.ts'
import { clientErrors } from './errors.ts'

const UINT64_MAX = 0xffff_ffff_ffff_ffffn
const LATEST_BITS = 0x7fff_ffff_ffff_ffffn

export interface MessageIdFields {
  readonly ledgerId: number
  readonly entryId: number
  readonly partition?: number
  readonly batchIndex?: number
  readonly batchSize?: number
  /** The topic it came from; not part of what is serialized. */
  readonly topic?: string
  /** Of a chunked message: the id of its first chunk. */
  readonly firstChunk?: MessageId | undefined
  /** Shared by the messages of a received batch; not part of what is serialized. */
  readonly batch?: BatchAcks | undefined
}

/**
 * Where a message is: opaque, ordered within its partition, and kept by applications as the bytes of `serialize`,
 * which other Pulsar clients read as well.
 */
export class MessageId {
  /** Before the first message of a topic. */
  static readonly earliest: MessageId = new MessageId({ ledgerId: -1, entryId: -1 })
  /** Behind the last message of a topic. */
  static readonly latest: MessageId = new MessageId({ ledgerId: Infinity, entryId: Infinity })

  readonly ledgerId: number
  readonly entryId: number
  readonly partition: number
  /** -1 unless the message is one of a batch. */
  readonly batchIndex: number
  readonly batchSize: number
  readonly topic: string
  readonly firstChunk: MessageId | undefined
  readonly batch: BatchAcks | undefined

  constructor(fields: MessageIdFields) {
    this.ledgerId = fields.ledgerId
    this.entryId = fields.entryId
    this.partition = fields.partition ?? -1
    this.batchIndex = fields.batchIndex ?? -1
    this.batchSize = fields.batchSize ?? 0
    this.topic = fields.topic ?? ''
    this.firstChunk = fields.firstChunk
    this.batch = fields.batch
  }

  /** @throws INVALID_OPTIONS if the bytes are not those of a message id */
  static deserialize(bytes: Uint8Array): MessageId {
    try {
      return MessageId.fromData(fromBinary(MessageIdDataSchema, bytes))
    } catch (error) {
      throw clientErrors.create('INVALID_OPTIONS', { reason: 'not a serialized message id' }, error)
    }
  }

  static fromData(data: MessageIdData): MessageId {
    return new MessageId({
      ledgerId: idOf(data.ledgerId),
      entryId: idOf(data.entryId),
      partition: data.partition,
      batchIndex: data.batchIndex,
      batchSize: data.batchSize,
      ...(data.firstChunkMessageId === undefined ? {} : { firstChunk: MessageId.fromData(data.firstChunkMessageId) })
    })
  }

  toData(): MessageIdData {
    return create(MessageIdDataSchema, {
      ledgerId: bitsOf(this.ledgerId),
      entryId: bitsOf(this.entryId),
      ...(this.partition < 0 ? {} : { partition: this.partition }),
      ...(this.batchIndex < 0 ? {} : { batchIndex: this.batchIndex }),
      ...(this.batchSize <= 0 ? {} : { batchSize: this.batchSize }),
      ...(this.firstChunk === undefined ? {} : { firstChunkMessageId: this.firstChunk.toData() })
    })
  }

  serialize(): Buffer {
    return Buffer.from(toBinary(MessageIdDataSchema, this.toData()))
  }

  /** Before every message, also as one that was kept as bytes. */
  get isEarliest(): boolean {
    return this.ledgerId === -1 && this.entryId === -1
  }

  /** Behind every message. */
  get isLatest(): boolean {
    return this.ledgerId === Infinity
  }

  /** Negative, zero or positive, as `sort` wants it. A whole entry comes before the messages of its batch. */
  compareTo(other: MessageId): number {
    return (
      sign(this.ledgerId, other.ledgerId) ||
      sign(this.entryId, other.entryId) ||
      sign(this.batchIndex, other.batchIndex) ||
      sign(this.partition, other.partition)
    )
  }

  equals(other: MessageId): boolean {
    return this.compareTo(other) === 0
  }

  /** `ledger:entry:partition`, and `:batchIndex` if it is one of a batch. */
  toString(): string {
    const place = `${bitsText(this.ledgerId)}:${bitsText(this.entryId)}:${this.partition}`
    const batch = this.batchIndex < 0 ? '' : `:${this.batchIndex}`
    return this.firstChunk === undefined ? place + batch : `${this.firstChunk.toString()};${place}${batch}`
  }
}

function sign(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function idOf(bits: bigint): number {
  if (bits === UINT64_MAX) return -1
  if (bits === LATEST_BITS) return Infinity
  if (bits > BigInt(Number.MAX_SAFE_INTEGER)) throw wireErrors.create('MALFORMED_FRAME', { reason: 'id past 2^53' })
  return Number(bits)
}

function bitsOf(id: number): bigint {
  return id === Infinity ? LATEST_BITS : BigInt.asUintN(64, BigInt(id))
}

function bitsText(id: number): string {
  return id === Infinity ? LATEST_BITS.toString() : String(id)
}
