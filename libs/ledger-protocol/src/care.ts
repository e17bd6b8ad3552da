import type { BookieId, EntryId, LedgerId } from '@strata/base'
import type { Ensemble, LedgerEnd } from './quorum.ts'

/*
  What is decided about whole nodes and whole ledgers, by whoever has read committed facts. Pure: nothing here reads a
  clock, and "unknown" is a fact of its own that never leads to a deletion.
*/

// ---------------------------------------------------------------- many nodes gone at once

export interface NodeAbsence {
  readonly bookieId: BookieId
  readonly rack?: string
  /** Since when it is gone, past the grace that a restart has. undefined: it is there, or an operator declared it destroyed. */
  readonly goneSinceMs: number | undefined
}

export type RepairStance =
  | { readonly kind: 'repair' }
  /** `rack` undefined: of all nodes. */
  | { readonly kind: 'wait'; readonly rack: string | undefined; readonly gone: number; readonly of: number }

/** Nodes that went within this time of the latest one went "at once". */
const AT_ONCE_MS = 60 * 60 * 1000

/**
 * Where a third of the nodes, or of a rack, went at once, what failed is a switch or a power line, and copying everything
 * would only add to the trouble: repair waits for a person. One node alone is never that, however few there are.
 */
export function repairStance(nodes: readonly NodeAbsence[]): RepairStance {
  if (nodes.every(({ goneSinceMs }) => goneSinceMs === undefined)) return { kind: 'repair' }
  const racks = [...new Set(nodes.flatMap(({ rack }) => rack ?? []))].sort()
  for (const rack of [undefined, ...racks]) {
    const among = rack === undefined ? nodes : nodes.filter(node => node.rack === rack)
    const since = among.flatMap(({ goneSinceMs }) => goneSinceMs ?? [])
    const latestMs = Math.max(...since)
    const gone = since.filter(sinceMs => latestMs - sinceMs <= AT_ONCE_MS).length
    if (gone >= 2 && gone * 3 >= among.length) return { kind: 'wait', rack, gone, of: among.length }
  }
  return { kind: 'repair' }
}

// ---------------------------------------------------------------- leaving for good

export interface LedgerFacts {
  readonly ledgerId: LedgerId
  readonly state: 'open' | 'in-recovery' | 'closed'
  readonly end: LedgerEnd | undefined
  readonly ensembles: readonly Ensemble[]
}

/** Why a node may not go yet. `repair`: these entries get another home; `wait`: the ledger's writer, or its recoverer, has it. */
export interface Dependence {
  readonly ledgerId: LedgerId
  readonly kind: 'repair' | 'wait'
  readonly why: 'closed' | 'open' | 'in-recovery'
  readonly first: EntryId
  /** undefined: whatever is still appended. */
  readonly last: EntryId | undefined
}

/**
 * What still depends on a node that is to leave; nothing: it may go. A draining node counts and is read until another one
 * has its place, so draining never lowers a number of copies.
 */
export function dependenceOn(bookie: BookieId, ledger: LedgerFacts): Dependence[] {
  const { ledgerId, state, end, ensembles } = ledger
  return ensembles.flatMap(({ firstEntryId, bookies }, i): Dependence[] => {
    if (!bookies.includes(bookie)) return []
    const next = ensembles[i + 1]
    const ends = [
      ...(next === undefined ? [] : [next.firstEntryId - 1]),
      ...(end === undefined ? [] : [end.lastEntryId])
    ]
    const last = ends.length === 0 ? undefined : (Math.min(...ends) as EntryId)
    if (last !== undefined && last < firstEntryId) return [] // an ensemble that never got an entry
    const isLast = next === undefined
    const kind = state !== 'closed' && isLast ? 'wait' : 'repair'
    return [{ ledgerId, kind, why: state, first: firstEntryId, last }]
  })
}

// ---------------------------------------------------------------- what a node may throw away

/** How far a metadata store can be trusted with deletions. */
export interface StoreFacts {
  readonly ownClusterId: string
  readonly storeClusterId: string
  /** The revision at which the facts were read, linearizably, and the highest that the node ever persisted. */
  readonly revision: number
  readonly highestRevision: number
}

export interface HeldLedgerFacts {
  /** Is there a committed deletion record? */
  readonly hasDeletionRecord: boolean
  /** undefined: the metadata does not know the ledger. */
  readonly ledger: { readonly state: LedgerFacts['state']; readonly isMember: boolean } | undefined
}

export type CollectDecision =
  | { readonly kind: 'delete' }
  | { readonly kind: 'keep'; readonly why: 'member' | 'undecided' | 'foreign store' | 'older store' | 'contradiction' }
  /** Set aside and reported, never deleted: a person, or the record that comes later, decides. */
  | { readonly kind: 'quarantine'; readonly why: 'unknown to the metadata' | 'not a member' }

/**
 * What a node does with a ledger that it holds. It deletes on a committed deletion record alone: a store that was emptied,
 * restored or swapped must not cost a byte.
 */
export function collectDecision(store: StoreFacts, held: HeldLedgerFacts): CollectDecision {
  if (store.storeClusterId !== store.ownClusterId) return { kind: 'keep', why: 'foreign store' }
  if (store.revision < store.highestRevision) return { kind: 'keep', why: 'older store' }
  const { ledger, hasDeletionRecord } = held
  if (hasDeletionRecord) return ledger === undefined ? { kind: 'delete' } : { kind: 'keep', why: 'contradiction' }
  if (ledger === undefined) return { kind: 'quarantine', why: 'unknown to the metadata' }
  if (ledger.isMember) return { kind: 'keep', why: 'member' }
  // A recoverer's own node is named only when it closes the ledger.
  return ledger.state === 'closed' ? { kind: 'quarantine', why: 'not a member' } : { kind: 'keep', why: 'undecided' }
}

// ---------------------------------------------------------------- ledgers that nobody lists

export interface OwnershipFacts {
  /** What its owner's committed list says of the ledger. `unknown`: it could not be read. */
  readonly listing: 'listed' | 'not listed' | 'deleting' | 'no owner' | 'unknown'
  /** How long this has been so, without a break, as far as the collector has seen. */
  readonly unlistedForMs: number
  readonly graceMs: number
}

/** Whether a ledger's metadata is to be deleted (with a deletion record). One that was just made is listed a moment later. */
export function orphanDecision({ listing, unlistedForMs, graceMs }: OwnershipFacts): 'keep' | 'wait' | 'delete' {
  if (listing === 'listed' || listing === 'unknown') return 'keep'
  if (listing === 'deleting') return 'delete' // resumed: the mark is committed
  return unlistedForMs >= graceMs ? 'delete' : 'wait'
}
