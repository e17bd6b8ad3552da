import type { Families, Labels } from './families.ts'

/** AGGREGATION_TEMPORALITY_CUMULATIVE */
const CUMULATIVE = 2

export interface OtlpOrigin {
  /** What tells this process from others: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>
  /** Since when counters count; milliseconds since 1970. */
  readonly startedAtMs: number
  readonly nowMs: number
}

interface Point {
  readonly attributes: readonly object[]
  readonly startTimeUnixNano?: string
  readonly timeUnixNano: string
  readonly asDouble: number
}

/**
 * Bodies of OTLP requests for metrics, in its JSON, each of no more than so many points: counters as cumulative sums, all else
 * as gauges. Source: opentelemetry-proto, ExportMetricsServiceRequest, and its mapping to JSON.
 */
export function* encodeOtlp(
  all: readonly Families[],
  origin: OtlpOrigin,
  pointsMax: number
): Generator<string, void, undefined> {
  let metrics: object[] = []
  let points = 0
  for (const families of all) {
    for (const { name, kind, labels, values } of families.values()) {
      for (let from = 0; from < values.length;) {
        const many = Math.min(values.length - from, pointsMax - points)
        const dataPoints = values
          .slice(from, from + many)
          .map((value, index) =>
            pointOf({ labels: labels[from + index], value, isCounter: kind === 'counter' }, origin)
          )
        metrics.push(
          kind === 'counter'
            ? { name, sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints } }
            : { name, gauge: { dataPoints } }
        )
        from += many
        points += many
        if (points < pointsMax) continue
        yield requestOf(metrics, origin)
        metrics = []
        points = 0
      }
    }
  }
  if (points > 0) yield requestOf(metrics, origin)
}

function requestOf(metrics: readonly object[], { resource }: OtlpOrigin): string {
  const attributes = Object.entries(resource).map(([key, value]) => attribute(key, value))
  const scopeMetrics = [{ scope: { name: 'strata' }, metrics }]
  return JSON.stringify({ resourceMetrics: [{ resource: { attributes }, scopeMetrics }] })
}

function pointOf(
  { labels, value, isCounter }: { labels: Labels | undefined; value: number; isCounter: boolean },
  origin: OtlpOrigin
): Point {
  return {
    attributes: (labels?.pairs ?? []).map(([key, text]) => attribute(key, text)),
    ...(isCounter ? { startTimeUnixNano: nanos(origin.startedAtMs) } : {}),
    timeUnixNano: nanos(origin.nowMs),
    asDouble: Number.isFinite(value) ? value : 0
  }
}

function attribute(key: string, stringValue: string): object {
  return { key, value: { stringValue } }
}

/** As text: JSON has no numbers of 64 bits. */
function nanos(ms: number): string {
  return `${Math.trunc(ms)}000000`
}
