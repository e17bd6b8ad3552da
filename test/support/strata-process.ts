import { strict as assert } from 'node:assert'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT } from '../tidy/repository.ts'

export const STRATA = join(ROOT, 'services', 'cli', 'bin', 'strata.js')

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

export interface StrataOptions {
  readonly data: string
  readonly set?: Readonly<Record<string, string | number | boolean>>
  /** Wraps the command, e.g. ['strace', '-f', …]. */
  readonly wrap?: readonly string[]
  readonly nodeArguments?: readonly string[]
}

/** A real `strata standalone` on free ports of the loopback, ready when this resolves. */
export async function startStrata(options: StrataOptions): Promise<StrataProcess> {
  const set = { brokerServicePort: 0, webServicePort: 0, ...options.set }
  const flags = Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const command = [
    ...(options.wrap ?? []),
    process.execPath,
    ...(options.nodeArguments ?? []),
    STRATA,
    'standalone',
    '--json',
    '--data',
    options.data,
    ...flags
  ]
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-200_000)
  })
  const ready = await readyLine(child, () => log)
  const exited = once(child, 'exit')
  return {
    pid: ready.pid,
    brokerUrl: ready.brokerUrl,
    webUrl: ready.webUrl,
    brokerPort: Number(new URL(ready.brokerUrl).port),
    webPort: Number(new URL(ready.webUrl).port),
    data: options.data,
    log: () => log,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) process.kill(ready.pid, 'SIGINT')
      await exited
      return child.exitCode
    },
    async kill() {
      if (child.exitCode === null && child.signalCode === null) process.kill(ready.pid, 'SIGKILL')
      await exited
    }
  }
}

interface Ready {
  readonly event: 'ready'
  readonly pid: number
  readonly brokerUrl: string
  readonly webUrl: string
}

async function readyLine(child: ChildProcess, log: () => string): Promise<Ready> {
  assert(child.stdout !== null)
  const lines = createInterface({ input: child.stdout })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => {
      reject(new Error(`strata standalone ended with ${code} before it was ready:\n${log()}`))
    })
    lines.on('line', line => {
      if (!line.startsWith('{')) return
      const event = JSON.parse(line) as Ready | { readonly event: string }
      if (isReady(event)) resolve(event)
    })
  })
}

function isReady(event: { readonly event: string }): event is Ready {
  return event.event === 'ready'
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
