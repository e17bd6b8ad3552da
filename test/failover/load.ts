// Clients of one language on one topic: keys published one after another, and a consumer or two on each type of subscription.
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type Consumer, type Producer, type SubscriptionType } from '../conformance/client.ts'
import { ClientError, type Driver } from '../conformance/driver.ts'
import { missing, nameOf, sentOf, type SubscriptionHistory, type TopicHistory } from './history.ts'

const KEYS = 6
const RECEIVE_MS = 1_000
const SUBSCRIPTIONS: readonly { readonly type: SubscriptionType; readonly consumers: number }[] = [
  { type: 'Exclusive', consumers: 1 },
  { type: 'Failover', consumers: 2 },
  { type: 'Shared', consumers: 2 },
  { type: 'Key_Shared', consumers: 2 }
]
const PAUSE_AFTER_FAILURE_MS = 200
const READ_QUIET_MS = 3_000

export interface LoadOptions {
  readonly driver: Driver
  readonly language: string
  readonly brokerUrl: string
  readonly topic: string
  /** Messages a second, of all keys together. */
  readonly rate: number
}

/** One topic under load. Errors that reach the application are kept in its history; none ends the load. */
export class TopicLoad {
  readonly history: TopicHistory
  /** Errors of consumers, which no retry of the library hid. */
  readonly consumerErrors: string[] = []
  readonly #options: LoadOptions
  readonly #client: Client
  readonly #consumers: readonly { readonly consumer: Consumer; readonly run: (signal: AbortSignal) => Promise<void> }[]
  readonly #producer: Producer

  private constructor(parts: {
    options: LoadOptions
    client: Client
    producer: Producer
    consumers: readonly { consumer: Consumer; name: string; history: SubscriptionHistory }[]
    subscriptions: readonly SubscriptionHistory[]
  }) {
    const { options, client, producer, consumers, subscriptions } = parts
    this.#options = options
    this.#client = client
    this.#producer = producer
    this.history = { topic: options.topic, receipts: [], failures: [], subscriptions, stored: new Map() }
    this.#consumers = consumers.map(({ consumer, name, history }) => ({
      consumer,
      run: signal => this.#consume(consumer, { name, history, signal })
    }))
  }

  static async open(options: LoadOptions): Promise<TopicLoad> {
    const { driver, brokerUrl, topic, language } = options
    const client = await Client.create(driver, brokerUrl)
    const subscriptions: SubscriptionHistory[] = []
    const consumers: { consumer: Consumer; name: string; history: SubscriptionHistory }[] = []
    for (const { type, consumers: count } of SUBSCRIPTIONS) {
      const history = { name: type, isOrdered: type !== 'Shared', deliveries: [] }
      subscriptions.push(history)
      for (let i = 0; i < count; i++) {
        const name = `${language}-${type}-${i}`
        consumers.push({
          consumer: await client.consumer(topic, type, { type, position: 'Earliest', name }),
          name,
          history
        })
      }
    }
    const producer = await client.producer(topic)
    return new TopicLoad({ options, client, producer, consumers, subscriptions })
  }

  /** Resolves when the last message was answered. */
  async publish(signal: AbortSignal): Promise<void> {
    const everyMs = (1_000 * KEYS) / this.#options.rate
    await Promise.all(Array.from({ length: KEYS }, (_, i) => this.#publish(`key-${i}`, { everyMs, signal })))
  }

  async consume(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#consumers.map(({ run }) => run(signal)))
  }

  /** Acknowledged messages that some subscription has not got yet. */
  get outstanding(): number {
    return this.history.subscriptions.reduce((all, it) => all + missing(this.history, it).length, 0)
  }

  /** Reads the topic from its beginning into `history.stored`. */
  async readBack(): Promise<void> {
    const reader = await this.#client.reader(this.#options.topic, { start: 'earliest' })
    const wanted = new Set(this.history.receipts.map(({ id }) => id))
    for (;;) {
      const message = await reader.maybe(wanted.size > 0 ? 10 * READ_QUIET_MS : READ_QUIET_MS)
      if (message === undefined) break
      const id = idText(message.id)
      this.history.stored.set(id, sentOf(message.text))
      wanted.delete(id)
    }
    await reader.close()
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  /** A key's messages wait for one another, so that their order is the application's. One that failed may be stored all the same. */
  async #publish(key: string, { everyMs, signal }: { everyMs: number; signal: AbortSignal }): Promise<void> {
    let dueMs = performance.now()
    for (let number = 0; !signal.aborted; number++) {
      try {
        const id = await this.#producer.send({ key, data: nameOf({ key, number }) })
        this.history.receipts.push({ key, number, id: idText(id), atMs: performance.now() })
      } catch (error) {
        this.history.failures.push(wordsOf(error))
        await delay(PAUSE_AFTER_FAILURE_MS)
      }
      dueMs = Math.max(dueMs + everyMs, performance.now() - 1_000)
      await delay(Math.max(0, dueMs - performance.now()))
    }
  }

  async #consume(
    consumer: Consumer,
    { name, history, signal }: { name: string; history: SubscriptionHistory; signal: AbortSignal }
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        const message = await consumer.maybe(RECEIVE_MS)
        if (message === undefined) continue
        history.deliveries.push({ ...sentOf(message.text), consumer: name, atMs: performance.now() })
        await consumer.ack(message)
      } catch (error) {
        this.consumerErrors.push(`${name}: ${wordsOf(error)}`)
        await delay(PAUSE_AFTER_FAILURE_MS)
      }
    }
  }
}

/** Nothing is batched here. */
function idText({ ledger, entry }: { ledger: number; entry: number }): string {
  return `${ledger}:${entry}`
}

/** @throws what is no failure of a client library */
function wordsOf(error: unknown): string {
  if (error instanceof ClientError && error.code !== 'DriverDied') return error.message
  throw error
}
