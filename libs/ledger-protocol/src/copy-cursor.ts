import { strict as assert } from 'node:assert'
import type { EntryId } from '@strata/base'
import type { EntryRange } from './repair-plan.ts'

/** What a node asks another one for at once: entries of a range, each so many ids behind the one before. */
export interface CopyStretch extends EntryRange {
  /** About, of payloads. */
  readonly bytes: number
}

export interface CopyLimits extends EntryRange {
  /** From each entry's id to the next one's. */
  readonly every: number
  /** Payload bytes after which no more is begun. */
  readonly bytesMax: number
  /** Of one stretch, about. */
  readonly stretchBytes: number
}

/** Before the size of an entry is known. */
const FIRST_ENTRIES = 256
const STRETCH_ENTRIES_MAX = 4_096

/**
 * Cuts a range of entries into stretches that are fetched beside each other, and tells how far all of them are there.
 *
 * Invariants
 *   C1  Every entry before `next` was given; what was given behind one that was not does not count.
 *   C2  Past one that failed nothing more is begun.
 */
export class CopyCursor {
  readonly #limits: CopyLimits
  readonly #open = new Set<CopyStretch>()
  /** The first entry that nobody was asked for. */
  #from: number
  /** The first entry that could not be had. */
  #failed = Infinity
  #isStopped = false
  #entries = 0
  #bytes = 0

  constructor(limits: CopyLimits) {
    assert(limits.every >= 1 && limits.stretchBytes >= 1)
    this.#limits = limits
    this.#from = limits.first
  }

  /** Payload bytes that were given. */
  get bytes(): number {
    return this.#bytes
  }

  /** Every entry before this one was given. */
  get next(): EntryId {
    let next = Math.min(this.#from, this.#failed)
    for (const { first } of this.#open) next = Math.min(next, first)
    return next as EntryId
  }

  /** The next stretch to ask for; undefined: there is none, or enough for now. */
  take(): CopyStretch | undefined {
    const { last, every, bytesMax, stretchBytes } = this.#limits
    if (this.#isStopped || this.#from > last) return undefined
    let begun = this.#bytes
    for (const { bytes } of this.#open) begun += bytes
    if (begun >= bytesMax) return undefined
    const entryBytes = this.#entries === 0 ? stretchBytes / FIRST_ENTRIES : Math.max(1, this.#bytes / this.#entries)
    const most = Math.min(STRETCH_ENTRIES_MAX, Math.floor((last - this.#from) / every) + 1)
    const count = Math.max(1, Math.min(most, Math.floor(stretchBytes / entryBytes)))
    const first = this.#from as EntryId
    const stretch = { first, last: (first + (count - 1) * every) as EntryId, bytes: Math.ceil(count * entryBytes) }
    this.#from = stretch.last + every
    this.#open.add(stretch)
    return stretch
  }

  /** So many of its entries, from the first on, are there. What is left of it is to be asked for again. */
  give(stretch: CopyStretch, { count, bytes }: { count: number; bytes: number }): CopyStretch | undefined {
    assert(this.#open.delete(stretch) && count > 0)
    this.#entries += count
    this.#bytes += bytes
    const first = (stretch.first + count * this.#limits.every) as EntryId
    if (first > stretch.last) return undefined
    const left = { first, last: stretch.last, bytes: Math.max(1, stretch.bytes - bytes) }
    this.#open.add(left)
    return left
  }

  /** Its entries cannot be had now. */
  fail(stretch: CopyStretch): void {
    assert(this.#open.delete(stretch))
    this.#failed = Math.min(this.#failed, stretch.first)
    this.#isStopped = true
  }

  /** Nothing more is begun. */
  stop(): void {
    this.#isStopped = true
  }
}
