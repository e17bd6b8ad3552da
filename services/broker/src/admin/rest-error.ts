import { CodedError } from '@strata/base'
import { isSchemaError } from '@strata/schema'
import { brokerErrors, isBrokerError } from '../errors.ts'
import { httpStatusOf, isNamespaceError } from '../namespace/errors.ts'

/** A refusal with the status and the `reason` that tools look at. */
class RestError extends Error {
  override readonly name = 'RestError'
  readonly status: number

  constructor(status: number, reason: string) {
    super(reason)
    this.status = status
  }
}

export function refuse(status: number, reason: string): never {
  throw new RestError(status, reason)
}

/** Every error as an answer; `isOurs` is false for what nobody foresaw, which is to be logged. */
export function answerOf(error: unknown): { status: number; reason: string; isOurs: boolean } {
  if (error instanceof RestError) return { status: error.status, reason: error.message, isOurs: true }
  if (isNamespaceError(error)) return { status: httpStatusOf(error.code), reason: error.message, isOurs: true }
  if (isBrokerError(error)) return { status: brokerErrors[error.code].http, reason: error.message, isOurs: true }
  if (isSchemaError(error)) {
    const status = error.code === 'SCHEMA_INCOMPATIBLE' || error.code === 'SCHEMA_CONTENDED' ? 409 : 422
    return { status, reason: error.message, isOurs: true }
  }
  if (error instanceof CodedError && error.retryable) {
    return { status: 503, reason: 'The broker could not do it now: try again', isOurs: false }
  }
  return { status: 500, reason: 'The broker could not do it; its log says why', isOurs: false }
}
