import type { SimProcess } from './sim-process.ts'

export interface SimEvent {
  readonly atMs: number
  readonly sequence: number
  readonly owner: SimProcess | undefined
  /** undefined: cancelled. */
  run: (() => void) | undefined
}

/** A binary heap: the earliest first, those of one moment in the order of their making. */
export class EventQueue {
  readonly #heap: SimEvent[] = []
  /** `atMs` of each: numbers side by side are compared without a look at the events, of which there are hundreds. */
  readonly #times: number[] = []

  peek(): SimEvent | undefined {
    return this.#heap[0]
  }

  push(event: SimEvent): void {
    const { atMs } = event
    const heap = this.#heap
    const times = this.#times
    let at = heap.push(event) - 1
    times.push(atMs)
    while (at > 0) {
      const up = (at - 1) >> 1
      const upMs = times[up] as number // as many as events
      const parent = heap[up] as SimEvent
      if (upMs < atMs || (upMs === atMs && parent.sequence < event.sequence)) break
      heap[at] = parent
      times[at] = upMs
      at = up
    }
    heap[at] = event
    times[at] = atMs
  }

  pop(): SimEvent | undefined {
    const heap = this.#heap
    const times = this.#times
    const first = heap[0]
    const last = heap.pop()
    const lastMs = times.pop()
    const { length } = heap
    if (last === undefined || lastMs === undefined || length === 0) return first
    let at = 0
    for (let down = 1; down < length; down = 2 * at + 1) {
      if (down + 1 < length && this.#isBefore(down + 1, down)) down++
      const childMs = times[down] as number
      const child = heap[down] as SimEvent
      if (lastMs < childMs || (lastMs === childMs && last.sequence < child.sequence)) break
      heap[at] = child
      times[at] = childMs
      at = down
    }
    heap[at] = last
    times[at] = lastMs
    return first
  }

  /** By their places. */
  #isBefore(a: number, b: number): boolean {
    const aMs = this.#times[a] as number
    const bMs = this.#times[b] as number
    return aMs < bMs || (aMs === bMs && (this.#heap[a] as SimEvent).sequence < (this.#heap[b] as SimEvent).sequence)
  }
}
