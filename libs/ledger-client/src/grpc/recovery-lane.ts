import type { Clock } from '@strata/base'

interface Waiting {
  /** Hands it to the node, once. */
  readonly start: () => void
  readonly isWanted: () => boolean
  readonly onDropped: () => void
  readonly bytes: number
}

/** At most so much of it is in the node's journal at a time, over all streams. */
const BYTES_MAX = 4 * 1024 * 1024
/** Writers who have so much unanswered wait for the node, and are taken to do so for a while. */
const BUSY_BYTES = 1024 * 1024
const BUSY_MS = 500
/** What is let in while writers wait: so much of what they send, or so many bytes a millisecond where that is more. */
const SHARE = 1 / 32
const LEAST_BYTES_PER_MS = 1024
/** Saved while nothing is recovered: the tails of many logs whose owner died go in at once, a repair soon has used it up. */
const ALLOWANCE_BYTES_MAX = 16 * 1024 * 1024
const PAUSE_MS = 50

/**
 * Adds of recovery and repair, which must not starve those of writers: they go to the node a little at a time, in order.
 *
 * Invariants
 *   V1  No more than `BYTES_MAX`, and one add, is in the node's journal at a time.
 *   V2  While writers wait for the node, it takes them a small part of its time; what nobody wants any more costs none of it.
 *   V3  They are never held up altogether: whoever waits for an answer gets some before its time-out.
 */
export class RecoveryLane {
  readonly #clock: Clock
  #waiting: Waiting[] = []
  #head = 0
  #inFlightBytes = 0
  /** Of writers: unanswered, and sent since the allowance was raised. */
  #writersBytes = 0
  #writtenBytes = 0
  #busyUntilMs = -Infinity
  #allowanceBytes = 0
  #raisedAtMs: number
  #isPausing = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#raisedAtMs = clock.nowMs()
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head
  }

  /** Each is started, and then `onAnswered` is called, or it was not wanted any more and is dropped. */
  add(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#pump()
  }

  onAnswered(bytes: number): void {
    this.#inFlightBytes -= bytes
    this.#pump()
  }

  /** Adds of writers came, of so many bytes together. To be called once a message, not once an add. */
  onWrites(bytes: number): void {
    this.#writersBytes += bytes
    this.#writtenBytes += bytes
    if (this.#writersBytes >= BUSY_BYTES) this.#busyUntilMs = this.#clock.nowMs() + BUSY_MS
  }

  onWritesAnswered(bytes: number): void {
    this.#writersBytes -= bytes
  }

  #pump(): void {
    const nowMs = this.#clock.nowMs()
    const isBusy = nowMs < this.#busyUntilMs
    this.#raiseAllowance(nowMs)
    while (this.#head < this.#waiting.length && this.#inFlightBytes < BYTES_MAX) {
      const next = this.#waiting[this.#head]
      if (next === undefined) return
      const isWanted = next.isWanted()
      if (isWanted && isBusy && this.#allowanceBytes <= 0) {
        this.#pumpLater()
        break
      }
      this.#head += 1
      if (isWanted) {
        this.#inFlightBytes += next.bytes
        if (isBusy) this.#allowanceBytes -= next.bytes
        next.start()
      } else next.onDropped()
    }
    if (this.#head === this.#waiting.length || this.#head > 1_024) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }

  #raiseAllowance(nowMs: number): void {
    const share = Math.max(this.#writtenBytes * SHARE, (nowMs - this.#raisedAtMs) * LEAST_BYTES_PER_MS)
    this.#allowanceBytes = Math.min(ALLOWANCE_BYTES_MAX, this.#allowanceBytes + share)
    this.#writtenBytes = 0
    this.#raisedAtMs = nowMs
  }

  /** One timer a node, and only while something waits. */
  #pumpLater(): void {
    if (this.#isPausing) return
    this.#isPausing = true
    this.#clock.after(PAUSE_MS, () => {
      this.#isPausing = false
      this.#pump()
    })
  }
}
