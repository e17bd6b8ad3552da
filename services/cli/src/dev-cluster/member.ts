import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, createWriteStream, openSync, type WriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { systemClock } from '@strata/base'
import { CommandFailure } from '../failure.ts'
import { pause } from '../interrupt.ts'
import type { Keeper } from './keeper.ts'
import { HOST, type MemberPlan } from './plan.ts'

const READY_MS_MAX = 120_000
const POLL_MS = 100
/** Brokers drain before they end. */
const STOP_MS_MAX = 90_000

/** What a process of ours says of itself in one line when it is ready. */
export type ReadyLine = Readonly<Record<string, unknown>>

/** How a process ended that nobody had asked to. */
export interface Ending {
  readonly name: string
  readonly pid: number
  readonly how: string
  readonly log: string
}

/**
 * One process of the cluster, started and stopped any number of times. It is in a process group of its own: Ctrl-C at the terminal
 * is for the command alone, which stops its processes in order.
 */
export class Member {
  readonly plan: MemberPlan
  readonly #keeper: Keeper
  readonly #onEnded: (ending: Ending) => void
  #child: ChildProcess | undefined
  #ready: ReadyLine = {}
  #isReady = false
  #isStopping = false

  constructor(plan: MemberPlan, { keeper, onEnded }: { keeper: Keeper; onEnded: (ending: Ending) => void }) {
    this.plan = plan
    this.#keeper = keeper
    this.#onEnded = onEnded
  }

  /** undefined: it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  get ready(): ReadyLine {
    return this.#ready
  }

  /** Ready when it resolves. @throws CommandFailure: with the last line that it wrote */
  async start(signal: AbortSignal): Promise<void> {
    const { name, kind, command, log: path } = this.plan
    for (const port of [this.plan.port, this.plan.secondPort]) await this.#checkFree(port)
    const log = createWriteStream(path, { flags: 'a' })
    await once(log, 'open')
    // written by the process itself: it has more to say than this one may live to hear
    const errors = openSync(path, 'a')
    const [program = '', ...args] = command
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', errors], env: environment() })
    closeSync(errors)
    if (child.pid !== undefined) this.#keeper.started(kind, child.pid)
    this.#child = child
    this.#isReady = false
    this.#isStopping = false
    const ended = this.#watch(child, log)
    try {
      await Promise.race([this.#becomeReady(child, log, signal), ended.then(how => this.#failStart(how))])
      this.#isReady = true
    } catch (error) {
      await this.stop()
      throw error instanceof CommandFailure
        ? error
        : new CommandFailure(`${name} cannot be started: see ${path}`, { cause: error })
    }
  }

  /** Asks it to end, and after a while makes it. */
  async stop(): Promise<void> {
    const child = this.#child
    this.#isStopping = true
    if (child === undefined || hasEnded(child)) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const cancel = systemClock.after(STOP_MS_MAX, () => child.kill('SIGKILL'))
    await exited
    cancel()
  }

  /** At once, from the handler of a process that ends itself. */
  kill(): void {
    this.#isStopping = true
    this.#child?.kill('SIGKILL')
  }

  /** Who listens there already would be taken for the one that is started: etcd is asked at its address whether it is ready. */
  async #checkFree(port: number): Promise<void> {
    const server = createServer().listen(port, HOST)
    try {
      await once(server, 'listening')
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      const remedy = 'end what listens there, or choose other ports with --base-port'
      throw new CommandFailure(`${this.plan.name} cannot have ${HOST}:${port} (${code}): ${remedy}`, { cause })
    } finally {
      server.close()
    }
  }

  async #becomeReady(child: ChildProcess, log: WriteStream, signal: AbortSignal): Promise<void> {
    const { stdout } = child
    if (stdout === null) throw new Error('a child with a pipe')
    if (this.plan.kind === 'etcd') {
      stdout.pipe(log, { end: false })
      await this.#untilHealthy(signal)
      return
    }
    const ready = new Promise<ReadyLine>(resolve => {
      createInterface({ input: stdout }).on('line', line => {
        log.write(`${line}\n`)
        const event = line.startsWith('{') ? (JSON.parse(line) as ReadyLine) : {}
        if (event['event'] === 'ready') resolve(event)
      })
    })
    this.#ready = await Promise.race([ready, this.#outOfTime(signal)])
  }

  /** etcd says nothing when it is ready: it is asked. */
  async #untilHealthy(signal: AbortSignal): Promise<void> {
    const url = `http://127.0.0.1:${this.plan.port}/health`
    const isHealthy = async (): Promise<boolean> => (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok
    const deadlineMs = systemClock.nowMs() + READY_MS_MAX
    while (!(await isHealthy().catch(() => false))) {
      if (signal.aborted || systemClock.nowMs() > deadlineMs) throw this.#late()
      await pause(POLL_MS, signal)
    }
  }

  #outOfTime(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      const cancel = systemClock.after(READY_MS_MAX, () => reject(this.#late()))
      signal.addEventListener('abort', () => {
        cancel()
        reject(this.#late())
      })
      this.#child?.once('exit', cancel)
    })
  }

  #late(): CommandFailure {
    return new CommandFailure(`${this.plan.name} was not ready in time: see ${this.plan.log}`)
  }

  /** Resolves with how it ended; tells of an end that nobody asked for. */
  async #watch(child: ChildProcess, log: WriteStream): Promise<string> {
    const how = await new Promise<string>(resolve => {
      child.once('error', error => resolve(`could not be run (${error.message})`))
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `ended with code ${code ?? 0}` : `was ended by ${signal}`)
      )
    })
    log.end()
    if (child.pid !== undefined) this.#keeper.ended(child.pid)
    const wasReady = this.#child === child && this.#isReady
    if (this.#child === child) this.#child = undefined
    if (wasReady && !this.#isStopping) {
      this.#onEnded({ name: this.plan.name, pid: child.pid ?? 0, how, log: this.plan.log })
    }
    return how
  }

  async #failStart(how: string): Promise<never> {
    const { name, log } = this.plan
    const text = await readFile(log, 'utf8').catch(() => '')
    const said = text
      .split('\n')
      .findLast(line => line.startsWith('strata: '))
      ?.slice('strata: '.length)
    throw new CommandFailure(`${name} ${how}${said === undefined ? '' : ` (${said})`}: see ${log}`)
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** Without what would stand against the flags: etcd refuses a variable that a flag shadows, and ours are the command's own. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(ETCD_|STRATA_|PULSAR_PREFIX_)/.test(name))
  const unsupported = process.arch === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {}
  return { ...Object.fromEntries(kept), ...unsupported }
}
