import type { Schema } from '@strata/wire'
import type { Compression } from './compression.ts'
import type { MessageId } from './message-id.ts'

export interface ProducerMessage {
  readonly data: Uint8Array
  /** What routes the message to a partition, groups it for Key_Shared and names it for compaction. */
  readonly key?: string
  /** A key that is not text. */
  readonly keyBytes?: Uint8Array
  /** Groups messages for Key_Shared in place of the key. */
  readonly orderingKey?: Uint8Array
  readonly properties?: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly eventTimeMs?: number
  /** Milliseconds since 1970 before which Shared and Key_Shared consumers do not get it. */
  readonly deliverAtMs?: number
  readonly deliverAfterMs?: number
  /** Must rise within a producer; counted up by itself unless given. */
  readonly sequenceId?: number | bigint
  /** Clusters that get the message; `[]` for this one only. */
  readonly replicationClusters?: readonly string[]
  /** Says that the key has no value any more; `data` must be empty. */
  readonly isNullValue?: boolean
}

/** Called once a message, with an error or the id it got. */
export type SendCallback = (error: Error | undefined, id: MessageId | undefined) => void

/** A schema as the broker keeps it: the type's name in the protocol and the definition's bytes. */
export interface SchemaInfo {
  readonly name?: string
  readonly type: Schema['type']
  readonly data: Uint8Array
  readonly properties?: Readonly<Record<string, string>>
}

export interface BatchingOptions {
  /** Default true, unless chunking is on. */
  readonly enabled?: boolean
  /** Default 1000. */
  readonly messagesMax?: number
  /** Default 128 KB. */
  readonly bytesMax?: number
  /** Default 1 ms. */
  readonly delayMaxMs?: number
  /** Messages of different keys never share an entry, as Key_Shared needs it. */
  readonly byKey?: boolean
}

export type AccessMode = 'shared' | 'exclusive' | 'wait-for-exclusive' | 'exclusive-with-fencing'

/** Given a message and the number of partitions, the partition. */
export type MessageRouter = (message: ProducerMessage, partitionCount: number) => number

export interface ProducerOptions {
  readonly topic: string
  /** Must be unique on the topic; the broker gives one otherwise. */
  readonly name?: string
  readonly properties?: Readonly<Record<string, string>>
  readonly batching?: BatchingOptions
  readonly compression?: Compression
  /** Splits messages that are larger than the broker accepts. Excludes batching. */
  readonly chunking?: boolean
  readonly accessMode?: AccessMode
  /** A message without a receipt after this long fails. 0 waits for ever. Default 30 s. */
  readonly sendTimeoutMs?: number
  /** Messages without a receipt; 0 (the default) leaves the bound to the client's memory limit. */
  readonly pendingMessagesMax?: number
  /** `send` waits for room; otherwise (the default) it fails. */
  readonly blockIfQueueFull?: boolean
  /** The sequence id of the last message sent before; the first one gets the next. */
  readonly initialSequenceId?: number | bigint
  readonly schema?: SchemaInfo
  readonly initialSubscriptionName?: string
  /** How messages without a key are spread over partitions. Default round robin. */
  readonly routing?: 'round-robin' | 'single-partition' | MessageRouter
  /** How keys are spread; must be the same in all producers of a topic. Default Java's. */
  readonly hashing?: 'java-string-hash' | 'murmur3-32'
}
