import { count, type PolicySpecs } from './policy-spec.ts'

/** How many of something there may be; 0: no limit. */
export interface LimitPolicies {
  maxTopicsPerNamespace: number
  maxProducersPerTopic: number
  maxConsumersPerTopic: number
  maxConsumersPerSubscription: number
  maxSubscriptionsPerTopic: number
}

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
  }
}
