import type { MessageId } from './message-id.ts'
import type { ProducerMessage, SendCallback } from './producer-options.ts'

/** Publishes to a topic, partitioned or not. */
export interface Producer {
  readonly topic: string
  /** As given, or as the broker named it. */
  readonly name: string
  readonly isConnected: boolean
  /** Of the last message that the broker has; -1 if there is none. */
  readonly lastSequenceId: bigint

  /**
   * Resolves when the broker has stored the message.
   * @throws TIMEOUT, QUEUE_FULL, MEMORY_LIMIT, MESSAGE_TOO_BIG, TOPIC_TERMINATED, PRODUCER_FENCED, ALREADY_CLOSED
   */
  send(message: ProducerMessage): Promise<MessageId>
  /** The same without a promise. The callback runs later, never inside this call; it may be left out. */
  sendNoWait(message: ProducerMessage, callback?: SendCallback): void
  /** Sends what waits in batches, and resolves when everything sent before has its receipt or has failed. */
  flush(): Promise<void>
  /** Waits for what was sent, then closes. Idempotent. */
  close(): Promise<void>
}
