/**
 * The only door to files. Production passes `NodeDisk`; tests a disk that records, tears and fails.
 * Every promise rejects with a system error (`code` such as ENOSPC or EIO); nothing is retried here.
 */
export interface Disk {
  /** @throws with code ENOENT unless `create` */
  open(path: string, options: OpenOptions): Promise<DiskFile>
  /** Names (not paths) in any order; empty for a directory that does not exist. */
  list(directory: string): Promise<string[]>
  makeDirectory(directory: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Cuts the file at `bytes`; durable when it resolves. */
  truncate(path: string, bytes: number): Promise<void>
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): Promise<void>
  /**
   * Takes the directory for this process; resolves to what gives it back.
   * @throws BookieError DIRECTORY_IN_USE, DIRECTORY_UNWRITABLE
   */
  lock(directory: string): Promise<() => Promise<void>>
  freeBytes(directory: string): Promise<number>
  /** The journal's own way to the disk, which waits for nobody else's reads or writes. */
  openLane(): DiskLane
}

export interface OpenOptions {
  readonly create: boolean
  /** Past the page cache, where the file system can. Then reads and writes are of whole blocks, from and into `blockMemory`. */
  readonly direct?: boolean
  /**
   * Each write is durable when it is done, as if `sync` followed it (open(2), O_DSYNC): one system call for both, and one
   * request to a disk that can write through its cache.
   */
  readonly durableWrites?: boolean
}

export interface DiskFile {
  readonly path: string
  sizeBytes(): Promise<number>
  /** Fills `into` from `offset`; returns fewer bytes only at the end of the file. */
  read(into: Uint8Array, offset: number): Promise<number>
  /** Writes all of `from`. Not durable before `sync`. */
  write(from: Uint8Array, offset: number): Promise<void>
  /** Data, and what is needed to read it back (size, extents). */
  sync(): Promise<void>
  close(): Promise<void>
}

/** `bytes` and `offset` are multiples of BLOCK_BYTES. */
export interface LaneWrite {
  readonly file: DiskFile
  /** Memory from `allocate` of the same lane; not to be touched until `done`. */
  readonly memory: Buffer
  readonly bytes: number
  readonly offset: number
}

/** One write with its sync at a time. */
export interface DiskLane {
  /** Memory that the lane can write from. */
  allocate(bytes: number): Buffer
  /** Gives memory back; it must not be under way. */
  release(memory: Buffer): void
  /** Writes the first `bytes` of `memory` at `offset` and syncs. `done` is called once, never within this call. */
  writeAndSync(write: LaneWrite, done: (error: Error | undefined) => void): void
  close(): Promise<void>
}
