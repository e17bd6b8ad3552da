// Leads a life by one library against one server, and keeps what every call answered.
import { setTimeout as delay } from 'node:timers/promises'
import { PulsarClient } from '@strata/client'
import { normal, type Answer } from '../admin/normal.ts'
import type { Driver, Json } from '../driver.ts'
import type { Call, Life, Publish, Step } from './step.ts'

const CALL_TIMEOUT_MS = 60_000
const POLL_MS = 50
/** Always this one, which is gone at the end: topics of another's namespaces would be in other bundles. */
const TENANT = 'life'

/** By `<call>`, or `<call> #<n>` from its second time on, in the order of the calls. */
export type Answers = Readonly<Record<string, Answer>>

export interface Server {
  readonly brokerUrl: string
  readonly webUrl: string
  /** How long what was set may take to be read. */
  readonly settleMs: number
}

/** What the driver answers to `admin.call`, or its own failure. */
interface Outcome {
  readonly value?: unknown
  readonly refused?: { readonly code: number; readonly reason: string }
  readonly failed?: string
}

/** Calls of the library that the life neither makes nor leaves out for a reason. */
export async function untouched(driver: Driver, handle: number, life: Life): Promise<string[]> {
  const names = (await driver.ask('admin.methods', { handle }, CALL_TIMEOUT_MS)) as string[]
  const made = new Set(life.steps.map(step => (step.kind === 'call' ? step.name : '')))
  return names.filter(name => !made.has(name) && !life.leftOut.some(({ calls }) => calls.test(name)))
}

export async function openAdmin(driver: Driver, urls: { webUrl: string; brokerUrl: string }): Promise<number> {
  const asked = { url: urls.webUrl, brokerUrl: urls.brokerUrl }
  const opened = (await driver.ask('admin.open', asked, CALL_TIMEOUT_MS)) as { handle: number }
  return opened.handle
}

/** @param handle Of `openAdmin`. */
export async function answersOf(driver: Driver, handle: number, life: Life, server: Server): Promise<Answers> {
  const run = new Run(driver, handle, server)
  await run.prepare()
  try {
    for (const step of life.steps) await run.step(step)
  } finally {
    await run.close()
  }
  return run.answers
}

class Run {
  readonly #driver: Driver
  readonly #handle: number
  readonly #server: Server
  readonly #client: PulsarClient
  readonly #times = new Map<string, number>()
  readonly #last = new Map<string, string>()
  readonly answers: Record<string, Answer> = {}
  #broker = ''
  #ledger = 0

  constructor(driver: Driver, handle: number, server: Server) {
    this.#driver = driver
    this.#handle = handle
    this.#server = server
    this.#client = new PulsarClient({ serviceUrl: server.brokerUrl })
  }

  async prepare(): Promise<void> {
    const response = await fetch(`${this.#server.webUrl}/admin/v2/brokers`)
    const [broker = ''] = (await response.json()) as string[]
    this.#broker = broker
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'publish') await this.#publish(step)
    else await this.#call(step)
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #publish({ topic, count }: Publish): Promise<void> {
    const own = this.#own(topic) as string
    const producer = await this.#client.createProducer({ topic: own, batching: { enabled: false }, name: 'life' })
    for (let index = 0; index < count; index++) {
      const id = await producer.send({ data: Buffer.from(`message ${index}`), properties: { index: String(index) } })
      this.#ledger = id.ledgerId
    }
    await producer.close()
  }

  async #call(step: Call): Promise<void> {
    const args = this.#own(step.args) as Json
    const same = `${step.name} ${JSON.stringify(args)}`
    const before = this.#last.get(same)
    let answer = await this.#asked(step, args)
    const end = Date.now() + this.#server.settleMs
    while (step.settles && JSON.stringify(answer) === before && Date.now() < end) {
      await delay(POLL_MS)
      answer = await this.#asked(step, args)
    }
    this.#last.set(same, JSON.stringify(answer))
    const times = (this.#times.get(step.name) ?? 0) + 1
    this.#times.set(step.name, times)
    this.answers[times === 1 ? step.name : `${step.name} #${times}`] = answer
  }

  async #asked({ name, isMeasured }: Call, args: Json): Promise<Answer> {
    const asked = { handle: this.#handle, call: name, args }
    const outcome = (await this.#driver.ask('admin.call', asked, CALL_TIMEOUT_MS).catch((cause: unknown) => {
      throw new Error(`${name} ${JSON.stringify(args)}`, { cause })
    })) as Outcome
    const status = outcome.refused?.code ?? (outcome.failed === undefined ? 200 : 0)
    const said = outcome.refused?.reason ?? outcome.failed ?? outcome.value ?? null
    const text = JSON.stringify(said).replaceAll(this.#broker, '<broker>')
    return normal({ status, type: '', headers: [], text }, isMeasured && status === 200)
  }

  /** With this run's tenant, broker and ledger in place of their names. */
  #own(value: unknown): unknown {
    if (value === '{ledger}') return this.#ledger
    if (typeof value === 'string') return this.#ownText(value)
    if (Array.isArray(value)) return value.map(item => this.#own(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, this.#own(field)]))
  }

  #ownText(text: string): string {
    const named = text.replaceAll('{tenant}', TENANT).replaceAll('{broker}', this.#broker)
    return named.replaceAll('{ledger}', String(this.#ledger))
  }
}
