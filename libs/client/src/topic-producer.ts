import { strict as assert } from 'node:assert'
import type { BytePool } from '@strata/base'
import { joinHalves, type CommandBody, type ReceiptView } from '@strata/wire'
import { Attachment } from './attachment.ts'
import type { ClientContext } from './client-context.ts'
import type { Connection, ProducerSink } from './connection.ts'
import { clientErrors, serverRefusal, type ClientError } from './errors.ts'
import type { MessageId } from './message-id.ts'
import { ignoreOutcome, matchReceipt, PendingSends, settle, type PendingSend } from './pending-sends.ts'
import type { Producer } from './producer.ts'
import type { ProducerMessage, ProducerOptions, SendCallback } from './producer-options.ts'
import { registerProducer, type ProducerIdentity } from './producer-registration.ts'
import { SendBuilder } from './send-builder.ts'
import { parseTopic } from './topic-name.ts'

const SEND_TIMEOUT_MS_DEFAULT = 30_000

type State =
  | { readonly kind: 'open' }
  | { readonly kind: 'closed' }
  /** The broker will never take anything of this producer again. */
  | { readonly kind: 'failed'; readonly error: Error }

/**
 * The producer of one topic without partitions, or of one partition.
 *
 * Invariants: what was given out is pending until its receipt, its failure or its timeout, and then told exactly once;
 * frames go out in order of their sequence ids and, after a reconnection, once more from the oldest pending one.
 */
export class TopicProducer implements Producer, ProducerSink {
  readonly topic: string
  readonly #context: ClientContext
  readonly #options: ProducerOptions
  readonly #memory: BytePool
  readonly #attachment: Attachment
  readonly #pending = new PendingSends()
  readonly #builder: SendBuilder
  readonly #identity: ProducerIdentity
  readonly #partition: number
  #state: State = { kind: 'open' }
  #lastPublished = -1n
  #waitingForRoom: (() => void)[] = []
  #cancelTimeout: (() => void) | undefined

  constructor(context: ClientContext, options: ProducerOptions) {
    this.topic = options.topic
    this.#context = context
    this.#options = options
    this.#memory = context.memory
    this.#partition = parseTopic(options.topic).partition
    this.#identity = { id: context.nextProducerId(), name: options.name ?? '', epoch: 0n, topicEpoch: undefined }
    this.#builder = new SendBuilder({
      options,
      producerId: this.#identity.id,
      clock: context.clock,
      emit: send => this.#emit(send)
    })
    this.#attachment = new Attachment({
      ...context,
      target: this,
      fatalCodes: ['PRODUCER_FENCED', 'TOPIC_TERMINATED', 'TOPIC_NOT_FOUND', 'NOT_AUTHORIZED', 'INCOMPATIBLE_SCHEMA']
    })
  }

  async open(): Promise<this> {
    await this.#attachment.open()
    return this
  }

  get name(): string {
    return this.#identity.name
  }

  get isConnected(): boolean {
    return this.#attachment.connection !== undefined
  }

  get lastSequenceId(): bigint {
    return this.#lastPublished
  }

  /** Called by the attachment. */
  async register(connection: Connection): Promise<void> {
    connection.addProducer(this.#identity.id, this)
    try {
      await registerProducer(connection, this.#identity, this.#options, success => {
        if (this.#builder.start(success, connection.messageBytesMax)) this.#lastPublished = success.lastSequenceId
        // In the same breath: nothing may be sent between the answer and what was pending.
        for (const send of this.#pending) connection.send(send.frame)
      })
    } catch (error) {
      if (isOverQuota(error)) this.#failPending(error)
      throw error
    }
  }

  onGivenUp(error: Error): void {
    this.#fail(error)
  }

  onDetached(connection: Connection, assignedUrl: string | undefined): void {
    this.#attachment.detached(connection, assignedUrl)
  }

  send(message: ProducerMessage): Promise<MessageId> {
    return new Promise((resolve, reject) => {
      this.#sendWhenRoom(message, (error, id) => {
        if (id === undefined) reject(error ?? new Error('a send failed without an error'))
        else resolve(id)
      })
    })
  }

  sendNoWait(message: ProducerMessage, callback: SendCallback = ignoreOutcome): void {
    const refusal = this.#refusal(message)
    if (refusal !== undefined) {
      queueMicrotask(() => callback(refusal, undefined))
      return
    }
    this.#memory.take(message.data.length)
    try {
      this.#builder.add(message, callback)
    } catch (error) {
      if (!clientErrors.is(error)) throw error
      this.#release(message.data.length)
      queueMicrotask(() => callback(error, undefined))
    }
  }

  #sendWhenRoom(message: ProducerMessage, callback: SendCallback): void {
    if (this.#options.blockIfQueueFull !== true || this.#state.kind !== 'open' || this.#hasRoom()) {
      this.sendNoWait(message, callback)
      return
    }
    this.#waitingForRoom.push(() => this.#sendWhenRoom(message, callback))
    if (this.#memory.isOver) this.#memory.onRoom(() => this.#wakeWaiting())
  }

  #hasRoom(): boolean {
    const messagesMax = this.#options.pendingMessagesMax ?? 0
    if (messagesMax > 0 && this.#pending.messageCount + this.#builder.waitingCount >= messagesMax) return false
    return !this.#memory.isOver
  }

  #refusal(message: ProducerMessage): Error | undefined {
    if (this.#state.kind === 'closed') return clientErrors.create('ALREADY_CLOSED', { topic: this.topic })
    if (this.#state.kind === 'failed') return this.#state.error
    if (this.#memory.isOver) return clientErrors.create('MEMORY_LIMIT', { bytesMax: this.#memory.bytesMax })
    if (!this.#hasRoom()) return clientErrors.create('QUEUE_FULL', { topic: this.topic })
    if (message.isNullValue === true && message.data.length > 0) {
      return clientErrors.create('INVALID_OPTIONS', { reason: 'a message without a value cannot have data' })
    }
    return undefined
  }

  /** A frame is ready: it goes out at once, or with the others when there is a connection again. */
  #emit(send: PendingSend): void {
    this.#pending.push(send)
    if (this.#builder.isStarted) this.#attachment.connection?.send(send.frame)
    this.#armTimeout()
  }

  onReceipt(receipt: ReceiptView): void {
    const oldest = this.#pending.oldest
    if (oldest === undefined) return // it timed out
    const match = matchReceipt(oldest, receipt)
    if (match === 'earlier') return
    if (match === 'later') {
      this.#context.logger.warn({ event: 'producer.receipt_unmatched', topic: this.topic }, 'reconnecting the producer')
      this.#attachment.reset()
      return
    }
    const highest = joinHalves(oldest.highestLow, oldest.highestHigh)
    if (highest > this.#lastPublished) this.#lastPublished = highest
    this.#pending.shift()
    settle(oldest, receipt, this.#partition, this.topic)
    this.#done(oldest)
  }

  onSendError(error: CommandBody<'sendError'>): void {
    const refusal = serverRefusal(error.error, error.message)
    if (clientErrors.is(refusal, 'TOPIC_TERMINATED') || clientErrors.is(refusal, 'PRODUCER_FENCED')) {
      this.#fail(refusal)
      return
    }
    const isOfMessage = clientErrors.is(refusal, 'NOT_ALLOWED') || clientErrors.is(refusal, 'CHECKSUM_FAILED')
    const oldest = this.#pending.oldest
    const isOldest = oldest !== undefined && joinHalves(oldest.highestLow, oldest.highestHigh) === error.sequenceId
    if (!isOfMessage || !isOldest) {
      this.#attachment.reset()
      return
    }
    this.#pending.shift()
    this.#failSend(oldest, refusal)
  }

  /** One timer for all: it looks at the oldest send. */
  #armTimeout(): void {
    const timeoutMs = this.#options.sendTimeoutMs ?? SEND_TIMEOUT_MS_DEFAULT
    const oldest = this.#pending.oldest
    if (timeoutMs === 0 || oldest === undefined || this.#cancelTimeout !== undefined) return
    const { clock } = this.#context
    const waitMs = Math.max(0, oldest.createdAtMs + timeoutMs - clock.nowMs())
    this.#cancelTimeout = clock.after(waitMs, () => {
      this.#cancelTimeout = undefined
      this.#expire(timeoutMs)
      this.#armTimeout()
    })
  }

  #expire(timeoutMs: number): void {
    const expiredMs = this.#context.clock.nowMs() - timeoutMs
    let oldest = this.#pending.oldest
    while (oldest !== undefined && oldest.createdAtMs <= expiredMs) {
      this.#pending.shift()
      this.#failSend(oldest, clientErrors.create('TIMEOUT', { topic: this.topic, timeoutMs }))
      oldest = this.#pending.oldest
    }
  }

  #failSend(send: PendingSend, error: Error): void {
    for (const callback of send.callbacks) callback(error, undefined)
    this.#done(send)
  }

  #done(send: PendingSend): void {
    this.#release(send.chargedBytes)
    for (const done of send.onDone ?? []) done()
    if (this.#waitingForRoom.length > 0) this.#wakeWaiting()
  }

  #release(bytes: number): void {
    this.#memory.give(bytes)
  }

  #wakeWaiting(): void {
    const waiting = this.#waitingForRoom
    this.#waitingForRoom = []
    for (const retry of waiting) retry()
  }

  #fail(error: Error): void {
    if (this.#state.kind !== 'open') return
    this.#state = { kind: 'failed', error }
    this.#shutDown(error)
  }

  /** Everything that waits fails; nothing is left that could call back. */
  #shutDown(error: Error): void {
    this.#builder.flush()
    this.#attachment.connection?.removeProducer(this.#identity.id)
    this.#attachment.close()
    this.#cancelTimeout?.()
    this.#cancelTimeout = undefined
    this.#failPending(error)
    this.#wakeWaiting()
  }

  #failPending(error: Error): void {
    for (let send = this.#pending.shift(); send !== undefined; send = this.#pending.shift()) this.#failSend(send, error)
  }

  flush(): Promise<void> {
    this.#builder.flush()
    const { newest } = this.#pending
    if (newest === undefined) return Promise.resolve()
    return new Promise(resolve => {
      newest.onDone ??= []
      newest.onDone.push(resolve)
    })
  }

  async close(): Promise<void> {
    if (this.#state.kind === 'closed') return
    const wasOpen = this.#state.kind === 'open'
    if (wasOpen) await this.flush()
    // A second call, or a failure, may have come while this one waited.
    if ((this.#state as State).kind === 'closed') return
    this.#state = { kind: 'closed' }
    const connection = this.#attachment.connection
    this.#shutDown(clientErrors.create('ALREADY_CLOSED', { topic: this.topic }))
    this.#context.forget(this)
    assert(this.#pending.oldest === undefined)
    if (connection === undefined || connection.isClosed || !wasOpen) return
    await connection.request('closeProducer', { producerId: BigInt(this.#identity.id) }).catch((error: unknown) => {
      this.#context.logger.debug(
        { event: 'producer.close_failed', topic: this.topic, err: error },
        'closed all the same'
      )
    })
  }
}

/** The topic's backlog is over its quota, and producers are to be told: what they have waiting fails. The other way is to wait for room. */
function isOverQuota(error: unknown): error is ClientError {
  return (
    clientErrors.is(error, 'QUOTA_EXCEEDED') && error.details['serverError'] === 'ProducerBlockedQuotaExceededException'
  )
}
