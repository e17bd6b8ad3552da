import { randomUUID } from 'node:crypto'
import type { Clock } from '@strata/base'
import {
  transactUntilAnswered,
  type Change,
  type Lease,
  type MetadataRecord,
  type MetadataStore
} from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { brokerError } from '../errors.ts'
import { NamespaceRowSchema, TopicRowSchema, type TopicRow } from '../generated/broker_pb.ts'
import { isNamespaceError, namespaceError } from './errors.ts'
import type { PolicyStore } from './policies.ts'
import { decodeRow, encodeRow, keys, scanAll } from './rows.ts'
import { topicNameOfStorageName, type TopicName } from './topic-name.ts'

/** Tries of a read-change-write before it is somebody else's turn to explain. */
const ATTEMPTS_MAX = 10
const LEASE_TTL_MS = 30_000

/**
 * A topic as it is agreed on. A partitioned topic is one record: its partitions have none of their own.
 * A non-persistent topic without partitions lives as long as the broker that holds it: its row is under that broker's lease.
 */
export interface TopicRecord {
  /** Never a partition of a partitioned topic. */
  readonly name: TopicName
  /** Random. A topic deleted and created again has another one: whoever holds the old one must not touch the new. */
  readonly generation: string
  /** 0: not partitioned. */
  readonly partitions: number
  readonly properties: Readonly<Record<string, string>>
  readonly createdAtMs: number
  readonly isDeleting: boolean
  /** Of the row in the store, for a compare-and-set. */
  readonly version: number
}

/**
 * Creates, changes and deletes topic records. Each is one compare-and-set; creation also compares the namespace, so that
 * nothing appears in a namespace that is being deleted.
 */
export class TopicRecords {
  readonly #store: MetadataStore
  readonly #settings: BrokerSettings
  readonly #policies: PolicyStore
  readonly #clock: Clock
  #lease: Promise<Lease> | undefined

  constructor(options: { store: MetadataStore; settings: BrokerSettings; policies: PolicyStore; clock: Clock }) {
    this.#store = options.store
    this.#settings = options.settings
    this.#policies = options.policies
    this.#clock = options.clock
  }

  async close(): Promise<void> {
    const lease = await this.#lease
    if (lease !== undefined && !lease.isLost) await lease.revoke()
  }

  /** The record of exactly this name: undefined for a partition of a partitioned topic. */
  async get(name: TopicName): Promise<TopicRecord | undefined> {
    const record = await this.#store.get(keys.topic(name))
    return record === undefined ? undefined : topicRecordOf(name, record)
  }

  /** The record that a topic or partition stands on; undefined: it does not exist (partition index out of range included). */
  async find(name: TopicName): Promise<TopicRecord | undefined> {
    const base = name.isPartition ? await this.get(name.base) : undefined
    if (base !== undefined && base.partitions > 0) return name.partitionIndex < base.partitions ? base : undefined
    return this.get(name)
  }

  /**
   * What PRODUCER and SUBSCRIBE stand on: the record of the topic or of the topic it is a partition of, created where
   * that is allowed.
   * @throws BrokerError TopicNotFound, NotAllowedError (base of a partitioned topic, no such partition), ServiceNotReady (being deleted)
   */
  async ensure(name: TopicName, options: { mayCreate: boolean }): Promise<TopicRecord> {
    const base = name.isPartition ? await this.get(name.base) : undefined
    if (base !== undefined && base.partitions > 0) {
      if (name.partitionIndex >= base.partitions) {
        const text = `Illegal topic partition name ${name.toString()} with max allowed ${base.partitions} partitions`
        throw brokerError('NotAllowedError', text)
      }
      return usable(base)
    }
    const own = await this.get(name)
    if (own !== undefined) {
      if (own.partitions > 0) {
        throw brokerError('NotAllowedError', `${name.toString()} is a partitioned topic: use its partitions`)
      }
      return usable(own)
    }
    const policies = options.mayCreate ? await this.#policies.effective(name.namespace) : undefined
    if (policies?.autoTopicCreation.allowed !== true) throw topicNotFound(name)
    return this.#createOnUse(name, 0)
  }

  /**
   * PARTITIONED_METADATA: number of partitions, 0 for none; creates a partitioned topic where policies say so.
   * @throws BrokerError TopicNotFound, MetadataError (being deleted)
   */
  async partitionsOf(name: TopicName, options: { mayCreate: boolean }): Promise<number> {
    if (name.isPartition) return 0
    const record = await this.get(name)
    if (record?.isDeleting === true) throw brokerError('MetadataError', `${name.toString()} is being deleted`)
    if (record !== undefined) return record.partitions
    if ((await this.#namespaceVersion(name.namespace)) === undefined) {
      throw brokerError('TopicNotFound', `Namespace ${name.namespace} does not exist`)
    }
    const policies = await this.#policies.effective(name.namespace)
    if (!options.mayCreate || !policies.autoTopicCreation.allowed) throw topicNotFound(name)
    if (policies.autoTopicCreation.partitions === 0) return 0
    return (await this.#createOnUse(name, policies.autoTopicCreation.partitions)).partitions
  }

  /** @throws NamespaceError NAMESPACE_NOT_FOUND, ALREADY_EXISTS, BEING_DELETED, LIMIT_REACHED */
  async create(
    name: TopicName,
    options: { partitions: number; properties?: Readonly<Record<string, string>> }
  ): Promise<TopicRecord> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const namespaceVersion = await this.#namespaceVersion(name.namespace)
      if (namespaceVersion === undefined) {
        throw namespaceError('NAMESPACE_NOT_FOUND', `Namespace ${name.namespace} does not exist.`)
      }
      await this.#requireRoom(name, options.partitions)
      const row = {
        generation: randomUUID(),
        partitions: options.partitions,
        properties: { ...options.properties },
        createdAtMs: BigInt(Math.trunc(this.#clock.wallMs()))
      }
      const key = keys.topic(name)
      const lease = name.isPersistent || options.partitions > 0 ? undefined : await this.#ownLease()
      const value = encodeRow(TopicRowSchema, row)
      const result = await transactUntilAnswered(this.#store, {
        compares: [
          { key, version: 0 },
          { key: keys.namespace(name.namespace), version: namespaceVersion }
        ],
        changes: [{ kind: 'put', key, value, ...(lease === undefined ? {} : { lease }) }]
      })
      if (result.committed) return topicRecordOf(name, { key, value, version: result.revision })
      const there = result.conflicts.find(conflict => conflict.key === key)?.current
      if (there !== undefined) {
        const { isDeleting } = topicRecordOf(name, there)
        if (isDeleting) throw namespaceError('BEING_DELETED', 'The topic is being deleted')
        throw namespaceError('ALREADY_EXISTS', 'This topic already exists')
      }
    }
    throw namespaceError('CHANGED_MEANWHILE', 'The namespace keeps changing')
  }

  /** @throws NamespaceError TOPIC_NOT_FOUND, BEING_DELETED */
  async change(
    name: TopicName,
    change: (current: TopicRecord) => { partitions?: number; properties?: Readonly<Record<string, string>> }
  ): Promise<TopicRecord> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const current = await this.#requireTopic(name)
      if (current.isDeleting) throw namespaceError('BEING_DELETED', 'The topic is being deleted')
      const changed = await this.#write(current, rowOf({ ...current, ...change(current) }))
      if (changed !== undefined) return changed
    }
    throw namespaceError('CHANGED_MEANWHILE', 'The topic keeps changing')
  }

  /**
   * The first half of a deletion: from here on nobody can use the topic. Then its logs go, then `finishDelete`. Whoever
   * finds it half done (`deletions`) carries on. Idempotent.
   * @throws NamespaceError TOPIC_NOT_FOUND
   */
  async beginDelete(name: TopicName): Promise<TopicRecord> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const current = await this.#requireTopic(name)
      if (current.isDeleting) return current
      const marker: Change = { kind: 'put', key: keys.topicDeletion(name), value: new Uint8Array(0) }
      const changed = await this.#write(current, { ...rowOf(current), deleting: true }, [marker])
      if (changed !== undefined) return changed
    }
    throw namespaceError('CHANGED_MEANWHILE', 'The topic keeps changing')
  }

  /** The second half, once nothing of the topic is left. Deletes that generation only; false: it was gone already. */
  async finishDelete(record: TopicRecord): Promise<boolean> {
    const key = keys.topic(record.name)
    const result = await transactUntilAnswered(this.#store, {
      compares: [{ key, version: record.version }],
      changes: [
        { kind: 'delete', key },
        { kind: 'delete', key: keys.topicDeletion(record.name) }
      ]
    })
    return result.committed
  }

  /** Deletions that were begun and not finished. */
  async *deletions(): AsyncGenerator<TopicRecord, void, undefined> {
    for await (const { key } of scanAll(this.#store, keys.topicDeletions, { keysOnly: true })) {
      const name = topicNameOfStorageName(key.slice(keys.topicDeletions.length))
      const record = name === undefined ? undefined : await this.get(name)
      if (record?.isDeleting === true) yield record
    }
  }

  /** Records of a namespace in key order, page by page. */
  async *list(namespace: string): AsyncGenerator<TopicRecord, void, undefined> {
    for await (const record of scanAll(this.#store, keys.topics(namespace))) {
      const name = topicNameOfStorageName(record.key.slice('topics/'.length))
      if (name !== undefined) yield topicRecordOf(name, record)
    }
  }

  /** Every topic of every namespace, page by page: for sweeps. */
  async *listAll(): AsyncGenerator<TopicRecord, void, undefined> {
    for await (const record of scanAll(this.#store, 'topics/')) {
      const name = topicNameOfStorageName(record.key.slice('topics/'.length))
      if (name !== undefined) yield topicRecordOf(name, record)
    }
  }

  /** Two clients may use a new topic at once: the second finds what the first made. */
  async #createOnUse(name: TopicName, partitions: number): Promise<TopicRecord> {
    try {
      return await this.create(name, { partitions })
    } catch (error) {
      if (isNamespaceError(error, 'NAMESPACE_NOT_FOUND')) throw brokerError('TopicNotFound', error.message, error)
      if (isNamespaceError(error, 'LIMIT_REACHED')) throw brokerError('NotAllowedError', error.message, error)
      if (isNamespaceError(error, 'BEING_DELETED')) throw brokerError('ServiceNotReady', error.message, error)
      const there = await this.get(name)
      if (there === undefined) throw error
      return usable(there)
    }
  }

  /** Of the namespace's row; undefined where nothing can be created. */
  async #namespaceVersion(namespace: string): Promise<number | undefined> {
    const record = await this.#store.get(keys.namespace(namespace))
    if (record === undefined || decodeRow(NamespaceRowSchema, record).deleting === true) return undefined
    return record.version
  }

  async #requireRoom(name: TopicName, partitions: number): Promise<void> {
    const perTopicMax = this.#settings.maxNumPartitionsPerPartitionedTopic
    if (perTopicMax > 0 && partitions > perTopicMax) {
      throw namespaceError('LIMIT_REACHED', `Number of partitions should be less than or equal to ${perTopicMax}`)
    }
    if (partitions > 0) await this.#requireNoLonePartitions(name)
    const { maxTopicsPerNamespace } = await this.#policies.effective(name.namespace)
    if (maxTopicsPerNamespace === 0) return
    let count = Math.max(1, partitions)
    for await (const record of this.list(name.namespace)) {
      count += Math.max(1, record.partitions)
      if (count > maxTopicsPerNamespace) {
        throw namespaceError('LIMIT_REACHED', 'Exceed maximum number of topics in namespace.')
      }
    }
  }

  /** Plain topics called `name-partition-N` would be hidden behind the partitions of `name`. */
  async #requireNoLonePartitions(name: TopicName): Promise<void> {
    const prefix = `${keys.topic(name)}-partition-`
    for await (const { key } of scanAll(this.#store, prefix, { keysOnly: true })) {
      const other = topicNameOfStorageName(key.slice('topics/'.length))
      if (other?.isPartition === true && other.base.toString() === name.toString()) {
        throw namespaceError('ALREADY_EXISTS', 'This topic already exists')
      }
    }
  }

  async #requireTopic(name: TopicName): Promise<TopicRecord> {
    const record = await this.get(name)
    if (record === undefined) throw namespaceError('TOPIC_NOT_FOUND', `Topic ${name.toString()} not found`)
    return record
  }

  async #write(
    current: TopicRecord,
    row: ReturnType<typeof rowOf> & { deleting?: boolean },
    further: readonly Change[] = []
  ): Promise<TopicRecord | undefined> {
    const key = keys.topic(current.name)
    const value = encodeRow(TopicRowSchema, row)
    const isTransient = !current.name.isPersistent && current.partitions === 0 && row.partitions === 0
    const lease = isTransient ? await this.#ownLease() : undefined
    const result = await transactUntilAnswered(this.#store, {
      compares: [{ key, version: current.version }],
      changes: [{ kind: 'put', key, value, ...(lease === undefined ? {} : { lease }) }, ...further]
    })
    return result.committed ? topicRecordOf(current.name, { key, value, version: result.revision }) : undefined
  }

  async #ownLease(): Promise<Lease> {
    const held = await this.#lease
    if (held?.isLost === false) return held
    this.#lease = this.#store.grantLease(LEASE_TTL_MS)
    return this.#lease
  }
}

export function topicRecordOf(name: TopicName, record: MetadataRecord): TopicRecord {
  const row: TopicRow = decodeRow(TopicRowSchema, record)
  return {
    name,
    generation: row.generation ?? '',
    partitions: row.partitions ?? 0,
    properties: row.properties,
    createdAtMs: Number(row.createdAtMs ?? 0n),
    isDeleting: row.deleting ?? false,
    version: record.version
  }
}

function rowOf(record: TopicRecord): {
  generation: string
  partitions: number
  properties: Record<string, string>
  createdAtMs: bigint
} {
  return {
    generation: record.generation,
    partitions: record.partitions,
    properties: { ...record.properties },
    createdAtMs: BigInt(record.createdAtMs)
  }
}

function usable(record: TopicRecord): TopicRecord {
  if (record.isDeleting) throw brokerError('ServiceNotReady', `${record.name.toString()} is being deleted`)
  return record
}

function topicNotFound(name: TopicName): Error {
  return brokerError('TopicNotFound', `Topic ${name.toString()} does not exist`)
}
