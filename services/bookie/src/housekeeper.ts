import { join } from 'node:path'
import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { BookieDirectories, BookieHealth, BookieStats } from './bookie-types.ts'
import type { Disk } from './disk/disk.ts'
import { roomiestLogDirectory } from './disk/free-space.ts'
import { bookieErrors, systemCode } from './errors.ts'
import { FILE_HEADER_BYTES } from './format/file-header.ts'
import type { EntryIndex } from './index/entry-index.ts'
import type { IndexStore } from './index/index-store.ts'
import type { IndexWriter } from './index/index-writer.ts'
import { decodeFileRow, fileKey, type Checkpoint } from './index/rows.ts'
import type { JournalMember, JournalSet } from './journal/journal-set.ts'
import type { Recovered } from './recovery.ts'
import type { BookieSettings } from './settings.ts'
import { DamageTable, type DamagedEntry, type DamagedRange } from './storage/damage.ts'
import { DeletionCollector } from './storage/deletion-collector.ts'
import type { FileTable, StoredFile } from './storage/file-table.ts'
import { Relocator } from './storage/relocator.ts'
import { Scrubber } from './storage/scrubber.ts'
import { SpaceKeeper } from './volume/space-keeper.ts'
import type { Volume } from './volume/volume.ts'

export interface HousekeeperOptions {
  readonly disk: Disk
  readonly directories: BookieDirectories
  readonly metadata: MetadataStore
  readonly settings: BookieSettings
  readonly volume: Volume
  readonly files: FileTable
  readonly index: EntryIndex
  readonly writer: IndexWriter
  readonly journals: JournalSet
  readonly nextNumber: () => number
  readonly position: () => Checkpoint
  readonly reopenStore: () => Promise<IndexStore>
  readonly onFileGone: (file: number) => void
  readonly onDamaged: (entry: DamagedEntry) => void
  readonly recovered: Recovered
  readonly clock: Clock
  readonly log: Logger
}

/** A whole file may be gone: `damaged` lists what the log leaves out. */
const LOGGED_DAMAGE_MAX = 100
const REVIEWED_PER_ROUND = 1_000
const COMPACTED_BYTES_MAX = 256 * 1024 * 1024

/**
 * All that a node does beside adds and reads, in two strands: care (disk space, going on after a failure, the index) must
 * not wait for work (deletions, moving journal files, compaction), which is slow on purpose. Each is done by one round at
 * a time. What fails is told by `health` and tried again in a later round.
 */
export class Housekeeper {
  readonly #options: HousekeeperOptions
  readonly #collector: DeletionCollector
  readonly #relocator: Relocator
  readonly #space: SpaceKeeper
  readonly #scrubber: Scrubber
  readonly #damage = new DamageTable()
  /** Files that could not be moved, and how much had been repaired by then: after another repair they are tried again. */
  readonly #blocked = new Map<number, number>()
  /**
   * Entry logs made here, and what was live in them: until that changes, all that is in them is needed, fences included,
   * which no counter counts.
   */
  readonly #settled = new Map<number, number>()
  /** What failed last in each strand's steps; cleared when the step succeeds. */
  readonly #troubles = new Map<string, string>()
  #caring: Promise<void> | undefined
  #working: Promise<void> | undefined
  #flushing: Promise<void> | undefined
  #flushedMs: number
  #toldMs = -Infinity
  #unindexedBytes = 0
  readonly #journalFailures = new Map<JournalMember, unknown>()
  #isIndexBroken = false
  /** The index failed for want of space. */
  #isIndexFull = false
  #isClosing = false
  /** Until this process ends, or somebody says otherwise. */
  isDeclaredReadOnly = false

  constructor(options: HousekeeperOptions) {
    const { settings, volume, disk, directories } = options
    this.#options = options
    this.#flushedMs = options.clock.nowMs()
    this.#space = new SpaceKeeper(options)
    this.#scrubber = new Scrubber({
      ...options,
      damage: this.#damage,
      bytesPerSecond: settings.scrubBytesPerSecond,
      intervalMs: settings.scrubIntervalMs,
      missing: options.recovered.missingFiles,
      onDamaged: entry => {
        this.noteDamaged(entry)
      }
    })
    this.#collector = new DeletionCollector({ ...options, flush: () => this.#flushWhole() })
    this.#relocator = new Relocator({
      ...options,
      chooseDirectory: () => roomiestLogDirectory(disk, directories),
      volumeId: volume.volumeId,
      chunkBytes: settings.moveChunkBytes,
      bytesPerSecond: settings.moveBytesPerSecond,
      onDamaged: entry => {
        this.noteDamaged(entry)
      },
      isUrgent: () => this.#isClosing || this.#space.isLow || this.#journalBytes() > settings.journalBytesMax * 2
    })
  }

  async start(): Promise<void> {
    await this.#collector.start()
  }

  get unindexedBytes(): number {
    return this.#unindexedBytes
  }

  get quarantinedCount(): number {
    return this.#collector.quarantined.size
  }

  /** Adds are refused until there is room again. */
  get isReadOnly(): boolean {
    return this.#space.isLow || this.#isDiskFull || this.isDeclaredReadOnly
  }

  /** A journal failed for want of space. */
  get #isDiskFull(): boolean {
    return [...this.#journalFailures.values()].some(isForWantOfSpace)
  }

  stats(): Pick<BookieStats, 'reserveBytes' | 'movedBytes' | 'damagedEntries' | 'scrubbedBytes' | 'scrubRounds'> {
    return {
      reserveBytes: this.#space.reserveBytes,
      movedBytes: this.#relocator.movedBytes,
      damagedEntries: this.#damage.size,
      scrubbedBytes: this.#scrubber.scrubbedBytes,
      scrubRounds: this.#scrubber.rounds
    }
  }

  /** What is damaged now. @throws what the index throws */
  async damaged(): Promise<DamagedRange[]> {
    await this.#damage.review(this.#options.index)
    return this.#damage.ranges
  }

  scrub(): Promise<void> {
    return this.#scrubber.run()
  }

  noteSynced(bytes: number): void {
    if (this.#space.noteWritten(bytes)) void this.#checkSpace()
    this.#unindexedBytes += bytes
    const { settings, writer } = this.#options
    const isDue =
      this.#unindexedBytes >= settings.indexFlushBytes || writer.unflushedEntries >= settings.indexFlushEntries
    if (isDue && this.#flushing === undefined && !this.#isIndexBroken) void this.#step('index', () => this.#flush())
  }

  noteJournalFailure(error: Error, member: JournalMember): void {
    this.#journalFailures.set(member, error)
    const fields = { event: 'journal.failed', directory: member.directory, err: error }
    this.#options.log.error(fields, 'a journal write or sync failed: adds are refused until the disk takes one again')
  }

  noteIndexFailure(error: unknown): void {
    if (!this.#isIndexBroken)
      this.#options.log.error({ event: 'index.failed', err: error }, 'the index failed: it is opened again')
    this.#isIndexBroken = true
    this.#isIndexFull = isForWantOfSpace(error)
    this.#troubles.set('index', describe(error))
  }

  noteDamaged(entry: DamagedEntry): void {
    this.#options.onDamaged(entry)
    if (!this.#damage.note(entry) || this.#damage.size > LOGGED_DAMAGE_MAX) return
    this.#options.log.error({ event: 'entry.unreadable', ...entry }, 'an entry that the node holds cannot be read')
  }

  health(): BookieHealth {
    const reasons = [...this.#troubles].map(([step, reason]) => `${step}: ${reason}`)
    for (const failure of this.#journalFailures.values()) reasons.push(`journal: ${describe(failure)}`)
    if (this.isDeclaredReadOnly) reasons.push('an operator made the node read-only')
    if (this.#space.isLow) reasons.push('disk: free space is below readOnlyBelowBytes')
    if (this.quarantinedCount > 0) reasons.push(`${this.quarantinedCount} ledgers are unknown to the metadata store`)
    reasons.push(...this.#damage.reasons)
    if (this.isReadOnly) return { state: 'read-only', reasons }
    return { state: this.#options.journals.isRunning && !this.#isIndexBroken ? 'writable' : 'failed', reasons }
  }

  /** Starts what is due and not under way. */
  async tick(): Promise<void> {
    if (this.#isClosing) return
    this.#caring ??= this.#care().finally(() => {
      this.#caring = undefined
    })
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
    this.#scrubber.startIfDue()
    await Promise.all([this.#caring, this.#working])
  }

  /** A whole round of both from now on. */
  async round(): Promise<void> {
    await Promise.all([this.#caring, this.#working])
    await this.#step('index', () => this.#flush())
    await this.tick()
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#collector.close()
    this.#relocator.hurry()
    await Promise.all([this.#caring, this.#working, this.#scrubber.close()])
    await this.#step('index', () => this.#flush())
  }

  async #care(): Promise<void> {
    const { clock, settings, journals } = this.#options
    await this.#checkSpace()
    if (this.#isIndexBroken) await this.#step('index', () => this.#reopenIndex())
    for (const member of journals.members) if (!member.journal.isRunning) await this.#resumeJournal(member)
    const isDue = clock.nowMs() - this.#flushedMs >= settings.indexFlushMs
    if (isDue && !this.#isIndexBroken) await this.#step('index', () => this.#flush())
    for (const { journal } of journals.members) {
      journal.shrink()
      if (!this.#space.isLow) journal.markIfIdle()
    }
  }

  #checkSpace(): Promise<void> {
    return this.#step('disk', () => this.#space.check({ isIndexFull: this.#isIndexFull }))
  }

  async #work(): Promise<void> {
    await this.#step('watermark', () => this.#tellSequence())
    await this.#step('deletions', () => this.#collector.round())
    if (this.#isIndexBroken) return
    const { index } = this.#options
    if (this.#damage.size > 0) await this.#step('damage', () => this.#damage.review(index, REVIEWED_PER_ROUND))
    await this.#step('move', () => this.#moveJournals())
    await this.#step('compaction', () => this.#compact())
    this.#relocator.rest()
  }

  async #tellSequence(): Promise<void> {
    const { volume, journals, clock, settings } = this.#options
    const nowMs = clock.nowMs()
    if (nowMs - this.#toldMs < settings.tellSequenceMs) return
    await volume.tell(journals.extent)
    this.#toldMs = nowMs
  }

  /** What fails is kept for `health`, logged once, and tried again in a later round. */
  async #step(name: string, run: () => Promise<void>): Promise<void> {
    try {
      await run()
      this.#troubles.delete(name)
    } catch (error) {
      const reason = describe(error)
      if (this.#troubles.get(name) !== reason) {
        this.#options.log.warn({ event: 'housekeeping.failed', step: name, err: error }, 'a background step failed')
      }
      this.#troubles.set(name, reason)
    }
  }

  async #resumeJournal(member: JournalMember): Promise<void> {
    const { journal, files } = member
    if (this.#space.isLow || !journal.isIdle) return
    try {
      await files.startAfresh()
      journal.resume()
      this.#journalFailures.delete(member)
      this.#options.log.info({ event: 'journal.resumed', file: files.active.number }, 'the disk takes writes again')
    } catch (error) {
      this.#journalFailures.set(member, error)
    }
  }

  /** Everything synced by now is in the index when it resolves: one under way began too early for that. */
  #flush(): Promise<void> {
    const { writer, clock, position } = this.#options
    if (this.#isIndexBroken) return Promise.resolve()
    const flush = writer
      .flush(() => {
        this.#unindexedBytes = 0
        this.#flushedMs = clock.nowMs()
        return position()
      })
      .catch((error: unknown) => {
        this.noteIndexFailure(error)
        throw error
      })
      .finally(() => {
        if (this.#flushing === flush) this.#flushing = undefined
      })
    this.#flushing = flush
    return flush
  }

  /** For those who go on only when the index has everything: a broken one would make them ask again and again. */
  async #flushWhole(): Promise<void> {
    await this.#flush()
    if (this.#isIndexBroken) throw new Error('the index failed and is not open again')
  }

  /** After a failed write the store refuses all others: it is opened again, and what it has counts. */
  async #reopenIndex(): Promise<void> {
    const { index, files, reopenStore } = this.#options
    await index.store.close()
    const store = await reopenStore()
    index.replaceStore(store)
    for (const file of files.all) {
      const row = await store.get(fileKey(file.number))
      file.liveBytes = row === undefined ? 0 : decodeFileRow(row).liveBytes
    }
    this.#isIndexBroken = false
    this.#isIndexFull = false
    await this.#flush()
  }

  #journalBytes(): number {
    let bytes = 0
    for (const file of this.#options.files.all) if (file.kind === 'journal') bytes += file.end
    return bytes
  }

  /** The oldest journal files whose turn has come: too many bytes, too old, or nothing live. */
  async #moveJournals(): Promise<void> {
    const { files, settings, journals, clock } = this.#options
    const oldestMs = clock.nowMs() - settings.journalAgeMsMax
    for (const { files: own, journal } of journals.members) {
      if (own.active.sinceMs < oldestMs && !journal.isBare) journal.roll()
    }
    for (;;) {
      const sealed = [...files.all].filter(file => file.kind === 'journal' && this.#isSealed(file))
      const able = sealed.filter(file => !this.#isBlocked(file)).sort((a, b) => a.number - b.number)
      const isOver = this.#journalBytes() > settings.journalBytesMax
      const isIndexed = this.#unindexedBytes === 0 && this.#flushing === undefined
      const isDead = (file: StoredFile): boolean => file.liveBytes <= 0 && isIndexed && isFirstOf(able, file)
      const due = able.find(file => isOver || file.sinceMs < oldestMs || isDead(file))
      if (due === undefined || this.#isClosing || this.#isIndexBroken) return
      if (!isFollowed(due, [...files.all])) {
        await journals.in(due.directory)?.journal.mark()
        if (!isFollowed(due, [...files.all])) return // what is under way will say it, or the disk fails
      }
      if (!(await this.#relocate([due]))) return
    }
  }

  /** Nothing is written to the journal file any more. One of a directory that is no journal's now is not. */
  #isSealed({ directory, number }: StoredFile): boolean {
    return this.#options.journals.in(directory)?.files.isSealed(number) ?? true
  }

  async #compact(): Promise<void> {
    const { files, settings } = this.#options
    const ratio = settings.compactBelowLiveRatio
    const sparse = [...files.all]
      .filter(file => file.kind === 'entry-log' && file.isOpen !== true && !this.#isBlocked(file))
      .filter(file => this.#settled.get(file.number) !== file.liveBytes)
      .filter(file => file.liveBytes < file.totalBytes * ratio)
      .sort((a, b) => a.liveBytes / a.totalBytes - b.liveBytes / b.totalBytes)
    const chosen: StoredFile[] = []
    let bytes = 0
    for (const file of sparse) {
      bytes += file.liveBytes
      if (chosen.length > 0 && bytes > COMPACTED_BYTES_MAX) break
      chosen.push(file)
    }
    if (chosen.length > 0 && !this.#isClosing) await this.#relocate(chosen)
  }

  /** False: one of them is damaged; it is kept as it is. */
  async #relocate(sources: readonly StoredFile[]): Promise<boolean> {
    await this.#flush()
    if (this.#isIndexBroken) return false
    try {
      const made = await this.#relocator.relocate(sources)
      if (made !== undefined) this.#settled.set(made.number, made.liveBytes)
    } catch (error) {
      const isDamage = bookieErrors.is(error, 'JOURNAL_DAMAGED') || bookieErrors.is(error, 'ENTRY_LOG_DAMAGED')
      if (!isDamage) throw error
      for (const file of sources) {
        if (file.path === error.details['file']) this.#blocked.set(file.number, this.#damage.acquitted)
      }
      this.#troubles.set(`file ${String(error.details['file'])}`, describe(error))
      return false
    }
    for (const file of sources) {
      this.#troubles.delete(`file ${file.path}`)
      await this.#drop(file)
    }
    return true
  }

  /** It could not be moved, and nothing was repaired since. */
  #isBlocked({ number }: StoredFile): boolean {
    return this.#blocked.get(number) === this.#damage.acquitted
  }

  /** Nothing refers to the file any more, durably. A journal file waits for reuse if there is need of it. */
  async #drop(file: StoredFile): Promise<void> {
    const { disk, files, journals, onFileGone } = this.#options
    files.remove(file.number)
    this.#blocked.delete(file.number)
    this.#settled.delete(file.number)
    onFileGone(file.number)
    const journalFiles = file.kind === 'journal' ? journals.in(file.directory)?.files : undefined
    if (journalFiles?.hasRoomForSpares === true) {
      const name = `${String(file.number).padStart(10, '0')}.spare`
      await disk.rename(file.path, join(file.directory, name))
      await disk.syncDirectory(file.directory)
      journalFiles.addSpare(name)
      return
    }
    await disk.remove(file.path)
    await disk.syncDirectory(file.directory)
  }
}

function rootCause(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootCause(error.cause) : error
}

/**
 * Journal files of a directory go from the oldest on: without an index they are all there is to tell records that are missing from
 * records that are not needed.
 */
function isFirstOf(files: readonly StoredFile[], { directory, number }: StoredFile): boolean {
  return files.every(other => other.directory !== directory || other.number >= number)
}

/**
 * Has a later file of the same journal a record? With the last one gone, a start without the index could not tell how far the
 * journal was, and would have to believe that the volume was rolled back.
 */
function isFollowed({ directory, number }: StoredFile, files: readonly StoredFile[]): boolean {
  const later = files.filter(file => file.kind === 'journal' && file.directory === directory && file.number > number)
  return later.some(({ end }) => end > FILE_HEADER_BYTES)
}

function isForWantOfSpace(error: unknown): boolean {
  return systemCode(rootCause(error)) === 'ENOSPC'
}

function describe(error: unknown): string {
  const cause = rootCause(error)
  const text = reasonOf(error)
  return cause === error || !(cause instanceof Error) ? text : `${text} (${cause.message})`
}
