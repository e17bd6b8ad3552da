import { mkdir, open, readdir, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import type { Disk, DiskFile, DiskLane } from './disk.ts'
import { lockDirectory } from './directory-lock.ts'
import { NodeFile } from './node-file.ts'
import { ThreadLane } from './thread-lane.ts'

/** Real files through libuv's pool, and a thread of its own for the journal. */
export class NodeDisk implements Disk {
  async open(path: string, { create }: { readonly create: boolean }): Promise<DiskFile> {
    return new NodeFile(path, await openHandle(path, create))
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

async function openHandle(path: string, create: boolean): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!create || !absent) throw error
    return open(path, 'wx+')
  }
}
