import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { median } from './perf.ts'
import type { Figures, Row } from './row.ts'
import { rows } from './rows.ts'
import { startServer, type ServerName } from './servers.ts'

/*
  npm run bench -- [--rows a,b] [--rounds 3] [--only strata] [--json FILE]

  Each row runs alternately on Strata and on its yardsticks, each time on a fresh server with fresh data; the table has
  the medians of the rounds. The machine must be otherwise idle.
*/

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
  const chosen = values.rows === undefined ? rows : rows.filter(row => values.rows?.split(',').includes(row.name))
  const measured: Measured[] = []
  for (const row of chosen) {
    const servers = [oursOf(row), ...row.against].filter(name => values.only?.includes(name) ?? true)
    measured.push({ row, figures: await measureRow(row, servers, Number(values.rounds)) })
    process.stdout.write(table(measured.slice(-1)))
  }
  process.stdout.write(`\n${table(measured)}`)
  if (values.json !== undefined) {
    const plain = measured.map(({ row, figures }) => ({ row: row.name, figures: Object.fromEntries(figures) }))
    writeFileSync(values.json, JSON.stringify(plain, null, 2))
  }
  return 0
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
  return new Map(
    [...all].map(([name, runs]) => {
      const keys = Object.keys(runs[0] ?? {})
      return [name, Object.fromEntries(keys.map(key => [key, median(runs.map(run => run[key] ?? NaN))]))]
    })
  )
}

async function measureOnce(row: Row, name: ServerName): Promise<Figures> {
  const data = mkdtempSync(join(tmpdir(), `strata-bench-${name}-`))
  try {
    const server = await startServer(name, data)
    try {
      return await row.measure(server)
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

function oursOf(row: Row): ServerName {
  return row.ours ?? 'strata'
}

function table(measured: readonly Measured[]): string {
  const lines = measured.flatMap(({ row, figures }) =>
    row.against.flatMap(yardstick =>
      row.goals.flatMap(goal => {
        const ours = figures.get(oursOf(row))?.[goal.figure]
        const theirs = figures.get(yardstick)?.[goal.figure]
        if (ours === undefined) return []
        const ratio = theirs === undefined ? NaN : ours / theirs
        const min = yardstick === 'pulsar-lite' && goal.min !== undefined ? 1.1 : goal.min
        const wanted = min === undefined ? `≤ ${goal.max}×` : `≥ ${min}×`
        return [
          `| ${row.what} | ${yardstick} | ${figure(ours, goal.unit)} | ${figure(theirs ?? NaN, goal.unit)} | ${ratio.toFixed(2)}× | ${wanted} |`
        ]
      })
    )
  )
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
