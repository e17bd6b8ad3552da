import type { BrokerSettings } from '../config/settings.ts'
import type { BrokerMeters } from './broker-meters.ts'
import { noNamespace, type NamespaceView } from './collect.ts'
import type { Families, Labels } from './families.ts'
import { addGaugeSeries, addTrafficSeries, INTERVAL_SECONDS } from './gauge-series.ts'
import { addGauges } from './totals.ts'
import type { StoredTopics } from './stored-book.ts'
import { addTraffic, noTraffic, tenantOf, type TrafficTotals } from './traffic-book.ts'

export interface TotalSeriesOptions {
  readonly families: Families
  readonly cluster: Labels
  readonly meters: BrokerMeters
  readonly settings: BrokerSettings
  readonly copies: number
}

interface Sum {
  readonly view: NamespaceView
  readonly traffic: TrafficTotals
  readonly stored: StoredTopics
}

/** Exact totals of namespaces and tenants, whatever is shown of topics: under names of ours, so that nothing is summed twice. */
export function addNamespaceSeries(options: TotalSeriesOptions, namespaces: ReadonlyMap<string, NamespaceView>): void {
  const { meters, cluster } = options
  const tenants = new Map<string, Sum>()
  const served = new Set([
    ...namespaces.keys(),
    ...[...meters.traffic.namespaces()].map(([namespace]) => namespace),
    ...meters.stored.namespaces()
  ])
  for (const namespace of served) {
    const view = namespaces.get(namespace) ?? noNamespace()
    const traffic = meters.traffic.find(namespace)
    const stored = meters.stored.of(namespace)
    const of = { prefix: 'strata_namespace_', labels: cluster.with('namespace', namespace) }
    // one that nobody has used since the start is what it stores, and nothing else
    if (traffic === undefined) addStored(options, of, stored)
    else addSum(options, { ...of, view, traffic, stored })
    if (view.gauges.topics > 0) addLogs(options, of.labels, view)
    const tenant = tenantOf(namespace)
    const sum = tenants.get(tenant) ?? { view: noNamespace(), traffic: noTraffic(), stored: { topics: 0, bytes: 0 } }
    tenants.set(tenant, sum)
    addGauges(sum.view.gauges, view.gauges)
    sum.view.oldestAge = Math.max(sum.view.oldestAge, view.oldestAge)
    if (traffic !== undefined) addTraffic(sum.traffic, traffic)
    sum.stored.topics += stored.topics
    sum.stored.bytes += stored.bytes
  }
  for (const [tenant, sum] of tenants) {
    const labels = cluster.with('tenant', tenant)
    addSum(options, { prefix: 'strata_tenant_', labels, ...sum })
    addShares(options, tenant, labels)
  }
}

interface Named {
  readonly prefix: string
  readonly labels: Labels
}

function addSum(options: TotalSeriesOptions, { prefix, labels, view, traffic, stored }: Sum & Named): void {
  const { families, copies } = options
  families.gauge(`${prefix}topics_count`, labels, view.gauges.topics)
  addGaugeSeries({ families, labels, prefix }, view.gauges, copies)
  addTrafficSeries({ families, labels, prefix }, traffic)
  families.gauge(`${prefix}backlog_age_seconds`, labels, view.oldestAge)
  addStored(options, { prefix, labels }, stored)
}

function addStored({ families, copies }: TotalSeriesOptions, { prefix, labels }: Named, stored: StoredTopics): void {
  families.gauge(`${prefix}unloaded_topics_count`, labels, stored.topics)
  families.gauge(`${prefix}unloaded_storage_size`, labels, stored.bytes * copies)
}

/** Pulsar's names for the logs of a namespace. */
function addLogs({ families }: TotalSeriesOptions, labels: Labels, { gauges, storage }: NamespaceView): void {
  families.gauge('pulsar_ml_AddEntryMessagesRate', labels, storage.sizeCount / INTERVAL_SECONDS)
  families.gauge('pulsar_ml_AddEntryBytesRate', labels, storage.sizeSum / INTERVAL_SECONDS)
  families.gauge('pulsar_ml_NumberOfMessagesInBacklog', labels, gauges.backlogEntries)
  families.gauge('pulsar_ml_StoredMessagesSize', labels, gauges.storedBytes)
}

/** Who the work of this broker is for. */
function addShares({ families, meters, settings }: TotalSeriesOptions, tenant: string, labels: Labels): void {
  const share = meters.tenants.of(tenant)
  families.counter('strata_tenant_http_requests_total', labels, meters.traffic.requests().get(tenant) ?? 0)
  families.gauge('strata_tenant_bytes_share', labels, share?.bytesShare ?? 0)
  families.gauge('strata_tenant_requests_share', labels, share?.requestsShare ?? 0)
  const isNoisy = meters.tenants.isNoisy(tenant, settings.strataNoisyTenantPercentage / 100)
  families.gauge('strata_tenant_noisy', labels, Number(isNoisy))
}
