import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { ROOT } from '../tidy/repository.ts'

/** The program that was built. */
export const STRATA = join(ROOT, 'services', 'cli', 'bin', 'strata.js')

/** A server of ours in a process of its own, with the line that it printed when it was ready. */
export interface ServerProcess<Ready> {
  readonly pid: number
  readonly ready: Ready
  /** What it wrote to standard error so far. */
  log(): string
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  /** Resolves with the exit code when it ended, for whatever reason; null: by a signal. */
  readonly ended: Promise<number | null>
  /** Ctrl-C, and wait. Resolves with the exit code. */
  stop(): Promise<number | null>
  /** kill -9, and wait. */
  kill(): Promise<void>
}

export interface ServerOptions {
  /** Wraps the command, e.g. ['strace', '-f', …]. */
  readonly wrap?: readonly string[]
  readonly nodeArguments?: readonly string[]
  /** The program to run, in place of what was built here. */
  readonly strata?: string
}

const LOG_CHARS_MAX = 200_000

/** Runs `strata …args`, of which one is `--json`. Ready when this resolves; rejects with its log if it ends before. */
export async function startServerProcess<Ready extends { readonly pid: number }>(
  args: readonly string[],
  { wrap = [], nodeArguments = [], strata = STRATA }: ServerOptions = {}
): Promise<ServerProcess<Ready>> {
  const command = [...wrap, process.execPath, ...nodeArguments, strata, ...args]
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-LOG_CHARS_MAX)
  })
  const exited = once(child, 'exit')
  // a test run that ends early must not leave servers behind
  const orphaned = (): void => {
    child.kill('SIGKILL')
  }
  process.once('exit', orphaned)
  child.once('exit', () => process.off('exit', orphaned))
  const ready = await new Promise<Ready>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`strata ${args[0]} ended with ${code} before it was ready:\n${log}`)))
    createInterface({ input: child.stdout }).on('line', line => {
      if (!line.startsWith('{')) return
      const event = JSON.parse(line) as Ready & { readonly event: string }
      if (event.event === 'ready') resolve(event)
    })
  })
  const { pid } = ready
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) process.kill(pid, signal)
    await exited
    return child.exitCode
  }
  return {
    pid,
    ready,
    log: () => log,
    signal: name => process.kill(pid, name),
    ended: exited.then(() => child.exitCode),
    stop: () => end('SIGINT'),
    kill: async () => {
      await end('SIGKILL')
    }
  }
}

/** `--set` flags of settings. */
export function settingFlags(settings: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
}
