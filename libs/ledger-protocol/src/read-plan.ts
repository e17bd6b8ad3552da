import { strict as assert } from 'node:assert'
import type { BookieId } from '@strata/base'

/** What a node said instead of the entry. `corrupt`: it gave bytes that do not carry their digest. */
export type ReadMiss = 'absent' | 'unknown' | 'corrupt' | 'unreachable'

/** Why nobody gave an entry. */
export type ReadVerdict = 'NO_SUCH_ENTRY' | 'UNAVAILABLE' | 'CORRUPT'

/**
 * Whom to ask for an entry, and what may be concluded from those who do not have it. Pure; the shell asks, and sets the
 * timer after which a second node is asked while the first one is silent. The first valid answer ends it.
 *
 * Invariants
 *   D1  Nobody is asked twice.
 *   D2  An entry is called absent only when its whole write set says so with authority. What is read was confirmed: one node that denies it
 *       was damaged in a way that it could not know of, and is no reason not to ask the others. (Recovery, which decides about what
 *       may never have been confirmed, counts.)
 *   D3  Nothing is concluded while somebody who may have it was not asked, or has not answered.
 */
export class ReadPlan {
  readonly #unasked: BookieId[]
  readonly #asked = new Set<BookieId>()
  readonly #misses = new Map<BookieId, ReadMiss>()

  /** `order` is the entry's write set, best first. */
  constructor(order: readonly BookieId[]) {
    this.#unasked = [...order]
  }

  /** The next node to ask: at first, after a miss, and when one has been silent for long. undefined: all were. */
  next(): BookieId | undefined {
    const bookie = this.#unasked.shift()
    if (bookie !== undefined) this.#asked.add(bookie)
    return bookie
  }

  /** Is there anybody to turn to, if those who were asked stay silent? */
  get hasMore(): boolean {
    return this.#unasked.length > 0
  }

  onMiss(bookie: BookieId, miss: ReadMiss): void {
    assert(this.#asked.has(bookie) && !this.#misses.has(bookie))
    this.#misses.set(bookie, miss)
  }

  /** undefined: it is too early to say. */
  get verdict(): ReadVerdict | undefined {
    const misses = [...this.#misses.values()]
    if (this.#unasked.length > 0 || misses.length < this.#asked.size) return undefined
    if (misses.every(miss => miss === 'absent')) return 'NO_SUCH_ENTRY'
    return misses.includes('corrupt') ? 'CORRUPT' : 'UNAVAILABLE'
  }
}
