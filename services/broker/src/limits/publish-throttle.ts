import type { Clock } from '@strata/base'
import { RatePair, type Rate } from './rate-pair.ts'
import type { SharedPublishLimit, WaitingPublishes } from './shared-publish-limit.ts'

/** Frames of one producer that wait for their turn, in order. */
export interface ParkedSends {
  /** Publishes the first; false: none is left. */
  publishNext(): boolean
}

/** Timers are no finer: what may pass meanwhile passes together. */
const WAIT_MS_MIN = 2

/**
 * The publish rate of one topic, and one that it shares with others.
 *
 * Invariants
 *   L1  Nothing passes while somebody waits: who came first goes first.
 *   L2  While somebody waits either a timer runs, one a topic however many wait, or the shared limit has the topic in its
 *       queue; then each producer in turn publishes one message until a rate is used up again.
 */
export class PublishThrottle implements WaitingPublishes {
  readonly #clock: Clock
  readonly #rates: RatePair
  #shared: SharedPublishLimit | undefined
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

  /** What waits goes by it at once; undefined: it shares none. */
  setShared(shared: SharedPublishLimit | undefined): void {
    if (shared === this.#shared) return
    this.#shared?.leave(this)
    this.#shared = shared
    this.#release()
  }

  /** May a message pass? If so, `spend` follows; if not, it is parked. */
  isOpen(): boolean {
    return this.#waiting.length === 0 && this.#rates.waitMs() === 0 && this.#shared?.isOpen() !== false
  }

  spend(messages: number, bytes: number): void {
    this.#rates.spend(messages, bytes)
    this.#shared?.spend(messages, bytes)
  }

  /** Once for each producer that has something parked and is not waiting yet. */
  park(sends: ParkedSends): void {
    this.#waiting.push(sends)
    this.#waitIfNeeded()
  }

  onTurn(): boolean {
    if (this.#rates.waitMs() === 0) this.#publishOne()
    if (this.#waiting.length > 0 && this.#rates.waitMs() === 0) return true
    this.#waitIfNeeded()
    return false
  }

  #waitIfNeeded(): void {
    if (this.#cancel !== undefined || this.#waiting.length === 0) return
    const waitMs = this.#rates.waitMs()
    if (waitMs === 0 && this.#shared?.isOpen() === false) {
      this.#shared.wait(this)
      return
    }
    this.#cancel = this.#clock.after(Math.max(WAIT_MS_MIN, waitMs), () => {
      this.#cancel = undefined
      this.#release()
    })
  }

  #release(): void {
    while (this.#waiting.length > 0 && this.#rates.waitMs() === 0 && this.#shared?.isOpen() !== false)
      this.#publishOne()
    this.#waitIfNeeded()
  }

  #publishOne(): void {
    const next = this.#waiting.shift()
    if (next?.publishNext() === true) this.#waiting.push(next)
  }
}
