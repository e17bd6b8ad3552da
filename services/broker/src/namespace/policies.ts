import {
  transactUntilAnswered,
  type Compare,
  type MetadataRecord,
  type MetadataStore,
  type Watch
} from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { NamespaceRowSchema, PolicyRowSchema } from '../generated/broker_pb.ts'
import { effectivePolicies, type EffectivePolicies } from './effective-policies.ts'
import { namespaceError } from './errors.ts'
import {
  isPolicyName,
  isStoredOnly,
  specOf,
  type PolicyName,
  type PolicyValues,
  type PolicyLayer,
  type SetPolicies
} from './policy-table.ts'
import { decodeRow, encodeRow, keys, scanAll } from './rows.ts'
import type { TopicName } from './topic-name.ts'
import {
  dispatchRateRowOf,
  partsOfTopicPolicy,
  TopicPolicyRows,
  type TopicIdentity,
  type TopicPolicyReach
} from './topic-policy-rows.ts'

export type { EffectivePolicies } from './effective-policies.ts'

/** Of all policies Pulsar answers 400 for these. */
const BAD_REQUESTS: ReadonlySet<PolicyName> = new Set([
  'retention',
  'persistence',
  'backlogQuotaSize',
  'backlogQuotaAge',
  'entryFilters'
])

/** `topic`: the storage name of the only topic that it is about; undefined: all of the namespace. */
type PolicyListener = (namespace: string, topic: string | undefined) => void

/** A policy that is kept and does nothing, and where it was set. */
export interface NotActing {
  readonly policy: string
  readonly namespace: string
  /** Of a topic: its full name. */
  readonly topic?: string
  readonly reach?: string
  readonly value: unknown
}

/**
 * Policies of namespaces and of topics, one row each. Reads come from copies that the store's own watch keeps true and that
 * can be dropped at any time; writers go straight to the store. Each policy is a key of its own, so two who change different
 * policies never meet; of two who change one, the later one stands.
 */
export class PolicyStore {
  readonly #store: MetadataStore
  readonly #settings: BrokerSettings
  readonly #cache = new Map<string, Promise<SetPolicies>>()
  readonly #topics: TopicPolicyRows
  readonly #listeners = new Set<PolicyListener>()
  #watches: readonly Watch[] = []

  constructor(store: MetadataStore, settings: BrokerSettings) {
    this.#store = store
    this.#settings = settings
    this.#topics = new TopicPolicyRows(store)
  }

  async start(): Promise<void> {
    const ofNamespaces = this.#store.watch('policies/', events => {
      const changed = new Set(events.map(event => event.key.split('/').slice(1, 3).join('/')))
      for (const namespace of changed) {
        this.#cache.delete(namespace)
        this.#tell(namespace, undefined)
      }
    })
    const ofTopics = this.#store.watch(keys.allTopicPolicies, events => {
      for (const { namespace, topic } of this.#topics.onEvents(events)) this.#tell(namespace, topic)
    })
    this.#watches = await Promise.all([ofNamespaces, ofTopics])
  }

  close(): void {
    for (const watch of this.#watches) watch.close()
    this.#listeners.clear()
  }

  /** Calls whenever a policy changed; returns how to stop. */
  onChanged(listener: PolicyListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  // ------------------------------------------------------------ of namespaces

  /** undefined: not set on the namespace. */
  async get<Name extends PolicyName>(namespace: string, name: Name): Promise<PolicyValues[Name] | undefined> {
    const stored = await this.stored(namespace)
    return stored[name]
  }

  /**
   * Stands on the namespace's row, so that none is left behind by a deletion that comes between.
   * @throws NamespaceError NAME_INVALID, VALUE_INVALID with what is wrong about the value; NAMESPACE_NOT_FOUND, also of one that
   *   is being deleted
   */
  async set(namespace: string, name: PolicyName, value: unknown): Promise<void> {
    const row = encodeRow(PolicyRowSchema, { json: JSON.stringify(this.#parsed(name, value)) })
    for (;;) {
      const result = await transactUntilAnswered(this.#store, {
        compares: [await this.#fenceOf(namespace)],
        changes: [{ kind: 'put', key: keys.policy(namespace, name), value: row }]
      })
      if (result.committed) break
    }
    this.#cache.delete(namespace)
  }

  /**
   * Changes what was set, undefined being nothing: of two changes at once the later one sees the earlier one's.
   * @throws NamespaceError as `set`
   */
  async update<Name extends PolicyName>(
    namespace: string,
    name: Name,
    change: (current: PolicyValues[Name] | undefined) => unknown
  ): Promise<void> {
    const key = keys.policy(namespace, name)
    for (;;) {
      const fence = await this.#fenceOf(namespace)
      const record = await this.#store.get(key)
      const current = record === undefined ? undefined : (valueOf(record) as PolicyValues[Name])
      const next = change(current)
      const value = next === undefined ? undefined : JSON.stringify(this.#parsed(name, next))
      const result = await transactUntilAnswered(this.#store, {
        compares: [fence, { key, version: record?.version ?? 0 }],
        changes: [
          value === undefined
            ? { kind: 'delete', key }
            : { kind: 'put', key, value: encodeRow(PolicyRowSchema, { json: value }) }
        ]
      })
      if (result.committed) break
    }
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

  stored(namespace: string): Promise<SetPolicies> {
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
    return effectivePolicies([await this.stored(namespace)], this.#settings)
  }

  // ------------------------------------------------------------ of topics

  storedOfTopic(topic: TopicIdentity, reach: TopicPolicyReach): Promise<PolicyLayer> {
    return this.#topics.stored(topic, reach)
  }

  /**
   * @throws NamespaceError NAME_INVALID, VALUE_INVALID with what is wrong about the value; TOPIC_NOT_FOUND, BEING_DELETED,
   *   CHANGED_MEANWHILE
   */
  async setOfTopic(topic: TopicName, reach: TopicPolicyReach, name: PolicyName, value: unknown): Promise<void> {
    await this.#topics.set(topic, reach, name, this.#parsed(name, value))
  }

  /** @throws NamespaceError TOPIC_NOT_FOUND, BEING_DELETED, CHANGED_MEANWHILE */
  async removeOfTopic(topic: TopicName, reach: TopicPolicyReach, name: PolicyName): Promise<void> {
    await this.#topics.set(topic, reach, name, undefined)
  }

  /**
   * The dispatch rate of one subscription; `undefined` removes it.
   * @throws NamespaceError NAME_INVALID; TOPIC_NOT_FOUND, BEING_DELETED, CHANGED_MEANWHILE
   */
  async setOfSubscription(
    topic: TopicName,
    reach: TopicPolicyReach,
    { subscription, value }: { subscription: string; value: unknown }
  ): Promise<void> {
    const rate = value === undefined ? undefined : this.#parsed('subscriptionDispatchRate', value)
    await this.#topics.set(topic, reach, dispatchRateRowOf(subscription), rate)
  }

  /** @throws NamespaceError TOPIC_NOT_FOUND, BEING_DELETED, CHANGED_MEANWHILE */
  async removeAllOfTopic(topic: TopicName): Promise<void> {
    await this.#topics.removeAll(topic)
  }

  /** Part of its deletion: nothing that was set on it is left. */
  async forgetTopic(topic: TopicName): Promise<void> {
    await this.#topics.forget(topic)
  }

  /** What was set for the topic, the most particular first. */
  async layersOf(topic: TopicIdentity): Promise<readonly PolicyLayer[]> {
    return await Promise.all([
      this.#topics.stored(topic, 'local'),
      this.#topics.stored(topic, 'global'),
      this.stored(topic.name.namespace)
    ])
  }

  async effectiveOf(topic: TopicIdentity): Promise<EffectivePolicies> {
    return effectivePolicies(await this.layersOf(topic), this.#settings)
  }

  /** Everything that was set anywhere and asks for what is not there yet, page by page. */
  async *notActing(): AsyncGenerator<NotActing, void, undefined> {
    for await (const record of scanAll(this.#store, 'policies/')) {
      const [, tenant = '', local = '', policy = ''] = record.key.split('/')
      const value = this.#notActing(policy, record)
      if (value !== undefined) yield { policy, namespace: `${tenant}/${local}`, value }
    }
    for await (const record of scanAll(this.#store, keys.allTopicPolicies)) {
      const { namespace, topic, reach, policy } = partsOfTopicPolicy(record.key)
      const value = this.#notActing(policy, record)
      if (value !== undefined) yield { policy, namespace, topic, reach, value }
    }
  }

  #notActing(policy: string, record: MetadataRecord): unknown {
    if (!isPolicyName(policy)) return undefined
    const value = valueOf(record)
    return isStoredOnly(policy, value, this.#settings) ? value : undefined
  }

  #tell(namespace: string, topic: string | undefined): void {
    for (const listener of this.#listeners) listener(namespace, topic)
  }

  async #load(namespace: string): Promise<SetPolicies> {
    const values: Record<string, unknown> = {}
    const prefix = keys.policies(namespace)
    for await (const record of scanAll(this.#store, prefix)) {
      const name = record.key.slice(prefix.length)
      if (isPolicyName(name)) values[name] = valueOf(record)
    }
    return values
  }

  async #fenceOf(namespace: string): Promise<Compare> {
    const record = await this.#store.get(keys.namespace(namespace))
    if (record === undefined || decodeRow(NamespaceRowSchema, record).deleting === true) {
      throw namespaceError('NAMESPACE_NOT_FOUND', 'Namespace does not exist')
    }
    return { key: record.key, version: record.version }
  }

  /** What `set` would refuse is refused, and nothing is written. @throws NamespaceError NAME_INVALID, VALUE_INVALID */
  check(name: PolicyName, value: unknown): void {
    this.#parsed(name, value)
  }

  /** @throws NamespaceError NAME_INVALID, VALUE_INVALID */
  #parsed(name: PolicyName, value: unknown): unknown {
    const parsed = specOf(name).parse(value, this.#settings)
    if (typeof parsed === 'object' && parsed !== null && 'problem' in parsed) {
      throw namespaceError(BAD_REQUESTS.has(name) ? 'VALUE_INVALID' : 'NAME_INVALID', String(parsed.problem))
    }
    return parsed
  }
}

function valueOf(record: MetadataRecord): unknown {
  return JSON.parse(decodeRow(PolicyRowSchema, record).json ?? 'null') as unknown
}
