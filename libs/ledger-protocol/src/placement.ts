import { strict as assert } from 'node:assert'
import type { BookieId, EntryId } from '@strata/base'
import { membersOf, sharesWriteSet, type Ensemble, type QuorumConfig } from './quorum.ts'

/** A node as the registry describes it. One without a rack or host shares it with no other. */
export interface PlacementNode {
  readonly bookieId: BookieId
  readonly rack?: string
  readonly host?: string
  readonly freeBytes?: number
}

export interface PlacementRequest {
  /** Nodes that take entries now: the registry's view. */
  readonly writable: readonly PlacementNode[]
  readonly quorum: QuorumConfig
  /** The ensemble so far; undefined: a place to be filled. */
  readonly places: readonly (BookieId | undefined)[]
  /** Never chosen. Those in `places` never are, either. */
  readonly excluded?: Iterable<BookieId>
  /** Chosen only where nobody else is left: nodes that failed a while ago. */
  readonly avoided?: Iterable<BookieId>
  /** In [0, 1). */
  readonly seed: number
}

interface Candidate extends PlacementNode {
  /** Lower comes first; drawn by the seed, weighted by free space. */
  readonly key: number
}

/** Steps of the search for a placement without two copies on one host, at most. */
const SEARCH_STEPS_MAX = 2_000

/**
 * Fills the empty places of an ensemble, those that can be: fewer nodes than places leave the last ones undefined.
 *
 * Invariants
 *   P1  No node stands in two places.
 *   P2  The same arguments give the same nodes, in whatever order the registry lists them.
 *   P3  Places that share a write set are on different hosts, and then in different racks, as far as the nodes allow.
 *   P4  Among nodes equally good for P3, the chance of each is in proportion to its free space.
 */
export function fillPlaces(request: PlacementRequest): (BookieId | undefined)[] {
  const { places, quorum } = request
  assert(places.length === quorum.ensembleSize)
  if (!places.includes(undefined)) return [...places]
  const taken = new Set([...(request.excluded ?? []), ...places.flatMap(place => place ?? [])])
  const avoided = new Set(request.avoided)
  const all = candidatesOf(request).filter(({ bookieId }) => !taken.has(bookieId))
  const good = all.filter(({ bookieId }) => !avoided.has(bookieId))
  const missing = places.filter(place => place === undefined).length
  const last = all.filter(({ bookieId }) => avoided.has(bookieId)).slice(0, Math.max(0, missing - good.length))
  const nodes = new Map(request.writable.map(node => [node.bookieId, node]))
  const start = places.map(place => (place === undefined ? undefined : (nodes.get(place) ?? { bookieId: place })))
  const search = new PlaceSearch(quorum, [...good, ...last])
  return search.fill(start).map(node => node?.bookieId)
}

/** A whole new ensemble. undefined: there are too few nodes. */
export function choosePlacement(request: Omit<PlacementRequest, 'places'>): BookieId[] | undefined {
  const places = Array.from({ length: request.quorum.ensembleSize }, () => undefined)
  const filled = fillPlaces({ ...request, places }).flatMap(place => place ?? [])
  return filled.length === places.length ? filled : undefined
}

type Places = readonly (PlacementNode | undefined)[]

/** With how many of the others a node would share a host, or a rack: within a write set, and at all. */
interface Clashes {
  readonly host: number
  readonly rack: number
  readonly far: number
}

interface Weighed {
  readonly candidate: Candidate
  readonly clashes: Clashes
}

function compareWeighed(a: Weighed, b: Weighed): number {
  const { host, rack, far } = a.clashes
  return host - b.clashes.host || rack - b.clashes.rack || far - b.clashes.far || a.candidate.key - b.candidate.key
}

/** Greedy by place; where that leaves two copies on one host, a bounded search for an arrangement that does not. */
class PlaceSearch {
  readonly #quorum: QuorumConfig
  readonly #candidates: readonly Candidate[]
  #steps = 0

  constructor(quorum: QuorumConfig, candidates: readonly Candidate[]) {
    this.#quorum = quorum
    this.#candidates = candidates
  }

  fill(places: Places): Places {
    const greedy = this.#greedy(places)
    const isWhole = !greedy.includes(undefined)
    if (
      !isWhole ||
      !greedy.some(place => place?.host !== undefined) ||
      this.#hostClashes(greedy) === this.#hostClashes(places)
    )
      return greedy
    return this.#search(places) ?? greedy
  }

  #greedy(start: Places): Places {
    const places = [...start]
    for (const [index, place] of start.entries()) {
      if (place !== undefined) continue
      places[index] = this.#best(places, index)
    }
    return places
  }

  /** Depth first, best first, without a new clash of hosts. */
  #search(places: Places): Places | undefined {
    const index = places.indexOf(undefined)
    if (index === -1) return places
    for (const candidate of this.#bestFirst(places, index)) {
      if (this.#steps++ >= SEARCH_STEPS_MAX) return undefined
      if (this.#clashes(places, index, candidate).host > 0) return undefined // the others are no better
      const found = this.#search(places.with(index, candidate))
      if (found !== undefined) return found
    }
    return undefined
  }

  #best(places: Places, index: number): Candidate | undefined {
    let best: Weighed | undefined
    for (const candidate of this.#candidates) {
      if (places.some(place => place?.bookieId === candidate.bookieId)) continue
      const weighed = { candidate, clashes: this.#clashes(places, index, candidate) }
      if (best === undefined || compareWeighed(weighed, best) < 0) best = weighed
    }
    return best?.candidate
  }

  #bestFirst(places: Places, index: number): Candidate[] {
    const used = new Set(places.map(place => place?.bookieId))
    return this.#candidates
      .filter(({ bookieId }) => !used.has(bookieId))
      .map(candidate => ({ candidate, clashes: this.#clashes(places, index, candidate) }))
      .sort(compareWeighed)
      .map(({ candidate }) => candidate)
  }

  #clashes(places: Places, index: number, node: PlacementNode): Clashes {
    let host = 0
    let rack = 0
    let far = 0
    for (let at = 0; at < places.length; at++) {
      const place = places[at]
      if (place === undefined || at === index) continue
      const isSameHost = place.host !== undefined && place.host === node.host
      const isSameRack = place.rack !== undefined && place.rack === node.rack
      if (!sharesWriteSet(at, index, this.#quorum)) far += Number(isSameHost) + Number(isSameRack)
      else {
        host += Number(isSameHost)
        rack += Number(isSameRack)
      }
    }
    return { host, rack, far }
  }

  #hostClashes(places: Places): number {
    return places.reduce(
      (sum, place, index) => sum + (place === undefined ? 0 : this.#clashes(places, index, place).host),
      0
    )
  }
}

/** Each node once, by key. An exponential draw divided by its weight puts a node first with a chance in proportion to it. */
function candidatesOf({ writable, seed }: PlacementRequest): Candidate[] {
  const known = writable.flatMap(({ freeBytes }) => freeBytes ?? []).sort((a, b) => a - b)
  const usual = Math.max(1, known[known.length >> 1] ?? 1)
  const distinct = new Map(writable.map(node => [node.bookieId, node]))
  return [...distinct.values()]
    .map(node => ({
      ...node,
      key: -Math.log(drawOf(node.bookieId, seed)) / Math.max(1, node.freeBytes ?? usual)
    }))
    .sort((a, b) => a.key - b.key || (a.bookieId < b.bookieId ? -1 : 1))
}

/** In (0, 1), of the seed and the node alone. */
function drawOf(id: BookieId, seed: number): number {
  let hash = Math.floor(seed * 2 ** 32) >>> 0
  for (let i = 0; i < id.length; i++) hash = mixed(Math.imul(hash ^ id.charCodeAt(i), 0x01000193))
  return (mixed(hash) + 0.5) / 2 ** 32
}

function mixed(value: number): number {
  let word = value ^ (value >>> 16)
  word = Math.imul(word, 0x7feb352d)
  word ^= word >>> 15
  word = Math.imul(word, 0x846ca68b)
  return (word ^ (word >>> 16)) >>> 0
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
