import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** A seed that broke a promise. */
export interface Found {
  readonly seed: number
  readonly invariant: string
  readonly message: string
}

interface Stored {
  readonly from: number
  readonly next: number
  readonly found: readonly Found[]
}

/**
 * How far a run over many seeds has got, in a file, so that it goes on where it was stopped. Ranges end in any order: what is
 * stored is the first seed of which it is not certain that it ran, and what all before it found.
 */
export class RunState {
  readonly #path: string | undefined
  readonly #done = new Map<number, { readonly to: number; readonly found: readonly Found[] }>()
  #from: number
  #next: number
  #found: Found[] = []

  constructor(path: string | undefined, from: number) {
    this.#path = path
    this.#from = from
    this.#next = from
    if (path === undefined || !existsSync(path)) return
    const stored = JSON.parse(readFileSync(path, 'utf8')) as Stored
    if (from > stored.next) return // a range of its own
    this.#from = Math.min(from, stored.from)
    this.#next = stored.next
    this.#found = [...stored.found]
  }

  /** The first seed to run. */
  get next(): number {
    return this.#next
  }

  /** Seeds that ran, here and before. */
  get count(): number {
    return this.#next - this.#from
  }

  /** Of all those, the ones that failed. */
  get found(): readonly Found[] {
    return this.#found
  }

  /** Seeds from `from` to below `to` ran. */
  note(range: { readonly from: number; readonly to: number; readonly found: readonly Found[] }): void {
    this.#done.set(range.from, range)
    for (let done = this.#done.get(this.#next); done !== undefined; done = this.#done.get(this.#next)) {
      this.#done.delete(this.#next)
      this.#next = done.to
      this.#found.push(...done.found)
    }
  }

  save(): void {
    if (this.#path === undefined) return
    const stored: Stored = { from: this.#from, next: this.#next, found: this.#found }
    writeFileSync(`${this.#path}.new`, JSON.stringify(stored))
    renameSync(`${this.#path}.new`, this.#path)
  }
}
