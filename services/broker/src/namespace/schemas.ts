import {
  decodeSchemaVersion,
  encodeSchemaVersion,
  isCompatibilityStrategy,
  isSchemaError,
  numberOfSchemaType,
  schemaTypeOfNumber,
  type CompatibilityStrategy,
  type SchemaDefinition,
  type SchemaRegistry,
  type StoredSchema as RegisteredSchema
} from '@strata/schema'
import type { ClientSchema, SchemaDoor, StoredSchema } from '../connection/schema-door.ts'
import { brokerError } from '../errors.ts'
import type { PolicyStore } from './policies.ts'
import type { TopicName } from './topic-name.ts'

/** What the registry calls a topic: partitions share the schemas of their topic, and both domains share a name's. */
export function schemaNameOf(topic: TopicName): string {
  return `${topic.namespace}/${topic.base.encodedLocalName}`
}

/** The registry under the policies of each topic's namespace, for connections. */
export class TopicSchemas implements SchemaDoor {
  readonly registry: SchemaRegistry
  readonly #policies: PolicyStore

  constructor(registry: SchemaRegistry, policies: PolicyStore) {
    this.registry = registry
    this.#policies = policies
  }

  async find(topic: TopicName, version: Uint8Array | undefined): Promise<StoredSchema | undefined> {
    const name = schemaNameOf(topic)
    if (version === undefined) return clientSchemaOf(topic, await this.registry.latest(name))
    const number = decodeSchemaVersion(version)
    return number === undefined ? undefined : clientSchemaOf(topic, await this.registry.get(name, number))
  }

  async addOrCheck(topic: TopicName, schema: ClientSchema): Promise<Uint8Array> {
    const { strategy, mayAdd } = await this.rules(topic)
    return this.#told(async () => {
      const version = await this.registry.add(schemaNameOf(topic), definitionOf(schema), { strategy, mayAdd })
      return encodeSchemaVersion(version)
    })
  }

  async checkConsumer(topic: TopicName, schema: ClientSchema): Promise<void> {
    const { strategy } = await this.rules(topic)
    await this.#told(() => this.registry.checkConsumer(schemaNameOf(topic), definitionOf(schema), strategy))
  }

  async hasSchema(topic: TopicName): Promise<boolean> {
    return (await this.registry.latest(schemaNameOf(topic))) !== undefined
  }

  /** The topic is gone for good, and its schemas with it. */
  async forget(topic: TopicName): Promise<void> {
    await this.registry.forget(schemaNameOf(topic))
  }

  async rules(topic: TopicName): Promise<{ strategy: CompatibilityStrategy; mayAdd: boolean }> {
    const policies = await this.#policies.effective(topic.namespace)
    const { schemaCompatibilityStrategy: name } = policies
    return { strategy: isCompatibilityStrategy(name) ? name : 'FULL', mayAdd: policies.isAllowAutoUpdateSchema }
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
    name: topic.base.localName,
    type: Math.max(0, numberOfSchemaType(stored.type)),
    data: stored.data,
    properties: stored.properties,
    version: encodeSchemaVersion(stored.version)
  }
}
