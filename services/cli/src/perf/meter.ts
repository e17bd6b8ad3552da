import type { Histogram } from 'hdr-histogram-js'

/** Latencies in milliseconds. */
export interface Latencies {
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  readonly p9999: number
  readonly max: number
}

/** What was measured over some time. */
export interface Measure {
  readonly seconds: number
  readonly messages: number
  readonly failed: number
  /** Messages a second. */
  readonly rate: number
  /** Payload, in millions of bytes a second. */
  readonly megabytesPerSecond: number
  readonly latencyMs: Latencies
}

/** Latencies are kept in microseconds, to three digits, up to an hour. */
const MICROSECONDS_MAX = 3_600_000_000

interface Counts {
  messages: number
  bytes: number
  failed: number
  startedAtMs: number
}

/** Counts messages and their latencies, for the running second and for the whole run. */
export class Meter {
  readonly #interval: Histogram
  readonly #total: Histogram
  #ofInterval: Counts
  #ofTotal: Counts

  private constructor(histograms: { interval: Histogram; total: Histogram }) {
    this.#interval = histograms.interval
    this.#total = histograms.total
    this.#ofInterval = noCounts()
    this.#ofTotal = noCounts()
  }

  static async create(): Promise<Meter> {
    const { build } = await import('hdr-histogram-js')
    const histogram = (): Histogram =>
      build({ bitBucketSize: 32, highestTrackableValue: MICROSECONDS_MAX, numberOfSignificantValueDigits: 3 })
    return new Meter({ interval: histogram(), total: histogram() })
  }

  /** Messages since the measuring began, the running second included. */
  get messages(): number {
    return this.#ofTotal.messages + this.#ofInterval.messages
  }

  record(latencyMs: number, bytes: number): void {
    this.#ofInterval.messages++
    this.#ofInterval.bytes += bytes
    this.#interval.recordValue(Math.min(MICROSECONDS_MAX, Math.max(0, Math.round(latencyMs * 1000))))
  }

  fail(): void {
    this.#ofInterval.failed++
  }

  /** The running interval, which ends. */
  takeInterval(): Measure {
    const counts = this.#ofInterval
    const measure = measured(counts, this.#interval)
    this.#total.add(this.#interval)
    this.#interval.reset()
    this.#ofTotal.messages += counts.messages
    this.#ofTotal.bytes += counts.bytes
    this.#ofTotal.failed += counts.failed
    this.#ofInterval = noCounts()
    return measure
  }

  /** Forgets what was measured so far: the warm-up is over. */
  restart(): void {
    this.#interval.reset()
    this.#total.reset()
    this.#ofInterval = noCounts()
    this.#ofTotal = noCounts()
  }

  /** All intervals that were taken. */
  total(): Measure {
    return measured(this.#ofTotal, this.#total)
  }
}

function noCounts(): Counts {
  return { messages: 0, bytes: 0, failed: 0, startedAtMs: performance.now() }
}

function measured({ messages, bytes, failed, startedAtMs }: Counts, histogram: Histogram): Measure {
  const seconds = Math.max(0.001, (performance.now() - startedAtMs) / 1000)
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000
  const isEmpty = messages === 0
  return {
    seconds: rounded(seconds),
    messages,
    failed,
    rate: rounded(messages / seconds),
    megabytesPerSecond: rounded(bytes / seconds / 1_000_000),
    latencyMs: {
      mean: isEmpty ? 0 : rounded(histogram.mean / 1000),
      p50: at(50),
      p95: at(95),
      p99: at(99),
      p999: at(99.9),
      p9999: at(99.99),
      max: isEmpty ? 0 : histogram.maxValue / 1000
    }
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
