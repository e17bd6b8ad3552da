import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** Where topics and their data are kept. Set and read in ways of their own, so no level says how. */
export interface PlacePolicies {
  /** A group whose namespaces are kept apart; empty: none. */
  antiAffinity: string
  /** Groups of storage nodes, names with commas between; without any, all nodes may hold its data. null: it was removed. */
  bookieAffinity: BookieGroups | null
}

interface BookieGroups {
  bookkeeperAffinityGroupPrimary?: string
  bookkeeperAffinityGroupSecondary?: string
}

export const placePolicies: PolicySpecs<PlacePolicies> = {
  antiAffinity: { parse: parseAntiAffinity },
  bookieAffinity: { parse: parseBookieAffinity }
}

function parseAntiAffinity(value: unknown): string | Problem {
  return typeof value === 'string' ? value.trim() : { problem: 'antiAffinityGroup must be a text' }
}

function parseBookieAffinity(value: unknown): PlacePolicies['bookieAffinity'] | Problem {
  if (value === null) return null
  const { bookkeeperAffinityGroupPrimary: primary, bookkeeperAffinityGroupSecondary: secondary } = fields(value)
  const isNone = (group: unknown): boolean => group === undefined || group === null || group === ''
  if (isNone(primary) && isNone(secondary)) return {}
  if (typeof primary !== 'string' || primary.trim() === '')
    return { problem: 'A primary bookie affinity group is needed' }
  if (isNone(secondary)) return { bookkeeperAffinityGroupPrimary: primary }
  if (typeof secondary !== 'string') return { problem: 'The secondary bookie affinity group must be a text' }
  return { bookkeeperAffinityGroupPrimary: primary, bookkeeperAffinityGroupSecondary: secondary }
}
