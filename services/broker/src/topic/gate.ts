/** Lets at most so many run at once; the others wait in order. */
export class Gate {
  readonly #max: () => number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: () => number) {
    this.#max = max
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#max()) {
      await new Promise<void>(resolve => {
        this.#waiting.push(resolve)
      })
    } else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // The place is handed over, so that nobody new slips in between.
      if (next === undefined) this.#running--
      else next()
    }
  }
}
