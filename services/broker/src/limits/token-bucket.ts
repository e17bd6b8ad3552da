/** How much a bucket that rested may give at once, in time: a rate is held over any few seconds, not only on average. */
const BURST_MS = 100

/**
 * A rate. What is asked for is given as long as there is anything, and may leave a debt: a message larger than the burst
 * passes, and those behind it wait the longer. Over T seconds it gives at most `perSecond` × (T + 0.1) and one message.
 */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #atMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#burst = Math.max(1, this.#perMs * BURST_MS)
    this.#tokens = this.#burst
    this.#atMs = nowMs
  }

  spend(amount: number): void {
    this.#tokens -= amount
  }

  /** Milliseconds until something may pass; 0: now. */
  waitMs(nowMs: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs)
    this.#atMs = nowMs
    return this.#tokens > 0 ? 0 : -this.#tokens / this.#perMs
  }
}
