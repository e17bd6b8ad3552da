import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import { MessageId, PulsarClient, type Consumer, type Producer } from '@strata/client'

const POLL_MS = 5
const RECEIVE_MS = 20_000

export interface LoadOptions {
  readonly serviceUrl: string
  readonly topics: readonly string[]
  /** Messages of a topic that are under way at a time. */
  readonly lanes?: number
  readonly keepAliveMs?: number
}

/**
 * One producer and one consumer a topic, both all the time. Notes what was acknowledged, what was delivered, every error that
 * reached the application, and for how long each topic acknowledged nothing.
 */
export class TopicLoad {
  /** `topic number`, as published. */
  readonly acknowledged = new Set<string>()
  readonly delivered = new Set<string>()
  readonly failures: unknown[] = []
  copies = 0
  readonly #client: PulsarClient
  readonly #options: LoadOptions
  readonly #publishing: Promise<void>[] = []
  readonly #consuming: Promise<void>[] = []
  readonly #consumers: Consumer[] = []
  readonly #lastMs = new Map<string, number>()
  #longestMs = new Map<string, number>()
  #isStopping = false
  #isDelivered = false

  constructor(options: LoadOptions) {
    this.#options = options
    const { serviceUrl, keepAliveMs } = options
    this.#client = new PulsarClient({ serviceUrl, ...(keepAliveMs === undefined ? {} : { keepAliveMs }) })
  }

  async start(): Promise<void> {
    await Promise.all(
      this.#options.topics.map(async topic => {
        const consumer = await this.#client.subscribe({ topic, subscription: 'load', initialPosition: 'earliest' })
        this.#consumers.push(consumer)
        this.#consuming.push(this.#consume(topic, consumer))
        const producer = await this.#client.createProducer({ topic, sendTimeoutMs: 60_000 })
        const counter = { next: 0 }
        for (let i = 0; i < (this.#options.lanes ?? 4); i++)
          this.#publishing.push(this.#publish(topic, producer, counter))
      })
    )
  }

  /** Longest time without an acknowledgement since the last call, by topic, ms; longest first. */
  takePauses(): number[] {
    for (const [topic, lastMs] of this.#lastMs) this.#noteGap(topic, performance.now() - lastMs)
    const pauses = [...this.#longestMs.values()].sort((a, b) => b - a)
    this.#longestMs = new Map()
    return pauses
  }

  /** Waits until so many more are acknowledged on every topic that has a producer. */
  async flows(messages: number): Promise<void> {
    const enough = new Map(this.#options.topics.map(topic => [topic, this.#countOf(topic) + messages]))
    for (const [topic, count] of enough) {
      while (this.#countOf(topic) < count) {
        if (this.failures.length > 0) throw this.failures[0]
        await delay(POLL_MS)
      }
    }
  }

  /** Waits until everything that is acknowledged by now is delivered. */
  async catchesUp(): Promise<void> {
    const deadlineMs = performance.now() + 60_000
    const wanted = new Set(this.acknowledged)
    for (;;) {
      for (const id of wanted) if (this.delivered.has(id)) wanted.delete(id)
      if (wanted.size === 0) return
      assert(performance.now() < deadlineMs, `${wanted.size} acknowledged messages are not delivered`)
      await delay(POLL_MS)
    }
  }

  /** Lets what was sent be answered, and what was acknowledged be delivered. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#publishing)
    const deadlineMs = performance.now() + 60_000
    while (performance.now() < deadlineMs && [...this.acknowledged].some(id => !this.delivered.has(id))) await delay(50)
    this.#isDelivered = true
    for (const consumer of this.#consumers) await consumer.close().catch((error: unknown) => this.failures.push(error))
    await Promise.all(this.#consuming)
    await this.#client.close()
  }

  /** Nothing acknowledged is missing, with consumers or in the log, and first copies stand in the order published. */
  async assertWhole(serviceUrl: string): Promise<void> {
    assert.deepEqual(this.failures, [])
    const undelivered = [...this.acknowledged].filter(id => !this.delivered.has(id))
    assert.deepEqual(undelivered.slice(0, 5), [], `${undelivered.length} were acknowledged and never delivered`)
    const client = new PulsarClient({ serviceUrl })
    const stored = new Set<string>()
    for (const topic of this.#options.topics) await readInOrder(client, topic, stored)
    await client.close()
    const lost = [...this.acknowledged].filter(id => !stored.has(id))
    assert.deepEqual(lost.slice(0, 5), [], `${lost.length} of ${this.acknowledged.size} acknowledged are gone`)
  }

  async #publish(topic: string, producer: Producer, counter: { next: number }): Promise<void> {
    while (!this.#isStopping) {
      const id = `${topic} ${counter.next++}`
      try {
        await producer.send({ data: Buffer.from(id) })
      } catch (error) {
        this.failures.push(error)
        return
      }
      this.acknowledged.add(id)
      const nowMs = performance.now()
      const lastMs = this.#lastMs.get(topic)
      if (lastMs !== undefined) this.#noteGap(topic, nowMs - lastMs)
      this.#lastMs.set(topic, nowMs)
      this.#counts.set(topic, this.#countOf(topic) + 1)
    }
  }

  async #consume(topic: string, consumer: Consumer): Promise<void> {
    let latest = -1
    while (!this.#isDelivered) {
      const id = await this.#received(consumer)
      if (id === undefined) continue
      if (this.delivered.has(id)) this.copies++
      else {
        const number = Number(id.slice(id.lastIndexOf(' ')))
        if (number <= latest) this.failures.push(new Error(`${id} was delivered behind ${latest} of ${topic}`))
        latest = number
      }
      this.delivered.add(id)
    }
  }

  /** undefined: nothing came. */
  async #received(consumer: Consumer): Promise<string | undefined> {
    try {
      const message = await consumer.receive(RECEIVE_MS)
      await consumer.acknowledge(message)
      return Buffer.from(message.data).toString()
    } catch (error) {
      if (!this.#isOver() && !/TIMEOUT/.test(String(error))) this.failures.push(error)
      return undefined
    }
  }

  /** It may be by now. */
  #isOver(): boolean {
    return this.#isDelivered
  }

  readonly #counts = new Map<string, number>()

  #countOf(topic: string): number {
    return this.#counts.get(topic) ?? 0
  }

  #noteGap(topic: string, gapMs: number): void {
    if (gapMs > (this.#longestMs.get(topic) ?? 0)) this.#longestMs.set(topic, gapMs)
  }
}

async function readInOrder(client: PulsarClient, topic: string, stored: Set<string>): Promise<void> {
  let latest = -1
  const reader = await client.createReader({ topic, startMessageId: MessageId.earliest })
  while (await reader.hasMessageAvailable()) {
    const id = Buffer.from((await reader.readNext(RECEIVE_MS)).data).toString()
    if (stored.has(id)) continue // sent again after a lost answer, as without deduplication it may be
    stored.add(id)
    const number = Number(id.slice(id.lastIndexOf(' ')))
    assert(number > latest, `${id} stands behind ${latest}`)
    latest = number
  }
  await reader.close()
}
