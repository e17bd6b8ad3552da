import { entryId } from '@strata/base'
import type { BookieNode, InventoryRequest } from '@strata/ledger-client'
import type { EntryRange } from '@strata/ledger-protocol'

/** All that a node has of a stretch, however many answers it takes. Ascending. @throws LedgerError UNAVAILABLE, WRONG_NODE */
export async function heldOn(node: BookieNode, request: InventoryRequest): Promise<EntryRange[]> {
  const held: EntryRange[] = []
  for (let next: number = request.first; next <= request.last;) {
    const answer = await node.inventory({ ...request, first: entryId(next) })
    for (const range of answer.held) {
      const open = held.at(-1)
      if (open?.last === range.first - 1) held[held.length - 1] = { first: open.first, last: range.last }
      else held.push(range)
    }
    next = answer.through + 1
  }
  return held
}
