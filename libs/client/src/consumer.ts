import { every } from '@strata/base'
import type { ClientContext } from './client-context.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import type { DeadLetters } from './dead-letter.ts'
import { clientErrors } from './errors.ts'
import { Message } from './message.ts'
import { MessageId } from './message-id.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { TopicConsumer } from './topic-consumer.ts'
import { partitionName, withoutPartition } from './topic-name.ts'

const QUEUE_SIZE_DEFAULT = 1000
const QUEUE_SIZE_TOTAL_DEFAULT = 50_000
const BATCH_MESSAGES_DEFAULT = 100
const BATCH_BYTES_DEFAULT = 10 * 1024 * 1024
const BATCH_TIMEOUT_MS_DEFAULT = 100

export interface ConsumerSetup {
  readonly context: ClientContext
  readonly options: ConsumerOptions
  readonly name: string
  readonly deadLetters: DeadLetters | undefined
  /** Topics to consume from, partitions not yet told apart; asked again and again. */
  discover(): Promise<readonly string[]>
}

/**
 * Consumes a subscription of one topic, of all partitions of it, of several topics, or of all that match a pattern.
 * Messages of all of them come through one queue, in order within a partition.
 */
export class Consumer {
  readonly #setup: ConsumerSetup
  readonly #options: ConsumerOptions
  readonly #queue: ReceiveQueue
  readonly #children = new Map<string, TopicConsumer>()
  #closed = false
  #isListening = false
  #isPaused = false
  #stopDiscovery: () => void = () => undefined
  #discovering: Promise<void> | undefined

  /** Not for applications: `client.subscribe` makes consumers. */
  constructor(setup: ConsumerSetup) {
    this.#setup = setup
    this.#options = setup.options
    this.#queue = new ReceiveQueue(setup.context.clock)
    if (setup.options.listener !== undefined) this.#queue.onMessage = () => void this.#listen()
  }

  /** Not for applications. */
  async open(): Promise<this> {
    const { context } = this.#setup
    try {
      await this.#discoverOnce()
    } catch (error) {
      await this.close()
      throw error
    }
    this.#stopDiscovery = every(context.clock, context.discoveryMs, () => {
      this.#discovering ??= this.#discoverOnce()
        .catch((error: unknown) => {
          context.logger.warn({ event: 'discovery.failed', err: error }, 'topics will be looked up again')
        })
        .finally(() => {
          this.#discovering = undefined
        })
    })
    return this
  }

  get subscription(): string {
    return this.#options.subscription
  }

  get name(): string {
    return this.#setup.name
  }

  /** Of each topic and partition, as full names. */
  get topics(): readonly string[] {
    return [...this.#children.keys()]
  }

  get isConnected(): boolean {
    return [...this.#children.values()].every(child => child.isConnected)
  }

  /** All topics are terminated and drained. */
  get hasReachedEnd(): boolean {
    return this.#children.size > 0 && [...this.#children.values()].every(child => child.hasReachedEnd)
  }

  async #discoverOnce(): Promise<void> {
    const wanted = new Set<string>()
    for (const topic of await this.#setup.discover()) {
      for (const each of await this.#partitionsOf(topic)) wanted.add(each)
    }
    const isPattern = this.#options.topicsPattern !== undefined
    const gone = isPattern ? [...this.#children.keys()].filter(topic => !wanted.has(topic)) : []
    const added = [...wanted].filter(topic => !this.#children.has(topic))
    await Promise.all([...gone.map(topic => this.#remove(topic)), ...added.map(topic => this.#add(topic, wanted.size))])
  }

  async #partitionsOf(topic: string): Promise<readonly string[]> {
    if (withoutPartition(topic) !== topic) return [topic]
    const count = await this.#setup.context.lookup.partitions(topic)
    return count === 0 ? [topic] : Array.from({ length: count }, (_, partition) => partitionName(topic, partition))
  }

  async #add(topic: string, topicCount: number): Promise<void> {
    const { context, deadLetters, name } = this.#setup
    const child = new TopicConsumer({
      context,
      topic,
      name,
      deadLetters,
      options: this.#options,
      queue: this.#queue,
      queueSize: this.#queueSize(topicCount),
      onGivenUp: error => this.#onGivenUp(topic, error)
    })
    this.#children.set(topic, child)
    try {
      await child.open()
    } catch (error) {
      this.#children.delete(topic)
      throw error
    }
    if (this.#closed) await child.close()
    else if (this.#isPaused) child.pause()
  }

  #queueSize(topicCount: number): number {
    const { receiverQueueSize = QUEUE_SIZE_DEFAULT, receiverQueueSizeTotal = QUEUE_SIZE_TOTAL_DEFAULT } = this.#options
    if (receiverQueueSize === 0 && topicCount > 1) {
      throw clientErrors.create('INVALID_OPTIONS', { reason: 'a queue of size 0 is for one topic without partitions' })
    }
    return Math.min(receiverQueueSize, Math.max(1, Math.floor(receiverQueueSizeTotal / topicCount)))
  }

  async #remove(topic: string): Promise<void> {
    const child = this.#children.get(topic)
    this.#children.delete(topic)
    await child?.close()
  }

  #onGivenUp(topic: string, error: Error): void {
    this.#setup.context.logger.error({ event: 'consumer.failed', topic, err: error }, 'the consumer cannot go on')
    if (this.#options.topicsPattern !== undefined) void this.#remove(topic)
    else this.#queue.close(error)
  }

  /** The next message; with a timeout, TIMEOUT if none comes. @throws ALREADY_CLOSED, TIMEOUT */
  receive(timeoutMs?: number): Promise<Message> {
    if (this.#options.listener !== undefined) {
      return Promise.reject(clientErrors.create('INVALID_OPTIONS', { reason: 'a consumer with a listener' }))
    }
    if (this.#options.receiverQueueSize === 0) for (const child of this.#children.values()) child.requestOne()
    return this.#queue.receive(timeoutMs)
  }

  /** A message that is here already, without a promise. */
  tryReceive(): Message | undefined {
    return this.#queue.take()
  }

  /** As many messages as the policy allows; fewer, or none, when its time is over. */
  async batchReceive(): Promise<Message[]> {
    const policy = this.#options.batchReceive ?? {}
    const messagesMax = policy.messagesMax ?? BATCH_MESSAGES_DEFAULT
    const bytesMax = policy.bytesMax ?? BATCH_BYTES_DEFAULT
    const { clock } = this.#setup.context
    const deadlineMs = clock.nowMs() + (policy.timeoutMs ?? BATCH_TIMEOUT_MS_DEFAULT)
    const messages: Message[] = []
    let bytes = 0
    while (messages.length < messagesMax && bytes < bytesMax) {
      const leftMs = deadlineMs - clock.nowMs()
      let message = this.#queue.take()
      if (message === undefined) {
        if (leftMs <= 0) break
        try {
          message = await this.receive(leftMs)
        } catch (error) {
          if (clientErrors.is(error, 'TIMEOUT')) break
          throw error
        }
      }
      messages.push(message)
      bytes += message.data.length
    }
    return messages
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    while (!this.#closed) {
      let message: Message
      try {
        message = await this.receive()
      } catch (error) {
        if (this.#isClosed()) return
        throw error
      }
      yield message
    }
  }

  /** Both may change while something is awaited. */
  #isClosed(): boolean {
    return this.#closed
  }

  #mayListen(): boolean {
    return !this.#isPaused
  }

  async #listen(): Promise<void> {
    const { listener } = this.#options
    if (this.#isListening || this.#isPaused || listener === undefined) return
    this.#isListening = true
    try {
      for (let message = this.#queue.take(); message !== undefined && !this.#isClosed();) {
        try {
          await listener(message, this)
        } catch (error) {
          this.#setup.context.logger.error(
            { event: 'listener.failed', topic: message.topic, err: error },
            'the listener threw'
          )
        }
        message = this.#mayListen() ? this.#queue.take() : undefined
      }
    } finally {
      this.#isListening = false
    }
  }

  /** Resolves at once, or with `ackReceipts` when the broker has it durable. */
  async acknowledge(what: Message | MessageId | readonly (Message | MessageId)[]): Promise<void> {
    if (what instanceof Message || what instanceof MessageId) {
      await this.#childOf(what).acknowledge(idOf(what))
      return
    }
    await Promise.all(what.map(each => this.#childOf(each).acknowledge(idOf(each))))
  }

  /** All messages of the topic or partition up to this one, which is included. Not for Shared and Key_Shared. */
  async acknowledgeCumulative(what: Message | MessageId): Promise<void> {
    const type = this.#options.type ?? 'exclusive'
    if (type === 'shared' || type === 'key-shared') {
      throw clientErrors.create('INVALID_OPTIONS', {
        reason: 'this type of subscription has no cumulative acknowledgement'
      })
    }
    await this.#childOf(what).acknowledgeCumulative(idOf(what))
  }

  /** The message comes again, after a while. */
  negativeAcknowledge(what: Message | MessageId): void {
    const redeliveryCount = what instanceof Message ? what.redeliveryCount : 0
    this.#childOf(what).negativeAcknowledge(idOf(what), redeliveryCount)
  }

  /** Publishes the message to the retry topic, to come again after `delayMs`, and acknowledges it. */
  async reconsumeLater(
    message: Message,
    delayMs: number,
    properties?: Readonly<Record<string, string>>
  ): Promise<void> {
    const { deadLetters } = this.#setup
    if (this.#options.retryEnabled !== true || deadLetters === undefined) {
      throw clientErrors.create('INVALID_OPTIONS', { reason: 'retryEnabled is not set' })
    }
    await deadLetters.retry(message, delayMs, properties)
    await this.acknowledge(message)
  }

  /** Everything that is not acknowledged comes again, at once. */
  redeliverUnacknowledged(): void {
    for (const child of this.#children.values()) child.redeliverAll()
  }

  /**
   * To a message id of one topic, to `MessageId.earliest` or `latest`, or to a time in milliseconds since 1970. The next
   * message is the one behind the id, or with `isStartInclusive` that very one; or the first published at the time or
   * later.
   */
  async seek(to: MessageId | number): Promise<void> {
    const isOfAll = typeof to === 'number' || to.isEarliest || to.isLatest
    const children = isOfAll ? [...this.#children.values()] : [this.#childOf(to)]
    await Promise.all(children.map(child => child.seek(to)))
  }

  /** One for each topic and partition. An empty topic gives the id before its first message. */
  async getLastMessageIds(): Promise<MessageId[]> {
    return await Promise.all([...this.#children.values()].map(async child => (await child.lastMessageId()).last))
  }

  /** Is there anything behind what was taken last? */
  async hasMessageAvailable(): Promise<boolean> {
    if (this.#queue.length > 0) return true
    const answers = await Promise.all([...this.#children.values()].map(child => hasMore(child, this.#options)))
    return answers.some(each => each)
  }

  /** Deletes the subscription. With `isForced` even if other consumers hold it. */
  async unsubscribe(isForced = false): Promise<void> {
    await Promise.all([...this.#children.values()].map(child => child.unsubscribe(isForced)))
    await this.close()
  }

  /** No more permits are granted, and the listener is not called. */
  pause(): void {
    this.#isPaused = true
    for (const child of this.#children.values()) child.pause()
  }

  resume(): void {
    this.#isPaused = false
    for (const child of this.#children.values()) child.resume()
    void this.#listen()
  }

  /** Sends what is acknowledged, then closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopDiscovery()
    this.#setup.context.forget(this)
    await Promise.all([...this.#children.values()].map(child => child.close()))
    this.#queue.close(clientErrors.create('ALREADY_CLOSED', { subscription: this.subscription }))
    await this.#setup.deadLetters?.close()
  }

  #childOf(what: Message | MessageId): TopicConsumer {
    const id = idOf(what)
    const child = this.#children.get(id.topic) ?? this.#childOfPlace(id)
    if (child !== undefined && !this.#closed) return child
    throw this.#closed
      ? clientErrors.create('ALREADY_CLOSED', { subscription: this.subscription })
      : clientErrors.create('INVALID_OPTIONS', { reason: 'the message id is of none of the topics', id: id.toString() })
  }

  /** For an id that was kept as bytes, which do not name its topic. */
  #childOfPlace(id: MessageId): TopicConsumer | undefined {
    const children = [...this.#children.values()]
    if (children.length === 1) return children[0]
    const suffix = `-partition-${id.partition}`
    return id.partition < 0 ? undefined : children.find(child => child.topic.endsWith(suffix))
  }
}

function idOf(what: Message | MessageId): MessageId {
  return what instanceof MessageId ? what : what.id
}

async function hasMore(child: TopicConsumer, options: ConsumerOptions): Promise<boolean> {
  const { last, markDelete } = await child.lastMessageId()
  if (last.entryId < 0) return false
  if (child.lastTaken !== undefined) return isBehind(last, child.lastTaken)
  const start = child.startMessageId
  if (start === undefined || start.isEarliest || start.isLatest) {
    return markDelete === undefined ? start?.isLatest !== true : isBehind(last, markDelete)
  }
  return options.isStartInclusive === true ? isBehind(last, start) || last.equals(start) : isBehind(last, start)
}

/** A whole entry is behind none of its own messages. */
function isBehind(last: MessageId, taken: MessageId): boolean {
  if (last.ledgerId !== taken.ledgerId || last.entryId !== taken.entryId) return last.compareTo(taken) > 0
  return last.batchIndex >= 0 && taken.batchIndex >= 0 && last.batchIndex > taken.batchIndex
}
