import type { Clock } from '@strata/base'
import { TokenBucket } from './token-bucket.ts'

/** 0: no limit. */
export interface PublishRate {
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
}

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
  #rate: PublishRate = { messagesPerSecond: 0, bytesPerSecond: 0 }
  #messages: TokenBucket | undefined
  #bytes: TokenBucket | undefined
  #waiting: ParkedSends[] = []
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What waits goes by the new rate at once. */
  setRate(rate: PublishRate): void {
    const { messagesPerSecond, bytesPerSecond } = rate
    if (messagesPerSecond === this.#rate.messagesPerSecond && bytesPerSecond === this.#rate.bytesPerSecond) return
    this.#rate = rate
    const nowMs = this.#clock.nowMs()
    this.#messages = messagesPerSecond > 0 ? new TokenBucket(messagesPerSecond, nowMs) : undefined
    this.#bytes = bytesPerSecond > 0 ? new TokenBucket(bytesPerSecond, nowMs) : undefined
    this.#cancel?.()
    this.#cancel = undefined
    this.#release()
  }

  /** May a message pass? If so, `spend` follows; if not, it is parked. */
  isOpen(): boolean {
    return this.#waiting.length === 0 && this.#waitMs() === 0
  }

  spend(messages: number, bytes: number): void {
    this.#messages?.spend(messages)
    this.#bytes?.spend(bytes)
  }

  /** Once for each producer that has something parked and is not waiting yet. */
  park(sends: ParkedSends): void {
    this.#waiting.push(sends)
    this.#waitIfNeeded()
  }

  #waitMs(): number {
    if (this.#messages === undefined && this.#bytes === undefined) return 0
    const nowMs = this.#clock.nowMs()
    return Math.max(this.#messages?.waitMs(nowMs) ?? 0, this.#bytes?.waitMs(nowMs) ?? 0)
  }

  #waitIfNeeded(): void {
    if (this.#cancel !== undefined || this.#waiting.length === 0) return
    this.#cancel = this.#clock.after(Math.max(WAIT_MS_MIN, this.#waitMs()), () => {
      this.#cancel = undefined
      this.#release()
    })
  }

  #release(): void {
    while (this.#waiting.length > 0 && this.#waitMs() === 0) {
      const next = this.#waiting.shift()
      if (next?.publishNext() === true) this.#waiting.push(next)
    }
    this.#waitIfNeeded()
  }
}
