import {
  isSchemaError,
  isSchemaType,
  joinKeyValue,
  splitKeyValue,
  type SchemaDefinition,
  type StoredSchema
} from '@strata/schema'
import { schemaNameOf } from '../../namespace/schemas.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import {
  json,
  numberParam,
  objectBody,
  propertiesOf,
  textOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { topicOf } from './names.ts'

export async function getSchema(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  return json(
    shown((await request.backend.schemas.registry.latest(schemaNameOf(name))) ?? refuse(404, 'Schema not found'))
  )
}

export async function getSchemaVersion(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  const schema = await request.backend.schemas.registry.get(schemaNameOf(name), numberParam(request, 'version'))
  return json(shown(schema ?? refuse(404, 'Schema not found')))
}

export async function listSchemas(request: AdminRequest): Promise<AdminReply> {
  const schemas = await request.backend.schemas.registry.list(schemaNameOf(await namedTopic(request)))
  return json({ getSchemaResponses: schemas.map(shown) })
}

export async function postSchema(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  const { strategy } = await request.backend.schemas.rules(name)
  const version = await request.backend.schemas.registry.add(schemaNameOf(name), definitionOf(request), {
    strategy,
    mayAdd: true
  })
  return json({ version: { version } })
}

export async function deleteSchema(request: AdminRequest): Promise<AdminReply> {
  const name = schemaNameOf(await namedTopic(request))
  const version = await request.backend.schemas.registry.delete(name)
  return json({ version })
}

/** Says no with a reason too, beside what Pulsar says. */
export async function testCompatibility(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  const { strategy: schemaCompatibilityStrategy } = await request.backend.schemas.rules(name)
  try {
    await request.backend.schemas.registry.check(schemaNameOf(name), definitionOf(request), schemaCompatibilityStrategy)
    return json({ schemaCompatibilityStrategy, compatibility: true }, 202)
  } catch (error) {
    if (!isSchemaError(error, 'SCHEMA_INCOMPATIBLE')) throw error
    return json({ schemaCompatibilityStrategy, compatibility: false, reason: error.message }, 202)
  }
}

/** -1 where no version has this schema. */
export async function findVersion(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  return json({
    version: (await request.backend.schemas.registry.find(schemaNameOf(name), definitionOf(request))) ?? -1
  })
}

/** Schemas may come before their topic, but not before its namespace. */
async function namedTopic(request: AdminRequest): Promise<TopicName> {
  const name = topicOf(request)
  const info = await request.backend.namespaces.tenancy.namespace(name.namespace)
  if (info === undefined) refuse(404, 'Namespace not found')
  return name
}

function definitionOf(request: AdminRequest): SchemaDefinition {
  const body = objectBody(request)
  const type = textOf(body.type)
  if (!isSchemaType(type) || type === 'AUTO_CONSUME') return refuse(422, 'There is no such schema type')
  const text = textOf(body.schema)
  const data = type === 'KEY_VALUE' ? keyValueData(text) : Buffer.from(text)
  return { type, data, properties: propertiesOf(body.properties) }
}

/** `{"key": …, "value": …}`, each a definition or the text of one. */
function keyValueData(text: string): Uint8Array {
  try {
    const { key, value } = JSON.parse(text) as { key?: unknown; value?: unknown }
    return joinKeyValue(definitionBytes(key), definitionBytes(value))
  } catch {
    return refuse(422, 'Invalid schema definition data for KEY_VALUE schema')
  }
}

function definitionBytes(value: unknown): Buffer {
  if (value === undefined || value === null || value === '') return Buffer.alloc(0)
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

function shown(schema: StoredSchema): Record<string, unknown> {
  const { version, type, createdAtMs, properties } = schema
  return { version, type, timestamp: createdAtMs, data: dataText(schema), properties }
}

function dataText(schema: StoredSchema): string {
  if (schema.type !== 'KEY_VALUE') return Buffer.from(schema.data).toString('utf8')
  const { key, value } = splitKeyValue(schema)
  return JSON.stringify({ key: partValue(key.data), value: partValue(value.data) })
}

/** A definition as JSON where it is JSON; `""` for a primitive type. */
function partValue(data: Uint8Array): unknown {
  const text = Buffer.from(data).toString('utf8')
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
