import { CodedError, entryId, type BookieId, type LedgerId } from '@strata/base'
import type { BookieDirectory, BookieNode, LedgerRecord } from '@strata/ledger-client'
import { writeSet, type Ensemble, type EntryRange, type LedgerEnd, type QuorumConfig } from '@strata/ledger-protocol'
import { heldOn } from './held.ts'

/** What of a ledger does not change any more but for repair: all of a closed one, all but the last ensemble of another. */
export interface SettledPart {
  readonly quorum: QuorumConfig
  readonly ensembles: readonly Ensemble[]
  readonly end: LedgerEnd
}

/** undefined: nothing is settled. */
export function settledPart({ quorum, ensembles, end }: LedgerRecord): SettledPart | undefined {
  if (end !== undefined) return { quorum, ensembles, end }
  const last = ensembles.at(-1)
  if (last === undefined || ensembles.length < 2) return undefined
  // nobody asks for the length of what is settled of an open ledger
  return {
    quorum,
    ensembles: ensembles.slice(0, -1),
    end: { lastEntryId: entryId(last.firstEntryId - 1), lengthBytes: 0 }
  }
}

/** A place of an ensemble, and the entries of that ensemble. */
export interface HeldPlace extends EntryRange {
  readonly quorum: QuorumConfig
  readonly index: number
}

/** Places of a node that must hold entries, ascending. */
export function placesOf(bookie: BookieId, { quorum, ensembles, end }: SettledPart): HeldPlace[] {
  return ensembles.flatMap(({ firstEntryId, bookies }, i) => {
    const index = bookies.indexOf(bookie)
    const last = Math.min(end.lastEntryId, (ensembles[i + 1]?.firstEntryId ?? Infinity) - 1)
    if (index === -1 || last < firstEntryId) return []
    return [{ quorum, index, first: firstEntryId, last: entryId(last) }]
  })
}

export interface Survey {
  /** What nodes should hold and do not, or hold damaged. */
  readonly missing: Map<BookieId, readonly EntryRange[]>
  /** Nodes that should have answered and did not. Nothing is known of them. */
  readonly silent: readonly BookieId[]
}

/** Asks each of `members` what it holds of the settled part of a ledger. */
export async function surveyLedger(
  id: LedgerId,
  part: SettledPart,
  doors: { members: readonly BookieId[]; directory: BookieDirectory; verify: boolean }
): Promise<Survey> {
  const missing = new Map<BookieId, readonly EntryRange[]>()
  const silent: BookieId[] = []
  const ask = async (bookie: BookieId): Promise<void> => {
    const node = doors.directory.node(bookie)
    try {
      if (node === undefined) silent.push(bookie)
      else missing.set(bookie, await missingOn(node, id, { places: placesOf(bookie, part), verify: doors.verify }))
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      silent.push(bookie)
    }
  }
  await Promise.all(doors.members.map(ask))
  return { missing, silent }
}

/** What the places must hold and the node does not name. Ascending. @throws LedgerError UNAVAILABLE */
export async function missingOn(
  node: BookieNode,
  ledgerId: LedgerId,
  { places, verify }: { places: readonly HeldPlace[]; verify: boolean }
): Promise<EntryRange[]> {
  const missing: EntryRange[] = []
  for (const place of places) {
    const held = await heldOn(node, { ledgerId, first: place.first, last: place.last, verify })
    missing.push(...missingAt(place, held))
  }
  return missing
}

/**
 * The gaps between what is held that have an entry of this place. Those that have nothing between them that this place holds
 * are one, so that a striped ledger does not fall into pieces.
 */
export function missingAt(place: HeldPlace, held: readonly EntryRange[]): EntryRange[] {
  const missing: EntryRange[] = []
  let next: number = place.first
  for (const range of [...held, { first: place.last + 1, last: place.last + 1 }]) {
    const first = nextOwn(place, next)
    if (first < range.first) {
      const last = previousOwn(place, range.first - 1)
      const before = missing.at(-1)
      const isOne = before !== undefined && nextOwn(place, before.last + 1) === first
      if (isOne) missing[missing.length - 1] = { first: before.first, last: entryId(last) }
      else missing.push({ first: entryId(first), last: entryId(last) })
    }
    next = range.last + 1
  }
  return missing
}

function isOwn({ index, quorum }: HeldPlace, id: number): boolean {
  return writeSet(entryId(id), quorum).includes(index)
}

/** The first entry of the place from `id` on; within the size of the ensemble there is one. */
function nextOwn(place: HeldPlace, id: number): number {
  let next = id
  while (!isOwn(place, next)) next += 1
  return next
}

function previousOwn(place: HeldPlace, id: number): number {
  let previous = id
  while (!isOwn(place, previous)) previous -= 1
  return previous
}
