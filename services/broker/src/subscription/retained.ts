import type { BytePool } from '@strata/base'
import type { Entry } from '@strata/managed-ledger'

/**
 * Entries kept in memory between being read and being delivered, charged to the process's dispatch pool. Keeping one is
 * only a saved read, so it is refused when the pool is half full: readers that have takers always find the other half.
 */
export class RetainedEntries {
  readonly #pool: BytePool
  readonly #bytesMax: () => number
  #bytes = 0

  constructor(pool: BytePool, bytesMax: () => number) {
    this.#pool = pool
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The entry if it may be kept (until `release`), else undefined: it will be read again. */
  keep(entry: Entry): Entry | undefined {
    const bytes = entry.payload.length
    if (this.#bytes + bytes > this.#bytesMax() || this.#pool.bytesHeld + bytes > this.#pool.bytesMax / 2)
      return undefined
    this.#bytes += bytes
    this.#pool.take(bytes)
    return entry
  }

  release(entry: Entry | undefined): void {
    if (entry === undefined) return
    this.#bytes -= entry.payload.length
    this.#pool.give(entry.payload.length)
  }

  releaseAll(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    if (bytes > 0) this.#pool.give(bytes)
  }
}
