import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import type { Disk } from '../disk/disk.ts'

const NAME = 'reserve'
const PIECE_BYTES = 1024 * 1024
/** Written at a time, so that making it holds up nothing else for long. */
const MADE_AT_ONCE_BYTES = 16 * PIECE_BYTES

/**
 * A file that means nothing and takes room, to be given up when the disk is full: deletes and the index need some to make
 * room at all. Its bytes do not compress, or it would keep nothing back.
 */
export class ReserveFile {
  readonly directory: string
  readonly bytes: number
  readonly #disk: Disk
  readonly #path: string
  /** undefined: not looked yet. */
  #heldBytes: number | undefined

  constructor(options: { readonly disk: Disk; readonly directory: string; readonly bytes: number }) {
    this.#disk = options.disk
    this.directory = options.directory
    this.#path = join(options.directory, NAME)
    this.bytes = options.bytes
  }

  get heldBytes(): number {
    return this.#heldBytes ?? 0
  }

  get isWhole(): boolean {
    return this.heldBytes >= this.bytes
  }

  /** How much of it there is; to be called before anything else. */
  async look(): Promise<void> {
    if (this.#heldBytes !== undefined) return
    try {
      const file = await this.#disk.open(this.#path, { create: false })
      try {
        this.#heldBytes = await file.sizeBytes()
      } finally {
        await file.close()
      }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      this.#heldBytes = 0
    }
  }

  /** Makes a part of what is missing. @throws a system error; then none of it is held */
  async grow(): Promise<void> {
    const piece = randomBytes(Math.min(PIECE_BYTES, this.bytes))
    const stop = Math.min(this.bytes, this.heldBytes + MADE_AT_ONCE_BYTES)
    try {
      const file = await this.#disk.open(this.#path, { create: true })
      try {
        for (let at = this.heldBytes; at < stop; at += piece.length) {
          await file.write(piece.subarray(0, Math.min(piece.length, stop - at)), at)
        }
        await file.sync()
        this.#heldBytes = stop
      } finally {
        await file.close()
      }
    } catch (error) {
      await this.release().catch(() => undefined)
      throw error
    }
  }

  /** Gives the room back. */
  async release(): Promise<void> {
    try {
      await this.#disk.remove(this.#path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
    this.#heldBytes = 0
    await this.#disk.syncDirectory(this.directory)
  }
}
