import type { Clock } from '@strata/base'
import { shareBeside, type WriterLoad } from './writer-load.ts'

interface Waiting {
  /** Hands it to the node, once. */
  readonly start: () => void
  readonly isWanted: () => boolean
  readonly onDropped: () => void
  readonly bytes: number
}

/** At most so much of it is under way at a time, over all streams. */
const BYTES_MAX = 4 * 1024 * 1024
/** Saved while nothing is recovered: the tails of many logs whose owner died go in at once, a repair soon has used it up. */
const ALLOWANCE_BYTES_MAX = 16 * 1024 * 1024
const PAUSE_MS = 50

/**
 * Work of recovery and repair, which must not starve writers: it gets on a little at a time, in order. What goes to a node's disk and
 * what is read there for others have a lane each; both go by what writers send to the node.
 *
 * Invariants
 *   V1  No more than `BYTES_MAX`, and one piece, is under way at a time.
 *   V2  While writers wait for the node, it takes them a small part of its time; what nobody wants any more costs none of it.
 *   V3  They are never held up altogether: whoever waits for an answer gets some before its time-out.
 */
export class RecoveryLane {
  readonly #clock: Clock
  readonly #writers: WriterLoad
  #waiting: Waiting[] = []
  #head = 0
  #inFlightBytes = 0
  #allowanceBytes = 0
  /** When the allowance was raised, and what writers had sent by then. */
  #raisedAtMs: number
  #raisedAtBytes: number
  #isPausing = false

  constructor(clock: Clock, writers: WriterLoad) {
    this.#clock = clock
    this.#writers = writers
    this.#raisedAtMs = clock.nowMs()
    this.#raisedAtBytes = writers.writtenBytes
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

  #pump(): void {
    const { isBusy } = this.#writers
    this.#raiseAllowance()
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

  #raiseAllowance(): void {
    const nowMs = this.#clock.nowMs()
    const { writtenBytes } = this.#writers
    const since = { writtenBytes: writtenBytes - this.#raisedAtBytes, elapsedMs: nowMs - this.#raisedAtMs }
    this.#allowanceBytes = Math.min(ALLOWANCE_BYTES_MAX, this.#allowanceBytes + shareBeside(since))
    this.#raisedAtBytes = writtenBytes
    this.#raisedAtMs = nowMs
  }

  /** One timer a lane, and only while something waits. */
  #pumpLater(): void {
    if (this.#isPausing) return
    this.#isPausing = true
    this.#clock.after(PAUSE_MS, () => {
      this.#isPausing = false
      this.#pump()
    })
  }
}
