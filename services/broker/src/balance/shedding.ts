import { stableFromMs, type BalanceHistory, type BrokerHistory } from './history.ts'
import { pointsOf, type BrokerView, type BundleLoad } from './load.ts'
import type { Placement } from './placement.ts'

export interface SheddingSettings {
  /** Points above (below) the average at which a broker gives (takes) bundles; it ends at half of that. */
  readonly thresholdPoints: number
  /** Percent at which half the threshold is enough. */
  readonly overloadedPercent: number
  /** Cycles in a row that a broker must be beyond it. */
  readonly hits: number
  /** Weight of the past in the smoothed usage, 0 to 1. */
  readonly historyShare: number
  readonly stableMs: number
}

export interface Move {
  readonly bundle: string
  /** Instances. */
  readonly from: string
  readonly to: string
  /** Usage, in points, that goes with it. */
  readonly points: number
  readonly reason: string
}

export interface SheddingRequest {
  readonly brokers: readonly BrokerView[]
  readonly placement: Placement<BrokerView>
  readonly settings: SheddingSettings
  readonly history: BalanceHistory
  /** Moves that are left of the cap. */
  readonly movesMax: number
  /** Not to be moved: cooling down, or part of another decision. */
  readonly isResting: (bundle: string) => boolean
  readonly nowMs: number
}

export interface Shedding {
  readonly moves: readonly Move[]
  readonly brokers: ReadonlyMap<string, BrokerHistory>
}

/** Below this a move costs its clients more than it gives. */
const POINTS_MIN = 0.25

/** Equal figures differ by so much at most: sums of the same parts, made in another order. */
const ROUNDING_POINTS = 1e-6

/** A broker while moves are being planned. */
interface Planned {
  readonly view: BrokerView
  readonly history: BrokerHistory
  readonly isStable: boolean
  /** Usage as it will be, by what is smoothed and by what is seen now. */
  smoothed: number
  current: number
}

/**
 * Which bundles leave the brokers that carry too much, and go to those that carry too little. Pure.
 *
 * Invariants
 *   S1  Nothing is moved unless a broker was beyond the threshold `hits` cycles in a row.
 *   S2  Every move leaves its source at or above its target: the higher of the two falls, so the sum of squared distances
 *       from the average falls by at least 2 × points², and under a steady load moves come to an end.
 *   S3  No source falls below the average by more than half the threshold.
 *   S4  Expected effects count at once, for the source by the lower and for the target by the higher of its figures: what
 *       reports do not show yet is not moved twice.
 */
export function shed(request: SheddingRequest): Shedding {
  const { settings } = request
  const planned = plan(request)
  const average = averageOf(planned)
  const half = settings.thresholdPoints / 2
  const byInstance = new Map<string, BrokerHistory>()
  for (const broker of planned) byInstance.set(broker.view.instance, counted(broker, average, settings))
  const beyond = (broker: Planned, side: 'high' | 'low'): boolean =>
    (byInstance.get(broker.view.instance)?.[side] ?? 0) >= settings.hits
  const high = planned.filter(broker => beyond(broker, 'high')).sort((a, b) => b.smoothed - a.smoothed)
  const low = planned.filter(broker => broker.isStable && beyond(broker, 'low')).sort((a, b) => a.smoothed - b.smoothed)
  const moves: Move[] = []
  for (const source of high) {
    give(source, { request, planned, average, moves, until: () => lower(source) <= average + half })
  }
  for (const target of low)
    take(target, { request, planned, average, moves, until: () => higher(target) >= average - half })
  for (const broker of planned) {
    const counts = byInstance.get(broker.view.instance)
    if (counts !== undefined) byInstance.set(broker.view.instance, { ...counts, smoothed: broker.smoothed })
  }
  return { moves, brokers: byInstance }
}

interface Turn {
  readonly request: SheddingRequest
  readonly planned: readonly Planned[]
  readonly average: number
  readonly moves: Move[]
  readonly until: () => boolean
}

/** The heaviest bundles first: few moves. */
function give(source: Planned, turn: Turn): void {
  const stable = turn.planned.filter(target => target !== source && target.isStable)
  let emptiest = lowest(stable)
  for (const bundle of source.view.bundles) {
    if (emptiest === undefined || turn.until() || turn.moves.length >= turn.request.movesMax) return
    const points = movable(bundle, source, turn)
    if (points === undefined || !fits(points, source, emptiest)) continue
    const target = lowest(allowedOf(bundle, stable, turn).filter(broker => fits(points, source, broker)))
    if (target === undefined) continue
    const why = `${round(source.smoothed)}% is ${round(source.smoothed - turn.average)} points above the average`
    move({ bundle, source, target, points, why }, turn)
    emptiest = lowest(stable)
  }
}

function allowedOf(bundle: BundleLoad, brokers: readonly Planned[], { request }: Turn): Planned[] {
  const allowed = new Set<BrokerView>(request.placement.candidates(bundle.bundle).brokers)
  return brokers.filter(({ view }) => allowed.has(view))
}

function take(target: Planned, turn: Turn): void {
  const { request, planned, average, moves } = turn
  const sources = planned.filter(source => source !== target && lower(source) > average)
  for (const source of sources.sort((a, b) => lower(b) - lower(a))) {
    for (const bundle of source.view.bundles) {
      if (turn.until() || moves.length >= request.movesMax) return
      const points = movable(bundle, source, turn)
      if (points === undefined || !fits(points, source, target)) continue
      if (allowedOf(bundle, [target], turn).length === 0) continue
      const why = `${target.view.id} at ${round(target.smoothed)}% is ${round(average - target.smoothed)} points below the average`
      move({ bundle, source, target, points, why }, turn)
    }
  }
}

/** Points of a bundle that may leave its broker; undefined: it stays. */
function movable(bundle: BundleLoad, source: Planned, { request, average, moves }: Turn): number | undefined {
  const points = pointsOf(bundle, source.view)
  if (points < POINTS_MIN || request.isResting(bundle.bundle)) return undefined
  if (lower(source) - points < average - request.settings.thresholdPoints / 2) return undefined // S3
  return moves.some(made => made.bundle === bundle.bundle) ? undefined : points
}

/** S2 */
function fits(points: number, source: Planned, target: Planned): boolean {
  return higher(target) + points <= lower(source) - points + ROUNDING_POINTS
}

function move(
  found: { bundle: BundleLoad; source: Planned; target: Planned; points: number; why: string },
  { average, moves }: Turn
): void {
  const { bundle, source, target, points, why } = found
  const effect = `${round(points)} points from ${source.view.id} to ${target.view.id}`
  const reason = `load: ${why} of ${round(average)}%: moves ${effect} (${round(higher(target))}%)`
  moves.push({ bundle: bundle.bundle, from: source.view.instance, to: target.view.instance, points, reason })
  source.smoothed = Math.max(0, source.smoothed - points)
  source.current = Math.max(0, source.current - points)
  target.smoothed += points
  target.current += points
}

function plan({ brokers, history, settings, nowMs }: SheddingRequest): Planned[] {
  return brokers.flatMap(view => {
    if (view.usage === undefined || view.isDraining) return []
    const before = history.brokers.get(view.instance)
    const share = settings.historyShare
    const smoothed = before === undefined ? view.usage : before.smoothed * share + view.usage * (1 - share)
    const stableMs = stableFromMs(history.starts.get(view.id), view.instance, settings.stableMs)
    const past = before ?? { smoothed, high: 0, low: 0 }
    return [{ view, history: past, isStable: nowMs >= stableMs, smoothed, current: view.usage }]
  })
}

function counted({ smoothed, history }: Planned, average: number, settings: SheddingSettings): BrokerHistory {
  const threshold = smoothed >= settings.overloadedPercent ? settings.thresholdPoints / 2 : settings.thresholdPoints
  const isHigh = smoothed > average + threshold
  const isLow = smoothed < average - settings.thresholdPoints
  return { smoothed, high: isHigh ? history.high + 1 : 0, low: isLow ? history.low + 1 : 0 }
}

/** Of those that count: one that has just come draws the average down only once it may take something. */
function averageOf(planned: readonly Planned[]): number {
  const stable = planned.filter(({ isStable }) => isStable)
  const counting = stable.length > 0 ? stable : planned
  return counting.reduce((sum, { smoothed }) => sum + smoothed, 0) / Math.max(1, counting.length)
}

function lowest(brokers: readonly Planned[]): Planned | undefined {
  return brokers.reduce<Planned | undefined>(
    (best, broker) => (best === undefined || higher(broker) < higher(best) ? broker : best),
    undefined
  )
}

function lower({ smoothed, current }: Planned): number {
  return Math.min(smoothed, current)
}

function higher({ smoothed, current }: Planned): number {
  return Math.max(smoothed, current)
}

function round(value: number): string {
  return value.toFixed(1)
}
