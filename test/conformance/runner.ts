// Runs the table: one broker for each profile, one process for each driver, several rows at a time.
import { Driver } from './driver.ts'
import type { DriverSpec, Prepared } from './drivers.ts'
import { Context, type DriverName, type Profile, type Row } from './row.ts'
import type { RunningTarget, Target } from './targets.ts'

const ROW_TIMEOUT_MS = 150_000
const PROFILES: readonly Profile[] = ['default', 'tuned', 'strict', 'guarded']

export interface Result {
  readonly row: string
  readonly driver: DriverName
  readonly outcome: 'passed' | 'failed' | 'excluded'
  /** Why it failed or was excluded. */
  readonly reason: string
  readonly durationMs: number
}

export interface ReadyDriver {
  readonly spec: DriverSpec
  readonly prepared: Prepared
}

export interface Run {
  readonly target: Target
  readonly rows: readonly Row[]
  readonly drivers: readonly ReadyDriver[]
  readonly rowsAtOnce: number
  readonly onResult: (result: Result) => void
  readonly say: (text: string) => void
}

/** Why this driver does not run this row, or undefined if it does. */
function exclusion(row: Row, spec: DriverSpec, target: Target): string | undefined {
  if (row.except?.[spec.name] !== undefined) return row.except[spec.name]
  const lacking = target.lacks?.[row.name]
  if (lacking !== undefined) return lacking
  const missing = row.needs?.find(capability => spec.lacks[capability] !== undefined)
  if (missing !== undefined) return spec.lacks[missing]
  if (target.version !== undefined && row.beyond !== undefined) return row.beyond
  const oracle = row.oracle ?? '4.0.8'
  // 5.0 wins where the two differ, so 4.0's rows hold there too unless they name 5.0 only
  if (target.version === '4.0.8' && oracle === '5.0.0-M1') return 'its oracle is 5.0.0-M1'
  return undefined
}

export async function runTable(run: Run): Promise<Result[]> {
  const results: Result[] = []
  const report = (result: Result): void => {
    results.push(result)
    run.onResult(result)
  }
  for (const profile of PROFILES) {
    const rows = run.rows.filter(row => (row.profile ?? 'default') === profile)
    if (rows.length === 0 || run.drivers.length === 0) continue
    if (run.target.profiles?.includes(profile) === false) {
      for (const { name } of rows)
        run.say(`${name}: not run: it needs a broker started with the settings of ${profile}`)
      continue
    }
    run.say(`starting ${run.target.name} (${profile})`)
    const started = Date.now()
    const target = await run.target.start(profile)
    run.say(`ready after ${((Date.now() - started) / 1000).toFixed(1)} s at ${target.brokerUrl}, ${target.webUrl}`)
    try {
      const [first] = run.drivers
      for (const driver of run.drivers) {
        const mine = rows.filter(row => row.once !== true || driver === first)
        await runDriver({ ...run, rows: mine }, driver, target, report)
      }
    } finally {
      await target.stop()
      if (target.report !== undefined) run.say(target.report())
    }
  }
  return results
}

async function runDriver(
  run: Run,
  ready: ReadyDriver,
  target: RunningTarget,
  report: (result: Result) => void
): Promise<void> {
  const { spec, prepared } = ready
  const queue: Row[] = []
  for (const row of run.rows) {
    const reason = exclusion(row, spec, run.target)
    if (reason === undefined) queue.push(row)
    else report({ row: row.name, driver: spec.name, outcome: 'excluded', reason, durationMs: 0 })
  }
  if (queue.length === 0) return
  const started = Date.now()
  const processes = new DriverProcesses(prepared)
  const total = queue.length
  // Java takes seconds to close a client, which is no reason for the next row to wait
  const closings: Promise<void>[] = []
  // a driver that cannot even start fails its rows, not the run
  const work = async (): Promise<void> => {
    for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
      const { result, closing } = await runRow(row, spec.name, () => processes.alive(), target)
      report(result)
      closings.push(closing)
    }
  }
  await Promise.all(Array.from({ length: run.rowsAtOnce }, work))
  await Promise.all(closings)
  run.say(`${spec.name} (${processes.version}): ${total} rows in ${((Date.now() - started) / 1000).toFixed(1)} s`)
  await processes.stop()
}

/** Keeps one process of a driver alive: a crash fails the rows it ran, and the next row gets a new one. */
class DriverProcesses {
  readonly #prepared: Prepared
  readonly #all: Driver[] = []
  #current: Promise<Driver> | undefined
  version = ''

  constructor(prepared: Prepared) {
    this.#prepared = prepared
  }

  async alive(): Promise<Driver> {
    const asked = this.#current
    if (asked === undefined) return await (this.#current = this.#start())
    const driver = await asked
    if (driver.isAlive) return driver
    // several rows may find it dead at once: the first of them starts the next
    const next = this.#current === asked ? this.#start() : (this.#current ?? this.#start())
    this.#current = next
    return await next
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map(driver => driver.stop()))
  }

  async #start(): Promise<Driver> {
    const driver = await Driver.start(this.#prepared.command, this.#prepared.environment)
    this.#all.push(driver)
    this.version = driver.version
    return driver
  }
}

async function runRow(
  row: Row,
  driverName: DriverName,
  alive: () => Promise<Driver>,
  target: RunningTarget
): Promise<{ result: Result; closing: Promise<void> }> {
  const started = Date.now()
  let context: Context | undefined
  const end = (outcome: 'passed' | 'failed', reason: string): { result: Result; closing: Promise<void> } => {
    const result = { row: row.name, driver: driverName, outcome, reason, durationMs: Date.now() - started }
    return { result, closing: context?.close() ?? Promise.resolve() }
  }
  let timer: NodeJS.Timeout | undefined
  try {
    context = new Context({ driverName, driver: await alive(), rowName: row.name, target })
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${ROW_TIMEOUT_MS} ms`)), ROW_TIMEOUT_MS)
    })
    await Promise.race([row.run(context), limit])
    return end('passed', '')
  } catch (error) {
    return end('failed', describe(error))
  } finally {
    clearTimeout(timer)
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const at = /rows\/([\w-]+\.[jt]s:\d+)/.exec(error.stack ?? '')?.[1]
  return `${error.message.trim().replace(/\s+/g, ' ').slice(0, 600)}${at === undefined ? '' : ` (${at})`}`
}
