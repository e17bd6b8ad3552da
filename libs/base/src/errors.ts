export interface ErrorSpec {
  /** May the same call succeed if it is made again, unchanged? */
  readonly retryable: boolean
  /** One sentence; ERRORS documentation and log messages are made from it. */
  readonly summary: string
}

/**
 * An operating error: it has a code from a package's table and details a program can read. Bugs are asserts, not these.
 * `details` never hold payloads, keys or tokens.
 */
export class CodedError<Code extends string = string> extends Error {
  override readonly name = 'CodedError'
  readonly code: Code
  readonly retryable: boolean
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: Code, spec: ErrorSpec, details: Readonly<Record<string, unknown>>, cause?: unknown) {
    const text = Object.keys(details).length > 0 ? ` ${JSON.stringify(details)}` : ''
    super(`${code}: ${spec.summary}${text}`, cause === undefined ? {} : { cause })
    this.code = code
    this.retryable = spec.retryable
    this.details = details
  }
}

export interface ErrorFamily<Table extends Record<string, ErrorSpec>> {
  readonly table: Table
  /** Makes the error; the caller throws it. */
  create(
    code: keyof Table & string,
    details?: Readonly<Record<string, unknown>>,
    cause?: unknown
  ): CodedError<keyof Table & string>
  /** Is `error` one of this family, and (if given) with this code? */
  is(error: unknown, code?: keyof Table & string): error is CodedError<keyof Table & string>
}

/** Declares a package's errors once; documentation and checks are derived from the table. */
export function defineErrors<const Table extends Record<string, ErrorSpec>>(table: Table): ErrorFamily<Table> {
  return {
    table,
    create(code, details = {}, cause) {
      const spec = table[code]
      if (spec === undefined) throw new Error(`no such error code: ${code}`)
      return new CodedError(code, spec, details, cause)
    },
    is(error, code): error is CodedError<keyof Table & string> {
      return error instanceof CodedError && error.code in table && (code === undefined || error.code === code)
    }
  }
}

/** What a log line or an answer says of something that was caught. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What was caught, for those who must hand on an Error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
