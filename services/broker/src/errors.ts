import { defineErrors, type CodedError } from '@strata/base'

/**
 * What a client can be told. `wire` is the ServerError number of the binary protocol, `http` the status of the admin API.
 * Message texts must never contain the name of another ServerError: the Go client matches names as substrings.
 */
export const brokerErrors = {
  UnknownError: { wire: 0, http: 500, retryable: true, summary: 'the broker could not do it' },
  MetadataError: { wire: 1, http: 500, retryable: true, summary: 'the metadata store did not answer as needed' },
  PersistenceError: { wire: 2, http: 500, retryable: true, summary: 'storage did not take or give the data' },
  AuthenticationError: { wire: 3, http: 401, retryable: false, summary: 'the credentials were not accepted' },
  AuthorizationError: { wire: 4, http: 403, retryable: false, summary: 'the role may not do this' },
  ConsumerBusy: { wire: 5, http: 409, retryable: false, summary: 'the subscription is in use' },
  ServiceNotReady: { wire: 6, http: 503, retryable: true, summary: 'not ready: try again' },
  ProducerBlockedQuotaExceededError: { wire: 7, http: 409, retryable: true, summary: 'the backlog is over its quota' },
  ProducerBlockedQuotaExceededException: { wire: 8, http: 409, retryable: true, summary: 'the backlog is over quota' },
  ChecksumError: { wire: 9, http: 400, retryable: true, summary: 'the checksum of the message does not match' },
  UnsupportedVersionError: { wire: 10, http: 400, retryable: false, summary: 'the client is too old for this' },
  TopicNotFound: { wire: 11, http: 404, retryable: false, summary: 'the topic does not exist' },
  SubscriptionNotFound: { wire: 12, http: 404, retryable: false, summary: 'the subscription does not exist' },
  ConsumerNotFound: { wire: 13, http: 404, retryable: false, summary: 'the consumer does not exist' },
  TooManyRequests: { wire: 14, http: 429, retryable: true, summary: 'too many requests at once' },
  TopicTerminatedError: { wire: 15, http: 405, retryable: false, summary: 'the topic takes no more messages' },
  ProducerBusy: { wire: 16, http: 409, retryable: false, summary: 'a producer of that name is connected' },
  InvalidTopicName: { wire: 17, http: 412, retryable: false, summary: 'the name is not valid' },
  IncompatibleSchema: { wire: 18, http: 409, retryable: false, summary: 'the schema does not fit those before it' },
  ConsumerAssignError: { wire: 19, http: 409, retryable: false, summary: 'no hash range could be assigned' },
  TransactionCoordinatorNotFound: { wire: 20, http: 404, retryable: false, summary: 'there is no such coordinator' },
  NotAllowedError: { wire: 22, http: 405, retryable: false, summary: 'this is not allowed here' },
  ProducerFenced: { wire: 25, http: 409, retryable: false, summary: 'another producer took over' }
} as const

export type BrokerErrorCode = keyof typeof brokerErrors

const family = defineErrors(brokerErrors)

/** `message` is what the client sees; keep it free of ids of other tenants. */
export function brokerError(code: BrokerErrorCode, message: string, cause?: unknown): CodedError<BrokerErrorCode> {
  const error = family.create(code, {}, cause)
  error.message = message
  return error
}

export function isBrokerError(error: unknown, code?: BrokerErrorCode): error is CodedError<BrokerErrorCode> {
  return family.is(error, code)
}

/** Any error as the code a client can be told. What is not ours is UnknownError. */
export function wireErrorOf(error: unknown): { code: BrokerErrorCode; wire: number; message: string } {
  if (isBrokerError(error)) return { code: error.code, wire: brokerErrors[error.code].wire, message: error.message }
  const message = error instanceof Error && error.message !== '' ? error.message : 'unknown error'
  return { code: 'UnknownError', wire: brokerErrors.UnknownError.wire, message }
}
