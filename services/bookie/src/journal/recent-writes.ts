import { strict as assert } from 'node:assert'
import type { LaneMemory } from './spare-memory.ts'

/** Small batches are copied together into pieces of this size. */
const PIECE_BYTES = 256 * 1024
/** A buffer that a batch fills at least to this part is kept as it is. */
const KEPT_RATIO = 0.5
/** And one with so much in it: a copy costs more than the memory that is kept for nothing. */
const KEPT_BYTES = 2 * 1024 * 1024

/** Bytes of a journal file as they were written: `memory[from]` stands at `start`. */
interface Stretch {
  readonly file: number
  readonly start: number
  end: number
  readonly memory: Buffer
  readonly from: number
  /** Set: memory of a lane, to be written from again. */
  readonly lane: LaneMemory | undefined
}

/**
 * The last bytes that went into the journal, for readers at the tail: journal files are written past the page cache. A
 * buffer that a large batch filled is kept whole, and another one takes its place; small batches are copied together. So
 * it holds no object an entry, and looks bytes up by where they are in their file. Bounded by the memory that it holds.
 *
 * Invariant: what a reader gets is a copy: memory that is given up is written over at once.
 */
export class RecentWrites {
  readonly #bytesMax: number
  /** Oldest first. */
  readonly #order: Stretch[] = []
  /** Of each file, ascending. */
  readonly #files = new Map<number, Stretch[]>()
  /** By directory of the journal, as each has files of its own. */
  readonly #open = new Map<LaneMemory, Stretch>()
  #bytes = 0
  hits = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Memory held. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * `bytes` bytes from `from` on in `memory` were synced at `start` of the file. Returns memory of that size in the place of
   * `memory`: the same, where it was not kept.
   */
  keep(batch: {
    readonly file: number
    readonly start: number
    readonly memory: Buffer
    readonly from: number
    readonly bytes: number
    readonly lane: LaneMemory
  }): Buffer {
    const { file, start, memory, from, bytes, lane } = batch
    if (bytes < Math.min(memory.length * KEPT_RATIO, KEPT_BYTES) || memory.length > this.#bytesMax) {
      this.#copy(batch)
      return memory
    }
    this.#open.delete(lane)
    this.#add({ file, start, end: start + bytes, memory, from, lane })
    let reused: Buffer | undefined
    while (this.#bytes > this.#bytesMax) {
      const given = this.#drop()
      if (given?.lane === lane && given.memory.length === memory.length && reused === undefined) reused = given.memory
      else if (given?.lane !== undefined) given.lane.release(given.memory)
    }
    return reused ?? lane.allocate(memory.length)
  }

  /** How far from `offset` on it holds the file without a gap, within one stretch; 0: not at all. */
  endOf(file: number, offset: number): number {
    return this.#find(file, offset)?.end ?? 0
  }

  /** A copy of the bytes, which `endOf` said are there. */
  copy(file: number, offset: number, end: number): Buffer {
    const found = this.#find(file, offset)
    assert(found !== undefined && end <= found.end)
    this.hits++
    const bytes = Buffer.allocUnsafeSlow(end - offset)
    const at = found.from + offset - found.start
    // One plain copy: V8 copies out of shared memory in small atomic steps.
    return bytes.fill(found.memory.subarray(at, at + bytes.length))
  }

  #find(file: number, offset: number): Stretch | undefined {
    const stretches = this.#files.get(file)
    if (stretches === undefined) return undefined
    let low = 0
    let high = stretches.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((stretches[middle]?.start ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    const found = stretches[low]
    return found !== undefined && found.start <= offset && offset < found.end ? found : undefined
  }

  #copy({ file, start, memory, from, bytes, lane }: Parameters<RecentWrites['keep']>[0]): void {
    if (bytes > this.#bytesMax) return
    const before = this.#open.get(lane)
    const hasRoom =
      before?.file === file && before.end === start && start - before.start + bytes <= before.memory.length
    const open = hasRoom ? before : this.#newPiece({ file, start, bytes, lane })
    const at = open.end - open.start
    open.memory.fill(memory.subarray(from, from + bytes), at, at + bytes)
    open.end += bytes
  }

  #newPiece({ file, start, bytes, lane }: { file: number; start: number; bytes: number; lane: LaneMemory }): Stretch {
    // Of few sizes, so that what is dropped is used again: for every 64 MB that are new, V8 looks through all of its heap.
    const size = PIECE_BYTES * 2 ** Math.ceil(Math.log2(Math.max(bytes / PIECE_BYTES, 1)))
    const memory = this.#pieceOf(Math.min(size, this.#bytesMax))
    const piece = { file, start, end: start, memory, from: 0, lane: undefined }
    this.#add(piece)
    this.#open.set(lane, piece)
    return piece
  }

  #pieceOf(bytes: number): Buffer {
    let reused: Buffer | undefined
    while (this.#bytes + bytes > this.#bytesMax) {
      const given = this.#drop()
      assert(given !== undefined)
      if (given.lane !== undefined) given.lane.release(given.memory)
      else if (given.memory.length === bytes) reused ??= given.memory
    }
    return reused ?? Buffer.allocUnsafeSlow(bytes)
  }

  #add(stretch: Stretch): void {
    this.#order.push(stretch)
    const stretches = this.#files.get(stretch.file)
    if (stretches === undefined) this.#files.set(stretch.file, [stretch])
    else stretches.push(stretch)
    this.#bytes += stretch.memory.length
  }

  #drop(): Stretch | undefined {
    const oldest = this.#order.shift()
    if (oldest === undefined) return undefined
    const stretches = this.#files.get(oldest.file)
    assert(stretches?.[0] === oldest)
    stretches.shift()
    if (stretches.length === 0) this.#files.delete(oldest.file)
    for (const [lane, open] of this.#open) if (open === oldest) this.#open.delete(lane)
    this.#bytes -= oldest.memory.length
    return oldest
  }
}
