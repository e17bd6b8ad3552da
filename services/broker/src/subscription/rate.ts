const WINDOW_MS_MIN = 1000

/** A rate out of a counter that only grows, over the window between the samples somebody takes. No timer. */
export class Rate {
  perSecond = 0
  #count = 0
  #atMs = -1

  /** Windows shorter than a second keep the last figure: two people asking at once must not see noise. */
  sample(count: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#atMs
    if (this.#atMs >= 0) {
      if (elapsedMs < WINDOW_MS_MIN) return
      this.perSecond = ((count - this.#count) * 1000) / elapsedMs
    }
    this.#count = count
    this.#atMs = nowMs
  }
}
