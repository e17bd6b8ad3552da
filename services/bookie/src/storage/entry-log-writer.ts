import { join } from 'node:path'
import type { Disk, DiskFile } from '../disk/disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES, fileName } from '../format/file-header.ts'

const WRITE_BYTES = 4 * 1024 * 1024
/** Synced as it goes: what lies in the page cache until the end would be written at once, and the journal's syncs wait for that. */
const SYNC_BYTES = 8 * 1024 * 1024
/** Most moves of a small node are smaller than one write. */
const FIRST_BUFFER_BYTES = 64 * 1024

/**
 * Writes one entry log, in large writes. Nothing refers to it before `finish` has synced it and its directory entry; one
 * that was never finished is removed at the next start.
 */
export class EntryLogWriter {
  readonly path: string
  readonly number: number
  readonly #disk: Disk
  readonly #directory: string
  readonly #file: DiskFile
  /** Doubles up to `WRITE_BYTES`. */
  #buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES)
  #buffered: number
  #written = 0
  #syncedTo = 0

  private constructor(options: { disk: Disk; directory: string; number: number; volumeId: string; file: DiskFile }) {
    const { disk, directory, number, volumeId, file } = options
    this.#disk = disk
    this.#directory = directory
    this.number = number
    this.path = file.path
    this.#file = file
    encodeFileHeader({ kind: 'entry-log', number, volumeId }).copy(this.#buffer)
    this.#buffered = FILE_HEADER_BYTES
  }

  static async create(options: {
    disk: Disk
    directory: string
    number: number
    volumeId: string
  }): Promise<EntryLogWriter> {
    const path = join(options.directory, fileName('entry-log', options.number))
    const file = await options.disk.open(path, { create: true })
    return new EntryLogWriter({ ...options, file })
  }

  get directory(): string {
    return this.#directory
  }

  /** Where the next record goes. */
  get end(): number {
    return this.#written + this.#buffered
  }

  /** `record`: whole, padding included; not kept. */
  async append(record: Buffer): Promise<void> {
    if (!this.#makeRoom(record.length)) await this.#flush()
    if (record.length > this.#buffer.length) {
      await this.#write(record)
      return
    }
    record.copy(this.#buffer, this.#buffered)
    this.#buffered += record.length
  }

  /** Durable, name included, when it resolves. */
  async finish(): Promise<void> {
    await this.#flush()
    await this.#file.sync()
    await this.#file.close()
    await this.#disk.syncDirectory(this.#directory)
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined)
    await this.#disk.remove(this.path).catch(() => undefined)
  }

  /** False: the buffer is as large as it gets, and full. */
  #makeRoom(bytes: number): boolean {
    const needed = this.#buffered + bytes
    if (needed <= this.#buffer.length) return true
    if (needed > WRITE_BYTES) return false
    let size = this.#buffer.length
    while (size < needed) size *= 2
    const grown = Buffer.allocUnsafeSlow(size)
    this.#buffer.copy(grown, 0, 0, this.#buffered)
    this.#buffer = grown
    return true
  }

  async #flush(): Promise<void> {
    const buffered = this.#buffer.subarray(0, this.#buffered)
    this.#buffered = 0
    await this.#write(buffered)
  }

  async #write(bytes: Buffer): Promise<void> {
    const offset = this.#written
    this.#written += bytes.length
    await this.#file.write(bytes, offset)
    if (this.#written - this.#syncedTo < SYNC_BYTES) return
    await this.#file.sync()
    this.#syncedTo = this.#written
  }
}
