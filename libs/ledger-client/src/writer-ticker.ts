import type { Clock } from '@strata/base'
import type { BookieDirectory } from './contract.ts'

/** How often writers that have something open are told the time. Replacing, giving up and telling the LAC are that exact. */
export const WRITER_TICK_MS = 250

export interface Ticked {
  /** Returns whether it needs further ticks. */
  tick(nowMs: number): boolean
  onNodesChanged(): void
}

/** One timer for all writers of a client, running only while one of them needs it: an idle ledger costs nothing. */
export class WriterTicker {
  readonly #clock: Clock
  readonly #directory: BookieDirectory
  readonly #active = new Set<Ticked>()
  #stopWatching: () => void = () => undefined

  constructor(clock: Clock, directory: BookieDirectory) {
    this.#clock = clock
    this.#directory = directory
  }

  add(writer: Ticked): void {
    if (this.#active.size === 0) {
      this.#stopWatching = this.#directory.onChange(() => this.#onNodesChanged())
      this.#tickLater()
    }
    this.#active.add(writer)
  }

  #tickLater(): void {
    this.#clock.after(WRITER_TICK_MS, () => {
      const nowMs = this.#clock.nowMs()
      for (const writer of [...this.#active]) if (!writer.tick(nowMs)) this.#active.delete(writer)
      if (this.#active.size > 0) this.#tickLater()
      else this.#stopWatching()
    })
  }

  #onNodesChanged(): void {
    for (const writer of [...this.#active]) writer.onNodesChanged()
  }
}
