import { strictExposition } from '@strata/base'
import type { BrokerLoad } from '../../balance/load.ts'
import type { HeldBundle } from '../../balance/load-collector.ts'
import { weightsOf } from '../../balance/settings.ts'
import { Families, Labels, PROMETHEUS_TYPE } from '../../metrics/families.ts'
import { addLoginSeries } from '../../metrics/login-series.ts'
import { addMemorySeries, addProcessSeries } from '../../metrics/process-series.ts'
import type { AdminBackend } from '../backend.ts'
import type { AdminReply, AdminRequest } from '../operation.ts'
import { ownershipSeries } from './ownership-metrics.ts'

/** Prometheus text: the broker, its tenants, namespaces and topics, then the process. */
export async function metricsOfBroker({ backend }: AdminRequest): Promise<AdminReply> {
  const families = await backend.metrics.families()
  const process = strictExposition(await backend.processMetrics.metrics())
  const body = `${await families.text()}${process}`
  return { status: 200, body, contentType: PROMETHEUS_TYPE }
}

/** The same as numbers. */
export async function familiesOf(backend: AdminBackend): Promise<readonly Families[]> {
  const process = new Families()
  const cluster = new Labels([['cluster', backend.settings.clusterName]])
  addProcessSeries(process, cluster, await backend.processMetrics.getMetricsAsJSON())
  return [await backend.metrics.families(), process]
}

/** Which process it is that measures. */
export function resourceOf(backend: AdminBackend): Record<string, string> {
  const { homes, settings, version } = backend
  return {
    'service.name': 'strata-broker',
    'service.namespace': settings.clusterName,
    'service.version': version,
    ...(homes.isOpen ? { 'service.instance.id': homes.ownership.self.id } : {})
  }
}

/** What no topic tells: connections, logins, lookups, bundles, memory, load. */
export async function addBackendSeries(backend: AdminBackend, families: Families, cluster: Labels): Promise<void> {
  const { active, created, closed } = backend.connections
  families.gauge('pulsar_active_connections', cluster, active)
  families.counter('pulsar_connection_created_total_count', cluster, created)
  families.counter('pulsar_connection_closed_total_count', cluster, closed)
  families.gauge('pulsar_version_info', cluster.with('version', backend.version), 1)
  for (const [metric, value] of ownershipSeries(backend)) {
    if (metric.endsWith('_total')) families.counter(metric, cluster, value)
    else families.gauge(metric, cluster, value)
  }
  addLookups(backend, families, cluster)
  if (backend.guard !== undefined) addLoginSeries(families, cluster, backend.guard.authenticator.counts)
  for (const pool of backend.pools) {
    const labels = cluster.with('pool', pool.name)
    families.gauge('strata_pool_bytes', labels, pool.bytesHeld)
    families.gauge('strata_pool_bytes_max', labels, pool.bytesMax)
  }
  addMemorySeries(families, cluster)
  // as it was told last; a broker that is alone tells it to nobody, and would have to look at all its topics for it
  if (backend.homes.isOpen && !backend.isAlone) await addBalance(backend, families, cluster)
}

function addLookups({ lookups }: AdminBackend, families: Families, cluster: Labels): void {
  families.gauge('pulsar_broker_lookup_pending_requests', cluster, lookups.pending)
  families.counter('pulsar_broker_lookup_answers_total', cluster, lookups.answers)
  families.counter('pulsar_broker_lookup_redirects_total', cluster, lookups.redirects)
  families.counter('pulsar_broker_lookup_failures_total', cluster, lookups.failures)
  const { latency } = lookups
  for (const share of [0.5, 0.75, 0.95, 0.99, 0.999]) {
    families.gauge('pulsar_broker_lookup', cluster.with('quantile', String(share)), latency.quantile(share) ?? 0)
  }
  families.counter('pulsar_broker_lookup_count', cluster, latency.count)
  families.counter('pulsar_broker_lookup_sum', cluster, latency.sumMs)
}

/** What the broker tells others of its load, and what was done about loads while it decided. */
async function addBalance(backend: AdminBackend, families: Families, cluster: Labels): Promise<void> {
  const { broker, bundles } = await backend.balance.load()
  const own = cluster.with('broker', backend.homes.ownership.self.id)
  addLoad(backend, families, { broker, labels: own.with('metric', 'loadBalancing') })
  for (const held of bundles) addBundle(families, own.with('bundle', held.bundle).with('metric', 'bundle'), held)
  const { unloadedBrokers, unloadedBundles, splitBundles } = backend.balance.counts()
  const unloading = cluster.with('metric', 'bundleUnloading')
  families.counter('pulsar_lb_unload_broker_total', unloading, unloadedBrokers)
  families.counter('pulsar_lb_unload_bundle_total', unloading, unloadedBundles)
  families.counter('pulsar_lb_bundles_split_total', cluster.with('metric', 'bundlesSplit'), splitBundles)
}

function addBundle(families: Families, labels: Labels, held: HeldBundle): void {
  families.gauge('pulsar_bundle_msg_rate_in', labels, held.messagesIn)
  families.gauge('pulsar_bundle_msg_rate_out', labels, held.messagesOut)
  families.gauge('pulsar_bundle_msg_throughput_in', labels, held.bytesIn)
  families.gauge('pulsar_bundle_msg_throughput_out', labels, held.bytesOut)
  families.gauge('pulsar_bundle_topics_count', labels, held.topics)
  families.gauge('pulsar_bundle_producer_count', labels, held.producers)
  families.gauge('pulsar_bundle_consumer_count', labels, held.consumers)
}

/** In percent. How much the network takes is told only where that is known. */
function addLoad(
  { settings, pools }: AdminBackend,
  families: Families,
  { broker, labels }: { broker: BrokerLoad; labels: Labels }
): void {
  const { heapUsed, heapTotal } = process.memoryUsage()
  families.gauge('pulsar_lb_cpu_usage', labels, broker.cpu * 100)
  families.gauge('pulsar_lb_memory_usage', labels, (heapUsed / heapTotal) * 100)
  const held = Math.max(0, ...pools.map(({ bytesHeld, bytesMax }) => (bytesMax > 0 ? bytesHeld / bytesMax : 0)))
  families.gauge('pulsar_lb_directMemory_usage', labels, held * 100)
  const { networkBytes } = weightsOf(settings)
  if (networkBytes === 0) return
  families.gauge('pulsar_lb_bandwidth_in_usage', labels, (broker.bytesIn / networkBytes) * 100)
  families.gauge('pulsar_lb_bandwidth_out_usage', labels, (broker.bytesOut / networkBytes) * 100)
}
