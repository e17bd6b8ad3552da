// One run: clients of several languages at load, trouble for so long, everything put right, and then the judge.
import { setTimeout as delay } from 'node:timers/promises'
import { Driver } from '../conformance/driver.ts'
import { driverSpecs } from '../conformance/drivers.ts'
import { FailoverCluster } from './cluster.ts'
import { judge, longestPauseMs, type Judgement } from './history.ts'
import { TopicLoad } from './load.ts'

export const BROKERS = 3
export const ETCD_MEMBERS = 3
const TOPICS_EACH = 2
const RATE_EACH = 40
/** Everything that was acknowledged must have come by then, with the faults over. */
const SETTLE_MS_MAX = 60_000
const LOOK_MS = 250

export interface FailoverOptions {
  readonly languages: readonly string[]
  /** An empty directory. */
  readonly root: string
  /** Folders of the peers' scripts, and of the drivers' sources. */
  readonly scripts: string
  readonly drivers: string
  /** What is done to the cluster while clients publish. */
  readonly trouble: (cluster: FailoverCluster) => Promise<void>
}

export interface FailoverReport extends Judgement {
  readonly consumerErrors: readonly string[]
  readonly sendErrors: readonly string[]
  /** Of each topic, the longest time without a receipt, ascending. */
  readonly pausesMs: readonly number[]
  /** From the end of the trouble until every subscription had everything. */
  readonly settledMs: number
}

export async function runFailover(options: FailoverOptions): Promise<FailoverReport> {
  const cluster = await FailoverCluster.start({
    ...options,
    brokers: BROKERS,
    etcdMembers: ETCD_MEMBERS,
    watchdog: false,
    altered: true
  })
  const drivers: Driver[] = []
  const loads: TopicLoad[] = []
  try {
    for (const language of options.languages) {
      const driver = await startDriver(language, options.drivers)
      drivers.push(driver)
      for (let i = 0; i < TOPICS_EACH; i++) {
        const topic = `persistent://public/default/failover-${language}-${i}`
        loads.push(await TopicLoad.open({ driver, language, brokerUrl: cluster.brokerUrl, topic, rate: RATE_EACH }))
      }
    }
    const [stop, end] = [new AbortController(), new AbortController()]
    const publishing = Promise.all(loads.map(load => load.publish(stop.signal)))
    const consuming = Promise.all(loads.map(load => load.consume(end.signal)))
    const trouble = options.trouble(cluster).finally(() => stop.abort())
    await Promise.all([trouble, Promise.race([publishing, consuming])])
    await publishing
    const settledMs = await settled(loads)
    end.abort()
    await consuming
    for (const load of loads) await load.readBack()
    return report(loads, settledMs)
  } finally {
    for (const driver of drivers) await driver.stop()
    await cluster.stop()
  }
}

/** @throws NotAtHand what to install */
export async function startDriver(language: string, sources: string): Promise<Driver> {
  const spec = driverSpecs.find(({ name }) => name === language)
  if (spec === undefined) throw new Error(`there is no driver ${language}`)
  const { command, environment } = await spec.prepare(sources)
  return Driver.start(command, environment)
}

/** Waits until every subscription has everything that was acknowledged; who never gets it is the judge's to tell. */
async function settled(loads: readonly TopicLoad[]): Promise<number> {
  const sinceMs = performance.now()
  while (performance.now() - sinceMs < SETTLE_MS_MAX) {
    if (loads.every(({ outstanding }) => outstanding === 0)) break
    await delay(LOOK_MS)
  }
  return performance.now() - sinceMs
}

function report(loads: readonly TopicLoad[], settledMs: number): FailoverReport {
  const histories = loads.map(({ history }) => history)
  return {
    ...judge(histories),
    consumerErrors: loads.flatMap(({ consumerErrors }) => consumerErrors),
    sendErrors: histories.flatMap(({ failures }) => failures),
    pausesMs: histories.map(longestPauseMs).sort((a, b) => a - b),
    settledMs
  }
}

export function describeReport(report: FailoverReport): string {
  const { pausesMs } = report
  const at = (part: number): string => `${Math.round(pausesMs[Math.floor((pausesMs.length - 1) * part)] ?? 0)} ms`
  return [
    `${report.acknowledged} messages acknowledged, ${report.delivered} deliveries, ${report.duplicates} of them again`,
    `${report.storedTwice} messages stored twice, ${report.sendErrors.length} sends and ${report.consumerErrors.length} receives failed at the application`,
    `longest time without a receipt, by topic: median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`,
    `everything had come ${Math.round(report.settledMs)} ms after the trouble was over`
  ].join('\n')
}
