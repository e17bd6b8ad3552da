import { strict as assert } from 'node:assert'
import type { BookieId, EntryId } from '@strata/base'
import { membersOf, type Ensemble, type QuorumConfig } from './quorum.ts'

/**
 * Nodes for an ensemble (or to replace members of one): `count` of `writable` that are not in `excluded`, drawn by
 * `seed` (in [0, 1)). The same arguments give the same nodes. undefined: there are too few.
 */
export function choosePlacement(options: {
  writable: readonly BookieId[]
  excluded: readonly BookieId[]
  count: number
  seed: number
}): BookieId[] | undefined {
  const excluded = new Set(options.excluded)
  const candidates = [...new Set(options.writable)].filter(bookie => !excluded.has(bookie)).sort()
  if (candidates.length < options.count) return undefined
  let { seed } = options
  return Array.from({ length: options.count }, () => {
    seed = (seed * 9301 + 0.49297) % 1
    const [chosen] = candidates.splice(Math.floor(seed * candidates.length), 1)
    assert(chosen !== undefined)
    return chosen
  })
}

/** Whom to ask for an entry, best first: its write set, begun at a place that `seed` (in [0, 1)) draws, to spread reads. */
export function readOrder(
  entryId: EntryId,
  ledger: { readonly quorum: QuorumConfig; readonly ensembles: readonly Ensemble[] },
  seed: number
): BookieId[] {
  const members = membersOf(entryId, ledger.quorum, ledger.ensembles)
  const start = Math.floor(seed * members.length)
  return [...members.slice(start), ...members.slice(0, start)]
}
