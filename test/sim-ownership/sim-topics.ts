import {
  isInBundle,
  type BrokerAddress,
  type BundleName,
  type BundleTopics,
  type ClusterOwnership,
  type TopicName
} from '@strata/broker/testing'
import type { ManagedLedger, ManagedLedgerFactory } from '@strata/managed-ledger'
import { refusedBy } from './call.ts'
import type { History, Place } from './history.ts'

interface Sent {
  readonly resolve: (place: Place) => void
  readonly reject: (error: Error) => void
}

interface OpenTopic {
  readonly name: TopicName
  readonly log: Promise<ManagedLedger<Sent>>
  isClosing: boolean
}

const OPEN = {
  create: true,
  retention: { timeMs: -1, sizeBytes: -1 },
  rollover: { entriesMax: 50, bytesMax: 1_000_000, ageMsMin: 0, ageMsMax: 1_000_000 }
}
const SUBSCRIPTION = 'sub'

export interface Delivered extends Place {
  readonly tag: string
}

/** The topics of one broker: real logs, opened under the guard of their bundle, and what ownership asks of them. */
export class SimTopics implements BundleTopics {
  readonly #name: string
  readonly #history: History
  readonly #factory: ManagedLedgerFactory
  readonly #open = new Map<string, OpenTopic>()
  readonly #onDrop: (bundle: BundleName) => void
  readonly #onOpening: () => void
  ownership: ClusterOwnership | undefined
  isSuspended = false
  /** What went to storage, and what it took. */
  readonly storage = { stored: 0, waiting: 0, failures: 0 }

  constructor(options: {
    name: string
    history: History
    factory: ManagedLedgerFactory
    onDrop: (bundle: BundleName) => void
    onOpening: () => void
  }) {
    this.#name = options.name
    this.#history = options.history
    this.#factory = options.factory
    this.#onDrop = options.onDrop
    this.#onOpening = options.onOpening
  }

  // what clients ask

  async publish(name: TopicName, tag: string): Promise<Place> {
    const { log } = await this.#topic(name)
    if (this.isSuspended) throw refusedBy(this.#name, 'suspended')
    const opened = await log
    return new Promise((resolve, reject) => {
      this.storage.waiting++
      opened.append(Buffer.from(tag), 1, { resolve, reject })
    })
  }

  /** Some entries that are not acknowledged yet. */
  async receive(name: TopicName): Promise<Delivered[]> {
    const topic = await this.#topic(name)
    const log = await topic.log
    const cursor = await log.openCursor(SUBSCRIPTION, { initial: 'earliest' })
    const from = log.nextPosition(cursor.markDelete)
    const entries = await log.read(from, { entriesMax: 20, bytesMax: 100_000 })
    if (this.isSuspended || topic.isClosing) throw refusedBy(this.#name, 'suspended')
    return entries.map(({ ledgerId, entryId, payload }) => ({ ledgerId, entryId, tag: payload.toString() }))
  }

  /** Answered once it is durable. */
  async acknowledge(name: TopicName, place: Place): Promise<void> {
    const { log } = await this.#topic(name)
    const cursor = await (await log).openCursor(SUBSCRIPTION, { initial: 'earliest' })
    cursor.acknowledgeUpTo({ ledgerId: place.ledgerId, entryId: place.entryId })
    await cursor.flush()
  }

  /** Names of topics that are open, and not about to close. */
  open(): TopicName[] {
    return [...this.#open.values()].filter(({ isClosing }) => !isClosing).map(({ name }) => name)
  }

  // what ownership asks

  loaded(bundle: BundleName): readonly TopicName[] {
    return this.#in(bundle).map(({ name }) => name)
  }

  async release(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    this.#history.counts.releases++
    this.#history.tell(this.#name, () => `releases ${String(bundle)} to ${next?.instance ?? 'nobody'}`)
    await this.#close(bundle, log => log.close())
  }

  async drop(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    this.#history.counts.drops++
    this.#history.tell(this.#name, () => `drops ${String(bundle)} for ${next?.instance ?? 'nobody'}`)
    this.#onDrop(bundle)
    await this.#close(bundle, log => Promise.resolve(log.abandon()))
  }

  preload(_bundle: BundleName, names: readonly TopicName[]): void {
    this.#history.counts.preloads += names.length
    for (const name of names) this.#topic(name).catch(() => undefined)
  }

  suspend(isSuspended: boolean): void {
    this.#history.counts.suspensions++
    this.#history.tell(this.#name, isSuspended ? 'suspends' : 'goes on')
    this.isSuspended = isSuspended
  }

  #in(bundle: BundleName): OpenTopic[] {
    return [...this.#open.values()].filter(({ name }) => isInBundle(bundle, name))
  }

  async #close(bundle: BundleName, end: (log: ManagedLedger<Sent>) => Promise<void>): Promise<void> {
    await Promise.all(
      this.#in(bundle).map(async topic => {
        topic.isClosing = true
        const log = await topic.log.catch(() => undefined)
        if (log !== undefined) await end(log)
        this.#forget(topic)
      })
    )
  }

  #forget(topic: OpenTopic): void {
    if (this.#open.get(topic.name.toString()) === topic) this.#open.delete(topic.name.toString())
  }

  /** Open here, if its bundle is here. */
  async #topic(name: TopicName): Promise<OpenTopic> {
    const { ownership } = this
    if (ownership === undefined) throw refusedBy(this.#name, 'it starts')
    const known = this.#open.get(name.toString())
    if (known?.isClosing === true) throw refusedBy(this.#name, 'the topic is closing')
    if (known !== undefined) return known
    const placement = await ownership.locate(await ownership.bundleOf(name))
    if (placement.kind === 'there') throw refusedBy(this.#name, 'it is elsewhere')
    return this.#open.get(name.toString()) ?? this.#load(name, placement.hold.guard)
  }

  #load(name: TopicName, guard: { key: string; version: number } | undefined): OpenTopic {
    this.#history.counts.opens++
    this.#onOpening()
    const guards = guard === undefined ? [] : [guard]
    const log = this.#factory.open<Sent>(name.storageName, { ...OPEN, guards })
    const topic: OpenTopic = { name, log, isClosing: false }
    this.#open.set(name.toString(), topic)
    log.then(
      opened => {
        this.storage.stored++
        opened.setAppendListener({
          onAppended: (ledgerId, entryId, sent) => {
            this.storage.waiting--
            this.storage.stored++
            sent.resolve({ ledgerId, entryId })
          },
          onAppendFailed: (error, sent) => {
            this.storage.waiting--
            sent.reject(error)
            void this.#onFailure(topic)
          },
          onAppendsSettled: () => undefined
        })
      },
      () => {
        this.storage.failures++
        this.#forget(topic)
      }
    )
    return topic
  }

  /** What cannot be written is loaded anew when it is asked for next. */
  async #onFailure(topic: OpenTopic): Promise<void> {
    if (topic.isClosing) return
    topic.isClosing = true
    await (await topic.log).close()
    this.#forget(topic)
  }
}
