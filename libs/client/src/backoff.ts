import { randomInt } from 'node:crypto'

export interface BackoffOptions {
  readonly initialMs: number
  readonly maxMs: number
  /** In [0, 1); tests pass their own. */
  readonly random?: () => number
}

/** Waits that double up to a limit, each shortened by up to a tenth, so that clients do not come back all at once. */
export class Backoff {
  readonly #options: BackoffOptions
  #nextMs: number

  constructor(options: BackoffOptions) {
    this.#options = options
    this.#nextMs = options.initialMs
  }

  nextMs(): number {
    const currentMs = this.#nextMs
    this.#nextMs = Math.min(currentMs * 2, this.#options.maxMs)
    return currentMs * (1 - 0.1 * (this.#options.random ?? systemRandom)())
  }

  reset(): void {
    this.#nextMs = this.#options.initialMs
  }
}

function systemRandom(): number {
  return randomInt(1_000_000) / 1_000_000
}
