import { setImmediate } from 'node:timers/promises'
import type { BrokerSettings } from '../config/settings.ts'
import type { Topic } from '../topic/topic.ts'
import type { BrokerMeters } from './broker-meters.ts'
import { collect, noNamespace, type Collected, type NamespaceView, type TopicMeasure } from './collect.ts'
import { Families, Labels } from './families.ts'
import { addGaugeSeries, addStorageSeries, addTrafficSeries } from './gauge-series.ts'
import { addNamespaceSeries } from './namespace-series.ts'
import { PinnedTopics } from './pinned-topics.ts'
import { withPropertyLabels } from './property-labels.ts'
import { RestCounters } from './rest-counters.ts'
import { addStuckSeries } from './stuck-series.ts'
import type { TenantShare } from './tenant-work.ts'
import { addTopicSeries, seriesOf, SERIES_OF_TOPIC } from './topic-series.ts'
import { addGauges, addStorage, GAUGES, type Gauges, mergeStorage, noGauges, readGauges } from './totals.ts'
import { addTraffic, noTraffic } from './traffic-book.ts'

export interface BrokerMetricsOptions {
  readonly settings: BrokerSettings
  readonly meters: BrokerMeters
  readonly topics: () => Iterable<Topic>
  /** What operators set on the topic, as it is now. */
  readonly propertiesOf: (topic: Topic) => Promise<Readonly<Record<string, string>>>
  /** Of each entry, on storage nodes. */
  readonly copies: number
  /** Of this broker, by what no topic tells. */
  readonly addOthers: (families: Families, cluster: Labels) => Promise<void>
}

/** What a namespace takes on this broker, and of storage. */
export interface Usage extends Readonly<Gauges> {
  readonly unloadedTopics: number
  readonly backlogAgeSeconds: number
}

interface Planned {
  readonly topic: Topic
  /** Series that it may take. */
  readonly seriesMax: number
}

const TOPICS_PER_TURN = 20
/** Quantiles of Apache Pulsar's summaries. */
const QUANTILES = [0, 0.5, 0.95, 0.99, 0.999, 0.9999, 1]

/**
 * All that a broker tells of itself. Totals of the broker, its tenants and its namespaces are exact and always there; single
 * topics are there as far as the budget goes, and the rest of each namespace is one series without a topic, so that sums over a
 * namespace are those of all its topics.
 */
export class BrokerMetrics {
  readonly #options: BrokerMetricsOptions
  readonly #cluster: Labels
  readonly #rest = new RestCounters()
  #pinned = new PinnedTopics('')
  #running: Promise<Families> | undefined

  constructor(options: BrokerMetricsOptions) {
    this.#options = options
    this.#cluster = new Labels([['cluster', options.settings.clusterName]])
  }

  /** Whoever asks while it is made gets the same. */
  families(): Promise<Families> {
    this.#running ??= this.#make().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** What namespaces use, by name; what is stored counts all its copies. Topics are not chosen. */
  async usage(): Promise<ReadonlyMap<string, Usage>> {
    const { meters, copies } = this.#options
    const { namespaces } = await this.#collect(0)
    const usage = new Map<string, Usage>()
    for (const namespace of new Set([...namespaces.keys(), ...meters.stored.namespaces()])) {
      const { gauges, oldestAge } = namespaces.get(namespace) ?? noNamespace()
      const stored = meters.stored.of(namespace)
      usage.set(namespace, {
        ...gauges,
        unloadedTopics: stored.topics,
        storedBytes: (gauges.storedBytes + stored.bytes) * copies,
        backlogAgeSeconds: oldestAge
      })
    }
    return usage
  }

  /** Whose work this broker does. */
  shares(): readonly (readonly [tenant: string, share: TenantShare])[] {
    return [...this.#options.meters.tenants.all()]
  }

  async #make(): Promise<Families> {
    const { settings, meters, copies } = this.#options
    const families = new Families()
    const isByTopic = settings.exposeTopicLevelMetricsInPrometheus
    const collected = await this.#collect(isByTopic ? settings.strataMetricsTopicsMax : 0)
    this.#addBroker(families, collected)
    addNamespaceSeries({ families, cluster: this.#cluster, meters, copies, settings }, collected.namespaces)
    addStuckSeries({ families, cluster: this.#cluster, meters, settings })
    meters.cache.addSeries(families, this.#cluster)
    if (isByTopic) await this.#addTopics(families, collected)
    else this.#addNamespacesAlone(families, collected)
    await this.#options.addOthers(families, this.#cluster)
    return families
  }

  #collect(topicsMax: number): Promise<Collected> {
    const { settings, meters, topics } = this.#options
    if (this.#pinned.text !== settings.strataMetricsPinnedTopics) {
      this.#pinned = new PinnedTopics(settings.strataMetricsPinnedTopics)
    }
    return collect({
      topics,
      topicsMax,
      ages: meters.ages,
      measure: settings.strataMetricsTopicsBy as TopicMeasure,
      isPinned: ({ name }) => this.#pinned.has(name)
    })
  }

  #addBroker(families: Families, { namespaces }: Collected): void {
    const { meters, copies } = this.#options
    const labels = this.#cluster
    const sum = noNamespace()
    for (const view of namespaces.values()) {
      addGauges(sum.gauges, view.gauges)
      mergeStorage(sum.storage, view.storage)
      sum.oldestAge = Math.max(sum.oldestAge, view.oldestAge)
    }
    const of = { families, labels, prefix: 'pulsar_broker_' }
    families.gauge('pulsar_broker_topics_count', labels, sum.gauges.topics)
    addGaugeSeries(of, sum.gauges, copies)
    addStorageSeries(of, sum.storage)
    this.#addBrokerTraffic(families)
    families.gauge('strata_broker_backlog_age_seconds', labels, sum.oldestAge)
    const { publishLatency } = meters
    for (const share of QUANTILES) {
      const quantile = labels.with('quantile', share === 0 || share === 1 ? share.toFixed(1) : String(share))
      families.gauge('pulsar_broker_publish_latency', quantile, publishLatency.quantile(share) ?? 0)
    }
    families.counter('pulsar_broker_publish_latency_count', labels, publishLatency.count)
    families.counter('pulsar_broker_publish_latency_sum', labels, publishLatency.sumMs)
  }

  #addBrokerTraffic(families: Families): void {
    const all = noTraffic()
    const own = noTraffic()
    for (const [namespace, totals] of this.#options.meters.traffic.namespaces()) {
      addTraffic(namespace.startsWith('pulsar/') ? own : all, totals)
    }
    const labels = this.#cluster
    for (const [isOurs, totals] of [
      ['false', all],
      ['true', own]
    ] as const) {
      families.counter('pulsar_broker_in_bytes_total', labels.with('system_topic', isOurs), totals.bytesIn)
      families.counter('pulsar_broker_out_bytes_total', labels.with('system_subscription', isOurs), totals.bytesOut)
    }
    families.counter('pulsar_broker_in_messages_total', labels, all.messagesIn + own.messagesIn)
    families.counter('pulsar_broker_out_messages_total', labels, all.messagesOut + own.messagesOut)
  }

  /** As Pulsar tells namespaces where it does not tell topics. */
  #addNamespacesAlone(families: Families, { namespaces }: Collected): void {
    const { copies, meters } = this.#options
    for (const [namespace, view] of namespaces) {
      const labels = this.#cluster.with('namespace', namespace)
      families.gauge('pulsar_topics_count', labels, view.gauges.topics)
      this.#addView(families, { labels, view, copies })
      addTrafficSeries({ families, labels, prefix: 'pulsar_' }, meters.traffic.of(namespace))
    }
  }

  #addView(
    families: Families,
    { labels, view, copies }: { labels: Labels; view: NamespaceView; copies: number }
  ): void {
    const of = { families, labels, prefix: 'pulsar_' }
    addGaugeSeries(of, view.gauges, copies)
    addStorageSeries(of, view.storage)
    families.gauge('pulsar_storage_backlog_age_seconds', labels, view.oldestAge)
  }

  async #addTopics(families: Families, collected: Collected): Promise<void> {
    const { settings, meters, copies, propertiesOf } = this.#options
    const plan = this.#plan(collected.shown)
    const shown = plan.map(({ topic }) => topic)
    this.#addRest(families, collected.namespaces, shown)
    let turn = 0
    for (const { topic, seriesMax } of plan) {
      if (++turn % TOPICS_PER_TURN === 0) await setImmediate()
      const own = this.#cluster.with('namespace', topic.name.namespace).with('topic', topic.fullName)
      const isWithProperties = settings.exposeCustomTopicMetricLabelsEnabled
      const labels = isWithProperties ? await withPropertyLabels(own, topic, propertiesOf) : own
      addTopicSeries(topic, labels, {
        ...{ families, ages: meters.ages, copies, seriesMax },
        withConsumers: settings.exposeConsumerLevelMetricsInPrometheus,
        withProducers: settings.exposeProducerLevelMetricsInPrometheus
      })
    }
  }

  /** Who gets how much of the budget. */
  #plan(topics: readonly Topic[]): readonly Planned[] {
    const { settings } = this.#options
    const plan: Planned[] = []
    let left = settings.strataMetricsSeriesMax
    for (const topic of topics) {
      if (left < SERIES_OF_TOPIC) break
      const seriesMax = Math.min(left, seriesOf(topic, settings))
      plan.push({ topic, seriesMax })
      left -= seriesMax
    }
    return plan
  }

  /** One series a namespace of what is not shown singly. Nothing waits in here: it is all of one moment. */
  #addRest(families: Families, namespaces: Collected['namespaces'], shown: readonly Topic[]): void {
    const { topics, meters, copies } = this.#options
    const among = new Set(shown)
    const hidden = [...topics()].filter(topic => !among.has(topic))
    this.#rest.look({ totals: meters.traffic.namespaces(), shown, hidden })
    const counts = new Map<string, NamespaceView>()
    const own = noGauges()
    for (const topic of shown) {
      const { namespace } = topic.name
      const view = counts.get(namespace) ?? noNamespace()
      counts.set(namespace, view)
      addGauges(view.gauges, readGauges(topic, own))
      addStorage(view.storage, topic)
    }
    for (const [namespace, all] of namespaces) {
      const labels = this.#cluster.with('namespace', namespace)
      families.gauge('pulsar_topics_count', labels, all.gauges.topics)
      const rest = without(all, counts.get(namespace) ?? noNamespace())
      if (rest.gauges.topics > 0) this.#addView(families, { labels, view: rest, copies })
      const traffic = this.#rest.of(namespace)
      if (rest.gauges.topics > 0 || traffic.messagesIn > 0 || traffic.messagesOut > 0) {
        addTrafficSeries({ families, labels, prefix: 'pulsar_' }, traffic)
      }
    }
  }
}

/** What was read at different moments does not go below zero. */
function without(all: NamespaceView, some: NamespaceView): NamespaceView {
  const rest = noNamespace()
  for (const key of GAUGES) rest.gauges[key] = Math.max(0, all.gauges[key] - some.gauges[key])
  const less = (from: readonly number[], take: readonly number[], into: number[]): void => {
    from.forEach((count, bucket) => (into[bucket] = Math.max(0, count - (take[bucket] ?? 0))))
  }
  less(all.storage.latencies, some.storage.latencies, rest.storage.latencies)
  less(all.storage.sizes, some.storage.sizes, rest.storage.sizes)
  for (const key of ['latencyCount', 'latencySum', 'sizeCount', 'sizeSum'] as const) {
    rest.storage[key] = Math.max(0, all.storage[key] - some.storage[key])
  }
  rest.oldestAge = all.oldestAge
  return rest
}
