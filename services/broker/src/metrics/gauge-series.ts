import type { Families, Labels } from './families.ts'
import type { TrafficTotals } from './traffic-book.ts'
import type { Gauges, StorageCounts } from './totals.ts'

/** Of topics and of what they add up to. Names without `pulsar_`, by what they are of. */
const GAUGE_NAMES: readonly (readonly [string, keyof Gauges])[] = [
  ['subscriptions_count', 'subscriptions'],
  ['producers_count', 'producers'],
  ['consumers_count', 'consumers'],
  ['rate_in', 'rateIn'],
  ['rate_out', 'rateOut'],
  ['throughput_in', 'throughputIn'],
  ['throughput_out', 'throughputOut'],
  ['storage_logical_size', 'storedBytes'],
  ['storage_backlog_size', 'backlogBytes'],
  ['msg_backlog', 'backlogEntries'],
  ['consumer_msg_ack_rate', 'ackRate']
]

const LATENCY_NAMES = ['0_5', '1', '5', '10', '20', '50', '100', '200', '1000'].map(bound => `le_${bound}`)
const SIZE_NAMES = ['128', '512', '1_kb', '2_kb', '4_kb', '16_kb', '100_kb', '1_mb'].map(bound => `le_${bound}`)
/** Pulsar divides by the seconds of an interval where it tells rates, and so do dashboards where it tells counts. */
export const INTERVAL_SECONDS = 60

export interface SeriesOf {
  readonly families: Families
  readonly labels: Labels
  /** `pulsar_`, `pulsar_broker_`, `strata_namespace_`, `strata_tenant_` */
  readonly prefix: string
}

/** All but the number of topics, which Pulsar does not tell of single ones. `copies`: of each entry, on storage nodes. */
export function addGaugeSeries({ families, labels, prefix }: SeriesOf, gauges: Gauges, copies: number): void {
  for (const [name, key] of GAUGE_NAMES) families.gauge(`${prefix}${name}`, labels, gauges[key])
  families.gauge(`${prefix}storage_size`, labels, gauges.storedBytes * copies)
}

export function addStorageSeries({ families, labels, prefix }: SeriesOf, storage: StorageCounts): void {
  const { latencies, sizes } = storage
  const latency = `${prefix}storage_write_latency_`
  latencies.forEach((count, bucket) => {
    families.gauge(`${latency}${LATENCY_NAMES[bucket] ?? 'overflow'}`, labels, count)
  })
  families.gauge(`${latency}count`, labels, storage.latencyCount)
  families.gauge(`${latency}sum`, labels, storage.latencySum)
  const size = `${prefix}entry_size_`
  sizes.forEach((count, bucket) => {
    families.gauge(`${size}${SIZE_NAMES[bucket] ?? 'le_overflow'}`, labels, count)
  })
  families.gauge(`${size}count`, labels, storage.sizeCount)
  families.gauge(`${size}sum`, labels, storage.sizeSum)
  families.gauge(`${prefix}storage_write_rate`, labels, storage.sizeCount / INTERVAL_SECONDS)
}

export function addTrafficSeries({ families, labels, prefix }: SeriesOf, totals: TrafficTotals): void {
  families.counter(`${prefix}in_messages_total`, labels, totals.messagesIn)
  families.counter(`${prefix}in_bytes_total`, labels, totals.bytesIn)
  families.counter(`${prefix}out_messages_total`, labels, totals.messagesOut)
  families.counter(`${prefix}out_bytes_total`, labels, totals.bytesOut)
}
