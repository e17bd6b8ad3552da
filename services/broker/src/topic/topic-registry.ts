import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { ManagedLedgerFactory, SweptLog } from '@strata/managed-ledger'
import type { BrokerSettings } from '../config/settings.ts'
import { brokerError } from '../errors.ts'
import { namespaceError } from '../namespace/errors.ts'
import type { EffectivePolicies, PolicyStore } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { EnsureOptions, TopicRecord, TopicRecords } from '../namespace/topic-records.ts'
import { isInBundle } from '../ownership/bundle-name.ts'
import type { BrokerAddress, BundleName, BundleTopics } from '../ownership/contract.ts'
import type { StampKinds } from './entry-stamper.ts'
import { Gate } from './gate.ts'
import type { Home, TopicHomes } from './homes.ts'
import { LeavingTopics } from './leaving-topics.ts'
import { LoadedTopics } from './loaded-topics.ts'
import { NonPersistentTopic } from './non-persistent-topic.ts'
import { PersistentTopic } from './persistent-topic.ts'
import type { RemoteTopics } from './remote-topics.ts'
import { goBy, HoldLost, TopicOpener, unlessMoved, type Opening } from './topic-opener.ts'
import { TopicDeletions, type DeleteOptions } from './topic-deletions.ts'
import { TopicRenewals } from './topic-renewals.ts'
import { usersOf, type Topic, type TopicEnvironment } from './topic.ts'

export { partsOf } from './topic-deletions.ts'

const KEEP_ALL = { timeMs: -1, sizeBytes: -1 }
/** How often a load begins anew because the topic's bundle moved or was divided meanwhile. */
const LOADS_MAX = 3

export interface TopicRegistryOptions {
  readonly env: TopicEnvironment
  readonly records: TopicRecords
  readonly policies: PolicyStore
  readonly logs: ManagedLedgerFactory
  readonly homes: TopicHomes
  readonly remote: RemoteTopics
  readonly stamps: StampKinds
  /** What else goes with a deleted topic; its record stays until this is done, so a crash repeats it. */
  forget(name: TopicName): Promise<void>
}

type LoadOptions = Pick<EnsureOptions, 'mayCreate' | 'returning'>

interface Loading {
  readonly name: TopicName
  readonly topic: Promise<Topic>
}

/** How many bundles left since the start. */
export interface BundleMoves {
  released: number
  dropped: number
}

/**
 * Topics in memory. A topic is loaded on first use and leaves when it is idle, fenced, unloaded, deleted, or when its
 * bundle leaves this broker.
 *
 * Invariants
 *   R1  At most one object a topic: loads of one name share one promise, and a load waits for the one that leaves.
 *   R2  A topic is loaded only where a record stands, and nobody uses one from the moment its deletion begins: first it is
 *       blocked here, then its record is marked, then its data goes.
 *   R3  A topic is loaded only under a hold of its bundle: its log is taken in a transaction that compares the hold, and it
 *       is put among the loaded ones only if the hold stands still. It leaves with its bundle.
 */
export class TopicRegistry implements BundleTopics {
  readonly moves: BundleMoves = { released: 0, dropped: 0 }
  readonly #env: TopicEnvironment
  readonly #records: TopicRecords
  readonly #policies: PolicyStore
  readonly #logs: ManagedLedgerFactory
  readonly #homes: TopicHomes
  readonly #stamps: StampKinds
  readonly #deletions: TopicDeletions
  readonly #opener: TopicOpener
  readonly #renewals: TopicRenewals
  readonly #gate: Gate
  readonly #topics = new LoadedTopics()
  readonly #loading = new Map<string, Loading>()
  readonly #leaving: LeavingTopics
  readonly #releasing = new Map<BundleName, Promise<void>>()
  readonly #deleting = new Set<string>()
  readonly #standOn = new WeakMap<Topic, TopicRecord>()
  #closed = false

  constructor(options: TopicRegistryOptions) {
    this.#env = options.env
    this.#leaving = new LeavingTopics(options.env.logger)
    this.#records = options.records
    this.#policies = options.policies
    this.#logs = options.logs
    this.#homes = options.homes
    this.#stamps = options.stamps
    this.#deletions = new TopicDeletions({
      topics: this,
      records: options.records,
      homes: options.homes,
      remote: options.remote,
      logger: options.env.logger,
      forget: name => options.forget(name)
    })
    this.#opener = new TopicOpener(options)
    this.#renewals = new TopicRenewals({ ...options, topics: this, events: { onFenced: this.#onFenced.bind(this) } })
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
   * The topic, loaded if need be, and created where policies and the caller allow that. Held while its bundle moves here.
   * @throws BrokerError TopicNotFound, NotAllowedError, ServiceNotReady (another broker serves it, too), MetadataError
   */
  async load(name: TopicName, options: LoadOptions): Promise<Topic> {
    const key = name.toString()
    for (let attempt = 1; ; attempt++) {
      const loaded = this.find(name)
      if (loaded !== undefined) {
        this.#records.requireGeneration(name, options.returning, { generation: this.generationOf(loaded) })
        return loaded
      }
      this.#requireServed(name)
      this.#requireNotDeleting(key)
      await this.#releaseOf(name)
      const home = await this.#homes.homeOf(name)
      const topic = await this.#loadAt(home, name, options)
      if (topic !== undefined) return topic
      if (attempt === LOADS_MAX) throw brokerError('ServiceNotReady', 'The topic is moving: look it up again')
    }
  }

  /** undefined: the hold was lost on the way. */
  async #loadAt(home: Home, name: TopicName, options: LoadOptions): Promise<Topic | undefined> {
    const key = name.toString()
    const seen = this.#leaving.has(name) ? undefined : this.#opener.look(name)
    const record = await this.#records.ensure(name, { ...options, guards: home.guards })
    this.#requireNotDeleting(key)
    const running = this.#loading.get(key)
    if (running !== undefined) return await unlessMoved(running.topic)
    if (!this.#isHere(home, name)) return undefined
    const loading = { name, topic: this.#gate.run(() => this.#open(home, { name, record, seen })) }
    this.#loading.set(key, loading)
    try {
      return await unlessMoved(loading.topic)
    } finally {
      this.#loading.delete(key)
    }
  }

  /** Of the record that a loaded topic stands on. */
  generationOf(topic: Topic): string {
    return this.#standOn.get(topic)?.generation ?? ''
  }

  /** Frees the topic's memory; its clients come again, to `next` if that is told. Does nothing where it is not loaded. */
  async unload(name: TopicName, next?: BrokerAddress): Promise<void> {
    const key = name.toString()
    const loading = this.#loading.get(key)
    if (loading !== undefined) await loading.topic.catch(() => undefined)
    const topic = this.#topics.get(key)
    this.#renewals.cancel(name)
    if (topic === undefined) await this.#leaving.of(name)
    else await this.leave(topic, () => topic.close(next))
  }

  /** Unloads a topic that stays here: one in use is renewed; where that cannot be, loaded again while its clients come back. */
  async reload(name: TopicName): Promise<void> {
    const topic = this.find(name)
    const isUsed = topic !== undefined && topic.idleSinceMs === undefined
    if (isUsed && topic instanceof PersistentTopic && (await this.#renewals.renew(topic))) return
    await this.unload(name, this.#homes.self)
    if (isUsed) this.#loadAhead(name)
  }

  // ------------------------------------------------------------ deleting

  /**
   * Deletes the topic, with all partitions, for good: clients gone, record marked, logs deleted, record removed.
   * @throws NamespaceError TOPIC_NOT_FOUND, NOT_EMPTY (clients are connected and `force` is not set)
   */
  delete(name: TopicName, options: DeleteOptions): Promise<void> {
    return this.#deletions.delete(name, options)
  }

  /** Deletes a topic without partitions, or one partition's data, if that is still wanted once nobody can load it any more. */
  deleteUnloaded(name: TopicName, isWanted: () => Promise<boolean>): Promise<boolean> {
    return this.#deletions.deleteUnloaded(name, isWanted)
  }

  /** Drops one partition's data and memory, keeping the record of its partitioned topic. */
  deletePartitionData(name: TopicName, options = { force: false }): Promise<void> {
    return this.#deletions.deletePartitionData(name, options)
  }

  /** Deletions that were cut short, of topics that are served here. */
  resumeDeletions(): Promise<void> {
    return this.#deletions.resume()
  }

  /**
   * Nobody can begin to use these topics meanwhile: what a client would store in one that is being deleted would be lost
   * although it was acknowledged. The check for users and the block are one step.
   * @throws NamespaceError BEING_DELETED, NOT_EMPTY
   */
  async whileBlocked(
    names: readonly TopicName[],
    options: { force: boolean },
    run: () => Promise<void>
  ): Promise<void> {
    const unblock = this.block(names, options)
    try {
      // What is in memory closes at once: it takes no message any more.
      await Promise.all(names.map(name => this.unload(name)))
      await run()
    } finally {
      unblock()
    }
  }

  /** Returns what ends it. @throws NamespaceError BEING_DELETED, NOT_EMPTY */
  block(names: readonly TopicName[], options: { force: boolean }): () => void {
    for (const name of names) {
      if (this.#deleting.has(name.toString())) throw namespaceError('BEING_DELETED', 'The topic is being deleted')
      if (!options.force) this.#requireUnused(name)
    }
    for (const name of names) this.#deleting.add(name.toString())
    return () => {
      for (const name of names) this.#deleting.delete(name.toString())
    }
  }

  /** Drops memory and data. @throws BrokerError ServiceNotReady: another broker serves it */
  async erase(name: TopicName): Promise<void> {
    await this.unload(name)
    const { guards } = await this.#homes.homeOf(name)
    if (name.isPersistent) await this.#logs.delete(name.storageName, { guards })
  }

  // ------------------------------------------------------------ bundles

  loaded(bundle: BundleName): readonly TopicName[] {
    return this.#movable(bundle).map(({ name }) => name)
  }

  async release(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    this.moves.released++
    const released = this.#release(bundle, next)
    this.#releasing.set(bundle, released)
    try {
      await released
    } finally {
      this.#releasing.delete(bundle)
    }
  }

  async #release(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    const closeAll = (): Promise<void>[] =>
      this.#movable(bundle).map(topic => this.leave(topic, () => topic.close(next)))
    const closed = closeAll()
    const loading = [...this.#loading.values()].filter(({ name }) => isInBundle(bundle, name))
    await Promise.allSettled(loading.map(({ topic }) => topic))
    await Promise.all([...closed, ...closeAll()])
    await this.#leaving.ofBundle(bundle)
  }

  async drop(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    this.moves.dropped++
    await Promise.all(this.#movable(bundle).map(topic => this.leave(topic, () => topic.drop(next))))
  }

  preload(_bundle: BundleName, names: readonly TopicName[]): void {
    for (const name of names) this.#loadAhead(name)
    this.resumeDeletions().catch((error: unknown) => {
      const reason = reasonOf(error)
      this.logger.warn({ event: 'topic.delete_failed', reason }, 'a deletion could not be carried on')
    })
  }

  #loadAhead(name: TopicName): void {
    this.load(name, { mayCreate: false }).catch((error: unknown) => {
      const fields = { event: 'topic.preload_failed', topic: name.toString(), reason: reasonOf(error) }
      this.logger.info(fields, 'a topic was not loaded ahead of its clients')
    })
  }

  suspend(isSuspended: boolean): void {
    if (this.#env.suspension.isOn === isSuspended) return
    this.#env.suspension.isOn = isSuspended
    this.logger.warn(
      { event: isSuspended ? 'broker.suspended' : 'broker.resumed' },
      isSuspended ? 'out of touch with the cluster: nothing is taken or sent' : 'in touch with the cluster again'
    )
    for (const topic of this.#topics.values()) {
      if (isSuspended) topic.suspend()
      else topic.resume()
    }
  }

  get isSuspended(): boolean {
    return this.#env.suspension.isOn
  }

  /** What moves with a bundle. */
  #movable(bundle: BundleName): Topic[] {
    return this.#topics.inBundle(bundle).filter(({ name }) => !this.#homes.isOwn(name))
  }

  /** Its clients would only be sent on: they wait until the bundle is where it goes. */
  async #releaseOf(name: TopicName): Promise<void> {
    if (this.#releasing.size === 0) return
    for (const [bundle, released] of this.#releasing) if (isInBundle(bundle, name)) await released
  }

  put(topic: Topic, record: TopicRecord): void {
    this.#standOn.set(topic, record)
    this.#topics.add(topic)
  }

  mayPut(home: Home, name: TopicName): boolean {
    return !this.#closed && !this.#deleting.has(name.toString()) && this.#isHere(home, name)
  }

  #isHere(home: Home, name: TopicName): boolean {
    if (!home.isHeld()) return false
    if (this.#releasing.size === 0 || this.#homes.isOwn(name)) return true
    for (const bundle of this.#releasing.keys()) if (isInBundle(bundle, name)) return false
    return true
  }

  // ------------------------------------------------------------ policies and sweeps

  /** `only`: the storage name of the topic whose policies changed; without it, those of the namespace did. */
  async refreshPolicies(namespace: string, only?: string): Promise<void> {
    for (const topic of this.#topics.inNamespace(namespace)) {
      const record = this.#standOn.get(topic)
      if (record === undefined || (only !== undefined && record.name.storageName !== only)) continue
      goBy(topic, await this.#policies.effectiveOf(record))
    }
  }

  /** The settings changed, which are the defaults of policies. */
  async refreshSettings(): Promise<void> {
    const namespaces = new Set<string>()
    for (const topic of this.#topics.values()) {
      namespaces.add(topic.name.namespace)
      if (topic instanceof PersistentTopic) topic.log.setRollover(this.#opener.rollover())
    }
    for (const namespace of namespaces) await this.refreshPolicies(namespace)
  }

  /** Namespaces of which it may serve topics; undefined: of any. */
  servedNamespaces(): readonly string[] | undefined {
    return this.#homes.servedNamespaces()
  }

  /** Is it this broker that looks after the topic while nobody uses it? */
  async isServedHere(name: TopicName): Promise<boolean> {
    return (await this.#homes.heldHome(name)) !== undefined
  }

  /**
   * Applies retention to what is stored of a topic that is not in memory. Resolves with nothing if it is, or has no log.
   * @throws BrokerError ServiceNotReady: another broker serves it
   */
  async sweepLog(name: TopicName, { retention }: EffectivePolicies): Promise<SweptLog | undefined> {
    const home = await this.#homes.heldHome(name)
    if (home === undefined) throw brokerError('ServiceNotReady', 'The topic is served elsewhere')
    // Entries that carry the index go only under a stamper's eyes: here they are kept, and a visit lets them go.
    return await this.#logs.sweep(name.storageName, this.#stamps.index ? KEEP_ALL : retention, { guards: home.guards })
  }

  effectivePolicies(record: TopicRecord): Promise<EffectivePolicies> {
    return this.#policies.effectiveOf(record)
  }

  hasLog(name: TopicName): Promise<boolean> {
    return this.#logs.exists(name.storageName)
  }

  /** What is loaded stays. */
  stopLoading(): void {
    this.#closed = true
  }

  /** Closes every topic at once; none is loaded afterwards. */
  async close(): Promise<void> {
    this.stopLoading()
    // What is being loaded is waited for and then closed with the rest.
    await Promise.allSettled([...this.#loading.values()].map(({ topic }) => topic))
    await Promise.allSettled([...this.#topics.values()].map(topic => this.leave(topic, () => topic.close())))
    await this.#leaving.all()
  }

  /** A last look, and gone, if it is still unused: what the sweeper calls. */
  async closeIfIdle(topic: Topic): Promise<void> {
    if (topic.idleSinceMs !== undefined) await this.unload(topic.name)
  }

  async #open(home: Home, opening: Omit<Opening, 'policies'>): Promise<Topic> {
    const { name, record } = opening
    await this.#leaving.of(name)
    const there = this.#topics.get(name.toString())
    if (there !== undefined) return there
    this.#requireRunning()
    const policies = await this.#policies.effectiveOf(record)
    if (!name.isPersistent) await this.#records.keep(record)
    const topic = name.isPersistent
      ? await this.#openPersistent(home, { ...opening, policies })
      : new NonPersistentTopic(name, this.#env, { createdAtMs: record.createdAtMs, policies })
    if (!home.isHeld()) {
      // R3. Its next owner is not to wait for anything that would be written here.
      await topic.drop(undefined)
      throw new HoldLost()
    }
    this.put(topic, record)
    goBy(topic, await this.#policies.effectiveOf(record)) // they may have changed while it was opened
    return topic
  }

  async #openPersistent(home: Home, opening: Opening): Promise<Topic> {
    const { name } = opening
    const { storage } = this.#env.meters
    try {
      const topic = await this.#opener.open(home, opening, {
        events: { onFenced: this.#onFenced.bind(this) },
        onLeft: closed => void this.#leaving.add(name, closed)
      })
      storage.stored++
      return topic
    } catch (error) {
      if (error instanceof HoldLost) throw error
      storage.failures++
      const reason = reasonOf(error)
      this.logger.warn({ event: 'topic.load_failed', topic: name.toString(), reason }, 'a topic could not be loaded')
      throw brokerError('ServiceNotReady', 'The topic could not be loaded: try again', error)
    }
  }

  /** The topic closes itself; a load of the same name waits until it has. */
  #onFenced(topic: Topic, left: Promise<void>): void {
    this.#topics.remove(topic)
    void this.#leaving.add(topic.name, left)
  }

  async leave(topic: Topic, close: () => Promise<void>): Promise<void> {
    if (this.#topics.remove(topic)) await this.#leaving.add(topic.name, close())
  }

  #requireUnused(name: TopicName): void {
    const used = usersOf(this.find(name))
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
