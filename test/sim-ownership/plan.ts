import { Random } from '@strata/sim'

export type Fault =
  | { readonly kind: 'pause'; readonly broker: number; readonly forMs: number }
  /** Whichever broker opens a log next stands still in the middle of it; a bundle moves, so that one does. */
  | { readonly kind: 'pause-opening'; readonly topic: number; readonly afterMs: number; readonly forMs: number }
  | { readonly kind: 'kill'; readonly broker: number; readonly forMs: number }
  | { readonly kind: 'shutdown'; readonly broker: number; readonly forMs: number }
  /** From the metadata store, and from nothing else. */
  | { readonly kind: 'cut'; readonly broker: number; readonly forMs: number }
  | { readonly kind: 'storage-cut'; readonly broker: number; readonly forMs: number }
  /** From all of them, for longer than a broker goes on that way: one, or all. */
  | { readonly kind: 'storage-lost'; readonly broker: number; readonly isForAll: boolean; readonly forMs: number }
  /** The store ends the lease while its holder believes in it. */
  | { readonly kind: 'expire'; readonly broker: number }
  | { readonly kind: 'clock'; readonly broker: number; readonly byMs: number }
  | { readonly kind: 'store-down'; readonly forMs: number }
  | { readonly kind: 'store-slow'; readonly factor: number; readonly forMs: number }
  | {
      readonly kind: 'store-lossy'
      readonly lost: number
      readonly ambiguous: number
      readonly late: number
      readonly forMs: number
    }
  /** One broker believes another one's port refuses, which it does not. */
  | { readonly kind: 'misjudge'; readonly broker: number; readonly by: number; readonly forMs: number }
  /** Stands still while a bundle is given to it, and is declared dead by all others before it goes on. */
  | { readonly kind: 'condemn'; readonly broker: number; readonly topic: number; readonly forMs: number }
  | { readonly kind: 'unload'; readonly topic: number }
  | { readonly kind: 'split'; readonly topic: number }
  /** Of a bundle with its neighbour, which comes to the same broker first; at the same time another one is split. */
  | { readonly kind: 'merge'; readonly topic: number }

export interface Plan {
  readonly seed: number
  readonly brokers: number
  /** As many bundles, and one topic in each. */
  readonly bundles: number
  readonly faults: readonly (Fault & { readonly atMs: number })[]
  readonly activeMs: number
}

type Make = (random: Random, at: { broker: number; by: number; topic: number; forMs: number }) => Fault

const FAULTS: readonly (readonly [weight: number, make: Make])[] = [
  [6, (_, { broker, forMs }) => ({ kind: 'pause', broker, forMs })],
  [
    5,
    (random, { topic, forMs }) => ({ kind: 'pause-opening', topic, afterMs: random.skewed(0, 8), forMs: 4_000 + forMs })
  ],
  [5, (_, { broker, forMs }) => ({ kind: 'kill', broker, forMs })],
  [2, (_, { broker, forMs }) => ({ kind: 'shutdown', broker, forMs })],
  [6, (_, { broker, forMs }) => ({ kind: 'cut', broker, forMs })],
  [1, (_, { broker, forMs }) => ({ kind: 'storage-cut', broker, forMs: forMs / 4 })],
  [3, (_, { broker }) => ({ kind: 'expire', broker })],
  [1, (random, { broker }) => ({ kind: 'clock', broker, byMs: random.between(-20_000, 20_000) })],
  [2, (_, { forMs }) => ({ kind: 'store-down', forMs })],
  [2, (random, { forMs }) => ({ kind: 'store-slow', factor: random.between(5, 60), forMs })],
  [3, random => ({ kind: 'store-lossy', ...lossOf(random), forMs: random.between(200, 3_000) })],
  [3, (_, { broker, by, forMs }) => ({ kind: 'misjudge', broker, by, forMs: forMs / 4 })],
  [3, (random, { broker, topic }) => ({ kind: 'condemn', broker, topic, forMs: random.between(150, 1_500) })],
  [4, (_, { topic }) => ({ kind: 'unload', topic })],
  [2, (_, { topic }) => ({ kind: 'split', topic })]
]
const TOTAL = FAULTS.reduce((sum, [weight]) => sum + weight, 0)

/** About twice as long as a broker tries by itself. */
const STORAGE_LOST_MS = 13_000

/** Everything that a run is made of follows from its seed. */
export function planOf(seed: number): Plan {
  const random = Random.ofSeed(seed)
  const brokers = 2 + random.int(4)
  const bundles = 2 + random.int(3)
  const activeMs = random.between(8_000, 20_000)
  const faults = Array.from({ length: 3 + random.int(10) }, () => ({
    atMs: random.between(200, activeMs),
    ...faultOf(random, { brokers, bundles })
  }))
  // beside all others: they need a bundle that is in order
  const merging = random.fork('merges')
  const merges = Array.from({ length: merging.int(3) }, () => ({
    atMs: merging.between(200, activeMs),
    ...({ kind: 'merge', topic: merging.int(bundles) } as const)
  }))
  const all = [...faults, ...merges, ...lossesOf(random.fork('storage'), { brokers, activeMs })]
  return { seed, brokers, bundles, activeMs, faults: all.sort((a, b) => a.atMs - b.atMs) }
}

/** Beside all others: only a long one, early in a long run, is more than a delay. */
function lossesOf(random: Random, run: { brokers: number; activeMs: number }): (Fault & { atMs: number })[] {
  if (run.activeMs < STORAGE_LOST_MS || random.chance(0.4)) return []
  const isForAll = random.chance(0.25)
  const forMs = random.between(STORAGE_LOST_MS - 2_000, STORAGE_LOST_MS + 2_000)
  return [{ atMs: random.between(200, 1_500), kind: 'storage-lost', broker: random.int(run.brokers), isForAll, forMs }]
}

function faultOf(random: Random, { brokers, bundles }: { brokers: number; bundles: number }): Fault {
  const broker = random.int(brokers)
  const by = (broker + 1 + random.int(brokers - 1)) % brokers
  // around the lease: shorter ones are not noticed, longer ones are taken over
  const forMs = random.chance(0.5) ? random.skewed(50, 4_000) : random.between(4_000, 10_000)
  const at = { broker, by, topic: random.int(bundles), forMs }
  let draw = random.int(TOTAL)
  for (const [weight, make] of FAULTS) {
    if (draw < weight) return make(random, at)
    draw -= weight
  }
  throw new Error('the weights add up')
}

function lossOf(random: Random): { lost: number; ambiguous: number; late: number } {
  return { lost: random.between(0, 0.2), ambiguous: random.between(0, 0.4), late: random.between(0, 0.1) }
}
