import type { Clock } from '@strata/base'
import { IntervalBuckets, type IntervalQuantiles } from './interval-buckets.ts'

/** Milliseconds, as Apache Pulsar has them. */
export const LATENCY_BOUNDS = [0.5, 1, 5, 10, 20, 50, 100, 200, 1000] as const
/** Bytes, the same. */
export const SIZE_BOUNDS = [128, 512, 1024, 2048, 4096, 16_384, 102_400, 1_048_576] as const

/**
 * Sizes of the entries of one topic, and how long its storage took for them.
 *
 * The clock is read twice a round trip of storage, not twice an entry: one publication is timed at a time, and what was stored
 * since the one timed before counts as long as that took. Each stored entry counts once.
 */
export class StorageMeter {
  readonly latencies = new IntervalBuckets(LATENCY_BOUNDS)
  readonly sizes = new IntervalBuckets(SIZE_BOUNDS)
  readonly #clock: Clock
  readonly #ofBroker: IntervalQuantiles
  #timed: object | undefined
  #timedSinceMs = 0
  #untold = 0

  /** `ofBroker` gets the same durations. */
  constructor(clock: Clock, ofBroker: IntervalQuantiles) {
    this.#clock = clock
    this.#ofBroker = ofBroker
  }

  /** `publication` stands for the append until it is settled. */
  onTaken(publication: object, bytes: number): void {
    this.sizes.add(bytes)
    if (this.#timed !== undefined) return
    this.#timed = publication
    this.#timedSinceMs = this.#clock.nowMs()
  }

  onStored(publication: object): void {
    this.#untold++
    if (publication !== this.#timed) return
    this.#timed = undefined
    const tookMs = this.#clock.nowMs() - this.#timedSinceMs
    this.latencies.add(tookMs, this.#untold)
    this.#ofBroker.add(tookMs, this.#untold)
    this.#untold = 0
  }

  onLost(publication: object): void {
    if (publication === this.#timed) this.#timed = undefined
  }

  roll(): void {
    this.latencies.roll()
    this.sizes.roll()
  }
}
