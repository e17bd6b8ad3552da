import type { Clock } from '@strata/base'
import { RatePair, type Rate } from './rate-pair.ts'

/** Frames of one producer that wait for their turn, in order. */
export interface ParkedSends {
  /** Publishes the first; false: none is left. */
  publishNext(): boolean
}

/** Timers are no finer: what may pass meanwhile passes together. */
const WAIT_MS_MIN = 2

/**
 * The publish rate of one topic.
 *
 * Invariants
 *   L1  Nothing passes while somebody waits: who came first goes first.
 *   L2  While somebody waits a timer runs, one a topic however many wait; then each producer in turn publishes one message
 *       until the rate is used up again.
 */
export class PublishThrottle {
  readonly #clock: Clock
  readonly #rates: RatePair
  #waiting: ParkedSends[] = []
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#rates = new RatePair(clock)
  }

  /** What waits goes by the new rate at once. */
  setRate(rate: Rate): void {
    if (!this.#rates.set(rate)) return
    this.#cancel?.()
    this.#cancel = undefined
    this.#release()
  }

  /** May a message pass? If so, `spend` follows; if not, it is parked. */
  isOpen(): boolean {
    return this.#waiting.length === 0 && this.#rates.waitMs() === 0
  }

  spend(messages: number, bytes: number): void {
    this.#rates.spend(messages, bytes)
  }

  /** Once for each producer that has something parked and is not waiting yet. */
  park(sends: ParkedSends): void {
    this.#waiting.push(sends)
    this.#waitIfNeeded()
  }

  #waitIfNeeded(): void {
    if (this.#cancel !== undefined || this.#waiting.length === 0) return
    this.#cancel = this.#clock.after(Math.max(WAIT_MS_MIN, this.#rates.waitMs()), () => {
      this.#cancel = undefined
      this.#release()
    })
  }

  #release(): void {
    while (this.#waiting.length > 0 && this.#rates.waitMs() === 0) {
      const next = this.#waiting.shift()
      if (next?.publishNext() === true) this.#waiting.push(next)
    }
    this.#waitIfNeeded()
  }
}
