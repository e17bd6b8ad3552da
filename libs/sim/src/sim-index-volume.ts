import type { Random } from './random.ts'

export interface SimIndexChange {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

export interface SimIndexRow {
  readonly key: Buffer
  readonly value: Buffer
}

/** A change as it is kept: the key as text, the value a copy. */
interface Kept {
  readonly name: string
  readonly value: Buffer | undefined
}

/**
 * The content of an ordered store with LevelDB's promise: batches are atomic, and after a crash a first part of them is
 * there, at least up to the last one that was written with `sync`.
 */
export class SimIndexVolume {
  #rows = new Map<string, Buffer>()
  #durable = new Map<string, Buffer>()
  #unsynced: (readonly Kept[])[] = []
  /** The names of all rows, if somebody asked for their order since they were last replaced as a whole. */
  #sorted: string[] | undefined
  /** It was made, and not lost since. */
  isThere = false

  get(key: Buffer): Buffer | undefined {
    return this.#rows.get(key.toString('latin1'))
  }

  write(changes: readonly SimIndexChange[], isSynced: boolean): void {
    const kept: Kept[] = []
    for (const { key, value } of changes) {
      const change = { name: key.toString('latin1'), value: value === undefined ? undefined : Buffer.from(value) }
      kept.push(change)
      this.#keepOrder(change)
      put(this.#rows, change)
    }
    this.#unsynced.push(kept)
    if (!isSynced) return
    for (const batch of this.#unsynced) for (const change of batch) put(this.#durable, change)
    this.#unsynced = []
  }

  scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): SimIndexRow[] {
    this.#sorted ??= [...this.#rows.keys()].sort()
    const sorted = this.#sorted
    const to = options.to.toString('latin1')
    const rows: SimIndexRow[] = []
    for (let at = placeOf(sorted, options.from.toString('latin1')); at < sorted.length; at++) {
      const name = sorted[at] ?? ''
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

  /** Before the change is made. */
  #keepOrder({ name, value }: Kept): void {
    const sorted = this.#sorted
    if (sorted === undefined || this.#rows.has(name) === (value !== undefined)) return
    sorted.splice(placeOf(sorted, name), value === undefined ? 1 : 0, ...(value === undefined ? [] : [name]))
  }
}

/** Of the first name that is not below `name`. */
function placeOf(sorted: readonly string[], name: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}

function put(rows: Map<string, Buffer>, { name, value }: Kept): void {
  if (value === undefined) rows.delete(name)
  else rows.set(name, value)
}
