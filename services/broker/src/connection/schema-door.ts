import type { TopicName } from '../namespace/topic-name.ts'

/** A schema as clients carry it; `type` is the protocol's Schema.Type. */
export interface ClientSchema {
  readonly name: string
  readonly type: number
  readonly data: Uint8Array
  readonly properties: Readonly<Record<string, string>>
}

export interface StoredSchema extends ClientSchema {
  /** Eight bytes, big-endian. */
  readonly version: Uint8Array
}

/** Schemas of topics, as connections need them. Partitions share those of their topic. */
export interface SchemaDoor {
  /** undefined: none, or not that version. */
  find(topic: TopicName, version: Uint8Array | undefined): Promise<StoredSchema | undefined>
  /** The version under which it is known, registered if it is new and allowed. @throws BrokerError IncompatibleSchema */
  addOrCheck(topic: TopicName, schema: ClientSchema): Promise<Uint8Array>
  /** Can a consumer with this schema read what is there? @throws BrokerError IncompatibleSchema */
  checkConsumer(topic: TopicName, schema: ClientSchema): Promise<void>
  hasSchema(topic: TopicName): Promise<boolean>
}
