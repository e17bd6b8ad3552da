import { dirname, join } from 'node:path'
import type { Random } from './random.ts'
import { SimIndexVolume } from './sim-index-volume.ts'
import { SimInode, SpareMemory } from './sim-inode.ts'
import { systemError } from './system-error.ts'

type NameChange =
  | { readonly kind: 'link'; readonly path: string; readonly inode: SimInode }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }

/** What goes wrong with a volume now. Chances are per operation; all zero and false: a healthy disk. */
export interface DiskTrouble {
  writeErrors: number
  syncErrors: number
  readErrors: number
  indexErrors: number
  /** The next writes that go to a wrong place. */
  misdirectedWrites: number
  /** Others took all the room: there is no more than what is given back meanwhile. */
  isFull: boolean
  /** Latency is multiplied by it. */
  slowness: number
}

const HEALTHY: Readonly<DiskTrouble> = {
  writeErrors: 0,
  syncErrors: 0,
  readErrors: 0,
  indexErrors: 0,
  misdirectedWrites: 0,
  isFull: false,
  slowness: 1
}

/**
 * One disk of the simulated world, with its files and the index store on it. It outlives the processes that use it.
 *
 * Invariants
 *   D1  After `crash`: every synced write is there; of each unsynced one, any sectors or none; the names of a directory
 *       are as after some first part of the changes since its last sync.
 *   D2  Without `crash` nothing is lost, and readers see every write at once.
 */
export class SimVolume {
  readonly trouble: DiskTrouble = { ...HEALTHY }
  readonly random: Random
  index = new SimIndexVolume()
  #names = new Map<string, SimInode>()
  #durableNames = new Map<string, SimInode>()
  /** What a full disk still takes. */
  roomBytes = 0
  readonly #absences = new Map<string, Error>()
  readonly #spare = new SpareMemory()
  /** Changes of names since the last sync, by directory. */
  #unsynced = new Map<string, NameChange[]>()

  constructor(random: Random) {
    this.random = random
  }

  get usedBytes(): number {
    let bytes = 0
    for (const inode of this.#names.values()) bytes += inode.sizeBytes
    return bytes
  }

  /** Of all its files, in no order. */
  get paths(): string[] {
    return [...this.#names.keys()]
  }

  find(path: string): SimInode | undefined {
    return this.#names.get(path)
  }

  /** That there is nothing at `path`. One for all who look there: nodes do it often, and making an error is dear. */
  absent(path: string): Error {
    let absence = this.#absences.get(path)
    if (absence === undefined) this.#absences.set(path, (absence = systemError('ENOENT', path)))
    return absence
  }

  link(path: string): SimInode {
    const inode = new SimInode(this.#spare)
    this.#names.set(path, inode)
    this.#change(path, { kind: 'link', path, inode })
    return inode
  }

  unlink(path: string): boolean {
    if (this.trouble.isFull) this.roomBytes += this.#names.get(path)?.sizeBytes ?? 0
    if (!this.#names.delete(path)) return false
    this.#change(path, { kind: 'unlink', path })
    return true
  }

  rename(from: string, to: string): boolean {
    const inode = this.#names.get(from)
    if (inode === undefined) return false
    this.#names.delete(from)
    this.#names.set(to, inode)
    this.#change(from, { kind: 'rename', from, to })
    return true
  }

  list(directory: string): string[] {
    const names: string[] = []
    for (const path of this.#names.keys()) {
      const at = path.lastIndexOf('/')
      if (at === directory.length && path.startsWith(directory)) names.push(path.slice(at + 1))
    }
    return names.sort()
  }

  syncDirectory(directory: string): void {
    for (const change of this.#unsynced.get(directory) ?? []) apply(this.#durableNames, change)
    this.#unsynced.delete(directory)
  }

  /** Power fails. What was not synced is there in part. */
  crash(): void {
    const { random } = this
    for (const changes of this.#unsynced.values()) {
      for (const change of changes.slice(0, random.int(changes.length + 1))) apply(this.#durableNames, change)
    }
    this.#unsynced.clear()
    const survivors = new Map<SimInode, SimInode>()
    for (const [path, inode] of this.#durableNames) {
      let survivor = survivors.get(inode)
      if (survivor === undefined) {
        survivor = inode.afterCrash(random)
        survivors.set(inode, survivor)
      }
      this.#durableNames.set(path, survivor)
    }
    this.#names = new Map(this.#durableNames)
    this.index.crash(random)
  }

  heal(): void {
    Object.assign(this.trouble, HEALTHY)
    this.roomBytes = 0
  }

  /** The disk as it is on the medium, to come back to: a snapshot that somebody restores. */
  snapshot(): SimVolume {
    const copy = new SimVolume(this.random)
    for (const [path, inode] of this.#durableNames) copy.#durableNames.set(path, inode.copy())
    copy.#names = new Map(copy.#durableNames)
    copy.index = this.index.copy()
    return copy
  }

  /** Puts another volume's content in place of its own. */
  restore(from: SimVolume): void {
    const copy = from.snapshot()
    this.#names = copy.#names
    this.#durableNames = copy.#durableNames
    this.#unsynced.clear()
    this.index = copy.index
  }

  /** Everything under `directory` is gone, or everything there is. */
  wipe(directory = '/'): void {
    const isThere = (path: string): boolean => path.startsWith(directory)
    for (const names of [this.#names, this.#durableNames]) {
      for (const path of [...names.keys()]) if (isThere(path)) names.delete(path)
    }
    for (const path of [...this.#unsynced.keys()]) if (isThere(join(path, '/'))) this.#unsynced.delete(path)
    if (directory === '/') this.index = new SimIndexVolume()
  }

  /** Flips a bit of some file; undefined: there is none. */
  rot(): string | undefined {
    const files = [...this.#names].filter(([, inode]) => inode.sizeBytes > 0)
    if (files.length === 0) return undefined
    const [path, inode] = this.random.pick(files)
    inode.flipBit(this.random)
    return path
  }

  #change(path: string, change: NameChange): void {
    const directory = dirname(path)
    const changes = this.#unsynced.get(directory)
    if (changes === undefined) this.#unsynced.set(directory, [change])
    else changes.push(change)
  }
}

function apply(names: Map<string, SimInode>, change: NameChange): void {
  switch (change.kind) {
    case 'link':
      names.set(change.path, change.inode)
      return
    case 'unlink':
      names.delete(change.path)
      return
    case 'rename': {
      const inode = names.get(change.from)
      names.delete(change.from)
      if (inode !== undefined) names.set(change.to, inode)
    }
  }
}
