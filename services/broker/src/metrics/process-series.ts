import { getHeapStatistics } from 'node:v8'
import type { Families, Labels } from './families.ts'

/** What `prom-client` gives of a metric, as far as it is used here. */
export interface ProcessMetric {
  readonly name: string
  readonly type: unknown
  readonly values: readonly {
    readonly value: number
    readonly labels: Readonly<Partial<Record<string, string | number>>>
    readonly metricName?: string
  }[]
}

/** Where dashboards of Apache Pulsar look for memory: the heap of V8 is one, and what is outside of it are its buffers. */
export function addMemorySeries(families: Families, cluster: Labels): void {
  const { heapUsed, heapTotal, external } = process.memoryUsage()
  const heap = cluster.with('area', 'heap')
  families.gauge('jvm_memory_bytes_used', heap, heapUsed)
  families.gauge('jvm_memory_bytes_committed', heap, heapTotal)
  families.gauge('jvm_memory_bytes_max', heap, getHeapStatistics().heap_size_limit)
  families.gauge('jvm_memory_direct_bytes_used', cluster, external)
}

/** For where there is no text: each of its series as a number. */
export function addProcessSeries(families: Families, cluster: Labels, metrics: readonly ProcessMetric[]): void {
  for (const { name, type, values } of metrics) {
    for (const { value, labels, metricName } of values) {
      let own = cluster
      for (const [label, text] of Object.entries(labels)) if (label !== 'cluster') own = own.with(label, String(text))
      if (type === 'gauge') families.gauge(metricName ?? name, own, value)
      else families.counter(metricName ?? name, own, value)
    }
  }
}
