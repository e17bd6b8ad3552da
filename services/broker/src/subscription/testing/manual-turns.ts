import type { TurnScheduler } from '../log-pump.ts'

/** Turns that run when the test says so. */
export class ManualTurns implements TurnScheduler {
  #queue: (() => void)[] = []

  soon(run: () => void): void {
    this.#queue.push(run)
  }
  later(run: () => void): void {
    this.#queue.push(run)
  }

  get isIdle(): boolean {
    return this.#queue.length === 0
  }

  /** Runs what is queued and what that queues, and lets promises settle, until nothing is left. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      for (let tick = 0; tick < 10; tick++) await Promise.resolve()
      if (this.#queue.length > 0) quiet = -1
      this.run()
    }
  }

  run(): void {
    const queue = this.#queue
    this.#queue = []
    for (const turn of queue) turn()
  }
}
