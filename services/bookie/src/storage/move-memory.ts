import { BLOCK_BYTES, ownBlockMemory, toBlocks } from '../disk/block-memory.ts'

/** About a millisecond of a disk: so long a write of the journal waits behind a read or write of a move. */
export const MOVE_PIECE_BYTES = 1024 * 1024
/** What is smaller costs little anew, and is read through the page cache. */
const DIRECT_BYTES_MIN = 64 * 1024

export interface ChunkMemory {
  /** As many as were asked for, of whole blocks and two more if it `isDirect`. */
  readonly bytes: Buffer
  /** Reads past the page cache may go there. */
  readonly isDirect: boolean
}

/** Memory of moves, which are made one at a time: used again while there are any, then given back. */
export class MoveMemory {
  #chunk: Buffer | undefined
  #piece: Buffer | undefined

  /** For records of a file. Not zeroed. */
  chunk(bytes: number): ChunkMemory {
    if (bytes < DIRECT_BYTES_MIN) return { bytes: Buffer.allocUnsafeSlow(bytes), isDirect: false }
    const needed = toBlocks(bytes) + 2 * BLOCK_BYTES
    if (this.#chunk === undefined || this.#chunk.length < needed) this.#chunk = ownBlockMemory(needed)
    return { bytes: this.#chunk.subarray(0, needed), isDirect: true }
  }

  /** For one write. Not zeroed. */
  get piece(): Buffer {
    return (this.#piece ??= ownBlockMemory(MOVE_PIECE_BYTES))
  }

  release(): void {
    this.#chunk = undefined
    this.#piece = undefined
  }
}
