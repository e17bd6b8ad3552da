import type { Consumer } from './consumer.ts'
import type { Message } from './message.ts'
import type { MessageId } from './message-id.ts'
import type { SchemaInfo } from './producer-options.ts'

export interface ReaderOptions {
  readonly topic: string
  /** The reader starts behind it, or with it if `isStartInclusive`. */
  readonly startMessageId: MessageId
  readonly isStartInclusive?: boolean
  readonly name?: string
  readonly receiverQueueSize?: number
  readonly readCompacted?: boolean
  readonly subscriptionPrefix?: string
  /** In place of the prefix and a random end. */
  readonly subscription?: string
  readonly schema?: SchemaInfo
  readonly listener?: (message: Message) => void | Promise<void>
}

/** Reads a topic from a message on, without a subscription that stays. */
export class Reader {
  readonly #consumer: Consumer

  /** Not for applications: `client.createReader` makes readers. */
  constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  get topics(): readonly string[] {
    return this.#consumer.topics
  }

  get isConnected(): boolean {
    return this.#consumer.isConnected
  }

  get hasReachedEnd(): boolean {
    return this.#consumer.hasReachedEnd
  }

  /** @throws TIMEOUT if none comes in time, ALREADY_CLOSED */
  async readNext(timeoutMs?: number): Promise<Message> {
    const message = await this.#consumer.receive(timeoutMs)
    // What was read need not be kept for this reader.
    void this.#consumer.acknowledgeCumulative(message).catch(() => undefined)
    return message
  }

  /** False if everything that is in the topic now was read. */
  hasMessageAvailable(): Promise<boolean> {
    return this.#consumer.hasMessageAvailable()
  }

  seek(to: MessageId | number): Promise<void> {
    return this.#consumer.seek(to)
  }

  getLastMessageIds(): Promise<MessageId[]> {
    return this.#consumer.getLastMessageIds()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    for await (const message of this.#consumer) {
      void this.#consumer.acknowledgeCumulative(message).catch(() => undefined)
      yield message
    }
  }

  close(): Promise<void> {
    return this.#consumer.close()
  }
}
