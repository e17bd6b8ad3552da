/** How much a bucket that rested may give at once, in time: a rate is held over any few seconds, not only on average. */
const BURST_MS = 100

/**
 * A rate. What is asked for is given as long as there is anything, and may leave a debt: a message larger than the burst
 * passes, and those behind it wait the longer. Over T seconds it gives at most `perSecond` × (T + 0.1) and one message.
 */
export class TokenBucket {
  #perMs: number
  #burst: number
  #tokens: number
  #atMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#burst = burstOf(perSecond)
    this.#tokens = this.#burst
    this.#atMs = nowMs
  }

  /** Goes on at another rate: what was spent of the old one stays spent. */
  change(perSecond: number, nowMs: number): void {
    this.waitMs(nowMs)
    this.#perMs = perSecond / 1000
    this.#burst = burstOf(perSecond)
    this.#tokens = Math.min(this.#tokens, this.#burst)
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

function burstOf(perSecond: number): number {
  return Math.max(1, (perSecond / 1000) * BURST_MS)
}
