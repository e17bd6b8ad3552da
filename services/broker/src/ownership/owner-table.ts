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

/**
 * The rows of all bundles, as far as they are known here. Built so that no order of watch and answers leaves a row standing
 * that was deleted: an answer counts only if it is newer than everything that the watch told.
 */
export class OwnerTable {
  readonly #rows = new Map<string, KnownRow>()
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
    } else this.#rows.set(bundle, { row, version, seenAtMs: nowMs })
    return { before: known?.row }
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
