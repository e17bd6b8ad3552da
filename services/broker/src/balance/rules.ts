import { RE2JS } from 're2js'

/** A namespace's brokers, by an operator's word. Patterns match whole names, in time linear in the name. */
export interface IsolationPolicy {
  readonly name: string
  readonly namespaces: readonly NamePattern[]
  readonly primary: readonly NamePattern[]
  readonly secondary: readonly NamePattern[]
  /** With fewer primaries than this the secondaries take part. */
  readonly minLimit: number
  /** Percent of usage from which a broker does not count as available. */
  readonly usageThreshold: number
}

export interface NamePattern {
  readonly text: string
  matches(name: string): boolean
}

/** Everything that bounds where a bundle may be, besides load. */
export interface PlacementRules {
  /** By name: the first that matches a namespace is the one that counts. */
  readonly isolation: readonly IsolationPolicy[]
  /** Failure domain by broker id; empty: each broker is a domain of its own. */
  readonly domains: ReadonlyMap<string, string>
  /** Anti-affinity group by namespace. */
  readonly groups: ReadonlyMap<string, string>
  /** Instances that hold bundles, by namespace: of those namespaces that are in a group. */
  readonly holders: ReadonlyMap<string, readonly string[]>
}

export const NO_RULES: PlacementRules = { isolation: [], domains: new Map(), groups: new Map(), holders: new Map() }

/** Answers that a pattern remembers: names of brokers and namespaces come again and again. */
const REMEMBERED_MAX = 10_000

/** undefined: it is no pattern. */
export function namePattern(text: string): NamePattern | undefined {
  let regex: RE2JS
  try {
    regex = RE2JS.compile(text)
  } catch {
    return undefined
  }
  const remembered = new Map<string, boolean>()
  return {
    text,
    matches(name) {
      let answer = remembered.get(name)
      if (answer === undefined) {
        answer = regex.matches(name)
        if (remembered.size >= REMEMBERED_MAX) remembered.clear()
        remembered.set(name, answer)
      }
      return answer
    }
  }
}

/** By its whole id, or by its host alone. */
export function matchesBroker(patterns: readonly NamePattern[], id: string): boolean {
  const colon = id.lastIndexOf(':')
  const host = colon < 0 ? id : id.slice(0, colon)
  return patterns.some(pattern => pattern.matches(id) || pattern.matches(host))
}

export function policyOf(rules: PlacementRules, namespace: string): IsolationPolicy | undefined {
  return rules.isolation.find(policy => policy.namespaces.some(pattern => pattern.matches(namespace)))
}
