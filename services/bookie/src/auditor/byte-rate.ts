import type { Clock } from '@strata/base'

/** What may be taken at once after a pause, in milliseconds' worth. */
const BURST_MS = 100

/** What one step may take at once, in milliseconds' worth, and at least. */
const STEP_MS = 250
const STEP_BYTES_MIN = 1024 * 1024

/** Lets so many bytes a second pass, over all who take. */
export class ByteRate {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  /** When all that was let through so far is paid for. */
  #paidAtMs: number

  /** `bytesPerSecond` 0: as many as come. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#paidAtMs = clock.nowMs()
  }

  /** As much as is to be done at once, so that others' shares come as well. */
  get stepBytes(): number {
    return this.#bytesPerMs === 0 ? Infinity : Math.max(STEP_BYTES_MIN, Math.ceil(this.#bytesPerMs * STEP_MS))
  }

  /** Resolves when what was taken before is paid for: the first one never waits, and a large one makes the next one wait. */
  async take(bytes: number): Promise<void> {
    if (this.#bytesPerMs === 0) return
    const nowMs = this.#clock.nowMs()
    const startMs = Math.max(this.#paidAtMs, nowMs - BURST_MS)
    this.#paidAtMs = startMs + bytes / this.#bytesPerMs
    const waitMs = startMs - nowMs
    if (waitMs > 0) await new Promise<void>(resolve => this.#clock.after(waitMs, resolve))
  }
}
