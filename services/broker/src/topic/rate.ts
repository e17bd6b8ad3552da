/** A counter that only grows, and how fast it grew between the last two samples. */
export class Meter {
  total = 0
  #sampledTotal = 0
  #perSecond = 0

  /** Units per second over the last sampled interval. */
  get perSecond(): number {
    return this.#perSecond
  }

  sample(elapsedSeconds: number): void {
    if (elapsedSeconds <= 0) return
    this.#perSecond = (this.total - this.#sampledTotal) / elapsedSeconds
    this.#sampledTotal = this.total
  }
}

/** Messages and bytes of one direction of one thing. */
export class Traffic {
  readonly messages = new Meter()
  readonly bytes = new Meter()

  sample(elapsedSeconds: number): void {
    this.messages.sample(elapsedSeconds)
    this.bytes.sample(elapsedSeconds)
  }

  get averageBytes(): number {
    return this.messages.perSecond > 0 ? this.bytes.perSecond / this.messages.perSecond : 0
  }
}
