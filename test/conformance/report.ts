// What the run prints.
import type { Row } from './row.ts'
import type { Result } from './runner.ts'

function columns(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const line of lines) line.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  return lines
    .map(line =>
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

/** One line a driver: how many rows held, failed, and were excluded. */
export function countsTable(results: readonly Result[]): string {
  const drivers = [...new Set(results.map(({ driver }) => driver))]
  const count = (driver: string, outcome: Result['outcome']): string =>
    String(results.filter(result => result.driver === driver && result.outcome === outcome).length)
  const slowest = (driver: string): string => {
    const mine = results.filter(result => result.driver === driver)
    const [last] = mine.sort((a, b) => b.durationMs - a.durationMs)
    return last === undefined ? '' : `${last.row} ${(last.durationMs / 1000).toFixed(1)} s`
  }
  return columns([
    ['driver', 'passed', 'failed', 'excluded', 'slowest'],
    ...drivers.map(name => [name, count(name, 'passed'), count(name, 'failed'), count(name, 'excluded'), slowest(name)])
  ])
}

/** The table as text: name, feature, oracle, what it proves. */
export function rowList(rows: readonly Row[]): string {
  return columns(rows.map(row => [row.name, row.feature, row.oracle ?? '4.0.8', row.proves]))
}
