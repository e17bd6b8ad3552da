import { decodeSegment, encodeSegment } from '@strata/metadata'
import { ResourceGroupRowSchema, ResourceGroupUsesRowSchema } from '../generated/broker_pb.ts'
import { decodeRow, encodeRow } from '../namespace/rows.ts'
import type { Demand } from './shares.ts'

export const groupKeys = {
  groups: 'resource-groups/',
  group: (name: string): string => `resource-groups/${encodeSegment(name)}`,
  uses: 'resource-group-uses/',
  usesOf: (instance: string): string => `resource-group-uses/${instance}`
}

/** Fields as the admin API has them, each only where somebody gave it; none and less: no limit. */
export const GROUP_FIELDS = [
  'publishRateInMsgs',
  'publishRateInBytes',
  'dispatchRateInMsgs',
  'dispatchRateInBytes',
  'replicationDispatchRateInMsgs',
  'replicationDispatchRateInBytes'
] as const

/** Rates a second. Those of replication are kept and shown. */
export type ResourceGroup = { readonly [Field in (typeof GROUP_FIELDS)[number]]?: number }

/** What can be used up of a group. */
export const LIMITS = ['publish-messages', 'publish-bytes', 'dispatch-messages', 'dispatch-bytes'] as const
export type Limit = (typeof LIMITS)[number]

export const FIELD_OF: Readonly<Record<Limit, (typeof GROUP_FIELDS)[number]>> = {
  'publish-messages': 'publishRateInMsgs',
  'publish-bytes': 'publishRateInBytes',
  'dispatch-messages': 'dispatchRateInMsgs',
  'dispatch-bytes': 'dispatchRateInBytes'
}

/** Of one group at one broker. */
export type GroupUse = Readonly<Record<Limit, Demand>>

interface StoredRow {
  readonly key: string
  readonly value: Uint8Array
}

export function groupOfKey(key: string): string | undefined {
  return decodeSegment(key.slice(groupKeys.groups.length))
}

export function encodeGroup(group: ResourceGroup): Uint8Array {
  return encodeRow(ResourceGroupRowSchema, { json: JSON.stringify(group) })
}

export function decodeGroup(record: StoredRow): ResourceGroup {
  return JSON.parse(decodeRow(ResourceGroupRowSchema, record).json) as ResourceGroup
}

export function encodeUses(uses: ReadonlyMap<string, GroupUse>): Uint8Array {
  const rows = [...uses].flatMap(([group, use]) =>
    LIMITS.map(limit => ({ group, limit, perSecond: use[limit].perSecond, heldBack: use[limit].isHeldBack }))
  )
  return encodeRow(ResourceGroupUsesRowSchema, { uses: rows })
}

/** By `<limit> <group>`. */
export function decodeUses(record: StoredRow): ReadonlyMap<string, Demand> {
  const { uses } = decodeRow(ResourceGroupUsesRowSchema, record)
  return new Map(
    uses.map(({ group, limit, perSecond, heldBack }) => [`${limit} ${group}`, { perSecond, isHeldBack: heldBack }])
  )
}
