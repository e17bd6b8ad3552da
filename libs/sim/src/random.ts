/** A small seeded generator: the same numbers for the same seed, on every machine. Forks are independent of each other. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = mix(seed >>> 0)
  }

  /** Uniform in [0, 1). */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    return mix(this.#state) / 0x1_0000_0000
  }

  /** A generator of its own for `name`: what others draw does not change what it gives. */
  fork(name: string): Random {
    let hash = this.#state
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    return new Random(hash)
  }

  /** An integer in [0, below). */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.int(items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  /** Mostly near `low`, now and then up to `high`. */
  skewed(low: number, high: number): number {
    const draw = this.next()
    return low + draw * draw * draw * (high - low)
  }
}

function mix(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return (mixed ^ (mixed >>> 14)) >>> 0
}
