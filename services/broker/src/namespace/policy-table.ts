import { COMPATIBILITY_STRATEGIES } from '@strata/schema'

/** Values as the admin API takes and shows them. */
export interface PolicyValues {
  retention: { retentionTimeInMinutes: number; retentionSizeInMB: number }
  messageTTL: number
  autoTopicCreation: { allowAutoTopicCreation: boolean; topicType?: string; defaultNumPartitions?: number }
  autoSubscriptionCreation: { allowAutoSubscriptionCreation: boolean }
  schemaCompatibilityStrategy: string
  isAllowAutoUpdateSchema: boolean
  schemaValidationEnforced: boolean
  encryptionRequired: boolean
  maxTopicsPerNamespace: number
  maxProducersPerTopic: number
  maxConsumersPerTopic: number
  maxConsumersPerSubscription: number
  maxSubscriptionsPerTopic: number
  subscriptionExpirationTime: number
  inactiveTopicPolicies: {
    inactiveTopicDeleteMode: string
    maxInactiveDurationSeconds: number
    deleteWhileInactive: boolean
  }
  /** A group whose namespaces are kept apart. */
  antiAffinity: string
  /** Groups of storage nodes, names with commas between. */
  bookieAffinity: { bookkeeperAffinityGroupPrimary: string; bookkeeperAffinityGroupSecondary?: string }
}

export type PolicyName = keyof PolicyValues

interface Policy<Value> {
  /** Takes what a client sent; `problem` is the text it gets back (Pulsar's, where tools look at it). */
  parse(value: unknown): Value | { problem: string }
}

const SCHEMA_COMPATIBILITY_STRATEGIES = ['UNDEFINED', ...COMPATIBILITY_STRATEGIES] as const

/** Every policy of a namespace, once. A policy is here only if the broker obeys it. */
export const policyTable: { readonly [Name in PolicyName]: Policy<PolicyValues[Name]> } = {
  retention: { parse: parseRetention },
  messageTTL: { parse: count('Invalid value for message TTL') },
  autoTopicCreation: { parse: parseAutoTopicCreation },
  autoSubscriptionCreation: { parse: parseAutoSubscriptionCreation },
  schemaCompatibilityStrategy: { parse: parseStrategy },
  isAllowAutoUpdateSchema: { parse: flag },
  schemaValidationEnforced: { parse: flag },
  encryptionRequired: { parse: flag },
  maxTopicsPerNamespace: { parse: count('maxTopicsPerNamespace must be 0 or more') },
  maxProducersPerTopic: { parse: count('maxProducersPerTopic must be 0 or more') },
  maxConsumersPerTopic: { parse: count('maxConsumersPerTopic must be 0 or more') },
  maxConsumersPerSubscription: { parse: count('maxConsumersPerSubscription must be 0 or more') },
  maxSubscriptionsPerTopic: { parse: count('maxSubscriptionsPerTopic must be 0 or more') },
  subscriptionExpirationTime: { parse: count('Invalid value for subscription expiration time') },
  inactiveTopicPolicies: { parse: parseInactiveTopicPolicies },
  antiAffinity: { parse: parseAntiAffinity },
  bookieAffinity: { parse: parseBookieAffinity }
}

/** About places, and set and read in ways of their own. */
const PLACE_POLICIES: ReadonlySet<string> = new Set<PolicyName>(['antiAffinity', 'bookieAffinity'])

/** Names of the policies that all are served alike, in the order of the table. */
export const SERVED_POLICIES = Object.keys(policyTable).filter(
  name => !PLACE_POLICIES.has(name)
) as readonly PolicyName[]

function count(problem: string): (value: unknown) => number | { problem: string } {
  return value => {
    const parsed = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
    return Number.isSafeInteger(parsed) && (parsed as number) >= 0 ? (parsed as number) : { problem }
  }
}

function flag(value: unknown): boolean | { problem: string } {
  return typeof value === 'boolean' ? value : { problem: 'The value must be true or false' }
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function parseRetention(value: unknown): PolicyValues['retention'] | { problem: string } {
  const { retentionTimeInMinutes: time = 0, retentionSizeInMB: size = 0 } = fields(value)
  if (typeof time !== 'number' || typeof size !== 'number' || time < -1 || size < -1) {
    return { problem: 'Invalid retention policy: time and size limits must be >= -1' }
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

const AUTO_TOPIC_CREATION = 'Invalid configuration for autoTopicCreationOverride.'

function parseAutoTopicCreation(value: unknown): PolicyValues['autoTopicCreation'] | { problem: string } {
  const { allowAutoTopicCreation: allowed, topicType, defaultNumPartitions } = fields(value)
  if (typeof allowed !== 'boolean') return { problem: AUTO_TOPIC_CREATION }
  if (!allowed) return { allowAutoTopicCreation: false }
  if (topicType !== 'partitioned' && topicType !== 'non-partitioned') {
    return { problem: `${AUTO_TOPIC_CREATION} the detail is Unknown topic type [${String(topicType)}]` }
  }
  if (topicType === 'non-partitioned') return { allowAutoTopicCreation: true, topicType }
  if (!Number.isSafeInteger(defaultNumPartitions) || (defaultNumPartitions as number) < 1) {
    return {
      problem: `${AUTO_TOPIC_CREATION} the detail is [defaultNumPartitions] cannot be less than 1 for partition type.`
    }
  }
  return { allowAutoTopicCreation: true, topicType, defaultNumPartitions: defaultNumPartitions as number }
}

function parseAutoSubscriptionCreation(value: unknown): PolicyValues['autoSubscriptionCreation'] | { problem: string } {
  const { allowAutoSubscriptionCreation: allowed } = fields(value)
  if (typeof allowed !== 'boolean') return { problem: 'Invalid configuration for autoSubscriptionCreationOverride' }
  return { allowAutoSubscriptionCreation: allowed }
}

function parseStrategy(value: unknown): string | { problem: string } {
  const isKnown = SCHEMA_COMPATIBILITY_STRATEGIES.some(strategy => strategy === value)
  return isKnown ? (value as string) : { problem: 'There is no such schema compatibility strategy' }
}

function parseInactiveTopicPolicies(value: unknown): PolicyValues['inactiveTopicPolicies'] | { problem: string } {
  const { inactiveTopicDeleteMode: mode, maxInactiveDurationSeconds: seconds, deleteWhileInactive } = fields(value)
  if (mode !== 'delete_when_no_subscriptions' && mode !== 'delete_when_subscriptions_caught_up') {
    return { problem: 'There is no such inactiveTopicDeleteMode' }
  }
  if (!Number.isSafeInteger(seconds) || (seconds as number) < 1 || typeof deleteWhileInactive !== 'boolean') {
    return { problem: 'Invalid inactive topic policies' }
  }
  return { inactiveTopicDeleteMode: mode, maxInactiveDurationSeconds: seconds as number, deleteWhileInactive }
}

function parseAntiAffinity(value: unknown): string | { problem: string } {
  return typeof value === 'string' && value.trim() !== ''
    ? value.trim()
    : { problem: "antiAffinityGroup can't be empty" }
}

function parseBookieAffinity(value: unknown): PolicyValues['bookieAffinity'] | { problem: string } {
  const { bookkeeperAffinityGroupPrimary: primary, bookkeeperAffinityGroupSecondary: secondary } = fields(value)
  if (typeof primary !== 'string' || primary.trim() === '')
    return { problem: 'A primary bookie affinity group is needed' }
  if (secondary === undefined || secondary === null || secondary === '')
    return { bookkeeperAffinityGroupPrimary: primary }
  if (typeof secondary !== 'string') return { problem: 'The secondary bookie affinity group must be a text' }
  return { bookkeeperAffinityGroupPrimary: primary, bookkeeperAffinityGroupSecondary: secondary }
}
