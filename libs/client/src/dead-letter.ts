import type { ConsumerOptions } from './consumer-options.ts'
import type { Message } from './message.ts'
import type { Producer } from './producer.ts'
import type { ProducerMessage, ProducerOptions } from './producer-options.ts'

/** Properties by which Pulsar's clients know each other's retried and dead-lettered messages. */
const RECONSUME_TIMES = 'RECONSUMETIMES'
const DELAY_TIME = 'DELAY_TIME'
const REAL_TOPIC = 'REAL_TOPIC'
const REAL_SUBSCRIPTION = 'REAL_SUBSCRIPTION'
const ORIGIN_MESSAGE_ID = 'ORIGIN_MESSAGE_ID'
/** As the Java client spells it. */
const ORIGIN_MESSAGE_ID_LEGACY = 'ORIGIN_MESSAGE_IDY_TIME'

export interface DeadLetterTopics {
  readonly deadLetter: string
  readonly retry: string
}

export function deadLetterTopicsOf(topic: string, options: ConsumerOptions): DeadLetterTopics {
  const { deadLetter, subscription } = options
  return {
    deadLetter: deadLetter?.topic ?? `${topic}-${subscription}-DLQ`,
    retry: deadLetter?.retryTopic ?? `${topic}-${subscription}-RETRY`
  }
}

/** Publishes what cannot be processed, or not now, elsewhere. Producers are made when the first message needs them. */
export class DeadLetters {
  readonly #options: ConsumerOptions
  readonly #topics: DeadLetterTopics
  readonly #createProducer: (options: ProducerOptions) => Promise<Producer>
  #deadLetterProducer: Promise<Producer> | undefined
  #retryProducer: Promise<Producer> | undefined

  constructor(
    topic: string,
    options: ConsumerOptions,
    createProducer: (options: ProducerOptions) => Promise<Producer>
  ) {
    this.#options = options
    this.#topics = deadLetterTopicsOf(topic, options)
    this.#createProducer = createProducer
  }

  async sendDeadLetter(message: Message): Promise<void> {
    const { deadLetter } = this.#options
    this.#deadLetterProducer ??= this.#create(this.#topics.deadLetter, deadLetter?.initialSubscriptionName)
    await this.#send('dead-letter', this.#deadLetterProducer, copyOf(message, this.#originOf(message)))
  }

  /** To the retry topic, or to the dead-letter topic if it was there often enough. */
  async retry(message: Message, delayMs: number, properties: Readonly<Record<string, string>> = {}): Promise<void> {
    const times = Number(message.properties[RECONSUME_TIMES] ?? 0) + 1
    const { deadLetter } = this.#options
    if (deadLetter !== undefined && times > deadLetter.redeliveriesMax) {
      await this.sendDeadLetter(message)
      return
    }
    this.#retryProducer ??= this.#create(this.#topics.retry, undefined)
    const extra = {
      ...this.#originOf(message),
      ...properties,
      [RECONSUME_TIMES]: String(times),
      [DELAY_TIME]: String(delayMs)
    }
    await this.#send('retry', this.#retryProducer, { ...copyOf(message, extra), deliverAfterMs: delayMs })
  }

  #originOf(message: Message): Record<string, string> {
    const origin = message.properties[ORIGIN_MESSAGE_ID] ?? message.id.toString()
    return {
      [REAL_TOPIC]: message.properties[REAL_TOPIC] ?? message.topic,
      [REAL_SUBSCRIPTION]: this.#options.subscription,
      [ORIGIN_MESSAGE_ID]: origin,
      [ORIGIN_MESSAGE_ID_LEGACY]: origin
    }
  }

  #create(topic: string, initialSubscriptionName: string | undefined): Promise<Producer> {
    const initial = initialSubscriptionName === undefined ? {} : { initialSubscriptionName }
    return this.#createProducer({ topic, batching: { enabled: false }, blockIfQueueFull: true, ...initial })
  }

  /** A producer that could not be made is made anew the next time. */
  async #send(which: 'dead-letter' | 'retry', opening: Promise<Producer>, message: ProducerMessage): Promise<void> {
    let producer: Producer
    try {
      producer = await opening
    } catch (error) {
      if (which === 'retry') this.#retryProducer = undefined
      else this.#deadLetterProducer = undefined
      throw error
    }
    await producer.send(message)
  }

  async close(): Promise<void> {
    for (const opening of [this.#deadLetterProducer, this.#retryProducer]) {
      const producer = await opening?.catch(() => undefined)
      await producer?.close()
    }
  }
}

function copyOf(message: Message, properties: Readonly<Record<string, string>>): ProducerMessage {
  const { data, keyBytes, orderingKey, eventTimeMs } = message
  return {
    data,
    properties: { ...message.properties, ...properties },
    ...(keyBytes === undefined ? {} : { key: keyBytes.toString('utf8') }),
    ...(orderingKey === undefined ? {} : { orderingKey }),
    ...(eventTimeMs === 0 ? {} : { eventTimeMs })
  }
}
