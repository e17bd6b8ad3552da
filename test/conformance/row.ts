// A row of the table: one behaviour, what proves it, and who can run it.
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type ClientOptions } from './client.ts'
import { ClientError, type Driver } from './driver.ts'
import { Forwarder } from './forwarder.ts'
import type { Guard } from './guard.ts'
import { Admin } from './http.ts'

export type DriverName = 'python' | 'go' | 'java' | 'node' | 'strata'
export type Oracle = '4.0.8' | '5.0.0-M1'

/** What a broker must offer, in the order of the feature list. */
export type Feature =
  | 'connection'
  | 'lookup'
  | 'topics'
  | 'producers'
  | 'subscriptions'
  | 'acknowledgement'
  | 'redelivery'
  | 'seek'
  | 'readers'
  | 'partitions'
  | 'non-persistent'
  | 'entry-metadata'
  | 'listeners'
  | 'schemas'
  | 'patterns'
  | 'switched-off'
  | 'admin'

/** What a client library must be able to do for a row; each driver says which of these it lacks, and why. */
export type Capability =
  | 'access-modes'
  | 'fencing'
  | 'ack-list'
  | 'ack-receipt'
  | 'ack-timeout'
  | 'active-events'
  | 'auto-consume'
  | 'batch-index-ack'
  | 'chunking'
  | 'dead-letter'
  | 'dead-letter-default'
  | 'entry-metadata'
  | 'initial-sequence-id'
  | 'int32-schema'
  | 'inclusive'
  | 'last-message-id'
  | 'last-sequence-id'
  | 'listener-name'
  | 'logins'
  | 'non-durable'
  | 'pattern'
  | 'pattern-discovery'
  | 'priority'
  | 'reached-end'
  | 'reader-subscription'
  | 'reader-time'
  | 'redeliver-all'
  | 'retry-letter'
  | 'avro'
  | 'schema'
  | 'seek-partitioned'
  | 'subscription-properties'
  | 'table-view'
  | 'transactions'

/** How the broker is configured for a row; a broker is started for each that is asked for. */
export type Profile = 'default' | 'tuned' | 'strict' | 'standalone' | 'guarded'

export interface Row {
  readonly name: string
  /** One sentence: the claim that fails with the row. */
  readonly proves: string
  readonly feature: Feature
  /** Absent: 4.0.8. */
  readonly oracle?: Oracle
  /** Absent: default. */
  readonly profile?: Profile
  readonly needs?: readonly Capability[]
  /** Behaviour of the server alone, by HTTP: run once, by the first driver at hand. */
  readonly once?: true
  /** Where we promise more than Apache Pulsar holds, and why: such a row is not run against it. */
  readonly beyond?: string
  /** Drivers that cannot run it for a reason of their own, and that reason. */
  readonly except?: Partial<Readonly<Record<DriverName, string>>>
  readonly run: (c: Context) => Promise<void>
}

/** What a row works with. Topics and namespaces are its own; clients are closed after it. */
export class Context {
  readonly driverName: DriverName
  readonly brokerUrl: string
  readonly webUrl: string
  readonly admin: Admin
  readonly #guard: Guard | undefined
  readonly #driver: Driver
  readonly #rowName: string
  readonly #mappedPort: number | undefined
  readonly #clients: Client[] = []
  readonly #forwarders: Forwarder[] = []
  #topicCount = 0

  constructor(options: {
    driverName: DriverName
    driver: Driver
    rowName: string
    target: { brokerUrl: string; webUrl: string; mappedPort?: number; guard?: Guard }
  }) {
    const { brokerUrl, webUrl, mappedPort, guard } = options.target
    this.#guard = guard
    this.driverName = options.driverName
    this.brokerUrl = brokerUrl
    this.webUrl = webUrl
    this.#mappedPort = mappedPort
    this.admin = new Admin(webUrl)
    this.#driver = options.driver
    this.#rowName = options.rowName
  }

  /** What the profile `guarded` asks of clients. */
  get guard(): Guard {
    assert(this.#guard !== undefined, 'the broker asks nobody who they are')
    return this.#guard
  }

  /** A name that nothing else has. */
  unique(): string {
    return `${this.#rowName}-${this.driverName}-${randomBytes(4).toString('hex')}`
  }

  /** The name of a topic that nobody used yet. */
  topic(domain: 'persistent' | 'non-persistent' = 'persistent'): string {
    return `${domain}://public/default/${this.unique()}-${++this.#topicCount}`
  }

  /** A new, empty namespace of the tenant `public`. @returns `public/name`. */
  async namespace(): Promise<string> {
    const name = `public/${this.unique()}`
    await this.admin.expect(204, 'PUT', `namespaces/${name}`)
    return name
  }

  /** A client with a connection of its own. */
  async client(options: ClientOptions = {}, url: string = this.brokerUrl): Promise<Client> {
    const client = await Client.create(this.#driver, url, options)
    this.#clients.push(client)
    return client
  }

  /** A port that leads to the broker: any, or the one that the listener `mapped` advertises. */
  async forwarder(which: 'any' | 'advertised'): Promise<Forwarder> {
    assert(which === 'any' || this.#mappedPort !== undefined, 'no port is advertised')
    const port = which === 'any' ? 0 : (this.#mappedPort ?? 0)
    const forwarder = await Forwarder.open({ port, to: this.brokerUrl })
    this.#forwarders.push(forwarder)
    return forwarder
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#clients.splice(0).map(client => client.close()))
    await Promise.allSettled(this.#forwarders.splice(0).map(forwarder => forwarder.close()))
  }
}

/** The call must be refused with one of these codes. @returns The refusal. */
export async function refused(call: Promise<unknown>, ...codes: readonly string[]): Promise<ClientError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error
  )
  assert(outcome !== undefined, `expected ${codes.join(' or ')}, and it was granted`)
  assert(outcome instanceof ClientError, outcome instanceof Error ? outcome : 'something was thrown that is no error')
  assert(codes.includes(outcome.code), `expected ${codes.join(' or ')}, and it was ${outcome.message}`)
  return outcome
}

/** Asks again until `isTrue` holds: for what the protocol promises soon but not at once. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isTrue: (value: T) => boolean,
  timeoutMs = 20_000
): Promise<T> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await ask()
    if (isTrue(value)) return value
    assert(Date.now() < end, `after ${timeoutMs} ms still ${JSON.stringify(value).slice(0, 500)}`)
    await delay(50)
  }
}

/** `prefix-0` … `prefix-(count-1)`. */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
}
