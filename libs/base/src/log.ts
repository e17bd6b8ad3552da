import { pino } from 'pino'

/**
 * One line an event: `{ event: 'noun.verb_past', ...fields }` and a fixed sentence. Ids go into fields. Payloads, keys
 * and tokens are never logged. error: a person must act; warn: degraded but healing itself; info: a state changed.
 */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(bindings: object): Logger
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Pretty lines on a terminal, JSON otherwise. Writes to standard error: standard output belongs to the program. */
export function createLogger(options: { level: LogLevel; pretty?: boolean }): Logger {
  const pretty = options.pretty ?? process.stderr.isTTY
  if (!pretty) return pino({ level: options.level, base: null }, pino.destination({ fd: 2, sync: true }))
  return pino({
    level: options.level,
    base: null,
    transport: { target: 'pino-pretty', options: { destination: 2, colorize: true, singleLine: true } }
  })
}

const nothing = (): void => undefined

/** Drops everything; for tests. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger
}
