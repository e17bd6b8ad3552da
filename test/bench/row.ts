import { produceLoad, type ProduceOptions } from './load/produce.ts'
import { median, startPerf } from './perf.ts'
import type { Server, ServerName } from './servers.ts'

/** One measured figure of one server in one round. */
export type Figures = Readonly<Record<string, number>>

export interface Goal {
  readonly figure: string
  readonly unit: string
  /** `min`: at least this many times the yardstick; `max`: at most. */
  readonly min?: number
  readonly max?: number
}

export interface Row {
  readonly name: string
  readonly what: string
  /** Default: `strata`. */
  readonly ours?: ServerName
  readonly against: readonly ServerName[]
  readonly goals: readonly Goal[]
  measure(server: Server): Promise<Figures>
}

/** A row that starts what it needs, and measures its yardsticks in the same round. */
export interface OwnRow {
  readonly name: string
  readonly what: string
  readonly goals: readonly OwnGoal[]
  /** @param data An empty directory, removed afterwards. */
  measure(data: string): Promise<Figures>
}

export interface OwnGoal {
  readonly figure: string
  readonly unit: string
  /** The figure that it is held against. */
  readonly against?: string
  /** Times the figure `against`; without one, in the figure's own unit. Neither: it is only told. */
  readonly min?: number
  readonly max?: number
}

export const SECONDS = Number(process.env['STRATA_TEST_BENCH_SECONDS'] ?? 25)

export async function perfRate(server: Server, args: readonly string[]): Promise<Figures> {
  const run = startPerf(server, 'produce', ['-time', `${SECONDS}`, ...args])
  const result = await run.done
  return { rate: median(result.rates), medianMs: result.medianMs, p99Ms: result.p99Ms }
}

export const light = (server: Server, topic: string, options: Partial<ProduceOptions>): ProduceOptions => ({
  port: server.brokerPort,
  topic: `persistent://public/default/${topic}`,
  connections: 1,
  producers: 1,
  batch: 1,
  bytes: 1024,
  window: 5000,
  rate: 0,
  warmUpSeconds: 5,
  seconds: 10,
  keys: 0,
  ...options
})

export async function lightRate(server: Server, topic: string, options: Partial<ProduceOptions>): Promise<Figures> {
  const result = await produceLoad(light(server, topic, options))
  return { rate: result.messagesPerSecond, medianMs: result.medianMs, p99Ms: result.p99Ms }
}

export const MAX_RATE = '3000000'
