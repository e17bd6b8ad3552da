import type { Topic } from '../topic/topic.ts'

/** What topics add up to. Counters never fall while their topic is in memory. */
export interface Totals {
  topics: number
  subscriptions: number
  producers: number
  consumers: number
  rateIn: number
  rateOut: number
  throughputIn: number
  throughputOut: number
  storageSize: number
  msgBacklog: number
  inMessages: number
  inBytes: number
  outMessages: number
  outBytes: number
}

export function noTotals(): Totals {
  return {
    topics: 0,
    subscriptions: 0,
    producers: 0,
    consumers: 0,
    rateIn: 0,
    rateOut: 0,
    throughputIn: 0,
    throughputOut: 0,
    storageSize: 0,
    msgBacklog: 0,
    inMessages: 0,
    inBytes: 0,
    outMessages: 0,
    outBytes: 0
  }
}

export function totalsOfTopic(topic: Topic, stats: Readonly<Record<string, unknown>>): Totals {
  const totals = noTotals()
  totals.topics = 1
  totals.subscriptions = topic.subscriptions.size
  totals.producers = topic.producers.size
  for (const subscription of topic.subscriptions.values()) {
    totals.consumers += subscription.consumers.length
    totals.msgBacklog += subscription.cursor?.backlogEntries() ?? 0
  }
  totals.rateIn = numberOf(stats.msgRateIn)
  totals.rateOut = numberOf(stats.msgRateOut)
  totals.throughputIn = numberOf(stats.msgThroughputIn)
  totals.throughputOut = numberOf(stats.msgThroughputOut)
  totals.storageSize = numberOf(stats.storageSize)
  totals.inMessages = numberOf(stats.msgInCounter)
  totals.inBytes = numberOf(stats.bytesInCounter)
  totals.outMessages = numberOf(stats.msgOutCounter)
  totals.outBytes = numberOf(stats.bytesOutCounter)
  return totals
}

export function totalsOf(topics: Iterable<Topic>): { broker: Totals; namespaces: Map<string, Totals> } {
  const broker = noTotals()
  const namespaces = new Map<string, Totals>()
  for (const topic of topics) {
    const own = totalsOfTopic(topic, topic.stats())
    const namespace = namespaces.get(topic.name.namespace) ?? noTotals()
    namespaces.set(topic.name.namespace, namespace)
    add(broker, own)
    add(namespace, own)
  }
  return { broker, namespaces }
}

export function add(sum: Totals, more: Totals): void {
  for (const key of Object.keys(more) as (keyof Totals)[]) sum[key] += more[key]
}

export function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
