import { CodedError, defineErrors } from '@strata/base'
import { ServerError, serverErrorName } from '@strata/wire'

export const clientErrors = defineErrors({
  INVALID_OPTIONS: { retryable: false, summary: 'an option has no meaning or contradicts another one' },
  INVALID_TOPIC: { retryable: false, summary: 'the topic name is not valid' },
  INVALID_SERVICE_URL: { retryable: false, summary: 'the service URL is not valid' },
  CONNECT_FAILED: { retryable: true, summary: 'no connection to the broker could be made' },
  CONNECTION_LOST: { retryable: true, summary: 'the connection to the broker was lost' },
  TIMEOUT: { retryable: true, summary: 'the broker did not answer in time' },
  ALREADY_CLOSED: { retryable: false, summary: 'the client, producer, consumer or reader is closed' },
  PROTOCOL_VIOLATION: { retryable: false, summary: 'the broker sent what this client cannot have been sent' },
  LOOKUP_FAILED: { retryable: true, summary: 'the broker of the topic could not be found' },
  AUTHENTICATION_FAILED: { retryable: false, summary: 'the broker did not accept the credentials' },
  NOT_AUTHORIZED: { retryable: false, summary: 'the role may not do this' },
  TOPIC_NOT_FOUND: { retryable: false, summary: 'there is no such tenant, namespace or topic' },
  TOPIC_TERMINATED: { retryable: false, summary: 'the topic takes no more messages' },
  SUBSCRIPTION_NOT_FOUND: { retryable: false, summary: 'there is no such subscription' },
  CONSUMER_NOT_FOUND: { retryable: false, summary: 'the broker does not know the consumer' },
  CONSUMER_BUSY: { retryable: false, summary: 'another consumer holds the subscription' },
  CONSUMER_ASSIGN_FAILED: { retryable: false, summary: 'the hash ranges of the consumer cannot be assigned' },
  PRODUCER_BUSY: { retryable: false, summary: 'a producer of this name is connected, or there are too many' },
  PRODUCER_FENCED: { retryable: false, summary: 'another producer took exclusive access' },
  QUOTA_EXCEEDED: { retryable: false, summary: 'the backlog of the topic is over its quota' },
  NOT_ALLOWED: { retryable: false, summary: 'the broker does not allow this' },
  INCOMPATIBLE_SCHEMA: { retryable: false, summary: 'the schema does not go with that of the topic' },
  UNSUPPORTED_VERSION: { retryable: false, summary: 'the broker does not support this protocol version' },
  SERVICE_NOT_READY: { retryable: true, summary: 'the broker is not ready for this topic' },
  METADATA_ERROR: { retryable: true, summary: 'the broker could not read or write metadata' },
  PERSISTENCE_ERROR: { retryable: true, summary: 'the broker could not read or write the log' },
  TOO_MANY_REQUESTS: { retryable: true, summary: 'the broker has too many requests of this kind' },
  CHECKSUM_FAILED: { retryable: false, summary: 'the message was damaged on its way' },
  TRANSACTION_FAILED: { retryable: false, summary: 'the transaction is unknown, in conflict or in another state' },
  UNKNOWN_SERVER_ERROR: { retryable: true, summary: 'the broker failed' },
  MESSAGE_TOO_BIG: { retryable: false, summary: 'the message is larger than the broker accepts' },
  QUEUE_FULL: { retryable: true, summary: 'too many messages are waiting for their receipts' },
  MEMORY_LIMIT: { retryable: true, summary: 'waiting messages take all memory that the client may use' },
  PAYLOAD_CORRUPT: { retryable: false, summary: 'the payload does not decompress to what its metadata says' }
})

export type ClientErrorCode = keyof typeof clientErrors.table
export type ClientError = CodedError<ClientErrorCode>

const codesByServerError: ReadonlyMap<number, ClientErrorCode> = new Map<number, ClientErrorCode>([
  [ServerError.MetadataError, 'METADATA_ERROR'],
  [ServerError.PersistenceError, 'PERSISTENCE_ERROR'],
  [ServerError.AuthenticationError, 'AUTHENTICATION_FAILED'],
  [ServerError.AuthorizationError, 'NOT_AUTHORIZED'],
  [ServerError.ConsumerBusy, 'CONSUMER_BUSY'],
  [ServerError.ServiceNotReady, 'SERVICE_NOT_READY'],
  [ServerError.ProducerBlockedQuotaExceededError, 'QUOTA_EXCEEDED'],
  [ServerError.ProducerBlockedQuotaExceededException, 'QUOTA_EXCEEDED'],
  [ServerError.ChecksumError, 'CHECKSUM_FAILED'],
  [ServerError.UnsupportedVersionError, 'UNSUPPORTED_VERSION'],
  [ServerError.TopicNotFound, 'TOPIC_NOT_FOUND'],
  [ServerError.SubscriptionNotFound, 'SUBSCRIPTION_NOT_FOUND'],
  [ServerError.ConsumerNotFound, 'CONSUMER_NOT_FOUND'],
  [ServerError.TooManyRequests, 'TOO_MANY_REQUESTS'],
  [ServerError.TopicTerminatedError, 'TOPIC_TERMINATED'],
  [ServerError.ProducerBusy, 'PRODUCER_BUSY'],
  [ServerError.InvalidTopicName, 'INVALID_TOPIC'],
  [ServerError.IncompatibleSchema, 'INCOMPATIBLE_SCHEMA'],
  [ServerError.ConsumerAssignError, 'CONSUMER_ASSIGN_FAILED'],
  [ServerError.TransactionCoordinatorNotFound, 'TRANSACTION_FAILED'],
  [ServerError.InvalidTxnStatus, 'TRANSACTION_FAILED'],
  [ServerError.NotAllowedError, 'NOT_ALLOWED'],
  [ServerError.TransactionConflict, 'TRANSACTION_FAILED'],
  [ServerError.TransactionNotFound, 'TRANSACTION_FAILED'],
  [ServerError.ProducerFenced, 'PRODUCER_FENCED']
])

/** An answer of the broker that says no. `details.serverError` is the protocol's name of the error. */
export function serverRefusal(code: number, message: string): ClientError {
  const known = codesByServerError.get(code) ?? 'UNKNOWN_SERVER_ERROR'
  return clientErrors.create(known, { serverError: serverErrorName(code), message })
}

export function isRetryable(error: unknown): boolean {
  return error instanceof CodedError && error.retryable
}
