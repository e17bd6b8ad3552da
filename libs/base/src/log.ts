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

/** Lines that nobody has read yet. Past it they are dropped, and how many is told when somebody reads on. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024
/** How often, a tenth of a second apart, a process that ends offers what is left to who does not read. */
const LAST_OFFERS = 10

/**
 * Pretty lines on a terminal, JSON otherwise. Writes to standard error: standard output belongs to the program. Who reads the
 * lines slowly, or not at all, never keeps the caller waiting.
 */
export function createLogger(options: { level: LogLevel; pretty?: boolean }): Logger {
  const pretty = options.pretty ?? process.stderr.isTTY
  if (!pretty) return jsonLogger(options.level)
  return pino({
    level: options.level,
    base: null,
    transport: { target: 'pino-pretty', options: { destination: 2, colorize: true, singleLine: true } }
  })
}

function jsonLogger(level: LogLevel): Logger {
  let lastOffers = Infinity
  const destination = pino.destination({
    fd: 2,
    sync: false,
    maxLength: UNREAD_BYTES_MAX,
    retryEAGAIN: () => lastOffers-- > 0
  })
  process.prependOnceListener('exit', () => (lastOffers = LAST_OFFERS))
  const logger = pino({ level, base: null }, destination)
  let dropped = 0
  destination.on('drop', () => dropped++)
  destination.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    logger.warn({ event: 'log.lines_dropped', lines }, 'Lines were dropped while nobody read them')
  })
  return logger
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
