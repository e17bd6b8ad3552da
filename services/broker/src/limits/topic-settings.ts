import type { SubscriptionSettings } from '../contract.ts'
import type { EffectivePolicies } from '../namespace/effective-policies.ts'

/** The settings of a topic's subscriptions: the broker's, but for what the topic's policies say. Read at each use. */
export class TopicSettings implements SubscriptionSettings {
  readonly #settings: SubscriptionSettings
  readonly #topic: { readonly policies: EffectivePolicies }

  constructor(settings: SubscriptionSettings, topic: { readonly policies: EffectivePolicies }) {
    this.#settings = settings
    this.#topic = topic
  }

  get maxUnackedMessagesPerConsumer(): number {
    return this.#topic.policies.maxUnackedMessagesPerConsumer
  }

  get maxUnackedMessagesPerSubscription(): number {
    return this.#topic.policies.maxUnackedMessagesPerSubscription
  }

  get dispatcherMaxReadBatchSize(): number {
    return this.#settings.dispatcherMaxReadBatchSize
  }

  get dispatcherMaxReadSizeBytes(): number {
    return this.#settings.dispatcherMaxReadSizeBytes
  }

  get activeConsumerFailoverDelayTimeMillis(): number {
    return this.#settings.activeConsumerFailoverDelayTimeMillis
  }

  get subscriptionKeySharedUseConsistentHashing(): boolean {
    return this.#settings.subscriptionKeySharedUseConsistentHashing
  }

  get subscriptionKeySharedConsistentHashingReplicaPoints(): number {
    return this.#settings.subscriptionKeySharedConsistentHashingReplicaPoints
  }

  get acknowledgmentAtBatchIndexLevelEnabled(): boolean {
    return this.#settings.acknowledgmentAtBatchIndexLevelEnabled
  }

  get dispatchThrottlingOnNonBacklogConsumerEnabled(): boolean {
    return this.#settings.dispatchThrottlingOnNonBacklogConsumerEnabled
  }

  get dispatcherEntryFilterRescheduledMessageDelay(): number {
    return this.#settings.dispatcherEntryFilterRescheduledMessageDelay
  }

  get dispatchThrottlingOnBatchMessageEnabled(): boolean {
    return this.#settings.dispatchThrottlingOnBatchMessageEnabled
  }
}
