import { resolve } from 'node:path'
import type { BookieDirectories } from '../bookie-types.ts'
import type { BookieSettings } from '../settings.ts'
import { startError } from './errors.ts'
import type { BookieServerSettings } from './settings.ts'

const MIB = 1024 * 1024
/** So much less than the room at which adds are refused that what it gives back is not taken for room. */
const RESERVE_RATIO = 1 / 8

/** @throws DISK_UNUSABLE: a list that names no directory, or one twice */
export function directoriesOf(settings: BookieServerSettings): BookieDirectories {
  const [journal, ...moreJournals] = listOf(settings.journalDirectories, 'journalDirectories')
  const [entryLogs, ...moreEntryLogs] = listOf(settings.ledgerDirectories, 'ledgerDirectories')
  const indexes: [string, ...string[]] =
    settings.indexDirectories === '' ? [entryLogs] : listOf(settings.indexDirectories, 'indexDirectories')
  const [index, ...others] = indexes
  if (others.length > 0) {
    const line = `indexDirectories=${settings.indexDirectories}: name one directory; the index is small`
    throw startError('DISK_UNUSABLE', line)
  }
  return { journal, entryLogs, index, moreJournals, moreEntryLogs }
}

function listOf(value: string, key: string): [string, ...string[]] {
  const paths = value.split(',').map(path => path.trim())
  const [first, ...others] = paths.map(path => resolve(path))
  if (first === undefined || paths.includes('') || new Set([first, ...others]).size < paths.length) {
    throw startError('DISK_UNUSABLE', `${key}=${value}: name directories, each once, with commas between them`)
  }
  return [first, ...others]
}

export function storageSettingsOf(settings: BookieServerSettings): Partial<BookieSettings> {
  const reserve = settings.strataDiskReserveMB * MIB
  return {
    journalFileBytes: settings.journalMaxSizeMB * MIB,
    journalBytesMax: settings.strataJournalTotalMB * MIB,
    journalGroupWaitMs: settings.journalMaxGroupWaitMSec,
    moveBytesPerSecond: settings.compactionRateByBytes,
    scrubBytesPerSecond: settings.strataScrubRateMB * MIB,
    scrubIntervalMs: settings.localScrubInterval === 0 ? Infinity : settings.localScrubInterval * 1000,
    recentBytes: settings.strataRecentWritesMB * MIB,
    readOnlyBelowBytes: reserve,
    reserveBytes: reserve * RESERVE_RATIO,
    startFreeBytesMin: reserve
  }
}
