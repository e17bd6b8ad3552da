import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import type { Disk, DiskFile, DiskLane, OpenOptions } from './disk.ts'
import { lockDirectory } from './directory-lock.ts'
import { NodeFile } from './node-file.ts'
import { ThreadLane } from './thread-lane.ts'

/** 0 on a platform that has no such flag: there each write is followed by a sync. */
const DURABLE_WRITES = 'O_DSYNC' in constants ? constants.O_DSYNC : 0

/** Real files through libuv's pool, and a thread of its own for the journal. */
export class NodeDisk implements Disk {
  async open(path: string, { create, direct = false, durableWrites = false }: OpenOptions): Promise<DiskFile> {
    const flags = durableWrites ? DURABLE_WRITES : 0
    const handle = await (direct ? openDirect(path, create, flags) : openHandle(path, create, flags))
    return new NodeFile(path, handle, { isDirect: direct, hasDurableWrites: flags !== 0 })
  }

  async list(directory: string): Promise<string[]> {
    try {
      return await readdir(directory)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
      throw error
    }
  }

  async makeDirectory(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true })
  }

  rename(from: string, to: string): Promise<void> {
    return rename(from, to)
  }

  remove(path: string): Promise<void> {
    return rm(path)
  }

  async truncate(path: string, bytes: number): Promise<void> {
    const handle = await open(path, 'r+')
    try {
      await handle.truncate(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async syncDirectory(directory: string): Promise<void> {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  lock(directory: string): Promise<() => Promise<void>> {
    return lockDirectory(directory)
  }

  async freeBytes(directory: string): Promise<number> {
    const stats = await statfs(directory)
    return stats.bavail * stats.bsize
  }

  openLane(): DiskLane {
    return new ThreadLane()
  }
}

async function openHandle(path: string, create: boolean, flags: number): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | flags)
  } catch (error) {
    if (!create || codeOf(error) !== 'ENOENT') throw error
    return open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | flags)
  }
}

/** Through the page cache where a file system (tmpfs, some network ones) or the platform has nothing else. */
async function openDirect(path: string, create: boolean, flags: number): Promise<FileHandle> {
  try {
    return await openHandle(path, create, flags | ('O_DIRECT' in constants ? constants.O_DIRECT : 0))
  } catch (error) {
    if (codeOf(error) !== 'EINVAL') throw error
    return openHandle(path, create, flags)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
