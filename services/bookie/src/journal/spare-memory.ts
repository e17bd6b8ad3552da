import type { DiskLane } from '../disk/disk.ts'

/** Where memory comes from that a lane writes from, and goes back to. */
export type LaneMemory = Pick<DiskLane, 'allocate' | 'release'>

const SPARES_MAX = 2

/**
 * Keeps a little of the memory that is given back for whoever asks for as much next: new memory costs a page fault every 4 KB, and what is
 * given back takes room until V8 collects, which such memory does not make it do. What its bytes are means nothing.
 */
export class SpareMemory implements LaneMemory {
  readonly #lane: LaneMemory
  #spares: Buffer[] = []

  constructor(lane: LaneMemory) {
    this.#lane = lane
  }

  allocate(bytes: number): Buffer {
    const at = this.#spares.findIndex(spare => spare.length === bytes)
    const [found] = at < 0 ? [] : this.#spares.splice(at, 1)
    return found ?? this.#lane.allocate(bytes)
  }

  /** The oldest of too many spares goes: sizes change together. */
  release(memory: Buffer): void {
    this.#spares.push(memory)
    const oldest = this.#spares.length > SPARES_MAX ? this.#spares.shift() : undefined
    if (oldest !== undefined) this.#lane.release(oldest)
  }

  /** There is no load that would need them soon. */
  giveUp(): void {
    for (const memory of this.#spares.splice(0)) this.#lane.release(memory)
  }
}
