import type { PeerAnswer } from './events.ts'

/** Counts since the process began: only what changed between two looks matters. */
export interface StorageCounts {
  /** Publications and logs that storage took. */
  readonly stored: number
  /** Publications that wait for storage now. */
  readonly waiting: number
  /** Logs that could not be taken. */
  readonly failures: number
}

/** Nothing was stored for so long while something waits: storage is asked whether it is there. */
const PROBE_AFTER_MS = 1_500
/** A broker that gave its bundles up is given some again once it reached storage for so long, without a break. */
const RETURN_AFTER_MS = 10_000

/**
 * Whether a broker should give up its bundles because it does not reach the storage nodes: what was seen in, what is to be done
 * out. Pure. Something waits and nothing is stored (`onLook`); then storage is asked, each time (`onProbed`), since one that
 * is slow is no better for another broker; once that lasted for `giveUpMs` the peers are asked (`onPeers`). The bundles go
 * only if one of them reaches storage: where nobody does there is no point in it.
 */
export class StorageReach {
  readonly #giveUpMs: number
  #stored = 0
  #failures = 0
  /** Of the last look at which something was stored, or nothing waited; set once neither is so. */
  #stalledSinceMs: number | undefined
  #lookedAtMs = 0
  #reachedSinceMs: number | undefined
  #hasGivenUp = false

  constructor(options: { giveUpMs: number }) {
    this.#giveUpMs = options.giveUpMs
  }

  /** Its bundles are elsewhere until it reaches storage again. */
  get hasGivenUp(): boolean {
    return this.#hasGivenUp
  }

  onLook(counts: StorageCounts, nowMs: number): 'none' | 'probe' {
    const lookedAtMs = this.#lookedAtMs
    const hasStored = counts.stored !== this.#stored
    const hasFailed = counts.failures !== this.#failures
    this.#stored = counts.stored
    this.#failures = counts.failures
    this.#lookedAtMs = nowMs
    if (this.#hasGivenUp) return 'probe'
    if (hasStored) this.#stalledSinceMs = undefined
    else if (counts.waiting > 0 || hasFailed) this.#stalledSinceMs ??= lookedAtMs
    // what waited may have failed by now: only what is stored, or storage that answers, ends it
    return this.#stalledSinceMs !== undefined && nowMs - this.#stalledSinceMs >= PROBE_AFTER_MS ? 'probe' : 'none'
  }

  /** @param reaches do as many nodes answer as must have an entry? */
  onProbed(reaches: boolean, nowMs: number): 'none' | 'ask-peers' | 'return' {
    if (this.#hasGivenUp) return this.#onProbedAway(reaches, nowMs)
    if (reaches) this.#stalledSinceMs = undefined
    return this.#stalledSinceMs !== undefined && nowMs - this.#stalledSinceMs >= this.#giveUpMs ? 'ask-peers' : 'none'
  }

  onPeers(answers: readonly PeerAnswer[]): 'none' | 'give-up' {
    if (this.#stalledSinceMs === undefined || this.#hasGivenUp || !answers.includes('reaches')) return 'none'
    this.#stalledSinceMs = undefined
    this.#reachedSinceMs = undefined
    this.#hasGivenUp = true
    return 'give-up'
  }

  #onProbedAway(reaches: boolean, nowMs: number): 'none' | 'return' {
    if (!reaches) this.#reachedSinceMs = undefined
    else this.#reachedSinceMs ??= nowMs
    if (this.#reachedSinceMs === undefined || nowMs - this.#reachedSinceMs < RETURN_AFTER_MS) return 'none'
    this.#hasGivenUp = false
    return 'return'
  }
}
