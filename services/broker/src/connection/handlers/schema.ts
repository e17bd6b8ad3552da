import type { Schema_Type } from '@strata/wire'
import { type CommandBody } from '@strata/wire'
import { resourceOf } from '../../auth/access.ts'
import { requireAllowed } from '../../auth/require.ts'
import { brokerError } from '../../errors.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import { wireAnswerOf } from '../../topic/client-error.ts'
import type { ConnectionContext } from '../context.ts'
import type { StoredSchema } from '../schema-door.ts'
import { clientSchemaOf } from './fields.ts'
import { producerSchema } from './producer.ts'

export function handleGetSchema(connection: ConnectionContext, request: CommandBody<'getSchema'>): void {
  const { requestId } = request
  const refuse = (error: unknown): void => {
    const { error: errorCode, message: errorMessage } = wireAnswerOf(error)
    connection.reply('getSchemaResponse', { requestId, errorCode, errorMessage })
  }
  connection.answerWith(async () => {
    const name = TopicName.parse(request.topic)
    await requireAllowed(connection, () => ({
      permission: 'lookup',
      resource: resourceOf(name),
      asking: 'get the schema'
    }))
    const hasVersion = Object.hasOwn(request, 'schemaVersion')
    if (hasVersion && request.schemaVersion.length === 0) {
      throw brokerError('IncompatibleSchema', 'Empty schema version')
    }
    const schema = await connection.services.schemas.find(name.base, hasVersion ? request.schemaVersion : undefined)
    if (schema === undefined) throw brokerError('TopicNotFound', `Topic not found or no-schema ${request.topic}`)
    connection.reply('getSchemaResponse', { requestId, schema: wireSchemaOf(schema), schemaVersion: schema.version })
  }, refuse)
}

/** Only on a topic that is loaded: a client that may produce asks, and its producer has loaded it. */
export function handleGetOrCreateSchema(
  connection: ConnectionContext,
  request: CommandBody<'getOrCreateSchema'>
): void {
  const { requestId } = request
  const refuse = (error: unknown): void => {
    const { error: errorCode, message: errorMessage } = wireAnswerOf(error)
    connection.reply('getOrCreateSchemaResponse', { requestId, errorCode, errorMessage })
  }
  connection.answerWith(async () => {
    const name = TopicName.parse(request.topic)
    await requireAllowed(connection, () => ({
      permission: 'produce',
      resource: resourceOf(name),
      asking: 'add a schema'
    }))
    const topic = connection.services.topics.find(name)
    if (topic === undefined) throw brokerError('TopicNotFound', `Topic not found ${name.toString()}`)
    const schemaVersion = await producerSchema(connection, topic, clientSchemaOf(request.schema))
    connection.reply('getOrCreateSchemaResponse', { requestId, schemaVersion })
  }, refuse)
}

function wireSchemaOf(schema: StoredSchema): {
  name: string
  schemaData: Uint8Array
  type: Schema_Type
  properties: { key: string; value: string }[]
} {
  return {
    name: schema.name,
    schemaData: schema.data,
    type: schema.type as Schema_Type,
    properties: Object.entries(schema.properties).map(([key, value]) => ({ key, value }))
  }
}
