import type { Clock } from '@strata/base'
import type { MessageId } from './message-id.ts'

/** Dues are looked at no more often than this. */
const SWEEP_MS_MIN = 10

/**
 * Entries that the broker is asked for again when their time comes: refused ones, and those nobody acknowledged in
 * time. One timer for all of them.
 */
export class RedeliveryTimers {
  readonly #clock: Clock
  readonly #onDue: (ids: MessageId[]) => void
  readonly #dues = new Map<string, { id: MessageId; dueMs: number }>()
  #sweepAtMs = Infinity
  #cancelSweep: () => void = () => undefined

  constructor(clock: Clock, onDue: (ids: MessageId[]) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  get size(): number {
    return this.#dues.size
  }

  /** Messages of one batch are one entry: the first time counts. */
  add(id: MessageId, delayMs: number): void {
    const key = `${id.ledgerId}:${id.entryId}`
    if (this.#dues.has(key)) return
    const dueMs = this.#clock.nowMs() + delayMs
    this.#dues.set(key, { id, dueMs })
    if (dueMs < this.#sweepAtMs) this.#arm(dueMs)
  }

  remove(id: MessageId): void {
    this.#dues.delete(`${id.ledgerId}:${id.entryId}`)
  }

  removeUpTo(id: MessageId): void {
    for (const [key, due] of this.#dues) if (due.id.compareTo(id) <= 0) this.#dues.delete(key)
  }

  clear(): void {
    this.#dues.clear()
    this.#cancelSweep()
    this.#sweepAtMs = Infinity
  }

  #arm(dueMs: number): void {
    this.#cancelSweep()
    this.#sweepAtMs = dueMs
    this.#cancelSweep = this.#clock.after(Math.max(SWEEP_MS_MIN, dueMs - this.#clock.nowMs()), () => this.#sweep())
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs()
    const due: MessageId[] = []
    let nextMs = Infinity
    for (const [key, each] of this.#dues) {
      if (each.dueMs <= nowMs) {
        due.push(each.id)
        this.#dues.delete(key)
      } else nextMs = Math.min(nextMs, each.dueMs)
    }
    this.#sweepAtMs = Infinity
    if (nextMs !== Infinity) this.#arm(nextMs)
    if (due.length > 0) this.#onDue(due)
  }
}
