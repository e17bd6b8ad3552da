import type { RetentionPolicy } from '@strata/managed-ledger'
import type { BrokerSettings } from '../config/settings.ts'
import type { PublishRate } from '../limits/publish-throttle.ts'
import { POLICY_NAMES, specOf, type PolicyName, type PolicyValues, type SetPolicies } from './policy-table.ts'

/** What holds for a namespace or a topic: what was set over the broker's settings. Never stored, always derived. */
export interface EffectivePolicies {
  readonly retention: RetentionPolicy
  /** Messages older than this are acknowledged for every subscription; 0: never. */
  readonly messageTtlSeconds: number
  readonly autoTopicCreation: { readonly allowed: boolean; readonly partitions: number }
  readonly autoSubscriptionCreation: boolean
  readonly schemaCompatibilityStrategy: string
  readonly isAllowAutoUpdateSchema: boolean
  readonly schemaValidationEnforced: boolean
  readonly encryptionRequired: boolean
  readonly maxTopicsPerNamespace: number
  readonly maxProducersPerTopic: number
  readonly maxConsumersPerTopic: number
  readonly maxConsumersPerSubscription: number
  readonly maxSubscriptionsPerTopic: number
  readonly maxUnackedMessagesPerConsumer: number
  readonly maxUnackedMessagesPerSubscription: number
  /** With headers; 0: whatever the broker takes. */
  readonly maxMessageBytes: number
  /** undefined: all that there are. */
  readonly subscriptionTypes: readonly string[] | undefined
  readonly publishRate: PublishRate
  /** Subscriptions unused for this long are deleted; 0: never. */
  readonly subscriptionExpirationMinutes: number
  readonly inactiveTopics: {
    readonly delete: boolean
    readonly mode: 'delete_when_no_subscriptions' | 'delete_when_subscriptions_caught_up'
    readonly maxInactiveSeconds: number
  }
}

/** Of each policy the first layer that says something, the most particular layer first. */
export function layered(layers: readonly SetPolicies[]): SetPolicies {
  const own: Partial<Record<PolicyName, unknown>> = {}
  for (const name of POLICY_NAMES) {
    for (const layer of layers) {
      const value = layer[name]
      if (value === undefined || specOf(name).isOpen?.(value) === true) continue
      own[name] = value
      break
    }
  }
  return own as SetPolicies
}

/** One policy as it holds, in the form of the admin API; undefined: neither anybody nor the broker says anything. */
export function appliedValue(name: PolicyName, layers: readonly SetPolicies[], settings: BrokerSettings): unknown {
  return layered(layers)[name] ?? specOf(name).ofBroker?.(settings)
}

/** Pure. `layers`: what was set, the most particular first: topic, then namespace. */
export function effectivePolicies(layers: readonly SetPolicies[], settings: BrokerSettings): EffectivePolicies {
  const own = layered(layers)
  const retention = own.retention ?? {
    retentionTimeInMinutes: settings.defaultRetentionTimeInMinutes,
    retentionSizeInMB: settings.defaultRetentionSizeInMB
  }
  return {
    retention: {
      timeMs: retention.retentionTimeInMinutes < 0 ? -1 : retention.retentionTimeInMinutes * 60_000,
      sizeBytes: retention.retentionSizeInMB < 0 ? -1 : retention.retentionSizeInMB * 1024 * 1024
    },
    messageTtlSeconds: own.messageTTL ?? settings.ttlDurationDefaultInSeconds,
    autoTopicCreation: autoTopicCreation(own.autoTopicCreation, settings),
    autoSubscriptionCreation:
      own.autoSubscriptionCreation?.allowAutoSubscriptionCreation ?? settings.allowAutoSubscriptionCreation,
    schemaCompatibilityStrategy: own.schemaCompatibilityStrategy ?? settings.schemaCompatibilityStrategy,
    isAllowAutoUpdateSchema: own.isAllowAutoUpdateSchema ?? settings.isAllowAutoUpdateSchemaEnabled,
    schemaValidationEnforced: own.schemaValidationEnforced ?? settings.isSchemaValidationEnforced,
    encryptionRequired: own.encryptionRequired ?? settings.encryptionRequireOnProducer,
    maxTopicsPerNamespace: own.maxTopicsPerNamespace ?? settings.maxTopicsPerNamespace,
    maxProducersPerTopic: own.maxProducersPerTopic ?? settings.maxProducersPerTopic,
    maxConsumersPerTopic: own.maxConsumersPerTopic ?? settings.maxConsumersPerTopic,
    maxConsumersPerSubscription: own.maxConsumersPerSubscription ?? settings.maxConsumersPerSubscription,
    maxSubscriptionsPerTopic: own.maxSubscriptionsPerTopic ?? settings.maxSubscriptionsPerTopic,
    maxUnackedMessagesPerConsumer: own.maxUnackedMessagesPerConsumer ?? settings.maxUnackedMessagesPerConsumer,
    maxUnackedMessagesPerSubscription:
      own.maxUnackedMessagesPerSubscription ?? settings.maxUnackedMessagesPerSubscription,
    maxMessageBytes: own.maxMessageSize ?? 0,
    subscriptionTypes: own.subscriptionTypesEnabled,
    publishRate: {
      messagesPerSecond: Math.max(0, own.publishRate?.publishThrottlingRateInMsg ?? 0),
      bytesPerSecond: Math.max(0, own.publishRate?.publishThrottlingRateInByte ?? 0)
    },
    subscriptionExpirationMinutes: own.subscriptionExpirationTime ?? settings.subscriptionExpirationTimeMinutes,
    inactiveTopics: inactiveTopics(own.inactiveTopicPolicies, settings)
  }
}

function autoTopicCreation(
  own: PolicyValues['autoTopicCreation'] | undefined,
  settings: BrokerSettings
): EffectivePolicies['autoTopicCreation'] {
  const policy = own ?? {
    allowAutoTopicCreation: settings.allowAutoTopicCreation,
    topicType: settings.allowAutoTopicCreationType,
    defaultNumPartitions: settings.defaultNumPartitions
  }
  const isPartitioned = policy.topicType === 'partitioned'
  return {
    allowed: policy.allowAutoTopicCreation,
    partitions: isPartitioned ? (policy.defaultNumPartitions ?? settings.defaultNumPartitions) : 0
  }
}

function inactiveTopics(
  policy: PolicyValues['inactiveTopicPolicies'] | undefined,
  settings: BrokerSettings
): EffectivePolicies['inactiveTopics'] {
  const mode = policy?.inactiveTopicDeleteMode ?? settings.brokerDeleteInactiveTopicsMode
  return {
    delete: policy?.deleteWhileInactive ?? settings.brokerDeleteInactiveTopicsEnabled,
    mode: mode === 'delete_when_subscriptions_caught_up' ? mode : 'delete_when_no_subscriptions',
    maxInactiveSeconds: policy?.maxInactiveDurationSeconds ?? settings.brokerDeleteInactiveTopicsFrequencySeconds
  }
}
