/** Topics that are stored and not loaded. */
export interface StoredTopics {
  topics: number
  /** Of all their entries, one copy of each. */
  bytes: number
}

const NONE: Readonly<StoredTopics> = { topics: 0, bytes: 0 }

/**
 * What namespaces keep in topics that nobody uses, as the last whole pass over the stored topics of this broker found it. Costs
 * nothing besides: that pass looks at each log anyway.
 */
export class StoredBook {
  #last = new Map<string, StoredTopics>()
  #running = new Map<string, StoredTopics>()

  onSwept(namespace: string, bytes: number): void {
    const own = this.#running.get(namespace) ?? { topics: 0, bytes: 0 }
    this.#running.set(namespace, own)
    own.topics++
    own.bytes += bytes
  }

  /** The pass is over; one that was cut short tells nothing. */
  onPass(isWhole: boolean): void {
    if (isWhole) this.#last = this.#running
    this.#running = new Map()
  }

  of(namespace: string): Readonly<StoredTopics> {
    return this.#last.get(namespace) ?? NONE
  }

  namespaces(): Iterable<string> {
    return this.#last.keys()
  }
}
