import { entryId, type BookieId, type EntryId } from '@strata/base'
import type { Ensemble, EntryRange } from '@strata/ledger-protocol'

/** What a node turned out to have of a ledger. Ascending, apart from each other. */
export interface Holding {
  readonly bookieId: BookieId
  readonly held: readonly EntryRange[]
}

export interface FoundEnsembles {
  readonly ensembleSize: number
  readonly writeQuorum: number
  readonly ensembles: readonly Ensemble[]
}

/** Larger ones are not looked for: every node that has something then gets all of it. */
const SIZE_MAX = 12
const ENSEMBLES_MAX = 50
/** Of copies: one that is missing is less likely than another ensemble only where there are many of these. */
const ENSEMBLE_COST = 0.9

/** Ways to see the same holdings, the one that leaves least to be copied and least that is of no use. */
interface Candidate extends FoundEnsembles {
  /** Copies that are to be made, copies that nobody asks for, and ensembles. */
  readonly cost: number
}

/**
 * Which ensembles a ledger must have had for nodes to have what they have of it: nodes do not know. Entry e of a ledger that
 * is striped over E nodes is at places e, e + 1 … e + Qw - 1 (mod E), so the entries that one place holds leave Qw neighbouring
 * remainders; an ensemble ends where the nodes do that for no order of them any more.
 *
 * Whatever is found, every entry has a holder in its write set; where copies are missing, whoever cares for copies makes them.
 * undefined: no way that has one. @param lastEntryId Nothing past it counts.
 */
export function foundEnsembles(
  holdings: readonly Holding[],
  { lastEntryId, spare }: { lastEntryId: EntryId; spare: readonly BookieId[] }
): FoundEnsembles | undefined {
  const ledger = new HeldEntries(holdings, lastEntryId)
  let best: Candidate | undefined
  const sizeMax = Math.min(SIZE_MAX, holdings.length + spare.length)
  for (let size = 1; size <= sizeMax; size++) {
    for (let writeQuorum = size; writeQuorum >= 1; writeQuorum--) {
      const found = new EnsembleSearch(ledger, { size, writeQuorum, spare }).run()
      // of two that cost the same, the one with more copies, then the smaller one
      const isBetter = best === undefined || found === undefined || found.cost < best.cost
      const isEqual = best !== undefined && found?.cost === best.cost && found.writeQuorum > best.writeQuorum
      if (found !== undefined && (isBetter || isEqual)) best = found
    }
  }
  return best && { ensembleSize: best.ensembleSize, writeQuorum: best.writeQuorum, ensembles: best.ensembles }
}

/** By entry, who has it. */
class HeldEntries {
  readonly bookies: readonly BookieId[]
  readonly last: number
  readonly #held: readonly Uint8Array[]

  constructor(holdings: readonly Holding[], last: number) {
    this.bookies = holdings.map(({ bookieId }) => bookieId)
    this.last = last
    this.#held = holdings.map(({ held }) => {
      const has = new Uint8Array(last + 1)
      for (const { first, last: end } of held) has.fill(1, first, Math.min(end, last) + 1)
      return has
    })
  }

  has(node: number, entry: number): boolean {
    return this.#held[node]?.[entry] === 1
  }

  count(entry: number): number {
    return this.#held.reduce((sum, has) => sum + (has[entry] ?? 0), 0)
  }

  /** With a hole filled that has the node's entries of the same remainder on both sides: a block that rotted. */
  seems(node: number, entry: number, size: number): boolean {
    return this.has(node, entry) || (this.has(node, entry - size) && this.has(node, entry + size))
  }
}

/** One size and write quorum: from the first entry on, each ensemble as far as it goes. */
class EnsembleSearch {
  readonly #ledger: HeldEntries
  readonly #size: number
  readonly #writeQuorum: number
  readonly #spare: readonly BookieId[]

  constructor(ledger: HeldEntries, options: { size: number; writeQuorum: number; spare: readonly BookieId[] }) {
    this.#ledger = ledger
    this.#size = options.size
    this.#writeQuorum = options.writeQuorum
    this.#spare = options.spare
  }

  run(): Candidate | undefined {
    const ensembles: Ensemble[] = []
    let cost = 0
    for (let first = 0; first <= this.#ledger.last;) {
      const found = this.#longestFrom(first)
      if (found === undefined || ensembles.length === ENSEMBLES_MAX) return undefined
      const bookies = this.#named(found.nodes)
      if (bookies === undefined) return undefined
      ensembles.push({ firstEntryId: entryId(first), bookies })
      cost += this.#costOf(found, first)
      first = found.end
    }
    cost += ensembles.length * ENSEMBLE_COST
    return { ensembleSize: this.#size, writeQuorum: this.#writeQuorum, ensembles, cost }
  }

  /** Nodes by place (-1: nobody has what belongs there), and the entry behind the last one for which they do. */
  #longestFrom(first: number): { nodes: number[]; end: number } | undefined {
    const { last, bookies } = this.#ledger
    // who can have each place, given the entries so far
    const able = Array.from({ length: this.#size }, () => bookies.map((_, node) => node))
    let nodes: number[] | undefined
    let entry = first
    for (; entry <= last; entry++) {
      if (!this.#narrow(able, entry) && nodes !== undefined) continue
      const assigned = assign(able)
      // once every place was seen, one that has nobody any more is where another ensemble begins
      const isNext = nodes !== undefined && entry >= first + this.#size && emptyOf(assigned) > emptyOf(nodes)
      if (isNext || !this.#isWhole(assigned, first, entry)) break
      nodes = assigned
    }
    return nodes === undefined ? undefined : { nodes, end: entry }
  }

  /** Leaves out who lacks the entry. Returns whether there was anyone. */
  #narrow(able: number[][], entry: number): boolean {
    let isNarrower = false
    for (let i = 0; i < this.#writeQuorum; i++) {
      const place = (entry + i) % this.#size
      const nodes = able[place] ?? []
      if (nodes.every(node => this.#ledger.seems(node, entry, this.#size))) continue
      able[place] = nodes.filter(node => this.#ledger.seems(node, entry, this.#size))
      isNarrower = true
    }
    return isNarrower
  }

  /** Has every entry so far a place whose node has it? */
  #isWhole(nodes: readonly number[], first: number, entry: number): boolean {
    const from = Math.max(first, entry - this.#size + 1)
    for (let each = from; each <= entry; each++) {
      let isHeld = false
      for (let i = 0; i < this.#writeQuorum; i++) isHeld ||= nodes[(each + i) % this.#size] !== -1
      if (!isHeld) return false
    }
    return true
  }

  #named(nodes: readonly number[]): BookieId[] | undefined {
    const { bookies } = this.#ledger
    const taken = new Set(nodes)
    const others = [...bookies.filter((_, node) => !taken.has(node)), ...this.#spare].values()
    const named: BookieId[] = []
    for (const node of nodes) {
      const bookie = node === -1 ? others.next().value : bookies[node]
      if (bookie === undefined) return undefined
      named.push(bookie)
    }
    return named
  }

  #costOf({ nodes, end }: { nodes: readonly number[]; end: number }, first: number): number {
    let cost = 0
    for (let entry = first; entry < end; entry++) {
      let good = 0
      for (let i = 0; i < this.#writeQuorum; i++) {
        const node = nodes[(entry + i) % this.#size] ?? -1
        if (node !== -1 && this.#ledger.has(node, entry)) good += 1
      }
      cost += this.#writeQuorum - good + (this.#ledger.count(entry) - good)
    }
    return cost
  }
}

function emptyOf(nodes: readonly number[]): number {
  return nodes.filter(node => node === -1).length
}

/** A node for as many places as can have one, none twice; -1: the place has none. */
function assign(able: readonly (readonly number[])[]): number[] {
  const placeOf = new Map<number, number>()
  const seat = (place: number, asked: Set<number>): boolean => {
    for (const node of able[place] ?? []) {
      if (asked.has(node)) continue
      asked.add(node)
      const before = placeOf.get(node)
      if (before !== undefined && !seat(before, asked)) continue
      placeOf.set(node, place)
      return true
    }
    return false
  }
  const nodes = able.map(() => -1)
  for (const place of able.keys()) seat(place, new Set())
  for (const [node, place] of placeOf) nodes[place] = node
  return nodes
}
