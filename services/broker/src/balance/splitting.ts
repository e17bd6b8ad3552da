import { evenBoundaries } from '../ownership/bundle-name.ts'
import type { BalanceHistory } from './history.ts'
import { namespaceOfBundle, rangeOfBundle, type BrokerView, type BundleLoad } from './load.ts'

/** Where a bundle is too big. Rates count both directions. */
export interface BundleLimits {
  readonly topicsMax: number
  readonly sessionsMax: number
  readonly messagesMax: number
  readonly bytesMax: number
}

export interface SplittingSettings {
  readonly limits: BundleLimits
  /** Cycles in a row that a bundle must be past a limit. */
  readonly hits: number
  readonly splitsPerCycle: number
  readonly bundlesPerNamespaceMax: number
}

export interface Split {
  readonly bundle: string
  /** Instance of its owner. */
  readonly owner: string
  readonly reason: string
}

export interface Merge {
  readonly left: string
  readonly right: string
  readonly leftOwner: string
  readonly rightOwner: string
  readonly reason: string
}

/** Two bundles are merged where both together are below this share of every limit: far from being split again. */
const COLD_SHARE = 0.25
/** Cycles in a row that a pair must be cold: a quiet hour is no reason. */
const COLD_HITS = 30
const MERGES_PER_CYCLE = 5

/** What is wrong with a bundle, as its owner tells it; undefined: nothing. */
export function excessOf(bundle: BundleLoad, limits: BundleLimits): string | undefined {
  const messages = bundle.messagesIn + bundle.messagesOut
  const bytes = bundle.bytesIn + bundle.bytesOut
  if (bundle.topics > limits.topicsMax) return `${bundle.topics} topics of at most ${limits.topicsMax}`
  if (bundle.sessions > limits.sessionsMax) return `${bundle.sessions} sessions of at most ${limits.sessionsMax}`
  if (messages > limits.messagesMax) return `${Math.round(messages)} messages/s of at most ${limits.messagesMax}`
  if (bytes > limits.bytesMax) return `${Math.round(bytes)} bytes/s of at most ${limits.bytesMax}`
  return undefined
}

/**
 * Which bundles are divided. Pure. One with a single topic stays: halves of it would be one and nothing. `hot` is for the
 * next cycle.
 */
export function split(request: {
  readonly brokers: readonly BrokerView[]
  readonly settings: SplittingSettings
  readonly history: BalanceHistory
  readonly isResting: (bundle: string) => boolean
}): { splits: readonly Split[]; hot: ReadonlyMap<string, number> } {
  const { settings, history } = request
  const hot = new Map<string, number>()
  const splits: Split[] = []
  const added = new Map<string, number>()
  for (const { instance: owner, bundles } of request.brokers) {
    for (const load of bundles) {
      const excess = load.topics < 2 ? undefined : excessOf(load, settings.limits)
      if (excess === undefined) continue
      const hits = (history.hot.get(load.bundle) ?? 0) + 1
      hot.set(load.bundle, hits)
      const namespace = namespaceOfBundle(load.bundle)
      const count = load.siblings + (added.get(namespace) ?? 0)
      if (hits < settings.hits || splits.length >= settings.splitsPerCycle) continue
      if (count >= settings.bundlesPerNamespaceMax || request.isResting(load.bundle)) continue
      added.set(namespace, (added.get(namespace) ?? 0) + 1)
      splits.push({ bundle: load.bundle, owner, reason: `split: ${excess}, ${hits} times in a row` })
    }
  }
  return { splits, hot }
}

/**
 * Which neighbours become one again. Pure. Only those that `initialCount` knows: bundles of namespaces that were split, with
 * the number that they began with, below which nothing is merged.
 *
 * Only parts of one range that the namespace began with, so that ranges go back to those: the narrowest pair first, and a wider
 * one waits for it, though it be ripe before.
 */
export function merge(request: {
  readonly brokers: readonly BrokerView[]
  readonly initialCount: ReadonlyMap<string, number>
  readonly settings: SplittingSettings
  readonly history: BalanceHistory
  readonly isResting: (bundle: string) => boolean
}): { merges: readonly Merge[]; cold: ReadonlyMap<string, number> } {
  const cold = new Map<string, number>()
  const merges: Merge[] = []
  const taken = new Set<string>()
  const removed = new Map<string, number>()
  for (const { left, right, namespace } of pairsOf(request.brokers, request.initialCount)) {
    if (!isCold(left.load, right.load, request.settings.limits)) continue
    const hits = (request.history.cold.get(left.load.bundle) ?? 0) + 1
    cold.set(left.load.bundle, hits)
    const names = [left.load.bundle, right.load.bundle]
    if (names.some(name => taken.has(name))) continue
    for (const name of names) taken.add(name)
    if (hits < COLD_HITS || merges.length >= MERGES_PER_CYCLE) continue
    if (names.some(name => request.isResting(name))) continue
    const count = left.load.siblings - (removed.get(namespace) ?? 0)
    if (count <= (request.initialCount.get(namespace) ?? Infinity)) continue
    removed.set(namespace, (removed.get(namespace) ?? 0) + 1)
    const reason = `merge: together below ${COLD_SHARE * 100}% of every limit of splits, ${hits} times in a row`
    merges.push({
      left: left.load.bundle,
      right: right.load.bundle,
      leftOwner: left.owner,
      rightOwner: right.owner,
      reason
    })
  }
  return { merges, cold }
}

interface Held {
  readonly load: BundleLoad
  readonly owner: string
  readonly start: number
  readonly end: number
}

interface Pair {
  readonly left: Held
  readonly right: Held
  readonly namespace: string
}

/** Reported bundles that stand side by side, the narrowest first. */
function pairsOf(brokers: readonly BrokerView[], initialCount: ReadonlyMap<string, number>): Pair[] {
  const byNamespace = new Map<string, Held[]>()
  for (const { instance: owner, bundles } of brokers) {
    for (const load of bundles) {
      const namespace = namespaceOfBundle(load.bundle)
      if (!initialCount.has(namespace)) continue
      const [start = 0, end = 0] = rangeOfBundle(load.bundle).split('_').map(Number)
      const held = byNamespace.get(namespace) ?? []
      byNamespace.set(namespace, held)
      held.push({ load, owner, start, end })
    }
  }
  const pairs = [...byNamespace].flatMap(([namespace, held]) => {
    const boundaries = evenBoundaries(initialCount.get(namespace) ?? 1)
    held.sort((a, b) => a.start - b.start)
    return held.slice(1).flatMap((right, index): Pair[] => {
      const left = held[index]
      return left?.end === right.start && !boundaries.includes(left.end) ? [{ left, right, namespace }] : []
    })
  })
  return pairs.sort((a, b) => widthOf(a) - widthOf(b))
}

function widthOf({ left, right }: Pair): number {
  return right.end - left.start
}

function isCold(left: BundleLoad, right: BundleLoad, limits: BundleLimits): boolean {
  const both = (of: (load: BundleLoad) => number): number => of(left) + of(right)
  return (
    both(load => load.topics) <= limits.topicsMax * COLD_SHARE &&
    both(load => load.sessions) <= limits.sessionsMax * COLD_SHARE &&
    both(load => load.messagesIn + load.messagesOut) <= limits.messagesMax * COLD_SHARE &&
    both(load => load.bytesIn + load.bytesOut) <= limits.bytesMax * COLD_SHARE
  )
}
