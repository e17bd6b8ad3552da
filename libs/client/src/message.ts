import type { Properties } from '@strata/wire'
import type { MessageId } from './message-id.ts'

/** Where a message came from; told when an application takes it. */
export interface MessageSource {
  onTaken(message: Message): void
}

export interface MessageFields {
  readonly id: MessageId
  readonly topic: string
  readonly data: Buffer
  readonly properties: Properties
  readonly key: string | undefined
  readonly isKeyBase64: boolean
  readonly orderingKey: Buffer | undefined
  readonly publishTimeMs: number
  readonly eventTimeMs: number
  readonly producerName: string
  readonly sequenceId: bigint
  readonly redeliveryCount: number
  readonly isNullValue: boolean
  readonly schemaVersion: Buffer | undefined
  readonly replicatedFrom: string | undefined
  /** Of the message in its topic, and when the broker took it, if the broker tells. */
  readonly index: number | undefined
  readonly brokerPublishTimeMs: number | undefined
  readonly source: MessageSource
}

/**
 * A received message. `data` is a window into what was read from the socket: copy it if you keep it for long, since it
 * keeps up to 64 KB of its neighbours in memory.
 */
export class Message {
  readonly #fields: MessageFields

  constructor(fields: MessageFields) {
    this.#fields = fields
  }

  get id(): MessageId {
    return this.#fields.id
  }

  get topic(): string {
    return this.#fields.topic
  }

  get data(): Buffer {
    return this.#fields.data
  }

  /** `data` as UTF-8. */
  get text(): string {
    return this.#fields.data.toString('utf8')
  }

  get properties(): Properties {
    return this.#fields.properties
  }

  /** As text; a key that is not text is in base64. */
  get key(): string | undefined {
    return this.#fields.key
  }

  get keyBytes(): Buffer | undefined {
    const { key, isKeyBase64 } = this.#fields
    return key === undefined ? undefined : Buffer.from(key, isKeyBase64 ? 'base64' : 'utf8')
  }

  get orderingKey(): Buffer | undefined {
    return this.#fields.orderingKey
  }

  /** Milliseconds since 1970, of the producer's clock. */
  get publishTimeMs(): number {
    return this.#fields.publishTimeMs
  }

  /** 0 if the producer gave none. */
  get eventTimeMs(): number {
    return this.#fields.eventTimeMs
  }

  get producerName(): string {
    return this.#fields.producerName
  }

  get sequenceId(): bigint {
    return this.#fields.sequenceId
  }

  /** How often the broker delivered it before, as far as it knows. */
  get redeliveryCount(): number {
    return this.#fields.redeliveryCount
  }

  get isNullValue(): boolean {
    return this.#fields.isNullValue
  }

  get schemaVersion(): Buffer | undefined {
    return this.#fields.schemaVersion
  }

  get replicatedFrom(): string | undefined {
    return this.#fields.replicatedFrom
  }

  get index(): number | undefined {
    return this.#fields.index
  }

  get brokerPublishTimeMs(): number | undefined {
    return this.#fields.brokerPublishTimeMs
  }

  /** Not for applications. */
  get source(): MessageSource {
    return this.#fields.source
  }
}
