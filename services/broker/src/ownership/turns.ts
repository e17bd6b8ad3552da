import type { Clock } from '@strata/base'

/** Lets things begin at an even pace, the first at once. What begins late is not made up for by others sooner. */
export class Turns {
  readonly #clock: Clock
  readonly #intervalMs: number
  #freeAtMs = -Infinity

  /** @param perSecond 0: all at once */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock
    this.#intervalMs = perSecond > 0 ? 1000 / perSecond : 0
  }

  /** Resolves when it is the caller's turn; callers have theirs in the order in which they ask. */
  next(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const atMs = Math.max(nowMs, this.#freeAtMs)
    this.#freeAtMs = atMs + this.#intervalMs
    if (atMs === nowMs) return Promise.resolve()
    return new Promise(resolve => this.#clock.after(atMs - nowMs, resolve))
  }
}
