import type { Random } from './random.ts'

/** A disk writes whole ones: unsynced writes reach it in such pieces, in any order, or not at all, and it errs by such steps. */
export const SECTOR_BYTES = 512

interface Write {
  readonly offset: number
  /** The write is the first `length` bytes of it. */
  readonly memory: Uint8Array
  readonly length: number
}

/** Memory for writes is made in multiples of it, so that most of it can be used again. */
const WRITE_BYTES = 4096
const SPARES_MAX = 8

/** Memory that the writes of a volume leave when they are synced, for those to come. */
export class SpareMemory {
  readonly #spares: Uint8Array[] = []

  take(length: number): Uint8Array {
    const spare = this.#spares.pop()
    if (spare !== undefined && spare.length >= length) return spare
    return new Uint8Array(Math.ceil(length / WRITE_BYTES) * WRITE_BYTES)
  }

  give(memory: Uint8Array): void {
    if (this.#spares.length < SPARES_MAX) this.#spares.push(memory)
  }
}

/** Bytes that grow. */
class Extent {
  memory: Uint8Array
  size = 0

  constructor(memory: Uint8Array = NOTHING) {
    this.memory = memory
    this.size = memory.length
  }

  get bytes(): Uint8Array {
    return this.memory.subarray(0, this.size)
  }

  put(offset: number, data: Uint8Array): void {
    const end = offset + data.length
    if (end > this.size) this.resize(end)
    this.memory.set(data, offset)
  }

  resize(size: number): void {
    if (size > this.memory.length) {
      const grown = new Uint8Array(Math.max(size, this.memory.length * 2, 256))
      grown.set(this.size === this.memory.length ? this.memory : this.bytes)
      this.memory = grown
    } else if (size < this.size) this.memory.fill(0, size, this.size)
    this.size = size
  }
}

const NOTHING = new Uint8Array(0)

/** A file's content, apart from its names: what readers see, and what would survive a power failure. */
export class SimInode {
  readonly #seen: Extent
  readonly #durable: Extent
  #unsynced: Write[] = []
  readonly #spare: SpareMemory

  constructor(spare: SpareMemory, content?: Uint8Array) {
    this.#spare = spare
    this.#seen = new Extent(content === undefined ? undefined : content.slice())
    this.#durable = new Extent(content === undefined ? undefined : content.slice())
  }

  get sizeBytes(): number {
    return this.#seen.size
  }

  /** How many writes a sync that begins now covers. */
  get unsyncedCount(): number {
    return this.#unsynced.length
  }

  read(into: Uint8Array, offset: number): number {
    if (offset >= this.#seen.size) return 0
    const end = Math.min(offset + into.length, this.#seen.size)
    into.set(this.#seen.memory.subarray(offset, end))
    return end - offset
  }

  write(from: Uint8Array, offset: number): void {
    const { length } = from
    const memory = this.#spare.take(length)
    memory.set(from)
    this.#seen.put(offset, from)
    this.#unsynced.push({ offset, memory, length })
  }

  /** The first `count` unsynced writes are on the disk. */
  sync(count: number): void {
    for (const { offset, memory, length } of this.#unsynced.splice(0, count)) {
      this.#durable.put(offset, memory.subarray(0, length))
      this.#spare.give(memory)
    }
  }

  /** A sync failed: readers still see the writes, but they may never reach the disk, and no later sync covers them. */
  failSync(random: Random): void {
    this.#tear(random)
  }

  truncate(size: number): void {
    this.sync(this.#unsynced.length)
    this.#seen.resize(size)
    this.#durable.resize(size)
  }

  /** What is there after a power failure. */
  afterCrash(random: Random): SimInode {
    this.#tear(random)
    return new SimInode(this.#spare, this.#durable.bytes)
  }

  copy(): SimInode {
    return new SimInode(this.#spare, this.#durable.bytes)
  }

  /** Flips one bit where the medium holds it; false: the file is empty. */
  flipBit(random: Random): boolean {
    if (this.#seen.size === 0) return false
    const at = random.int(this.#seen.size)
    const mask = 1 << random.int(8)
    for (const extent of [this.#seen, this.#durable]) {
      if (at < extent.size) extent.memory[at] = (extent.memory[at] ?? 0) ^ mask
    }
    return true
  }

  #tear(random: Random): void {
    for (const { offset, memory, length } of this.#unsynced) {
      const chance = random.pick([0, 0.3, 0.7, 1])
      for (let at = 0; at < length;) {
        const end = Math.min(length, (Math.floor((offset + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - offset)
        if (random.chance(chance)) this.#durable.put(offset + at, memory.subarray(at, end))
        at = end
      }
      this.#spare.give(memory)
    }
    this.#unsynced = []
  }
}
