import { strict as assert } from 'node:assert'
import type { Clock, LedgerId, Logger } from '@strata/base'
import type { Disk, DiskLane } from '../disk/disk.ts'
import { FILE_HEADER_BYTES } from '../format/file-header.ts'
import type { JournalPosition } from '../index/rows.ts'
import type { RecoveredJournal } from '../recovery.ts'
import type { JournalExtent } from '../volume/watermark.ts'
import { JournalFiles, type JournalFile } from './journal-files.ts'
import { Journal } from './journal.ts'
import type { RecentWrites } from './recent-writes.ts'
import type { WriteBatch } from './write-batch.ts'

export interface JournalSetOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Logger
  readonly volumeId: string
  readonly fileBytes: number
  readonly nextNumber: () => number
  /** Number of a directory within the volume. */
  readonly directoryNumber: (directory: string) => number
  readonly journals: readonly RecoveredJournal[]
  /** A file takes over in its directory. */
  readonly onActive: (file: JournalFile, directory: string) => void
  readonly onGone: (file: JournalFile) => void
}

export interface JournalDoors {
  readonly bufferBytes: number
  readonly bufferBytesMax: number
  readonly groupWaitMs: number
  readonly clock: Clock
  readonly recent: RecentWrites | undefined
  readonly onSynced: (batch: WriteBatch) => void
  readonly onFailed: (error: Error, member: JournalMember) => void
}

/** The journal of one directory, with its own thread to the disk. */
export interface JournalMember {
  readonly directory: string
  readonly lane: DiskLane
  readonly files: JournalFiles
  readonly journal: Journal
  /** Everything before it is synced, and in a tail or the index. */
  position: JournalPosition
  /** Number of the file that its last record is in; 0: it has none. */
  lastFile: number
}

interface Opened {
  readonly directory: string
  readonly lane: DiskLane
  readonly files: JournalFiles
  readonly position: JournalPosition
  readonly lastFile: number
}

/**
 * The journals of a node, one a directory. A ledger's adds and fences all go to one of them, so that their order is kept;
 * one that fails refuses only its own ledgers.
 */
export class JournalSet {
  readonly #opened: readonly Opened[]
  #members: readonly JournalMember[] = []

  private constructor(opened: readonly Opened[]) {
    this.#opened = opened
  }

  static async open(options: JournalSetOptions): Promise<JournalSet> {
    const opened: Opened[] = []
    try {
      for (const recovered of options.journals) opened.push(await openOne(options, recovered))
    } catch (error) {
      for (const { lane, files } of opened) {
        await files.close()
        await lane.close()
      }
      throw error
    }
    return new JournalSet(opened)
  }

  /** Once, before anything else. */
  begin(doors: JournalDoors): void {
    assert(this.#members.length === 0)
    this.#members = this.#opened.map(opened => {
      const { lane, files, position } = opened
      const journal = new Journal({
        ...{ lane, files, sequence: position.sequence, recent: doors.recent },
        bufferBytes: doors.bufferBytes,
        bufferBytesMax: doors.bufferBytesMax,
        groupWaitMs: doors.groupWaitMs,
        clock: doors.clock,
        onSynced: batch => {
          const { number: generation, syncedEnd: offset } = batch.file
          member.position = { directory: position.directory, generation, offset, sequence: batch.endSequence }
          // what ended with the file before has none in this one
          if (offset > FILE_HEADER_BYTES) member.lastFile = generation
          doors.onSynced(batch)
        },
        onFailed: error => {
          doors.onFailed(error, member)
        }
      })
      const member: JournalMember = { ...opened, journal }
      return member
    })
  }

  get members(): readonly JournalMember[] {
    return this.#members
  }

  of(ledgerId: LedgerId): Journal {
    const members = this.#members
    // Ids that follow each other go to different ones, whatever their number: steps of the golden ratio.
    const at =
      members.length === 1 ? 0 : Math.floor(((Math.imul(ledgerId, 0x9e3779b1) >>> 0) / 2 ** 32) * members.length)
    const member = members[at]
    assert(member !== undefined)
    return member.journal
  }

  in(directory: string): JournalMember | undefined {
    return this.#members.find(member => member.directory === directory)
  }

  get positions(): JournalPosition[] {
    return this.#members.map(({ position }) => position)
  }

  get isRunning(): boolean {
    return this.#members.every(({ journal }) => journal.isRunning)
  }

  get extent(): JournalExtent {
    return {
      sequence: this.#members.reduce((sum, { journal }) => sum + journal.syncedSequence, 0),
      file: Math.max(...this.#members.map(({ lastFile }) => lastFile))
    }
  }

  get bufferBytes(): number {
    return this.#members.reduce((sum, { journal }) => sum + journal.bufferBytes, 0)
  }

  get writtenBytes(): number {
    return this.#members.reduce((sum, { journal }) => sum + journal.writtenBytes, 0)
  }

  get syncCount(): number {
    return this.#members.reduce((sum, { journal }) => sum + journal.syncCount, 0)
  }

  get entryBytes(): number {
    return this.#members.reduce((sum, { journal }) => sum + journal.entryBytes, 0)
  }

  async drain(): Promise<void> {
    await Promise.all(this.#members.map(({ journal }) => journal.drain()))
  }

  /** Nothing may be pending. Each journal ends with a record behind which nothing follows. */
  async close(): Promise<void> {
    for (const { journal, files, lane } of this.#members) {
      await journal.close()
      await files.close()
      await lane.close()
    }
  }
}

async function openOne(options: JournalSetOptions, recovered: RecoveredJournal): Promise<Opened> {
  const { disk, clock, log, volumeId, fileBytes, nextNumber, directoryNumber, onActive, onGone } = options
  const { directory, spares, continued, replay } = recovered
  const { sequence, lastFile } = replay
  const lane = disk.openLane()
  const files = new JournalFiles({
    ...{ disk, lane, directory, volumeId, fileBytes, nextNumber, log, spares, clock },
    onActive: file => {
      onActive(file, directory)
    },
    onGone
  })
  try {
    await files.start(continued === undefined ? undefined : { ...continued, sequence })
  } catch (error) {
    await lane.close()
    throw error
  }
  const { number: generation, position: offset } = files.active
  const position = { directory: directoryNumber(directory), generation, offset, sequence }
  return { directory, lane, files, position, lastFile }
}
