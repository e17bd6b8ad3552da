import { setTimeout as delay } from 'node:timers/promises'
import type { BookieSet } from './cluster-process.ts'

/** Ends one storage node after the other by kill -9, one each `everyMs`, and starts each again at once. */
export class BookieKiller {
  kills = 0
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>

  constructor(bookies: BookieSet, { everyMs, count }: { everyMs: number; count: number }) {
    this.#done = this.#run(bookies, everyMs, count)
    // who stops it is told
    this.#done.catch(() => undefined)
  }

  /** Every node runs afterwards. @throws what kept a node from starting */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  async #run(bookies: BookieSet, everyMs: number, count: number): Promise<void> {
    const { signal } = this.#stopping
    for (let dueMs = performance.now() + everyMs; ; dueMs += everyMs) {
      // a start may take longer than that
      await delay(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      const index = this.kills % count
      await bookies.kill(index)
      await bookies.start(index)
      this.kills++
    }
  }
}
