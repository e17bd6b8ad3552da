import {
  isSchemaError,
  isSchemaType,
  keyValueDefinition,
  keyValueText,
  type SchemaDefinition,
  type StoredSchema
} from '@strata/schema'
import { schemaNameOf } from '../../namespace/schemas.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import {
  done,
  flag,
  json,
  numberParam,
  objectBody,
  param,
  propertiesOf,
  textOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredNamespace, topicOf } from './names.ts'

/** Where Apache Pulsar tells ledgers of schemas: here they are rows. */
const NO_LEDGER = { ledgerId: -1, entryId: 0 } as const
/** What is answered for a deletion that leaves no trace, numbering included. */
const FORGOTTEN = -1

export async function getSchema(request: AdminRequest): Promise<AdminReply> {
  const schema = await request.backend.schemas.registry.latest(schemaNameOf(topicOf(request)))
  return json(shown(schema ?? refuse(404, 'Schema not found')))
}

export async function getSchemaVersion(request: AdminRequest): Promise<AdminReply> {
  const name = schemaNameOf(topicOf(request))
  const schema = await request.backend.schemas.registry.get(name, numberParam(request, 'version'))
  return json(shown(schema ?? refuse(404, 'Schema not found')))
}

export async function listSchemas(request: AdminRequest): Promise<AdminReply> {
  const schemas = await request.backend.schemas.registry.list(schemaNameOf(topicOf(request)))
  return json({ getSchemaResponses: schemas.map(shown) })
}

/** The numbers of the versions there are; nothing where there is none. */
export async function getSchemaMetadata(request: AdminRequest): Promise<AdminReply> {
  const schemas = await request.backend.schemas.registry.list(schemaNameOf(topicOf(request)))
  const index = schemas.map(({ version }) => ({ ...NO_LEDGER, version }))
  const info = index.at(-1)
  return info === undefined ? done(200) : json({ info, index })
}

/** An administrator may add where producers may not. */
export async function postSchema(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  const rules = await request.backend.schemas.rules(name)
  const version = await request.backend.schemas.registry.add(schemaNameOf(name), definitionOf(request), {
    ...rules,
    mayAdd: true
  })
  return json({ version: { version } })
}

export async function deleteSchema(request: AdminRequest): Promise<AdminReply> {
  const { registry } = request.backend.schemas
  const { tenancy } = request.backend.namespaces
  const topic = topicOf(request)
  const isThere = (await tenancy.namespace(topic.namespace)) !== undefined
  // what went with its namespace is deleted already
  if (!isThere && (await tenancy.tenant(param(request, 'tenant'))) !== undefined) return json({ version: FORGOTTEN })
  const name = schemaNameOf(await namedTopic(request))
  if (!flag(request, 'force')) return json({ version: await registry.delete(name) })
  await registry.forget(name)
  return json({ version: FORGOTTEN })
}

/** Says no with a reason too, beside what Pulsar says. */
export async function testCompatibility(request: AdminRequest): Promise<AdminReply> {
  const name = await namedTopic(request)
  const rules = await request.backend.schemas.rules(name)
  const { strategy: schemaCompatibilityStrategy } = rules
  try {
    await request.backend.schemas.registry.check(schemaNameOf(name), definitionOf(request), rules)
    return json({ schemaCompatibilityStrategy, compatibility: true }, 202)
  } catch (error) {
    if (!isSchemaError(error, 'SCHEMA_INCOMPATIBLE')) throw error
    return json({ schemaCompatibilityStrategy, compatibility: false, reason: error.message }, 202)
  }
}

/** -1 where no version has this schema. */
export async function findVersion(request: AdminRequest): Promise<AdminReply> {
  const name = schemaNameOf(topicOf(request))
  return json({ version: (await request.backend.schemas.registry.find(name, definitionOf(request))) ?? -1 })
}

/** Schemas may come before their topic, but not before its namespace. */
async function namedTopic(request: AdminRequest): Promise<TopicName> {
  const name = topicOf(request)
  await requiredNamespace(request)
  return name
}

function definitionOf(request: AdminRequest): SchemaDefinition {
  const body = objectBody(request)
  const type = textOf(body.type)
  if (!isSchemaType(type)) return refuse(422, 'There is no such schema type')
  const text = textOf(body.schema)
  const data = type === 'KEY_VALUE' ? keyValueDefinition(text) : Buffer.from(text)
  return { type, data, properties: propertiesOf(body.properties) }
}

function shown(schema: StoredSchema): Record<string, unknown> {
  const { version, type, createdAtMs, properties } = schema
  return { version, type, timestamp: createdAtMs, data: dataText(schema), properties }
}

function dataText(schema: StoredSchema): string {
  return schema.type === 'KEY_VALUE' ? keyValueText(schema) : Buffer.from(schema.data).toString('utf8')
}
