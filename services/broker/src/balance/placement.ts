import { namespaceOfBundle, type BrokerView } from './load.ts'
import { matchesBroker, policyOf, type IsolationPolicy, type PlacementRules } from './rules.ts'

/** What placement asks of a broker. */
export type PlacementBroker = Pick<BrokerView, 'id' | 'instance' | 'isDraining' | 'usage' | 'topics'>

export interface PlacementLimits {
  /** Does load count at all? */
  readonly byLoad: boolean
  /** Percent from which a broker gets new bundles only where all are as full. */
  readonly overloadedPercent: number
  readonly brokerTopicsMax: number
}

export interface Placed {
  /** undefined: no broker may have it. */
  readonly instance: string | undefined
  /** For people, one line. */
  readonly reason: string
}

interface Candidates<Broker> {
  readonly brokers: readonly Broker[]
  readonly reason: string
}

/** A full broker keeps a small chance, so that all being full is no special case. */
const HEADROOM_MIN = 5
/** Points below the threshold at which a primary broker is trusted to stay below it. */
const RETURN_MARGIN = 10

/**
 * Where bundles go, as long as brokers, loads and rules stay as they are. Pure: the same bundle and seed give the same
 * broker, whoever asks and in whatever order the brokers are listed.
 *
 * Invariants
 *   P1  A bundle goes only to a broker that its namespace's isolation policy names; one of a namespace without a policy
 *       only to brokers that are primary to none. Rather none than another.
 *   P2  A broker that is going away gets nothing.
 *   P3  Within P1 and P2 the namespaces of an anti-affinity group share a failure domain (without domains: a broker) only
 *       where every other one has as many of them; a namespace of a group keeps together.
 */
export class Placement<Broker extends PlacementBroker = PlacementBroker> {
  readonly #brokers: readonly Broker[]
  readonly #rules: PlacementRules
  readonly #limits: PlacementLimits
  readonly #averageUsage: number
  readonly #byInstance: ReadonlyMap<string, Broker>
  readonly #byPolicy = new Map<IsolationPolicy | undefined, Candidates<Broker>>()
  readonly #policies = new Map<string, IsolationPolicy | undefined>()
  readonly #hashes = new Map<string, number>()

  constructor(brokers: readonly Broker[], rules: PlacementRules, limits: PlacementLimits) {
    this.#brokers = brokers.filter(broker => !broker.isDraining)
    this.#rules = rules
    this.#limits = limits
    this.#byInstance = new Map(this.#brokers.map(broker => [broker.instance, broker]))
    const known = this.#brokers.flatMap(({ usage }) => usage ?? [])
    this.#averageUsage = known.length === 0 ? 0 : known.reduce((sum, usage) => sum + usage, 0) / known.length
  }

  /** The broker for a bundle that nobody has. `seed` varies the draw. */
  place(bundle: string, seed = 0): Placed {
    const { brokers: allowed, reason } = this.candidates(bundle)
    const roomy = this.#withRoom(allowed)
    const hash = mix(hashOf(bundle) ^ seed)
    let best: Broker | undefined
    let bestScore = Infinity
    for (const broker of roomy) {
      const score = -Math.log(drawOf(hash, this.#hashOfBroker(broker.id))) / this.#headroomOf(broker)
      if (score > bestScore || (score === bestScore && best !== undefined && best.id < broker.id)) continue
      best = broker
      bestScore = score
    }
    if (best === undefined) return { instance: undefined, reason: `no broker may have it: ${reason}` }
    const usage = best.usage === undefined ? 'usage not known' : `usage ${Math.round(best.usage)}%`
    return { instance: best.instance, reason: `${best.id} (${usage}), drawn among ${roomy.length}: ${reason}` }
  }

  /**
   * May the bundle stay on this broker? Only isolation says no, and not because of load alone: a bundle is called back from
   * a secondary broker once enough primary ones are well below their threshold.
   */
  mayStay(bundle: string, instance: string): boolean {
    const broker = this.#byInstance.get(instance)
    if (broker === undefined || this.#rules.isolation.length === 0) return true // gone, or going: others see to that
    const policy = this.#policyOf(namespaceOfBundle(bundle))
    if (policy === undefined) return !this.#rules.isolation.some(({ primary }) => matchesBroker(primary, broker.id))
    if (matchesBroker(policy.primary, broker.id)) return true
    if (!matchesBroker(policy.secondary, broker.id)) return false
    const isCalm = ({ usage }: Broker): boolean => (usage ?? 0) < policy.usageThreshold - RETURN_MARGIN
    const calm = this.#brokers.filter(other => matchesBroker(policy.primary, other.id) && isCalm(other))
    return calm.length < Math.max(1, policy.minLimit)
  }

  /** Every broker that the bundle may go to, by all rules. */
  candidates(bundle: string): Candidates<Broker> {
    const namespace = namespaceOfBundle(bundle)
    return this.#apart(namespace, this.#isolated(namespace))
  }

  #policyOf(namespace: string): IsolationPolicy | undefined {
    let policy = this.#policies.get(namespace)
    if (policy === undefined && !this.#policies.has(namespace)) {
      policy = policyOf(this.#rules, namespace)
      this.#policies.set(namespace, policy)
    }
    return policy
  }

  #isolated(namespace: string): Candidates<Broker> {
    const policy = this.#policyOf(namespace)
    let found = this.#byPolicy.get(policy)
    if (found === undefined) {
      found = policy === undefined ? this.#shared() : this.#tierOf(policy)
      this.#byPolicy.set(policy, found)
    }
    return found
  }

  #shared(): Candidates<Broker> {
    const { isolation } = this.#rules
    if (isolation.length === 0) return { brokers: this.#brokers, reason: 'no isolation policy' }
    const brokers = this.#brokers.filter(({ id }) => !isolation.some(({ primary }) => matchesBroker(primary, id)))
    return { brokers, reason: 'brokers that are primary to no isolation policy' }
  }

  #tierOf(policy: IsolationPolicy): Candidates<Broker> {
    const primary = this.#brokers.filter(({ id }) => matchesBroker(policy.primary, id))
    const isAvailable = ({ usage }: Broker): boolean => (usage ?? 0) < policy.usageThreshold
    const available = primary.filter(isAvailable)
    const name = `isolation policy ${policy.name}`
    if (available.length > 0 && available.length >= policy.minLimit) {
      return { brokers: available, reason: `${name}, primary brokers` }
    }
    const secondary = this.#brokers.filter(({ id }) => !primaryHas(primary, id) && matchesBroker(policy.secondary, id))
    const both = [...available, ...secondary.filter(isAvailable)]
    const reason = `${name}, ${available.length} of at least ${policy.minLimit} primary brokers are available`
    if (both.length > 0) return { brokers: both, reason: `${reason}, secondary ones take part` }
    return { brokers: [...primary, ...secondary], reason: `${reason}, and no secondary one` }
  }

  /** P3 */
  #apart(namespace: string, { brokers, reason }: Candidates<Broker>): Candidates<Broker> {
    const group = this.#rules.groups.get(namespace)
    if (group === undefined) return { brokers, reason }
    const others = [...this.#rules.groups].filter(([other, its]) => its === group && other !== namespace)
    const taken = others.map(([other]) => this.#placesOf(other))
    const least = leastTaken(brokers, broker => taken.filter(places => places.has(this.#placeOf(broker))).length)
    const own = this.#placesOf(namespace)
    // it stays together, so that there is a place left for the others
    const together = least.filter(broker => own.has(this.#placeOf(broker)))
    const apart = `${reason}; apart from others of anti-affinity group ${group}`
    return { brokers: together.length > 0 ? together : least, reason: apart }
  }

  /** Where a namespace is: domains, or brokers where there are no domains. */
  #placesOf(namespace: string): Set<string> {
    const places = new Set<string>()
    for (const instance of this.#rules.holders.get(namespace) ?? []) {
      const broker = this.#byInstance.get(instance)
      if (broker !== undefined) places.add(this.#placeOf(broker))
    }
    return places
  }

  #placeOf({ id }: Broker): string {
    return this.#rules.domains.size > 0 ? (this.#rules.domains.get(id) ?? '') : id
  }

  /** Without those that are full, unless all are. */
  #withRoom(brokers: readonly Broker[]): readonly Broker[] {
    const { byLoad, overloadedPercent, brokerTopicsMax } = this.#limits
    if (!byLoad) return brokers
    const few = brokers.filter(({ topics }) => topics < brokerTopicsMax)
    const calm = (few.length > 0 ? few : brokers).filter(({ usage }) => (usage ?? 0) < overloadedPercent)
    return calm.length > 0 ? calm : few.length > 0 ? few : brokers
  }

  /** One of whom nothing is known counts as the average: it must not be given everything at once. */
  #headroomOf(broker: Broker): number {
    if (!this.#limits.byLoad) return 100
    return Math.max(HEADROOM_MIN, 100 - (broker.usage ?? this.#averageUsage))
  }

  #hashOfBroker(id: string): number {
    let hash = this.#hashes.get(id)
    if (hash === undefined) this.#hashes.set(id, (hash = hashOf(id)))
    return hash
  }
}

function primaryHas(primary: readonly PlacementBroker[], id: string): boolean {
  return primary.some(broker => broker.id === id)
}

function leastTaken<Broker>(brokers: readonly Broker[], countOf: (broker: Broker) => number): Broker[] {
  const counts = brokers.map(countOf)
  const least = Math.min(...counts)
  return brokers.filter((_, index) => counts[index] === least)
}

/** FNV-1a over the units of a text. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mix(hash)
}

/** Spreads every bit over all others. */
function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** In (0, 1). */
function drawOf(bundleHash: number, brokerHash: number): number {
  return (mix(bundleHash ^ Math.imul(brokerHash, 0x9e3779b1)) + 0.5) / 2 ** 32
}
