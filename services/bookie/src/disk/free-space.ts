import { entryLogDirectories, journalDirectories, type BookieDirectories } from '../bookie-types.ts'
import type { Disk } from './disk.ts'

/**
 * Free bytes where the node stops first: on the fullest disk of journal and index, or on the emptiest of those that entry
 * logs can go to.
 */
export async function freeForWrites(disk: Disk, directories: BookieDirectories): Promise<number> {
  const needed = [...journalDirectories(directories), directories.index]
  const logs = await Promise.all(entryLogDirectories(directories).map(directory => disk.freeBytes(directory)))
  const others = await Promise.all(needed.map(directory => disk.freeBytes(directory)))
  return Math.min(...others, Math.max(...logs))
}

/** Where the next entry log goes: the directory with most room; the first of equal ones. */
export async function roomiestLogDirectory(disk: Disk, directories: BookieDirectories): Promise<string> {
  const logs = entryLogDirectories(directories)
  if (logs.length === 1) return directories.entryLogs
  const free = await Promise.all(logs.map(directory => disk.freeBytes(directory).catch(() => -1)))
  return logs[free.indexOf(Math.max(...free))] ?? directories.entryLogs
}
