/** Calls `run` when everything that waits for the thread now had it: in the next turn of the event loop, at the earliest. */
export type Later = (run: () => void) => void

/**
 * When a request over HTTP may begin: one in each turn of the event loop, so that whoever publishes or consumes waits for one
 * of them at a time, however many come together; and those who ask have their turns one after the other, however many
 * each has. What began goes on beside others: one that waits for something holds nobody up.
 *
 * Invariants
 *   Q1  No two begin in the same turn.
 *   Q2  Each begins after at most as many others as there are askers who wait, times how many of its asker's were before it.
 */
export class FairTurns {
  readonly #later: Later
  /** Who waits, in the order of their next turns. */
  readonly #waiting = new Map<string, (() => void)[]>()
  #isTaken = false

  constructor(later: Later = setImmediate) {
    this.#later = later
  }

  /** @param asker who shares turns with nobody else, such as a tenant */
  next(asker: string): Promise<void> {
    if (!this.#isTaken) {
      this.#take()
      return Promise.resolve()
    }
    return new Promise(resolve => {
      const own = this.#waiting.get(asker)
      if (own === undefined) this.#waiting.set(asker, [resolve])
      else own.push(resolve)
    })
  }

  #take(): void {
    this.#isTaken = true
    this.#later(() => {
      this.#isTaken = false
      this.#call()
    })
  }

  #call(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    const [asker, own] = first
    this.#take()
    this.#waiting.delete(asker)
    const resolve = own.shift()
    if (own.length > 0) this.#waiting.set(asker, own)
    resolve?.()
  }
}
