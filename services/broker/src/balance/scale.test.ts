import { strict as assert } from 'node:assert'
import { expect, test } from 'vitest'
import { defaultBrokerSettings } from '../config/settings.ts'
import { decide, type Decision } from './decide.ts'
import { MINUTE_MS, NO_HISTORY, type BalanceHistory } from './history.ts'
import { digestIntervalMs, digestPages } from './load-digest.ts'
import { hasChanged } from './load-reporter.ts'
import { NO_LOAD, unitsOf, type BrokerLoad, type BrokerView, type BundleLoad } from './load.ts'
import { Placement } from './placement.ts'
import { NO_RULES } from './rules.ts'
import { encodeBundleLoads, encodeDigest, encodeReport } from './rows.ts'
import { bundleLoad, CAPACITY_UNITS, randomOf, TEST_SETTINGS } from './testing/load-world.ts'

/*
  A thousand brokers, a million bundles: what a cycle costs the leader, what balance and registry write to the metadata store, and
  how many events that makes for who watches it. Loads are simulated; costs per action are counted from the rows that each one
  writes, as the comments beside them say.
*/

const BROKERS = 1_000
const BUNDLES_EACH = 1_000
const REPORTED = 100
const MINUTES = 20
const REPORT_STEP_MS = 5_000
/** Of a broker's registration; renewed three times as often. */
const LEASE_MS = 5_000

interface SimBroker {
  readonly id: string
  readonly instance: string
  units: number
  /** What its load is times today, walking at random. */
  factor: number
  reported: BundleLoad[]
  written: BrokerLoad | undefined
}

const random = randomOf(2026)

function makeBrokers(): SimBroker[] {
  const sizes = new Float64Array(BUNDLES_EACH)
  return Array.from({ length: BROKERS }, (_, index) => {
    let units = 0
    for (let i = 0; i < BUNDLES_EACH; i++) units += sizes[i] = 0.05 + random() ** 4
    const scale = ((0.35 + 0.3 * random()) * CAPACITY_UNITS) / units
    const heaviest = Array.from(sizes.keys())
      .sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0))
      .slice(0, REPORTED)
    const reported = heaviest.map(i => bundleLoad(`t/n${index}/${i}`, (sizes[i] ?? 0) * scale))
    const id = `b${index}:8080`
    return { id, instance: `${id}#1`, units: units * scale, factor: 1, reported, written: undefined }
  })
}

function loadOf({ units, factor }: SimBroker): BrokerLoad {
  const quarter = (units * factor) / 4
  const rates = { messagesIn: quarter, messagesOut: quarter, bytesIn: quarter * 1024, bytesOut: quarter * 1024 }
  return { ...NO_LOAD, ...rates, topics: 10_000, bundles: BUNDLES_EACH, loop: (units * factor) / CAPACITY_UNITS }
}

function viewOf(broker: SimBroker): BrokerView {
  const usage = (100 * broker.units * broker.factor) / CAPACITY_UNITS
  const { id, instance, units, reported: bundles } = broker
  return { id, instance, isDraining: false, usage, topics: 10_000, units, bundles }
}

/** Counts of what was simulated. */
class Traffic {
  reports = 0
  digests = 0
  moves = 0
  readonly cpuMs: number[] = []
}

function simulate(brokers: SimBroker[]): Traffic {
  const settings = defaultBrokerSettings()
  const traffic = new Traffic()
  const byInstance = new Map(brokers.map(broker => [broker.instance, broker]))
  let history: BalanceHistory = NO_HISTORY
  let digestAtMs = 0
  for (let nowMs = REPORT_STEP_MS; nowMs <= MINUTES * MINUTE_MS; nowMs += REPORT_STEP_MS) {
    for (const broker of brokers) {
      broker.factor = Math.min(1.3, Math.max(0.7, broker.factor + (random() - 0.5) * 0.02))
      const load = loadOf(broker)
      if (broker.written !== undefined && !hasChanged(load, broker.written, settings)) continue
      broker.written = load
      traffic.reports += 1
    }
    if (nowMs >= digestAtMs) {
      traffic.digests += 1
      digestAtMs = nowMs + digestIntervalMs(BROKERS)
    }
    if (nowMs % MINUTE_MS !== 0) continue
    const views = brokers.map(viewOf)
    const before = process.cpuUsage()
    const made = decide({
      ...{ brokers: views, rules: NO_RULES, misplaced: [], initialCount: new Map(), settings: TEST_SETTINGS },
      ...{ history, nowMs }
    })
    const used = process.cpuUsage(before)
    traffic.cpuMs.push((used.user + used.system) / 1000)
    history = made.history
    for (const decision of made.decisions) traffic.moves += carryOut(decision, byInstance)
  }
  return traffic
}

function carryOut(decision: Decision, brokers: ReadonlyMap<string, SimBroker>): number {
  if (decision.kind !== 'move') return 0
  const from = brokers.get(decision.from) ?? assert.fail()
  const to = brokers.get(decision.to) ?? assert.fail()
  const at = from.reported.findIndex(({ bundle }) => bundle === decision.bundle)
  const [bundle = assert.fail()] = from.reported.splice(at, 1)
  from.units -= unitsOf(bundle)
  to.units += unitsOf(bundle)
  to.reported.push(bundle)
  to.reported.sort((a, b) => unitsOf(b) - unitsOf(a))
  return 1
}

test('a thousand brokers and a million bundles', { timeout: 300_000 }, () => {
  const brokers = makeBrokers()
  const traffic = simulate(brokers)
  const seconds = MINUTES * 60
  const cpu = traffic.cpuMs.sort((a, b) => a - b)
  const median = cpu[cpu.length >> 1] ?? NaN
  const usages = brokers.map(broker => (100 * broker.units) / CAPACITY_UNITS)
  const first = brokers[0] ?? assert.fail()
  const reportBytes =
    encodeReport({ atMs: 1_800_000_000_000, load: loadOf(first), pages: 1 }).length +
    encodeBundleLoads(first.reported).length
  const usage = brokers.map(({ instance }, i) => ({
    instance: `${instance}-${'x'.repeat(26)}`,
    usage: usages[i] ?? 0,
    topics: 1
  }))
  const digestBytes = encodeDigest(usage).length
  const perSecond = (count: number): string => (count / seconds).toFixed(2)
  // two rows in one transaction; the leader alone watches them
  const reportEvents = 2 * traffic.reports
  // a digest is read by everybody
  const digestEvents = traffic.digests * digestPages(BROKERS) * BROKERS
  // handing over, released, taken: three writes of one row that every broker watches
  const moveEvents = 3 * traffic.moves * BROKERS
  const cap = TEST_SETTINGS.movesPerMinuteMax
  const lines = [
    `${BROKERS} brokers, ${BROKERS * BUNDLES_EACH} bundles, ${MINUTES} minutes; figures a second on the metadata store`,
    `load reports     ${perSecond(traffic.reports)} writes of ${reportBytes} bytes, ${perSecond(reportEvents)} events`,
    `  at most        ${BROKERS / (REPORT_STEP_MS / 1000)} writes, ${(2 * BROKERS) / (REPORT_STEP_MS / 1000)} events`,
    `load digest      ${perSecond(traffic.digests)} writes of ${digestBytes} bytes, ${perSecond(digestEvents)} events`,
    `moves            ${traffic.moves} in all: ${perSecond(3 * traffic.moves)} writes, ${perSecond(moveEvents)} events`,
    `  at most        ${(3 * cap) / 60} writes, ${(3 * cap * BROKERS) / 60} events`,
    `registry         0 writes, 0 events, ${BROKERS / (LEASE_MS / 3000)} renewals of leases`,
    `  a broker comes or goes: 1 write, ${BROKERS} events; one dies with ${BUNDLES_EACH} bundles: ${2 * BUNDLES_EACH} writes,` +
      ` ${2 * BUNDLES_EACH * BROKERS} events`,
    `were reports watched by all: ${perSecond(traffic.reports * BROKERS)} events, at most ${BROKERS * (BROKERS / 5)}`,
    `a cycle          ${median.toFixed(0)} ms of CPU (median), ${(cpu.at(-1) ?? NaN).toFixed(0)} ms (most)`,
    `fullest, emptiest ${Math.max(...usages).toFixed(1)}%, ${Math.min(...usages).toFixed(1)}%`
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  expect(Math.max(...usages) - Math.min(...usages)).toBeLessThan(35)
  expect(traffic.reports / seconds).toBeLessThan(BROKERS / 5)
  expect(traffic.moves).toBeLessThanOrEqual(MINUTES * cap)
  // a cycle a minute: this much is 2 % of a core
  expect(median).toBeLessThan(1200)
  measurePlacement(brokers.map(viewOf))
})

function measurePlacement(views: readonly BrokerView[]): void {
  const placement = new Placement(views, NO_RULES, TEST_SETTINGS.placement)
  const before = process.cpuUsage()
  const counts = new Map<string | undefined, number>()
  for (let i = 0; i < 1_000; i++) {
    const { instance } = placement.place(`t/n/bundle-${i}`)
    counts.set(instance, (counts.get(instance) ?? 0) + 1)
  }
  const used = process.cpuUsage(before)
  process.stdout.write(`placing a bundle ${((used.user + used.system) / 1_000).toFixed(0)} µs of CPU\n`)
  expect(Math.max(...counts.values())).toBeLessThan(15)
}
