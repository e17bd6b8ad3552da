import { defineErrors, type CodedError } from '@strata/base'

const table = {
  SCHEMA_INVALID: { retryable: false, summary: 'the schema cannot be read as what its type says' },
  SCHEMA_INCOMPATIBLE: { retryable: false, summary: 'the schema does not fit those before it' },
  SCHEMA_TOO_LARGE: { retryable: false, summary: 'the schema is larger than the registry stores' },
  SCHEMA_ROW_UNREADABLE: { retryable: false, summary: 'the registry holds a row that no version of it wrote' },
  SCHEMA_CONTENDED: { retryable: true, summary: 'too many schemas were added to the topic at once' }
} as const

const family = defineErrors(table)

export type SchemaErrorCode = keyof typeof table

/** `message` is what a client is told; it names no ids. */
export function schemaError(code: SchemaErrorCode, message: string, cause?: unknown): CodedError<SchemaErrorCode> {
  const error = family.create(code, {}, cause)
  error.message = message
  return error
}

export function isSchemaError(error: unknown, code?: SchemaErrorCode): error is CodedError<SchemaErrorCode> {
  return family.is(error, code)
}
