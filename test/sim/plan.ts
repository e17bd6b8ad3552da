import type { QuorumConfig } from '@strata/ledger-client'
import { Random } from '@strata/sim'
import type { WriterPlan } from './writer.ts'

/** What may go wrong. `node`, `link` and the like are drawn when the plan is made, so that a plan is its own replay. */
export type Fault =
  | { readonly kind: 'crash' | 'power-loss'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'pause'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'slow-disk'; readonly node: number; readonly factor: number; readonly forMs: number }
  | { readonly kind: 'full-disk'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'write-errors' | 'sync-errors'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'read-errors' | 'index-errors'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'lost-index'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'bit-rot' | 'misdirected-write'; readonly node: number; readonly count: number }
  | {
      readonly kind: 'lost-volume' | 'rolled-back-volume' | 'rolled-back-run'
      readonly node: number
      readonly forMs: number
    }
  | { readonly kind: 'lost-directory'; readonly node: number; readonly which: number; readonly forMs: number }
  | { readonly kind: 'cut-to-node' | 'cut-from-node' | 'cut'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'slow-link'; readonly node: number; readonly factor: number; readonly forMs: number }
  | { readonly kind: 'lossy' | 'duplicating' | 'breaking'; readonly chance: number; readonly forMs: number }
  | { readonly kind: 'metadata-down'; readonly forMs: number }
  | { readonly kind: 'metadata-ambiguous' | 'metadata-late'; readonly chance: number; readonly forMs: number }
  | { readonly kind: 'lost-leases' }
  | { readonly kind: 'writer-crash' | 'writer-pause'; readonly log: number; readonly forMs: number }
  | { readonly kind: 'deposed-writer'; readonly log: number; readonly node: number; readonly forMs: number }
  | { readonly kind: 'auditor-crash'; readonly forMs: number }
  | { readonly kind: 'clock-jump'; readonly byMs: number }

export type FaultKind = Fault['kind']

/** Somebody who comes at a time: another owner of a log, or one who only recovers, and maybe dies of it. */
export type Visit =
  | { readonly kind: 'take-over'; readonly log: number }
  | { readonly kind: 'recover'; readonly log: number; readonly diesAfterMs: number | undefined }

/** How the nodes are set up. */
export interface StoragePlan {
  /** Journal, entry logs and index have a directory each, or one together. */
  readonly isApart: boolean
  readonly journals: number
  readonly entryLogs: number
  readonly recentBytes: number
  readonly reserveBytes: number
  readonly isScrubbed: boolean
  /** Of a journal file; three of them are kept. Unless something else is said, 8 KiB. */
  readonly journalFileBytes?: number
  /** Unless something else is said, 220. */
  readonly housekeepingMs?: number
}

export interface Plan {
  readonly seed: number
  readonly nodes: number
  /** Of each node, its rack. */
  readonly racks: readonly number[]
  readonly quorum: QuorumConfig
  /** Nodes whose data may be destroyed: Qa - 1 of them. */
  readonly fragile: readonly number[]
  readonly logs: number
  readonly writer: WriterPlan
  readonly readersPerLog: number
  readonly storage: StoragePlan
  /** Auditors run, so that in the end every entry has all its copies. */
  readonly isCared: boolean
  readonly faults: readonly (Fault & { readonly atMs: number })[]
  readonly visits: readonly (Visit & { readonly atMs: number })[]
  /** When the faults stop. */
  readonly activeMs: number
  /** All ledgers are deleted in the end, and nodes must come out empty. */
  readonly isEmptied: boolean
}

const QUORUMS: readonly (readonly [number, number, number])[] = [
  [3, 3, 2],
  [3, 3, 2],
  [3, 2, 2],
  [4, 3, 2],
  [5, 3, 2],
  [3, 3, 3],
  [2, 2, 1],
  [3, 2, 1],
  [4, 4, 3]
]
const ACTIVE_MS = 1_800
/** Copies that the writers of a run are to make. Not entries: so that the runs of all quorums are about as long. */
const COPIES: readonly [least: number, most: number] = [480, 590]

/** Everything that a run is made of follows from its seed. */
export function planOf(seed: number): Plan {
  const random = Random.ofSeed(seed)
  const [ensembleSize, writeQuorum, ackQuorum] = random.pick(QUORUMS)
  const nodes = Math.min(6, ensembleSize + random.int(3))
  const racks = Array.from({ length: nodes }, () => random.int(3))
  const activeMs = ACTIVE_MS * random.between(0.6, 1.4)
  const fragile: number[] = []
  while (fragile.length < ackQuorum - 1) {
    const node = random.int(nodes)
    if (!fragile.includes(node)) fragile.push(node)
  }
  const logs = 1 + random.int(2)
  const writer: WriterPlan = {
    entries: Math.floor(random.between(...COPIES) / writeQuorum / logs),
    rollOverEntries: random.pick([15, 40, 120, 1_000]),
    burst: random.pick([1, 1, 2, 8]),
    pauseMs: random.pick([5, 12, 24]),
    deleteChance: random.pick([0, 0.3, 0.8])
  }
  const storage: StoragePlan = {
    isApart: random.chance(0.4),
    journals: random.pick([1, 1, 1, 2]),
    entryLogs: random.pick([1, 1, 1, 2]),
    recentBytes: random.pick([0, 16 * 1024]),
    reserveBytes: random.pick([0, 8 * 1024]),
    isScrubbed: random.chance(0.15),
    journalFileBytes: random.pick([8, 16, 32]) * 1024,
    housekeepingMs: random.pick([220, 350, 500])
  }
  const isCared = random.chance(0.2)
  const faultCount = 3 + random.int(12)
  const faults = Array.from({ length: faultCount }, () => ({
    atMs: random.between(5, activeMs),
    ...faultOf(random, { nodes, logs, fragile, isCared })
  }))
  const visits = Array.from({ length: random.int(6) }, () => ({
    atMs: random.between(20, activeMs),
    ...visitOf(random, logs)
  }))
  return {
    seed,
    nodes,
    racks,
    quorum: { ensembleSize, writeQuorum, ackQuorum },
    fragile,
    logs,
    writer,
    readersPerLog: 1,
    storage,
    isCared,
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    visits: visits.sort((a, b) => a.atMs - b.atMs),
    activeMs,
    isEmptied: random.chance(0.2)
  }
}

function visitOf(random: Random, logs: number): Visit {
  const log = random.int(logs)
  if (random.chance(0.35)) return { kind: 'take-over', log }
  return { kind: 'recover', log, diesAfterMs: random.chance(0.5) ? random.skewed(0.2, 120) : undefined }
}

type Make = (random: Random, at: { node: number; log: number; forMs: number }) => Fault

const FAULTS: readonly (readonly [weight: number, make: Make])[] = [
  [6, (_, { node, forMs }) => ({ kind: 'crash', node, forMs })],
  [8, (_, { node, forMs }) => ({ kind: 'power-loss', node, forMs })],
  [3, (_, { node, forMs }) => ({ kind: 'pause', node, forMs })],
  [2, (random, { node, forMs }) => ({ kind: 'slow-disk', node, forMs, factor: random.between(5, 80) })],
  [2, (_, { node, forMs }) => ({ kind: 'full-disk', node, forMs })],
  [2, (_, { node, forMs }) => ({ kind: 'write-errors', node, forMs })],
  [2, (_, { node, forMs }) => ({ kind: 'sync-errors', node, forMs })],
  [2, (_, { node, forMs }) => ({ kind: 'read-errors', node, forMs })],
  [2, (_, { node, forMs }) => ({ kind: 'index-errors', node, forMs })],
  [2, (_, { node, forMs }) => ({ kind: 'lost-index', node, forMs })],
  [3, (_, { node, forMs }) => ({ kind: 'cut-to-node', node, forMs })],
  [3, (_, { node, forMs }) => ({ kind: 'cut-from-node', node, forMs })],
  [3, (_, { node, forMs }) => ({ kind: 'cut', node, forMs })],
  [2, (random, { node, forMs }) => ({ kind: 'slow-link', node, forMs, factor: random.between(5, 60) })],
  [2, (random, { forMs }) => ({ kind: 'lossy', chance: random.between(0.02, 0.5), forMs })],
  [2, (random, { forMs }) => ({ kind: 'duplicating', chance: random.between(0.1, 0.6), forMs })],
  [2, (random, { forMs }) => ({ kind: 'breaking', chance: random.between(0.005, 0.05), forMs })],
  [2, (_, { forMs }) => ({ kind: 'metadata-down', forMs })],
  [3, (random, { forMs }) => ({ kind: 'metadata-ambiguous', chance: random.between(0.05, 0.5), forMs })],
  [2, (random, { forMs }) => ({ kind: 'metadata-late', chance: random.between(0.05, 0.4), forMs })],
  [2, () => ({ kind: 'lost-leases' })],
  [5, (_, { log, forMs }) => ({ kind: 'writer-crash', log, forMs })],
  [3, (_, { log, forMs }) => ({ kind: 'writer-pause', log, forMs })],
  [4, (random, { log, node }) => ({ kind: 'deposed-writer', log, node, forMs: random.between(60, 700) })],
  [2, random => ({ kind: 'clock-jump', byMs: random.between(-1e7, 1e7) })]
]

/** Only where auditors run. */
const CARE_FAULTS: readonly (readonly [weight: number, make: Make])[] = [
  ...FAULTS,
  [5, (_, { forMs }) => ({ kind: 'auditor-crash', forMs })]
]

/** Only for nodes whose data may be destroyed. */
const DESTRUCTION: readonly (readonly [weight: number, make: Make])[] = [
  [2, (random, { node }) => ({ kind: 'bit-rot', node, count: 1 + random.int(3) })],
  [2, (_, { node }) => ({ kind: 'misdirected-write', node, count: 1 })],
  [2, (_, { node, forMs }) => ({ kind: 'lost-volume', node, forMs })],
  [2, (random, { node, forMs }) => ({ kind: 'lost-directory', node, which: random.int(100), forMs })],
  [2, (_, { node, forMs }) => ({ kind: 'rolled-back-volume', node, forMs })],
  [2, (random, { node }) => ({ kind: 'rolled-back-run', node, forMs: random.between(100, 600) })]
]

/** Every kind that a plan may have. */
export const FAULT_KINDS: readonly FaultKind[] = [
  ...new Set(
    [...CARE_FAULTS, ...DESTRUCTION].map(([, make]) => make(new Random(1), { node: 0, log: 0, forMs: 1 }).kind)
  )
]

function faultOf(
  random: Random,
  world: { nodes: number; logs: number; fragile: readonly number[]; isCared: boolean }
): Fault {
  const isDestruction = world.fragile.length > 0 && random.chance(0.25)
  const table = isDestruction ? DESTRUCTION : world.isCared ? CARE_FAULTS : FAULTS
  const node = isDestruction ? random.pick(world.fragile) : random.int(world.nodes)
  const at = { node, log: random.int(world.logs), forMs: random.skewed(2, 700) }
  let draw = random.int(table.reduce((total, [weight]) => total + weight, 0))
  for (const [weight, make] of table) {
    draw -= weight
    if (draw < 0) return make(random, at)
  }
  throw new Error('the weights add up')
}
