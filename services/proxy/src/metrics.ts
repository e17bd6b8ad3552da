import { strictExposition } from '@strata/base'
import { collectDefaultMetrics, Registry } from 'prom-client'

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Apache Pulsar's names; those of the last lines are ours. A sample of a counter has `_total` behind it, as there. */
const SERIES = {
  activeConnections: ['pulsar_proxy_active_connections', 'gauge', 'Connections of clients.'],
  newConnections: ['pulsar_proxy_new_connections', 'counter', 'Connections that clients opened.'],
  rejectedConnections: ['pulsar_proxy_rejected_connections', 'counter', 'Connections refused because of a limit.'],
  binaryOps: ['pulsar_proxy_binary_ops', 'counter', 'Reads of a socket that were passed on.'],
  binaryBytes: ['pulsar_proxy_binary_bytes', 'counter', 'Bytes that were passed on.'],
  lookups: ['pulsar_proxy_lookup_requests', 'counter', 'Lookups.'],
  partitions: ['pulsar_proxy_partitions_metadata_requests', 'counter', 'Questions for partitions.'],
  topics: ['pulsar_proxy_get_topics_of_namespace_requests', 'counter', 'Questions for the topics of a namespace.'],
  schemas: ['pulsar_proxy_get_schema_requests', 'counter', 'Questions for a schema.'],
  rejectedLookups: ['pulsar_proxy_rejected_lookup_requests', 'counter', 'Lookups refused because of a limit.'],
  rejectedPartitions: [
    'pulsar_proxy_rejected_partitions_metadata_requests',
    'counter',
    'Questions for partitions refused because of a limit.'
  ],
  rejectedTopics: [
    'pulsar_proxy_rejected_get_topics_of_namespace_requests',
    'counter',
    'Questions for topics refused because of a limit.'
  ],
  deniedTargets: ['strata_proxy_denied_targets', 'counter', 'Connections asked for to what is no broker.'],
  pendingLookups: ['strata_proxy_pending_lookups', 'gauge', 'Requests that wait for an answer of a broker.'],
  httpRequests: ['strata_proxy_http_requests', 'counter', 'Requests over HTTP that were passed on.'],
  httpFailures: ['strata_proxy_http_failures', 'counter', 'Requests over HTTP that no broker answered.']
} as const satisfies Readonly<Record<string, readonly [string, 'gauge' | 'counter', string]>>

type SeriesName = keyof typeof SERIES

/** Counts of this process since its start: plain numbers, because some are raised for every read of a socket. */
export type ProxyCounts = Record<SeriesName, number>

export class ProxyMetrics {
  readonly counts: ProxyCounts = Object.fromEntries(Object.keys(SERIES).map(name => [name, 0])) as ProxyCounts
  readonly #process = new Registry()
  readonly #labels: string

  /** @param clusterName A label of every series; empty: none. */
  constructor(clusterName: string) {
    collectDefaultMetrics({ register: this.#process })
    if (clusterName !== '') this.#process.setDefaultLabels({ cluster: clusterName })
    this.#labels = clusterName === '' ? '' : `{cluster=${JSON.stringify(clusterName)}}`
  }

  /** In the text format of Prometheus. */
  async text(): Promise<string> {
    const own = Object.entries(SERIES).map(([name, [metric, type, help]]) => {
      const sample = type === 'counter' ? `${metric}_total` : metric
      const value = this.counts[name as SeriesName]
      return `# HELP ${metric} ${help}\n# TYPE ${metric} ${type}\n${sample}${this.#labels} ${value}\n`
    })
    return `${own.join('')}${strictExposition(await this.#process.metrics())}`
  }

  close(): void {
    this.#process.clear()
  }
}
