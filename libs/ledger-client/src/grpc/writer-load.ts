import type { Clock } from '@strata/base'

/** Writers who have so much unanswered wait for the node, and are taken to do so for a while. */
const BUSY_BYTES = 1024 * 1024
const BUSY_MS = 500
/** What is let in while writers wait: so much of what they send, or so many bytes a millisecond where that is more. */
const SHARE = 1 / 32
const LEAST_BYTES_PER_MS = 1024

/** Bytes that recovery and repair may move for what writers sent in a time in which they waited for the node. */
export function shareBeside({ writtenBytes, elapsedMs }: { writtenBytes: number; elapsedMs: number }): number {
  return Math.max(writtenBytes * SHARE, elapsedMs * LEAST_BYTES_PER_MS)
}

/** What writers send to a node over all streams, and whether they wait for it. All that is to leave them room goes by this one. */
export class WriterLoad {
  readonly #clock: Clock
  #unansweredBytes = 0
  #busyUntilMs = -Infinity
  /** Since the start. */
  writtenBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Do they wait for the node, or did a moment ago? */
  get isBusy(): boolean {
    return this.#clock.nowMs() < this.#busyUntilMs
  }

  /** Adds of writers came, of so many bytes together. To be called once a message, not once an add. */
  onWrites(bytes: number): void {
    this.#unansweredBytes += bytes
    this.writtenBytes += bytes
    if (this.#unansweredBytes >= BUSY_BYTES) this.#busyUntilMs = this.#clock.nowMs() + BUSY_MS
  }

  onAnswered(bytes: number): void {
    this.#unansweredBytes -= bytes
  }
}
