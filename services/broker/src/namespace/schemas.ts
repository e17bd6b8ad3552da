import {
  decodeSchemaVersion,
  encodeSchemaVersion,
  isCompatibilityStrategy,
  isSchemaError,
  numberOfSchemaType,
  schemaTypeOfNumber,
  type SchemaDefinition,
  type SchemaRegistry,
  type SchemaRules,
  type StoredSchema as RegisteredSchema
} from '@strata/schema'
import type { BrokerSettings } from '../config/settings.ts'
import type { ClientSchema, SchemaDoor, StoredSchema } from '../connection/schema-door.ts'
import { brokerError } from '../errors.ts'
import type { PolicyStore } from './policies.ts'
import type { TopicName } from './topic-name.ts'
import type { TopicRecords } from './topic-records.ts'

/** What the registry calls a topic: partitions share the schemas of their topic, and both domains share a name's. */
export function schemaNameOf(topic: TopicName): string {
  return `${topic.namespace}/${topic.base.encodedLocalName}`
}

/** The registry under the policies of each topic, for connections. */
export class TopicSchemas implements SchemaDoor {
  readonly registry: SchemaRegistry
  readonly #policies: PolicyStore
  readonly #topics: Pick<TopicRecords, 'get'>
  readonly #settings: BrokerSettings

  constructor(options: {
    registry: SchemaRegistry
    policies: PolicyStore
    topics: Pick<TopicRecords, 'get'>
    settings: BrokerSettings
  }) {
    this.registry = options.registry
    this.#topics = options.topics
    this.#policies = options.policies
    this.#settings = options.settings
  }

  async find(topic: TopicName, version: Uint8Array | undefined): Promise<StoredSchema | undefined> {
    const name = schemaNameOf(topic)
    if (version === undefined) return clientSchemaOf(topic, await this.registry.latest(name))
    const number = decodeSchemaVersion(version)
    return number === undefined ? undefined : clientSchemaOf(topic, await this.registry.get(name, number))
  }

  async addOrCheck(topic: TopicName, schema: ClientSchema): Promise<Uint8Array> {
    const rules = await this.rules(topic)
    return this.#told(async () => {
      const version = await this.registry.add(schemaNameOf(topic), definitionOf(schema), rules)
      return encodeSchemaVersion(version)
    })
  }

  async checkConsumer(topic: TopicName, schema: ClientSchema): Promise<void> {
    const rules = await this.rules(topic)
    await this.#told(() => this.registry.checkConsumer(schemaNameOf(topic), definitionOf(schema), rules))
  }

  async hasSchema(topic: TopicName): Promise<boolean> {
    return (await this.registry.latest(schemaNameOf(topic))) !== undefined
  }

  /** The topic is gone for good, and its schemas with it. What only looks like a partition of one takes none along. */
  async forget(topic: TopicName): Promise<void> {
    if (topic.isPartition) return
    await this.registry.forget(schemaNameOf(topic))
  }

  async rules(topic: TopicName): Promise<SchemaRules & { readonly mayAdd: boolean }> {
    // schemas may come before their topic: then the namespace alone says
    const record = await this.#topics.get(topic.base)
    const policies =
      record === undefined ? await this.#policies.effective(topic.namespace) : await this.#policies.effectiveOf(record)
    const { schemaCompatibilityStrategy: name } = policies
    return {
      strategy: isCompatibilityStrategy(name) ? name : 'FULL',
      mayAdd: policies.isAllowAutoUpdateSchema,
      mayBeJackson: this.#settings.schemaJsonAllowLegacyJacksonFormat
    }
  }

  async #told<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run()
    } catch (error) {
      if (!isSchemaError(error)) throw error
      if (error.retryable || error.code === 'SCHEMA_ROW_UNREADABLE') {
        throw brokerError('MetadataError', error.message, error)
      }
      throw brokerError('IncompatibleSchema', error.message, error)
    }
  }
}

function definitionOf(schema: ClientSchema): SchemaDefinition {
  const type = schemaTypeOfNumber(schema.type)
  if (type === undefined) throw brokerError('IncompatibleSchema', 'The schema has an unknown type')
  return { type, data: schema.data, properties: schema.properties }
}

function clientSchemaOf(topic: TopicName, stored: RegisteredSchema | undefined): StoredSchema | undefined {
  if (stored === undefined) return undefined
  return {
    name: schemaNameOf(topic),
    type: Math.max(0, numberOfSchemaType(stored.type)),
    data: stored.data,
    properties: stored.properties,
    version: encodeSchemaVersion(stored.version)
  }
}
