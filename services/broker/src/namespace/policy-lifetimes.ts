import { count, fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** How long messages, subscriptions and topics are kept, and what comes into being by use. */
export interface LifetimePolicies {
  retention: { retentionTimeInMinutes: number; retentionSizeInMB: number }
  messageTTL: number
  subscriptionExpirationTime: number
  inactiveTopicPolicies: {
    /** Absent: none of those there are, so nothing is deleted. */
    inactiveTopicDeleteMode?: string
    maxInactiveDurationSeconds: number
    deleteWhileInactive: boolean
  }
  autoTopicCreation: { allowAutoTopicCreation: boolean; topicType?: string; defaultNumPartitions?: number }
  autoSubscriptionCreation: { allowAutoSubscriptionCreation: boolean }
}

export const lifetimePolicies: PolicySpecs<LifetimePolicies> = {
  retention: {
    field: 'retention_policies',
    onNamespace: { path: 'retention' },
    onTopic: { path: 'retention' },
    parse: parseRetention,
    ofBroker: settings => ({
      retentionTimeInMinutes: settings.defaultRetentionTimeInMinutes,
      retentionSizeInMB: settings.defaultRetentionSizeInMB
    })
  },
  messageTTL: {
    field: 'message_ttl_in_seconds',
    onNamespace: { path: 'messageTTL' },
    onTopic: { path: 'messageTTL' },
    parse: count('Invalid value for message TTL'),
    ofBroker: settings => settings.ttlDurationDefaultInSeconds
  },
  subscriptionExpirationTime: {
    field: 'subscription_expiration_time_minutes',
    onNamespace: { path: 'subscriptionExpirationTime' },
    onTopic: { path: 'subscriptionExpirationTime' },
    parse: count('Invalid value for subscription expiration time'),
    ofBroker: settings => settings.subscriptionExpirationTimeMinutes
  },
  inactiveTopicPolicies: {
    field: 'inactive_topic_policies',
    onNamespace: { path: 'inactiveTopicPolicies' },
    onTopic: { path: 'inactiveTopicPolicies' },
    parse: parseInactiveTopicPolicies,
    ofBroker: settings => ({
      inactiveTopicDeleteMode: settings.brokerDeleteInactiveTopicsMode,
      maxInactiveDurationSeconds: settings.brokerDeleteInactiveTopicsFrequencySeconds,
      deleteWhileInactive: settings.brokerDeleteInactiveTopicsEnabled
    })
  },
  autoTopicCreation: {
    field: 'autoTopicCreationOverride',
    onNamespace: { path: 'autoTopicCreation' },
    parse: parseAutoTopicCreation,
    ofBroker: settings => ({
      allowAutoTopicCreation: settings.allowAutoTopicCreation,
      topicType: settings.allowAutoTopicCreationType,
      defaultNumPartitions: settings.defaultNumPartitions
    })
  },
  autoSubscriptionCreation: {
    field: 'autoSubscriptionCreationOverride',
    onNamespace: { path: 'autoSubscriptionCreation' },
    onTopic: { path: 'autoSubscriptionCreation' },
    parse: parseAutoSubscriptionCreation,
    ofBroker: settings => ({ allowAutoSubscriptionCreation: settings.allowAutoSubscriptionCreation })
  }
}

function parseRetention(value: unknown): LifetimePolicies['retention'] | Problem {
  const { retentionTimeInMinutes: time = 0, retentionSizeInMB: size = 0 } = fields(value)
  const isTime = typeof time === 'number' && time >= -1
  if (!isTime || typeof size !== 'number' || size < -1) {
    return { problem: `Invalid retention policy: ${isTime ? 'size' : 'time'} limit must be >= -1` }
  }
  if ((time === 0) !== (size === 0)) {
    return {
      problem:
        'Invalid retention policy: Setting a single time or size limit to 0 is invalid when one of the limits has a non-zero value. ' +
        'Use the value of -1 instead of 0 to ignore a specific limit. To disable retention both limits must be set to 0.'
    }
  }
  return { retentionTimeInMinutes: Math.trunc(time), retentionSizeInMB: Math.trunc(size) }
}

const INACTIVE_MODES = ['delete_when_no_subscriptions', 'delete_when_subscriptions_caught_up'] as const

function parseInactiveTopicPolicies(value: unknown): LifetimePolicies['inactiveTopicPolicies'] | Problem {
  const {
    inactiveTopicDeleteMode: mode,
    maxInactiveDurationSeconds: seconds = 0,
    deleteWhileInactive = false
  } = fields(value)
  if (!Number.isSafeInteger(seconds) || typeof deleteWhileInactive !== 'boolean') {
    return { problem: 'Invalid inactive topic policies' }
  }
  return {
    ...(INACTIVE_MODES.some(known => known === mode) ? { inactiveTopicDeleteMode: mode as string } : {}),
    maxInactiveDurationSeconds: seconds as number,
    deleteWhileInactive
  }
}

const AUTO_TOPIC_CREATION = 'Invalid configuration for autoTopicCreationOverride.'

function parseAutoTopicCreation(value: unknown): LifetimePolicies['autoTopicCreation'] | Problem {
  const { allowAutoTopicCreation: allowed, topicType, defaultNumPartitions } = fields(value)
  if (allowed !== undefined && typeof allowed !== 'boolean') return { problem: AUTO_TOPIC_CREATION }
  if (allowed !== true) return { allowAutoTopicCreation: false }
  if (topicType !== 'partitioned' && topicType !== 'non-partitioned') {
    return { problem: `${AUTO_TOPIC_CREATION} the detail is Unknown topic type [${String(topicType)}]` }
  }
  const isNumbered = defaultNumPartitions !== undefined && defaultNumPartitions !== null
  if (topicType === 'non-partitioned') {
    const detail = '[defaultNumPartitions] is not allowed to be set when the type is non-partition.'
    if (isNumbered) return { problem: `${AUTO_TOPIC_CREATION} the detail is ${detail}` }
    return { allowAutoTopicCreation: true, topicType }
  }
  if (!isNumbered) {
    const detail = '[defaultNumPartitions] cannot be null when the type is partitioned.'
    return { problem: `${AUTO_TOPIC_CREATION} the detail is ${detail}` }
  }
  if (!Number.isSafeInteger(defaultNumPartitions) || (defaultNumPartitions as number) < 1) {
    return {
      problem: `${AUTO_TOPIC_CREATION} the detail is [defaultNumPartitions] cannot be less than 1 for partition type.`
    }
  }
  return { allowAutoTopicCreation: true, topicType, defaultNumPartitions: defaultNumPartitions as number }
}

function parseAutoSubscriptionCreation(value: unknown): LifetimePolicies['autoSubscriptionCreation'] | Problem {
  const { allowAutoSubscriptionCreation: allowed = false } = fields(value)
  if (typeof allowed !== 'boolean') return { problem: 'Invalid configuration for autoSubscriptionCreationOverride' }
  return { allowAutoSubscriptionCreation: allowed }
}
