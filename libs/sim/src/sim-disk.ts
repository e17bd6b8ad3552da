import { strict as assert } from 'node:assert'
import { systemError } from './system-error.ts'
import { SECTOR_BYTES, type SimInode } from './sim-inode.ts'
import type { SimProcess } from './sim-process.ts'
import type { SimVolume } from './sim-volume.ts'

/** Free bytes of a disk that is not full. */
const PLENTY_BYTES = 1e12
const NAME_MS = 0.02
const READ_MS = 0.1
const WRITE_MS = 0.05
const SYNC_MS = 0.4
/**
 * How often what only touches memory (names, the page cache) takes time of its own, in which the process may die or others act. It is
 * done at once otherwise, as mostly in the world: every such moment is met, and most seeds do not pay for most of them.
 */
const TAKES_TIME = 0.25

/**
 * A volume as one process has it mounted: the shape of the bookie's `Disk`. Operations take virtual time and complete
 * through the process, so that a killed process hears nothing more; what it asks for later is never answered.
 */
export class SimDisk {
  readonly #volume: SimVolume
  readonly #process: SimProcess
  /** Called behind each sync that succeeded. */
  readonly #onSync: () => void

  constructor(volume: SimVolume, process: SimProcess, onSync: () => void = () => undefined) {
    this.#volume = volume
    this.#process = process
    this.#onSync = onSync
  }

  get volume(): SimVolume {
    return this.#volume
  }

  open(path: string, { create }: { readonly create: boolean }): Promise<SimFile> {
    return this.step(NAME_MS, () => {
      let inode = this.#volume.find(path)
      if (inode === undefined) {
        if (!create) throw this.#volume.absent(path)
        if (this.#volume.trouble.isFull && this.#volume.roomBytes <= 0) throw systemError('ENOSPC', path)
        inode = this.#volume.link(path)
      }
      return new SimFile(this, path, inode)
    })
  }

  list(directory: string): Promise<string[]> {
    return this.step(NAME_MS, () => this.#volume.list(directory))
  }

  makeDirectory(_directory: string): Promise<void> {
    return this.step(NAME_MS, () => undefined)
  }

  rename(from: string, to: string): Promise<void> {
    return this.step(NAME_MS, () => {
      if (!this.#volume.rename(from, to)) throw this.#volume.absent(from)
    })
  }

  remove(path: string): Promise<void> {
    return this.step(NAME_MS, () => {
      if (!this.#volume.unlink(path)) throw this.#volume.absent(path)
    })
  }

  truncate(path: string, bytes: number): Promise<void> {
    return this.later(SYNC_MS, () => {
      const inode = this.#volume.find(path)
      if (inode === undefined) throw this.#volume.absent(path)
      inode.truncate(bytes)
    })
  }

  syncDirectory(directory: string): Promise<void> {
    return this.later(SYNC_MS, () => this.#volume.syncDirectory(directory))
  }

  lock(_directory: string): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  freeBytes(_directory: string): Promise<number> {
    return this.step(NAME_MS, () => (this.#volume.trouble.isFull ? this.#volume.roomBytes : PLENTY_BYTES))
  }

  openLane(): SimLane {
    return new SimLane(this)
  }

  // ------------------------------------------------------------ for files and lanes

  /** A write reaches the page cache when it is asked for, or fails. */
  writeNow(inode: SimInode, path: string, write: { from: Uint8Array; offset: number }): void {
    const { trouble, random } = this.#volume
    if (this.#process.isDead) return
    const growth = write.offset + write.from.length - inode.sizeBytes
    if (trouble.isFull && growth > 0) {
      if (growth > this.#volume.roomBytes) throw systemError('ENOSPC', path)
      this.#volume.roomBytes -= growth
    }
    if (random.chance(trouble.writeErrors)) throw systemError('EIO', path)
    if (trouble.misdirectedWrites > 0 && write.from.length > 0 && inode.sizeBytes > write.from.length) {
      trouble.misdirectedWrites--
      const sectors = Math.ceil((inode.sizeBytes - write.from.length) / SECTOR_BYTES)
      inode.write(write.from, random.int(sectors) * SECTOR_BYTES)
      return
    }
    inode.write(write.from, write.offset)
  }

  readNow(inode: SimInode, path: string, read: { into: Uint8Array; offset: number }): number {
    const { trouble, random } = this.#volume
    if (random.chance(trouble.readErrors)) throw systemError('EIO', path)
    return inode.read(read.into, read.offset)
  }

  /** Covers the writes asked for before it. */
  sync(inode: SimInode, path: string): Promise<void> {
    const count = inode.unsyncedCount
    return this.later(SYNC_MS, () => {
      const { trouble, random } = this.#volume
      if (random.chance(trouble.syncErrors)) {
        inode.failSync(random)
        throw systemError('EIO', path)
      }
      inode.sync(count)
      this.#onSync()
    })
  }

  get writeMs(): number {
    return WRITE_MS
  }

  get readMs(): number {
    return READ_MS
  }

  /** Like `later`, or (mostly) at once. */
  step<Result>(aboutMs: number, run: () => Result): Promise<Result> {
    const { random, trouble } = this.#volume
    if (trouble.slowness !== 1 || this.#process.isDead || random.chance(TAKES_TIME)) return this.later(aboutMs, run)
    try {
      return Promise.resolve(run())
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- handed on as it came
      return Promise.reject(error) // made by `systemError`
    }
  }

  /** Runs `run` after some time, about `aboutMs`, and gives its result; never, if the process is killed before. */
  later<Result>(aboutMs: number, run: () => Result): Promise<Result> {
    const { random, trouble } = this.#volume
    return new Promise((resolve, reject) => {
      this.#process.post(random.skewed(aboutMs * 0.5, aboutMs * 4) * trouble.slowness, () => {
        try {
          resolve(run())
        } catch (error) {
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- handed on as it came
          reject(error) // made by `systemError`
        }
      })
    })
  }
}

export class SimFile {
  readonly path: string
  readonly #disk: SimDisk
  readonly #inode: SimInode

  constructor(disk: SimDisk, path: string, inode: SimInode) {
    this.#disk = disk
    this.path = path
    this.#inode = inode
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#inode.sizeBytes)
  }

  read(into: Uint8Array, offset: number): Promise<number> {
    return this.#disk.step(this.#disk.readMs, () => this.#disk.readNow(this.#inode, this.path, { into, offset }))
  }

  async write(from: Uint8Array, offset: number): Promise<void> {
    this.writeNow(from, offset)
    await this.#disk.step(this.#disk.writeMs, () => undefined)
  }

  writeNow(from: Uint8Array, offset: number): void {
    this.#disk.writeNow(this.#inode, this.path, { from, offset })
  }

  sync(): Promise<void> {
    return this.#disk.sync(this.#inode, this.path)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** One write with its sync at a time. */
export class SimLane {
  readonly #disk: SimDisk
  #isBusy = false

  constructor(disk: SimDisk) {
    this.#disk = disk
  }

  allocate(bytes: number): Buffer {
    return Buffer.alloc(bytes)
  }

  release(_memory: Buffer): void {
    return
  }

  writeAndSync(
    write: { readonly file: unknown; readonly memory: Buffer; readonly bytes: number; readonly offset: number },
    done: (error: Error | undefined) => void
  ): void {
    const { file, memory, bytes, offset } = write
    assert(file instanceof SimFile, 'a file of another disk')
    assert(!this.#isBusy, 'the lane has a job under way')
    this.#isBusy = true
    const finish = (error: Error | undefined): void => {
      this.#isBusy = false
      done(error)
    }
    try {
      file.writeNow(memory.subarray(0, bytes), offset)
    } catch (error) {
      void this.#disk.later(0, () => finish(error as Error)) // made by `systemError`
      return
    }
    file.sync().then(() => finish(undefined), finish)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
