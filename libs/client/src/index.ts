export { basicAuthentication, tokenAuthentication, type Authentication } from './authentication.ts'
export { PulsarClient, type ClientOptions } from './client.ts'
export { decompress, prepareCompression, type Compression } from './compression.ts'
export { Consumer } from './consumer.ts'
export type {
  BatchReceivePolicy,
  ConsumerOptions,
  DeadLetterPolicy,
  HashRange,
  ListeningConsumer,
  NegativeAckBackoff,
  SubscriptionType
} from './consumer-options.ts'
export { clientErrors, type ClientError, type ClientErrorCode } from './errors.ts'
export { Message } from './message.ts'
export { MessageId, type MessageIdFields } from './message-id.ts'
export type { Producer } from './producer.ts'
export type {
  AccessMode,
  BatchingOptions,
  MessageRouter,
  ProducerMessage,
  ProducerOptions,
  SchemaInfo,
  SendCallback
} from './producer-options.ts'
export { Reader, type ReaderOptions } from './reader.ts'
