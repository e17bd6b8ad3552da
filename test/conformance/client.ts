// What rows hold: a client and what it made, each a handle to an object inside the driver.
import { strict as assert } from 'node:assert'
import type { Driver, Json } from './driver.ts'

/** Generous, because several rows share two cores with a broker: a row that needs less says so. */
export const RECEIVE_TIMEOUT_MS = 20_000
const CALL_TIMEOUT_MS = 45_000

export type SubscriptionType = 'Exclusive' | 'Failover' | 'Shared' | 'Key_Shared'
export type AccessMode = 'Shared' | 'Exclusive' | 'WaitForExclusive' | 'ExclusiveWithFencing'
export type Compression = 'NONE' | 'LZ4' | 'ZLIB' | 'ZSTD' | 'SNAPPY'

/** `bytes` is the client library's own serialised form, base64: what goes back to `seek` and `start`. */
export interface Id {
  readonly ledger: number
  readonly entry: number
  readonly batch: number
  readonly partition: number
  readonly bytes: string
}

/** `record` names a class that the drivers in Python and Java have; `definition` is the same in Avro's JSON, for the others. */
export interface SchemaSpec {
  readonly [name: string]: string | undefined
  readonly type: 'STRING' | 'JSON' | 'AVRO' | 'INT32' | 'AUTO_CONSUME'
  readonly record?: 'User' | 'UserWithEmail' | 'UserWithTextAge'
  readonly definition?: string
}

interface OutgoingFields {
  readonly key?: string
  readonly orderingKey?: string
  readonly properties?: Readonly<Record<string, string>>
  readonly eventTime?: number
  readonly sequenceId?: number
  readonly deliverAfterMs?: number
}

/** A message to send: text or bytes, or a value for the producer's schema. */
export type Outgoing = string | (OutgoingFields & ({ readonly data: string | Buffer } | { readonly value: Json }))

/** What a client says of itself. */
export type Login =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'tls'; readonly certificate: string; readonly key: string }

export interface ClientOptions {
  readonly operationTimeoutMs?: number
  readonly login?: Login
  /** Authorities (PEM) whose certificates a server may show. */
  readonly trustedFile?: string
  readonly listenerName?: string
  readonly transactions?: boolean
}

export interface ProducerOptions {
  readonly name?: string
  readonly accessMode?: AccessMode
  /** Absent: no batching. */
  readonly batching?: { readonly maxMessages: number; readonly maxDelayMs: number; readonly keyBased?: boolean }
  readonly compression?: Compression
  readonly chunking?: boolean
  readonly routing?: 'RoundRobin' | 'Single'
  readonly schema?: SchemaSpec
  readonly initialSequenceId?: number
  readonly sendTimeoutMs?: number
  readonly properties?: Readonly<Record<string, string>>
}

export interface ConsumerOptions {
  readonly type?: SubscriptionType
  readonly position?: 'Earliest' | 'Latest'
  readonly name?: string
  readonly queueSize?: number
  readonly ackTimeoutMs?: number
  readonly nackDelayMs?: number
  readonly deadLetter?: {
    readonly maxRedeliveries: number
    readonly topic?: string
    readonly initialSubscription?: string
  }
  readonly retry?: boolean
  readonly keyShared?: { readonly ranges?: readonly (readonly [number, number])[]; readonly allowOutOfOrder?: boolean }
  readonly properties?: Readonly<Record<string, string>>
  readonly subscriptionProperties?: Readonly<Record<string, string>>
  readonly durable?: boolean
  readonly priority?: number
  readonly batchIndexAck?: boolean
  readonly ackReceipt?: boolean
  readonly readCompacted?: boolean
  readonly schema?: SchemaSpec
  readonly discoveryMs?: number
  readonly inclusive?: boolean
  readonly watchActive?: boolean
}

export interface ReaderOptions {
  /** `earliest`, `latest`, or an id. */
  readonly start?: 'earliest' | 'latest' | Id
  readonly startAgoMs?: number
  readonly inclusive?: boolean
  readonly name?: string
  readonly subscription?: string
  readonly queueSize?: number
  readonly readCompacted?: boolean
  readonly schema?: SchemaSpec
}

interface Received {
  readonly ref: number
  readonly id: Id
  readonly topic: string
  readonly properties: Readonly<Record<string, string>>
  readonly key: string
  readonly orderingKey: string
  readonly eventTime: number
  readonly publishTime: number
  readonly redeliveryCount: number
  readonly producerName: string
  readonly data: string
  readonly value?: Json
  readonly index?: number
  readonly brokerPublishTime?: number
}

/** A message as its consumer saw it. */
export class Message {
  readonly data: Buffer
  readonly fields: Received

  constructor(fields: Received) {
    this.fields = fields
    this.data = Buffer.from(fields.data, 'base64')
  }

  get text(): string {
    return this.data.toString('utf8')
  }

  get id(): Id {
    return this.fields.id
  }
}

/** Where in a subscription to go. */
export type SeekTarget = { readonly id: Id | 'earliest' | 'latest' } | { readonly time: number }

class Handle {
  readonly driver: Driver
  readonly handle: number

  constructor(driver: Driver, handle: number) {
    this.driver = driver
    this.handle = handle
  }

  protected call(op: string, args: Readonly<Record<string, Json>> = {}, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    return this.driver.ask(op, { handle: this.handle, ...args }, timeoutMs)
  }
}

export class Client extends Handle {
  static async create(driver: Driver, url: string, options: ClientOptions = {}): Promise<Client> {
    const made = await driver.ask('client.create', { url, ...options }, CALL_TIMEOUT_MS)
    return new Client(driver, (made as { handle: number }).handle)
  }

  async producer(topic: string, options: ProducerOptions = {}): Promise<Producer> {
    const made = await this.#make('producer.create', { topic, ...options })
    return new Producer(this.driver, made.handle, made.name)
  }

  /** @param topic One topic, several, or `{ pattern }`. */
  async consumer(
    topic: string | readonly string[] | { readonly pattern: string },
    subscription: string,
    options: ConsumerOptions = {}
  ): Promise<Consumer> {
    const what = typeof topic === 'string' ? { topic } : 'pattern' in topic ? topic : { topics: topic }
    const made = await this.#make('consumer.subscribe', { ...what, subscription, ...options })
    return new Consumer(this.driver, made.handle)
  }

  async reader(topic: string, options: ReaderOptions): Promise<Reader> {
    const { start, ...rest } = options
    const from = start === undefined ? {} : { start: typeof start === 'string' ? start : start.bytes }
    const made = await this.#make('reader.create', { topic, ...rest, ...from })
    return new Reader(this.driver, made.handle)
  }

  async partitions(topic: string): Promise<string[]> {
    return (await this.call('client.partitions', { topic })) as string[]
  }

  /** Of a topic with a STRING schema: key → value of the last message of that key. */
  async tableView(topic: string): Promise<Record<string, string>> {
    const view = await this.driver.ask('client.tableView', { client: this.handle, topic }, CALL_TIMEOUT_MS)
    return view as Record<string, string>
  }

  async beginTransaction(): Promise<void> {
    await this.call('client.transaction')
  }

  async close(): Promise<void> {
    await this.call('client.close')
  }

  async #make(op: string, args: Record<string, unknown>): Promise<{ handle: number; name: string }> {
    const made = await this.driver.ask(op, { client: this.handle, ...(args as Record<string, Json>) }, CALL_TIMEOUT_MS)
    return made as { handle: number; name: string }
  }
}

export class Producer extends Handle {
  readonly name: string

  constructor(driver: Driver, handle: number, name: string) {
    super(driver, handle)
    this.name = name
  }

  async send(message: Outgoing): Promise<Id> {
    return (await this.call('producer.send', { message: encode(message) })) as Id
  }

  /** Sends without waiting for one another's receipts. @returns Index and id of each, in the order in which the receipts came. */
  async sendMany(messages: readonly Outgoing[]): Promise<{ index: number; id: Id }[]> {
    const receipts = await this.call('producer.sendMany', { messages: messages.map(encode) }, 2 * CALL_TIMEOUT_MS)
    return receipts as { index: number; id: Id }[]
  }

  /** Publishes `0`, `1`, `2`, … with zeros in front, at a rate, inside the driver; number n has the key n % keys. */
  async pour(options: FlowOptions & { readonly rate: number; readonly bytes: number }): Promise<Pouring> {
    const made = (await this.call('producer.pour', { ...options })) as { handle: number }
    return new Pouring(this.driver, made.handle)
  }

  async lastSequenceId(): Promise<number> {
    return (await this.call('producer.lastSequenceId')) as number
  }

  async close(): Promise<void> {
    await this.call('producer.close')
  }
}

export interface FlowOptions {
  readonly keys: number
}

/** What became of the messages that were poured. */
export interface Poured {
  readonly sent: number
  readonly acknowledged: number
  readonly failed: number
  /** The first few that reached the application. */
  readonly errors: readonly string[]
  /** The longest time without a receipt. */
  readonly longestPauseMs: number
}

/** What came of what is poured: of each number the first delivery counts. */
export interface Drained {
  readonly received: number
  readonly again: number
  /** Behind a later number of the same key. */
  readonly disordered: number
  readonly errors: readonly string[]
}

export class Pouring extends Handle {
  /** Stops, and waits for the receipts of what was sent. */
  async end(timeoutMs: number): Promise<Poured> {
    return (await this.call('pouring.end', { timeoutMs }, 2 * timeoutMs + CALL_TIMEOUT_MS)) as Poured
  }
}

export class Draining extends Handle {
  async counts(): Promise<Drained> {
    return (await this.call('draining.counts')) as Drained
  }

  async end(): Promise<Drained> {
    return (await this.call('draining.end')) as Drained
  }
}

class Receiver extends Handle {
  readonly #receive: string

  constructor(driver: Driver, handle: number, receive: string) {
    super(driver, handle)
    this.#receive = receive
  }

  /** The next message, or undefined if there was none in `timeoutMs`. */
  async maybe(timeoutMs: number): Promise<Message | undefined> {
    const got = await this.call(this.#receive, { timeoutMs }, timeoutMs + CALL_TIMEOUT_MS)
    return got === null || got === undefined ? undefined : new Message(got as Received)
  }

  async receive(timeoutMs = RECEIVE_TIMEOUT_MS): Promise<Message> {
    const message = await this.maybe(timeoutMs)
    assert(message !== undefined, `no message in ${timeoutMs} ms`)
    return message
  }

  async take(count: number): Promise<Message[]> {
    const messages: Message[] = []
    while (messages.length < count) {
      const message = await this.maybe(RECEIVE_TIMEOUT_MS)
      const soFar = messages.map(({ text }) => text.slice(0, 40)).join(', ')
      assert(message !== undefined, `${messages.length} of ${count} messages came: ${soFar}`)
      messages.push(message)
    }
    return messages
  }

  /** The texts of the next messages. */
  async texts(count: number): Promise<string[]> {
    return (await this.take(count)).map(({ text }) => text)
  }

  /** Everything that comes until nothing comes for `quietMs`. */
  async drain(quietMs: number): Promise<Message[]> {
    const messages: Message[] = []
    for (;;) {
      const message = await this.maybe(quietMs)
      if (message === undefined) return messages
      messages.push(message)
    }
  }

  /** Nothing may come for a while. Weak by nature: where a later message can serve as the proof, use that. */
  async nothing(forMs = 700): Promise<void> {
    const message = await this.maybe(forMs)
    assert.equal(message?.text, undefined, 'a message came that should not have')
  }
}

export class Consumer extends Receiver {
  constructor(driver: Driver, handle: number) {
    super(driver, handle, 'consumer.receive')
  }

  /** Receives and acknowledges what is poured, inside the driver, until it is ended. */
  async drainFlow(options: FlowOptions): Promise<Draining> {
    const made = (await this.call('consumer.drain', { ...options })) as { handle: number }
    return new Draining(this.driver, made.handle)
  }

  async ack(...messages: readonly Message[]): Promise<void> {
    for (const { fields } of messages) await this.call('consumer.ack', { ref: fields.ref })
  }

  /** By its serialised id alone, so also one that another consumer received. */
  async ackId(id: Id): Promise<void> {
    await this.call('consumer.ackId', { id: id.bytes })
  }

  async ackList(messages: readonly Message[]): Promise<void> {
    await this.call('consumer.ackList', { refs: messages.map(({ fields }) => fields.ref) })
  }

  async ackCumulative(message: Message): Promise<void> {
    await this.call('consumer.ackCumulative', { ref: message.fields.ref })
  }

  async nack(message: Message): Promise<void> {
    await this.call('consumer.nack', { ref: message.fields.ref })
  }

  async reconsumeLater(message: Message, delayMs: number): Promise<void> {
    await this.call('consumer.reconsumeLater', { ref: message.fields.ref, delayMs })
  }

  async redeliver(): Promise<void> {
    await this.call('consumer.redeliver')
  }

  async seek(target: SeekTarget): Promise<void> {
    await this.call('consumer.seek', seekArgs(target))
  }

  async unsubscribe(): Promise<void> {
    await this.call('consumer.unsubscribe')
  }

  async close(): Promise<void> {
    await this.call('consumer.close')
  }

  async lastMessageId(): Promise<Id> {
    return (await this.call('consumer.lastMessageId')) as Id
  }

  async reachedEnd(): Promise<boolean> {
    return (await this.call('consumer.reachedEnd')) as boolean
  }

  /** The next notice that this consumer became the active one (true) or a standby (false). */
  async activeEvent(timeoutMs = RECEIVE_TIMEOUT_MS): Promise<boolean | null> {
    return (await this.call('consumer.activeEvent', { timeoutMs }, timeoutMs + CALL_TIMEOUT_MS)) as boolean | null
  }
}

export class Reader extends Receiver {
  constructor(driver: Driver, handle: number) {
    super(driver, handle, 'reader.next')
  }

  async hasNext(): Promise<boolean> {
    return (await this.call('reader.hasNext')) as boolean
  }

  async reachedEnd(): Promise<boolean> {
    return (await this.call('reader.reachedEnd')) as boolean
  }

  async seek(target: SeekTarget): Promise<void> {
    await this.call('reader.seek', seekArgs(target))
  }

  async close(): Promise<void> {
    await this.call('reader.close')
  }
}

function seekArgs(target: SeekTarget): Record<string, Json> {
  if ('time' in target) return { time: target.time }
  return { id: typeof target.id === 'string' ? target.id : target.id.bytes }
}

function encode(message: Outgoing): Json {
  if (typeof message === 'string') return { data: Buffer.from(message).toString('base64') }
  if ('value' in message) return { ...message }
  return { ...message, data: Buffer.from(message.data).toString('base64') }
}
