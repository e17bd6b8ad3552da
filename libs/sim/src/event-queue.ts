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

  peek(): SimEvent | undefined {
    return this.#heap[0]
  }

  push(event: SimEvent): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up]
      if (parent === undefined || !isBefore(event, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
  }

  pop(): SimEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let down = at * 2 + 1
      let child = heap[down]
      if (child === undefined) break
      const right = heap[down + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        down++
      }
      if (!isBefore(child, last)) break
      heap[at] = child
      at = down
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}
