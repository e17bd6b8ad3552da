import type { BrokerSettings } from '../config/settings.ts'
import { count, type PolicySpecs, type Problem } from './policy-spec.ts'

/** How many of something there may be; 0: no limit. */
export interface LimitPolicies {
  maxTopicsPerNamespace: number
  maxProducersPerTopic: number
  maxConsumersPerTopic: number
  maxConsumersPerSubscription: number
  maxSubscriptionsPerTopic: number
  maxUnackedMessagesPerConsumer: number
  maxUnackedMessagesPerSubscription: number
  /** Bytes of a message with its headers; 0: what the broker takes. */
  maxMessageSize: number
  /** None: all that the broker has. */
  subscriptionTypesEnabled: readonly string[]
}

const SUBSCRIPTION_TYPES: readonly string[] = ['Exclusive', 'Shared', 'Failover', 'Key_Shared']

export const limitPolicies: PolicySpecs<LimitPolicies> = {
  maxTopicsPerNamespace: {
    field: 'max_topics_per_namespace',
    onNamespace: { path: 'maxTopicsPerNamespace', unset: () => 0 },
    parse: count('maxTopicsPerNamespace must be 0 or more'),
    ofBroker: settings => settings.maxTopicsPerNamespace
  },
  maxProducersPerTopic: {
    field: 'max_producers_per_topic',
    onNamespace: { path: 'maxProducersPerTopic' },
    onTopic: { path: 'maxProducers' },
    parse: count('maxProducersPerTopic must be 0 or more'),
    ofBroker: settings => settings.maxProducersPerTopic
  },
  maxConsumersPerTopic: {
    field: 'max_consumers_per_topic',
    onNamespace: { path: 'maxConsumersPerTopic' },
    onTopic: { path: 'maxConsumers' },
    parse: count('maxConsumersPerTopic must be 0 or more'),
    ofBroker: settings => settings.maxConsumersPerTopic
  },
  maxConsumersPerSubscription: {
    field: 'max_consumers_per_subscription',
    onNamespace: { path: 'maxConsumersPerSubscription' },
    onTopic: { path: 'maxConsumersPerSubscription' },
    parse: count('maxConsumersPerSubscription must be 0 or more'),
    ofBroker: settings => settings.maxConsumersPerSubscription
  },
  maxSubscriptionsPerTopic: {
    field: 'max_subscriptions_per_topic',
    onNamespace: { path: 'maxSubscriptionsPerTopic' },
    onTopic: { path: 'maxSubscriptionsPerTopic' },
    parse: count('maxSubscriptionsPerTopic must be 0 or more'),
    ofBroker: settings => settings.maxSubscriptionsPerTopic
  },
  maxUnackedMessagesPerConsumer: {
    field: 'max_unacked_messages_per_consumer',
    onNamespace: { path: 'maxUnackedMessagesPerConsumer' },
    onTopic: { path: 'maxUnackedMessagesOnConsumer' },
    parse: count('maxUnackedMessagesPerConsumer must be 0 or more'),
    ofBroker: settings => settings.maxUnackedMessagesPerConsumer
  },
  maxUnackedMessagesPerSubscription: {
    field: 'max_unacked_messages_per_subscription',
    onNamespace: { path: 'maxUnackedMessagesPerSubscription' },
    onTopic: { path: 'maxUnackedMessagesOnSubscription' },
    parse: count('maxUnackedMessagesPerSubscription must be 0 or more'),
    ofBroker: settings => settings.maxUnackedMessagesPerSubscription
  },
  maxMessageSize: {
    onTopic: { path: 'maxMessageSize' },
    parse: parseMaxMessageSize,
    ofBroker: settings => settings.maxMessageSize
  },
  subscriptionTypesEnabled: {
    field: 'subscription_types_enabled',
    onNamespace: { path: 'subscriptionTypesEnabled', unset: () => [] },
    onTopic: { path: 'subscriptionTypesEnabled' },
    parse: parseSubscriptionTypes,
    ofBroker: () => SUBSCRIPTION_TYPES,
    isOpen: value => value.length === 0
  }
}

function parseMaxMessageSize(value: unknown, { maxMessageSize }: BrokerSettings): number | Problem {
  const problem =
    'topic-level maxMessageSize must be greater than or equal to 0 and must be smaller than that in the broker-level'
  const parsed = count(problem)(value)
  return typeof parsed === 'number' && parsed > maxMessageSize ? { problem } : parsed
}

function parseSubscriptionTypes(value: unknown): readonly string[] | Problem {
  const isKnown = (type: unknown): type is string => typeof type === 'string' && SUBSCRIPTION_TYPES.includes(type)
  if (!Array.isArray(value) || !value.every(isKnown)) return { problem: 'There is no such subscription type' }
  return [...new Set(value)]
}
