import type { Topic } from '../topic/topic.ts'
import type { IntervalBuckets } from './interval-buckets.ts'
import { LATENCY_BOUNDS, SIZE_BOUNDS } from './storage-meter.ts'

/** What topics in memory add up to at one moment. Rates are per second, of the last sample; sizes are bytes. */
export interface Gauges {
  topics: number
  subscriptions: number
  producers: number
  consumers: number
  rateIn: number
  rateOut: number
  throughputIn: number
  throughputOut: number
  ackRate: number
  /** One copy of each entry. */
  storedBytes: number
  /** Entries that some subscription has not acknowledged, each once for each subscription. */
  backlogEntries: number
  /** Of the slowest subscription of each topic. */
  backlogBytes: number
}

export function noGauges(): Gauges {
  return {
    topics: 0,
    subscriptions: 0,
    producers: 0,
    consumers: 0,
    rateIn: 0,
    rateOut: 0,
    throughputIn: 0,
    throughputOut: 0,
    ackRate: 0,
    storedBytes: 0,
    backlogEntries: 0,
    backlogBytes: 0
  }
}

export const GAUGES = Object.keys(noGauges()) as readonly (keyof Gauges)[]

/** Without objects of its own: a broker may have a hundred thousand topics. */
export function readGauges(topic: Topic, into: Gauges): Gauges {
  const { traffic } = topic
  into.topics = 1
  into.subscriptions = topic.subscriptions.size
  into.producers = topic.producers.size
  into.consumers = 0
  into.rateIn = traffic.messages.perSecond
  into.throughputIn = traffic.bytes.perSecond
  into.rateOut = 0
  into.throughputOut = 0
  into.ackRate = 0
  into.storedBytes = topic.storedBytes
  into.backlogEntries = 0
  into.backlogBytes = 0
  for (const subscription of topic.subscriptions.values()) {
    const { messages, bytes } = subscription.ratesOut
    into.consumers += subscription.consumers.length
    into.rateOut += messages
    into.throughputOut += bytes
    into.ackRate += subscription.ackRate
    const backlog = subscription.cursor?.backlogEntries() ?? 0
    if (backlog === 0) continue
    into.backlogEntries += backlog
    into.backlogBytes = Math.max(into.backlogBytes, subscription.cursor?.backlogBytes() ?? 0)
  }
  return into
}

export function addGauges(sum: Gauges, more: Gauges): void {
  for (const key of GAUGES) sum[key] += more[key]
}

/** What storage did in the last minute. */
export interface StorageCounts {
  readonly latencies: number[]
  latencyCount: number
  latencySum: number
  readonly sizes: number[]
  sizeCount: number
  sizeSum: number
}

export function noStorage(): StorageCounts {
  const none = (bounds: readonly number[]): number[] => Array.from({ length: bounds.length + 1 }, () => 0)
  return {
    latencies: none(LATENCY_BOUNDS),
    latencyCount: 0,
    latencySum: 0,
    sizes: none(SIZE_BOUNDS),
    sizeCount: 0,
    sizeSum: 0
  }
}

export function addStorage(sum: StorageCounts, topic: Topic): void {
  const { storage } = topic
  if (storage === undefined) return
  const { latencies, sizes } = storage
  addBuckets(sum.latencies, latencies)
  sum.latencyCount += latencies.count
  sum.latencySum += latencies.sum
  addBuckets(sum.sizes, sizes)
  sum.sizeCount += sizes.count
  sum.sizeSum += sizes.sum
}

export function mergeStorage(sum: StorageCounts, more: StorageCounts): void {
  more.latencies.forEach((count, bucket) => (sum.latencies[bucket] = (sum.latencies[bucket] ?? 0) + count))
  more.sizes.forEach((count, bucket) => (sum.sizes[bucket] = (sum.sizes[bucket] ?? 0) + count))
  sum.latencyCount += more.latencyCount
  sum.latencySum += more.latencySum
  sum.sizeCount += more.sizeCount
  sum.sizeSum += more.sizeSum
}

function addBuckets(sum: number[], buckets: IntervalBuckets): void {
  const { counts } = buckets
  for (let bucket = 0; bucket < counts.length; bucket++) sum[bucket] = (sum[bucket] ?? 0) + (counts[bucket] ?? 0)
}
