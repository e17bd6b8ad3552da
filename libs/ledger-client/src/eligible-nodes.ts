import { nodesWithin } from '@strata/ledger-protocol'
import type { BookieDescription, BookieDirectory, NodeChoice } from './contract.ts'
import type { LedgerRecord } from './ledger-records.ts'

/**
 * Nodes that may take a copy of a ledger now: of the groups that the choice names, and where there is no choice, of those that
 * the ledger was made with.
 */
export function eligibleNodes(
  { directory, choice }: { readonly directory: BookieDirectory; readonly choice?: NodeChoice | undefined },
  { quorum, groups }: Pick<LedgerRecord, 'quorum' | 'groups'>
): readonly BookieDescription[] {
  return nodesWithin(directory.writable(), choice === undefined ? groups : choice(), quorum.ensembleSize)
}
