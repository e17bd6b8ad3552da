import { randomInt } from 'node:crypto'
import { every } from '@strata/base'
import { javaStringHash, murmur3_32 } from '@strata/wire'
import type { ClientContext } from './client-context.ts'
import { clientErrors } from './errors.ts'
import type { MessageId } from './message-id.ts'
import type { Producer } from './producer.ts'
import type { ProducerMessage, ProducerOptions, SendCallback } from './producer-options.ts'
import { TopicProducer } from './topic-producer.ts'
import { partitionName } from './topic-name.ts'

/** Without keys, messages of one batching delay stay together: batches would otherwise be as many as partitions. */
const ROUND_ROBIN_SWITCH_MS = 10

/** Producers of all partitions of a topic; takes up partitions that are added. */
export class PartitionedProducer implements Producer {
  readonly topic: string
  readonly #context: ClientContext
  readonly #options: ProducerOptions
  #producers: TopicProducer[] = []
  #single = 0
  #roundRobin = 0
  #switchAtMs = 0
  #closed = false
  #stopDiscovery: () => void = () => undefined

  constructor(context: ClientContext, options: ProducerOptions) {
    this.topic = options.topic
    this.#context = context
    this.#options = options
  }

  async open(partitionCount: number): Promise<this> {
    await this.#grow(partitionCount)
    this.#single = randomInt(partitionCount)
    this.#roundRobin = this.#single
    const { clock, discoveryMs, lookup, logger } = this.#context
    this.#stopDiscovery = every(clock, discoveryMs, () => {
      lookup
        .partitions(this.topic)
        .then(count => this.#grow(count))
        .catch((error: unknown) => {
          logger.warn(
            { event: 'discovery.failed', topic: this.topic, err: error },
            'partitions will be looked up again'
          )
        })
    })
    return this
  }

  async #grow(partitionCount: number): Promise<void> {
    const opening: Promise<TopicProducer>[] = []
    for (let partition = this.#producers.length; partition < partitionCount; partition++) {
      const options = { ...this.#options, topic: partitionName(this.topic, partition) }
      opening.push(new TopicProducer(this.#context, options).open())
    }
    const outcomes = await Promise.allSettled(opening)
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    const opened = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    if (failed === undefined && !this.#closed) {
      this.#producers.push(...opened)
      return
    }
    await Promise.all(opened.map(producer => producer.close()))
    if (failed !== undefined) throw failed.reason
  }

  get name(): string {
    return this.#producers[0]?.name ?? this.#options.name ?? ''
  }

  get isConnected(): boolean {
    return this.#producers.every(producer => producer.isConnected)
  }

  get lastSequenceId(): bigint {
    return this.#producers.reduce((last, { lastSequenceId }) => (lastSequenceId > last ? lastSequenceId : last), -1n)
  }

  send(message: ProducerMessage): Promise<MessageId> {
    return this.#route(message).send(message)
  }

  sendNoWait(message: ProducerMessage, callback?: SendCallback): void {
    this.#route(message).sendNoWait(message, callback)
  }

  #route(message: ProducerMessage): TopicProducer {
    const count = this.#producers.length
    const partition = this.#partitionOf(message, count)
    const producer = this.#producers[partition]
    if (producer !== undefined) return producer
    throw clientErrors.create('INVALID_OPTIONS', { reason: 'the router chose no partition', partition, count })
  }

  #partitionOf(message: ProducerMessage, count: number): number {
    const { routing, hashing } = this.#options
    if (typeof routing === 'function') return routing(message, count)
    const key = message.keyBytes === undefined ? message.key : Buffer.from(message.keyBytes).toString('base64')
    if (key !== undefined) {
      const hash = hashing === 'murmur3-32' ? murmur3_32(Buffer.from(key)) & 0x7fffffff : javaStringHash(key)
      return hash % count
    }
    if (routing === 'single-partition') return this.#single % count
    const isBatching = this.#options.batching?.enabled ?? this.#options.chunking !== true
    const nowMs = isBatching ? this.#context.clock.nowMs() : Infinity
    if (nowMs >= this.#switchAtMs) {
      this.#roundRobin++
      if (isBatching)
        this.#switchAtMs = nowMs + Math.max(ROUND_ROBIN_SWITCH_MS, this.#options.batching?.delayMaxMs ?? 0)
    }
    return this.#roundRobin % count
  }

  async flush(): Promise<void> {
    await Promise.all(this.#producers.map(producer => producer.flush()))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopDiscovery()
    this.#context.forget(this)
    await Promise.all(this.#producers.map(producer => producer.close()))
  }
}
