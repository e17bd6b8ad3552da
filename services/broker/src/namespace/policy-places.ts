import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** Where topics and their data are kept. Set and read in ways of their own, so no level says how. */
export interface PlacePolicies {
  /** A group whose namespaces are kept apart. */
  antiAffinity: string
  /** Groups of storage nodes, names with commas between; without any, all nodes may hold its data. */
  bookieAffinity: { bookkeeperAffinityGroupPrimary?: string; bookkeeperAffinityGroupSecondary?: string }
}

export const placePolicies: PolicySpecs<PlacePolicies> = {
  antiAffinity: { parse: parseAntiAffinity },
  bookieAffinity: { parse: parseBookieAffinity }
}

function parseAntiAffinity(value: unknown): string | Problem {
  return typeof value === 'string' && value.trim() !== ''
    ? value.trim()
    : { problem: "antiAffinityGroup can't be empty" }
}

function parseBookieAffinity(value: unknown): PlacePolicies['bookieAffinity'] | Problem {
  const { bookkeeperAffinityGroupPrimary: primary, bookkeeperAffinityGroupSecondary: secondary } = fields(value)
  const isNone = (group: unknown): boolean => group === undefined || group === null || group === ''
  if (isNone(primary) && isNone(secondary)) return {}
  if (typeof primary !== 'string' || primary.trim() === '')
    return { problem: 'A primary bookie affinity group is needed' }
  if (isNone(secondary)) return { bookkeeperAffinityGroupPrimary: primary }
  if (typeof secondary !== 'string') return { problem: 'The secondary bookie affinity group must be a text' }
  return { bookkeeperAffinityGroupPrimary: primary, bookkeeperAffinityGroupSecondary: secondary }
}
