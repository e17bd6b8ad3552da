import type { Clock } from '@strata/base'

/** More than this many are not remembered: the oldest go first. */
const REMEMBERED_MAX = 10_000

/** Producers that the broker closed: their clients may have SENDs on the way, which are passed over for a while. */
export class ClosedProducers {
  readonly #clock: Clock
  readonly #forMs: () => number
  readonly #untilMs = new Map<number, number>()

  constructor(clock: Clock, forMs: () => number) {
    this.#clock = clock
    this.#forMs = forMs
  }

  add(producerId: number): void {
    this.#untilMs.delete(producerId)
    this.#untilMs.set(producerId, this.#clock.nowMs() + this.#forMs())
    if (this.#untilMs.size <= REMEMBERED_MAX) return
    for (const oldest of this.#untilMs.keys()) {
      this.#untilMs.delete(oldest)
      return
    }
  }

  has(producerId: number): boolean {
    const untilMs = this.#untilMs.get(producerId)
    if (untilMs === undefined) return false
    if (this.#clock.nowMs() < untilMs) return true
    this.#untilMs.delete(producerId)
    return false
  }
}
