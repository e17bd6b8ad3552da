import type { Clock } from '@strata/base'
import { LimitUse, type UsedLimit } from './limit-use.ts'
import { RatePair, type Rate } from './rate-pair.ts'

/** A subscription that has something to send and may not. */
export interface WaitingDispatch {
  /** It is its turn: it sends until the limit is used up, and waits again. */
  onTurn(): void
}

/** Timers are no finer: what may pass meanwhile passes together. */
const WAIT_MS_MIN = 2
/** So many are woken at once although none before them has sent anything yet: they may have to read first. */
const TURNS_AT_ONCE = 16

/**
 * One dispatch rate: of a subscription, or shared by all of a topic or of the broker.
 *
 * Invariants
 *   L1  Nobody passes those who wait, but whose turn it is; a turn lasts until something was sent, so whoever had to read
 *       first has not waited for nothing.
 *   L2  While somebody waits a timer runs, one a limit however many wait, and then they are woken one by one for as long as
 *       there is something left: no herd.
 */
export class DispatchLimit {
  readonly #clock: Clock
  readonly #rates: RatePair
  readonly #use = new LimitUse()
  readonly #waiting = new Set<WaitingDispatch>()
  readonly #turns = new Set<WaitingDispatch>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#rates = new RatePair(clock)
  }

  get isOn(): boolean {
    return this.#rates.isOn
  }

  /** What waits goes by the new rate at once. */
  setRate(rate: Rate): void {
    if (this.#rates.set(rate)) this.#onRate()
  }

  /** The same, and what was spent of the old rate stays spent. */
  adjustRate(rate: Rate): void {
    if (this.#rates.adjust(rate)) this.#onRate()
  }

  #onRate(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#wake()
  }

  isOpenTo(one: WaitingDispatch): boolean {
    if (this.#waiting.size > 0 && !this.#turns.has(one)) return false
    return this.#rates.waitMs() === 0
  }

  /** Which of its two rates is used up; `undefined`: somebody else is first. */
  get usedUp(): 'messages' | 'bytes' | undefined {
    return this.#rates.usedUp
  }

  spend(one: WaitingDispatch, messages: number, bytes: number): void {
    this.#rates.spend(messages, bytes)
    this.#use.onSpent(messages, bytes)
    if (this.#turns.size > 0) this.#turns.delete(one)
  }

  /** What was made of it since this was asked last. */
  takeUse(): UsedLimit {
    if (this.#waiting.size > 0) this.#use.onHeldBack(this.usedUp)
    return this.#use.take()
  }

  wait(one: WaitingDispatch): void {
    this.#turns.delete(one)
    this.#waiting.add(one)
    this.#use.onHeldBack(this.usedUp)
    this.#waitIfNeeded()
  }

  /** It waits for nothing any more. */
  leave(one: WaitingDispatch): void {
    this.#turns.delete(one)
    this.#waiting.delete(one)
    if (this.#waiting.size > 0) return
    this.#cancel?.()
    this.#cancel = undefined
  }

  #waitIfNeeded(): void {
    if (this.#cancel !== undefined || this.#waiting.size === 0) return
    this.#cancel = this.#clock.after(Math.max(WAIT_MS_MIN, this.#rates.waitMs()), () => {
      this.#cancel = undefined
      this.#wake()
    })
  }

  #wake(): void {
    for (let left = Math.min(TURNS_AT_ONCE, this.#waiting.size); left > 0 && this.#rates.waitMs() === 0; left--) {
      const [next] = this.#waiting
      if (next === undefined) break
      this.#waiting.delete(next)
      this.#turns.add(next)
      next.onTurn()
    }
    this.#waitIfNeeded()
  }
}
