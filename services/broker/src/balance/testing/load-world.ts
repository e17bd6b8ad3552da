import { strict as assert } from 'node:assert'
import { decide, type BalanceSettings, type Decision } from '../decide.ts'
import { MINUTE_MS, NO_HISTORY, type BalanceHistory } from '../history.ts'
import { unitsOf, type BrokerView, type BundleLoad } from '../load.ts'
import { Placement } from '../placement.ts'
import { NO_RULES, type PlacementRules } from '../rules.ts'

export const TEST_SETTINGS: BalanceSettings = {
  placement: { byLoad: true, overloadedPercent: 85, brokerTopicsMax: 50_000 },
  isShedding: true,
  isSplitting: true,
  isMerging: true,
  shedding: { thresholdPoints: 10, overloadedPercent: 85, hits: 3, historyShare: 0.9, stableMs: MINUTE_MS },
  splitting: {
    limits: { topicsMax: 1000, sessionsMax: 1000, messagesMax: 30_000, bytesMax: 100 * 1024 * 1024 },
    hits: 3,
    splitsPerCycle: 10,
    bundlesPerNamespaceMax: 128
  },
  coolDownMs: 30 * MINUTE_MS,
  movesPerMinuteMax: 60
}

/** Units of work per second that a simulated broker can do. */
export const CAPACITY_UNITS = 100_000

/** Mulberry32: small, and good enough to make loads of. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

export function bundleLoad(bundle: string, units: number, more: Partial<BundleLoad> = {}): BundleLoad {
  return {
    bundle,
    messagesIn: units / 4,
    messagesOut: units / 4,
    bytesIn: (units / 4) * 1024,
    bytesOut: (units / 4) * 1024,
    topics: 10,
    sessions: 20,
    siblings: 4,
    ...more
  }
}

export function brokerView(id: string, bundles: readonly BundleLoad[], more: Partial<BrokerView> = {}): BrokerView {
  const units = bundles.reduce((sum, bundle) => sum + unitsOf(bundle), 0)
  return {
    id,
    instance: `${id}#1`,
    isDraining: false,
    usage: (100 * units) / CAPACITY_UNITS,
    topics: bundles.reduce((sum, { topics }) => sum + topics, 0),
    units,
    bundles: [...bundles].sort((a, b) => unitsOf(b) - unitsOf(a)),
    ...more
  }
}

export interface MadeMove {
  readonly atMs: number
  readonly bundle: string
  readonly from: string
  readonly to: string
}

/**
 * A cluster whose loads are a function of time, balanced once a minute. What is decided is done at once; a bundle whose
 * broker is gone is placed anew when it is next looked at, as a lookup would.
 */
export class LoadWorld {
  nowMs = 0
  readonly moves: MadeMove[] = []
  readonly splits: string[] = []
  /** How often placement had to find a place. */
  placements = 0
  readonly owners = new Map<string, string>()
  history: BalanceHistory = NO_HISTORY
  rules: PlacementRules = NO_RULES
  settings: BalanceSettings = TEST_SETTINGS
  readonly #brokers = new Map<string, string>()
  /** Of what was split: the bundle that it was, and how much of it. */
  readonly #parts = new Map<string, { readonly of: string; readonly share: number }>()
  readonly #loadOf: (bundle: string, nowMs: number) => BundleLoad
  readonly #reported: number

  constructor(options: {
    brokers: readonly string[]
    bundles: readonly string[]
    loadOf: (bundle: string, nowMs: number) => BundleLoad
    reported?: number
  }) {
    this.#loadOf = options.loadOf
    this.#reported = options.reported ?? 100
    for (const id of options.brokers) this.join(id)
    for (const bundle of options.bundles) this.owners.set(bundle, '')
  }

  join(id: string): void {
    this.#brokers.set(id, `${id}#${this.nowMs}`)
  }

  /** Its bundles are nobody's until they are looked at. */
  leave(id: string): void {
    this.#brokers.delete(id)
  }

  get brokerIds(): string[] {
    return [...this.#brokers.keys()]
  }

  /** Usage by broker, in percent. */
  usage(): Map<string, number> {
    return new Map(this.views().map(({ id, usage }) => [id, usage ?? 0]))
  }

  /** From the fullest to the emptiest, in points. */
  spread(): number {
    const all = [...this.usage().values()]
    return Math.max(...all) - Math.min(...all)
  }

  views(): BrokerView[] {
    const held = new Map<string, BundleLoad[]>([...this.#brokers.values()].map(instance => [instance, []]))
    for (const [bundle, instance] of this.owners) held.get(instance)?.push(this.load(bundle))
    return [...this.#brokers].map(([id, instance]) => {
      const view = brokerView(id, held.get(instance) ?? [], { instance })
      return { ...view, bundles: view.bundles.slice(0, this.#reported) }
    })
  }

  load(bundle: string): BundleLoad {
    const { of, share } = this.#parts.get(bundle) ?? { of: bundle, share: 1 }
    const load = this.#loadOf(of, this.nowMs)
    return {
      bundle,
      messagesIn: load.messagesIn * share,
      messagesOut: load.messagesOut * share,
      bytesIn: load.bytesIn * share,
      bytesOut: load.bytesOut * share,
      topics: Math.ceil(load.topics * share),
      sessions: Math.ceil(load.sessions * share),
      siblings: load.siblings
    }
  }

  /** A minute: what has no broker is placed, then it is decided and done. */
  minute(): readonly Decision[] {
    this.nowMs += MINUTE_MS
    this.#placeAll()
    const before = this.history
    const { decisions, history } = decide({
      brokers: this.views(),
      rules: this.rules,
      misplaced: this.#misplaced(),
      initialCount: new Map(),
      settings: this.settings,
      history: before,
      nowMs: this.nowMs
    })
    this.history = history
    for (const decision of decisions) this.#do(decision)
    return decisions
  }

  minutes(count: number): void {
    for (let i = 0; i < count; i++) this.minute()
  }

  movesSince(atMs: number): MadeMove[] {
    return this.moves.filter(move => move.atMs > atMs)
  }

  #do(decision: Decision): void {
    if (decision.kind === 'merge') return
    if (decision.kind === 'split') {
      this.#split(decision.bundle)
      return
    }
    const { bundle, from, to } = decision
    assert.equal(this.owners.get(bundle), from, 'it moves from where it is')
    assert([...this.#brokers.values()].includes(to), 'it goes to a broker that is there')
    this.owners.set(bundle, to)
    this.moves.push({ atMs: this.nowMs, bundle, from, to })
  }

  /** In halves, which stay where they are. */
  #split(bundle: string): void {
    const owner = this.owners.get(bundle) ?? ''
    const { of, share } = this.#parts.get(bundle) ?? { of: bundle, share: 1 }
    this.owners.delete(bundle)
    for (const half of ['a', 'b']) {
      this.#parts.set(`${bundle}${half}`, { of, share: share / 2 })
      this.owners.set(`${bundle}${half}`, owner)
    }
    this.splits.push(bundle)
  }

  #placeAll(): void {
    const alive = new Set(this.#brokers.values())
    const homeless = [...this.owners].filter(([, instance]) => !alive.has(instance)).map(([bundle]) => bundle)
    if (homeless.length === 0) return
    const placement = new Placement(this.views(), this.rules, this.settings.placement)
    for (const bundle of homeless) {
      this.placements += 1
      this.owners.set(bundle, placement.place(bundle).instance ?? '')
    }
  }

  #misplaced(): { bundle: string; from: string }[] {
    if (this.rules.isolation.length === 0) return []
    const placement = new Placement(this.views(), this.rules, this.settings.placement)
    return [...this.owners]
      .filter(([bundle, instance]) => instance !== '' && !placement.mayStay(bundle, instance))
      .map(([bundle, from]) => ({ bundle, from }))
  }
}

/** `count` bundles of a namespace, by their ranges. */
export function bundlesOf(namespace: string, count: number): string[] {
  const width = 0x1_0000_0000 / count
  const hex = (value: number): string => `0x${Math.min(0xffff_ffff, Math.floor(value)).toString(16).padStart(8, '0')}`
  return Array.from({ length: count }, (_, i) => `${namespace}/${hex(i * width)}_${hex((i + 1) * width)}`)
}
