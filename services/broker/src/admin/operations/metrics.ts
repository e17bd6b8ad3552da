import type { SubscriptionStats } from '../../contract.ts'
import type { Topic } from '../../topic/topic.ts'
import type { AdminBackend } from '../backend.ts'
import type { AdminReply, AdminRequest } from '../operation.ts'
import { add, noTotals, numberOf, totalsOfTopic, type Totals } from '../totals.ts'
import { ownershipSeries } from './ownership-metrics.ts'

const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Pulsar's names of what `Totals` has; all are gauges there, counters included. */
const TOTALS: Readonly<Record<keyof Totals, string>> = {
  topics: 'pulsar_topics_count',
  subscriptions: 'pulsar_subscriptions_count',
  producers: 'pulsar_producers_count',
  consumers: 'pulsar_consumers_count',
  rateIn: 'pulsar_rate_in',
  rateOut: 'pulsar_rate_out',
  throughputIn: 'pulsar_throughput_in',
  throughputOut: 'pulsar_throughput_out',
  storageSize: 'pulsar_storage_size',
  msgBacklog: 'pulsar_msg_backlog',
  inMessages: 'pulsar_in_messages_total',
  inBytes: 'pulsar_in_bytes_total',
  outMessages: 'pulsar_out_messages_total',
  outBytes: 'pulsar_out_bytes_total'
}

/** Metric of a subscription by the field of its stats. */
const OF_SUBSCRIPTION: readonly (readonly [string, string])[] = [
  ['pulsar_subscription_back_log', 'msgBacklog'],
  ['pulsar_subscription_back_log_no_delayed', 'msgBacklogNoDelayed'],
  ['pulsar_subscription_delayed', 'msgDelayed'],
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
  ['pulsar_subscription_last_expire_timestamp', 'lastExpireTimestamp'],
  ['pulsar_out_messages_total', 'msgOutCounter'],
  ['pulsar_out_bytes_total', 'bytesOutCounter']
]

const OF_CONSUMER: readonly (readonly [string, string])[] = [
  ['pulsar_consumer_msg_rate_out', 'msgRateOut'],
  ['pulsar_consumer_msg_throughput_out', 'msgThroughputOut'],
  ['pulsar_consumer_msg_rate_redeliver', 'msgRateRedeliver'],
  ['pulsar_consumer_msg_ack_rate', 'messageAckRate'],
  ['pulsar_consumer_unacked_messages', 'unackedMessages'],
  ['pulsar_consumer_blocked_on_unacked_messages', 'blockedConsumerOnUnackedMsgs'],
  ['pulsar_consumer_available_permits', 'availablePermits'],
  ['pulsar_out_messages_total', 'msgOutCounter'],
  ['pulsar_out_bytes_total', 'bytesOutCounter']
]

/** Prometheus text: the broker, each namespace or topic as settings say, subscriptions and consumers, the process. */
export async function metricsOfBroker({ backend }: AdminRequest): Promise<AdminReply> {
  const series = new SeriesText(backend.settings.clusterName)
  collect(backend, series)
  const body = `${series.text()}${await backend.processMetrics.metrics()}`
  return { status: 200, body, contentType: PROMETHEUS_TYPE }
}

function collect(backend: AdminBackend, series: SeriesText): void {
  const byTopic = backend.settings.exposeTopicLevelMetricsInPrometheus
  const broker = noTotals()
  const namespaces = new Map<string, Totals>()
  for (const topic of backend.topics.values()) {
    const stats = topic.stats()
    const totals = totalsOfTopic(topic, stats)
    add(broker, totals)
    const namespace = namespaces.get(topic.name.namespace) ?? noTotals()
    namespaces.set(topic.name.namespace, namespace)
    add(namespace, totals)
    if (byTopic) collectTopic(backend, series, { topic, stats, totals })
  }
  if (!byTopic) {
    for (const [namespace, totals] of namespaces) collectTotals(series, totals, { namespace }, '')
  }
  collectTotals(series, broker, {}, 'broker_')
  const { active, created, closed } = backend.connections
  series.add('pulsar_active_connections', {}, active)
  series.add('pulsar_connection_created_total_count', {}, created)
  series.add('pulsar_connection_closed_total_count', {}, closed)
  series.add('pulsar_version_info', { version: backend.version }, 1)
  for (const [metric, value] of ownershipSeries(backend)) series.add(metric, {}, value)
  for (const pool of backend.pools) {
    series.add('strata_pool_bytes', { pool: pool.name }, pool.bytesHeld)
    series.add('strata_pool_bytes_max', { pool: pool.name }, pool.bytesMax)
  }
}

function collectTotals(
  series: SeriesText,
  totals: Totals,
  labels: Readonly<Record<string, string>>,
  prefix: 'broker_' | ''
): void {
  for (const [key, name] of Object.entries(TOTALS)) {
    series.add(name.replace('pulsar_', `pulsar_${prefix}`), labels, totals[key as keyof Totals])
  }
}

function collectTopic(
  backend: AdminBackend,
  series: SeriesText,
  of: { topic: Topic; stats: Readonly<Record<string, unknown>>; totals: Totals }
): void {
  const { topic, stats, totals } = of
  const labels = { namespace: topic.name.namespace, topic: topic.fullName }
  collectTotals(series, totals, labels, '')
  series.add('pulsar_average_msg_size', labels, numberOf(stats.averageMsgSize))
  series.add('pulsar_storage_logical_size', labels, totals.storageSize)
  series.add('pulsar_storage_backlog_size', labels, numberOf(stats.backlogSize))
  const subscriptions = stats.subscriptions as Readonly<Record<string, SubscriptionStats>>
  for (const [subscription, own] of Object.entries(subscriptions)) {
    const ofSubscription = { ...labels, subscription }
    for (const [metric, field] of OF_SUBSCRIPTION) series.add(metric, ofSubscription, asNumber(own[field]))
    series.add('pulsar_subscription_consumers_count', ofSubscription, own.consumers.length)
    if (!backend.settings.exposeConsumerLevelMetricsInPrometheus) continue
    for (const consumer of own.consumers) {
      const ofConsumer = { ...ofSubscription, consumer_name: consumer.consumerName }
      const values: Readonly<Record<string, unknown>> = { ...consumer }
      for (const [metric, field] of OF_CONSUMER) series.add(metric, ofConsumer, asNumber(values[field]))
    }
  }
}

function asNumber(value: unknown): number {
  return typeof value === 'boolean' ? Number(value) : numberOf(value)
}

/** Lines grouped by metric, each group under its TYPE line, as the format demands. */
class SeriesText {
  readonly #cluster: string
  readonly #groups = new Map<string, string[]>()

  constructor(cluster: string) {
    this.#cluster = cluster
  }

  add(metric: string, labels: Readonly<Record<string, string>>, value: number): void {
    let lines = this.#groups.get(metric)
    if (lines === undefined) {
      lines = [`# TYPE ${metric} gauge`]
      this.#groups.set(metric, lines)
    }
    const all = { cluster: this.#cluster, ...labels }
    const text = Object.entries(all).map(([name, label]) => `${name}="${escaped(label)}"`)
    lines.push(`${metric}{${text.join(',')}} ${Number.isFinite(value) ? value : 0}`)
  }

  text(): string {
    const lines = [...this.#groups.values()].flat()
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`
  }
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
