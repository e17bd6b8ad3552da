import { asError, CodedError } from '@strata/base'
import type { ServerError } from '@strata/wire'
import { brokerError, isBrokerError, wireErrorOf, type BrokerErrorCode } from '../errors.ts'
import { isNamespaceError, type NamespaceErrorCode } from '../namespace/errors.ts'

/** What is not here may pass. */
const CODES: Partial<Record<NamespaceErrorCode, BrokerErrorCode>> = {
  NAMESPACE_NOT_FOUND: 'TopicNotFound',
  TENANT_NOT_FOUND: 'TopicNotFound',
  TOPIC_NOT_FOUND: 'TopicNotFound',
  NAME_INVALID: 'InvalidTopicName',
  LIMIT_REACHED: 'NotAllowedError'
}

/**
 * What a client is told of an error that comes from below. Storage and metadata are named by what they are to a client:
 * come again. The cause stays with the error, for logs.
 */
export function asClientError(error: unknown): Error {
  if (isBrokerError(error)) return error
  if (isNamespaceError(error)) {
    return brokerError(CODES[error.code] ?? 'MetadataError', error.message, error)
  }
  if (error instanceof CodedError) {
    if (/^LOG_|^STORAGE_FAILED$/.test(String(error.code))) {
      return brokerError('ServiceNotReady', 'Topic is temporarily unavailable', error)
    }
    if (error.retryable) return brokerError('MetadataError', 'The metadata store did not answer: try again', error)
  }
  return asError(error)
}

/** The protocol's number and a text, for answers that carry their own error. */
export function wireAnswerOf(error: unknown): { error: ServerError; message: string } {
  const { wire, message } = wireErrorOf(asClientError(error))
  return { error: wire as ServerError, message: message === '' ? 'unknown error' : message }
}
