import { FAULT_KINDS, type FaultKind, type Plan } from './plan.ts'
import { runPlan, type SeedResult } from './run-seed.ts'
import { shrink } from './shrink.ts'
import type { Races } from './history.ts'

/** What many seeds came to. Mergeable, so that threads count for themselves. */
export interface Tally {
  seeds: number
  /** Of each seed, to find the median. */
  protocolEvents: number[]
  events: number
  simulatedMs: number
  /** Of all that happened in all seeds, in whatever order they ran: equal for runs that did the same. */
  digest: number
  /** Seeds with at least one fault of the kind. */
  faults: Partial<Record<FaultKind, number>>
  races: Races
  counts: Record<string, number>
  failures: { seed: number; invariant: string; message: string }[]
}

export function emptyTally(): Tally {
  const races: Races = {
    recoveryWithChange: 0,
    recoveryWithRollOver: 0,
    recoveryWithRecovery: 0,
    recoveryWithWriter: 0,
    recoveryWithRepair: 0
  }
  return {
    seeds: 0,
    protocolEvents: [],
    events: 0,
    simulatedMs: 0,
    digest: 0,
    faults: {},
    races,
    counts: {},
    failures: []
  }
}

export function tally(into: Tally, result: SeedResult): void {
  into.seeds++
  into.protocolEvents.push(result.protocolEvents)
  into.events += result.eventCount
  into.simulatedMs += result.simulatedMs
  into.digest = (into.digest + digestOf(result)) >>> 0
  for (const kind of new Set(result.faults)) into.faults[kind] = (into.faults[kind] ?? 0) + 1
  for (const race of keysOf(into.races)) into.races[race] += result.races[race]
  for (const [name, count] of Object.entries(result.counts)) into.counts[name] = (into.counts[name] ?? 0) + count
  if (result.failure !== undefined) into.failures.push({ seed: result.seed, ...result.failure })
}

export function merge(into: Tally, other: Tally): void {
  into.seeds += other.seeds
  into.protocolEvents.push(...other.protocolEvents)
  into.events += other.events
  into.simulatedMs += other.simulatedMs
  into.digest = (into.digest + other.digest) >>> 0
  for (const kind of keysOf(other.faults)) into.faults[kind] = (into.faults[kind] ?? 0) + (other.faults[kind] ?? 0)
  for (const race of keysOf(into.races)) into.races[race] += other.races[race]
  for (const [name, count] of Object.entries(other.counts)) into.counts[name] = (into.counts[name] ?? 0) + count
  into.failures.push(...other.failures)
}

/** The same trace in another seed gives another number. */
function digestOf({ seed, traceHash }: SeedResult): number {
  const mixed = Math.imul(traceHash ^ Math.imul(seed, 0x9e3779b1), 0x85ebca6b)
  return (mixed ^ (mixed >>> 15)) >>> 0
}

const PROTOCOL_EVENTS_MIN = 1_500
const FAULT_SHARE_MIN = 0.05
/** Of each of these races, in so many seeds. */
const RACES_MIN = { count: 500, inSeeds: 20_000 }
const RACES = ['recoveryWithChange', 'recoveryWithRollOver', 'recoveryWithRepair', 'recoveryWithRecovery'] as const

/** What the seeds did not visit often enough to prove much. One line each. */
export function shortcomings(all: Tally): string[] {
  const lines: string[] = []
  const median = medianOf(all.protocolEvents)
  if (median < PROTOCOL_EVENTS_MIN) lines.push(`${median} protocol events in the median seed`)
  for (const kind of FAULT_KINDS) {
    const share = (all.faults[kind] ?? 0) / Math.max(all.seeds, 1)
    if (share < FAULT_SHARE_MIN) lines.push(`${kind} in ${(share * 100).toFixed(1)}% of the seeds`)
  }
  const least = Math.floor((RACES_MIN.count * all.seeds) / RACES_MIN.inSeeds)
  for (const race of RACES) if (all.races[race] < least) lines.push(`${race}: ${all.races[race]} of ${least}`)
  return lines
}

function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** For people, and for the log of a test run. */
export function describeTally(all: Tally): string {
  const median = medianOf(all.protocolEvents)
  const shares = keysOf(all.faults)
    .map(kind => ({ kind, share: (100 * (all.faults[kind] ?? 0)) / Math.max(all.seeds, 1) }))
    .sort((a, b) => a.share - b.share)
  return [
    `${all.seeds} seeds: ${median} protocol events in the median one, ${all.events} events in all, ${Math.round(all.simulatedMs / 1000)} simulated seconds`,
    `share of seeds with each kind of fault: ${shares.map(({ kind, share }) => `${kind} ${share.toFixed(1)}%`).join(', ')}`,
    `races: ${keysOf(all.races)
      .map(race => `${race} ${all.races[race]}`)
      .join(', ')}`,
    `work: ${Object.entries(all.counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`
  ].join('\n')
}

/** A failed seed made small, and told line by line. */
export async function explain(plan: Plan, failed: SeedResult): Promise<string> {
  const small = await shrink(plan, failed)
  const told = await runPlan(small.plan, { isTold: true })
  const { faults, visits, ...rest } = small.plan
  return [
    `seed ${plan.seed} fails: ${failed.failure?.message ?? ''}`,
    `shrunk in ${small.runs} runs from ${plan.faults.length} faults and ${plan.visits.length} visits to ${faults.length} and ${visits.length}:`,
    JSON.stringify(rest),
    ...faults.map(fault => JSON.stringify(fault)),
    ...visits.map(visit => JSON.stringify(visit)),
    'what happened:',
    ...(told.lines ?? []).map(({ atMs, who, what }) => `${atMs.toFixed(2).padStart(10)}  ${who.padEnd(14)}  ${what}`)
  ].join('\n')
}

function keysOf<Key extends string>(record: Partial<Record<Key, unknown>>): Key[] {
  return Object.keys(record) as Key[] // its own keys only, by its type
}
