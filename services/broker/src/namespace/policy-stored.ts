import { count, fields, flag, integer, type PolicySpecs, type Problem } from './policy-spec.ts'

/**
 * The closed list of policies whose feature is not there yet: they are kept, shown and answered like any other, and a warning
 * says so. No other policy may be kept without acting.
 */
export interface StoredPolicies {
  deduplication: boolean
  deduplicationSnapshotInterval: number
  delayedDelivery: { active: boolean; tickTime: number; maxDeliveryDelayInMillis: number }
  compactionThreshold: number
  offloadThreshold: number
  offloadThresholdInSeconds: number
  offloadDeletionLagMs: number
}

const isStoredOnly = true

export const storedPolicies: PolicySpecs<StoredPolicies> = {
  deduplication: {
    field: 'deduplicationEnabled',
    onNamespace: { path: 'deduplication' },
    onTopic: { path: 'deduplicationEnabled' },
    parse: flag,
    ofBroker: () => false,
    isStoredOnly
  },
  deduplicationSnapshotInterval: {
    field: 'deduplicationSnapshotIntervalSeconds',
    onNamespace: { path: 'deduplicationSnapshotInterval', isKept: true },
    onTopic: { path: 'deduplicationSnapshotInterval' },
    parse: count('interval must be greater than or equal to 0'),
    isStoredOnly
  },
  delayedDelivery: {
    field: 'delayed_delivery_policies',
    onNamespace: { path: 'delayedDelivery' },
    onTopic: { path: 'delayedDelivery' },
    parse: parseDelayedDelivery,
    ofBroker: () => ({ active: false, tickTime: 1000, maxDeliveryDelayInMillis: 0 }),
    isStoredOnly
  },
  compactionThreshold: {
    field: 'compaction_threshold',
    onNamespace: { path: 'compactionThreshold', method: 'PUT' },
    onTopic: { path: 'compactionThreshold' },
    parse: count('compactionThreshold must be 0 or more'),
    ofBroker: () => 0,
    isStoredOnly
  },
  offloadThreshold: {
    field: 'offload_threshold',
    onNamespace: { path: 'offloadThreshold', method: 'PUT', isKept: true, unset: () => -1 },
    parse: integer({ min: Number.MIN_SAFE_INTEGER, problem: 'The threshold must be a whole number' }),
    isStoredOnly
  },
  offloadThresholdInSeconds: {
    field: 'offload_threshold_in_seconds',
    onNamespace: { path: 'offloadThresholdInSeconds', method: 'PUT', isKept: true, unset: () => -1 },
    parse: integer({ min: Number.MIN_SAFE_INTEGER, problem: 'The threshold must be a whole number' }),
    isStoredOnly
  },
  offloadDeletionLagMs: {
    field: 'offload_deletion_lag_ms',
    onNamespace: { path: 'offloadDeletionLagMs', method: 'PUT' },
    parse: integer({ min: Number.MIN_SAFE_INTEGER, problem: 'The lag must be a whole number' }),
    isStoredOnly
  }
}

function parseDelayedDelivery(value: unknown): StoredPolicies['delayedDelivery'] | Problem {
  const { active, tickTime = 1000, maxDeliveryDelayInMillis: max = 0 } = fields(value)
  if (typeof active !== 'boolean' || typeof tickTime !== 'number' || typeof max !== 'number' || max < 0) {
    return { problem: 'Invalid delayed delivery policies' }
  }
  return { active, tickTime, maxDeliveryDelayInMillis: max }
}
