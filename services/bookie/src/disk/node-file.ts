import { strict as assert } from 'node:assert'
import type { FileHandle } from 'node:fs/promises'
import { BLOCK_BYTES } from './block-memory.ts'
import type { DiskFile } from './disk.ts'

export class NodeFile implements DiskFile {
  readonly path: string
  /** The kernel syncs each write before it says that it is done. */
  readonly hasDurableWrites: boolean
  readonly #handle: FileHandle
  readonly #isDirect: boolean

  constructor(
    path: string,
    handle: FileHandle,
    { isDirect, hasDurableWrites }: { isDirect: boolean; hasDurableWrites: boolean }
  ) {
    this.path = path
    this.hasDurableWrites = hasDurableWrites
    this.#handle = handle
    this.#isDirect = isDirect
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
      // the end of the file: from within a block nothing is read directly
      if (this.#isDirect && bytesRead % BLOCK_BYTES !== 0) break
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
