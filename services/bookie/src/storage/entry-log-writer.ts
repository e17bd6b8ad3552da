import { join } from 'node:path'
import type { Disk, DiskFile } from '../disk/disk.ts'
import { encodeFileHeader, FILE_HEADER_BYTES, fileName } from '../format/file-header.ts'
import { MOVE_PIECE_BYTES, type MoveMemory } from './move-memory.ts'

/** Most moves of a small node are smaller than one write. */
const FIRST_BUFFER_BYTES = 64 * 1024

interface EntryLogWriterOptions {
  readonly disk: Disk
  /** Lent until the log is finished or abandoned. */
  readonly memory: MoveMemory
  readonly directory: string
  readonly volumeId: string
  readonly number: number
}

/**
 * Writes one entry log. Nothing refers to it before `finish` has synced it and its directory entry; one that was never finished is
 * removed at the next start.
 *
 * What is larger than one write goes past the page cache: dirty pages would be written in bursts, which the journal's writes wait for,
 * and cost more to make than the disk to write.
 */
export class EntryLogWriter {
  readonly path: string
  readonly number: number
  readonly #disk: Disk
  readonly #directory: string
  readonly #memory: MoveMemory
  readonly #file: DiskFile
  /** The same file, once there is more than one write of it. */
  #direct: DiskFile | undefined
  /** Doubles up to one write, for which there is block memory. */
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES)
  #buffered: number
  /** Whole blocks. */
  #written = 0

  private constructor(options: EntryLogWriterOptions, file: DiskFile) {
    const { disk, memory, directory, number, volumeId } = options
    this.#disk = disk
    this.#memory = memory
    this.#directory = directory
    this.number = number
    this.path = file.path
    this.#file = file
    encodeFileHeader({ kind: 'entry-log', number, volumeId }).copy(this.#buffer)
    this.#buffered = FILE_HEADER_BYTES
  }

  static async create(options: EntryLogWriterOptions): Promise<EntryLogWriter> {
    const path = join(options.directory, fileName('entry-log', options.number))
    const file = await options.disk.open(path, { create: true })
    return new EntryLogWriter(options, file)
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
    for (let done = 0; done < record.length;) {
      if (this.#buffered === this.#buffer.length && !this.#grow()) await this.#writeBlocks()
      const copied = record.copy(this.#buffer, this.#buffered, done)
      this.#buffered += copied
      done += copied
    }
  }

  /** Durable, name included, when it resolves. */
  async finish(): Promise<void> {
    await this.#direct?.close()
    await this.#file.write(this.#buffer.subarray(0, this.#buffered), this.#written)
    await this.#file.sync()
    await this.#file.close()
    await this.#disk.syncDirectory(this.#directory)
  }

  async abandon(): Promise<void> {
    await this.#direct?.close().catch(() => undefined)
    await this.#file.close().catch(() => undefined)
    await this.#disk.remove(this.path).catch(() => undefined)
  }

  /** False: it is as large as it gets. */
  #grow(): boolean {
    const size = this.#buffer.length * 2
    if (size > MOVE_PIECE_BYTES) return false
    const grown = size === MOVE_PIECE_BYTES ? this.#memory.piece : Buffer.allocUnsafeSlow(size)
    this.#buffer.copy(grown, 0, 0, this.#buffered)
    this.#buffer = grown
    return true
  }

  /** The buffer is full, and of whole blocks. */
  async #writeBlocks(): Promise<void> {
    this.#direct ??= await this.#disk.open(this.path, { create: false, direct: true })
    await this.#direct.write(this.#buffer, this.#written)
    this.#written += this.#buffered
    this.#buffered = 0
  }
}
