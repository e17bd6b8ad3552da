import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import type { Clock, Logger } from '@strata/base'
import { BLOCK_BYTES } from '../disk/block-memory.ts'
import type { Disk, DiskFile, DiskLane } from '../disk/disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES, fileName } from '../format/file-header.ts'
import { ZeroFill } from './zero-fill.ts'

/** How the file is opened that records go to. */
const JOURNALED = { create: false, direct: true, durableWrites: true } as const

/** A journal file that is open for writing. */
export interface JournalFile {
  readonly number: number
  readonly file: DiskFile
  /** Where the records of this run begin. */
  readonly start: number
  /** Where the next write goes. */
  position: number
  /** Everything before it is synced. */
  syncedEnd: number
  /** Sequence after its last synced record. */
  endSequence: number
  /** It is full at this size; the last batch may lie across it. */
  readonly nominalBytes: number
  readonly sinceMs: number
  /** What stands in the block of `start`, in front of it: whole blocks are written. */
  readonly tail: Buffer
}

export interface JournalFilesOptions {
  readonly disk: Disk
  /** Gives memory for direct writes. */
  readonly lane: DiskLane
  readonly directory: string
  readonly volumeId: string
  readonly fileBytes: number
  /** Numbers are never given out twice, or a stale record of a reused file could be taken for data. */
  readonly nextNumber: () => number
  readonly clock: Clock
  readonly log: Logger
  /** A file takes over as the active one. */
  readonly onActive: (file: JournalFile) => void
  /** A file that was active is gone: it never had a record. */
  readonly onGone: (file: JournalFile) => void
  /** Names `<number>.spare` that are there from before. */
  readonly spares: readonly string[]
}

const SPARES_MAX = 3
/** The first file of a fresh node: small, so that the node is ready at once. */
const FIRST_FILE_BYTES = 4 * 1024 * 1024

/**
 * The journal's files: the active one, a prepared one to go on with, and spares that wait for reuse.
 *
 * A file is filled with zeros and synced before it takes records, so that a sync has no metadata to write; under a burst a
 * file is used before it is filled, which is slower and just as safe (`ZeroFill`). A spare is named `<number>.spare` and its content
 * means nothing. Files are written past the page cache: what a consumer at the tail wants is in the broker's memory, and a
 * page that is made only to be written out costs more than the write. It becomes `<new number>.journal` only after its new header is synced, so every `.journal` has a header.
 */
export class JournalFiles {
  readonly #options: JournalFilesOptions
  #active: JournalFile | undefined
  #prepared: JournalFile | undefined
  #preparing: Promise<void> | undefined
  #filling: ZeroFill | undefined
  #isUrgent = false
  #isClosed = false
  #spares: string[]
  /** Full, but the last write to them may be under way. */
  #retired: JournalFile[] = []

  constructor(options: JournalFilesOptions) {
    this.#options = options
    this.#spares = [...options.spares]
  }

  get active(): JournalFile {
    assert(this.#active !== undefined, 'no journal file yet')
    return this.#active
  }

  /** Makes the first active file: the one to go on in, else a spare, else a small new one. */
  async start(continued: { number: number; path: string; end: number; sequence: number } | undefined): Promise<void> {
    if (continued !== undefined) {
      const { number, end, sequence } = continued
      const tail = await this.#tailOf(continued.path, end)
      const file = await this.#options.disk.open(continued.path, JOURNALED)
      const base = { number, file, start: end, position: end, syncedEnd: end, endSequence: sequence, tail }
      this.#activate({ ...base, nominalBytes: this.#options.fileBytes, sinceMs: this.#options.clock.nowMs() })
      this.#prepareSoon()
      return
    }
    const nominalBytes = this.#spares.length > 0 ? this.#options.fileBytes : FIRST_FILE_BYTES
    const file = await this.#make(Math.min(nominalBytes, this.#options.fileBytes), {
      fill: nominalBytes === FIRST_FILE_BYTES
    })
    this.#activate(file)
    this.#prepareSoon()
  }

  /** Goes on after a failure in a file that never saw it; no write is under way. Rejects where the disk still refuses. */
  async startAfresh(): Promise<void> {
    this.#filling?.hurry()
    await this.#preparing
    const prepared = this.#prepared
    this.#prepared = undefined
    if (prepared !== undefined) await this.#discard(prepared)
    const file = await this.#make(Math.min(FIRST_FILE_BYTES, this.#options.fileBytes), { fill: true })
    const before = [this.active, ...this.#retired]
    try {
      await this.#removeUnwritten(before)
    } catch (error) {
      await this.#discard(file)
      throw error
    }
    this.#retired = []
    for (const failed of before) await closeQuietly(failed)
    this.#activate(file)
    this.#prepareSoon()
  }

  /** Takes the prepared file if the active one is full; without one, the active file just grows. */
  rollIfFull(): void {
    if (this.active.position >= this.active.nominalBytes) this.roll()
  }

  roll(): void {
    const next = this.#prepared
    if (next === undefined) {
      this.#hurry()
      this.#prepareSoon()
      return
    }
    const full = this.active
    this.#prepared = undefined
    this.#isUrgent = false
    this.#activate(next)
    this.#retired.push(full)
    this.#prepareSoon()
  }

  /** Nothing is being written to it, and nothing will be. */
  isSealed(number: number): boolean {
    return number < this.active.number && !this.#retired.some(file => file.number === number)
  }

  /** Closes full files that nothing is being written to. */
  closeRetired(writing: JournalFile | undefined): void {
    if (this.#retired.length === 0) return
    const done = this.#retired.filter(file => file !== writing)
    this.#retired = this.#retired.filter(file => file === writing)
    for (const file of done) void closeQuietly(file)
  }

  /** The name under which a dropped file waits. The caller has renamed it already. */
  addSpare(name: string): void {
    this.#spares.push(name)
  }

  get hasRoomForSpares(): boolean {
    return this.#spares.length < SPARES_MAX
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#hurry()
    await this.#preparing
    for (const file of [this.#prepared, this.#active, ...this.#retired])
      if (file !== undefined) await closeQuietly(file)
  }

  #hurry(): void {
    this.#isUrgent = true
    this.#filling?.hurry()
  }

  #activate(file: JournalFile): void {
    assert(file.number > (this.#active?.number ?? 0), 'a journal file goes before one that was written')
    this.#active = file
    this.#options.onActive(file)
  }

  #prepareSoon(): void {
    if (this.#preparing !== undefined || this.#prepared !== undefined || this.#isClosed) return
    this.#preparing = this.#prepare().finally(() => {
      this.#preparing = undefined
    })
  }

  async #prepare(): Promise<void> {
    const { log } = this.#options
    try {
      const made = await this.#make(this.#options.fileBytes, { fill: true })
      // Numbers say in which order files were written: one that was begun before a failure does not follow the file after it.
      if (made.number < this.active.number) await this.#discard(made)
      else this.#prepared = made
    } catch (error) {
      // The active file goes on growing; the next roll tries again.
      log.warn({ event: 'journal.prepare_failed', err: error }, 'could not prepare the next journal file')
    }
  }

  async #make(nominalBytes: number, { fill }: { fill: boolean }): Promise<JournalFile> {
    const { disk, directory, volumeId, nextNumber, clock } = this.#options
    const reused = this.#spares.shift()
    const number = nextNumber()
    const spare = reused ?? `${String(number).padStart(10, '0')}.spare`
    const path = join(directory, fileName('journal', number))
    let file = await disk.open(join(directory, spare), { create: true, direct: true, durableWrites: true })
    try {
      if (fill) await this.#fill(file, nominalBytes)
      await this.#writeHeader(file, encodeFileHeader({ kind: 'journal', number, volumeId }))
      await file.sync()
      await disk.rename(join(directory, spare), path)
      await disk.syncDirectory(directory)
    } catch (error) {
      await file.close().catch(() => undefined)
      if (reused !== undefined) this.#spares.push(reused)
      throw error
    }
    await file.close()
    file = await disk.open(path, JOURNALED)
    const start = FILE_HEADER_BYTES
    const base = { number, file, start, position: start, syncedEnd: start, endSequence: 0, tail: Buffer.alloc(0) }
    return { ...base, nominalBytes, sinceMs: clock.nowMs() }
  }

  async #writeHeader(file: DiskFile, header: Buffer): Promise<void> {
    const { lane } = this.#options
    const memory = lane.allocate(header.length)
    try {
      memory.set(header)
      await file.write(memory, 0)
    } finally {
      lane.release(memory)
    }
  }

  async #tailOf(path: string, end: number): Promise<Buffer> {
    const tail = Buffer.alloc(end % BLOCK_BYTES)
    const file = await this.#options.disk.open(path, { create: false })
    try {
      const bytesRead = await file.read(tail, end - tail.length)
      assert(bytesRead === tail.length, 'a journal file is shorter than what was replayed of it')
    } finally {
      await file.close()
    }
    return tail
  }

  /** Behind what the file has, so that the journal's writes find blocks that are there. */
  async #fill(file: DiskFile, bytes: number): Promise<void> {
    const from = this.#active
    const before = from?.position ?? 0
    const room = (from?.nominalBytes ?? 0) - before
    const { lane, clock } = this.#options
    // Of another file than at the beginning nothing is known: it is new, and empty.
    const usage = (): { bytes: number; room: number } => {
      return { bytes: from !== undefined && from === this.#active ? from.position - before : 0, room }
    }
    const fill = new ZeroFill({ lane, clock, usage })
    if (this.#isUrgent) fill.hurry()
    this.#filling = fill
    try {
      await fill.run(file, bytes)
    } finally {
      this.#filling = undefined
    }
  }

  /**
   * A file in which no write ever came to its end is no part of the journal, and goes before another one is written to: once those
   * before it were moved, it would stand first, and be taken for the beginning of a journal that lost its records.
   */
  async #removeUnwritten(files: readonly JournalFile[]): Promise<void> {
    const { disk, directory, onGone } = this.#options
    const unwritten = files.filter(({ syncedEnd }) => syncedEnd === FILE_HEADER_BYTES)
    if (unwritten.length === 0) return
    const there = await disk.list(directory)
    for (const { number } of unwritten) {
      const name = fileName('journal', number)
      if (there.includes(name)) await disk.remove(join(directory, name))
    }
    await disk.syncDirectory(directory)
    for (const file of unwritten) onGone(file)
  }

  async #discard(file: JournalFile): Promise<void> {
    const { disk, directory } = this.#options
    await closeQuietly(file)
    await disk.remove(join(directory, fileName('journal', file.number))).catch(() => undefined)
  }
}

/** All that was written is synced or given up: there is nothing that a failing close could tell. */
async function closeQuietly(file: JournalFile): Promise<void> {
  await file.file.close().catch(() => undefined)
}
