import { count, fields, flag, type PolicySpecs, type Problem } from './policy-spec.ts'

/**
 * Policies whose feature is not there yet: they are kept, shown and answered like any other, and a warning says so. With
 * those of offloading and replication they are the closed list of such policies: no other may be kept without acting.
 */
export interface StoredPolicies {
  deduplication: boolean
  deduplicationSnapshotInterval: number
  delayedDelivery: { active: boolean; tickTime: number; maxDeliveryDelayInMillis: number }
  compactionThreshold: number
  /** Of topics of the clients of version 5, which are switched off. */
  scalableTopicAutoScalePolicy: Readonly<Record<string, unknown>>
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
  scalableTopicAutoScalePolicy: {
    field: 'scalableTopicAutoScalePolicy',
    onNamespace: { path: 'scalableTopicAutoScalePolicy' },
    parse: fields,
    isStoredOnly
  }
}

function parseDelayedDelivery(value: unknown): StoredPolicies['delayedDelivery'] | Problem {
  const { active = false, tickTime = 0, maxDeliveryDelayInMillis: max = 0 } = fields(value)
  if (typeof active !== 'boolean' || typeof tickTime !== 'number' || typeof max !== 'number') {
    return { problem: 'Invalid delayed delivery policies' }
  }
  return { active, tickTime, maxDeliveryDelayInMillis: max }
}
