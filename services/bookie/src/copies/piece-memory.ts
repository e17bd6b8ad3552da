import { BLOCK_BYTES, ownBlockMemory } from '../disk/block-memory.ts'

/** A piece as other nodes ask for it, with the headers of its records, and what of its blocks is not of it. What is larger is not kept. */
const PIECE_BYTES_MAX = 2.5 * 1024 * 1024
/** What is smaller costs little anew, and is read through the page cache: others read there what is beside it. */
const PIECE_BYTES_MIN = 64 * 1024
/** As many as are read for others at a time. */
const KEPT_MAX = 4

export interface LentMemory {
  readonly bytes: Buffer
  /** All there is behind it, of whole blocks: reads past the page cache may go there. undefined: they may not. */
  readonly blocks?: Buffer
  /** To be called when nobody looks at it any more; called again it does nothing. Without a call it is collected in the end. */
  readonly release: () => void
}

/** Memory for pieces on their way to other nodes, used again and again: V8 collects everything for each few fresh ones. */
export class PieceMemory {
  readonly #kept: Buffer[] = []

  /** Not zeroed. */
  lend(bytes: number): LentMemory {
    const isPiece = bytes >= PIECE_BYTES_MIN && bytes + 3 * BLOCK_BYTES <= PIECE_BYTES_MAX
    if (!isPiece) return { bytes: Buffer.allocUnsafeSlow(bytes), release: () => undefined }
    const blocks = this.#kept.pop() ?? ownBlockMemory(PIECE_BYTES_MAX)
    let isLent = true
    const release = (): void => {
      if (isLent && this.#kept.length < KEPT_MAX) this.#kept.push(blocks)
      isLent = false
    }
    return { bytes: blocks.subarray(0, bytes), blocks, release }
  }
}
