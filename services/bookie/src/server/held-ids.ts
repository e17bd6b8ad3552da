import { systemClock, type LedgerId } from '@strata/base'
import { raiseLedgerIds, type BookieNode } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'

const PAGE_LEDGERS = 10_000

/**
 * Keeps the ids that the metadata gives out above those of which a node has something: a store that was emptied, or set back to
 * an older copy, must not give the id of a ledger that has entries to another one.
 */
export class HeldIds {
  readonly #node: BookieNode
  readonly #metadata: MetadataStore
  #highest = -1

  constructor(node: BookieNode, metadata: MetadataStore) {
    this.#node = node
    this.#metadata = metadata
  }

  /** @throws MetadataError; LedgerError UNAVAILABLE: the node is closed */
  async raise(): Promise<void> {
    for (;;) {
      const page = await this.#node.heldLedgers({ after: this.#highest, limit: PAGE_LEDGERS })
      const last = page.at(-1)
      if (last === undefined) break
      this.#highest = last.ledgerId
    }
    if (this.#highest < 0) return
    await raiseLedgerIds(this.#metadata, { above: this.#highest as LedgerId, clock: systemClock })
  }
}
