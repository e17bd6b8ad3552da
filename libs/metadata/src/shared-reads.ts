import type { MetadataRecord, MetadataStore } from './metadata-store.ts'

/** Shared reads on their way at once: while they are, what comes gathers for the next. */
const UNDER_WAY_MAX = 4
/** A value may have 64 KB: an answer stays below what gRPC takes by default. */
export const KEYS_AT_ONCE_MAX = 32

/** A store that reads many keys in one round trip. */
export interface ManyReader {
  /** In the order of the keys, as of one revision. @throws MetadataError as `get` does */
  getMany(keys: readonly string[]): Promise<(MetadataRecord | undefined)[]>
}

interface Waiting {
  readonly resolve: (record: MetadataRecord | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Reads of single keys that arrive together share a round trip. Each is asked after it came, so it stays linearizable. */
export class SharedReads {
  readonly #store: MetadataStore & ManyReader
  #waiting = new Map<string, Waiting[]>()
  #underWayCount = 0
  #isScheduled = false

  constructor(store: MetadataStore & ManyReader) {
    this.#store = store
  }

  get(key: string): Promise<MetadataRecord | undefined> {
    return new Promise((resolve, reject) => {
      const same = this.#waiting.get(key)
      if (same === undefined) this.#waiting.set(key, [{ resolve, reject }])
      else same.push({ resolve, reject })
      this.#schedule()
    })
  }

  /** At the end of the turn: whatever else it asks goes with it. */
  #schedule(): void {
    if (this.#isScheduled || this.#underWayCount >= UNDER_WAY_MAX || this.#waiting.size === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#ask()
      this.#schedule()
    })
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const asked = this.#take()
    const keys = asked.map(([key]) => key)
    const [only] = keys
    if (only === undefined) return
    this.#underWayCount += 1
    try {
      const records = keys.length === 1 ? [await this.#store.get(only)] : await this.#store.getMany(keys)
      asked.forEach(([, waiting], index) => {
        for (const { resolve } of waiting) resolve(records[index])
      })
    } catch (error) {
      for (const [, waiting] of asked) for (const { reject } of waiting) reject(error)
    } finally {
      this.#underWayCount -= 1
      this.#schedule()
    }
  }

  #take(): [string, Waiting[]][] {
    const taken: [string, Waiting[]][] = []
    for (const entry of this.#waiting) {
      if (taken.length === KEYS_AT_ONCE_MAX) break
      taken.push(entry)
    }
    for (const [key] of taken) this.#waiting.delete(key)
    return taken
  }
}

export function isManyReader(store: MetadataStore): store is MetadataStore & ManyReader {
  return 'getMany' in store
}
