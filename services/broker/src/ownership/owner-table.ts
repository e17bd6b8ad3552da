import type { OwnerRow, Source } from './events.ts'

/** How a bundle stands by its row and by which brokers live. */
export type Standing =
  /** Anyone may take it. `failed`: who was to take it and did not. */
  | { readonly kind: 'none'; readonly failed: string | undefined }
  | { readonly kind: 'owned'; readonly owner: string }
  /** The owner lives and has not let go. */
  | { readonly kind: 'moving'; readonly owner: string; readonly next: string; readonly untilMs: number }
  /** Nobody has it; `next` lives and may take it until then. */
  | { readonly kind: 'given'; readonly next: string; readonly untilMs: number }

export interface KnownRow {
  readonly row: OwnerRow
  /** 0 is no version of a row. */
  readonly version: number
  /** When this version was seen here first: its deadline counts from then. */
  readonly seenAtMs: number
}

const WORDS_MAX = 10_000
const NO_TOPICS: readonly string[] = []

/**
 * The rows of all bundles, as far as they are known here. Built so that no order of watch and answers leaves a row standing
 * that was deleted: an answer counts only if it is newer than everything that the watch told.
 */
export class OwnerTable {
  readonly #rows = new Map<string, KnownRow>()
  readonly #words = new Map<string, string>()
  #watchedVersion = 0

  get(bundle: string): KnownRow | undefined {
    return this.#rows.get(bundle)
  }

  entries(): IterableIterator<[string, KnownRow]> {
    return this.#rows.entries()
  }

  /** The row that was known before; `false`: it is no news. */
  apply(change: {
    bundle: string
    row: OwnerRow | undefined
    version: number
    source: Source
    nowMs: number
  }): false | { readonly before: OwnerRow | undefined } {
    const { bundle, row, version, source, nowMs } = change
    if (source === 'answer' && version <= this.#watchedVersion) return false
    if (source === 'watch') this.#watchedVersion = Math.max(this.#watchedVersion, version)
    const known = this.#rows.get(bundle)
    if (known !== undefined && known.version >= version) return false
    if (row === undefined) {
      if (!this.#rows.delete(bundle)) return false
    } else {
      // a part of a key holds on to all of it, and a whole number needs no place of its own
      const key = known === undefined ? Buffer.from(bundle).toString() : bundle
      this.#rows.set(key, { row: this.#compact(row), version, seenAtMs: Math.ceil(nowMs) })
    }
    return { before: known?.row }
  }

  /** Words that many rows have are kept once; a row that names no topics has no list of its own. */
  #compact(row: OwnerRow): OwnerRow {
    return {
      owner: this.#shared(row.owner),
      next: this.#shared(row.next),
      sinceMs: row.sinceMs,
      movingMs: row.movingMs,
      reason: this.#shared(row.reason),
      loadedTopics: row.loadedTopics.length === 0 ? NO_TOPICS : row.loadedTopics
    }
  }

  #shared(word: string): string {
    const known = this.#words.get(word)
    if (known !== undefined) return known
    if (this.#words.size >= WORDS_MAX) this.#words.clear() // registrations come and go
    this.#words.set(word, word)
    return word
  }

  standing(bundle: string, isAlive: (instance: string) => boolean, nowMs: number): Standing {
    const known = this.#rows.get(bundle)
    if (known === undefined) return { kind: 'none', failed: undefined }
    const { owner, next, movingMs } = known.row
    const untilMs = known.seenAtMs + movingMs
    if (owner !== '' && isAlive(owner)) {
      return next === '' ? { kind: 'owned', owner } : { kind: 'moving', owner, next, untilMs }
    }
    if (next === '' || !isAlive(next)) return { kind: 'none', failed: undefined }
    return nowMs < untilMs ? { kind: 'given', next, untilMs } : { kind: 'none', failed: next }
  }
}
