// Runs scripts against one server and collects its answers.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { PulsarClient, type Consumer, type Producer } from '@strata/client'
import { normal, type Answer } from './normal.ts'
import { filled, partsOf, TENANT, type Ask, type Method, type Prepare, type Script } from './script.ts'

export interface Server {
  readonly brokerUrl: string
  readonly webUrl: string
  /** How long what was set may take to be seen. */
  readonly settleMs: number
}

/** By `<script> · <pair> · <note>`. */
export type Answers = Readonly<Record<string, Answer>>

const TIMEOUT_MS = 60_000
const POLL_MS = 50

/** What measures a process: shapes alone are compared. */
const MEASURED = /broker-stats|bundle$|bookies\/all|brokers\/configuration|internal-configuration|brokers\/version/

/** Somebody on a topic, until its script ends. */
type Attached = Pick<Producer | Consumer, 'close'>

/** Called after every script with what there is so far. */
export type OnAnswers = (answers: Answers) => Promise<void>

export function keyOf(script: Script, step: Ask): string {
  return `${script.name} · ${step.pair} · ${step.note}`
}

/** What could not be prepared is told as the answers to what comes after it, with status 0. */
export async function answersOf(
  server: Server,
  scripts: readonly Script[],
  { atOnce, onAnswers }: { atOnce: number; onAnswers?: OnAnswers | undefined }
): Promise<Answers> {
  const run = new Run(server)
  try {
    await run.prepareTenant()
    const waiting = [...scripts]
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        await run.script(next)
        await onAnswers?.(run.answers)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  } finally {
    await run.close()
  }
  return run.answers
}

class Run {
  readonly #server: Server
  readonly #client: PulsarClient
  readonly answers: Record<string, Answer> = {}
  /** A new one for every run, so that a server can be asked again; it is shown as the one that scripts name. */
  readonly #tenant = `${TENANT}${randomBytes(3).toString('hex')}`

  constructor(server: Server) {
    this.#server = server
    this.#client = new PulsarClient({ serviceUrl: server.brokerUrl })
  }

  async prepareTenant(): Promise<void> {
    await this.#ensure(`/admin/v2/tenants/${this.#tenant}`, { adminRoles: ['ops'], allowedClusters: ['standalone'] })
  }

  async script(script: Script): Promise<void> {
    await this.#ensure(filled('/admin/v2/namespaces/{tenant}/{namespace}', script.vars))
    const last = new Map<string, string>()
    const attached: Attached[] = []
    let failure: string | undefined
    for (const step of script.steps) {
      if (step.kind === 'ask' && failure !== undefined) this.answers[keyOf(script, step)] = { status: 0, body: failure }
      else if (step.kind === 'ask') await this.#ask(script, step, last)
      else failure ??= await this.#prepared(script, step, attached)
    }
    for (const client of attached) await client.close()
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #ask(script: Script, step: Ask, last: Map<string, string>): Promise<void> {
    const { method, path } = partsOf(step.pair)
    const vars = { ...script.vars, ...step.vars }
    const url = filled(path, vars) + (step.query === undefined ? '' : `?${step.query}`)
    const body = step.raw ?? (step.body === undefined ? undefined : JSON.stringify(step.body))
    const asked = { method, url, body, type: step.type, isMeasured: MEASURED.test(path) }
    const before = last.get(url)
    let answer = await this.#request(asked)
    if (step.settles === true) {
      const end = Date.now() + this.#server.settleMs
      while (JSON.stringify(answer) === before && Date.now() < end) {
        await delay(POLL_MS)
        answer = await this.#request(asked)
      }
    }
    if (method === 'GET') last.set(url, JSON.stringify(answer))
    const key = keyOf(script, step)
    if (key in this.answers) throw new Error(`two requests of one name: ${key}`)
    this.answers[key] = answer
  }

  /** @returns Why it could not be prepared: what comes after shows it. */
  async #prepared(script: Script, step: Prepare, attached: Attached[]): Promise<string | undefined> {
    try {
      await this.#prepare(script, step, attached)
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : 'not prepared'
    }
  }

  async #prepare(script: Script, step: Prepare, attached: Attached[]): Promise<void> {
    if (step.kind === 'request') {
      await this.#must(step.method, filled(step.path, script.vars), step.body)
      return
    }
    const topic = this.#own(filled(`persistent://{tenant}/{namespace}/${step.topic}`, script.vars))
    const producer = await this.#client.createProducer({ topic, batching: { enabled: false }, name: 'conformance' })
    if (step.kind === 'attach') {
      const consumer = await this.#client.subscribe({ topic, subscription: filled('{subscription}', script.vars) })
      attached.push(producer, consumer)
      return
    }
    for (let index = 0; index < step.count; index++) {
      await producer.send({ data: Buffer.from(`message ${index}`), properties: { index: String(index) } })
    }
    await producer.close()
  }

  /** Scripts may share a namespace. */
  async #ensure(url: string, body?: unknown): Promise<void> {
    const sent = body === undefined ? undefined : JSON.stringify(body)
    const answer = await this.#request({ method: 'PUT', url, body: sent, type: undefined, isMeasured: false })
    if (answer.status >= 300 && answer.status !== 409) throw new Error(`PUT ${url} answered ${JSON.stringify(answer)}`)
  }

  async #must(method: Method, url: string, body?: unknown): Promise<void> {
    const sent = body === undefined ? undefined : JSON.stringify(body)
    const answer = await this.#request({ method, url, body: sent, type: undefined, isMeasured: false })
    if (answer.status >= 300) throw new Error(`${method} ${url} answered ${JSON.stringify(answer)}`)
  }

  /** Paths, names and bodies with the tenant of this run. */
  #own(text: string): string {
    return text.replaceAll(`/${TENANT}/`, `/${this.#tenant}/`).replace(`tenant=${TENANT}`, `tenant=${this.#tenant}`)
  }

  async #request(asked: {
    method: Method
    url: string
    body: string | undefined
    type: string | undefined
    isMeasured: boolean
  }): Promise<Answer> {
    const { method } = asked
    const url = this.#own(asked.url)
    const body = asked.body === undefined ? undefined : this.#own(asked.body)
    const headers: Record<string, string> = { accept: 'application/json' }
    if (body !== undefined || method === 'PUT' || method === 'POST') {
      headers['content-type'] = asked.type ?? 'application/json'
    }
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const init = { method, headers, redirect: 'manual', signal, ...(body === undefined ? {} : { body }) } as const
    let response: Response
    let text: string
    try {
      response = await fetch(this.#server.webUrl + url, init)
      text = (await response.text()).replaceAll(this.#tenant, TENANT)
    } catch (error) {
      return { status: 0, body: error instanceof Error ? error.name : 'failed' }
    }
    const own = [...response.headers.keys()].filter(name => name.startsWith('x-pulsar-'))
    const type = response.headers.get('content-type') ?? ''
    return normal({ status: response.status, type, headers: own, text }, asked.isMeasured)
  }
}
