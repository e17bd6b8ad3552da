import { defineErrors, type CodedError } from '@strata/base'

/** What an operator can be told about tenants, namespaces and topics; `http` is the status of the admin API. */
const table = {
  NAME_INVALID: { http: 412, retryable: false, summary: 'a name or value is not valid' },
  VALUE_INVALID: { http: 400, retryable: false, summary: 'a value contradicts itself' },
  CLUSTER_NOT_FOUND: { http: 404, retryable: false, summary: 'the cluster does not exist' },
  TENANT_NOT_FOUND: { http: 404, retryable: false, summary: 'the tenant does not exist' },
  NAMESPACE_NOT_FOUND: { http: 404, retryable: false, summary: 'the namespace does not exist' },
  TOPIC_NOT_FOUND: { http: 404, retryable: false, summary: 'there is no such topic' },
  ALREADY_EXISTS: { http: 409, retryable: false, summary: 'it exists already' },
  NOT_EMPTY: { http: 409, retryable: false, summary: 'it still holds something' },
  CHANGED_MEANWHILE: { http: 409, retryable: true, summary: 'another change came first' },
  BEING_DELETED: { http: 409, retryable: true, summary: 'it is being deleted' },
  LIMIT_REACHED: { http: 412, retryable: false, summary: 'a limit of the namespace or the broker is reached' }
} as const

export type NamespaceErrorCode = keyof typeof table

const family = defineErrors(table)

/** `message` is the `reason` that HTTP clients see. */
export function namespaceError(code: NamespaceErrorCode, message: string): CodedError<NamespaceErrorCode> {
  const error = family.create(code)
  error.message = message
  return error
}

export function isNamespaceError(error: unknown, code?: NamespaceErrorCode): error is CodedError<NamespaceErrorCode> {
  return family.is(error, code)
}

export function httpStatusOf(code: NamespaceErrorCode): number {
  return table[code].http
}
