import type { RetentionPolicy } from '@strata/managed-ledger'
import { transactUntilAnswered, type MetadataStore, type Watch } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { PolicyRowSchema } from '../generated/broker_pb.ts'
import { namespaceError } from './errors.ts'
import { policyTable, type PolicyName, type PolicyValues } from './policy-table.ts'
import { decodeRow, encodeRow, keys, scanAll } from './rows.ts'

/** What holds for a namespace: its own policies over the broker's settings. Never stored, always derived. */
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
  /** Subscriptions unused for this long are deleted; 0: never. */
  readonly subscriptionExpirationMinutes: number
  readonly inactiveTopics: {
    readonly delete: boolean
    readonly mode: 'delete_when_no_subscriptions' | 'delete_when_subscriptions_caught_up'
    readonly maxInactiveSeconds: number
  }
}

type StoredPolicies = { readonly [Name in PolicyName]?: PolicyValues[Name] }

/**
 * Policies of namespaces, one row each. Reads come from a cache that the store's own watch keeps true and that can be
 * dropped at any time; writers go straight to the store.
 */
export class PolicyStore {
  readonly #store: MetadataStore
  readonly #settings: BrokerSettings
  readonly #cache = new Map<string, Promise<StoredPolicies>>()
  readonly #listeners = new Set<(namespace: string) => void>()
  #watch: Watch | undefined

  constructor(store: MetadataStore, settings: BrokerSettings) {
    this.#store = store
    this.#settings = settings
  }

  async start(): Promise<void> {
    this.#watch = await this.#store.watch('policies/', events => {
      const changed = new Set(events.map(event => event.key.split('/').slice(1, 3).join('/')))
      for (const namespace of changed) {
        this.#cache.delete(namespace)
        for (const listener of this.#listeners) listener(namespace)
      }
    })
  }

  close(): void {
    this.#watch?.close()
    this.#listeners.clear()
  }

  /** Calls with the namespace whenever one of its policies changed; returns how to stop. */
  onChanged(listener: (namespace: string) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** undefined: not set on the namespace. */
  async get<Name extends PolicyName>(namespace: string, name: Name): Promise<PolicyValues[Name] | undefined> {
    const stored = await this.stored(namespace)
    return stored[name]
  }

  /** @throws NamespaceError NAME_INVALID, VALUE_INVALID with what is wrong about the value */
  async set(namespace: string, name: PolicyName, value: unknown): Promise<void> {
    const json = JSON.stringify(parsePolicy(name, value))
    await transactUntilAnswered(this.#store, {
      compares: [],
      changes: [{ kind: 'put', key: keys.policy(namespace, name), value: encodeRow(PolicyRowSchema, { json }) }]
    })
    this.#cache.delete(namespace)
  }

  async remove(namespace: string, name: PolicyName): Promise<void> {
    await transactUntilAnswered(this.#store, {
      compares: [],
      changes: [{ kind: 'delete', key: keys.policy(namespace, name) }]
    })
    this.#cache.delete(namespace)
  }

  async removeAll(namespace: string): Promise<void> {
    for await (const record of scanAll(this.#store, keys.policies(namespace), { keysOnly: true })) {
      await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'delete', key: record.key }] })
    }
    this.#cache.delete(namespace)
  }

  stored(namespace: string): Promise<StoredPolicies> {
    const cached = this.#cache.get(namespace)
    if (cached !== undefined) return cached
    const loading = this.#load(namespace)
    this.#cache.set(namespace, loading)
    loading.catch(() => {
      if (this.#cache.get(namespace) === loading) this.#cache.delete(namespace)
    })
    return loading
  }

  async effective(namespace: string): Promise<EffectivePolicies> {
    return merge(await this.stored(namespace), this.#settings)
  }

  async #load(namespace: string): Promise<StoredPolicies> {
    const values: Record<string, unknown> = {}
    const prefix = keys.policies(namespace)
    for await (const record of scanAll(this.#store, prefix)) {
      const name = record.key.slice(prefix.length)
      if (name in policyTable) values[name] = JSON.parse(decodeRow(PolicyRowSchema, record).json ?? 'null')
    }
    return values
  }
}

/** @throws NamespaceError NAME_INVALID, VALUE_INVALID */
function parsePolicy(name: PolicyName, value: unknown): unknown {
  const parsed = policyTable[name].parse(value)
  if (typeof parsed === 'object' && 'problem' in parsed) {
    // of all policies Pulsar answers 400 for this one
    throw namespaceError(name === 'retention' ? 'VALUE_INVALID' : 'NAME_INVALID', parsed.problem)
  }
  return parsed
}

function merge(own: StoredPolicies, settings: BrokerSettings): EffectivePolicies {
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
    autoTopicCreation: autoTopicCreation(own, settings),
    autoSubscriptionCreation:
      own.autoSubscriptionCreation?.allowAutoSubscriptionCreation ?? settings.allowAutoSubscriptionCreation,
    schemaCompatibilityStrategy:
      own.schemaCompatibilityStrategy === undefined || own.schemaCompatibilityStrategy === 'UNDEFINED'
        ? settings.schemaCompatibilityStrategy
        : own.schemaCompatibilityStrategy,
    isAllowAutoUpdateSchema: own.isAllowAutoUpdateSchema ?? settings.isAllowAutoUpdateSchemaEnabled,
    schemaValidationEnforced: own.schemaValidationEnforced ?? settings.isSchemaValidationEnforced,
    encryptionRequired: own.encryptionRequired ?? settings.encryptionRequireOnProducer,
    maxTopicsPerNamespace: own.maxTopicsPerNamespace ?? settings.maxTopicsPerNamespace,
    maxProducersPerTopic: own.maxProducersPerTopic ?? settings.maxProducersPerTopic,
    maxConsumersPerTopic: own.maxConsumersPerTopic ?? settings.maxConsumersPerTopic,
    maxConsumersPerSubscription: own.maxConsumersPerSubscription ?? settings.maxConsumersPerSubscription,
    maxSubscriptionsPerTopic: own.maxSubscriptionsPerTopic ?? settings.maxSubscriptionsPerTopic,
    subscriptionExpirationMinutes: own.subscriptionExpirationTime ?? settings.subscriptionExpirationTimeMinutes,
    inactiveTopics: inactiveTopics(own, settings)
  }
}

function autoTopicCreation(own: StoredPolicies, settings: BrokerSettings): EffectivePolicies['autoTopicCreation'] {
  const policy = own.autoTopicCreation ?? {
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

function inactiveTopics(own: StoredPolicies, settings: BrokerSettings): EffectivePolicies['inactiveTopics'] {
  const policy = own.inactiveTopicPolicies
  const mode = policy?.inactiveTopicDeleteMode ?? settings.brokerDeleteInactiveTopicsMode
  return {
    delete: policy?.deleteWhileInactive ?? settings.brokerDeleteInactiveTopicsEnabled,
    mode: mode === 'delete_when_subscriptions_caught_up' ? mode : 'delete_when_no_subscriptions',
    maxInactiveSeconds: policy?.maxInactiveDurationSeconds ?? settings.brokerDeleteInactiveTopicsFrequencySeconds
  }
}
