import { strict as assert } from 'node:assert'
import type { Disk, DiskFile } from '../disk/disk.ts'
import type { FileKind } from '../format/file-header.ts'

/** A journal file or entry log that holds records. */
export interface StoredFile {
  readonly kind: FileKind
  readonly number: number
  readonly directory: string
  readonly path: string
  /** Where its readable (synced) records end. */
  end: number
  /** Bytes of records that the index points at; for entries not indexed yet it is not counted. */
  liveBytes: number
  /** Bytes of all its records. */
  totalBytes: number
  /** Monotonic, when it was made or found. */
  readonly sinceMs: number
  /** An entry log that copies are still written to. */
  isOpen?: boolean
}

const HANDLES_MAX = 64

interface Handle {
  readonly file: Promise<DiskFile>
  users: number
  isRetired: boolean
}

/**
 * Every file that records can be read from, and a bounded set of open handles.
 *
 * Invariant: a handle is closed only when nobody reads through it, and then a removed file's number never comes back.
 */
export class FileTable {
  readonly #files = new Map<number, StoredFile>()
  readonly #cached: FileHandles
  readonly #direct: FileHandles

  constructor(disk: Disk) {
    this.#cached = new FileHandles(path => disk.open(path, { create: false }))
    this.#direct = new FileHandles(path => disk.open(path, { create: false, direct: true }))
  }

  get all(): IterableIterator<StoredFile> {
    return this.#files.values()
  }

  get(number: number): StoredFile | undefined {
    return this.#files.get(number)
  }

  add(file: StoredFile): void {
    assert(!this.#files.has(file.number), `file ${file.number} is already there`)
    this.#files.set(file.number, file)
  }

  /** Forgets the file; reads under way end on their own handle. */
  remove(number: number): void {
    this.#files.delete(number)
    this.#cached.retire(number)
    this.#direct.retire(number)
  }

  /** Fills `into` from `offset`; fewer bytes at the end of the file. @throws a system error; ENOENT if it was removed. */
  read(number: number, into: Uint8Array, offset: number): Promise<number> {
    return this.#cached.read(this.#at(number), into, offset)
  }

  /** The same past the page cache: whole blocks, into block memory. For what is much, and is not read again soon. */
  readBlocks(number: number, into: Uint8Array, offset: number): Promise<number> {
    return this.#direct.read(this.#at(number), into, offset)
  }

  async close(): Promise<void> {
    await Promise.all([this.#cached.close(), this.#direct.close()])
  }

  #at(number: number): FileAt {
    return { number, path: this.#files.get(number)?.path }
  }
}

interface FileAt {
  readonly number: number
  /** undefined: it was removed. */
  readonly path: string | undefined
}

/** Those that were used last stay open. */
class FileHandles {
  readonly #open: (path: string) => Promise<DiskFile>
  readonly #handles = new Map<number, Handle>()

  constructor(open: (path: string) => Promise<DiskFile>) {
    this.#open = open
  }

  async read(at: FileAt, into: Uint8Array, offset: number): Promise<number> {
    const handle = this.#handleOf(at)
    handle.users++
    try {
      return await (await handle.file).read(into, offset)
    } finally {
      handle.users--
      if (handle.isRetired && handle.users === 0) await closeHandle(handle)
    }
  }

  async close(): Promise<void> {
    const handles = [...this.#handles.values()]
    this.#handles.clear()
    for (const handle of handles) handle.isRetired = true
    await Promise.all(handles.filter(handle => handle.users === 0).map(closeHandle))
  }

  #handleOf({ number, path }: FileAt): Handle {
    const known = this.#handles.get(number)
    if (known !== undefined) {
      this.#handles.delete(number)
      this.#handles.set(number, known)
      return known
    }
    if (path === undefined) throw Object.assign(new Error(`file ${number} was removed`), { code: 'ENOENT' })
    const handle: Handle = { file: this.#open(path), users: 0, isRetired: false }
    handle.file.catch(() => {
      if (this.#handles.get(number) === handle) this.#handles.delete(number)
    })
    this.#handles.set(number, handle)
    if (this.#handles.size > HANDLES_MAX) {
      const [oldest] = this.#handles.keys()
      if (oldest !== undefined) this.retire(oldest)
    }
    return handle
  }

  retire(number: number): void {
    const handle = this.#handles.get(number)
    if (handle === undefined) return
    this.#handles.delete(number)
    handle.isRetired = true
    if (handle.users === 0) void closeHandle(handle)
  }
}

/** A handle that could not be opened has told its reader; closing has nothing to add. */
async function closeHandle(handle: Handle): Promise<void> {
  try {
    await (await handle.file).close()
  } catch {
    return
  }
}
