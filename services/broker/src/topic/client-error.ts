import { CodedError } from '@strata/base'
import type { ServerError } from '@strata/wire'
import { brokerError, isBrokerError, wireErrorOf, type BrokerErrorCode } from '../errors.ts'
import { isNamespaceError } from '../namespace/errors.ts'

/**
 * What a client is told of an error that comes from below. Storage and metadata are named by what they are to a client:
 * come again. The cause stays with the error, for logs.
 */
export function asClientError(error: unknown): Error {
  if (isBrokerError(error)) return error
  if (isNamespaceError(error)) {
    switch (error.code) {
      case 'NAMESPACE_NOT_FOUND':
      case 'TENANT_NOT_FOUND':
      case 'TOPIC_NOT_FOUND':
        return told('TopicNotFound', error)
      case 'NAME_INVALID':
        return told('InvalidTopicName', error)
      case 'LIMIT_REACHED':
        return told('NotAllowedError', error)
      default:
        return told('MetadataError', error)
    }
  }
  if (error instanceof CodedError) {
    const code: string = error.code
    if (code.startsWith('LOG_') || code === 'STORAGE_FAILED') {
      return brokerError('ServiceNotReady', 'Topic is temporarily unavailable', error)
    }
    if (error.retryable) return brokerError('MetadataError', 'The metadata store did not answer: try again', error)
  }
  return error instanceof Error ? error : new Error(String(error))
}

function told(code: BrokerErrorCode, error: Error): Error {
  return brokerError(code, error.message, error)
}

/** The protocol's number and a text, for answers that carry their own error. */
export function wireAnswerOf(error: unknown): { error: ServerError; message: string } {
  const { wire, message } = wireErrorOf(asClientError(error))
  return { error: wire as ServerError, message: message === '' ? 'unknown error' : message }
}
