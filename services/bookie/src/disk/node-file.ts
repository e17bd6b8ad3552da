import { strict as assert } from 'node:assert'
import type { FileHandle } from 'node:fs/promises'
import type { DiskFile } from './disk.ts'

export class NodeFile implements DiskFile {
  readonly path: string
  /** The kernel syncs each write before it says that it is done. */
  readonly hasDurableWrites: boolean
  readonly #handle: FileHandle

  constructor(path: string, handle: FileHandle, hasDurableWrites: boolean) {
    this.path = path
    this.hasDurableWrites = hasDurableWrites
    this.#handle = handle
  }

  /** Valid in every thread of the process. */
  get descriptor(): number {
    return this.#handle.fd
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    let done = 0
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, offset + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  async write(from: Uint8Array, offset: number): Promise<void> {
    let done = 0
    while (done < from.length) {
      const { bytesWritten } = await this.#handle.write(from, done, from.length - done, offset + done)
      assert(bytesWritten > 0, 'a write made no progress')
      done += bytesWritten
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
