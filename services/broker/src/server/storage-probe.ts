import { ledgerId, type Clock } from '@strata/base'
import type { BookieDirectory } from '@strata/ledger-client'

/** Nodes that are slow answer within that: they are asked for what they have in memory. */
const PATIENCE_MS = 700
/** Any: it need not be there. */
const ANY_LEDGER = ledgerId(0)

/** Whether as many storage nodes answer, now, as must have an entry. Whoever asks while others do shares their question. */
export class StorageProbe {
  readonly #options: { readonly directory: BookieDirectory; readonly ackQuorum: number; readonly clock: Clock }
  #asked: Promise<boolean> | undefined

  constructor(options: { directory: BookieDirectory; ackQuorum: number; clock: Clock }) {
    this.#options = options
  }

  /** Never rejects; within a second. */
  reaches(): Promise<boolean> {
    this.#asked ??= this.#ask().finally(() => (this.#asked = undefined))
    return this.#asked
  }

  #ask(): Promise<boolean> {
    const { directory, ackQuorum, clock } = this.#options
    const nodes = directory.writable().flatMap(({ bookieId }) => directory.node(bookieId) ?? [])
    return new Promise(resolve => {
      const cancel = clock.after(PATIENCE_MS, () => resolve(false))
      let answered = 0
      const asking = nodes.map(async node => {
        try {
          await node.readLac({ ledgerId: ANY_LEDGER, fence: false })
        } catch {
          return // it does not answer, or is no node of this cluster
        }
        answered++
        if (answered >= ackQuorum) resolve(true)
      })
      void Promise.all(asking).then(() => {
        cancel()
        resolve(answered >= ackQuorum)
      })
    })
  }
}
