import { strict as assert } from 'node:assert'
import { entryId, type BookieId, type EntryId } from '@strata/base'
import { fillPlaces, type PlacementNode } from './placement.ts'
import { writeSet, type Ensemble, type LedgerEnd, type QuorumConfig } from './quorum.ts'

/** Both inclusive. */
export interface EntryRange {
  readonly first: EntryId
  readonly last: EntryId
}

/** Entries of a range; with `remainder` only those whose id leaves it when divided by the ensemble's size. */
export interface EntryStripe extends EntryRange {
  readonly remainder: number | undefined
}

/**
 * `leaving`: it holds what it held and may be read, and is to be replaced. `gone`: it may come back, with all it held.
 * `destroyed`: an operator says that it will not.
 */
export type NodeStanding = 'present' | 'leaving' | 'gone' | 'destroyed'

export interface RepairView {
  /** Closed: what its members must hold does not change any more, but for repair itself. */
  readonly ledger: { readonly quorum: QuorumConfig; readonly ensembles: readonly Ensemble[]; readonly end: LedgerEnd }
  readonly standing: (bookie: BookieId) => NodeStanding
  /** What a node that is there should hold and does not, or holds damaged. Ascending, apart from each other. */
  readonly missing: ReadonlyMap<BookieId, readonly EntryRange[]>
  readonly writable: readonly PlacementNode[]
  readonly avoided?: Iterable<BookieId>
  /** In [0, 1). */
  readonly seed: number
}

/** One place of one ensemble that lacks entries. */
export interface RepairTask {
  /** The first entry of the ensemble, and the place in it. */
  readonly ensemble: EntryId
  readonly index: number
  /** Who has the place now; the same as `to`: it gets back what it lacks. */
  readonly member: BookieId
  /** undefined: no node can take the place now. */
  readonly to: BookieId | undefined
  /** What to copy, and who has it, best first. Only when all of it is verified and synced may metadata name `to`. */
  readonly parts: readonly (EntryStripe & { readonly from: readonly BookieId[] })[]
}

/** Entries that no node that is there has. */
export interface LostStripe extends EntryStripe {
  /** Nodes that are gone and may hold them. Nobody: they are lost for good. */
  readonly waitsFor: readonly BookieId[]
}

export interface RepairPlan {
  readonly tasks: readonly RepairTask[]
  readonly lost: readonly LostStripe[]
}

/**
 * What must be copied from whom to whom so that every entry of a closed ledger has its Qw copies again.
 *
 * Invariants
 *   A1  A part is copied from members of its entries' write sets that are there and hold it, and from nobody else.
 *   A2  A place is given to another node only where its member is gone or leaving; the node has no other place there.
 *   A3  An entry is called lost exactly when no member of its write set that is there holds it.
 *   A4  Nothing is planned for a place whose member is there and lacks nothing.
 *   A5  A node that is gone keeps its place while it may hold what nobody else has.
 */
export function planRepair(view: RepairView): RepairPlan {
  const plan = { tasks: [] as RepairTask[], lost: [] as LostStripe[] }
  const { ensembles, end } = view.ledger
  for (const [i, ensemble] of ensembles.entries()) {
    const last = Math.min(end.lastEntryId, (ensembles[i + 1]?.firstEntryId ?? Infinity) - 1)
    if (last >= ensemble.firstEntryId) planEnsemble(view, { ensemble, last: entryId(last) }, plan)
  }
  return plan
}

/** The ensembles when a task is done. */
export function withRepair(ensembles: readonly Ensemble[], { ensemble, index, to }: RepairTask): Ensemble[] {
  assert(to !== undefined)
  return ensembles.map(each =>
    each.firstEntryId === ensemble ? { ...each, bookies: each.bookies.with(index, to) } : each
  )
}

function planEnsemble(
  view: RepairView,
  { ensemble, last }: { ensemble: Ensemble; last: EntryId },
  plan: { tasks: RepairTask[]; lost: LostStripe[] }
): void {
  const { quorum } = view.ledger
  const { firstEntryId, bookies } = ensemble
  const sections = sectionsOf(view, { first: firstEntryId, last }, bookies)
  const lost = sections.filter(section => !hasSource(section))
  for (const section of lost) plan.lost.push({ ...stripeOf(section), waitsFor: section.awaited })
  const places = bookies.map(bookie => (view.standing(bookie) === 'present' ? bookie : undefined))
  const { writable, avoided = [], seed } = view
  const filled = fillPlaces({ writable, quorum, places, excluded: bookies, avoided, seed })
  for (const [index, member] of bookies.entries()) {
    const isStaying = places[index] !== undefined
    const due = sections.filter(section => {
      return section.places.includes(index) && hasSource(section) && !(isStaying && section.holders.includes(index))
    })
    if (due.length === 0 && isStaying) continue
    if (lost.some(({ awaited }) => awaited.includes(member))) continue // A5
    const parts = due.map(section => ({ ...stripeOf(section), from: section.holders.map(at => memberAt(bookies, at)) }))
    plan.tasks.push({ ensemble: firstEntryId, index, member, to: filled[index], parts })
  }
}

/** Entries of one write set that the same members hold. */
interface Section extends EntryStripe {
  readonly places: readonly number[]
  /** Those of `places` whose members have these entries and can be read. */
  readonly holders: readonly number[]
  /** Where there are no holders: those who may come back with these entries. */
  readonly awaited: readonly BookieId[]
}

const hasSource = (section: Section): boolean => section.holders.length > 0

function stripeOf({ first, last, remainder }: Section): EntryStripe {
  return { first, last, remainder }
}

/** Cuts a range wherever what a member lacks begins or ends, and where ensembles are striped by write set. */
function sectionsOf(view: RepairView, range: EntryRange, bookies: readonly BookieId[]): Section[] {
  const { quorum } = view.ledger
  const cuts = new Set<number>([range.first])
  for (const bookie of bookies) {
    for (const { first, last } of view.missing.get(bookie) ?? []) {
      if (first > range.first && first <= range.last) cuts.add(first)
      if (last >= range.first && last < range.last) cuts.add(last + 1)
    }
  }
  const starts = [...cuts].sort((a, b) => a - b)
  const isStriped = quorum.writeQuorum < quorum.ensembleSize
  return starts.flatMap((start, i) => {
    const first = entryId(start)
    const last = entryId((starts[i + 1] ?? range.last + 1) - 1)
    const count = isStriped ? Math.min(quorum.ensembleSize, last - first + 1) : 1
    return Array.from({ length: count }, (_, offset) => {
      const places = writeSet(entryId(first + offset), quorum)
      const holders = places.filter(at => holds(view, memberAt(bookies, at), first))
      const mayHold = places.map(at => memberAt(bookies, at)).filter(bookie => view.standing(bookie) === 'gone')
      const awaited = holders.length > 0 ? [] : mayHold.filter(bookie => !lacks(view, bookie, first))
      const remainder = isStriped ? (first + offset) % quorum.ensembleSize : undefined
      return { first, last, remainder, places, holders, awaited }
    })
  })
}

function holds(view: RepairView, bookie: BookieId, id: EntryId): boolean {
  const standing = view.standing(bookie)
  return (standing === 'present' || standing === 'leaving') && !lacks(view, bookie, id)
}

function lacks(view: RepairView, bookie: BookieId, id: EntryId): boolean {
  return (view.missing.get(bookie) ?? []).some(({ first, last }) => first <= id && id <= last)
}

function memberAt(bookies: readonly BookieId[], index: number): BookieId {
  const bookie = bookies[index]
  assert(bookie !== undefined)
  return bookie
}
