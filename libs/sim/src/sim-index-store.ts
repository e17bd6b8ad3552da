import type { Random } from './random.ts'
import type { SimDisk } from './sim-disk.ts'

export interface SimIndexChange {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

export interface SimIndexRow {
  readonly key: Buffer
  readonly value: Buffer
}

/**
 * The content of an ordered store with LevelDB's promise: batches are atomic, and after a crash a first part of them is
 * there, at least up to the last one that was written with `sync`.
 */
export class SimIndexVolume {
  #rows = new Map<string, Buffer>()
  #durable = new Map<string, Buffer>()
  #unsynced: (readonly SimIndexChange[])[] = []
  #sorted: string[] | undefined
  /** It was made, and not lost since. */
  isThere = false

  get(key: Buffer): Buffer | undefined {
    return this.#rows.get(key.toString('latin1'))
  }

  write(changes: readonly SimIndexChange[], isSynced: boolean): void {
    const kept = changes.map(({ key, value }) => ({ key, value: value === undefined ? undefined : Buffer.from(value) }))
    for (const change of kept) {
      const name = change.key.toString('latin1')
      if (change.value === undefined || !this.#rows.has(name)) this.#sorted = undefined
      put(this.#rows, change)
    }
    this.#unsynced.push(kept)
    if (!isSynced) return
    for (const batch of this.#unsynced) for (const change of batch) put(this.#durable, change)
    this.#unsynced = []
  }

  scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): SimIndexRow[] {
    this.#sorted ??= [...this.#rows.keys()].sort()
    const from = options.from.toString('latin1')
    const to = options.to.toString('latin1')
    const rows: SimIndexRow[] = []
    for (const name of this.#sorted) {
      if (name < from) continue
      if (name >= to || rows.length === options.limit) break
      const value = this.#rows.get(name)
      if (value !== undefined) rows.push({ key: Buffer.from(name, 'latin1'), value })
    }
    return rows
  }

  clear(): void {
    this.#rows = new Map()
    this.#durable = new Map()
    this.#unsynced = []
    this.#sorted = undefined
  }

  crash(random: Random): void {
    for (const batch of this.#unsynced.slice(0, random.int(this.#unsynced.length + 1))) {
      for (const change of batch) put(this.#durable, change)
    }
    this.#unsynced = []
    this.#rows = new Map(this.#durable)
    this.#sorted = undefined
  }

  copy(): SimIndexVolume {
    const copy = new SimIndexVolume()
    copy.#durable = new Map(this.#durable)
    copy.#rows = new Map(this.#durable)
    copy.isThere = this.isThere
    return copy
  }
}

const INDEX_MS = 0.03
const INDEX_SYNC_MS = 0.5

/** The store as one process has it open: the shape of the bookie's `IndexStore`. */
export class SimIndexStore {
  readonly #disk: SimDisk
  readonly #content: SimIndexVolume
  /** After a failed write all others fail too, until it is opened again. */
  #isBroken = false

  private constructor(disk: SimDisk) {
    this.#disk = disk
    this.#content = disk.volume.index
  }

  /** Rejects where there is none, or it was damaged, unless a new one is asked for. */
  static open(disk: SimDisk, { isNew }: { readonly isNew: boolean }): Promise<SimIndexStore> {
    return disk.later(INDEX_SYNC_MS, () => {
      const { index } = disk.volume
      if (isNew) {
        index.clear()
        index.isThere = true
      }
      if (!index.isThere) throw new Error('there is no index, or it is damaged')
      return new SimIndexStore(disk)
    })
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#disk.later(INDEX_MS, () => this.getSync(key))
  }

  getSync(key: Buffer): Buffer | undefined {
    this.#check()
    return this.#content.get(key)
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#disk.later(INDEX_MS, () => keys.map(key => this.getSync(key)))
  }

  async write(changes: readonly SimIndexChange[], { sync }: { readonly sync: boolean }): Promise<void> {
    await this.#disk.later(sync ? INDEX_SYNC_MS : INDEX_MS, () => {
      const { trouble, random } = this.#disk.volume
      if (random.chance(trouble.indexErrors)) this.#isBroken = true
      this.#check()
      this.#content.write(changes, sync)
    })
  }

  scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): Promise<SimIndexRow[]> {
    return this.#disk.later(INDEX_MS, () => {
      this.#check()
      return this.#content.scan(options)
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #check(): void {
    if (this.#isBroken) throw new Error('an earlier write to the index failed')
  }
}

function put(rows: Map<string, Buffer>, { key, value }: SimIndexChange): void {
  const name = key.toString('latin1')
  if (value === undefined) rows.delete(name)
  else rows.set(name, value)
}
