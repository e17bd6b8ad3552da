import { spawn } from 'node:child_process'
import { PULSAR, type Server } from './servers.ts'

/** What `pulsar-perf` printed: one line an interval, and its latency table. */
export interface PerfResult {
  /** Messages a second of each interval, the warm-up left out. */
  readonly rates: readonly number[]
  readonly medianMs: number
  readonly p99Ms: number
  /** In all, warm-up included: what was acknowledged to the producer, or came to the consumer. */
  readonly messages: number
  /** Messages a second from beginning to end; NaN where it was not told. */
  readonly overallRate: number
}

/** Intervals (of ten seconds) at the start that do not count: the load's own JVM is still compiling. */
const WARM_UP_INTERVALS = 1

export interface PerfRun {
  readonly done: Promise<PerfResult>
  readonly pid: number
  stop(): void
}

/** Apache Pulsar's own load generator. `args` as on its command line, without the service URL. */
export function startPerf(server: Server, command: 'produce' | 'consume', args: readonly string[]): PerfRun {
  const url = ['-u', `pulsar://127.0.0.1:${server.brokerPort}`]
  const child = spawn(PULSAR, ['perf', command, ...url, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, PULSAR_MEM: '-Xms2g -Xmx2g -XX:MaxDirectMemorySize=2g' }
  })
  let output = ''
  const collect = (chunk: Buffer): void => {
    output += chunk.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const done = new Promise<PerfResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => {
      const result = parsePerf(output)
      if (result.rates.length > 0 || !Number.isNaN(result.overallRate)) resolve(result)
      else reject(new Error(`pulsar-perf ${command} measured nothing:\n${output.slice(-3000)}`))
    })
  })
  return {
    done,
    pid: child.pid as number,
    stop() {
      try {
        process.kill(-(child.pid as number), 'SIGINT')
      } catch {
        // it had ended by itself
      }
    }
  }
}

/**
 * Latency comes from the intervals behind the warm-up too, as the median of their medians and of their p99s. A run without such an
 * interval has only what is said of it as a whole.
 */
export function parsePerf(output: string): PerfResult {
  const lines = output.split('\n')
  const intervals = lines.filter(line => /Throughput (produced|received):/.test(line)).slice(WARM_UP_INTERVALS)
  const told = intervals.length > 0 ? intervals : lines.filter(line => line.includes('Aggregated latency stats'))
  const rates = intervals.map(line => Number(/([\d.,]+)\s*msg\/s/.exec(line.replaceAll(',', ''))?.[1] ?? NaN))
  const numbers = (pattern: RegExp): number[] =>
    told.flatMap(line => {
      const found = pattern.exec(line)
      return found === null ? [] : [Number(found[1])]
    })
  const overall = /Aggregated throughput stats --- (\d+) records \w+ --- ([\d.]+) msg\/s/.exec(output)
  const overallRate = Number(overall?.[2] ?? NaN)
  return {
    rates: (intervals.length > 0 ? rates : [overallRate]).filter(rate => !Number.isNaN(rate)),
    medianMs: median(numbers(/med:\s*([\d.]+)/)),
    p99Ms: median(numbers(/ 99pct:\s*([\d.]+)/)),
    messages: Number(overall?.[1] ?? NaN),
    overallRate
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}
