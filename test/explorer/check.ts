// Runs the model checker on one world of the model, and reads what it says.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PROMISES, type World } from './worlds.ts'

export interface CheckOptions {
  /** Where `Ledger.tla` and `tlc` are. */
  readonly folder: string
  readonly world: World
  /** Broken in worlds of their own, all in one run, each left at its first broken promise. Default: none is broken. */
  readonly broken?: readonly string[]
  /** With one broken rule: end at the first broken promise, and tell how it came to that. */
  readonly isTraced?: boolean
  readonly workers?: number
  /** Gets what the checker says of its progress. */
  readonly onProgress?: (line: string) => void
}

export interface CheckResult {
  readonly statesGenerated: number
  readonly statesDistinct: number
  /** Steps of the longest shortest way to a state. */
  readonly depth: number
  readonly seconds: number
  /** Promises seen broken in worlds with a broken rule, and after how many steps. */
  readonly broken: readonly { readonly rule: string; readonly promise: string; readonly steps: number }[]
  /** The promise that does not hold, and every step on the way there. */
  readonly counterexample: string | undefined
}

/** @throws Error when the checker did not explore the world to its end, and did not find a counterexample either. */
export async function check(options: CheckOptions): Promise<CheckResult> {
  const directory = await mkdtemp(join(tmpdir(), 'strata-explorer-'))
  const startedAt = performance.now()
  try {
    await copyFile(join(options.folder, 'Ledger.tla'), join(directory, 'Ledger.tla'))
    await writeFile(join(directory, 'Ledger.cfg'), configuration(options))
    const lines = await runChecker(options, directory)
    return { ...read(lines), seconds: (performance.now() - startedAt) / 1_000 }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function runChecker({ folder, workers = 1, onProgress }: CheckOptions, directory: string): Promise<string[]> {
  const child = spawn(join(folder, 'tlc'), ['run', directory, `${workers}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  // a test run that ends early must not leave a checker behind
  const orphaned = (): void => void child.kill('SIGKILL')
  process.once('exit', orphaned)
  try {
    const exited = once(child, 'exit')
    const lines: string[] = []
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith('Progress')) onProgress?.(line)
      else lines.push(line)
    }
    await exited
    return lines
  } finally {
    process.off('exit', orphaned)
  }
}

function configuration({ world, broken = [], isTraced = false }: CheckOptions): string {
  const isPlain = isTraced || broken.length === 0
  const rules = broken.length === 0 ? ['none'] : broken
  const constants = {
    NodeCount: world.nodes,
    Recoverers: `{${Array.from({ length: world.recoverers }, (_, i) => `r${i}`).join()}}`,
    E: world.ensembleSize,
    Qw: world.writeQuorum,
    Qa: world.ackQuorum,
    EntryCount: world.entries,
    FaultsMax: world.faults,
    ChangesMax: world.changes,
    CrashesMax: world.crashes,
    DestroyedMax: Math.min(world.destroyed, world.ackQuorum - 1),
    ReplacesMax: world.replaces,
    Bugs: `{${rules.map(rule => `"${rule}"`).join()}}`
  }
  return [
    'CONSTANTS',
    ...Object.entries(constants).map(([name, value]) => `  ${name} = ${value}`),
    'INIT Init',
    `NEXT ${isPlain ? 'Next' : 'NextOfMany'}`,
    'SYMMETRY Symmetry',
    `INVARIANTS ${isPlain ? PROMISES.join(' ') : 'Tell'}`,
    ''
  ].join('\n')
}

function read(lines: readonly string[]): Omit<CheckResult, 'seconds'> {
  const text = lines.join('\n')
  const counts = /(\d+) states generated, (\d+) distinct states found, (\d+) states left on queue/.exec(text)
  const violatedAt = lines.findIndex(line => /^Error: Invariant \w+ is violated/.test(line))
  const isComplete = text.includes('Model checking completed. No error has been found.') && counts?.[3] === '0'
  if (counts === null || (violatedAt < 0 && !isComplete)) throw new Error(`the checker came to no end:\n${text}`)
  const broken = [...text.matchAll(/<<"broken", "(\w+)", "(\w+)", (\d+)>>/g)]
  return {
    statesGenerated: Number(counts[1]),
    statesDistinct: Number(counts[2]),
    depth: Number(/depth of the complete state graph search is (\d+)/.exec(text)?.[1] ?? 0),
    broken: broken.map(([, rule = '', promise = '', steps]) => ({ rule, promise, steps: Number(steps) })),
    counterexample: violatedAt < 0 ? undefined : lines.slice(violatedAt).join('\n')
  }
}

export function describe(name: string, { statesGenerated, statesDistinct, depth, seconds }: CheckResult): string {
  const [distinct, generated] = [statesDistinct, statesGenerated].map(count => count.toLocaleString('en'))
  return `${name}: ${distinct} states (${generated} steps, ${depth} deep) in ${seconds.toFixed(1)} s`
}
