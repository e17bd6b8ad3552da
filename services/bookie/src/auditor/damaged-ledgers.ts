import { CodedError, type BookieId, type LedgerId } from '@strata/base'
import type { BookieDirectory, BookieNode } from '@strata/ledger-client'

const PAGE_STRETCHES = 1_000

export interface DamagedLedgers {
  readonly ledgers: ReadonlySet<LedgerId>
  /** Nodes that did not say: of what they have, nothing is known. */
  readonly silent: readonly BookieId[]
}

/** Ledgers of which one of these nodes has entries that it cannot read. */
export async function damagedLedgers(nodes: Iterable<BookieId>, directory: BookieDirectory): Promise<DamagedLedgers> {
  const ledgers = new Set<LedgerId>()
  const silent: BookieId[] = []
  for (const id of nodes) {
    const node = directory.node(id)
    try {
      if (node === undefined) silent.push(id)
      else for await (const ledger of ledgersOf(node)) ledgers.add(ledger)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      silent.push(id)
    }
  }
  return { ledgers, silent }
}

/** Each once; what else is damaged of a ledger is found when it is looked at. */
async function* ledgersOf(node: BookieNode): AsyncGenerator<LedgerId> {
  for (let from = 0; ;) {
    const page = await node.damagedEntries({ ledgerId: from, entryId: 0, limit: PAGE_STRETCHES })
    const last = page.at(-1)
    if (last === undefined) return
    yield* new Set(page.map(({ ledgerId }) => ledgerId))
    if (page.length < PAGE_STRETCHES) return
    from = last.ledgerId + 1
  }
}
