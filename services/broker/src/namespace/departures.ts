import type { Clock } from '@strata/base'

/** More than this many are not remembered: the oldest go first. About two megabytes. */
const REMEMBERED_MAX = 10_000
/** Clients that lost their topic come back within their longest back-off, a minute; those of a network that was down, later. */
const REMEMBERED_MS = 3_600_000

/** A generation of a topic that this broker deleted of late. */
export interface Departure {
  readonly generation: string
  /** `command`: somebody said so. `unused`: the broker did by itself, because nobody used the topic. */
  readonly reason: 'command' | 'unused'
}

/**
 * Which topics were deleted here of late, and why. A cache of what nothing else remembers, since a deletion leaves nothing
 * behind: what it has forgotten is treated as if it had never been.
 */
export class Departures {
  readonly #clock: Clock
  readonly #byName = new Map<string, Departure & { readonly atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(topic: string, departure: Departure): void {
    this.#byName.delete(topic)
    this.#byName.set(topic, { ...departure, atMs: this.#clock.nowMs() })
    for (const [oldest, { atMs }] of this.#byName) {
      if (this.#byName.size <= REMEMBERED_MAX && this.#clock.nowMs() - atMs < REMEMBERED_MS) break
      this.#byName.delete(oldest)
    }
  }

  /** The last one of this name. */
  of(topic: string): Departure | undefined {
    const departure = this.#byName.get(topic)
    if (departure === undefined || this.#clock.nowMs() - departure.atMs >= REMEMBERED_MS) return undefined
    return departure
  }
}
