/** An entry of this size is a batch whose client let it wait for company itself; smaller ones are not kept waiting. */
const LARGE_BYTES = 8 * 1024
/** So many groups go at once behind one that waited in vain, doubled each time. */
const SKIPS_MAX = 64

/**
 * Whether a lone entry waits a moment for another one, so that both share a sync, its wake-ups and the writes of their receipts:
 * what a journal does by itself when it is busy, for flows that leave it idle between two batches. BookKeeper knows it as
 * journalMaxGroupWaitMSec. Whoever publishes one by one is not slowed down: where nobody came, the next groups do not wait.
 */
export class GroupWait {
  readonly waitMs: number
  #skips = 0
  #nextSkips = 1

  constructor(waitMs: number) {
    this.waitMs = waitMs
  }

  /** To be asked once for a group that could be written now. */
  isWanted({ records, bytes }: { records: number; bytes: number }): boolean {
    if (this.waitMs === 0 || records !== 1 || bytes < LARGE_BYTES) return false
    if (this.#skips === 0) return true
    this.#skips--
    return false
  }

  /** How a wait ended. */
  note({ cameAnother }: { cameAnother: boolean }): void {
    if (cameAnother) {
      this.#nextSkips = 1
      return
    }
    this.#skips = this.#nextSkips
    this.#nextSkips = Math.min(this.#nextSkips * 2, SKIPS_MAX)
  }
}
