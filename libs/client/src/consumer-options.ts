import type { Message } from './message.ts'
import type { MessageId } from './message-id.ts'
import type { SchemaInfo } from './producer-options.ts'

export type SubscriptionType = 'exclusive' | 'shared' | 'failover' | 'key-shared'

export interface NegativeAckBackoff {
  readonly initialMs: number
  readonly maxMs: number
  /** Default 2. */
  readonly multiplier?: number
}

export interface DeadLetterPolicy {
  /** Deliveries after the first one; then the message goes to the dead-letter topic. */
  readonly redeliveriesMax: number
  /** Default `<topic>-<subscription>-DLQ`. */
  readonly topic?: string
  /** Default `<topic>-<subscription>-RETRY`; consumed as well if `retryEnabled`. */
  readonly retryTopic?: string
  /** Created on the dead-letter topic, so that what is sent there is kept. */
  readonly initialSubscriptionName?: string
}

/** Both ends included, within 0 to 65535. */
export interface HashRange {
  readonly start: number
  readonly end: number
}

export interface BatchReceivePolicy {
  /** Default 100. */
  readonly messagesMax?: number
  /** Default 10 MB. */
  readonly bytesMax?: number
  /** Default 100 ms. */
  readonly timeoutMs?: number
}

/** What a listener may do with its consumer. */
export interface ListeningConsumer {
  acknowledge(message: Message): Promise<void>
  acknowledgeCumulative(message: Message): Promise<void>
  negativeAcknowledge(message: Message): void
  reconsumeLater(message: Message, delayMs: number, properties?: Readonly<Record<string, string>>): Promise<void>
  pause(): void
  resume(): void
}

export interface ConsumerOptions {
  /** One topic, several, or all of a namespace whose full names match. Exactly one of the three is given. */
  readonly topic?: string
  readonly topics?: readonly string[]
  /** `tenant/namespace/expression`, with or without domain, in RE2's syntax. */
  readonly topicsPattern?: string
  /** Which topics a pattern looks at. Default persistent ones. */
  readonly patternMode?: 'persistent' | 'non-persistent' | 'all'
  readonly subscription: string
  /** Default exclusive. */
  readonly type?: SubscriptionType
  readonly name?: string
  /** Where a subscription starts that does not exist yet. Default latest. */
  readonly initialPosition?: 'latest' | 'earliest'
  /** Messages that wait here for the application. Default 1000; 0 asks for each message when it is wanted. */
  readonly receiverQueueSize?: number
  /** Shared by all partitions. Default 50,000. */
  readonly receiverQueueSizeTotal?: number
  /** Acknowledgements are sent together after this long. Default 100 ms; 0 sends each at once. */
  readonly ackGroupMs?: number
  /** `acknowledge` resolves when the broker says that it is durable. */
  readonly ackReceipts?: boolean
  /** Messages of a batch are acknowledged one by one, and not delivered again if others of it are. */
  readonly batchIndexAcks?: boolean
  /** Messages neither acknowledged nor refused after this long are asked for again. Default never. */
  readonly ackTimeoutMs?: number
  /** Default 60 s. */
  readonly negativeAckDelayMs?: number
  /** In place of the delay, by how often a message was delivered. */
  readonly negativeAckBackoff?: NegativeAckBackoff
  readonly deadLetter?: DeadLetterPolicy
  /** Allows `reconsumeLater`, and consumes the retry topic. */
  readonly retryEnabled?: boolean
  readonly properties?: Readonly<Record<string, string>>
  readonly subscriptionProperties?: Readonly<Record<string, string>>
  /** Lower levels are served first in Shared and Failover. Default 0. */
  readonly priority?: number
  /** Key_Shared: the ranges of this consumer alone; otherwise the broker shares out the keys. */
  readonly stickyRanges?: readonly HashRange[]
  readonly allowOutOfOrder?: boolean
  readonly readCompacted?: boolean
  readonly replicateSubscriptionState?: boolean
  /** False: subscribing must not create the topic. */
  readonly createTopic?: boolean
  readonly schema?: SchemaInfo
  /** Called for each message in place of `receive`; the next one comes when its promise is done. */
  readonly listener?: (message: Message, consumer: ListeningConsumer) => void | Promise<void>
  readonly batchReceive?: BatchReceivePolicy
  /** Messages of which some chunks came and others not yet. Default 10. */
  readonly pendingChunkedMax?: number
  readonly onActiveChange?: (isActive: boolean) => void
  readonly onEndOfTopic?: () => void
  /** Not kept by the broker. */
  readonly isNonDurable?: boolean
  readonly startMessageId?: MessageId
  readonly isStartInclusive?: boolean
}
