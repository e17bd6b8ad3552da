import type { Clock } from '@strata/base'

/** Consumers whose attempts are counted at once; past it the one that came first is forgotten. */
const CONSUMERS_MAX = 10_000

/** How often each consumer of a topic may subscribe: attempts are counted by periods, each of which begins with none. */
export class SubscribeThrottle {
  readonly #clock: Clock
  readonly #attempts = new Map<string, number>()
  #beganMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one more; false: that is too many. */
  tryOnce(consumer: string, rate: { readonly attempts: number; readonly periodMs: number }): boolean {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#beganMs >= rate.periodMs) {
      this.#attempts.clear()
      this.#beganMs = nowMs
    }
    const attempts = this.#attempts.get(consumer) ?? 0
    if (attempts >= rate.attempts) return false
    this.#attempts.set(consumer, attempts + 1)
    if (this.#attempts.size > CONSUMERS_MAX) {
      const [first] = this.#attempts.keys()
      if (first !== undefined) this.#attempts.delete(first)
    }
    return true
  }
}
