import type { BrokerSettings } from '../config/settings.ts'

/** Why a value is not taken, in Pulsar's words where tools look at them. */
export interface Problem {
  readonly problem: string
}

/** How a policy is found at one level. */
export interface PolicyLevel {
  /** Last segment of its path. */
  readonly path: string
  /** POST where nothing else is said. */
  readonly method?: 'PUT'
  /** It can be set to something else, never removed. */
  readonly isKept?: true
  /** What setting it answers; 204 where nothing else is said. */
  readonly setStatus?: 200
  /** What is shown where nobody set it; nothing where this is not given. */
  readonly unset?: (settings: BrokerSettings) => unknown
}

/** One policy: how it is found, checked, shown, and what holds where nobody set it. */
export interface PolicySpec<Value> {
  /** Its field in Pulsar's `Policies`, the document of a namespace. */
  readonly field?: string
  readonly onNamespace?: PolicyLevel
  readonly onTopic?: PolicyLevel
  /** In that document it is a map from the cluster's name. */
  readonly isByCluster?: true
  /** In that document it is a value of a map, by this name. */
  readonly mapKey?: string
  /** Takes what a client sent. */
  readonly parse: (value: unknown, settings: BrokerSettings) => Value | Problem
  /** What holds where neither topic nor namespace says anything, in the form of the policy. */
  readonly ofBroker?: (settings: BrokerSettings) => Value
  /** A value that leaves it to the level above. */
  readonly isOpen?: (value: Value) => boolean
  /** The value together with the parts of the one above it that it leaves as they are; without it a value holds as a whole. */
  readonly within?: (value: Value, above: Value) => Value
  /** Kept and shown, but what it is about is not there yet: setting it is answered, and a warning is logged. */
  readonly isStoredOnly?: true
  /** Of those: values that ask for nothing that is not there. */
  readonly isHarmless?: (value: Value, settings: BrokerSettings) => boolean
}

export type PolicySpecs<Values> = { readonly [Name in keyof Values]: PolicySpec<Values[Name]> }

/** A whole number of 0 or more, also as text: clients send both. */
export function count(problem: string): (value: unknown) => number | Problem {
  return integer({ min: 0, problem })
}

export function integer({ min, problem }: { min: number; problem: string }): (value: unknown) => number | Problem {
  return value => {
    const parsed = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
    return Number.isSafeInteger(parsed) && (parsed as number) >= min ? (parsed as number) : { problem }
  }
}

export function flag(value: unknown): boolean | Problem {
  return typeof value === 'boolean' ? value : { problem: 'The value must be true or false' }
}

/** Of an object; of anything else there are none. */
export function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
