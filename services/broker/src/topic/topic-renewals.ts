import type { EffectivePolicies, PolicyStore } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { TopicRecord, TopicRecords } from '../namespace/topic-records.ts'
import type { Home, TopicHomes } from './homes.ts'
import { PersistentTopic, type TopicLog } from './persistent-topic.ts'
import type { Topic, TopicEnvironment, TopicEvents } from './topic.ts'

/** What a renewal asks of the topics of this broker. */
export interface RenewedTopics {
  find(name: TopicName): Topic | undefined
  generationOf(topic: Topic): string
  /** Nobody finds the topic any more; whoever looks for it waits until `close` is done. */
  leave(topic: Topic, close: () => Promise<void>): Promise<void>
  /** May a topic be put in its place now? */
  mayPut(home: Home, name: TopicName): boolean
  put(topic: Topic, record: TopicRecord): void
}

interface Renewal {
  isCancelled: boolean
}

interface Ground {
  readonly home: Home
  readonly record: TopicRecord
  /** As they are stored. */
  readonly policies: EffectivePolicies
  /** As the topic had them before they were read. */
  readonly before: EffectivePolicies
}

/**
 * Unloads topics that stay where they are: a new topic takes the log over as it is, and only then clients are sent away. They
 * come back to a topic that is there, so that an unload costs them no more than that one round trip.
 *
 * All that a topic has in memory goes, but for its log. What the new topic stands on is read anew: record, policies, and
 * whether the broker still has the right to it.
 */
export class TopicRenewals {
  readonly #running = new Map<string, Renewal>()
  readonly #env: TopicEnvironment
  readonly #records: TopicRecords
  readonly #policies: PolicyStore
  readonly #homes: TopicHomes
  readonly #topics: RenewedTopics
  readonly #events: TopicEvents

  constructor(options: {
    env: TopicEnvironment
    records: TopicRecords
    policies: PolicyStore
    homes: TopicHomes
    topics: RenewedTopics
    events: TopicEvents
  }) {
    this.#env = options.env
    this.#records = options.records
    this.#policies = options.policies
    this.#homes = options.homes
    this.#topics = options.topics
    this.#events = options.events
  }

  /** False: the topic stays as it is; it is to be closed and loaded. True: another object took its place, or it was closed. */
  async renew(topic: PersistentTopic): Promise<boolean> {
    const ground = await this.#groundOf(topic)
    if (ground === undefined || !(await topic.prepareHandOver())) return false
    if (this.#topics.find(topic.name) !== topic) return true // it left, by another way
    const next = this.#homes.self
    const renewal = { isCancelled: false }
    const key = topic.fullName
    this.#running.set(key, renewal)
    await this.#topics.leave(topic, async () => {
      const isTaken = await topic.handOver(log => this.#take(log, { topic, ground, renewal }), next)
      this.#running.delete(key)
      if (!isTaken) await topic.close(next)
    })
    return true
  }

  /** The topic is to be gone: one that is being renewed is closed instead. */
  cancel(name: TopicName): void {
    const renewal = this.#running.get(name.toString())
    if (renewal !== undefined) renewal.isCancelled = true
  }

  async #groundOf(topic: PersistentTopic): Promise<Ground | undefined> {
    const { name, policies: before } = topic
    const [home, record] = await Promise.all([this.#homes.heldHome(name), this.#records.find(name)])
    if (home === undefined || record === undefined || record.isDeleting) return undefined
    const policies = await this.#policies.effectiveOf(record)
    return record.generation === this.#topics.generationOf(topic) ? { home, record, policies, before } : undefined
  }

  #take(
    { log, stamper, keeping }: TopicLog,
    of: { topic: PersistentTopic; ground: Ground; renewal: Renewal }
  ): boolean {
    const { topic, ground, renewal } = of
    const { home, record } = ground
    if (renewal.isCancelled || !this.#topics.mayPut(home, topic.name)) return false
    const { createdAtMs } = record
    // whoever changed them meanwhile told the topic that was there
    const policies = topic.policies === ground.before ? ground.policies : topic.policies
    log.setRetention(policies.retention)
    const renewed = new PersistentTopic(topic.name, this.#env, {
      ...{ log, stamper, keeping, createdAtMs, policies },
      events: this.#events
    })
    this.#topics.put(renewed, record)
    return true
  }
}
