import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { ManagedLedger, ManagedLedgerFactory, RolloverPolicy, SweptLog } from '@strata/managed-ledger'
import type { BrokerSettings } from '../config/settings.ts'
import { brokerError } from '../errors.ts'
import { namespaceError } from '../namespace/errors.ts'
import type { EffectivePolicies, PolicyStore } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { TopicRecord, TopicRecords } from '../namespace/topic-records.ts'
import { EntryStamper, type StampKinds } from './entry-stamper.ts'
import { Gate } from './gate.ts'
import { NonPersistentTopic } from './non-persistent-topic.ts'
import { PersistentTopic } from './persistent-topic.ts'
import type { Publication } from './publication.ts'
import type { Topic, TopicEnvironment } from './topic.ts'

const KEEP_ALL = { timeMs: -1, sizeBytes: -1 }

export interface TopicRegistryOptions {
  readonly env: TopicEnvironment
  readonly records: TopicRecords
  readonly policies: PolicyStore
  readonly logs: ManagedLedgerFactory
  readonly stamps: StampKinds
  /** What else goes with a deleted topic; its record stays until this is done, so a crash repeats it. */
  forget(name: TopicName): Promise<void>
}

/**
 * Topics in memory. A topic is loaded on first use and leaves when it is idle, fenced, unloaded or deleted.
 *
 * Invariants
 *   R1  At most one object a topic: loads of one name share one promise, and a load waits for the one that leaves.
 *   R2  A topic is loaded only where a record stands, and nobody uses one from the moment its deletion begins: first it is
 *       blocked here, then its record is marked, then its data goes.
 */
export class TopicRegistry {
  readonly #env: TopicEnvironment
  readonly #records: TopicRecords
  readonly #policies: PolicyStore
  readonly #logs: ManagedLedgerFactory
  readonly #stamps: StampKinds
  readonly #forget: (name: TopicName) => Promise<void>
  readonly #gate: Gate
  readonly #topics = new Map<string, Topic>()
  readonly #loading = new Map<string, Promise<Topic>>()
  readonly #leaving = new Map<string, Promise<void>>()
  readonly #deleting = new Set<string>()
  #closed = false

  constructor(options: TopicRegistryOptions) {
    this.#env = options.env
    this.#records = options.records
    this.#policies = options.policies
    this.#logs = options.logs
    this.#stamps = options.stamps
    this.#forget = name => options.forget(name)
    this.#gate = new Gate(() => this.#settings.maxConcurrentTopicLoadRequest)
  }

  get #settings(): BrokerSettings {
    return this.#env.settings
  }

  get clock(): Clock {
    return this.#env.clock
  }

  get logger(): Logger {
    return this.#env.logger
  }

  get size(): number {
    return this.#topics.size
  }

  values(): Iterable<Topic> {
    return this.#topics.values()
  }

  /** Loaded topics only. */
  find(name: TopicName): Topic | undefined {
    return this.#topics.get(name.toString())
  }

  /**
   * The topic, loaded if need be, and created where policies and the caller allow that.
   * @throws BrokerError TopicNotFound, NotAllowedError, ServiceNotReady, PersistenceError
   */
  async load(name: TopicName, options: { mayCreate: boolean }): Promise<Topic> {
    const loaded = this.find(name)
    if (loaded !== undefined) return loaded
    this.#requireServed(name)
    const key = name.toString()
    this.#requireNotDeleting(key)
    const record = await this.#records.ensure(name, options)
    this.#requireNotDeleting(key)
    const running = this.#loading.get(key)
    if (running !== undefined) return await running
    const loading = this.#gate.run(() => this.#open(name, record))
    this.#loading.set(key, loading)
    try {
      return await loading
    } finally {
      this.#loading.delete(key)
    }
  }

  /** Frees the topic's memory; its clients come again. Does nothing where it is not loaded. */
  async unload(name: TopicName): Promise<void> {
    const key = name.toString()
    const loading = this.#loading.get(key)
    if (loading !== undefined) await loading.catch(() => undefined)
    const topic = this.#topics.get(key)
    if (topic === undefined) await this.#leaving.get(key)
    else await this.#leave(topic, () => topic.close())
  }

  /**
   * Deletes the topic, with all partitions, for good: record marked, clients gone, logs deleted, record removed.
   * @throws NamespaceError TOPIC_NOT_FOUND, NOT_EMPTY (clients are connected and `force` is not set)
   */
  async delete(name: TopicName, options: { force: boolean }): Promise<void> {
    const record = await this.#records.get(name)
    if (record === undefined) throw namespaceError('TOPIC_NOT_FOUND', `Topic ${name.toString()} not found`)
    const parts = partsOf(record)
    await this.#whileBlocked(parts, options, () => this.#deleteBlocked(name, parts))
  }

  async #deleteBlocked(name: TopicName, parts: readonly TopicName[]): Promise<void> {
    await this.#records.beginDelete(name)
    for (const part of parts) await this.#erase(part)
    await this.#forget(name)
    const marked = await this.#records.get(name)
    if (marked !== undefined) await this.#records.finishDelete(marked)
  }

  /** Deletes a topic without partitions, or one partition's data, if that is still wanted once nobody can load it any more. */
  async deleteUnloaded(name: TopicName, isWanted: () => Promise<boolean>): Promise<boolean> {
    let isDeleted = false
    await this.#whileBlocked([name], { force: false }, async () => {
      if (!(await isWanted())) return
      if ((await this.#records.get(name)) === undefined) await this.#erase(name)
      else await this.#deleteBlocked(name, [name])
      isDeleted = true
    })
    return isDeleted
  }

  /** Drops one partition's data and memory, keeping the record of its partitioned topic. */
  async deletePartitionData(name: TopicName, options = { force: false }): Promise<void> {
    await this.#whileBlocked([name], options, () => this.#erase(name))
  }

  /** Deletions that a crash cut short. */
  async resumeDeletions(): Promise<void> {
    for await (const record of this.#records.deletions()) {
      try {
        await this.delete(record.name, { force: true })
      } catch (error) {
        // One that cannot go now must not keep the others: it is found again at the next start.
        const reason = reasonOf(error)
        const topic = record.name.toString()
        this.logger.warn({ event: 'topic.delete_failed', topic, reason }, 'a deletion could not be carried on')
      }
    }
  }

  async refreshPolicies(namespace: string): Promise<void> {
    const policies = await this.#policies.effective(namespace)
    for (const topic of this.#topics.values()) {
      if (topic.name.namespace !== namespace) continue
      topic.policies = policies
      if (topic instanceof PersistentTopic) topic.log.setRetention(policies.retention)
    }
  }

  /** The settings changed, which are the defaults of policies. */
  async refreshSettings(): Promise<void> {
    const namespaces = new Set<string>()
    for (const topic of this.#topics.values()) {
      namespaces.add(topic.name.namespace)
      if (topic instanceof PersistentTopic) topic.log.setRollover(this.#rollover())
    }
    for (const namespace of namespaces) await this.refreshPolicies(namespace)
  }

  /** Applies retention to what is stored of a topic that is not in memory. Resolves with nothing if it is, or has no log. */
  async sweepLog(name: TopicName, policies: EffectivePolicies): Promise<SweptLog | undefined> {
    // Entries that carry the index go only under a stamper's eyes: here they are kept, and a visit lets them go.
    return await this.#logs.sweep(name.storageName, this.#stamps.index ? KEEP_ALL : policies.retention)
  }

  effectivePolicies(name: TopicName): Promise<EffectivePolicies> {
    return this.#policies.effective(name.namespace)
  }

  hasLog(name: TopicName): Promise<boolean> {
    return this.#logs.exists(name.storageName)
  }

  /** Closes every topic at once; none is loaded afterwards. */
  async close(): Promise<void> {
    this.#closed = true
    // What is being loaded is waited for and then closed with the rest.
    await Promise.allSettled(this.#loading.values())
    await Promise.allSettled([...this.#topics.values()].map(topic => this.#leave(topic, () => topic.close())))
    await Promise.allSettled(this.#leaving.values())
  }

  /** A last look, and gone, if it is still unused: what the sweeper calls. */
  async closeIfIdle(topic: Topic): Promise<void> {
    if (topic.idleSinceMs !== undefined) await this.unload(topic.name)
  }

  async #open(name: TopicName, record: TopicRecord): Promise<Topic> {
    const key = name.toString()
    await this.#leaving.get(key)
    const there = this.#topics.get(key)
    if (there !== undefined) return there
    this.#requireRunning()
    const policies = await this.#policies.effective(name.namespace)
    const topic = name.isPersistent
      ? await this.#openPersistent(name, record, policies)
      : new NonPersistentTopic(name, this.#env, { createdAtMs: record.createdAtMs, policies })
    this.#topics.set(key, topic)
    return topic
  }

  async #openPersistent(name: TopicName, record: TopicRecord, policies: EffectivePolicies): Promise<Topic> {
    let log: ManagedLedger<Publication> | undefined
    try {
      const stamping: { stamper?: EntryStamper } = {}
      const { index, timestamp } = this.#stamps
      log = await this.#logs.open<Publication>(name.storageName, {
        create: true,
        retention: policies.retention,
        rollover: this.#rollover(),
        ...(index ? { propertiesOnTrim: () => stamping.stamper?.propertiesOnTrim() } : {})
      })
      if (index || timestamp) stamping.stamper = await EntryStamper.open(this.#stamps, this.clock, log)
      const { stamper } = stamping
      const events = { onFenced: this.#onFenced.bind(this) }
      return new PersistentTopic(name, this.#env, { log, stamper, createdAtMs: record.createdAtMs, policies, events })
    } catch (error) {
      const reason = reasonOf(error)
      this.logger.warn({ event: 'topic.load_failed', topic: name.toString(), reason }, 'a topic could not be loaded')
      if (log !== undefined) void this.#remember(name.toString(), log.close())
      throw brokerError('ServiceNotReady', 'The topic could not be loaded: try again', error)
    }
  }

  #rollover(): RolloverPolicy {
    const settings = this.#settings
    return {
      entriesMax: settings.managedLedgerMaxEntriesPerLedger,
      bytesMax: settings.managedLedgerMaxSizePerLedgerMbytes * 1024 * 1024,
      ageMsMin: settings.managedLedgerMinLedgerRolloverTimeMinutes * 60_000,
      ageMsMax: settings.managedLedgerMaxLedgerRolloverTimeMinutes * 60_000
    }
  }

  /** The topic closes itself; a load of the same name waits until it has. */
  #onFenced(topic: Topic, left: Promise<void>): void {
    if (this.#topics.get(topic.fullName) === topic) this.#topics.delete(topic.fullName)
    void this.#remember(topic.fullName, left)
  }

  async #leave(topic: Topic, close: () => Promise<void>): Promise<void> {
    if (this.#topics.get(topic.fullName) !== topic) return
    this.#topics.delete(topic.fullName)
    await this.#remember(topic.fullName, close())
  }

  #remember(key: string, leaving: Promise<void>): Promise<void> {
    const done = leaving
      .catch((error: unknown) => {
        const reason = reasonOf(error)
        this.logger.warn({ event: 'topic.close_failed', topic: key, reason }, 'a topic did not close cleanly')
      })
      .finally(() => {
        if (this.#leaving.get(key) === done) this.#leaving.delete(key)
      })
    this.#leaving.set(key, done)
    return done
  }

  /**
   * Nobody can begin to use these topics meanwhile: what a client would store in one that is being deleted would be lost
   * although it was acknowledged. The check for users and the block are one step.
   */
  async #whileBlocked(
    names: readonly TopicName[],
    options: { force: boolean },
    run: () => Promise<void>
  ): Promise<void> {
    for (const name of names) {
      if (this.#deleting.has(name.toString())) throw namespaceError('BEING_DELETED', 'The topic is being deleted')
      if (!options.force) this.#requireUnused(name)
    }
    for (const name of names) this.#deleting.add(name.toString())
    // What is in memory closes at once: it takes no message any more.
    const unloads = names.map(name => this.unload(name))
    try {
      await Promise.all(unloads)
      await run()
    } finally {
      for (const name of names) this.#deleting.delete(name.toString())
    }
  }

  async #erase(name: TopicName): Promise<void> {
    await this.unload(name)
    if (name.isPersistent) await this.#logs.delete(name.storageName)
  }

  #requireUnused(name: TopicName): void {
    const topic = this.find(name)
    if (topic === undefined) return
    let consumers = 0
    for (const subscription of topic.subscriptions.values()) consumers += subscription.consumers.length
    const used = topic.producers.size + consumers
    if (used > 0) throw namespaceError('NOT_EMPTY', `Topic has ${used} connected producers/consumers`)
  }

  #requireNotDeleting(key: string): void {
    if (this.#deleting.has(key)) throw brokerError('ServiceNotReady', 'The topic is being deleted')
  }

  #requireRunning(): void {
    if (this.#closed) throw brokerError('ServiceNotReady', 'The broker is shutting down')
  }

  #requireServed(name: TopicName): void {
    this.#requireRunning()
    const { enablePersistentTopics, enableNonPersistentTopics } = this.#settings
    if (name.isPersistent ? enablePersistentTopics : enableNonPersistentTopics) return
    throw brokerError('NotAllowedError', `Broker is unable to load ${name.domain} topic`)
  }
}

/** The topic itself, or its partitions. */
export function partsOf(record: TopicRecord): TopicName[] {
  if (record.partitions === 0) return [record.name]
  return Array.from({ length: record.partitions }, (_, index) => record.name.partition(index))
}
