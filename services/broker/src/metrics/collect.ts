import { setImmediate } from 'node:timers/promises'
import type { Topic } from '../topic/topic.ts'
import type { BacklogAges } from './backlog-ages.ts'
import { addGauges, addStorage, noGauges, noStorage, readGauges, type Gauges, type StorageCounts } from './totals.ts'

/** What topics with a budget of their own are chosen by. */
export type TopicMeasure = 'throughput' | 'rate' | 'backlog' | 'storage'

/** A namespace as far as it is in memory here. */
export interface NamespaceView {
  readonly gauges: Gauges
  readonly storage: StorageCounts
  /** Seconds since the oldest unacknowledged entry of all was published; 0 where there is none. */
  oldestAge: number
}

export interface Collected {
  readonly namespaces: ReadonlyMap<string, NamespaceView>
  /** Those that are shown one by one: pinned ones first, then by their measure, the greatest first. */
  readonly shown: readonly Topic[]
}

export interface CollectOptions {
  readonly topics: () => Iterable<Topic>
  readonly ages: BacklogAges
  readonly measure: TopicMeasure
  readonly topicsMax: number
  readonly isPinned: (topic: Topic) => boolean
}

const TOPICS_PER_TURN = 1_000

export function noNamespace(): NamespaceView {
  return { gauges: noGauges(), storage: noStorage(), oldestAge: 0 }
}

/** Adds up all topics in memory, and chooses those to show. In turns: there may be a hundred thousand. */
export async function collect(options: CollectOptions): Promise<Collected> {
  const namespaces = new Map<string, NamespaceView>()
  const greatest = new Greatest(options.topicsMax)
  const pinned: Topic[] = []
  const own = noGauges()
  let turn = 0
  for (const topic of [...options.topics()]) {
    if (++turn % TOPICS_PER_TURN === 0) await setImmediate()
    let view = namespaces.get(topic.name.namespace)
    if (view === undefined) namespaces.set(topic.name.namespace, (view = noNamespace()))
    addGauges(view.gauges, readGauges(topic, own))
    addStorage(view.storage, topic)
    if (own.backlogEntries > 0) view.oldestAge = Math.max(view.oldestAge, oldestAgeOf(topic, options.ages))
    if (options.isPinned(topic)) pinned.push(topic)
    else greatest.offer(topic, measureOf(own, options.measure))
  }
  return { namespaces, shown: [...pinned, ...greatest.take()] }
}

export function oldestAgeOf(topic: Topic, ages: BacklogAges): number {
  let oldest = 0
  for (const subscription of topic.subscriptions.values()) {
    oldest = Math.max(oldest, ages.ageOf(topic, subscription) ?? 0)
  }
  return oldest
}

function measureOf(gauges: Gauges, measure: TopicMeasure): number {
  switch (measure) {
    case 'throughput':
      return gauges.throughputIn + gauges.throughputOut
    case 'rate':
      return gauges.rateIn + gauges.rateOut
    case 'backlog':
      return gauges.backlogEntries
    case 'storage':
      return gauges.storedBytes
  }
}

/** The greatest of many, without sorting all of them: twice as many as are wanted are held at most. */
class Greatest {
  readonly #max: number
  #held: { readonly topic: Topic; readonly measure: number }[] = []
  #floor = -1

  constructor(max: number) {
    this.#max = max
  }

  offer(topic: Topic, measure: number): void {
    if (measure <= this.#floor || this.#max === 0) return
    this.#held.push({ topic, measure })
    if (this.#held.length >= this.#max * 2) this.#cut()
  }

  take(): Topic[] {
    this.#cut()
    return this.#held.map(({ topic }) => topic)
  }

  #cut(): void {
    this.#held.sort((a, b) => b.measure - a.measure)
    if (this.#held.length < this.#max) return
    this.#held = this.#held.slice(0, this.#max)
    this.#floor = this.#held.at(-1)?.measure ?? -1
  }
}
