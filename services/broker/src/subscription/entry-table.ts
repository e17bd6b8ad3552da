import { strict as assert } from 'node:assert'

/** Fields of a cell, as offsets from what `find` and `claim` return. */
export const OWNER = 0
export const MESSAGES = 1
export const HASH = 2
export const REDELIVERIES = 3

/** Value of OWNER: read from the log, with no consumer. Above zero it is the consumer's serial, 0 is 'not in the table'. */
export const PENDING = -1

const CELL_FIELDS = 4
const CHUNK_ENTRIES = 64
const SPARE_CHUNKS_MAX = 16

interface Chunk {
  readonly cells: Int32Array
  used: number
}

/**
 * The entries of a subscription that were read from the log and are not acknowledged: who holds each, how many messages
 * of it are outstanding, its hash, how often it was sent back. One cell an entry, 64 cells a chunk, so that the common
 * case (entries close to each other) costs no allocation and no hashing.
 *
 * `find` and `claim` set `cells`; it is valid until the next call.
 */
export class EntryTable {
  cells: Int32Array = new Int32Array(0)
  #ledgers = new Map<number, Map<number, Chunk>>()
  #spare: Chunk[] = []
  #size = 0
  #lastLedger = -1
  #lastKey = -1
  #lastChunk: Chunk | undefined

  /** Entries in the table. */
  get size(): number {
    return this.#size
  }

  /** Offset of the entry's cell in `cells`, or -1. */
  find(ledgerId: number, entryId: number): number {
    const chunk = this.#chunk(ledgerId, entryId)
    if (chunk === undefined) return -1
    this.cells = chunk.cells
    const at = (entryId % CHUNK_ENTRIES) * CELL_FIELDS
    return this.cells[at] === 0 ? -1 : at
  }

  /** The entry's cell, made if there is none: OWNER then is 0 and the caller sets it to something else at once. */
  claim(ledgerId: number, entryId: number): number {
    const chunk = this.#chunk(ledgerId, entryId) ?? this.#addChunk(ledgerId, entryId)
    this.cells = chunk.cells
    const at = (entryId % CHUNK_ENTRIES) * CELL_FIELDS
    if (this.cells[at] === 0) {
      chunk.used++
      this.#size++
      this.cells[at + MESSAGES] = this.cells[at + HASH] = this.cells[at + REDELIVERIES] = 0
    }
    return at
  }

  remove(ledgerId: number, entryId: number): void {
    const chunk = this.#chunk(ledgerId, entryId)
    const at = (entryId % CHUNK_ENTRIES) * CELL_FIELDS
    assert(chunk !== undefined && chunk.cells[at] !== 0, 'an entry is removed once')
    chunk.cells[at] = 0
    this.#size--
    if (--chunk.used === 0) this.#dropChunk(ledgerId, chunkKey(entryId), chunk)
  }

  clear(): void {
    this.#ledgers.clear()
    this.#size = 0
    this.#forget()
  }

  /** Visits in order of position; `visit` may change and remove the entry it is given, and none other. */
  forEach(visit: (ledgerId: number, entryId: number, cells: Int32Array, at: number) => void): void {
    for (const ledgerId of [...this.#ledgers.keys()].sort((a, b) => a - b)) {
      const chunks = this.#ledgers.get(ledgerId) ?? new Map<number, Chunk>()
      for (const key of [...chunks.keys()].sort((a, b) => a - b)) {
        const cells = chunks.get(key)?.cells ?? this.cells
        for (let index = 0; index < CHUNK_ENTRIES; index++) {
          const at = index * CELL_FIELDS
          if (cells[at] !== 0) visit(ledgerId, key * CHUNK_ENTRIES + index, cells, at)
        }
      }
    }
  }

  #chunk(ledgerId: number, entryId: number): Chunk | undefined {
    const key = chunkKey(entryId)
    if (key === this.#lastKey && ledgerId === this.#lastLedger) return this.#lastChunk
    const chunk = this.#ledgers.get(ledgerId)?.get(key)
    if (chunk === undefined) return undefined
    this.#lastLedger = ledgerId
    this.#lastKey = key
    this.#lastChunk = chunk
    return chunk
  }

  #addChunk(ledgerId: number, entryId: number): Chunk {
    let chunks = this.#ledgers.get(ledgerId)
    if (chunks === undefined) this.#ledgers.set(ledgerId, (chunks = new Map<number, Chunk>()))
    const chunk = this.#spare.pop() ?? { cells: new Int32Array(CHUNK_ENTRIES * CELL_FIELDS), used: 0 }
    chunks.set(chunkKey(entryId), chunk)
    return chunk
  }

  #dropChunk(ledgerId: number, key: number, chunk: Chunk): void {
    const chunks = this.#ledgers.get(ledgerId)
    chunks?.delete(key)
    if (chunks?.size === 0) this.#ledgers.delete(ledgerId)
    if (this.#spare.length < SPARE_CHUNKS_MAX) this.#spare.push(chunk)
    this.#forget()
  }

  #forget(): void {
    this.#lastLedger = -1
    this.#lastKey = -1
    this.#lastChunk = undefined
  }
}

function chunkKey(entryId: number): number {
  return (entryId - (entryId % CHUNK_ENTRIES)) / CHUNK_ENTRIES
}
