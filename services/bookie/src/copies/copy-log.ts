import { join } from 'node:path'
import { asError, type Clock, type EntryId, type LedgerId } from '@strata/base'
import { LedgerError } from '@strata/ledger-client'
import type { Disk, DiskFile } from '../disk/disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES, fileName } from '../format/file-header.ts'
import { PAGE_SLOTS } from '../format/page.ts'
import { recordBytes } from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import { breath, type IndexEdit, type IndexWriter } from '../index/index-writer.ts'
import type { LedgerState } from '../index/ledger-state.ts'
import { encodeLedgerRow, ledgerKey } from '../index/rows.ts'
import type { FileTable, StoredFile } from '../storage/file-table.ts'

interface CopyLogOptions {
  readonly disk: Disk
  /** Where the next entry log goes. */
  readonly chooseDirectory: () => Promise<string>
  readonly volumeId: string
  readonly files: FileTable
  readonly index: EntryIndex
  readonly writer: IndexWriter
  readonly nextNumber: () => number
  readonly clock: Clock
  /** Past it the next file is begun. */
  readonly fileBytes: number
  readonly onIndexFailure: (error: unknown) => void
}

/** Records of consecutive entries of one ledger, compared with their digests. */
interface CopiedRecords {
  readonly ledgerId: LedgerId
  readonly first: number
  /** From each entry's id to the next one's. */
  readonly every: number
  /** Payload bytes of each. */
  readonly sizes: readonly number[]
  /** The highest that they carry. */
  readonly lac: number
  readonly bytes: Buffer
}

interface Piece extends Omit<CopiedRecords, 'bytes'> {
  /** Where it begins in the file. */
  readonly at: number
  readonly written: Promise<void>
  readonly settle: (error: unknown) => void
}

interface OpenLog {
  readonly number: number
  readonly directory: string
  readonly file: DiskFile
  /** Where the next piece goes. */
  end: number
  /** Of the pieces that no commit has taken. */
  unstoredBytes: number
  pieces: Piece[]
  /** Its name is durable. */
  isNamed: boolean
  /** Set with the first pieces that are in the index. */
  stored: StoredFile | undefined
}

const PLACES_PER_SLICE = 512
/** So much is not left to whoever waits in the end: it goes to the disk while more comes. */
const UNSTORED_BYTES_MAX = 16 * 1024 * 1024

/**
 * The entry log that copies from other nodes go to: written as they come, then made durable and put into the index together, all
 * that came meanwhile with one sync and one batch. They never pass the journal.
 *
 * Invariants
 *   K1  A piece is stored when its bytes and its file's name are synced and the index that names them is as well, and not before.
 *   K2  A file that a write or sync failed on is never written to again; what was stored in it before stays.
 *   K3  The index names a copy's place in preference to any that the entry had before.
 *   K4  What stands behind the end that the index names was never answered for: a start cuts it off.
 */
export class CopyLog {
  readonly #options: CopyLogOptions
  #open: Promise<OpenLog> | undefined
  #last: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  /** Since the start. */
  writtenBytes = 0

  constructor(options: CopyLogOptions) {
    this.#options = options
  }

  /**
   * Resolves when the bytes are handed to the disk, with a promise of their being stored, which `commit` brings about, and so does
   * enough that was appended behind. That one may be dropped. @throws a system error
   */
  async append(records: CopiedRecords): Promise<{ stored: Promise<void> }> {
    const log = await this.#logToWrite()
    const { bytes, ...of } = records
    const at = log.end
    log.end += bytes.length
    const written = log.file.write(bytes, at)
    written.catch(() => void this.commit()) // which gives the file up
    let settle: (error: unknown) => void = () => undefined
    const stored = new Promise<void>((resolve, reject) => {
      settle = error => (error === undefined ? resolve() : reject(asError(error)))
    })
    stored.catch(() => undefined) // told to whoever waits for it
    log.pieces.push({ ...of, at, written, settle })
    log.unstoredBytes += bytes.length
    if (log.unstoredBytes >= UNSTORED_BYTES_MAX) void this.commit()
    await written
    this.writtenBytes += bytes.length
    return { stored }
  }

  /** Stores all that was appended before this call; one that is under way is waited for, and the next one does for all who wait. */
  commit(): Promise<void> {
    this.#next ??= this.#last = this.#last.then(() => {
      this.#next = undefined
      return this.#commit()
    })
    return this.#next
  }

  /** What is not stored by now fails. */
  async close(): Promise<void> {
    await this.commit()
    const open = this.#open
    this.#open = undefined
    const log = await open?.catch(() => undefined)
    await log?.file.close().catch(() => undefined)
  }

  async #logToWrite(): Promise<OpenLog> {
    for (;;) {
      const open = (this.#open ??= this.#create())
      try {
        const log = await open
        // It may have been finished, or given up, while it was waited for.
        if (this.#open === open) return log
      } catch (error) {
        if (this.#open === open) this.#open = undefined
        throw error
      }
    }
  }

  async #create(): Promise<OpenLog> {
    const { disk, chooseDirectory, volumeId, nextNumber } = this.#options
    const directory = await chooseDirectory()
    const number = nextNumber()
    const file = await disk.open(join(directory, fileName('entry-log', number)), { create: true })
    await file.write(encodeFileHeader({ kind: 'entry-log', number, volumeId }), 0)
    return {
      number,
      directory,
      file,
      end: FILE_HEADER_BYTES,
      unstoredBytes: 0,
      pieces: [],
      isNamed: false,
      stored: undefined
    }
  }

  async #commit(): Promise<void> {
    const open = this.#open
    const log = await open?.catch(() => undefined)
    if (log === undefined || log.pieces.length === 0) return
    const { pieces, end } = log
    log.pieces = []
    log.unstoredBytes = 0
    const isFull = end >= this.#options.fileBytes
    if (isFull && this.#open === open) this.#open = undefined
    try {
      await this.#sync(log, pieces)
      const refused = await this.#index(log, { pieces, end, isOpen: !isFull })
      for (const piece of pieces) piece.settle(refused.has(piece) ? deleted(piece) : undefined)
      if (isFull) await log.file.close().catch(() => undefined)
    } catch (error) {
      if (this.#open === open) this.#open = undefined
      await this.#giveUp(log, [...pieces, ...log.pieces], error)
    }
  }

  async #sync(log: OpenLog, pieces: readonly Piece[]): Promise<void> {
    await Promise.all(pieces.map(({ written }) => written))
    await log.file.sync()
    if (log.isNamed) return
    await this.#options.disk.syncDirectory(log.directory)
    log.isNamed = true
  }

  /** Points the index at the pieces; returns those whose ledgers were deleted meanwhile. */
  async #index(
    log: OpenLog,
    { pieces, end, isOpen }: { pieces: readonly Piece[]; end: number; isOpen: boolean }
  ): Promise<ReadonlySet<Piece>> {
    const { writer, index, onIndexFailure } = this.#options
    const refused = new Set<Piece>()
    const stored = (log.stored ??= this.#register(log))
    stored.end = end
    stored.totalBytes = end - FILE_HEADER_BYTES
    stored.isOpen = isOpen
    try {
      // A copy of what was written a moment ago and cannot be read: its old place must not come over the new one.
      if (pieces.some(({ ledgerId }) => index.ledger(ledgerId).hasTail)) await writer.flushTails()
      await writer.exclusive(async edit => {
        const held = new Set<LedgerState>()
        for (const piece of pieces) {
          const ledger = index.ledger(piece.ledgerId)
          if (ledger.isDeleted) refused.add(piece)
          else held.add(ledger)
        }
        // They must stay in memory: what they know is not in the store yet.
        for (const ledger of held) ledger.isFlushing = true
        try {
          for (const piece of pieces) {
            if (!refused.has(piece)) await placePiece(edit, index.ledger(piece.ledgerId), { piece, log })
          }
          for (const ledger of held) edit.put(ledgerKey(ledger.ledgerId), encodeLedgerRow(ledger))
          edit.touch(stored)
          await edit.commit({ sync: true })
        } finally {
          for (const ledger of held) ledger.isFlushing = false
        }
      })
    } catch (error) {
      onIndexFailure(error)
      throw error
    }
    return refused
  }

  #register({ number, directory, file: { path } }: OpenLog): StoredFile {
    const { files, clock } = this.#options
    const sizes = { end: FILE_HEADER_BYTES, liveBytes: 0, totalBytes: 0 }
    const made: StoredFile = {
      kind: 'entry-log',
      number,
      directory,
      path,
      ...sizes,
      sinceMs: clock.nowMs(),
      isOpen: true
    }
    files.add(made)
    return made
  }

  async #giveUp(log: OpenLog, pieces: readonly Piece[], error: unknown): Promise<void> {
    await Promise.allSettled(pieces.map(({ written }) => written))
    for (const piece of pieces) piece.settle(error)
    await log.file.close().catch(() => undefined)
    // What the index was to name, it may name: only what it never heard of can go.
    if (log.stored === undefined) await this.#options.disk.remove(log.file.path).catch(() => undefined)
  }
}

function deleted({ ledgerId }: Piece): Error {
  return LedgerError.create('UNAVAILABLE', { ledgerId, reason: 'the ledger was deleted' })
}

async function placePiece(
  edit: IndexEdit,
  ledger: LedgerState,
  { piece, log }: { piece: Piece; log: OpenLog }
): Promise<void> {
  const { first, every, sizes, lac } = piece
  let offset = piece.at
  for (const [i, payloadBytes] of sizes.entries()) {
    const entryId = first + i * every
    const page = edit.pageHeld(ledger, entryId) ?? (await edit.page(ledger, entryId))
    edit.place(page, entryId % PAGE_SLOTS, { file: log.number, offset, payloadBytes })
    offset += recordBytes(payloadBytes)
    if (i % PLACES_PER_SLICE === PLACES_PER_SLICE - 1) await breath()
  }
  const last = (first + (sizes.length - 1) * every) as EntryId
  if (last > ledger.lastEntry) ledger.lastEntry = last
  if (lac > ledger.lac) ledger.lac = lac as EntryId
}
