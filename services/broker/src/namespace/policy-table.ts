import { accessPolicies, type AccessPolicies } from './policy-access.ts'
import type { BrokerSettings } from '../config/settings.ts'
import { dispatchPolicies, type DispatchPolicies } from './policy-dispatch.ts'
import { clusterPolicies, type ClusterPolicies } from './policy-clusters.ts'
import { lifetimePolicies, type LifetimePolicies } from './policy-lifetimes.ts'
import { limitPolicies, type LimitPolicies } from './policy-limits.ts'
import { metricsPolicies, type MetricsPolicies } from './policy-metrics.ts'
import { offloadPolicies, type OffloadPolicies } from './policy-offload.ts'
import { persistencePolicies, type PersistencePolicies } from './policy-persistence.ts'
import { placePolicies, type PlacePolicies } from './policy-places.ts'
import { propertyPolicies, type PropertyPolicies } from './policy-properties.ts'
import { quotaPolicies, type QuotaPolicies } from './policy-quotas.ts'
import { ratePolicies, type DispatchRateValue, type RatePolicies } from './policy-rates.ts'
import { schemaPolicies, type SchemaPolicies } from './policy-schemas.ts'
import type { PolicySpec, PolicySpecs } from './policy-spec.ts'
import { storedPolicies, type StoredPolicies } from './policy-stored.ts'

/** Values as the admin API takes and shows them, by the policy's name: that of its row, and of its path at a namespace. */
export interface PolicyValues
  extends
    LifetimePolicies,
    LimitPolicies,
    RatePolicies,
    QuotaPolicies,
    PersistencePolicies,
    SchemaPolicies,
    AccessPolicies,
    PlacePolicies,
    ClusterPolicies,
    OffloadPolicies,
    PropertyPolicies,
    DispatchPolicies,
    MetricsPolicies,
    StoredPolicies {}

export type PolicyName = keyof PolicyValues

/** Every policy, once. A policy is here only if the broker obeys it, or is on the closed list of those that are kept only. */
export const policyTable: PolicySpecs<PolicyValues> = {
  ...lifetimePolicies,
  ...schemaPolicies,
  ...limitPolicies,
  ...ratePolicies,
  ...quotaPolicies,
  ...persistencePolicies,
  ...accessPolicies,
  ...storedPolicies,
  ...placePolicies,
  ...clusterPolicies,
  ...offloadPolicies,
  ...propertyPolicies,
  ...dispatchPolicies,
  ...metricsPolicies
}

export const POLICY_NAMES = Object.keys(policyTable) as readonly PolicyName[]

/** What somebody set, of any of the policies. */
export type SetPolicies = { readonly [Name in PolicyName]?: PolicyValues[Name] }

/** The same of one level, with what topics say of single subscriptions. */
export type PolicyLayer = SetPolicies & {
  /** By the subscription's name. */
  readonly dispatchRateOfSubscription?: Readonly<Record<string, DispatchRateValue>>
}

/** One of the table, where it does not matter which. */
export function specOf(name: PolicyName): PolicySpec<unknown> {
  return policyTable[name] as PolicySpec<unknown>
}

export function isPolicyName(name: string): name is PolicyName {
  return Object.hasOwn(policyTable, name)
}

/** The value asks for something that is not there yet, see `policy-stored.ts`. */
export function isStoredOnly(name: PolicyName, value: unknown, settings: BrokerSettings): boolean {
  const spec = specOf(name)
  return spec.isStoredOnly === true && spec.isHarmless?.(value, settings) !== true
}
