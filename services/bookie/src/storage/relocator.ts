import { strict as assert } from 'node:assert'
import type { Clock } from '@strata/base'
import type { Disk } from '../disk/disk.ts'
import { bookieErrors } from '../errors.ts'
import { isDigestRight } from '../format/digest.ts'
import { FILE_HEADER_BYTES } from '../format/file-header.ts'
import { PAGE_SLOTS, type Location } from '../format/page.ts'
import {
  decodeRecordHeader,
  HEADER_BYTES,
  isJournalOnly,
  RECORD_ALIGNMENT,
  RECORD_KIND,
  recordBytes
} from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import { breath, type IndexEdit, type IndexWriter } from '../index/index-writer.ts'
import { liveWithin } from '../index/live-within.ts'
import { ChunkReader } from './chunk-reader.ts'
import type { DamagedEntry } from './damage.ts'
import { EntryLogWriter } from './entry-log-writer.ts'
import { fenceRecords } from './fence-records.ts'
import type { FileTable, StoredFile } from './file-table.ts'
import { MoveList } from './move-list.ts'
import { MoveMemory } from './move-memory.ts'
import { RecordScan } from './record-scan.ts'

export interface RelocatorOptions {
  readonly disk: Disk
  /** Where the next entry log goes. */
  readonly chooseDirectory: () => Promise<string>
  readonly volumeId: string
  readonly files: FileTable
  readonly index: EntryIndex
  readonly writer: IndexWriter
  readonly nextNumber: () => number
  readonly clock: Clock
  readonly chunkBytes: number
  readonly bytesPerSecond: number
  /** A live entry is not right: its file stays as it is. */
  readonly onDamaged: (entry: DamagedEntry) => void
  /** There is no time to be gentle. */
  readonly isUrgent: () => boolean
}

/** What is copied of one file, chunk by chunk, and where it went. */
interface SourceMoves {
  readonly source: StoredFile
  readonly chunks: readonly MoveList[]
}

/** Under load one file follows the other after a second or two: to take such a memory anew each time has V8 look through all of its heap. */
const MEMORY_KEPT_MS = 10_000
/** Well below a millisecond. */
const MOVES_PER_SLICE = 1_000
/** Their digests take about a quarter of a millisecond. */
const READ_BYTES_PER_SLICE = 512 * 1024
/** The rate is kept within a chunk, too: its writes are not one burst, with a pause behind it. */
const PACED_BYTES = 1024 * 1024
/** Records that follow each other in both files are copied as one, up to so much: what an entry log is written in. */
const RUN_BYTES_MAX = 1024 * 1024

/**
 * Copies what is still live in some files into one new entry log, sorted by (ledger, entry) within chunks, and then points
 * the index at it. The sources may be dropped when this resolves: file, directory entry and index are synced.
 *
 * Whether an entry is live is asked of the index itself, once before copying and once more, alone, when the index is
 * changed; counters of live bytes only choose the files.
 */
export class Relocator {
  readonly #options: RelocatorOptions
  readonly #memory = new MoveMemory()
  #hurry: (() => void) | undefined
  /** Of the last one that was read: what the next one will have, about. */
  #recordsPerChunk = 0
  #usedMs = 0
  /** Written since the start. */
  movedBytes = 0

  constructor(options: RelocatorOptions) {
    this.#options = options
  }

  /** There is nothing to move for now. To be called again and again. */
  rest(): void {
    if (this.#options.clock.nowMs() - this.#usedMs >= MEMORY_KEPT_MS) this.#memory.release()
  }

  /** Ends a pause that is under way. */
  hurry(): void {
    this.#hurry?.()
  }

  /**
   * The sources' entries must all be in the index. Returns the new entry log; undefined if nothing was live.
   * @throws ENTRY_LOG_DAMAGED or JOURNAL_DAMAGED {file, offset}: nothing was changed; a system error: likewise
   */
  async relocate(sources: readonly StoredFile[]): Promise<StoredFile | undefined> {
    const target: { log: EntryLogWriter | undefined } = { log: undefined }
    const moves: SourceMoves[] = []
    try {
      for (const source of sources) moves.push({ source, chunks: await this.#copyLive(source, target) })
      await target.log?.finish()
    } catch (error) {
      await target.log?.abandon()
      throw error
    } finally {
      this.#usedMs = this.#options.clock.nowMs()
    }
    return this.#commit(target.log, moves)
  }

  async #copyLive(source: StoredFile, target: { log: EntryLogWriter | undefined }): Promise<MoveList[]> {
    const chunks: MoveList[] = []
    for (let offset = FILE_HEADER_BYTES; offset < source.end;) {
      const startedMs = this.#options.clock.nowMs()
      const pace = (done: number): Promise<void> => this.#pace(done, startedMs)
      const { records, bytes } = await this.#readChunk(source, offset, read => pace(read / 2))
      if (bytes === 0) {
        offset = await this.#passGap(source, offset)
        await this.#keepFences(source, target)
        continue
      }
      await this.#keepLive(source, records.moves)
      if (records.moves.count > 0) {
        const live = await records.moves.sorted()
        target.log ??= await this.#createLog()
        await copyRuns(records.chunk, live, target.log, copied => pace((bytes + copied) / 2))
        chunks.push(live)
      }
      offset += bytes
      await pace(bytes)
    }
    return chunks
  }

  /** Returns where records go on behind a place where none stands. Throws if the index has anything live there. */
  async #passGap(source: StoredFile, offset: number): Promise<number> {
    const { files, index, onDamaged } = this.#options
    const read = (into: Uint8Array, at: number): Promise<number> => files.read(source.number, into, at)
    const scan = new RecordScan(read, { offset: offset + RECORD_ALIGNMENT, end: source.end })
    const header = await scan.seekHeader()
    const next = header === undefined ? source.end : Math.min(scan.offset - RECORD_ALIGNMENT, source.end)
    const placed = await liveWithin(index, { file: source.number, from: offset, to: next })
    const live = placed.filter(({ ledgerId }) => !index.ledger(ledgerId).isDeleted)
    for (const { ledgerId, entryId, offset: at } of live) {
      onDamaged({ ledgerId, entryId, file: source.number, path: source.path, offset: at, reason: 'digest' })
    }
    if (live.length > 0) refuse(source, offset)
    return next
  }

  /** What stood in a gap may have been a fence. */
  async #keepFences(source: StoredFile, target: { log: EntryLogWriter | undefined }): Promise<void> {
    for await (const record of fenceRecords(this.#options.index, source.number)) {
      target.log ??= await this.#createLog()
      await target.log.append(record)
    }
  }

  /**
   * Whole records from `offset` on, as many as a chunk takes; one that is larger than it is read alone. No bytes: what
   * stands at `offset` is no record. `pace` is told how much of it is read, piece by piece.
   */
  async #readChunk(
    source: StoredFile,
    offset: number,
    pace: (readBytes: number) => Promise<void>
  ): Promise<{ records: { chunk: Buffer; moves: MoveList }; bytes: number }> {
    const { files, chunkBytes } = this.#options
    const bytesMax = Math.min(chunkBytes, source.end)
    const chunk = new ChunkReader(files, source, { offset, bytesMax, memory: this.#memory.chunk(bytesMax) })
    const more = async (): Promise<boolean> => {
      const isMore = await chunk.more()
      await pace(chunk.bytes.length)
      return isMore
    }
    const moves = new MoveList(this.#recordsPerChunk)
    let at = 0
    let breathedAt = 0
    while (offset + at < source.end) {
      const header = decodeRecordHeader(chunk.bytes, at)
      if (header === undefined) {
        if (at + HEADER_BYTES > chunk.bytes.length && (await more())) continue
        break
      }
      const total = recordBytes(header.payloadBytes)
      if (at + total > chunk.bytes.length) {
        if (await more()) continue
        if (at > 0) break
        chunk.bytes = Buffer.allocUnsafeSlow(total)
        await files.read(source.number, chunk.bytes, offset)
      }
      const payload = chunk.bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + header.payloadBytes)
      const from = offset + at
      moves.push(header, { from, at })
      // What is damaged may be of no account: dead, or added again from another node.
      const isRight = header.kind !== RECORD_KIND.entry || isDigestRight(header, payload)
      if (!isRight && (await this.#isLive(source.number, moves, moves.count - 1))) {
        const where = { file: source.number, path: source.path, offset: from }
        this.#options.onDamaged({ ledgerId: header.ledgerId, entryId: header.entryId, ...where, reason: 'digest' })
        refuse(source, from)
      }
      if (!isRight) moves.cut(moves.count - 1)
      at += total
      if (moves.count % MOVES_PER_SLICE !== 0 && at - breathedAt < READ_BYTES_PER_SLICE) continue
      breathedAt = at
      await breath()
    }
    this.#recordsPerChunk = moves.count
    return { records: { chunk: chunk.bytes, moves }, bytes: at }
  }

  async #keepLive({ number }: StoredFile, moves: MoveList): Promise<void> {
    let kept = 0
    for (let i = 0; i < moves.count; i++) {
      const cached = this.#isLiveCached(number, moves, i)
      const isLive = cached === 'ask' ? await this.#isLive(number, moves, i) : cached
      if (isLive) moves.moveUp(i, kept++)
      if (i % MOVES_PER_SLICE === 0) await breath()
    }
    moves.cut(kept)
  }

  async #isLive(source: number, moves: MoveList, i: number): Promise<boolean> {
    const cached = this.#isLiveCached(source, moves, i)
    if (cached !== 'ask') return cached
    const { index } = this.#options
    return isAt(await index.locate(index.ledger(moves.ledgerId(i)), moves.entryId(i)), source, moves.from(i))
  }

  #isLiveCached(source: number, moves: MoveList, i: number): boolean | 'ask' {
    const { index } = this.#options
    const ledger = index.ledger(moves.ledgerId(i))
    const kind = moves.kind(i)
    if (ledger.isDeleted || isJournalOnly(kind)) return false
    // A fence is kept as long as the ledger, for the day when the index must be made anew from the files.
    if (kind === RECORD_KIND.fence) return ledger.isFenceSynced
    const cached = index.locateCached(ledger, moves.entryId(i))
    return cached === 'ask' ? 'ask' : isAt(cached, source, moves.from(i))
  }

  async #createLog(): Promise<EntryLogWriter> {
    const { disk, chooseDirectory, volumeId, nextNumber } = this.#options
    const directory = await chooseDirectory()
    return EntryLogWriter.create({ disk, memory: this.#memory, directory, volumeId, number: nextNumber() })
  }

  async #commit(log: EntryLogWriter | undefined, all: readonly SourceMoves[]): Promise<StoredFile | undefined> {
    const { files, writer, clock } = this.#options
    let made: StoredFile | undefined
    if (log !== undefined) {
      const totalBytes = log.end - FILE_HEADER_BYTES
      const { number, directory, path, end } = log
      made = { kind: 'entry-log', number, directory, path, end, liveBytes: 0, totalBytes, sinceMs: clock.nowMs() }
      files.add(made)
      this.movedBytes += end
    }
    const target = made
    await writer.exclusive(async edit => {
      for (const { source, chunks } of all) {
        // without a target nothing of it was live, and there are none
        const numbers = { source: source.number, target: target?.number ?? 0 }
        for (const moves of chunks) await this.#repoint(edit, moves, numbers)
        edit.remove(source)
      }
      if (target !== undefined) edit.touch(target)
      await edit.commit({ sync: true })
    })
    return made
  }

  async #repoint(edit: IndexEdit, moves: MoveList, files: { source: number; target: number }): Promise<void> {
    const { index } = this.#options
    for (let i = 0; i < moves.count; i++) {
      if (i % MOVES_PER_SLICE === 0) await breath()
      if (moves.kind(i) !== RECORD_KIND.entry) continue
      const ledger = index.ledger(moves.ledgerId(i))
      const entryId = moves.entryId(i)
      const from = moves.from(i)
      const page = edit.pageHeld(ledger, entryId) ?? (await edit.page(ledger, entryId))
      const slot = entryId % PAGE_SLOTS
      if (page.fileAt(slot) !== files.source || page.offsetAt(slot) !== from) {
        const now = index.locateCached(ledger, entryId)
        const isOnlyInTail = now !== 'ask' && isAt(now, files.source, from)
        assert(!isOnlyInTail, 'a file is moved whose entries are not all in the index')
        continue
      }
      edit.place(page, slot, { file: files.target, offset: moves.at(i), payloadBytes: moves.payloadBytes(i) })
    }
  }

  async #pace(bytes: number, startedMs: number): Promise<void> {
    const { clock, bytesPerSecond, isUrgent } = this.#options
    if (isUrgent()) return
    const waitMs = (bytes / bytesPerSecond) * 1000 - (clock.nowMs() - startedMs)
    if (waitMs <= 0) return
    await new Promise<void>(resolve => {
      this.#hurry = resolve
      clock.after(waitMs, resolve)
    })
    this.#hurry = undefined
  }
}

function isAt(location: Location | undefined, source: number, from: number): boolean {
  return location?.file === source && location.offset === from
}

/** Copies them in their order, and notes where each went. `pace` is told how much of the chunk is copied, run by run. */
async function copyRuns(
  chunk: Buffer,
  live: MoveList,
  log: EntryLogWriter,
  pace: (copiedBytes: number) => Promise<void>
): Promise<void> {
  let copied = 0
  let pacedAt = 0
  for (let i = 0; i < live.count;) {
    const begin = live.at(i)
    const shift = log.end - begin
    let end = begin
    for (; i < live.count && live.at(i) === end; i++) {
      const bytes = recordBytes(live.payloadBytes(i))
      if (end > begin && end + bytes - begin > RUN_BYTES_MAX) break
      live.setAt(i, end + shift)
      end += bytes
    }
    await log.append(chunk.subarray(begin, end))
    copied += end - begin
    if (copied - pacedAt < PACED_BYTES) continue
    pacedAt = copied
    await pace(copied)
  }
}

function refuse(source: StoredFile, offset: number): never {
  const code = source.kind === 'journal' ? 'JOURNAL_DAMAGED' : 'ENTRY_LOG_DAMAGED'
  throw bookieErrors.create(code, { file: source.path, offset })
}
