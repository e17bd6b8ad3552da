// A driver is a process that speaks one JSON command a line, and answers each with one JSON line. This is the runner's end of it.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { canonicalCode } from './codes.ts'

const READY_TIMEOUT_MS = 60_000

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined }

/** What a client library said went wrong, by the protocol's own name for it where it has one. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: string

  constructor(code: string, message: string) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

interface Reply {
  readonly ready?: string
  readonly id?: number
  readonly ok?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * One running driver. Commands overlap freely: each is answered when the client library is done with it. When the process dies, everything
 * asked and everything asked later fails with `DriverDied`.
 */
export class Driver {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #died: string | undefined
  #stderr = ''
  /** The client library and its version, as it names itself. */
  version = ''

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<Driver> {
    const [file = '', ...rest] = command
    const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
    const driver = new Driver(child)
    await driver.#listen()
    return driver
  }

  get isAlive(): boolean {
    return this.#died === undefined
  }

  /** @throws ClientError with the client library's failure; `DriverTimeout` after `timeoutMs`. */
  async ask(op: string, args: Json, timeoutMs: number): Promise<unknown> {
    if (this.#died !== undefined) throw new ClientError('DriverDied', this.#died)
    const id = ++this.#lastId
    let timer: NodeJS.Timeout | undefined
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      timer = setTimeout(
        () => reject(new ClientError('DriverTimeout', `${op} had no answer in ${timeoutMs} ms`)),
        timeoutMs
      )
    })
    this.#child.stdin?.write(`${JSON.stringify({ id, op, args })}\n`)
    try {
      return await answer
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** Ends the process. A driver leaves when its stdin ends; one that hangs inside its library is killed. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.stdin?.end()
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await gone
    clearTimeout(insist)
  }

  async #listen(): Promise<void> {
    const { stdout, stderr, stdin } = this.#child
    if (stdout === null || stderr === null || stdin === null) throw new Error('the driver has no pipes')
    stdin.on('error', () => undefined) // a dead driver is seen by its exit
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-8_000)
    })
    const lines = createInterface({ input: stdout, crlfDelay: Infinity })
    const ready = new Promise<string>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`the driver did not start:\n${this.#stderr}`)), READY_TIMEOUT_MS)
      lines.on('line', line => {
        const reply = JSON.parse(line) as Reply
        if (reply.ready !== undefined) {
          clearTimeout(limit)
          resolve(reply.ready)
        } else this.#settle(reply)
      })
      const end = (how: string): void => {
        clearTimeout(limit)
        this.#end(how)
        reject(new Error(`the driver did not start (${how}):\n${this.#stderr}`))
      }
      this.#child.once('error', error => end(error.message))
      this.#child.once('exit', (code, signal) => end(`exit ${code ?? signal ?? 'unknown'}`))
    })
    this.version = await ready
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id ?? -1)
    if (waiting === undefined) return // answered after its deadline
    if (reply.error === undefined) waiting.resolve(reply.ok)
    else waiting.reject(new ClientError(canonicalCode(reply.error.code, reply.error.message), reply.error.message))
  }

  #end(how: string): void {
    this.#died = `${how}; its last words: ${this.#stderr.slice(-500)}`
    for (const waiting of this.#waiting.values()) waiting.reject(new ClientError('DriverDied', this.#died))
  }
}
