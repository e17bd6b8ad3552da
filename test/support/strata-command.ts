import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { STRATA } from './strata-process.ts'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A `strata …` that runs. */
export interface RunningCommand {
  readonly child: ChildProcess
  /** Resolves when standard output has so many lines; rejects if it ends before. */
  lines(count: number): Promise<string[]>
  /** Resolves when a line matches; rejects if it ends before. */
  linesUntil(last: RegExp): Promise<string[]>
  readonly ended: Promise<Ended>
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** The program to run, in place of what was built here. */
  readonly strata?: string
}

export function startCommand(
  [file, ...args]: readonly [string, ...string[]],
  options: CommandOptions & { cwd?: string; group?: boolean } = {}
): RunningCommand {
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    detached: options.group ?? false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd })
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  let stdout = ''
  let stderr = ''
  let onOutput = (): void => undefined
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    onOutput()
  })
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }))
  const linesOnce = (isEnough: (lines: readonly string[]) => boolean): Promise<string[]> =>
    new Promise((resolve, reject) => {
      onOutput = () => {
        const lines = stdout.split('\n').slice(0, -1)
        if (isEnough(lines)) resolve(lines)
      }
      onOutput()
      void ended.then(({ code }) => reject(new Error(`ended with ${code} too early:\n${stdout}${stderr}`)))
    })
  return {
    child,
    ended,
    lines: count => linesOnce(lines => lines.length >= count),
    linesUntil: last => linesOnce(lines => lines.some(line => last.test(line)))
  }
}

/** Starts `strata` from the tree that was built. */
export function startStrataCommand(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  return startCommand([process.execPath, options.strata ?? STRATA, ...args], options)
}
