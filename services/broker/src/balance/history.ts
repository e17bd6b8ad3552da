/** What one cycle of balance tells the next. Small: bounded by brokers, by moves of a cool-down, and by hot bundles. */
export interface BalanceHistory {
  /** By instance. */
  readonly brokers: ReadonlyMap<string, BrokerHistory>
  /** When each bundle was last moved, split or merged; kept for the cool-down. */
  readonly touched: ReadonlyMap<string, number>
  /** Times of moves in the last minute. */
  readonly moves: readonly number[]
  /** Cycles in a row in which a bundle was past a limit of splits. */
  readonly hot: ReadonlyMap<string, number>
  /** Cycles in a row in which a pair of neighbours was cold, by its left bundle. */
  readonly cold: ReadonlyMap<string, number>
  /** Starts of brokers, by id: times at which an instance was first seen. */
  readonly starts: ReadonlyMap<string, readonly BrokerStart[]>
}

export interface BrokerHistory {
  /** Usage in percent, of many cycles. */
  readonly smoothed: number
  /** Cycles in a row in which it was too high, or too low. */
  readonly high: number
  readonly low: number
}

export interface BrokerStart {
  readonly instance: string
  readonly atMs: number
}

export const NO_HISTORY: BalanceHistory = {
  brokers: new Map(),
  touched: new Map(),
  moves: [],
  hot: new Map(),
  cold: new Map(),
  starts: new Map()
}

export const MINUTE_MS = 60_000
/** How long a start counts against a broker, and how long it waits at most. */
const STARTS_KEPT_MS = 120 * MINUTE_MS
const STABLE_MS_MAX = 30 * MINUTE_MS
/** Each start makes the next wait so many times longer. */
const STABLE_GROWTH = 4

/** Notes who is there. */
export function withStarts(
  starts: BalanceHistory['starts'],
  brokers: readonly { readonly id: string; readonly instance: string }[],
  nowMs: number
): Map<string, readonly BrokerStart[]> {
  const next = new Map<string, readonly BrokerStart[]>()
  const instances = new Map(brokers.map(({ id, instance }) => [id, instance]))
  for (const [id, seen] of starts) {
    const kept = seen.filter(start => start.atMs > nowMs - STARTS_KEPT_MS || start.instance === instances.get(id))
    if (kept.length > 0) next.set(id, kept)
  }
  for (const { id, instance } of brokers) {
    const seen = next.get(id) ?? []
    if (!seen.some(start => start.instance === instance)) next.set(id, [...seen, { instance, atMs: nowMs }])
  }
  return next
}

/**
 * From when on a broker gets bundles of others: each start within two hours makes the time that it has to stay four times
 * as long, so that one which comes and goes is left alone.
 */
export function stableFromMs(starts: readonly BrokerStart[] | undefined, instance: string, stableMs: number): number {
  if (starts === undefined) return Infinity
  const index = starts.findIndex(start => start.instance === instance)
  const start = starts[index]
  if (start === undefined) return Infinity
  return start.atMs + Math.min(stableMs * STABLE_GROWTH ** index, Math.max(stableMs, STABLE_MS_MAX))
}

/** Entries that are younger than the cool-down, with those of this cycle. */
export function withTouched(
  touched: BalanceHistory['touched'],
  bundles: readonly string[],
  options: { nowMs: number; coolDownMs: number }
): Map<string, number> {
  const next = new Map<string, number>()
  for (const [bundle, atMs] of touched) if (atMs > options.nowMs - options.coolDownMs) next.set(bundle, atMs)
  for (const bundle of bundles) next.set(bundle, options.nowMs)
  return next
}
