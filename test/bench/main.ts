import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { brokerRows } from './broker-rows.ts'
import { median } from './perf.ts'
import { addRows } from './nodes/add-rows.ts'
import { careRows } from './nodes/care-rows.ts'
import type { Figures, OwnGoal, OwnRow, Row } from './row.ts'
import { rows } from './rows.ts'
import { startServer, type ServerName } from './servers.ts'

/*
  npm run bench -- [--rows a,b] [--rounds 3] [--only strata] [--json FILE]

  Each row runs alternately on Strata and on its yardsticks, each time on a fresh server with fresh data; the table has
  the medians of the rounds. The machine must be otherwise idle. Rows of storage nodes alone measure their yardsticks themselves.
*/

const ownRows: readonly OwnRow[] = [...addRows, ...careRows, ...brokerRows]

interface Measured {
  readonly row: Row
  readonly figures: Map<ServerName, Figures>
}

export async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rows: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      json: { type: 'string' }
    }
  })
  const wanted = values.rows?.split(',')
  const isWanted = ({ name }: { readonly name: string }): boolean => wanted?.includes(name) ?? true
  const rounds = Number(values.rounds)
  const lines: string[] = []
  const told = (more: readonly string[]): void => {
    lines.push(...more)
    process.stdout.write(table(more))
  }
  const plain: { row: string; figures: Readonly<Record<string, Figures>> }[] = []
  for (const row of rows.filter(isWanted)) {
    const servers = [oursOf(row), ...row.against].filter(name => values.only?.split(',').includes(name) ?? true)
    const measured = { row, figures: await measureRow(row, servers, rounds) }
    told(linesOf(measured))
    plain.push({ row: row.name, figures: Object.fromEntries(measured.figures) })
  }
  for (const row of ownRows.filter(isWanted)) {
    const figures = await measureOwn(row, rounds)
    told(linesOfOwn(row, figures))
    plain.push({ row: row.name, figures: { strata: figures } })
  }
  process.stdout.write(`\n${table(lines)}`)
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(plain, null, 2))
  return 0
}

async function measureOwn(row: OwnRow, rounds: number): Promise<Figures> {
  const runs: Figures[] = []
  for (let round = 0; round < rounds; round++) {
    const figures = await withDirectory(row.name, data => row.measure(data))
    process.stderr.write(`${row.name} round ${round + 1}: ${JSON.stringify(figures)}\n`)
    runs.push(figures)
  }
  return medians(runs)
}

async function measureRow(row: Row, servers: readonly ServerName[], rounds: number): Promise<Map<ServerName, Figures>> {
  const all = new Map<ServerName, Figures[]>(servers.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of servers) {
      const figures = await measureOnce(row, name)
      process.stderr.write(`${row.name} round ${round + 1} ${name}: ${JSON.stringify(figures)}\n`)
      all.get(name)?.push(figures)
    }
  }
  return new Map([...all].map(([name, runs]) => [name, medians(runs)]))
}

function medians(runs: readonly Figures[]): Figures {
  const keys = Object.keys(runs[0] ?? {})
  return Object.fromEntries(keys.map(key => [key, median(runs.map(run => run[key] ?? NaN))]))
}

function measureOnce(row: Row, name: ServerName): Promise<Figures> {
  return withDirectory(name, async data => {
    const server = await startServer(name, data)
    try {
      return await row.measure(server)
    } finally {
      await server.stop()
    }
  })
}

async function withDirectory<Result>(name: string, run: (data: string) => Promise<Result>): Promise<Result> {
  const data = mkdtempSync(join(tmpdir(), `strata-bench-${name}-`))
  const remove = (): void => rmSync(data, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    return await run(data)
  } finally {
    process.off('exit', remove)
    remove()
  }
}

function oursOf(row: Row): ServerName {
  return row.ours ?? 'strata'
}

function linesOf({ row, figures }: Measured): string[] {
  return row.against.flatMap(yardstick =>
    row.goals.flatMap(goal => {
      const ours = figures.get(oursOf(row))?.[goal.figure]
      const theirs = figures.get(yardstick)?.[goal.figure] ?? NaN
      if (ours === undefined) return []
      const min = yardstick === 'pulsar-lite' && goal.min !== undefined ? 1.1 : goal.min
      return [
        lineOf({
          what: row.what,
          against: yardstick,
          ours,
          theirs,
          goal: { ...goal, ...(min === undefined ? {} : { min }) }
        })
      ]
    })
  )
}

function linesOfOwn(row: OwnRow, figures: Figures): string[] {
  return row.goals.map(goal => {
    const ours = figures[goal.figure] ?? NaN
    const what = `${row.what}, ${goal.figure}`
    if (goal.against !== undefined) {
      return lineOf({ what, against: goal.against, ours, theirs: figures[goal.against] ?? NaN, goal })
    }
    const wanted = goal.max === undefined ? `≥ ${goal.min} ${goal.unit}` : `≤ ${goal.max} ${goal.unit}`
    return `| ${what} | - | ${figure(ours, goal.unit)} | - | ${met(ours, goal)} | ${wanted} |`
  })
}

interface Line {
  readonly what: string
  readonly against: string
  readonly ours: number
  readonly theirs: number
  readonly goal: Omit<OwnGoal, 'figure'>
}

function lineOf({ what, against, ours, theirs, goal }: Line): string {
  const ratio = ours / theirs
  const { unit, min, max } = goal
  const wanted = min !== undefined ? `≥ ${min}×` : max !== undefined ? `≤ ${max}×` : '-'
  return `| ${what} | ${against} | ${figure(ours, unit)} | ${figure(theirs, unit)} | ${ratio.toFixed(2)}× ${met(ratio, goal)} | ${wanted} |`
}

/** Is the goal reached? */
function met(value: number, { min, max }: { readonly min?: number; readonly max?: number }): string {
  if (Number.isNaN(value)) return ''
  return value >= (min ?? -Infinity) && value <= (max ?? Infinity) ? '' : '(missed)'
}

function table(lines: readonly string[]): string {
  return [
    '| work | against | Strata | yardstick | ratio | must reach |',
    '|---|---|---|---|---|---|',
    ...lines,
    ''
  ].join('\n')
}

function figure(value: number, unit: string): string {
  const digits = value < 100 ? 2 : 0
  return `${value.toLocaleString('en-US', { maximumFractionDigits: digits })} ${unit}`
}
