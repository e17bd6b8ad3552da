import { join } from 'node:path'
import type { Clock, Logger } from '@strata/base'
import { distinctDirectories, entryLogDirectories, journalDirectories, type BookieDirectories } from './bookie-types.ts'
import type { Disk } from './disk/disk.ts'
import { isDigestRight } from './format/digest.ts'
import { decodeFileHeader, FILE_HEADER_BYTES, numberOfName } from './format/file-header.ts'
import { isJournalOnly, RECORD_ALIGNMENT, RECORD_KIND, recordBytes, type RecordHeader } from './format/record.ts'
import type { EntryIndex } from './index/entry-index.ts'
import type { IndexStore } from './index/index-store.ts'
import type { IndexWriter } from './index/index-writer.ts'
import { EntryTail } from './index/entry-tail.ts'
import type { LedgerState } from './index/ledger-state.ts'
import {
  CHECKPOINT_KEY,
  decodeCheckpoint,
  decodeFileRow,
  fileKey,
  rangeOf,
  type Checkpoint,
  type FileRecord
} from './index/rows.ts'
import { replayJournal, type Replay, type ReplayedFile } from './journal/replay.ts'
import type { FileTable } from './storage/file-table.ts'
import { RecordScan } from './storage/record-scan.ts'

export interface RecoveryOptions {
  readonly disk: Disk
  readonly directories: BookieDirectories
  readonly volumeId: string
  readonly files: FileTable
  readonly index: EntryIndex
  readonly writer: IndexWriter
  readonly clock: Clock
  readonly log: Logger
  readonly flushEntries: number
  /** Number of a directory within the volume. */
  readonly directoryNumber: (directory: string) => number
}

/** The journal of one directory, up to its end. */
export interface RecoveredJournal {
  readonly directory: string
  readonly replay: Replay
  /** Files of former use that wait in the journal's directory. */
  readonly spares: string[]
  /** The last journal file, where it may be written on: the node closed it in good order. */
  readonly continued: ReplayedFile | undefined
}

export interface Recovered {
  /** One for each journal directory, in their order. */
  readonly journals: readonly RecoveredJournal[]
  readonly nextNumber: number
  /** Files that the index refers to and that are not there. */
  readonly missingFiles: readonly number[]
  /** The index was made from the files, and an entry log ended before its end. */
  readonly isSuspect: boolean
}

const NOWHERE = { generation: 0, offset: 0, sequence: 0 }
/** A journal file that ends much before its size is cut there, so that many restarts do not fill the disk. */
const SLACK_BYTES_MAX = 256 * 1024

/** The checkpoint of an index that belongs to the volume; undefined: the index must be made anew from the files. */
export async function trustedCheckpoint(store: IndexStore, volumeId: string): Promise<Checkpoint | undefined> {
  const bytes = await store.get(CHECKPOINT_KEY)
  const checkpoint = bytes === undefined ? undefined : decodeCheckpoint(bytes)
  return checkpoint?.volumeId === volumeId ? checkpoint : undefined
}

/**
 * Brings tables and index to where the files are: from the index and what the journal has behind its checkpoint, or,
 * without a checkpoint, from every record of every file.
 *
 * @throws JOURNAL_DAMAGED, UNKNOWN_FORMAT, WRONG_VOLUME, a system error
 */
export async function recover(options: RecoveryOptions, checkpoint: Checkpoint | undefined): Promise<Recovered> {
  const { disk, directories } = options
  const names = (await Promise.all(distinctDirectories(directories).map(directory => disk.list(directory)))).flat()
  let isSuspect = false
  for (const { directory, name } of await entryLogsOf(options)) {
    if (!(await findEntryLog(options, { directory, name, isTrusted: checkpoint !== undefined }))) isSuspect = true
  }
  const journals: RecoveredJournal[] = []
  for (const directory of journalDirectories(directories)) {
    journals.push(await recoverJournal(options, directory, checkpoint))
  }
  const missingFiles = checkpoint === undefined ? [] : await reportMissing(options)
  const numbers = names.map(name => Number.parseInt(name, 10)).filter(Number.isSafeInteger)
  const nextNumber = Math.max(checkpoint?.nextNumber ?? 1, ...numbers.map(number => number + 1))
  return { journals, nextNumber, missingFiles, isSuspect }
}

async function recoverJournal(
  options: RecoveryOptions,
  directory: string,
  checkpoint: Checkpoint | undefined
): Promise<RecoveredJournal> {
  const { disk, directoryNumber } = options
  const journalNames = await disk.list(directory)
  const rows = new Map<number, FileRecord>()
  for (const name of journalNames) {
    const number = numberOfName('journal', name)
    if (number === undefined) continue
    const row = await options.index.store.get(fileKey(number))
    if (row !== undefined && checkpoint !== undefined) rows.set(number, decodeFileRow(row))
    const liveBytes = rows.get(number)?.liveBytes ?? 0
    const path = join(directory, name)
    const sinceMs = options.clock.nowMs()
    options.files.add({ kind: 'journal', number, directory, path, end: 0, liveBytes, totalBytes: 0, sinceMs })
  }
  const replay = await replayJournal({
    disk,
    directory,
    volumeId: options.volumeId,
    from: checkpoint?.positions.find(position => position.directory === directoryNumber(directory)) ?? NOWHERE,
    onRecord: (header, offset, file) => note(options, header, { file, offset })
  })
  const { spares, continued } = await settleFiles(options, replay, rows)
  // A spare's content is written over. Where its new name is lost with the power, what had its old name must still be there.
  await disk.syncDirectory(directory)
  spares.push(...journalNames.filter(name => name.endsWith('.spare')))
  return { directory, replay, spares, continued }
}

/** In the order in which they were made, so that of two copies of an entry the later one counts. */
async function entryLogsOf({ disk, directories }: RecoveryOptions): Promise<{ directory: string; name: string }[]> {
  const found: { directory: string; name: string; number: number }[] = []
  for (const directory of entryLogDirectories(directories)) {
    for (const name of await disk.list(directory)) {
      const number = numberOfName('entry-log', name)
      if (number !== undefined) found.push({ directory, name, number })
    }
  }
  return found.sort((a, b) => a.number - b.number)
}

/**
 * With a trusted index, an entry log without a row was never finished: what it holds is still in the journal.
 * False: it is not certain what it holds.
 */
async function findEntryLog(
  options: RecoveryOptions,
  { directory, name, isTrusted }: { directory: string; name: string; isTrusted: boolean }
): Promise<boolean> {
  const { disk, index, files, clock, log } = options
  const number = numberOfName('entry-log', name) ?? 0
  const path = join(directory, name)
  if (!isTrusted) return indexEntryLog(options, { number, directory, path })
  const row = await index.store.get(fileKey(number))
  if (row === undefined) {
    log.info({ event: 'entry_log.orphan_removed', file: path }, 'removed an entry log that was never finished')
    await disk.remove(path)
    return true
  }
  const { end, liveBytes, totalBytes, isOpen = false } = decodeFileRow(row)
  // An index made anew must not take the torn end of a copy for damage.
  if (isOpen) await disk.truncate(path, end)
  files.add({ kind: 'entry-log', number, directory, path, end, liveBytes, totalBytes, sinceMs: clock.nowMs() })
  return true
}

/** What a missing file held is unreadable, so 'unknown'; a person should know at once. */
async function reportMissing({ index, files, log }: RecoveryOptions): Promise<number[]> {
  const missing: number[] = []
  const { from, to } = rangeOf('f')
  for (const { key, value } of await index.store.scan({ from, to, limit: 1_000_000 })) {
    const file = key.readUInt32BE(1)
    const { kind, liveBytes } = decodeFileRow(value)
    if (files.get(file) !== undefined || liveBytes <= 0) continue
    log.error({ event: 'file.missing', file, kind, liveBytes }, 'a file that the index refers to is missing')
    missing.push(file)
  }
  return missing
}

/** Every record of the entry log into the index. False: it ends before its file does, or has no header. */
async function indexEntryLog(
  options: RecoveryOptions,
  { number, directory, path }: { number: number; directory: string; path: string }
): Promise<boolean> {
  const { disk, files, clock, volumeId } = options
  const file = await disk.open(path, { create: false })
  try {
    const size = await file.sizeBytes()
    if (size < FILE_HEADER_BYTES) {
      // Its first write, which has the header, never came to its end: what it was to hold is where it was.
      await disk.remove(path)
      return true
    }
    const head = Buffer.alloc(FILE_HEADER_BYTES)
    await file.read(head, 0)
    const header = decodeFileHeader(head, path)
    const base = { number, directory, path, liveBytes: 0, totalBytes: 0, sinceMs: clock.nowMs() }
    files.add({ kind: 'entry-log', end: size, ...base })
    if (header?.volumeId !== volumeId) return false
    const scan = new RecordScan((into, offset) => file.read(into, offset), { end: size })
    let end = FILE_HEADER_BYTES
    let isWhole = true
    while (scan.offset < size) {
      const record = await scan.next()
      if (record === undefined) {
        // Which entries stood here, nobody can tell.
        isWhole = false
        scan.offset += RECORD_ALIGNMENT
        if ((await scan.seekHeader()) === undefined) break
        scan.offset -= RECORD_ALIGNMENT
        continue
      }
      const { header, payload } = record
      const isRight = header.kind !== RECORD_KIND.entry || isDigestRight(header, payload)
      // A damaged entry is named all the same, so that it is unknown and not absent, unless a right copy is named already.
      if (isRight || !(await isNamed(options.index, header))) {
        await note(options, header, { file: number, offset: record.offset })
      }
      end = scan.offset
    }
    await file.sync()
    const stored = files.get(number)
    if (stored !== undefined) {
      stored.end = end
      stored.totalBytes = end - FILE_HEADER_BYTES
    }
    return isWhole
  } finally {
    await file.close()
  }
}

async function isNamed(index: EntryIndex, { ledgerId, entryId }: RecordHeader): Promise<boolean> {
  return (await index.locate(index.ledger(ledgerId), entryId)) !== undefined
}

/** One synced record into the tails; now and then they are written to the index. */
function note(
  options: RecoveryOptions,
  header: RecordHeader,
  at: { file: number; offset: number }
): Promise<void> | undefined {
  const { index, writer, flushEntries } = options
  if (isJournalOnly(header.kind)) return undefined
  const ledger = index.ledger(header.ledgerId)
  writer.noteDirty(ledger)
  ledger.isRowStale = true
  if (header.lac > ledger.lac) ledger.lac = header.lac
  if (header.kind === RECORD_KIND.fence) {
    ledger.isFenced = true
    ledger.isFenceSynced = true
    return undefined
  }
  noteEntry(ledger, { entryId: header.entryId, payloadBytes: header.payloadBytes, ...at })
  const stored = options.files.get(at.file)
  if (stored !== undefined) stored.end = at.offset + recordBytes(header.payloadBytes)
  return ++writer.unflushedEntries >= flushEntries ? writer.flushTails() : undefined
}

/** A synced entry into the ledger's tail. */
export function noteEntry(
  ledger: LedgerState,
  entry: { entryId: RecordHeader['entryId']; file: number; offset: number; payloadBytes: number }
): void {
  ledger.tail ??= new EntryTail()
  ledger.tail.append(entry.entryId, entry)
  if (entry.entryId > ledger.lastEntry) ledger.lastEntry = entry.entryId
}

async function settleFiles(
  { disk, files }: RecoveryOptions,
  replay: Replay,
  rows: ReadonlyMap<number, FileRecord>
): Promise<{ spares: string[]; continued: ReplayedFile | undefined }> {
  const spares: string[] = []
  let continued: ReplayedFile | undefined
  for (const found of replay.files) {
    const stored = files.get(found.number)
    if (stored === undefined) continue
    if (found.isEmpty) {
      files.remove(found.number)
      const name = `${String(found.number).padStart(10, '0')}.spare`
      await disk.rename(found.path, join(found.path, '..', name))
      spares.push(name)
      continue
    }
    stored.end = rows.get(found.number)?.end ?? found.end
    if (found.end > stored.end && found.wasRead) stored.end = found.end
    stored.totalBytes = stored.end - FILE_HEADER_BYTES
    continued = found
  }
  const isContinuable = continued?.isSealed === true && continued === replay.files.findLast(file => !file.isEmpty)
  for (const found of replay.files) {
    const isKept = !found.wasRead || found.isEmpty || (found === continued && isContinuable)
    if (!isKept && found.sizeBytes > found.end + SLACK_BYTES_MAX) await disk.truncate(found.path, found.end)
  }
  return { spares, continued: isContinuable ? continued : undefined }
}
