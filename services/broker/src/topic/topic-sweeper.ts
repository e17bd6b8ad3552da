import { setImmediate as turn } from 'node:timers/promises'
import { reasonOf } from '@strata/base'
import type { BrokerSettings } from '../config/settings.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { StoredBook } from '../metrics/stored-book.ts'
import type { TopicRecord, TopicRecords } from '../namespace/topic-records.ts'
import { PersistentTopic } from './persistent-topic.ts'
import type { Topic } from './topic.ts'
import { partsOf, type TopicRegistry } from './topic-registry.ts'
import { dueWork, type DueWork } from './unloaded-sweep.ts'

const SAMPLE_MS = 10_000
/** Topics and consumers that are sampled at once: about a millisecond. */
const SAMPLED_PER_TURN = 500
/** The sweep over stored topics takes this many, then a pause: a thousand a second at most. */
const LOGS_PER_RUN = 50
const PAUSE_MS = 50
/** Closing takes some turns of the metadata store, which those that close together share. */
const IDLE_AT_ONCE = 32

interface StoredPart {
  readonly name: TopicName
  readonly record: TopicRecord
}

/**
 * What happens to topics by the clock. In memory: rates are sampled, unused topics closed or deleted, old messages and
 * unused subscriptions expired. Stored: a paged sweep over all records applies retention, which for topics in memory
 * needs it too (nothing else trims by age), and to unloaded ones what their age asks for. One pass of a kind at a time.
 */
export class TopicSweeper {
  readonly #registry: TopicRegistry
  readonly #records: TopicRecords
  readonly #settings: BrokerSettings
  readonly #book: StoredBook | undefined
  readonly #cancels: (() => void)[] = []
  /** By the monotonic clock. */
  readonly #unusedSinceMs = new WeakMap<object, number>()
  #sampledAtMs = 0
  /** Wall clock: who was away while the broker was down is not unused for that. */
  #startedAtMs = 0
  #isSweeping = false
  #isExpiring = false
  #isSampling = false
  #isSweepingLogs = false
  #isStopped = false
  #endPause: (() => void) | undefined

  constructor(options: {
    registry: TopicRegistry
    records: TopicRecords
    settings: BrokerSettings
    /** Told what it finds of topics that are not loaded. */
    stored?: StoredBook
  }) {
    this.#registry = options.registry
    this.#records = options.records
    this.#settings = options.settings
    this.#book = options.stored
  }

  start(): void {
    const { clock } = this.#registry
    const settings = this.#settings
    this.#sampledAtMs = clock.nowMs()
    this.#startedAtMs = clock.wallMs()
    this.#every(
      () => SAMPLE_MS,
      () => void this.sample()
    )
    this.#every(
      () => settings.brokerDeleteInactiveTopicsFrequencySeconds * 1000,
      () => void this.sweepIdle()
    )
    this.#every(
      () => settings.messageExpiryCheckIntervalInMinutes * 60_000,
      () => void this.expire()
    )
    this.#every(
      () => settings.retentionCheckIntervalInSeconds * 1000,
      () => void this.sweepLogs()
    )
    this.#every(
      () => settings.backlogQuotaCheckIntervalInSeconds * 1000,
      () => {
        if (settings.backlogQuotaCheckEnabled) void this.checkBacklogs()
      }
    )
  }

  stop(): void {
    this.#isStopped = true
    this.#endPause?.()
    for (const cancel of this.#cancels.splice(0)) cancel()
  }

  /** Each period is asked for anew: it may change at run time. */
  #every(periodMs: () => number, run: () => void): void {
    const index = this.#cancels.length
    const arm = (): void => {
      this.#cancels[index] = this.#registry.clock.after(periodMs(), () => {
        arm()
        run()
      })
    }
    arm()
  }

  get isSweepingLogs(): boolean {
    return this.#isSweepingLogs
  }

  /** Rates of all topics in memory; where they are many, others have the thread in between. */
  async sample(): Promise<void> {
    if (this.#isSampling) return
    this.#isSampling = true
    const nowMs = this.#registry.clock.nowMs()
    const elapsedSeconds = (nowMs - this.#sampledAtMs) / 1000
    this.#sampledAtMs = nowMs
    try {
      let sampled = 0
      for (const topic of [...this.#registry.values()]) {
        if (this.#registry.find(topic.name) !== topic) continue // it was closed meanwhile
        topic.sample(elapsedSeconds)
        sampled += 1
        for (const { consumers } of topic.subscriptions.values()) sampled += consumers.length
        if (sampled < SAMPLED_PER_TURN) continue
        sampled = 0
        await turn()
      }
    } finally {
      this.#isSampling = false
    }
  }

  /** Closes or deletes what nobody uses. */
  async sweepIdle(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      const topics = [...this.#registry.values()].values()
      const lane = async (): Promise<void> => {
        for (const topic of topics) await this.#guarded(topic.name, () => this.#sweepOne(topic))
      }
      await Promise.all(Array.from({ length: IDLE_AT_ONCE }, lane))
    } finally {
      this.#isSweeping = false
    }
  }

  /** Acknowledges messages past their time to live, and deletes subscriptions that nobody used for long. */
  async expire(): Promise<void> {
    if (this.#isExpiring) return
    this.#isExpiring = true
    try {
      for (const topic of [...this.#registry.values()]) {
        await this.#guarded(topic.name, () => this.#expireOne(topic))
      }
    } finally {
      this.#isExpiring = false
    }
  }

  /** Backlogs of topics in memory against their quotas; one without a quota costs a look at it. */
  async checkBacklogs(): Promise<void> {
    for (const topic of [...this.#registry.values()]) {
      if (topic instanceof PersistentTopic) await this.#guarded(topic.name, () => topic.checkBacklog())
    }
  }

  /** Every stored topic that this broker may be serving, page by page: retention, and for unloaded ones all that is due by age. */
  async sweepLogs(): Promise<void> {
    if (this.#isSweepingLogs) return
    this.#isSweepingLogs = true
    let isWhole = false
    try {
      // what the holder of a bundle before this one had begun
      await this.#registry.resumeDeletions()
      let run: StoredPart[] = []
      for await (const record of this.#stored()) {
        if (!record.name.isPersistent || record.isDeleting) continue
        for (const name of partsOf(record)) {
          run.push({ name, record })
          if (run.length < LOGS_PER_RUN) continue
          await this.#sweepRun(run)
          run = []
          await this.#pause()
        }
        if (this.#isStopped) return
      }
      await this.#sweepRun(run)
      isWhole = true
    } catch (error) {
      // Records could not be read: the next pass begins anew.
      const reason = reasonOf(error)
      this.#registry.logger.warn({ event: 'topic.sweep_failed', reason }, 'a sweep over the topics was cut short')
    } finally {
      this.#book?.onPass(isWhole)
      this.#isSweepingLogs = false
    }
  }

  /** Where there are several brokers, each reads the namespaces of its own bundles only. */
  async *#stored(): AsyncGenerator<TopicRecord, void, undefined> {
    const namespaces = this.#registry.servedNamespaces()
    if (namespaces === undefined) yield* this.#records.listAll()
    else for (const namespace of namespaces) yield* this.#records.list(namespace)
  }

  /** All are looked at together, so that their reads share round trips; what is due is done one by one. */
  async #sweepRun(parts: readonly StoredPart[]): Promise<void> {
    const look = async ({ name, record }: StoredPart): Promise<void> => {
      await this.#guarded(name, async () => {
        const work = await this.#lookAt(name, record)
        if (work !== undefined) due.push({ name, work })
      })
    }
    const due: { readonly name: TopicName; readonly work: () => Promise<void> }[] = []
    await Promise.all(parts.map(look))
    for (const { name, work } of due) {
      if (this.#isStopped) return
      await this.#guarded(name, work)
    }
  }

  /** What is to be done for a stored topic; undefined: nothing. */
  async #lookAt(name: TopicName, record: TopicRecord): Promise<(() => Promise<void>) | undefined> {
    const loaded = this.#registry.find(name)
    if (loaded !== undefined) {
      return loaded instanceof PersistentTopic ? () => loaded.log.trim() : undefined
    }
    if (!(await this.#registry.isServedHere(name))) return undefined
    const due = await this.#dueOf(name, record)
    if (due === undefined) return undefined
    if (due.delete) return () => this.#deleteUnloaded(name, record)
    this.#book?.onSwept(name.namespace, due.storedBytes)
    return due.trim || due.expireMessages || due.expireSubscriptions ? () => this.#visit(name, due) : undefined
  }

  /** undefined: somebody has it loaded. */
  async #dueOf(name: TopicName, record: TopicRecord): Promise<(DueWork & { storedBytes: number }) | undefined> {
    const registry = this.#registry
    const policies = await registry.effectivePolicies(record)
    const log = await registry.sweepLog(name, policies)
    if (log === undefined && (await registry.hasLog(name))) return undefined
    const storedBytes = (log?.ledgers ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const unusedSinceMs = Math.max(log?.closedAtMs ?? 0, record.createdAtMs, this.#startedAtMs)
    return { storedBytes, ...dueWork({ log, policies, unusedSinceMs }, registry.clock.wallMs()) }
  }

  async #deleteUnloaded(name: TopicName, record: TopicRecord): Promise<void> {
    if (this.#registry.find(name) !== undefined) return
    const isDeleted = await this.#registry.deleteUnloaded(name, async () => {
      const due = await this.#dueOf(name, record)
      return due?.delete === true
    })
    if (!isDeleted) return
    this.#logDeleted(name)
    if ((await this.#records.get(name)) === undefined) await this.#deleteEmptyRecord(name)
  }

  /** Loads the topic for what needs its cursors, and lets it go again. */
  async #visit(name: TopicName, due: DueWork): Promise<void> {
    const topic = await this.#registry.load(name, { mayCreate: false })
    try {
      if (due.expireMessages) await this.#expireOne(topic)
      if (due.expireMessages && topic instanceof PersistentTopic) await topic.checkBacklog()
      if (due.expireSubscriptions) {
        for (const { name, consumers } of [...topic.subscriptions.values()]) {
          if (consumers.length === 0) await topic.deleteSubscription(name)
        }
      }
      if (topic instanceof PersistentTopic) await topic.log.trim()
    } finally {
      await this.#registry.closeIfIdle(topic)
    }
  }

  async #pause(): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>(resolve => {
      const cancel = this.#registry.clock.after(PAUSE_MS, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
    this.#endPause = undefined
  }

  async #sweepOne(topic: Topic): Promise<void> {
    const idleMs = idleMsOf(topic, this.#registry.clock.nowMs())
    if (idleMs === undefined) return
    if (this.#isDeletable(topic, idleMs)) {
      await this.#deleteUnused(topic)
      return
    }
    const closeAfterMs = this.#settings.brokerCloseInactiveTopicsSeconds * 1000
    if (closeAfterMs > 0 && idleMs >= closeAfterMs && topic.name.isPersistent) await this.#registry.closeIfIdle(topic)
  }

  #isDeletable(topic: Topic, idleMs: number): boolean {
    const { inactiveTopics, retention } = topic.policies
    if (!inactiveTopics.delete || idleMs < inactiveTopics.maxInactiveSeconds * 1000) return false
    const caughtUp = inactiveTopics.mode === 'delete_when_subscriptions_caught_up'
    for (const subscription of topic.subscriptions.values()) {
      if (!caughtUp || subscription.cursor === undefined || subscription.cursor.backlogEntries() > 0) return false
    }
    // Data that retention still wants keeps its topic.
    return retention.timeMs >= 0 && idleMs >= retention.timeMs
  }

  async #deleteUnused(topic: Topic): Promise<void> {
    const { name } = topic
    this.#logDeleted(name)
    const own = await this.#records.get(name)
    if (own !== undefined) {
      await this.#registry.delete(name, { force: false, reason: 'unused' })
      return
    }
    await this.#registry.deletePartitionData(name)
    await this.#deleteEmptyRecord(name)
  }

  async #deleteEmptyRecord(partition: TopicName): Promise<void> {
    if (!partition.isPartition || !this.#settings.brokerDeleteInactivePartitionedTopicMetadataEnabled) return
    const record = await this.#records.get(partition.base)
    if (record === undefined || record.partitions === 0) return
    for (const part of partsOf(record)) {
      if (this.#registry.find(part) !== undefined || (await this.#registry.hasLog(part))) return
    }
    await this.#registry.delete(record.name, { force: false, reason: 'unused' })
  }

  async #expireOne(topic: Topic): Promise<void> {
    const { clock } = this.#registry
    const { messageTtlSeconds, subscriptionExpirationMinutes } = topic.policies
    // how long nobody has used it is known by the monotonic clock: a wall clock that steps must cost no subscription
    const [nowMs, wallMs] = [clock.nowMs(), clock.wallMs()]
    for (const subscription of topic.subscriptions.values()) {
      if (messageTtlSeconds > 0) await subscription.expireBefore(wallMs - messageTtlSeconds * 1000)
      if (subscription.consumers.length > 0) {
        this.#unusedSinceMs.delete(subscription)
        continue
      }
      const sinceMs = this.#unusedSinceMs.get(subscription) ?? nowMs
      this.#unusedSinceMs.set(subscription, sinceMs)
      const isAbandoned = topic.name.isPersistent && !subscription.isDurable && nowMs > sinceMs
      const isExpired = subscriptionExpirationMinutes > 0 && nowMs - sinceMs >= subscriptionExpirationMinutes * 60_000
      if (isAbandoned || isExpired) await topic.deleteSubscription(subscription.name)
    }
  }

  #logDeleted(name: TopicName): void {
    const { logger } = this.#registry
    logger.info({ event: 'topic.deleted_unused', topic: name.toString() }, 'a topic that nobody used is deleted')
  }

  async #guarded(name: TopicName, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      const reason = reasonOf(error)
      const { logger } = this.#registry
      logger.warn({ event: 'topic.sweep_failed', topic: name.toString(), reason }, 'a topic could not be looked after')
    }
  }
}

function idleMsOf(topic: Topic, nowMs: number): number | undefined {
  const { idleSinceMs } = topic
  return idleSinceMs === undefined ? undefined : nowMs - idleSinceMs
}
