import { once } from 'node:events'

/** One record a line, for programs. */
export function printJson(record: object): Promise<void> | undefined {
  return print(`${JSON.stringify(record)}\n`)
}

export function printLine(line: string): Promise<void> | undefined {
  return print(`${line}\n`)
}

/** Something to await only where the reader of standard output is slower than we are. */
export function print(chunk: string | Uint8Array): Promise<void> | undefined {
  if (process.stdout.write(chunk)) return undefined
  return once(process.stdout, 'drain').then(() => undefined)
}

/** For the person who watches; never part of what a pipe gets. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** `name  value` lines, the values in one column. */
export function printFields(fields: readonly (readonly [string, string | number | boolean | undefined])[]): void {
  const shown = fields.filter(([, value]) => value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  for (const [name, value] of shown) void printLine(`${name.padEnd(width)}  ${String(value)}`)
}

/** Rows under a head, columns as wide as their widest cell. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const all = [head, ...rows.map(row => row.map(String))]
  const widths = head.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  for (const row of all)
    void printLine(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
}

const PROGRESS_MS = 250

/** A line on the terminal that is written over again and again; nothing at all where there is no terminal. */
export function startProgress(text: () => string, isWanted = true): { stop(): void } {
  if (!isWanted || !process.stderr.isTTY) return { stop: () => undefined }
  const timer = setInterval(() => process.stderr.write(`\r\x1b[K${text()}`), PROGRESS_MS)
  return {
    stop() {
      clearInterval(timer)
      process.stderr.write('\r\x1b[K')
    }
  }
}
