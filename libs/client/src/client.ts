import { randomBytes } from 'node:crypto'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { BytePool, silentLogger, systemClock, type Clock, type Logger } from '@strata/base'
import { RE2JS } from 're2js'
import type { Authentication } from './authentication.ts'
import type { ClientContext, Closable } from './client-context.ts'
import { prepareCompression } from './compression.ts'
import { ConnectionPool } from './connection-pool.ts'
import { Consumer } from './consumer.ts'
import type { ConsumerOptions, ListeningConsumer } from './consumer-options.ts'
import { DeadLetters, deadLetterTopicsOf } from './dead-letter.ts'
import { clientErrors } from './errors.ts'
import { Lookup } from './lookup.ts'
import { PartitionedProducer } from './partitioned-producer.ts'
import type { Producer } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import { Reader, type ReaderOptions } from './reader.ts'
import { TopicProducer } from './topic-producer.ts'
import { parseTopic, withoutPartition, type TopicMode } from './topic-name.ts'

export interface ClientOptions {
  /** `pulsar://host:port[,host:port]`, `pulsar+ssl://`, or `http://` and `https://` to look topics up over HTTP. */
  readonly serviceUrl: string
  readonly authentication?: Authentication
  readonly tls?: TlsOptions
  /** Default 30 s. */
  readonly operationTimeoutMs?: number
  /** Default 10 s. */
  readonly connectTimeoutMs?: number
  /** Default 30 s. */
  readonly keepAliveMs?: number
  /** Bytes of messages without a receipt. Default 64 MB. */
  readonly memoryLimitBytes?: number
  /** In place of `memoryLimitBytes`: one limit for several clients of a process. */
  readonly memory?: BytePool
  /** Which of the addresses that a broker advertises. */
  readonly listenerName?: string
  /** Default 100 ms to 60 s. */
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number }
  /** How often partitions and topics of a pattern are looked up again. Default 60 s. */
  readonly discoveryMs?: number
  readonly redirectsMax?: number
  readonly logger?: Logger
  readonly clock?: Clock
}

const MEMORY_BYTES_DEFAULT = 64 * 1024 * 1024

/** A client of one cluster. Makes producers, consumers and readers, which share its connections. */
export class PulsarClient {
  readonly #context: ClientContext
  readonly #pool: ConnectionPool
  readonly #open = new Set<Closable>()
  #closed = false

  /** Connects to nothing yet. @throws INVALID_SERVICE_URL */
  constructor(options: ClientOptions) {
    const { clock = systemClock, logger = silentLogger, operationTimeoutMs = 30_000, authentication } = options
    const isTls = /^(pulsar\+ssl|https):/.test(options.serviceUrl)
    this.#pool = new ConnectionPool({
      authentication,
      tls: isTls ? (options.tls ?? {}) : undefined,
      clock,
      logger,
      operationTimeoutMs,
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      keepAliveMs: options.keepAliveMs ?? 30_000
    })
    const lookup = new Lookup({
      serviceUrl: options.serviceUrl,
      pool: this.#pool,
      authentication,
      listenerName: options.listenerName,
      operationTimeoutMs,
      redirectsMax: options.redirectsMax ?? 20
    })
    let nextProducerId = 0
    let nextConsumerId = 0
    this.#context = {
      pool: this.#pool,
      lookup,
      clock,
      logger,
      operationTimeoutMs,
      memory: options.memory ?? new BytePool('client', options.memoryLimitBytes ?? MEMORY_BYTES_DEFAULT),
      backoff: options.backoff ?? { initialMs: 100, maxMs: 60_000 },
      discoveryMs: options.discoveryMs ?? 60_000,
      nextProducerId: () => nextProducerId++,
      nextConsumerId: () => nextConsumerId++,
      forget: closable => this.#open.delete(closable)
    }
  }

  /** @throws what the broker refuses with, such as TOPIC_NOT_FOUND, PRODUCER_BUSY, NOT_AUTHORIZED */
  async createProducer(options: ProducerOptions): Promise<Producer> {
    this.#checkOpen()
    const { full: topic, partition } = parseTopic(options.topic)
    const resolved = { ...options, topic }
    if (options.compression === 'zstd') await prepareCompression()
    const partitions = partition >= 0 ? 0 : await this.#context.lookup.partitions(topic)
    const producer =
      partitions === 0
        ? await new TopicProducer(this.#context, resolved).open()
        : await new PartitionedProducer(this.#context, resolved).open(partitions)
    return await this.#keep(producer)
  }

  async subscribe(options: ConsumerOptions): Promise<Consumer> {
    this.#checkOpen()
    const given = [options.topic, options.topics, options.topicsPattern].filter(each => each !== undefined)
    if (given.length !== 1) {
      throw clientErrors.create('INVALID_OPTIONS', {
        reason: 'exactly one of topic, topics and topicsPattern is needed'
      })
    }
    await prepareCompression()
    const topics = [options.topic ?? [], options.topics ?? []].flat().map(topic => parseTopic(topic).full)
    const deadLetters = this.#deadLettersOf(topics[0], options)
    if (options.retryEnabled === true && topics[0] !== undefined)
      topics.push(deadLetterTopicsOf(topics[0], options).retry)
    const { topicsPattern } = options
    const consumer = new Consumer({
      context: this.#context,
      options,
      name: options.name ?? randomBytes(5).toString('hex'),
      deadLetters,
      discover:
        topicsPattern === undefined
          ? () => Promise.resolve(topics)
          : () => this.#matching(topicsPattern, options.patternMode ?? 'persistent')
    })
    return await this.#keep(await consumer.open())
  }

  async createReader(options: ReaderOptions): Promise<Reader> {
    const { listener, subscriptionPrefix = 'reader', subscription, ...rest } = options
    const consumer = await this.subscribe({
      ...rest,
      subscription: subscription ?? `${subscriptionPrefix}-${randomBytes(5).toString('hex')}`,
      isNonDurable: true,
      ackGroupMs: 1000,
      ...(listener === undefined ? {} : { listener: (message, self) => readWith(listener, message, self) })
    })
    return new Reader(consumer)
  }

  /** Full names of the partitions, or of the topic itself if it has none. */
  async getPartitions(topic: string): Promise<string[]> {
    const { full } = parseTopic(topic)
    const count = await this.#context.lookup.partitions(full)
    return count === 0 ? [full] : Array.from({ length: count }, (_, partition) => `${full}-partition-${partition}`)
  }

  /** Closes all that was opened, waiting for what was sent. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#open].map(each => each.close()))
    this.#pool.close()
  }

  /** Drops every connection at once; what was not acknowledged by the broker is lost. */
  shutdown(): void {
    this.#closed = true
    this.#pool.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw clientErrors.create('ALREADY_CLOSED', { what: 'client' })
  }

  async #keep<Each extends Closable>(closable: Each): Promise<Each> {
    this.#open.add(closable)
    if (!this.#closed) return closable
    await closable.close()
    throw clientErrors.create('ALREADY_CLOSED', { what: 'client' })
  }

  #deadLettersOf(topic: string | undefined, options: ConsumerOptions): DeadLetters | undefined {
    if (options.deadLetter === undefined && options.retryEnabled !== true) return undefined
    if (topic === undefined && options.deadLetter?.topic === undefined) {
      throw clientErrors.create('INVALID_OPTIONS', { reason: 'a pattern needs the name of its dead-letter topic' })
    }
    return new DeadLetters(topic ?? '', options, producerOptions => this.createProducer(producerOptions))
  }

  /** Partitions are told apart later, so that only base names come out. */
  async #matching(pattern: string, mode: TopicMode): Promise<string[]> {
    const bare = pattern.replace(/^(non-)?persistent:\/\//, '')
    const [tenant, namespace, ...rest] = bare.split('/')
    if (tenant === undefined || namespace === undefined || rest.length === 0) {
      throw clientErrors.create('INVALID_TOPIC', { topicsPattern: pattern })
    }
    const expression = RE2JS.compile(`^(?:${bare})$`)
    const { topics } = await this.#context.lookup.topics(`${tenant}/${namespace}`, mode)
    const names = new Set(topics.map(withoutPartition))
    return [...names].filter(name => expression.matches(name.replace(/^(non-)?persistent:\/\//, '')))
  }
}

async function readWith(
  listener: NonNullable<ReaderOptions['listener']>,
  message: Parameters<typeof listener>[0],
  consumer: ListeningConsumer
): Promise<void> {
  await listener(message)
  void consumer.acknowledgeCumulative(message).catch(() => undefined)
}
