/** A small seeded generator: the same numbers for the same seed, on every machine. Forks are independent of each other. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = mix(seed >>> 0)
  }

  /**
   * The one that a run begins with. Neighbours of many digits would begin at the same place, every fourth of them: they are set apart
   * first. Those of up to 15 bits are apart as they are.
   */
  static ofSeed(seed: number): Random {
    return new Random(seed < NEIGHBOURS_APART ? seed : scatter(seed))
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

/** Seeds below it are known to be apart. */
const NEIGHBOURS_APART = 0x8000

/** One to one on 32 bits. */
function scatter(seed: number): number {
  let bits = seed ^ (seed >>> 16)
  bits = Math.imul(bits, 0x85ebca6b)
  bits ^= bits >>> 13
  bits = Math.imul(bits, 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

function mix(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return (mixed ^ (mixed >>> 14)) >>> 0
}
