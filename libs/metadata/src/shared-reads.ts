import { strict as assert } from 'node:assert'
import type { MetadataRecord, MetadataStore, ScanPage } from './metadata-store.ts'

/** Shared reads on their way at once: while they are, what comes gathers for the next. */
const UNDER_WAY_MAX = 4
/** A value may have 64 KB: an answer stays below what gRPC takes by default. */
export const KEYS_AT_ONCE_MAX = 32

/** A store that reads many keys in one round trip. */
export interface ManyReader {
  /** In the order of the keys, as of one revision. @throws MetadataError as `get` does */
  getMany(keys: readonly string[]): Promise<(MetadataRecord | undefined)[]>
}

/** A store that reads many short folders in one round trip. */
export interface ManyScanner {
  /** For each prefix what `scan` gives of it. @throws MetadataError as `scan` does */
  scanMany(prefixes: readonly string[]): Promise<ScanPage[]>
}

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * Reads that arrive together, of single keys or of short folders, share a round trip. Each is asked after it came, so it stays
 * linearizable.
 */
export class SharedReads<Answer> {
  readonly #askOne: (key: string) => Promise<Answer>
  readonly #askMany: (keys: readonly string[]) => Promise<Answer[]>
  #waiting = new Map<string, Waiting<Answer>[]>()
  #underWayCount = 0
  #isScheduled = false

  constructor(ask: { one: (key: string) => Promise<Answer>; many: (keys: readonly string[]) => Promise<Answer[]> }) {
    this.#askOne = ask.one
    this.#askMany = ask.many
  }

  get(key: string): Promise<Answer> {
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
      const answers = keys.length === 1 ? [await this.#askOne(only)] : await this.#askMany(keys)
      assert.equal(answers.length, asked.length)
      for (const [index, answer] of answers.entries())
        for (const { resolve } of asked[index]?.[1] ?? []) resolve(answer)
    } catch (error) {
      for (const [, waiting] of asked) for (const { reject } of waiting) reject(error)
    } finally {
      this.#underWayCount -= 1
      this.#schedule()
    }
  }

  #take(): [string, Waiting<Answer>[]][] {
    const taken: [string, Waiting<Answer>[]][] = []
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

export function isManyScanner(store: MetadataStore): store is MetadataStore & ManyScanner {
  return 'scanMany' in store
}
