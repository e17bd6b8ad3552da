/*
  All metadata of a cluster as text: sections, in each the things of one kind by name, each a record of fields. Fields of some names are
  maps in which every key is a fact of its own, such as `policies`. What is empty is left out, so that the same state is the same text.
*/

/** In the order in which things are made: each needs those before it. */
export const SECTIONS = ['clusters', 'resourceGroups', 'brokers', 'tenants', 'namespaces', 'topics'] as const

export type Section = (typeof SECTIONS)[number]

/** One thing, such as a topic. */
export type Thing = Readonly<Record<string, unknown>>

/** Sections that are not there are not spoken of: nothing in them is compared or changed. */
export type ClusterDocument = { readonly [Name in Section]?: ReadonlyMap<string, Thing> }

/** First line of the text; another number is another form. */
export const FORMAT = 'strata-cluster/1'

/** For people. */
export const KINDS: Readonly<Record<Section, string>> = {
  clusters: 'cluster',
  resourceGroups: 'resource group',
  brokers: 'settings of',
  tenants: 'tenant',
  namespaces: 'namespace',
  topics: 'topic'
}

/** Where every key is a fact of its own. */
const MAPS: ReadonlySet<string> = new Set([
  'policies',
  'globalPolicies',
  'properties',
  'grants',
  'subscriptionGrants',
  'subscriptions',
  'failureDomains',
  'isolationPolicies',
  'configuration'
])

/** A fact of a thing: `['partitions']`, or `['policies', 'retention']`. */
export type FieldPath = readonly [field: string, key?: string]

export interface Field {
  readonly path: FieldPath
  readonly value: unknown
}

/** The facts of a thing by their names, `partitions` or `policies.retention`. */
export function fieldsOf(thing: Thing): Map<string, Field> {
  const fields = new Map<string, Field>()
  for (const [field, value] of Object.entries(thing)) {
    if (!MAPS.has(field)) {
      fields.set(field, { path: [field], value })
      continue
    }
    for (const [key, each] of Object.entries(value as Readonly<Record<string, unknown>>)) {
      fields.set(`${field}.${key}`, { path: [field, key], value: each })
    }
  }
  return fields
}

/** Without the fields that say nothing: none, empty lists and empty maps. */
export function withoutEmpty(thing: Thing): Thing {
  return Object.fromEntries(Object.entries(thing).filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (typeof value !== 'object') return false
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0
}

/** Whatever the order of keys. */
export function isSame(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b)
}

/** JSON with sorted keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each
  )
}
