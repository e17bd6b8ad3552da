import { randomUUID } from 'node:crypto'
import { asError, reasonOf } from '@strata/base'
import { encodeSchemaVersion } from '@strata/schema'
import type { BrokerAddress } from '../../ownership/contract.ts'
import { schemaNameOf } from '../../namespace/schemas.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import type { TopicRecord } from '../../namespace/topic-records.ts'
import { pathOf } from '../../peers/http-peers.ts'
import { ask, jsonOf } from '../on-parts.ts'
import {
  bodyOf,
  isObject,
  json,
  numberParam,
  textOf,
  unreadable,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { topicOf } from './names.ts'
import { publishAll, type PublishedAt, type RestMessage } from './rest-publisher.ts'
import { encoded, messageSchema, schemaOfTopic, type MessageSchema } from './rest-encoding.ts'

/*
  Messages by HTTP: a request is a list of them, and its answer says of each where it is or why it is nowhere. A refusal of the whole is 500,
  as Apache Pulsar has it: clients look at nothing else.
*/

const FAILED = 'Fail to publish message: '
/** Of one message, in its answer. */
const NOT_PUBLISHED = 2
const NOT_PARTITIONED = -1

interface Batch {
  readonly schemaVersion: number
  readonly messages: readonly RestMessage[]
  /** As they came, for brokers that others' partitions are at. */
  readonly raw: Readonly<Record<string, unknown>>
}

interface Ack {
  readonly messageId: string
  readonly errorCode: number
  readonly errorMsg?: string
  readonly schemaVersion: number
}

/** To a topic, or to the partitions of one in turn. */
export async function produce(request: AdminRequest): Promise<AdminReply> {
  const body = messagesBody(request)
  const name = topicOf(request)
  const { partitions } = await requiredTarget(request, name)
  const batch = await batchOf(request, name, body)
  if (partitions === 0) return json(answerOf(batch, await publishTo(request, { part: name, batch })))
  const all: Promise<Ack[]>[] = []
  for (let index = 0; index < Math.min(partitions, batch.messages.length); index++) {
    const own = onlyOf(batch, at => at % partitions === index)
    all.push(publishTo(request, { part: name.partition(index), batch: own }))
  }
  const turns = (await Promise.all(all)).map(acks => acks.values())
  const acks = batch.messages.flatMap((_, at) => turns[at % partitions]?.next().value ?? [])
  return json(answerOf(batch, acks))
}

export async function produceToPartition(request: AdminRequest): Promise<AdminReply> {
  const index = numberParam(request, 'partition')
  const body = messagesBody(request)
  const name = topicOf(request)
  const { partitions } = await requiredTarget(request, name)
  const batch = await batchOf(request, name, body)
  if (index >= 0 && index < partitions) {
    return json(answerOf(batch, await publishTo(request, { part: name.partition(index), batch })))
  }
  const missing = batch.messages.map(() => failure(batch, String(index), 'Topic not owned by current broker.'))
  return json(answerOf(batch, missing))
}

function answerOf({ schemaVersion }: Batch, acks: readonly Ack[]): object {
  return { messagePublishResults: acks, schemaVersion }
}

function failure({ schemaVersion }: Batch, messageId: string, errorMsg: string): Ack {
  return { messageId, errorCode: NOT_PUBLISHED, errorMsg, schemaVersion }
}

function onlyOf(batch: Batch, isIn: (index: number) => boolean): Batch {
  const messages = batch.messages.filter((_, index) => isIn(index))
  const asked = Array.isArray(batch.raw.messages) ? (batch.raw.messages as unknown[]) : []
  return { ...batch, messages, raw: { ...batch.raw, messages: asked.filter((_, index) => isIn(index)) } }
}

/** @throws RestError 500 */
function messagesBody(request: AdminRequest): Record<string, unknown> {
  const body = bodyOf(request) ?? refuse(500, `${FAILED}the request is empty`)
  return isObject(body) ? body : unreadable('The body is not an object')
}

/** Nothing is made by producing over HTTP. @throws RestError 500 */
async function requiredTarget(request: AdminRequest, name: TopicName): Promise<TopicRecord> {
  const { tenancy, topics } = request.backend.namespaces
  const record = await topics.find(name)
  if (record !== undefined && !record.isDeleting) return record
  const isThere = (await tenancy.namespace(name.namespace)) !== undefined
  return refuse(500, `${FAILED}${isThere ? `Topic ${name.toString()} not found` : 'Namespace not found'}`)
}

async function batchOf(request: AdminRequest, name: TopicName, body: Record<string, unknown>): Promise<Batch> {
  const { schema, version } = await schemaOf(request, name, body)
  if (!Array.isArray(body.messages)) return refuse(500, `${FAILED}there is no list of messages`)
  const messages = (body.messages as unknown[]).map((message, index) => messageFrom(message, schema, index))
  return { schemaVersion: version, messages, raw: body }
}

/** That of the topic which the version names, or the one that the request describes, which the topic has from then on. */
async function schemaOf(
  request: AdminRequest,
  name: TopicName,
  body: Record<string, unknown>
): Promise<{ schema: MessageSchema; version: number }> {
  const { schemas } = request.backend
  const topic = schemaNameOf(name)
  if (typeof body.schemaVersion === 'number' && body.schemaVersion !== -1) {
    const { schemaVersion: version } = body
    const known = (await schemas.registry.get(topic, version)) ?? refuse(500, `${FAILED}no schema ${version}`)
    return { schema: schemaOfTopic(known), version }
  }
  const schema = messageSchema(body.keySchema, body.valueSchema) ?? refuse(500, 'Fail to add or retrieve schema.')
  try {
    return { schema, version: await schemas.registry.add(topic, schema.definition, await schemas.rules(name)) }
  } catch (error) {
    return refuse(500, `${FAILED}${reasonOf(error)}`)
  }
}

/** @throws RestError 500: Apache Pulsar stores an empty message where a value is none of its schema */
function messageFrom(message: unknown, { key, value }: MessageSchema, index: number): RestMessage {
  if (!isObject(message)) return refuse(500, `${FAILED}message ${index} is not an object`)
  const text = textOf(message.payload)
  const payload = encoded(text, value) ?? refuse(500, `${FAILED}message ${index} is none of schema ${value}`)
  const eventTimeMs = wholeOf(message.eventTime)
  return {
    payload,
    properties: propertiesOf(message.properties),
    ...keyOf(message.key, key, index),
    ...(eventTimeMs === undefined ? {} : { eventTimeMs }),
    sequenceId: wholeOf(message.sequenceId) ?? 0
  }
}

function keyOf(key: unknown, type: MessageSchema['key'], index: number): Pick<RestMessage, 'key' | 'isKeyBase64'> {
  if (typeof key !== 'string') return {}
  if (type === undefined) return { key }
  const bytes = encoded(key, type) ?? refuse(500, `${FAILED}the key of message ${index} is none of schema ${type}`)
  return { key: bytes.toString('base64'), isKeyBase64: true }
}

function propertiesOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  )
}

/** Also as text. */
function wholeOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(number) && (number as number) >= 0 ? (number as number) : undefined
}

// ---------------------------------------------------------------- publishing

interface Target {
  readonly part: TopicName
  readonly batch: Batch
}

/** Here, or by the broker that serves it. Never rejects: what failed is said of each message. */
async function publishTo(request: AdminRequest, target: Target): Promise<Ack[]> {
  const { part, batch } = target
  const index = part.isPartition ? part.partitionIndex : NOT_PARTITIONED
  try {
    const where = await request.backend.homes.find(part)
    if (where.kind === 'there') return await publishThere(request, where.broker, target)
    const producerName = textOf(batch.raw.producerName)
    const options = {
      producerName: producerName === '' ? 'RestProducer' : producerName,
      instance: `rest-${randomUUID()}`,
      schemaVersion: encodeSchemaVersion(batch.schemaVersion)
    }
    const all = await publishAll(request.backend, part, batch.messages, options)
    return all.map(at => ackOf(at, batch, index))
  } catch (error) {
    const reason = asError(error).message
    return batch.messages.map(() => failure(batch, String(index), reason))
  }
}

function ackOf(at: PublishedAt | string, batch: Batch, index: number): Ack {
  if (typeof at === 'string') return failure(batch, String(index), at)
  const messageId = `${at.ledgerId}:${at.entryId}:${index}`
  return { messageId, errorCode: 0, schemaVersion: batch.schemaVersion }
}

async function publishThere(request: AdminRequest, broker: BrokerAddress, { part, batch }: Target): Promise<Ack[]> {
  const body = Buffer.from(JSON.stringify(batch.raw))
  const base = pathOf(part.base)
  const path = `/topics/${base}${part.isPartition ? `/partitions/${part.partitionIndex}` : ''}`
  const { messagePublishResults } = jsonOf(await ask(request, broker, { method: 'POST', path, body })) as {
    messagePublishResults: Ack[]
  }
  return messagePublishResults
}
