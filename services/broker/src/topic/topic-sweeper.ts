import { every } from '@strata/base'
import type { BrokerSettings } from '../config/settings.ts'
import type { TopicRecords } from '../namespace/topic-records.ts'
import type { Topic } from './topic.ts'
import { partsOf, type TopicRegistry } from './topic-registry.ts'

const SAMPLE_MS = 10_000

/**
 * What happens to loaded topics by the clock: rates are sampled, unused ones closed or deleted, old messages and unused
 * subscriptions expired. One pass at a time.
 */
export class TopicSweeper {
  readonly #registry: TopicRegistry
  readonly #records: TopicRecords
  readonly #settings: BrokerSettings
  readonly #cancels: (() => void)[] = []
  readonly #unusedSinceMs = new WeakMap<object, number>()
  #sampledAtMs = 0
  #isSweeping = false

  constructor(options: { registry: TopicRegistry; records: TopicRecords; settings: BrokerSettings }) {
    this.#registry = options.registry
    this.#records = options.records
    this.#settings = options.settings
  }

  start(): void {
    const { clock } = this.#registry
    this.#sampledAtMs = clock.nowMs()
    this.#cancels.push(
      every(clock, SAMPLE_MS, () => {
        this.sample()
      }),
      every(clock, this.#settings.brokerDeleteInactiveTopicsFrequencySeconds * 1000, () => {
        void this.sweepIdle()
      }),
      every(clock, this.#settings.messageExpiryCheckIntervalInMinutes * 60_000, () => {
        void this.expire()
      })
    )
  }

  stop(): void {
    for (const cancel of this.#cancels.splice(0)) cancel()
  }

  sample(): void {
    const nowMs = this.#registry.clock.nowMs()
    const elapsedSeconds = (nowMs - this.#sampledAtMs) / 1000
    this.#sampledAtMs = nowMs
    for (const topic of this.#registry.values()) topic.sample(elapsedSeconds)
  }

  /** Closes or deletes what nobody uses. */
  async sweepIdle(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      for (const topic of [...this.#registry.values()]) await this.#guarded(topic, () => this.#sweepOne(topic))
    } finally {
      this.#isSweeping = false
    }
  }

  /** Acknowledges messages past their time to live, and deletes subscriptions that nobody used for long. */
  async expire(): Promise<void> {
    const nowMs = this.#registry.clock.wallMs()
    for (const topic of [...this.#registry.values()]) {
      if (!topic.name.isPersistent) continue
      await this.#guarded(topic, () => this.#expireOne(topic, nowMs))
    }
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
    const { logger } = this.#registry
    logger.info({ event: 'topic.deleted_unused', topic: topic.fullName }, 'a topic that nobody used is deleted')
    const own = await this.#records.get(name)
    if (own !== undefined) {
      await this.#registry.delete(name, { force: false })
      return
    }
    await this.#registry.deletePartitionData(name)
    if (this.#settings.brokerDeleteInactivePartitionedTopicMetadataEnabled) await this.#deleteEmptyRecord(topic)
  }

  async #deleteEmptyRecord(topic: Topic): Promise<void> {
    const record = await this.#records.get(topic.name.base)
    if (record === undefined) return
    for (const part of partsOf(record)) {
      if (this.#registry.find(part) !== undefined || (await this.#registry.hasLog(part))) return
    }
    await this.#registry.delete(record.name, { force: false })
  }

  async #expireOne(topic: Topic, nowMs: number): Promise<void> {
    const { messageTtlSeconds, subscriptionExpirationMinutes } = topic.policies
    for (const subscription of topic.subscriptions.values()) {
      if (messageTtlSeconds > 0) await subscription.expireBefore(nowMs - messageTtlSeconds * 1000)
      if (subscription.consumers.length > 0) {
        this.#unusedSinceMs.delete(subscription)
        continue
      }
      const sinceMs = this.#unusedSinceMs.get(subscription) ?? nowMs
      this.#unusedSinceMs.set(subscription, sinceMs)
      const isAbandoned = !subscription.isDurable && nowMs > sinceMs
      const isExpired = subscriptionExpirationMinutes > 0 && nowMs - sinceMs >= subscriptionExpirationMinutes * 60_000
      if (isAbandoned || isExpired) await topic.deleteSubscription(subscription.name)
    }
  }

  async #guarded(topic: Topic, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const { logger } = this.#registry
      logger.warn({ event: 'topic.sweep_failed', topic: topic.fullName, reason }, 'a topic could not be looked after')
    }
  }
}

function idleMsOf(topic: Topic, nowMs: number): number | undefined {
  const { idleSinceMs } = topic
  return idleSinceMs === undefined ? undefined : nowMs - idleSinceMs
}
