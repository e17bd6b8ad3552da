// The command: `npm run conformance -- --against pulsar|pulsar-next|strata|strata-cluster|strata-proxy [--driver NAME]… [--only TEXT]…`.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { driverSpecs, NotAtHand } from './drivers.ts'
import { countsTable, rowList } from './report.ts'
import type { Row } from './row.ts'
import { runTable, type ReadyDriver, type Result } from './runner.ts'
import { table } from './table.ts'
import { targetOf } from './targets.ts'

const USAGE = `usage: npm run conformance -- [--against strata|strata-cluster|strata-proxy|pulsar|pulsar-next] [options]

  --against NAME      what to run against (default strata); or a running broker:
  --broker-url URL    its binary address, together with
  --web-url URL       its HTTP address
  --kill-bookies N    of strata-cluster: kill -9 one storage node after the other, one each N seconds
  --driver NAME       ${driverSpecs.map(({ name }) => name).join(', ')}; may be repeated (default: all at hand)
  --only TEXT         rows whose name holds TEXT; may be repeated
  --at-once N         rows run at a time (default 8)
  --require-all       fail when a driver is not at hand that could be installed
  --json FILE         write all results there
  --list              print the table and leave`

const OPTIONS = {
  against: { type: 'string', default: 'strata' },
  'broker-url': { type: 'string' },
  'web-url': { type: 'string' },
  'kill-bookies': { type: 'string' },
  driver: { type: 'string', multiple: true },
  only: { type: 'string', multiple: true },
  'at-once': { type: 'string', default: '8' },
  'require-all': { type: 'boolean', default: false },
  json: { type: 'string' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS }).values
}

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

/** Only a cluster has storage nodes of its own to kill. */
function isKillable(against: string, killBookiesMs: number | undefined): boolean {
  return killBookiesMs === undefined || (against === 'strata-cluster' && killBookiesMs > 0)
}

/** Drivers that could be prepared, and what is missing for the others. */
async function prepareDrivers(
  wanted: readonly string[] | undefined,
  sources: string
): Promise<{ ready: ReadyDriver[]; missing: string[]; isComplete: boolean }> {
  const ready: ReadyDriver[] = []
  const missing: string[] = []
  let isComplete = true
  for (const spec of driverSpecs) {
    if (wanted !== undefined && !wanted.includes(spec.name)) continue
    try {
      ready.push({ spec, prepared: await spec.prepare(sources) })
    } catch (error) {
      if (!(error instanceof NotAtHand)) throw error
      missing.push(`${spec.name}: not run: ${error.message}`)
      isComplete &&= error.cannotBeRequired
    }
  }
  return { ready, missing, isComplete }
}

function chosenRows(only: readonly string[] | undefined): Row[] {
  return table.filter(row => only === undefined || only.some(text => row.name.includes(text)))
}

/**
 * Runs the table and prints what failed and the counts.
 * @param options.testFolder The `test` workspace, where drivers and peers have their sources.
 * @returns The exit code: 0 all rows held, 1 some did not, 64 a bad command line, 69 a driver that was required is missing.
 */
export async function main(argv: readonly string[], options: { testFolder: string }): Promise<number> {
  const values = parse(argv)
  const rows = chosenRows(values.only)
  if (values.list) say(rowList(rows))
  if (values.help) say(USAGE)
  if (values.list || values.help) return 0
  const { testFolder } = options
  const killBookiesMs = values['kill-bookies'] === undefined ? undefined : Number(values['kill-bookies']) * 1000
  const target = targetOf(values.against, {
    ...{ testFolder, killBookiesMs },
    ...{ brokerUrl: values['broker-url'], webUrl: values['web-url'] }
  })
  const rowsAtOnce = Number(values['at-once'])
  const unknown = values.driver?.find(name => !driverSpecs.some(spec => spec.name === name))
  if (
    target === undefined ||
    rows.length === 0 ||
    !(rowsAtOnce >= 1) ||
    unknown !== undefined ||
    !isKillable(values.against, killBookiesMs)
  ) {
    say(USAGE)
    return 64
  }
  const { ready, missing, isComplete } = await prepareDrivers(values.driver, join(testFolder, 'conformance', 'drivers'))
  const onResult = (result: Result): void => {
    if (result.outcome === 'failed') say(`FAILED ${result.driver} ${result.row}: ${result.reason}`)
  }
  const results = await runTable({ target, rows, drivers: ready, rowsAtOnce, onResult, say })
  if (values.json !== undefined) {
    const count = (outcome: Result['outcome']): number => results.filter(result => result.outcome === outcome).length
    const counts = { passed: count('passed'), failed: count('failed'), excluded: count('excluded') }
    await writeFile(values.json, JSON.stringify({ against: target.name, ...counts, missing, results }, null, 1))
  }
  say(countsTable(results))
  for (const line of missing) say(line)
  if (results.some(({ outcome }) => outcome === 'failed')) return 1
  return (values['require-all'] && !isComplete) || ready.length === 0 ? 69 : 0
}
