import type { AddRequest, AddSink, BookieNode } from '../contract.ts'

interface Waiting {
  readonly request: AddRequest
  readonly sink: AddSink
  readonly isWanted: () => boolean
  readonly onDropped: () => void
  readonly bytes: number
}

/** At most so much of it is in the node's journal at a time, over all streams. */
const BYTES_MAX = 4 * 1024 * 1024

/** Adds of recovery and repair, which must not starve those of writers: they go to the node a little at a time, in order. */
export class RecoveryLane {
  readonly #node: BookieNode
  #waiting: Waiting[] = []
  #head = 0
  #inFlightBytes = 0

  constructor(node: BookieNode) {
    this.#node = node
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head
  }

  /** Each is answered to the sink, and then `onAnswered` is called, or it was not wanted any more and is dropped. */
  add(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#pump()
  }

  onAnswered(bytes: number): void {
    this.#inFlightBytes -= bytes
    this.#pump()
  }

  #pump(): void {
    while (this.#head < this.#waiting.length && this.#inFlightBytes < BYTES_MAX) {
      const next = this.#waiting[this.#head++]
      if (next === undefined) return
      if (next.isWanted()) {
        this.#inFlightBytes += next.bytes
        this.#node.add(next.request, next.sink)
      } else next.onDropped()
    }
    if (this.#head === this.#waiting.length || this.#head > 1_024) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }
}
