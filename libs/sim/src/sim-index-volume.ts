import type { Random } from './random.ts'

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

  /** It is gone, or not made yet. */
  clear(): void {
    this.isThere = false
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

function put(rows: Map<string, Buffer>, { key, value }: SimIndexChange): void {
  const name = key.toString('latin1')
  if (value === undefined) rows.delete(name)
  else rows.set(name, value)
}
