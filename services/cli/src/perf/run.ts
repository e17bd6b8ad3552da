import type { ConnectFlags } from '../connecting.ts'
import { pause, type Interrupt } from '../interrupt.ts'
import { printJson, printLine } from '../output.ts'
import { Meter, type Latencies, type Measure } from './meter.ts'

export interface PerfFlags extends ConnectFlags {
  readonly topics: number
  readonly duration?: number
  readonly warmUp: number
  readonly messages?: number
  readonly json?: boolean
}

/** What puts load on the server until `signal` says stop; `onEnough` asks the run to end. */
export interface Load {
  readonly meter: Meter
  readonly signal: AbortSignal
  readonly onEnough: () => void
}

const INTERVAL_MS = 1000

/** `topic`, or `topic-0`, `topic-1`… */
export function topicNames(topic: string, { topics }: PerfFlags): string[] {
  return topics === 1 ? [topic] : Array.from({ length: topics }, (_, index) => `${topic}-${index}`)
}

/** Runs the load, prints a line each second and the whole at the end: of its time, of its messages, or by Ctrl-C. */
export async function runPerf(
  flags: PerfFlags,
  interrupt: Interrupt,
  load: (load: Load) => Promise<void>
): Promise<void> {
  const meter = await Meter.create()
  const stop = new AbortController()
  interrupt.signal.addEventListener('abort', () => stop.abort())
  if (interrupt.signal.aborted) stop.abort()
  const running = load({ meter, signal: stop.signal, onEnough: () => stop.abort() }).finally(() => stop.abort())
  const watching = watch(flags, meter, stop)
  await Promise.all([running, watching])
  // what came while the load was ending
  meter.takeInterval()
  await printSummary(meter.total(), flags)
}

async function watch(
  { warmUp, duration = Infinity, json }: PerfFlags,
  meter: Meter,
  stop: AbortController
): Promise<void> {
  if (warmUp > 0) {
    if (json !== true) await printLine(`warming up for ${warmUp / 1000} s`)
    await pause(warmUp, stop.signal)
    meter.restart()
  }
  const startedAtMs = performance.now()
  for (let second = 1; !stop.signal.aborted; second++) {
    const nextAtMs = startedAtMs + Math.min(second * INTERVAL_MS, duration)
    await pause(nextAtMs - performance.now(), stop.signal)
    await printInterval(second, meter.takeInterval(), json ?? false)
    if (performance.now() - startedAtMs >= duration) stop.abort()
  }
}

function printInterval(second: number, measure: Measure, isJson: boolean): Promise<void> | undefined {
  if (isJson) return printJson({ event: 'interval', second, ...measure })
  return printLine(`${String(second).padStart(5)} s  ${inWords(measure)}`)
}

async function printSummary(measure: Measure, { json }: PerfFlags): Promise<void> {
  if (json === true) return await printJson({ event: 'summary', ...measure })
  await printLine(`${measure.messages} messages in ${measure.seconds.toFixed(1)} s`)
  await printLine(`  total  ${inWords(measure)}`)
}

function inWords({ rate, megabytesPerSecond, failed, latencyMs }: Measure): string {
  const failures = failed === 0 ? '' : `  ${failed} failed`
  return `${rate.toFixed(0).padStart(8)} msg/s ${megabytesPerSecond.toFixed(2).padStart(8)} MB/s  ${latencies(latencyMs)}${failures}`
}

function latencies({ mean, p50, p95, p99, p999, p9999, max }: Latencies): string {
  const parts = { mean, p50, p95, p99, 'p99.9': p999, 'p99.99': p9999, max }
  return `ms: ${Object.entries(parts)
    .map(([name, value]) => `${name} ${value.toFixed(2)}`)
    .join('  ')}`
}
