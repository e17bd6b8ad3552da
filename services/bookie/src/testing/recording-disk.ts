import { basename, dirname, join } from 'node:path'
import { asError } from '@strata/base'
import type { Disk, DiskFile, DiskLane, LaneWrite } from '../disk/disk.ts'
import type { IndexChange, IndexRow, IndexStore } from '../index/index-store.ts'

/** A file's content, apart from its names. */
class Inode {
  bytes: Buffer = Buffer.alloc(0)
}

type Operation =
  | { readonly kind: 'write'; readonly inode: Inode; readonly offset: number; readonly data: Buffer; isLost: boolean }
  | { readonly kind: 'truncate'; readonly inode: Inode; readonly size: number }
  | { readonly kind: 'sync'; readonly inode: Inode }
  | { readonly kind: 'link'; readonly directory: string; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'unlink'; readonly directory: string; readonly name: string }
  | { readonly kind: 'rename'; readonly directory: string; readonly from: string; readonly to: string }
  | { readonly kind: 'sync-directory'; readonly directory: string }
  | { readonly kind: 'index'; readonly changes: readonly IndexChange[]; readonly sync: boolean }

/** What a test may make fail: returns a system error's code. */
export type Fault = (operation: { kind: 'write' | 'sync' | 'create' | 'index'; path: string }) => string | undefined

export type Random = () => number

/** Unsynced writes reach the disk in pieces of this size, in any order, or not at all. */
const SECTOR_BYTES = 512

/**
 * Files and an index store in memory that remember every operation, so that the state after a power failure can be made
 * for any moment: what was synced is there; of the rest, each sector and each name may be or not.
 */
export class RecordingDisk implements Disk {
  readonly operations: Operation[] = []
  readonly #names = new Map<string, Inode>()
  readonly #rows: Map<string, Buffer>
  fault: Fault = () => undefined
  free = 1e12

  constructor(image?: { names: Map<string, Inode>; rows: Map<string, Buffer> }) {
    for (const [path, inode] of image?.names ?? []) this.#names.set(path, inode)
    this.#rows = image?.rows ?? new Map<string, Buffer>()
    // What an image holds was found on the disk: it is durable.
    for (const [path, inode] of this.#names) {
      this.operations.push({ kind: 'link', directory: dirname(path), name: basename(path), inode })
      this.operations.push({ kind: 'write', inode, offset: 0, data: Buffer.from(inode.bytes), isLost: false })
      this.operations.push({ kind: 'sync', inode }, { kind: 'sync-directory', directory: dirname(path) })
    }
    this.operations.push({ kind: 'index', changes: rowsOf(this.#rows), sync: true })
  }

  get paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  contentOf(path: string): Buffer {
    const inode = this.#names.get(path)
    if (inode === undefined) throw systemError('ENOENT', path)
    return inode.bytes
  }

  /** The same files, with nothing of their past. `change` may damage one. */
  copy(change: (path: string, bytes: Buffer) => Buffer = (_, bytes) => bytes): RecordingDisk {
    const names = new Map<string, Inode>()
    for (const [path, inode] of this.#names) {
      const copied = new Inode()
      copied.bytes = Buffer.from(change(path, Buffer.from(inode.bytes)))
      names.set(path, copied)
    }
    return new RecordingDisk({ names, rows: new Map(this.#rows) })
  }

  dropIndex(): void {
    this.#rows.clear()
  }

  /** The disk after a power failure behind the first `cut` operations. */
  crashImage(cut: number, random: Random): RecordingDisk {
    const operations = this.operations.slice(0, cut)
    const inodes = new Map<Inode, Inode>()
    const copyOf = (inode: Inode): Inode => {
      const known = inodes.get(inode) ?? new Inode()
      inodes.set(inode, known)
      return known
    }
    for (const inode of new Set(operations.flatMap(operation => ('inode' in operation ? [operation.inode] : [])))) {
      copyOf(inode).bytes = contentAfterCrash(operations, inode, random)
    }
    return new RecordingDisk({
      names: namesAfterCrash(operations, copyOf, random),
      rows: rowsAfterCrash(operations, random)
    })
  }

  async open(path: string, { create }: { readonly create: boolean }): Promise<DiskFile> {
    await tick()
    let inode = this.#names.get(path)
    if (inode === undefined) {
      if (!create) throw systemError('ENOENT', path)
      this.#check('create', path)
      inode = new Inode()
      this.#names.set(path, inode)
      this.operations.push({ kind: 'link', directory: dirname(path), name: basename(path), inode })
    }
    return new RecordingFile(this, path, inode)
  }

  async list(directory: string): Promise<string[]> {
    await tick()
    return this.paths.filter(path => dirname(path) === directory).map(path => basename(path))
  }

  async makeDirectory(): Promise<void> {
    await tick()
  }

  async rename(from: string, to: string): Promise<void> {
    await tick()
    const inode = this.#names.get(from)
    if (inode === undefined) throw systemError('ENOENT', from)
    this.#names.delete(from)
    this.#names.set(join(to), inode)
    this.operations.push({ kind: 'rename', directory: dirname(from), from: basename(from), to: basename(to) })
  }

  async remove(path: string): Promise<void> {
    await tick()
    if (!this.#names.delete(path)) throw systemError('ENOENT', path)
    this.operations.push({ kind: 'unlink', directory: dirname(path), name: basename(path) })
  }

  async truncate(path: string, size: number): Promise<void> {
    await tick()
    const inode = this.#names.get(path)
    if (inode === undefined) throw systemError('ENOENT', path)
    inode.bytes = resized(inode.bytes, size)
    this.operations.push({ kind: 'truncate', inode, size }, { kind: 'sync', inode })
  }

  async syncDirectory(directory: string): Promise<void> {
    await tick()
    this.operations.push({ kind: 'sync-directory', directory })
  }

  lock(): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  freeBytes(): Promise<number> {
    return Promise.resolve(this.free)
  }

  openLane(): DiskLane {
    return new RecordingLane(this)
  }

  /** For `openIndexStore`. Rejects where no index was ever written, unless a new one is asked for. */
  openIndexStore = (_: string, { isNew }: { readonly isNew: boolean }): Promise<IndexStore> => {
    if (isNew) this.#rows.clear()
    return Promise.resolve(new RecordingIndexStore(this, this.#rows))
  }

  writeNow(inode: Inode, path: string, from: Uint8Array, offset: number): void {
    this.#check('write', path)
    const data = Buffer.from(from)
    this.operations.push({ kind: 'write', inode, offset, data, isLost: false })
    inode.bytes = resized(inode.bytes, Math.max(inode.bytes.length, offset + data.length))
    data.copy(inode.bytes, offset)
  }

  /** After a failed sync what was written may be gone, and no later sync says anything about it. */
  syncNow(inode: Inode, path: string): void {
    try {
      this.#check('sync', path)
    } catch (error) {
      for (const operation of unsynced(this.operations, inode)) operation.isLost = true
      throw error
    }
    this.operations.push({ kind: 'sync', inode })
  }

  writeIndexNow(changes: readonly IndexChange[], sync: boolean): void {
    this.#check('index', 'index')
    this.operations.push({ kind: 'index', changes, sync })
  }

  #check(kind: Parameters<Fault>[0]['kind'], path: string): void {
    const code = this.fault({ kind, path })
    if (code !== undefined) throw systemError(code, path)
  }
}

class RecordingFile implements DiskFile {
  readonly path: string
  readonly #disk: RecordingDisk
  readonly #inode: Inode

  constructor(disk: RecordingDisk, path: string, inode: Inode) {
    this.#disk = disk
    this.path = path
    this.#inode = inode
  }

  async sizeBytes(): Promise<number> {
    await tick()
    return this.#inode.bytes.length
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    await tick()
    return this.#inode.bytes.copy(into, 0, offset)
  }

  async write(from: Uint8Array, offset: number): Promise<void> {
    await tick()
    this.writeNow(from, offset)
  }

  writeNow(from: Uint8Array, offset: number): void {
    this.#disk.writeNow(this.#inode, this.path, from, offset)
  }

  async sync(): Promise<void> {
    await tick()
    this.syncNow()
  }

  syncNow(): void {
    this.#disk.syncNow(this.#inode, this.path)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

class RecordingLane implements DiskLane {
  readonly #disk: RecordingDisk

  constructor(disk: RecordingDisk) {
    this.#disk = disk
  }

  allocate(bytes: number): Buffer {
    return Buffer.alloc(bytes)
  }

  release(): void {
    return
  }

  writeAndSync({ file, memory, bytes, offset }: LaneWrite, done: (error: Error | undefined) => void): void {
    if (!(file instanceof RecordingFile)) throw new Error('a file of another disk')
    const attempt = (run: () => void): Error | undefined => {
      try {
        run()
        return undefined
      } catch (error) {
        return asError(error)
      }
    }
    const failed = attempt(() => {
      file.writeNow(memory.subarray(0, bytes), offset)
    })
    setImmediate(() => {
      const outcome =
        failed ??
        attempt(() => {
          file.syncNow()
        })
      setImmediate(done, outcome)
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

class RecordingIndexStore implements IndexStore {
  readonly #disk: RecordingDisk
  readonly #rows: Map<string, Buffer>

  constructor(disk: RecordingDisk, rows: Map<string, Buffer>) {
    this.#disk = disk
    this.#rows = rows
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    await tick()
    return this.getSync(key)
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#rows.get(key.toString('latin1'))
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    await tick()
    return keys.map(key => this.getSync(key))
  }

  async write(changes: readonly IndexChange[], { sync }: { readonly sync: boolean }): Promise<void> {
    await tick()
    this.#disk.writeIndexNow(changes, sync)
    for (const change of changes) apply(this.#rows, change)
    await tick()
  }

  async scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): Promise<IndexRow[]> {
    await tick()
    return rowsOf(this.#rows)
      .filter(({ key }) => key.compare(options.from) >= 0 && key.compare(options.to) < 0)
      .sort((a, b) => a.key.compare(b.key))
      .slice(0, options.limit)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function tick(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

function resized(bytes: Buffer, size: number): Buffer {
  if (bytes.length === size) return bytes
  const grown = Buffer.alloc(size)
  bytes.copy(grown)
  return grown
}

function apply(rows: Map<string, Buffer>, { key, value }: IndexChange): void {
  if (value === undefined) rows.delete(key.toString('latin1'))
  else rows.set(key.toString('latin1'), Buffer.from(value))
}

function rowsOf(rows: ReadonlyMap<string, Buffer>): IndexRow[] {
  return [...rows].map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }))
}

type Write = Operation & { kind: 'write' }

function unsynced(operations: readonly Operation[], inode: Inode): Write[] {
  const last = operations.findLastIndex(operation => operation.kind === 'sync' && operation.inode === inode)
  return operations.slice(last + 1).filter((op): op is Write => op.kind === 'write' && op.inode === inode)
}

function contentAfterCrash(operations: readonly Operation[], inode: Inode, random: Random): Buffer {
  const doubtful = new Set(unsynced(operations, inode))
  let bytes: Buffer = Buffer.alloc(0)
  for (const operation of operations) {
    if (!('inode' in operation) || operation.inode !== inode) continue
    if (operation.kind === 'truncate') bytes = resized(bytes, operation.size)
    if (operation.kind !== 'write') continue
    const { data, offset } = operation
    const isCertain = !doubtful.has(operation) && !operation.isLost
    const chance = isCertain ? 1 : ([0, 0.3, 0.7, 1][Math.floor(random() * 4)] ?? 0)
    for (let at = 0; at < data.length;) {
      const end = Math.min(data.length, (Math.floor((offset + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - offset)
      if (chance === 1 || random() < chance) {
        bytes = resized(bytes, Math.max(bytes.length, offset + end))
        data.copy(bytes, offset + at, at, end)
      }
      at = end
    }
  }
  return bytes
}

/** Names change in order; of those that no sync of their directory covers, some first ones have happened. */
function namesAfterCrash(
  operations: readonly Operation[],
  copyOf: (inode: Inode) => Inode,
  random: Random
): Map<string, Inode> {
  const names = new Map<string, Inode>()
  const directories = new Set(operations.flatMap(operation => ('directory' in operation ? [operation.directory] : [])))
  for (const directory of directories) {
    const ours = operations.filter(operation => 'directory' in operation && operation.directory === directory)
    const synced = ours.findLastIndex(operation => operation.kind === 'sync-directory') + 1
    const happened = synced + Math.floor(random() * (ours.length - synced + 1))
    for (const operation of ours.slice(0, happened)) {
      if (operation.kind === 'link') names.set(join(directory, operation.name), copyOf(operation.inode))
      if (operation.kind === 'unlink') names.delete(join(directory, operation.name))
      if (operation.kind !== 'rename') continue
      const inode = names.get(join(directory, operation.from))
      names.delete(join(directory, operation.from))
      if (inode !== undefined) names.set(join(directory, operation.to), inode)
    }
  }
  return names
}

/** A first part of all batches, at least up to the last synced one. */
function rowsAfterCrash(operations: readonly Operation[], random: Random): Map<string, Buffer> {
  const batches = operations.filter(operation => operation.kind === 'index')
  const synced = batches.findLastIndex(batch => batch.sync) + 1
  const happened = synced + Math.floor(random() * (batches.length - synced + 1))
  const rows = new Map<string, Buffer>()
  for (const { changes } of batches.slice(0, happened)) for (const change of changes) apply(rows, change)
  return rows
}
