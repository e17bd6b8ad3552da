import { entryLogDirectories, journalDirectories, type BookieDirectories } from '../bookie-types.ts'
import type { Disk } from './disk.ts'

export interface FreeSpace {
  readonly directory: string
  readonly freeBytes: number
}

/**
 * Where the node stops first: the fullest disk of journal and index, or the emptiest of those that entry logs can go to.
 * @throws a system error of a directory that the node cannot do without
 */
export async function freeForWrites(disk: Disk, directories: BookieDirectories): Promise<FreeSpace> {
  const needed = [...new Set([...journalDirectories(directories), directories.index])]
  const logs = await freeOfLogs(disk, directories)
  const others = await Promise.all(
    needed.map(async directory => ({ directory, freeBytes: await disk.freeBytes(directory) }))
  )
  const roomiest = logs.reduce((most, space) => (space.freeBytes > most.freeBytes ? space : most))
  return others.reduce((least, space) => (space.freeBytes < least.freeBytes ? space : least), roomiest)
}

/** Where the next entry log goes: the directory with most room; the first of equal ones. */
export async function roomiestLogDirectory(disk: Disk, directories: BookieDirectories): Promise<string> {
  if (entryLogDirectories(directories).length === 1) return directories.entryLogs
  const logs = await freeOfLogs(disk, directories)
  return logs.reduce((most, space) => (space.freeBytes > most.freeBytes ? space : most)).directory
}

/** One that cannot be asked has no room: the others go on. */
function freeOfLogs(disk: Disk, directories: BookieDirectories): Promise<FreeSpace[]> {
  const logs = entryLogDirectories(directories)
  return Promise.all(
    logs.map(async directory => ({ directory, freeBytes: await disk.freeBytes(directory).catch(() => 0) }))
  )
}
