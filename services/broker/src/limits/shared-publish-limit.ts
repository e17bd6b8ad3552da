import type { Clock } from '@strata/base'
import { LimitUse, type UsedLimit } from './limit-use.ts'
import { RatePair, type Rate } from './rate-pair.ts'

/** A topic with something parked. */
export interface WaitingPublishes {
  /** It is its turn: it publishes one message. False: it does not wait for this limit any more. */
  onTurn(): boolean
}

/** Timers are no finer: what may pass meanwhile passes together. */
const WAIT_MS_MIN = 2

/**
 * A publish rate that several topics share.
 *
 * Invariants
 *   L1  Nothing passes while a topic waits for this limit, but by its turn.
 *   L2  While topics wait a timer runs, one however many wait; then each in turn publishes one message until the rate is
 *       used up again.
 */
export class SharedPublishLimit {
  readonly #use = new LimitUse()
  readonly #clock: Clock
  readonly #rates: RatePair
  readonly #waiting = new Set<WaitingPublishes>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#rates = new RatePair(clock)
  }

  /** What was spent of the old rate stays spent; what waits goes by the new one at once. */
  adjustRate(rate: Rate): void {
    if (!this.#rates.adjust(rate)) return
    this.#cancel?.()
    this.#cancel = undefined
    this.#release()
  }

  isOpen(): boolean {
    return this.#waiting.size === 0 && this.#rates.waitMs() === 0
  }

  spend(messages: number, bytes: number): void {
    this.#rates.spend(messages, bytes)
    this.#use.onSpent(messages, bytes)
  }

  /** What was made of it since this was asked last. */
  takeUse(): UsedLimit {
    if (this.#waiting.size > 0) this.#use.onHeldBack(this.#rates.usedUp)
    return this.#use.take()
  }

  wait(one: WaitingPublishes): void {
    this.#waiting.add(one)
    this.#use.onHeldBack(this.#rates.usedUp)
    this.#waitIfNeeded()
  }

  /** It waits for nothing any more. */
  leave(one: WaitingPublishes): void {
    this.#waiting.delete(one)
  }

  #waitIfNeeded(): void {
    if (this.#cancel !== undefined || this.#waiting.size === 0) return
    this.#cancel = this.#clock.after(Math.max(WAIT_MS_MIN, this.#rates.waitMs()), () => {
      this.#cancel = undefined
      this.#release()
    })
  }

  #release(): void {
    while (this.#rates.waitMs() === 0) {
      const [next] = this.#waiting
      if (next === undefined) break
      this.#waiting.delete(next)
      if (next.onTurn()) this.#waiting.add(next)
    }
    this.#waitIfNeeded()
  }
}
