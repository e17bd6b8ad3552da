import { strict as assert } from 'node:assert'
import { transactUntilAnswered, type Change, type MetadataStore, type WatchEvent } from '@strata/metadata'
import { PolicyRowSchema, TopicRowSchema } from '../generated/broker_pb.ts'
import { namespaceError } from './errors.ts'
import type { DispatchRateValue } from './policy-rates.ts'
import { isPolicyName, type PolicyName, type PolicyLayer } from './policy-table.ts'
import { decodeRow, encodeRow, keys, scanAll } from './rows.ts'
import type { TopicName } from './topic-name.ts'

/** Set for this cluster, or for every cluster that the topic is replicated to. */
export type TopicPolicyReach = 'local' | 'global'

/** The topic that policies are of: its record's name, never a partition of a partitioned topic. */
export interface TopicIdentity {
  readonly name: TopicName
  readonly generation: string
}

/** What a row of a topic is about: a policy, or the dispatch rate of one subscription. */
export type TopicPolicyRow = PolicyName | `${typeof OF_SUBSCRIPTION}${string}`

const OF_SUBSCRIPTION = 'dispatchRateOfSubscription:'

export function dispatchRateRowOf(subscription: string): TopicPolicyRow {
  return `${OF_SUBSCRIPTION}${encodeURIComponent(subscription)}`
}

interface Row {
  readonly version: number
  /** undefined: it was deleted. */
  readonly value: unknown
}

/** Rows of one topic by `<reach>/<policy>`. */
type TopicRows = Map<string, Row>

interface NamespaceRows {
  /** By `<domain>/<local name>/<generation>`. */
  readonly topics: Map<string, TopicRows>
  readonly loaded: Promise<void>
}

/** Tries of a change before it is somebody else's turn to explain. */
const ATTEMPTS_MAX = 10
const CHANGES_AT_ONCE = 64

/**
 * Policies of topics, one row each, under the generation of their topic: one that is made anew under a name has none of its
 * predecessor's. Reads come from a copy of the namespace's rows, which is read once and then kept true by the watch; a row
 * that is written here is in the copy when the write returns.
 */
export class TopicPolicyRows {
  readonly #store: MetadataStore
  readonly #namespaces = new Map<string, NamespaceRows>()

  constructor(store: MetadataStore) {
    this.#store = store
  }

  async stored(topic: TopicIdentity, reach: TopicPolicyReach): Promise<PolicyLayer> {
    const { topics, loaded } = this.#rowsOf(topic.name.namespace)
    await loaded
    const values: Record<string, unknown> = {}
    const ofSubscriptions: Record<string, DispatchRateValue> = {}
    for (const [key, { value }] of topics.get(identityOf(topic)) ?? []) {
      const [of, name = ''] = key.split('/')
      if (of !== reach || value === undefined) continue
      if (isPolicyName(name)) values[name] = value
      else if (name.startsWith(OF_SUBSCRIPTION)) {
        ofSubscriptions[decodeURIComponent(name.slice(OF_SUBSCRIPTION.length))] = value as DispatchRateValue
      }
    }
    return Object.keys(ofSubscriptions).length === 0
      ? values
      : { ...values, dispatchRateOfSubscription: ofSubscriptions }
  }

  /** `undefined` removes. @throws NamespaceError TOPIC_NOT_FOUND, BEING_DELETED, CHANGED_MEANWHILE */
  async set(topic: TopicName, reach: TopicPolicyReach, policy: TopicPolicyRow, value: unknown): Promise<void> {
    await this.#change(topic, generation => {
      const key = keys.topicPolicy({ name: topic, generation }, reach, policy)
      if (value === undefined) return [{ kind: 'delete', key }]
      return [{ kind: 'put', key, value: encodeRow(PolicyRowSchema, { json: JSON.stringify(value) }) }]
    })
  }

  /** Everything that was set on the topic. @throws NamespaceError TOPIC_NOT_FOUND, BEING_DELETED, CHANGED_MEANWHILE */
  async removeAll(topic: TopicName): Promise<void> {
    for (;;) {
      const { records } = await this.#store.scan({
        prefix: keys.topicPolicies(topic),
        limit: CHANGES_AT_ONCE,
        keysOnly: true
      })
      if (records.length === 0) return
      await this.#change(topic, () => records.map(({ key }) => ({ kind: 'delete', key })))
    }
  }

  /** The topic goes for good: whatever was set on any topic of this name. */
  async forget(topic: TopicName): Promise<void> {
    for await (const { key } of scanAll(this.#store, keys.topicPolicies(topic), { keysOnly: true })) {
      const result = await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'delete', key }] })
      if (result.committed) this.#note({ key, value: undefined, version: result.revision }, 'here')
    }
  }

  /** What the watch saw. Returns the topics that it is about, as namespaces and storage names. */
  onEvents(events: readonly WatchEvent[]): { namespace: string; topic: string }[] {
    const changed = new Map<string, { namespace: string; topic: string }>()
    for (const event of events) {
      const { namespace, topic } = partsOf(event.key)
      this.#note(event, 'watch')
      changed.set(topic, { namespace, topic })
    }
    return [...changed.values()]
  }

  /** The topic's row is compared, so that nothing is left behind by a change that meets its deletion. */
  async #change(topic: TopicName, changesOf: (generation: string) => readonly Change[]): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const record = await this.#store.get(keys.topic(topic))
      if (record === undefined) throw namespaceError('TOPIC_NOT_FOUND', 'Topic not found')
      const row = decodeRow(TopicRowSchema, record)
      if (row.deleting === true) throw namespaceError('BEING_DELETED', 'The topic is being deleted')
      const changes = changesOf(row.generation ?? '')
      const result = await transactUntilAnswered(this.#store, {
        compares: [{ key: record.key, version: record.version }],
        changes
      })
      if (!result.committed) continue
      for (const change of changes) {
        const value = change.kind === 'put' ? change.value : undefined
        this.#note({ key: change.key, value, version: result.revision }, 'here')
      }
      return
    }
    throw namespaceError('CHANGED_MEANWHILE', 'The topic keeps changing')
  }

  #rowsOf(namespace: string): NamespaceRows {
    const known = this.#namespaces.get(namespace)
    if (known !== undefined) return known
    const topics = new Map<string, TopicRows>()
    const rows = { topics, loaded: this.#load(namespace, topics) }
    this.#namespaces.set(namespace, rows)
    rows.loaded.catch(() => {
      if (this.#namespaces.get(namespace) === rows) this.#namespaces.delete(namespace)
    })
    return rows
  }

  async #load(namespace: string, topics: Map<string, TopicRows>): Promise<void> {
    for await (const record of scanAll(this.#store, keys.topicPoliciesOf(namespace))) apply(topics, record, 'here')
  }

  #note(event: WatchEvent, source: Source): void {
    const rows = this.#namespaces.get(partsOf(event.key).namespace)
    if (rows === undefined) return
    // in the order of the events, and before whoever asks from now on
    rows.loaded.then(
      () => {
        apply(rows.topics, event, source)
      },
      () => undefined
    )
  }
}

/** The watch says everything in order, and last: what it says was deleted needs no remembering. */
type Source = 'watch' | 'here'

/** The version decides: an event of before does not take back what was read or written meanwhile. */
function apply(topics: Map<string, TopicRows>, { key, value, version }: WatchEvent, source: Source): void {
  const { identity, policy } = partsOf(key)
  const rows: TopicRows = topics.get(identity) ?? new Map<string, Row>()
  const known = rows.get(policy)
  if (known !== undefined && known.version > version) return
  if (value === undefined && source === 'watch') rows.delete(policy)
  else rows.set(policy, { version, value: value === undefined ? undefined : jsonOf(key, value) })
  if (rows.size === 0) topics.delete(identity)
  else topics.set(identity, rows)
}

function jsonOf(key: string, value: Uint8Array): unknown {
  return JSON.parse(decodeRow(PolicyRowSchema, { key, value }).json ?? 'null') as unknown
}

function identityOf({ name, generation }: TopicIdentity): string {
  return `${name.storageName}/${generation}`
}

/** Of `topic-policies/<tenant>/<namespace>/<domain>/<local name>/<generation>/<reach>/<policy>`. */
function partsOf(key: string): { namespace: string; topic: string; identity: string; policy: string } {
  const parts = key.split('/')
  assert(parts.length === 8, `no key of a topic's policy: ${key}`)
  return {
    namespace: parts.slice(1, 3).join('/'),
    topic: parts.slice(1, 5).join('/'),
    identity: parts.slice(1, 6).join('/'),
    policy: parts.slice(6).join('/')
  }
}

/** What a row is about, of a key as above; the topic by its full name. */
export function partsOfTopicPolicy(key: string): { namespace: string; topic: string; reach: string; policy: string } {
  const { namespace, topic, policy: rest } = partsOf(key)
  const [, , domain = '', local = ''] = topic.split('/')
  const [reach = '', policy = ''] = rest.split('/')
  return { namespace, topic: `${domain}://${namespace}/${decodeURIComponent(local)}`, reach, policy }
}
