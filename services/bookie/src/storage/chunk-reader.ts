import { BLOCK_BYTES, toBlocks } from '../disk/block-memory.ts'
import type { FileTable, StoredFile } from './file-table.ts'
import { MOVE_PIECE_BYTES, type ChunkMemory } from './move-memory.ts'

/** A stretch of a file, read from its beginning on in pieces, past the page cache if it is large. */
export class ChunkReader {
  readonly #files: FileTable
  readonly #number: number
  readonly #memory: ChunkMemory
  /** Where the memory begins in the file, and in the memory the stretch. */
  readonly #base: number
  readonly #skipped: number
  /** Of the memory. */
  readonly #end: number
  #read = 0
  #hasEnded = false
  /** What is read of it so far. */
  bytes: Buffer

  constructor(
    files: FileTable,
    source: StoredFile,
    { offset, bytesMax, memory }: { offset: number; bytesMax: number; memory: ChunkMemory }
  ) {
    this.#files = files
    this.#number = source.number
    this.#memory = memory
    this.#skipped = memory.isDirect ? offset % BLOCK_BYTES : 0
    this.#base = offset - this.#skipped
    this.#end = this.#skipped + Math.min(bytesMax, source.end - offset)
    this.bytes = memory.bytes.subarray(0, 0)
  }

  /** Reads another piece of it. False: that was all, or the file ends. @throws a system error */
  async more(): Promise<boolean> {
    if (this.#hasEnded || this.#read >= this.#end) return false
    const { bytes, isDirect } = this.#memory
    const end = Math.min(isDirect ? toBlocks(this.#end) : this.#end, this.#read + MOVE_PIECE_BYTES)
    const into = bytes.subarray(this.#read, end)
    const at = this.#base + this.#read
    const read = await (isDirect
      ? this.#files.readBlocks(this.#number, into, at)
      : this.#files.read(this.#number, into, at))
    this.#read += read
    this.#hasEnded = read < into.length
    this.bytes = bytes.subarray(this.#skipped, Math.max(this.#skipped, Math.min(this.#read, this.#end)))
    return read > 0
  }
}
