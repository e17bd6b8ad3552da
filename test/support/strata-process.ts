import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { settingFlags, startServerProcess, type ServerOptions } from './server-process.ts'

export { STRATA } from './server-process.ts'

export interface StrataProcess {
  readonly pid: number
  readonly brokerUrl: string
  readonly webUrl: string
  readonly brokerPort: number
  readonly webPort: number
  readonly data: string
  /** What it wrote to standard error so far. */
  log(): string
  /** Ctrl-C, and wait. Resolves with the exit code. */
  stop(): Promise<number | null>
  /** kill -9, and wait. */
  kill(): Promise<void>
}

export interface StrataOptions extends ServerOptions {
  readonly data: string
  readonly set?: Readonly<Record<string, string | number | boolean>>
}

interface Ready {
  readonly pid: number
  readonly brokerUrl: string
  readonly webUrl: string
}

/** A real `strata standalone` on free ports of the loopback, ready when this resolves. */
export async function startStrata(options: StrataOptions): Promise<StrataProcess> {
  const { data } = options
  const flags = settingFlags({ brokerServicePort: 0, webServicePort: 0, ...options.set })
  const server = await startServerProcess<Ready>(['standalone', '--json', '--data', data, ...flags], options)
  const { brokerUrl, webUrl } = server.ready
  const brokerPort = Number(new URL(brokerUrl).port)
  return { ...server, brokerUrl, webUrl, brokerPort, webPort: Number(new URL(webUrl).port), data }
}

/** Runs with a directory that is gone afterwards. */
export async function withDirectory<T>(run: (path: string) => Promise<T>): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), 'strata-'))
  try {
    return await run(path)
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}
