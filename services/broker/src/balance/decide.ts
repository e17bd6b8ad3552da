import { MINUTE_MS, withStarts, withTouched, type BalanceHistory } from './history.ts'
import type { BrokerView } from './load.ts'
import { Placement, type PlacementLimits } from './placement.ts'
import type { PlacementRules } from './rules.ts'
import { shed, type Move, type SheddingSettings } from './shedding.ts'
import { merge, split, type Merge, type Split, type SplittingSettings } from './splitting.ts'

export interface BalanceSettings {
  readonly placement: PlacementLimits
  readonly isShedding: boolean
  readonly isSplitting: boolean
  readonly isMerging: boolean
  readonly shedding: SheddingSettings
  readonly splitting: SplittingSettings
  /** How long a bundle rests after it was moved, split or merged. */
  readonly coolDownMs: number
  /** Of all moves of the cluster. */
  readonly movesPerMinuteMax: number
}

/** A bundle on a broker where isolation does not let it stay. */
export interface Misplaced {
  readonly bundle: string
  readonly from: string
}

export interface BalanceRequest {
  readonly brokers: readonly BrokerView[]
  readonly rules: PlacementRules
  readonly misplaced: readonly Misplaced[]
  /** Of namespaces that were split: the number of bundles that they began with. */
  readonly initialCount: ReadonlyMap<string, number>
  readonly settings: BalanceSettings
  readonly history: BalanceHistory
  readonly nowMs: number
}

export type Decision =
  ({ readonly kind: 'move' } & Move) | ({ readonly kind: 'split' } & Split) | ({ readonly kind: 'merge' } & Merge)

/**
 * One cycle. Pure: the same request gives the same decisions. Isolation comes first, then splits, then load, and what is
 * cold last.
 *
 * Invariants
 *   B1  No more than `movesPerMinuteMax` bundles are moved (a merge of two owners' bundles counts) in any minute.
 *   B2  A bundle that was touched rests for `coolDownMs`; only isolation moves it earlier. Nothing is touched twice a cycle.
 */
export function decide(request: BalanceRequest): { decisions: readonly Decision[]; history: BalanceHistory } {
  const { brokers, settings, nowMs } = request
  const starts = withStarts(request.history.starts, brokers, nowMs)
  const history = { ...request.history, starts }
  const placement = new Placement(brokers, request.rules, settings.placement)
  const recent = history.moves.filter(atMs => atMs > nowMs - MINUTE_MS)
  const touched = new Set<string>()
  const isResting = (bundle: string): boolean =>
    touched.has(bundle) || (history.touched.get(bundle) ?? -Infinity) > nowMs - settings.coolDownMs
  const left = (): number => Math.max(0, settings.movesPerMinuteMax - recent.length)

  const decisions: Decision[] = []
  for (const move of returns(request.misplaced, placement, left())) {
    decisions.push({ kind: 'move', ...move })
    touched.add(move.bundle)
    recent.push(nowMs)
  }
  const splitting = split({ brokers, settings: settings.splitting, history, isResting })
  if (settings.isSplitting) {
    for (const each of splitting.splits) {
      decisions.push({ kind: 'split', ...each })
      touched.add(each.bundle)
    }
  }
  const movesMax = settings.isShedding ? left() : 0
  const shedding = shed({ brokers, placement, settings: settings.shedding, history, movesMax, isResting, nowMs })
  for (const move of shedding.moves) {
    decisions.push({ kind: 'move', ...move })
    touched.add(move.bundle)
    recent.push(nowMs)
  }
  const merging = merge({ ...request, settings: settings.splitting, history, isResting })
  for (const each of settings.isMerging ? merging.merges : []) {
    const isMove = each.leftOwner !== each.rightOwner
    if (isMove && left() === 0) break
    decisions.push({ kind: 'merge', ...each })
    for (const bundle of [each.left, each.right]) touched.add(bundle)
    if (isMove) recent.push(nowMs)
  }
  return {
    decisions,
    history: {
      starts,
      brokers: shedding.brokers,
      touched: withTouched(history.touched, [...touched], { nowMs, coolDownMs: settings.coolDownMs }),
      moves: recent,
      hot: without(splitting.hot, touched),
      cold: without(merging.cold, touched)
    }
  }
}

/** Back to where isolation wants them. */
function returns(misplaced: readonly Misplaced[], placement: Placement<BrokerView>, movesMax: number): Move[] {
  const moves: Move[] = []
  for (const { bundle, from } of misplaced) {
    if (moves.length >= movesMax) break
    const { instance, reason } = placement.place(bundle)
    if (instance === undefined || instance === from) continue
    moves.push({ bundle, from, to: instance, points: 0, reason: `isolation: it may not stay; goes to ${reason}` })
  }
  return moves
}

function without(counts: ReadonlyMap<string, number>, touched: ReadonlySet<string>): Map<string, number> {
  return new Map([...counts].filter(([bundle]) => !touched.has(bundle)))
}
