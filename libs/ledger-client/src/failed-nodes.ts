import type { BookieId, Clock } from '@strata/base'

/** A node that failed an add is avoided for so long: longer than the registry takes to notice that it is gone. */
const AVOIDED_MS = 30_000

/** Which nodes failed of late, over all ledgers of a client. */
export class FailedNodes {
  readonly #clock: Clock
  readonly #failedAtMs = new Map<BookieId, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(bookie: BookieId): void {
    this.#failedAtMs.set(bookie, this.#clock.nowMs())
  }

  recent(): BookieId[] {
    const sinceMs = this.#clock.nowMs() - AVOIDED_MS
    for (const [bookie, atMs] of this.#failedAtMs) if (atMs < sinceMs) this.#failedAtMs.delete(bookie)
    return [...this.#failedAtMs.keys()]
  }
}
