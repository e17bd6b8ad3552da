import { encodeCommand, writeFlow, WriteBuffer, type MessageView } from '@strata/wire'
import { AckTracker } from './ack-tracker.ts'
import { Attachment } from './attachment.ts'
import { ChunkAssembler } from './chunk-assembler.ts'
import type { ClientContext } from './client-context.ts'
import type { Connection, ConsumerSink } from './connection.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import type { DeadLetters } from './dead-letter.ts'
import { EntryReader, type ReadEntry } from './entry-reader.ts'
import { clientErrors } from './errors.ts'
import type { Message, MessageSource } from './message.ts'
import { MessageId } from './message-id.ts'
import type { ReceiveQueue } from './receive-queue.ts'
import { RedeliveryTimers } from './redelivery-timers.ts'
import { subscribe } from './subscribe.ts'
import { parseTopic } from './topic-name.ts'

const NEGATIVE_ACK_DELAY_MS_DEFAULT = 60_000
const ACK_GROUP_MS_DEFAULT = 100
const PENDING_CHUNKED_MAX_DEFAULT = 10

/** An entry that claims to become more than this is taken for damaged. */
const UNCOMPRESSED_BYTES_MAX = 512 * 1024 * 1024

export interface TopicConsumerOptions {
  readonly context: ClientContext
  readonly topic: string
  readonly options: ConsumerOptions
  readonly name: string
  readonly queue: ReceiveQueue
  /** Messages that may be here untaken; 0 asks for one when it is wanted. */
  readonly queueSize: number
  readonly deadLetters: DeadLetters | undefined
  onGivenUp(error: Error): void
}

/**
 * One consumer at the broker: of a topic without partitions, or of one partition. Puts messages into a queue that it
 * may share with others.
 *
 * Permits: the broker may send as many messages as it was granted. Every message that leaves here, taken or dropped,
 * is granted anew, half a queue at a time.
 */
export class TopicConsumer implements ConsumerSink, MessageSource {
  readonly topic: string
  readonly id: number
  readonly #given: TopicConsumerOptions
  readonly #options: ConsumerOptions
  readonly #attachment: Attachment
  readonly #acks: AckTracker
  readonly #reader: EntryReader
  readonly #chunks: ChunkAssembler
  readonly #refused: RedeliveryTimers
  readonly #unacknowledged: RedeliveryTimers
  readonly #out = new WriteBuffer(256)
  /** Delivered so often that the next refusal sends them to the dead-letter topic, by entry. */
  readonly #doomed = new Map<string, Message[]>()
  #permitsToGrant = 0
  #isPaused = false
  #epoch = 0
  #lastTaken: MessageId | undefined
  #startMessageId: MessageId | undefined
  /** Messages of the entry in which it starts that come before the start are left out. */
  #skipsToStart: boolean
  #hasSeenEnd = false
  /** The last seek; settled when it was answered or its connection was lost. */
  #seeking: Promise<void> | undefined

  constructor(given: TopicConsumerOptions) {
    const { context, options, topic } = given
    this.topic = topic
    this.#given = given
    this.#options = options
    this.id = context.nextConsumerId()
    this.#startMessageId = options.startMessageId
    this.#skipsToStart = this.#isReader
    this.#attachment = new Attachment({
      ...context,
      target: this,
      fatalCodes: ['TOPIC_NOT_FOUND', 'NOT_AUTHORIZED', 'INCOMPATIBLE_SCHEMA', 'NOT_ALLOWED', 'SUBSCRIPTION_NOT_FOUND']
    })
    this.#acks = new AckTracker({
      consumerId: this.id,
      clock: context.clock,
      groupMs: options.ackGroupMs ?? ACK_GROUP_MS_DEFAULT,
      hasReceipts: options.ackReceipts ?? false,
      hasBatchIndexes: options.batchIndexAcks ?? false,
      connection: () => this.#attachment.connection
    })
    this.#chunks = new ChunkAssembler(options.pendingChunkedMax ?? PENDING_CHUNKED_MAX_DEFAULT)
    this.#reader = new EntryReader({
      topic,
      partition: parseTopic(topic).partition,
      source: this,
      chunks: this.#chunks
    })
    this.#refused = new RedeliveryTimers(context.clock, ids => this.#redeliver(ids))
    this.#unacknowledged = new RedeliveryTimers(context.clock, ids => this.#redeliver(ids))
  }

  async open(): Promise<void> {
    await this.#attachment.open()
    const start = this.#startMessageId
    if (start === undefined) return
    const place = await this.#placeOf(start)
    if (place !== start) await this.seek(place)
  }

  get #isReader(): boolean {
    return this.#options.isNonDurable === true
  }

  get isConnected(): boolean {
    return this.#attachment.connection !== undefined
  }

  get hasReachedEnd(): boolean {
    return this.#hasSeenEnd
  }

  get lastTaken(): MessageId | undefined {
    return this.#lastTaken
  }

  get startMessageId(): MessageId | undefined {
    return this.#startMessageId
  }

  /** Called by the attachment. What was here comes again, so it is dropped first. */
  async register(connection: Connection): Promise<void> {
    // The answer to a seek empties the queue: nothing of the new position may be in it by then.
    await this.#seeking?.catch(() => undefined)
    this.#dropQueued()
    connection.addConsumer(this.id, this)
    const subscription = {
      topic: this.topic,
      consumerId: this.id,
      consumerName: this.#given.name,
      consumerEpoch: this.#epoch,
      startMessageId: this.#isReader ? this.#resumeFrom() : undefined
    }
    await subscribe(connection, subscription, this.#options, () => {
      this.#permitsToGrant = 0
      this.#acks.flush()
      if (this.#given.queueSize > 0) this.#grant(connection, this.#given.queueSize)
    })
  }

  /** A reader goes on behind what the application took last. */
  #resumeFrom(): MessageId | undefined {
    return this.#lastTaken ?? firstEntryOf(this.#startMessageId)
  }

  onGivenUp(error: Error): void {
    this.#given.onGivenUp(error)
  }

  onDetached(connection: Connection, assignedUrl: string | undefined): void {
    // Others may have moved the subscription: to skip what they moved it to would lose it.
    this.#skipsToStart = this.#isReader
    this.#attachment.detached(connection, assignedUrl)
  }

  onActiveChange(isActive: boolean): void {
    this.#options.onActiveChange?.(isActive)
  }

  onEndOfTopic(): void {
    if (this.#hasSeenEnd) return
    this.#hasSeenEnd = true
    this.#options.onEndOfTopic?.()
  }

  onMessage(view: MessageView, buffer: Buffer): void {
    const ledgerId = view.ids.ledgerIds[0] as number
    const entryId = view.ids.entryIds[0] as number
    const isStale = view.hasEpoch && view.consumerEpoch < this.#epoch
    let read: ReadEntry
    try {
      read = this.#reader.read(view, buffer, UNCOMPRESSED_BYTES_MAX)
    } catch (error) {
      this.#refuseCorrupt(ledgerId, entryId, error)
      return
    }
    if (read.kind === 'chunk') {
      this.#returnPermits(1)
      if (read.dropped.length > 0) void this.#acks.acknowledgeEntries(read.dropped).catch(() => undefined)
      return
    }
    if (isStale || this.#acks.isPending(ledgerId, entryId)) {
      this.#returnPermits(read.messages.length + read.skipped)
      return
    }
    if (read.skipped > 0) this.#returnPermits(read.skipped)
    for (const message of read.messages) this.#deliver(message)
  }

  /** It will not get better by being sent again: it is acknowledged, with the reason. */
  #refuseCorrupt(ledgerId: number, entryId: number, error: unknown): void {
    const { context } = this.#given
    context.logger.error(
      { event: 'message.corrupt', topic: this.topic, ledgerId, entryId, err: error },
      'a message is damaged; it was acknowledged and dropped'
    )
    this.#returnPermits(1)
    const id = new MessageId({ ledgerId, entryId })
    this.#attachment.connection?.send(
      encodeCommand('ack', {
        consumerId: BigInt(this.id),
        ackType: 0,
        messageId: [id.toData()],
        validationError: clientErrors.is(error, 'CHECKSUM_FAILED') ? 2 : clientErrors.is(error) ? 1 : 3
      })
    )
  }

  #deliver(message: Message): void {
    if (this.#isBeforeStart(message.id)) {
      this.#returnPermits(1)
      if (!this.#isReader) void this.acknowledge(message.id).catch(() => undefined)
      return
    }
    const { deadLetters, queue } = this.#given
    const redeliveriesMax = this.#options.deadLetter?.redeliveriesMax
    if (deadLetters !== undefined && redeliveriesMax !== undefined && message.redeliveryCount >= redeliveriesMax) {
      if (message.redeliveryCount > redeliveriesMax) {
        this.#returnPermits(1)
        void this.#bury([message])
        return
      }
      const key = entryKey(message.id)
      const others = this.#doomed.get(key)
      if (others === undefined) this.#doomed.set(key, [message])
      else others.push(message)
    }
    queue.push(message)
  }

  /** Brokers send the whole entry in which a reader starts, or to which a consumer moved. */
  #isBeforeStart(id: MessageId): boolean {
    if (!this.#skipsToStart) return false
    if (this.#isReader && this.#lastTaken !== undefined) return id.compareTo(this.#lastTaken) <= 0
    const start = this.#startMessageId
    if (start === undefined || start.ledgerId !== id.ledgerId || start.entryId !== id.entryId) return false
    const isInclusive = this.#options.isStartInclusive === true
    if (start.batchIndex < 0) return !isInclusive
    return isInclusive ? id.batchIndex < start.batchIndex : id.batchIndex <= start.batchIndex
  }

  /** Called by the queue. */
  onTaken(message: Message): void {
    this.#lastTaken = message.id
    this.#returnPermits(1)
    const { ackTimeoutMs } = this.#options
    if (ackTimeoutMs !== undefined && ackTimeoutMs > 0) this.#unacknowledged.add(message.id, ackTimeoutMs)
  }

  #returnPermits(count: number): void {
    const { queueSize } = this.#given
    if (queueSize === 0) return
    this.#permitsToGrant += count
    if (!this.#isPaused && this.#permitsToGrant >= Math.max(1, queueSize >>> 1)) this.#grantReturned()
  }

  #grantReturned(): void {
    const { connection } = this.#attachment
    if (connection === undefined || this.#permitsToGrant === 0) return
    const permits = this.#permitsToGrant
    this.#permitsToGrant = 0
    this.#grant(connection, permits)
  }

  #grant(connection: Connection, permits: number): void {
    writeFlow(this.#out, this.id, permits)
    connection.send(this.#out.take())
  }

  /** For a queue of size 0. */
  requestOne(): void {
    const { connection } = this.#attachment
    if (connection !== undefined) this.#grant(connection, 1)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#grantReturned()
  }

  acknowledge(id: MessageId): Promise<void> {
    this.#settled(id)
    const chunks = this.#reader.chunkIds.get(id)
    return chunks === undefined ? this.#acks.acknowledge(id) : this.#acks.acknowledgeEntries(chunks)
  }

  acknowledgeCumulative(id: MessageId): Promise<void> {
    this.#refused.removeUpTo(id)
    this.#unacknowledged.removeUpTo(id)
    return this.#acks.acknowledgeCumulative(id)
  }

  #settled(id: MessageId): void {
    this.#refused.remove(id)
    this.#unacknowledged.remove(id)
    if (this.#doomed.size > 0) this.#doomed.delete(entryKey(id))
  }

  negativeAcknowledge(id: MessageId, redeliveryCount: number): void {
    const { negativeAckBackoff: backoff, negativeAckDelayMs = NEGATIVE_ACK_DELAY_MS_DEFAULT } = this.#options
    this.#unacknowledged.remove(id)
    const delayMs =
      backoff === undefined
        ? negativeAckDelayMs
        : Math.min(backoff.maxMs, backoff.initialMs * (backoff.multiplier ?? 2) ** redeliveryCount)
    this.#refused.add(id, delayMs)
  }

  #redeliver(ids: readonly MessageId[]): void {
    const type = this.#options.type ?? 'exclusive'
    if (type === 'exclusive' || type === 'failover') {
      this.redeliverAll()
      return
    }
    const alive: MessageId[] = []
    for (const id of ids) {
      const doomed = this.#doomed.get(entryKey(id))
      this.#doomed.delete(entryKey(id))
      if (doomed === undefined) alive.push(...(this.#reader.chunkIds.get(id) ?? [id]))
      else void this.#bury(doomed)
    }
    if (alive.length === 0) return
    const messageIds = alive.map(({ ledgerId, entryId }) => new MessageId({ ledgerId, entryId }).toData())
    const command = { consumerId: BigInt(this.id), messageIds }
    this.#attachment.connection?.send(encodeCommand('redeliverUnacknowledgedMessages', command))
  }

  /** Everything that is not acknowledged comes again. */
  redeliverAll(): void {
    const { connection } = this.#attachment
    this.#refused.clear()
    this.#unacknowledged.clear()
    const dropped = this.#dropQueued()
    if (connection === undefined) return
    const type = this.#options.type ?? 'exclusive'
    const isOrdered = type === 'exclusive' || type === 'failover'
    if (isOrdered) this.#epoch++
    const epoch = isOrdered ? { consumerEpoch: BigInt(this.#epoch) } : {}
    connection.send(encodeCommand('redeliverUnacknowledgedMessages', { consumerId: BigInt(this.id), ...epoch }))
    this.#returnPermits(dropped)
  }

  /** To the dead-letter topic; acknowledged when it is there, asked for again when that fails. */
  async #bury(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      try {
        await this.#given.deadLetters?.sendDeadLetter(message)
        await this.acknowledge(message.id)
      } catch (error) {
        const { logger } = this.#given.context
        logger.warn({ event: 'dead_letter.failed', topic: this.topic, err: error }, 'the message will come again')
        this.#redeliver([message.id])
      }
    }
  }

  #dropQueued(): number {
    this.#chunks.clear()
    this.#doomed.clear()
    return this.#given.queue.clear(this)
  }

  /** To a message id, or to a time in milliseconds since 1970. */
  async seek(to: MessageId | number): Promise<void> {
    const place = typeof to === 'number' ? to : await this.#placeOf(to)
    const connection = await this.#attachment.attached()
    const target =
      typeof place === 'number' ? { messagePublishTime: BigInt(place) } : { messageId: firstEntryOf(place).toData() }
    this.#seeking = new Promise<void>((resolve, reject) => {
      connection.requestWith(
        'seek',
        { consumerId: BigInt(this.id), ...target },
        {
          onAnswer: () => {
            this.#afterSeek(place)
            resolve()
          },
          onError: error => reject(error)
        }
      )
    })
    await this.#seeking
  }

  /** The latest, for a reader that starts with the last message, is that message if there is one. */
  async #placeOf(to: MessageId): Promise<MessageId> {
    if (!to.isLatest || !this.#isReader || this.#options.isStartInclusive !== true) return to
    const { last } = await this.lastMessageId()
    return last.entryId < 0 ? to : last
  }

  /** What came before the answer is of the old position. */
  #afterSeek(to: MessageId | number): void {
    this.#acks.clear()
    this.#refused.clear()
    this.#unacknowledged.clear()
    this.#lastTaken = undefined
    this.#hasSeenEnd = false
    this.#startMessageId = typeof to === 'number' ? MessageId.earliest : to
    this.#skipsToStart = true
    this.#returnPermits(this.#dropQueued())
  }

  /** Of the topic's last message; `markDelete` is where the subscription stands. */
  async lastMessageId(): Promise<{ last: MessageId; markDelete: MessageId | undefined }> {
    const connection = await this.#attachment.attached()
    const answer = await connection.request('getLastMessageId', { consumerId: BigInt(this.id) })
    if (answer.case !== 'getLastMessageIdResponse') {
      throw clientErrors.create('PROTOCOL_VIOLATION', { reason: 'unexpected answer', command: answer.case })
    }
    const { lastMessageId, consumerMarkDeletePosition: position } = answer.value
    if (lastMessageId === undefined) throw clientErrors.create('PROTOCOL_VIOLATION', { reason: 'no message id' })
    return {
      last: MessageId.fromData(lastMessageId),
      markDelete: position === undefined ? undefined : MessageId.fromData(position)
    }
  }

  async unsubscribe(isForced: boolean): Promise<void> {
    const connection = await this.#attachment.attached()
    await connection.request('unsubscribe', { consumerId: BigInt(this.id), force: isForced })
    this.#shutDown()
  }

  async close(): Promise<void> {
    this.#acks.close()
    const { connection } = this.#attachment
    this.#shutDown()
    if (connection === undefined || connection.isClosed) return
    const { logger } = this.#given.context
    await connection.request('closeConsumer', { consumerId: BigInt(this.id) }).catch((error: unknown) => {
      logger.debug({ event: 'consumer.close_failed', topic: this.topic, err: error }, 'closed all the same')
    })
  }

  #shutDown(): void {
    this.#attachment.connection?.removeConsumer(this.id)
    this.#attachment.close()
    this.#refused.clear()
    this.#unacknowledged.clear()
    this.#dropQueued()
  }
}

/** A chunked message is read from its first chunk on; one that starts behind it is known by its last. */
function firstEntryOf<Id extends MessageId | undefined>(id: Id): Id | MessageId {
  return id?.firstChunk ?? id
}

function entryKey(id: MessageId): string {
  return `${id.ledgerId}:${id.entryId}`
}
