/**
 * How many of something fell between which bounds, in the interval before this one: what dashboards of Apache Pulsar divide by
 * its sixty seconds. A bucket has what is above the bound before its own, and no more than its own.
 */
export class IntervalBuckets {
  readonly #bounds: readonly number[]
  #counts: Uint32Array
  #sum = 0
  #last: Uint32Array
  #lastSum = 0

  /** `bounds` in order; one bucket more takes what is above the last one. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Uint32Array(bounds.length + 1)
    this.#last = new Uint32Array(bounds.length + 1)
  }

  add(value: number, times = 1): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + times
    this.#sum += value * times
  }

  /** The interval is over. */
  roll(): void {
    const oldest = this.#last
    this.#last = this.#counts
    this.#lastSum = this.#sum
    this.#counts = oldest.fill(0)
    this.#sum = 0
  }

  /** Of the interval before this one, bucket by bucket. */
  get counts(): ArrayLike<number> {
    return this.#last
  }

  get count(): number {
    let count = 0
    for (const part of this.#last) count += part
    return count
  }

  get sum(): number {
    return this.#lastSum
  }
}

const STEPS_PER_DOUBLING = 8
const MICROSECONDS = 1_000
/** Twenty-seven doublings of a microsecond: two minutes. */
const STEPS = 27 * STEPS_PER_DOUBLING

/** Quantiles of durations in the interval before this one, each at most a tenth too high. Milliseconds. */
export class IntervalQuantiles {
  #counts = new Uint32Array(STEPS)
  #last = new Uint32Array(STEPS)
  /** Since the start. */
  count = 0
  sumMs = 0

  add(ms: number, times = 1): void {
    const step = Math.ceil(Math.log2(Math.max(1, ms * MICROSECONDS)) * STEPS_PER_DOUBLING)
    const index = Math.min(STEPS - 1, step)
    this.#counts[index] = (this.#counts[index] as number) + times
    this.count += times
    this.sumMs += ms * times
  }

  roll(): void {
    const oldest = this.#last
    this.#last = this.#counts
    this.#counts = oldest.fill(0)
  }

  /** Undefined: there was nothing to measure. */
  quantile(share: number): number | undefined {
    let all = 0
    for (const count of this.#last) all += count
    if (all === 0) return undefined
    const wanted = Math.max(1, Math.ceil(share * all))
    let seen = 0
    let step = 0
    while (step < STEPS - 1 && (seen += this.#last[step] as number) < wanted) step++
    return 2 ** (step / STEPS_PER_DOUBLING) / MICROSECONDS
  }
}
