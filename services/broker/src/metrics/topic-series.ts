import type { BrokerSettings } from '../config/settings.ts'
import type { ConsumerStats, SubscriptionStats } from '../contract.ts'
import type { SampledSubscription } from '../subscription/index.ts'
import type { Producer } from '../topic/producer.ts'
import type { Topic } from '../topic/topic.ts'
import type { BacklogAges } from './backlog-ages.ts'
import { oldestAgeOf } from './collect.ts'
import type { Families, Labels } from './families.ts'
import { addGaugeSeries, addStorageSeries } from './gauge-series.ts'
import { addStorage, noGauges, noStorage, readGauges } from './totals.ts'

/** Metric of a subscription by the field of its stats. */
const OF_SUBSCRIPTION: readonly (readonly [string, string])[] = [
  ['pulsar_subscription_back_log', 'msgBacklog'],
  ['pulsar_subscription_back_log_no_delayed', 'msgBacklogNoDelayed'],
  ['pulsar_subscription_delayed', 'msgDelayed'],
  ['pulsar_subscription_in_replay', 'msgInReplay'],
  ['pulsar_subscription_unacked_messages', 'unackedMessages'],
  ['pulsar_subscription_blocked_on_unacked_messages', 'blockedSubscriptionOnUnackedMsgs'],
  ['pulsar_subscription_msg_rate_out', 'msgRateOut'],
  ['pulsar_subscription_msg_throughput_out', 'msgThroughputOut'],
  ['pulsar_subscription_msg_rate_redeliver', 'msgRateRedeliver'],
  ['pulsar_subscription_msg_ack_rate', 'messageAckRate'],
  ['pulsar_subscription_msg_rate_expired', 'msgRateExpired'],
  ['pulsar_subscription_total_msg_expired', 'totalMsgExpired'],
  ['pulsar_subscription_msg_drop_rate', 'msgDropRate'],
  ['pulsar_subscription_last_acked_timestamp', 'lastAckedTimestamp'],
  ['pulsar_subscription_last_consumed_timestamp', 'lastConsumedTimestamp'],
  ['pulsar_subscription_last_consumed_flow_timestamp', 'lastConsumedFlowTimestamp'],
  ['pulsar_subscription_last_mark_delete_advanced_timestamp', 'lastMarkDeleteAdvancedTimestamp'],
  ['pulsar_subscription_last_expire_timestamp', 'lastExpireTimestamp'],
  ['pulsar_subscription_filter_processed_msg_count', 'filterProcessedMsgCount'],
  ['pulsar_subscription_filter_accepted_msg_count', 'filterAcceptedMsgCount'],
  ['pulsar_subscription_filter_rejected_msg_count', 'filterRejectedMsgCount'],
  ['pulsar_subscription_filter_rescheduled_msg_count', 'filterRescheduledMsgCount']
]

const OF_CONSUMER: readonly (readonly [string, keyof ConsumerStats])[] = [
  ['pulsar_consumer_msg_rate_out', 'msgRateOut'],
  ['pulsar_consumer_msg_throughput_out', 'msgThroughputOut'],
  ['pulsar_consumer_msg_rate_redeliver', 'msgRateRedeliver'],
  ['pulsar_consumer_msg_ack_rate', 'messageAckRate'],
  ['pulsar_consumer_unacked_messages', 'unackedMessages'],
  ['pulsar_consumer_blocked_on_unacked_messages', 'blockedConsumerOnUnackedMsgs'],
  ['pulsar_consumer_available_permits', 'availablePermits']
]

/** What a topic takes before its subscriptions, producers and consumers. */
export const SERIES_OF_TOPIC = 40
/** With those of its traffic, and its age. */
const SERIES_OF_SUBSCRIPTION = OF_SUBSCRIPTION.length + 4
const SERIES_OF_CONSUMER = OF_CONSUMER.length + 2
const SERIES_OF_PRODUCER = 3

export interface TopicSeriesOptions {
  readonly families: Families
  readonly ages: BacklogAges
  readonly copies: number
  readonly withConsumers: boolean
  readonly withProducers: boolean
  /** No more series of it than these. What there is no room for are its smallest backlogs. */
  readonly seriesMax: number
}

/** What a topic would take of the budget. */
export function seriesOf(topic: Topic, settings: BrokerSettings): number {
  let series = SERIES_OF_TOPIC + topic.subscriptions.size * SERIES_OF_SUBSCRIPTION
  if (settings.exposeProducerLevelMetricsInPrometheus) series += topic.producers.size * SERIES_OF_PRODUCER
  if (!settings.exposeConsumerLevelMetricsInPrometheus) return series
  for (const { consumers } of topic.subscriptions.values()) series += consumers.length * SERIES_OF_CONSUMER
  return series
}

export function addTopicSeries(topic: Topic, labels: Labels, options: TopicSeriesOptions): void {
  const { families, ages, copies } = options
  const end = families.size + options.seriesMax
  const of = { families, labels, prefix: 'pulsar_' }
  addGaugeSeries(of, readGauges(topic, noGauges()), copies)
  const storage = noStorage()
  addStorage(storage, topic)
  addStorageSeries(of, storage)
  families.counter('pulsar_in_messages_total', labels, topic.traffic.messages.total)
  families.counter('pulsar_in_bytes_total', labels, topic.traffic.bytes.total)
  families.gauge('pulsar_average_msg_size', labels, topic.traffic.averageBytes)
  families.gauge('pulsar_storage_backlog_age_seconds', labels, oldestAgeOf(topic, ages))
  for (const subscription of byBacklog(topic)) {
    if (families.size + SERIES_OF_SUBSCRIPTION > end) break
    addSubscription({ topic, subscription, end, labels: labels.with('subscription', subscription.name) }, options)
  }
  if (options.withProducers) {
    for (const producer of topic.producers.values()) {
      if (families.size + SERIES_OF_PRODUCER > end) break
      addProducer(producer, labels, families)
    }
  }
}

function byBacklog(topic: Topic): readonly SampledSubscription[] {
  const all = [...topic.subscriptions.values()]
  if (all.length < 2) return all
  const sized = all.map(subscription => ({ subscription, backlog: subscription.cursor?.backlogEntries() ?? 0 }))
  return sized.sort((a, b) => b.backlog - a.backlog).map(({ subscription }) => subscription)
}

function addSubscription(
  of: { topic: Topic; subscription: SampledSubscription; labels: Labels; end: number },
  options: TopicSeriesOptions
): void {
  const { topic, subscription, labels, end } = of
  const { families, ages } = options
  const stats: SubscriptionStats = subscription.stats()
  for (const [metric, field] of OF_SUBSCRIPTION) families.gauge(metric, labels, asNumber(stats[field]))
  families.gauge('pulsar_subscription_consumers_count', labels, stats.consumers.length)
  families.counter('pulsar_out_messages_total', labels, asNumber(stats.msgOutCounter))
  families.counter('pulsar_out_bytes_total', labels, asNumber(stats.bytesOutCounter))
  families.gauge('strata_subscription_backlog_age_seconds', labels, ages.ageOf(topic, subscription) ?? 0)
  if (!options.withConsumers) return
  // clients choose both name and id, and two of them may choose the same: one series is what there can be
  const shown = new Set<string>()
  for (const [index, consumer] of stats.consumers.entries()) {
    if (families.size + SERIES_OF_CONSUMER > end) break
    const consumerId = subscription.consumers[index]?.options.consumerId ?? 0
    const own = labels.with('consumer_name', consumer.consumerName).with('consumer_id', String(consumerId))
    if (shown.has(own.text)) continue
    shown.add(own.text)
    addConsumer(consumer, own, families)
  }
}

/** What went out is under the names of the subscription's series, as Pulsar has it: whoever sums must choose one of them. */
function addConsumer(consumer: ConsumerStats, labels: Labels, families: Families): void {
  for (const [metric, field] of OF_CONSUMER) families.gauge(metric, labels, asNumber(consumer[field]))
  families.counter('pulsar_out_messages_total', labels, consumer.msgOutCounter)
  families.counter('pulsar_out_bytes_total', labels, consumer.bytesOutCounter)
}

function addProducer(producer: Producer, labels: Labels, families: Families): void {
  const { traffic, options } = producer
  const own = labels.with('producer_name', options.name).with('producer_id', String(options.producerId))
  families.gauge('pulsar_producer_msg_rate_in', own, traffic.messages.perSecond)
  families.gauge('pulsar_producer_msg_throughput_in', own, traffic.bytes.perSecond)
  families.gauge('pulsar_producer_msg_average_Size', own, traffic.averageBytes)
}

function asNumber(value: unknown): number {
  return typeof value === 'number' ? value : Number(value === true)
}
