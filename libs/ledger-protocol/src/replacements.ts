import type { BookieId } from '@strata/base'
import type { EnsembleChange, Replacement } from './ledger-writer.ts'
import { fillPlaces, type PlacementNode } from './placement.ts'
import type { QuorumConfig } from './quorum.ts'

export interface ReplacementRequest {
  /** The ensemble as it is, the failed members included. */
  readonly bookies: readonly BookieId[]
  readonly quorum: QuorumConfig
  readonly writable: readonly PlacementNode[]
  /** Nodes that failed a while ago, here or for other ledgers: chosen last. */
  readonly avoided?: Iterable<BookieId>
  readonly seed: number
}

/**
 * Who takes the places of the members that failed: as many as can be found. Others come first. Where there is nobody else,
 * the node that had the place gets it again if the registry has it, once it was left out for a while (not at the first
 * attempt): in a cluster of as many nodes as an ensemble has, a restart must not leave every open ledger short of a copy.
 * A slow node is never its own replacement.
 */
export function chooseReplacements(change: EnsembleChange, request: ReplacementRequest): Replacement[] {
  const { bookies, quorum, writable, seed } = request
  const leaving = new Set(change.failed.map(({ index }) => index))
  const places = bookies.map((bookie, index) => (leaving.has(index) ? undefined : bookie))
  const filled = fillPlaces({ writable, quorum, places, excluded: bookies, avoided: request.avoided ?? [], seed })
  return change.failed.flatMap(({ index, bookieId, failure }) => {
    const chosen = filled[index]
    if (chosen !== undefined) return [{ index, bookieId: chosen }]
    const isBack = writable.some(node => node.bookieId === bookieId)
    return isBack && change.attempt > 0 && failure !== 'SLOW' ? [{ index, bookieId }] : []
  })
}
