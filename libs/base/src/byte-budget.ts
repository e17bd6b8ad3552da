import { strict as assert } from 'node:assert'

/**
 * One process's bytes in named pools. A pool never blocks by itself: whoever fills it asks `isOver` and pauses its
 * source (a socket, a reader), and is told by `onRoom` when it may go on. So a bound pushes back and never drops.
 *
 * Invariant: the bytes held by a pool are the sum of what was taken and not yet given back.
 */
export class BytePool {
  readonly name: string
  readonly bytesMax: number
  #bytesHeld = 0
  #waiting: (() => void)[] = []

  constructor(name: string, bytesMax: number) {
    assert(bytesMax > 0, `${name}: a pool needs room`)
    this.name = name
    this.bytesMax = bytesMax
  }

  get bytesHeld(): number {
    return this.#bytesHeld
  }

  get isOver(): boolean {
    return this.#bytesHeld >= this.bytesMax
  }

  /** Takes the bytes even past the limit (they are already in memory); the caller then pauses if `isOver`. */
  take(bytes: number): void {
    this.#bytesHeld += bytes
  }

  give(bytes: number): void {
    this.#bytesHeld -= bytes
    assert(this.#bytesHeld >= 0, `${this.name}: gave back more than was taken`)
    if (this.#waiting.length > 0 && this.#bytesHeld < this.bytesMax * 0.75) this.#wake()
  }

  /** Calls `run` once, when a quarter of the pool is free. */
  onRoom(run: () => void): void {
    this.#waiting.push(run)
    if (this.#bytesHeld < this.bytesMax * 0.75) this.#wake()
  }

  #wake(): void {
    const woken = this.#waiting
    this.#waiting = []
    for (const run of woken) queueMicrotask(run)
  }
}
