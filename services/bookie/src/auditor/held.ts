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

/** Ascending, apart from each other. */
export function unionOf(ranges: readonly EntryRange[]): EntryRange[] {
  const merged: EntryRange[] = []
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const open = merged.at(-1)
    if (open === undefined || first > open.last + 1) merged.push({ first, last })
    else merged[merged.length - 1] = { first: open.first, last: entryId(Math.max(open.last, last)) }
  }
  return merged
}
