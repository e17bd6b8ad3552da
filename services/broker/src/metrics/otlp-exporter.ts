import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { configErrors, reasonOf, type Clock, type Logger } from '@strata/base'
import type { Families } from './families.ts'
import { encodeOtlp } from './otlp-encode.ts'

export interface OtlpExporterOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** `http://host:4318/v1/metrics` */
  readonly url: string
  readonly intervalMs: number
  /** `name=value`, comma-separated. */
  readonly headers: string
  /** Sent with all of it: `service.name` and the like. */
  readonly resource: () => Readonly<Record<string, string>>
  readonly startedAtMs: number
  readonly collect: () => Promise<readonly Families[]>
}

/** Points of one request; a megabyte or two before it is packed. */
const POINTS_MAX = 5_000
const TIMEOUT_MS = 10_000

const pack = promisify(gzip)

/**
 * Pushes what is measured, as OTLP over HTTP in JSON. Nothing is kept for a receiver that is away: counters are cumulative, so
 * the next push that arrives says all of it. That pushes fail is logged once, and that they arrive again.
 */
export class OtlpExporter {
  readonly #options: OtlpExporterOptions
  readonly #headers: Readonly<Record<string, string>>
  readonly #ending = new AbortController()
  #cancel: () => void = () => undefined
  #isFailing = false

  /** @throws CodedError BAD_SETTING */
  constructor(options: OtlpExporterOptions) {
    if (!/^https?:\/\//.test(options.url) || !URL.canParse(options.url)) {
      throw badSetting(`strataOtlpMetricsUrl=${options.url}: must be a URL like http://host:4318/v1/metrics`)
    }
    this.#options = options
    this.#headers = headersOf(options.headers)
  }

  start(): void {
    this.#cancel = this.#options.clock.after(this.#options.intervalMs, () => {
      void this.push().then(() => {
        if (!this.#ending.signal.aborted) this.start()
      })
    })
  }

  /** What is under way is cut. */
  close(): void {
    this.#cancel()
    this.#ending.abort(new Error('the broker shuts down'))
  }

  /** Never rejects. */
  async push(): Promise<void> {
    const { clock, logger, collect, resource, startedAtMs, url } = this.#options
    try {
      const all = await collect()
      const origin = { resource: resource(), startedAtMs, nowMs: clock.wallMs() }
      for (const body of encodeOtlp(all, origin, POINTS_MAX)) {
        await this.#send(body)
        await setImmediate()
      }
      if (this.#isFailing)
        logger.info({ event: 'metrics.pushed_again', url }, 'metrics arrive again where they are pushed to')
      this.#isFailing = false
    } catch (error) {
      if (this.#isFailing || this.#ending.signal.aborted) return
      this.#isFailing = true
      logger.warn({ event: 'metrics.push_failed', url, reason: reasonOf(error) }, 'metrics could not be pushed')
    }
  }

  /** @throws Error for whatever is no success */
  async #send(body: string): Promise<void> {
    const late = new AbortController()
    const cancel = this.#options.clock.after(TIMEOUT_MS, () => {
      late.abort(new Error(`no answer within ${TIMEOUT_MS} ms`))
    })
    try {
      const answer = await fetch(this.#options.url, {
        method: 'POST',
        signal: AbortSignal.any([late.signal, this.#ending.signal]),
        headers: { ...this.#headers, 'content-type': 'application/json', 'content-encoding': 'gzip' },
        body: new Uint8Array(await pack(body))
      })
      await answer.arrayBuffer() // so that the connection can be used again
      if (!answer.ok) throw new Error(`answered with status ${answer.status}`)
    } finally {
      cancel()
    }
  }
}

function headersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const part of text.split(',')) {
    if (part.trim() === '') continue
    const at = part.indexOf('=')
    // the text itself is not told: it may be a credential
    if (at <= 0) throw badSetting('strataOtlpMetricsHeaders: must be name=value, comma-separated')
    headers[part.slice(0, at).trim()] = part.slice(at + 1).trim()
  }
  return headers
}

function badSetting(problem: string): Error {
  const error = configErrors.create('BAD_SETTING', { problems: [problem] })
  error.message = problem
  return error
}
