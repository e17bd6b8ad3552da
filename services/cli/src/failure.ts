import { CodedError } from '@strata/base'

/** What a shell sees of how a command ended; named in the README. */
export const EXIT = { done: 0, failed: 1, nothing: 2, usage: 64, settings: 78, interrupted: 130 } as const

/** Ends the command with one line on standard error that says what to do next, and an exit code. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: number

  constructor(line: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(line, options.cause === undefined ? {} : { cause: options.cause })
    this.exitCode = options.exitCode ?? EXIT.failed
  }
}

/** Wrong flags that the parser alone cannot see. */
export function usageFailure(line: string): CommandFailure {
  return new CommandFailure(line, { exitCode: EXIT.usage })
}

/** What to do about an error of the client or the broker, by its code. */
const ADVICE: Readonly<Record<string, string>> = {
  AUTHENTICATION_FAILED: 'give valid credentials with --token-file or STRATA_TOKEN',
  CONSUMER_BUSY: 'stop the other consumer, take --type shared on both, or choose another --subscription',
  INVALID_SERVICE_URL: 'write --url as pulsar://host:port',
  INVALID_TOPIC: 'write a topic as name, tenant/namespace/name or persistent://tenant/namespace/name',
  MESSAGE_TOO_BIG: 'send it in pieces with --chunking',
  PRODUCER_BUSY: 'choose another --name, or leave it out',
  TOPIC_NOT_FOUND: 'create it with: strata topics create; or see what there is with: strata topics list',
  TOPIC_TERMINATED: 'it can still be read; publish to another topic',
  TIMEOUT: 'the server may be overloaded or unreachable: see its log'
}

/** One line for any error: what happened in the broker's own words if it gave some, then what to do next. */
export function explain(error: unknown): string {
  if (!isCoded(error)) return error instanceof Error ? error.message : String(error)
  const advice = ADVICE[error.code]
  if (advice === undefined && !isOfClient(error)) return error.message
  const said = typeof error.details.message === 'string' ? oneLine(error.details.message) : ''
  const reason = typeof error.details.reason === 'string' ? error.details.reason : said
  const what = error.message.replace(/^[A-Z_]+: /, '').replace(/ \{.*$/s, '')
  const start = reason === '' ? what : `${what} (${reason})`
  return `${start}${advice === undefined ? '' : `: ${advice}`} [${error.code}]`
}

/** With its code as a text: narrowing by the class alone makes it anything. */
export function isCoded(error: unknown): error is CodedError {
  return error instanceof CodedError
}

/** The text of settings' errors is made for people already; the client's carries its details as JSON. */
function isOfClient(error: CodedError): boolean {
  return /^[A-Z_]+: /.test(error.message)
}

function oneLine(text: string): string {
  return text.trim().split('\n')[0] ?? ''
}

/** The system's word for what went wrong, such as ECONNREFUSED, wherever in the chain of causes it is. */
export function systemCodeOf(error: unknown): string | undefined {
  for (let each: unknown = error, depth = 0; each instanceof Error && depth < 8; each = each.cause, depth++) {
    if ('code' in each && typeof each.code === 'string' && /^E[A-Z]+$|^UND_ERR_/.test(each.code)) return each.code
    if (each instanceof AggregateError && each.errors.length > 0) return systemCodeOf(each.errors[0])
  }
  return undefined
}
