import type { RunRequest } from '@strata/ledger-client'
import { BLOCK_BYTES, toBlocks } from '../disk/block-memory.ts'
import type { Location } from '../format/page.ts'
import { recordBytes } from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import type { LedgerState } from '../index/ledger-state.ts'
import type { FileTable } from '../storage/file-table.ts'
import { PieceMemory, type LentMemory } from './piece-memory.ts'

/** Others' records between two that are wanted are read with them, up to so many bytes. */
const GAP_BYTES_MAX = 64 * 1024
const SPAN_BYTES_MAX = 4 * 1024 * 1024
/** Less is read through the page cache: what is beside it is wanted soon. */
const DIRECT_BYTES_MIN = 64 * 1024
/** So far ahead the index is asked at once, past what is wanted now: whoever copies asks for what follows next. */
const WARM_IDS = 16_384

/** Records that stand near each other in one file. */
interface Span {
  readonly to: number
  readonly bytes: number
  /** Of them, those that are wanted. */
  readonly wantedBytes: number
}

/**
 * Entries of a ledger as they stand on the disk, for another node to store: whole records, in as few system calls as there
 * are stretches of them, straight into the answer where nothing is between them. Nothing is compared with its digest.
 */
export class RecordReader {
  readonly #index: EntryIndex
  readonly #files: FileTable
  readonly #memory = new PieceMemory()

  constructor({ index, files }: { index: EntryIndex; files: FileTable }) {
    this.#index = index
    this.#files = files
  }

  /** undefined: not even the first one can be read. @throws a system error of the index */
  async read(request: RunRequest): Promise<LentMemory | undefined> {
    const ledger = this.#index.ledger(request.ledgerId)
    if (ledger.isDeleted) return undefined
    const locations = await this.#locate(ledger, request)
    let total = 0
    for (const { payloadBytes } of locations) total += recordBytes(payloadBytes)
    const memory = this.#memory.lend(total)
    const { bytes, release } = memory
    let done = 0
    for (let from = 0; from < locations.length;) {
      const span = spanFrom(locations, from)
      // A file that was moved meanwhile, or cannot be read: who wants the rest asks again, or somebody else.
      if (!(await this.#readSpan(locations, { from, span, done }, memory))) break
      done += span.wantedBytes
      from = span.to
    }
    if (done > 0) return { bytes: bytes.subarray(0, done), release }
    release()
    return undefined
  }

  async #locate(ledger: LedgerState, { first, last, every, ...limits }: RunRequest): Promise<Location[]> {
    const locations: Location[] = []
    let bytes = 0
    for (let entryId: number = first; entryId <= last && locations.length < limits.entriesMax; entryId += every) {
      let location = this.#index.locateCached(ledger, entryId)
      if (location === 'ask') {
        await this.#index.warm(ledger, { first: entryId, last: entryId + WARM_IDS })
        location = await this.#index.locate(ledger, entryId)
      }
      if (location === undefined) break
      bytes += location.payloadBytes
      if (locations.length > 0 && bytes > limits.bytesMax) break
      locations.push(location)
    }
    return locations
  }

  async #readSpan(
    locations: readonly Location[],
    { from, span, done }: { from: number; span: Span; done: number },
    memory: LentMemory
  ): Promise<boolean> {
    const first = locations[from]
    if (first === undefined) return false
    const isDense = span.bytes === span.wantedBytes
    if (isDense && memory.blocks !== undefined && span.bytes >= DIRECT_BYTES_MIN) {
      return await this.#readBlocks(first, { bytes: span.bytes, done, blocks: memory.blocks })
    }
    const into = memory.bytes.subarray(done, done + span.wantedBytes)
    const bytes = isDense ? into : Buffer.allocUnsafeSlow(span.bytes)
    try {
      if ((await this.#files.read(first.file, bytes, first.offset)) < span.bytes) return false
    } catch {
      return false
    }
    if (isDense) return true
    let at = 0
    for (let i = from; i < span.to; i++) {
      const { offset, payloadBytes } = locations[i] ?? first
      const start = offset - first.offset
      at += bytes.copy(into, at, start, start + recordBytes(payloadBytes))
    }
    return true
  }

  /** The blocks that records stand in, read behind those that are `done`; these then follow each other. */
  async #readBlocks(
    { file, offset }: Location,
    { bytes, done, blocks }: { bytes: number; done: number; blocks: Buffer }
  ): Promise<boolean> {
    const skipped = offset % BLOCK_BYTES
    const at = toBlocks(done)
    const end = at + toBlocks(skipped + bytes)
    try {
      const read = await this.#files.readBlocks(file, blocks.subarray(at, end), offset - skipped)
      if (read < skipped + bytes) return false
    } catch {
      return false
    }
    blocks.copyWithin(done, at + skipped, at + skipped + bytes)
    return true
  }
}

function spanFrom(locations: readonly Location[], from: number): Span {
  const first = locations[from]
  if (first === undefined) return { to: from, bytes: 0, wantedBytes: 0 }
  let end = first.offset + recordBytes(first.payloadBytes)
  let wantedBytes = end - first.offset
  let to = from + 1
  for (; to < locations.length; to++) {
    const next = locations[to]
    if (next?.file !== first.file || next.offset < end || next.offset > end + GAP_BYTES_MAX) break
    const bytes = recordBytes(next.payloadBytes)
    if (next.offset + bytes - first.offset > SPAN_BYTES_MAX) break
    end = next.offset + bytes
    wantedBytes += bytes
  }
  return { to, bytes: end - first.offset, wantedBytes }
}
