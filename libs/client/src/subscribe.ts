import { encodeCommand, type CommandInit } from '@strata/wire'
import type { Connection } from './connection.ts'
import type { ConsumerOptions, SubscriptionType } from './consumer-options.ts'
import { clientErrors } from './errors.ts'
import type { MessageId } from './message-id.ts'
import { pairsOf, schemaOf } from './producer-registration.ts'

const types: Readonly<Record<SubscriptionType, 0 | 1 | 2 | 3>> = {
  exclusive: 0,
  shared: 1,
  failover: 2,
  'key-shared': 3
}

export interface Subscription {
  readonly topic: string
  readonly consumerId: number
  readonly consumerName: string
  readonly consumerEpoch: number
  /** For a subscription that is not durable: where to go on. */
  readonly startMessageId: MessageId | undefined
}

/** Sends SUBSCRIBE; `onSuccess` runs before anything behind the answer is read. */
export function subscribe(
  connection: Connection,
  subscription: Subscription,
  options: ConsumerOptions,
  onSuccess: () => void
): Promise<void> {
  const { consumerId } = subscription
  return new Promise((resolve, reject) => {
    connection.requestWith('subscribe', subscribeCommand(subscription, options), {
      onAnswer: () => {
        onSuccess()
        resolve()
      },
      onError: error => {
        connection.removeConsumer(consumerId)
        if (clientErrors.is(error, 'TIMEOUT')) {
          connection.send(encodeCommand('closeConsumer', { consumerId: BigInt(consumerId), requestId: 0n }))
        }
        reject(error)
      }
    })
  })
}

function subscribeCommand(
  subscription: Subscription,
  options: ConsumerOptions
): Omit<CommandInit<'subscribe'>, 'requestId'> {
  const { topic, consumerId, consumerName, consumerEpoch, startMessageId } = subscription
  const type = options.type ?? 'exclusive'
  return {
    topic,
    subscription: options.subscription,
    subType: types[type],
    consumerId: BigInt(consumerId),
    consumerName,
    priorityLevel: options.priority ?? 0,
    durable: options.isNonDurable !== true,
    ...(startMessageId === undefined ? {} : { startMessageId: startMessageId.toData() }),
    metadata: pairsOf(options.properties),
    readCompacted: options.readCompacted ?? false,
    ...(options.schema === undefined ? {} : { schema: schemaOf(options.schema) }),
    initialPosition: options.initialPosition === 'earliest' ? 1 : 0,
    replicateSubscriptionState: options.replicateSubscriptionState ?? false,
    forceTopicCreation: options.createTopic ?? true,
    subscriptionProperties: pairsOf(options.subscriptionProperties),
    ...(type === 'key-shared' ? { keySharedMeta: keySharedMetaOf(options) } : {}),
    ...(consumerEpoch === 0 ? {} : { consumerEpoch: BigInt(consumerEpoch) })
  }
}

function keySharedMetaOf(options: ConsumerOptions): NonNullable<CommandInit<'subscribe'>['keySharedMeta']> {
  const allowOutOfOrderDelivery = options.allowOutOfOrder ?? false
  if (options.stickyRanges === undefined) return { keySharedMode: 0, allowOutOfOrderDelivery }
  return { keySharedMode: 1, allowOutOfOrderDelivery, hashRanges: options.stickyRanges.map(range => ({ ...range })) }
}
