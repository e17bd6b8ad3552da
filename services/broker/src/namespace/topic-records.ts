import { setImmediate } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import type { Clock } from '@strata/base'
import { logBirth } from '@strata/managed-ledger'
import {
  transactUntilAnswered,
  type Change,
  type Compare,
  type Lease,
  type MetadataRecord,
  type MetadataStore
} from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { brokerError } from '../errors.ts'
import { TopicRowSchema, type TopicRow } from '../generated/broker_pb.ts'
import { Departures, type Departure } from './departures.ts'
import { isNamespaceError, namespaceError } from './errors.ts'
import { KnownNamespaces } from './known-namespaces.ts'
import type { PolicyStore } from './policies.ts'
import { decodeRow, encodeRow, keys, scanAll, scanPages } from './rows.ts'
import { topicNameOfStorageName, type TopicName } from './topic-name.ts'

/** Tries of a read-change-write before it is somebody else's turn to explain. */
/** It takes about a millisecond. */
const READ_AT_ONCE = 200
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
  /** Of a record that this very call made together with the topic's log: the revision, as `bornAt` of the log. */
  readonly logBornAt?: number
  /** This very call made it, under this broker's lease. */
  readonly isLeasedHere?: true
}

/** What `ensure` may do, and for whom. */
export interface EnsureOptions {
  readonly mayCreate: boolean
  /**
   * What gives this broker the right to the topic, compared at a creation. With it the log of a persistent topic is made in
   * the same transaction.
   */
  readonly guards?: readonly Compare[]
  /** The client had the topic before. `generation`: undefined where it is not known which one. */
  readonly returning?: { readonly generation: string | undefined } | undefined
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
  readonly #namespaces: KnownNamespaces
  readonly #departures: Departures
  #lease: Promise<Lease> | undefined

  constructor(options: { store: MetadataStore; settings: BrokerSettings; policies: PolicyStore; clock: Clock }) {
    this.#store = options.store
    this.#settings = options.settings
    this.#policies = options.policies
    this.#clock = options.clock
    this.#namespaces = new KnownNamespaces(options.store)
    this.#departures = new Departures(options.clock)
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
   * that is allowed. A client that had the topic before gets the generation that it had, or TopicNotFound.
   * @throws BrokerError TopicNotFound, NotAllowedError (base of a partitioned topic, no such partition), ServiceNotReady
   *   (being deleted, or a guard does not hold)
   */
  async ensure(name: TopicName, options: EnsureOptions): Promise<TopicRecord> {
    const base = name.isPartition ? await this.get(name.base) : undefined
    if (base !== undefined && base.partitions > 0) {
      if (name.partitionIndex >= base.partitions) {
        const text = `Illegal topic partition name ${name.toString()} with max allowed ${base.partitions} partitions`
        throw brokerError('NotAllowedError', text)
      }
      this.requireGeneration(name, options.returning, base)
      return usable(base)
    }
    const own = await this.get(name)
    this.requireGeneration(name, options.returning, own)
    if (own !== undefined) {
      if (own.partitions > 0) {
        throw brokerError('NotAllowedError', `${name.toString()} is a partitioned topic: use its partitions`)
      }
      return usable(own)
    }
    const policies = options.mayCreate ? await this.#policies.effective(name.namespace) : undefined
    if (policies?.autoTopicCreation.allowed !== true) throw topicNotFound(name)
    return this.#createOnUse(name, {
      partitions: 0,
      ...(options.guards === undefined ? {} : { guards: options.guards })
    })
  }

  /**
   * A client whose topic was deleted must not bring it back, nor slip into one of the same name. Where the broker deleted
   * it by itself, because nobody used it, coming back is what it was waiting for. See the README, "Generations".
   * @throws BrokerError TopicNotFound
   */
  requireGeneration(
    name: TopicName,
    returning: EnsureOptions['returning'],
    present: { readonly generation: string } | undefined
  ): void {
    if (returning === undefined || !name.isPersistent) return
    const { generation } = returning
    if (present !== undefined && (generation === undefined || generation === present.generation)) return
    const last = this.#departures.of(name.toString()) ?? this.#departures.of(name.base.toString())
    const isForgiven =
      generation === undefined
        ? last?.reason !== 'command'
        : last?.generation === generation && last.reason === 'unused'
    if (!isForgiven) throw topicNotFound(name)
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
    if ((await this.#namespaces.version(name.namespace)) === undefined) {
      throw brokerError('TopicNotFound', `Namespace ${name.namespace} does not exist`)
    }
    const policies = await this.#policies.effective(name.namespace)
    if (!options.mayCreate || !policies.autoTopicCreation.allowed) throw topicNotFound(name)
    if (policies.autoTopicCreation.partitions === 0) return 0
    return (await this.#createOnUse(name, { partitions: policies.autoTopicCreation.partitions })).partitions
  }

  /**
   * With `guards`, which then hold as well, a persistent topic without partitions gets its log in the same transaction.
   * @throws NamespaceError NAMESPACE_NOT_FOUND, ALREADY_EXISTS, BEING_DELETED, LIMIT_REACHED; BrokerError ServiceNotReady: a
   *   guard does not hold
   */
  async create(name: TopicName, options: CreateOptions): Promise<TopicRecord> {
    let withLog = options.guards !== undefined && name.isPersistent && options.partitions === 0
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const namespaceVersion = await this.#namespaces.version(name.namespace)
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
      const log = withLog ? logBirth(name.storageName) : undefined
      const namespaceKey = keys.namespace(name.namespace)
      const compares = [
        { key, version: 0 },
        { key: namespaceKey, version: namespaceVersion },
        ...(options.guards ?? [])
      ]
      const changes: Change[] = [{ kind: 'put', key, value, ...(lease === undefined ? {} : { lease }) }]
      if (log !== undefined) {
        compares.push(log.compare)
        changes.push(log.change)
      }
      const result = await transactUntilAnswered(this.#store, { compares, changes })
      if (result.committed) {
        const record = topicRecordOf(name, { key, value, version: result.revision })
        if (lease !== undefined) return { ...record, isLeasedHere: true }
        return log === undefined ? record : { ...record, logBornAt: result.revision }
      }
      const conflicting = new Map(result.conflicts.map(conflict => [conflict.key, conflict.current]))
      const there = conflicting.get(key)
      if (there !== undefined) return this.#alreadyThere(topicRecordOf(name, there), row.generation)
      if (conflicting.has(namespaceKey)) this.#namespaces.forget(name.namespace)
      else if (log !== undefined && conflicting.has(log.compare.key))
        withLog = false // leftovers: they go when it is opened
      else throw brokerError('ServiceNotReady', 'The topic is moving: look it up again')
    }
    throw namespaceError('CHANGED_MEANWHILE', 'The namespace keeps changing')
  }

  /**
   * The record of a topic that is kept in memory alone lives as long as the broker that serves it: whoever takes the topic over
   * puts it under its own lease, or it would vanish with the broker before. Does nothing to records of other topics.
   * @throws BrokerError ServiceNotReady: it was changed, or is gone
   */
  async keep(record: TopicRecord): Promise<void> {
    if (record.name.isPersistent || record.partitions > 0 || record.isLeasedHere === true) return
    if ((await this.#write(record, rowOf(record))) !== undefined) return
    throw brokerError('ServiceNotReady', 'The topic is moving: look it up again')
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

  /**
   * The second half, once nothing of the topic is left. Deletes that generation only; false: it was gone already.
   * `reason`: what clients that come back are answered by.
   */
  async finishDelete(record: TopicRecord, reason: Departure['reason'] = 'command'): Promise<boolean> {
    const key = keys.topic(record.name)
    const result = await transactUntilAnswered(this.#store, {
      compares: [{ key, version: record.version }],
      changes: [
        { kind: 'delete', key },
        { kind: 'delete', key: keys.topicDeletion(record.name) }
      ]
    })
    if (result.committed) this.#departures.note(record.name.toString(), { generation: record.generation, reason })
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
    for await (const page of this.pages(namespace)) yield* page
  }

  /** The same, some hundreds at a time. */
  async *pages(namespace: string): AsyncGenerator<TopicRecord[], void, undefined> {
    for await (const page of scanPages(this.#store, keys.topics(namespace))) {
      for (let from = 0; from < page.length; from += READ_AT_ONCE) {
        if (from > 0) await setImmediate() // whoever publishes does not wait for a whole page
        yield topicRecordsOf(page.slice(from, from + READ_AT_ONCE))
      }
    }
  }

  /** Every topic of every namespace, page by page: for sweeps. */
  async *listAll(): AsyncGenerator<TopicRecord, void, undefined> {
    for await (const page of scanPages(this.#store, 'topics/')) yield* topicRecordsOf(page)
  }

  /** Two clients may use a new topic at once: the second finds what the first made. */
  async #createOnUse(name: TopicName, options: CreateOptions): Promise<TopicRecord> {
    try {
      return await this.create(name, options)
    } catch (error) {
      if (isNamespaceError(error, 'NAMESPACE_NOT_FOUND')) throw brokerError('TopicNotFound', error.message, error)
      if (isNamespaceError(error, 'LIMIT_REACHED')) throw brokerError('NotAllowedError', error.message, error)
      if (isNamespaceError(error, 'BEING_DELETED')) throw brokerError('ServiceNotReady', error.message, error)
      const there = await this.get(name)
      if (there === undefined) throw error
      return usable(there)
    }
  }

  /** One with the generation that was to be made is ours: an answer was lost. */
  #alreadyThere(there: TopicRecord, generation: string): TopicRecord {
    if (there.generation === generation) return there
    if (there.isDeleting) throw namespaceError('BEING_DELETED', 'The topic is being deleted')
    throw namespaceError('ALREADY_EXISTS', 'This topic already exists')
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

interface CreateOptions {
  readonly partitions: number
  readonly properties?: Readonly<Record<string, string>>
  readonly guards?: readonly Compare[]
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

/** Of those that a topic may have. */
function topicRecordsOf(records: readonly MetadataRecord[]): TopicRecord[] {
  return records.flatMap(record => {
    const name = topicNameOfStorageName(record.key.slice('topics/'.length))
    return name === undefined ? [] : [topicRecordOf(name, record)]
  })
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
