import { LedgerError } from '../errors.ts'

interface Waiting {
  readonly isWanted: () => boolean
  readonly start: () => void
  readonly refuse: () => void
}

/**
 * Lets at most `runningMax` requests of one class be worked on at once; the others wait in order, so that a class never
 * takes the disk from another one. What nobody waits for any more when its turn comes is dropped without work.
 */
export class RequestGate {
  readonly #runningMax: number
  readonly #waitingMax: number
  #waiting: Waiting[] = []
  #head = 0
  #running = 0

  constructor(options: { runningMax: number; waitingMax: number }) {
    this.#runningMax = options.runningMax
    this.#waitingMax = options.waitingMax
  }

  get runningCount(): number {
    return this.#running
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head
  }

  /** @throws LedgerError UNAVAILABLE: too many wait, or nobody waits for this one any more; what `work` throws */
  async run<T>(isWanted: () => boolean, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#runningMax) await this.#turn(isWanted)
    else this.#running += 1
    try {
      return await work()
    } finally {
      this.#running -= 1
      this.#next()
    }
  }

  #turn(isWanted: () => boolean): Promise<void> {
    if (this.waitingCount >= this.#waitingMax) throw LedgerError.create('UNAVAILABLE', { reason: 'too many wait' })
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(LedgerError.create('UNAVAILABLE', { reason: 'its time is over' }))
      this.#waiting.push({ isWanted, start: resolve, refuse })
    })
  }

  #next(): void {
    while (this.#head < this.#waiting.length && this.#running < this.#runningMax) {
      const next = this.#waiting[this.#head++]
      if (next?.isWanted() === true) {
        this.#running += 1
        next.start()
      } else next?.refuse()
    }
    if (this.#head === this.#waiting.length || this.#head > 1_024) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }
}
