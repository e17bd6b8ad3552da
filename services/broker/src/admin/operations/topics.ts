import { isNamespaceError } from '../../namespace/errors.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import type { TopicRecord } from '../../namespace/topic-records.ts'
import type { AdminBackend } from '../backend.ts'
import {
  bodyOf,
  done,
  flag,
  isObject,
  json,
  propertiesBody,
  propertiesOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { partsOfTopic, requiredPersistent, requiredRecord, topicNotFound, topicOf } from './names.ts'

// ---------------------------------------------------------------- creating

export async function createTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const { topics } = request.backend.namespaces
  await requireNamespaceOfTopic(request)
  if (name.isPartition) {
    const record = await topics.find(name)
    if (record !== undefined) refuse(409, 'This topic already exists')
    refuse(
      412,
      `Can't create topic ${name.localName} with "-partition-" followed by numeric value if there isn't a partitioned topic ${name.base.localName} created.`
    )
  }
  await topics.create(name, { partitions: 0, properties: propertiesBody(request) })
  // a non-persistent topic exists by being in memory
  if (!name.isPersistent) await request.backend.topics.load(name, { mayCreate: false })
  return done()
}

/** Body: a number, or an object of `partitions` and `properties`. */
export async function createPartitionedTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const { partitions, properties } = partitionsBody(request)
  if (partitions <= 0) refuse(406, 'Number of partitions should be more than 0')
  await requireNamespaceOfTopic(request)
  if (name.isPartition) refuse(412, "Partitioned Topic Name should not contain '-partition-'")
  await request.backend.namespaces.topics.create(name, { partitions, properties })
  return done()
}

export async function getPartitions(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const { topics } = request.backend.namespaces
  await requireNamespaceOfTopic(request)
  const record = await topics.find(name)
  if (record === undefined || record.isDeleting) {
    if (!flag(request, 'checkAllowAutoCreation')) topicNotFound(name)
    return json({ partitions: await topics.partitionsOf(name, { mayCreate: true }), deleted: false })
  }
  if (name.isPartition) return json({ partitions: 0, deleted: false })
  const { partitions, properties } = record
  return json({ partitions, ...(Object.keys(properties).length > 0 ? { properties } : {}), deleted: false })
}

/** More partitions; subscriptions of the topic are made on the new ones, from their beginning. */
export async function updatePartitions(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const { partitions } = partitionsBody(request)
  if (partitions <= 0) refuse(406, 'Number of partitions should be more than 0')
  const { maxNumPartitionsPerPartitionedTopic: max } = request.backend.settings
  if (max > 0 && partitions > max) refuse(406, `Number of partitions should be less than or equal to ${max}`)
  const record = await request.backend.namespaces.topics.get(name)
  if (record === undefined || record.partitions === 0) {
    return refuse(409, `Topic ${name.toString()} is not the partitioned topic.`)
  }
  requireNoFewer(record, partitions)
  const before = record.partitions
  const changed = await request.backend.namespaces.topics.change(name, current => {
    requireNoFewer(current, partitions)
    return { partitions }
  })
  await extendSubscriptions(request.backend, changed, before)
  return done()
}

function requireNoFewer(record: TopicRecord, partitions: number): void {
  if (partitions < record.partitions) {
    refuse(422, `Desired partitions ${partitions} can't be less than the current partitions ${record.partitions}.`)
  }
}

async function extendSubscriptions(backend: AdminBackend, record: TopicRecord, before: number): Promise<void> {
  if (!record.name.isPersistent || record.partitions === before) return
  const first = await backend.topics.load(record.name.partition(0), { mayCreate: false })
  const durable = [...first.subscriptions.values()].filter(subscription => subscription.isDurable)
  if (durable.length === 0) return
  for (let index = before; index < record.partitions; index++) {
    const topic = await backend.topics.load(record.name.partition(index), { mayCreate: false })
    for (const { name, cursor } of durable) {
      if (topic.subscriptions.has(name)) continue
      await topic.createSubscription(name, { position: 'earliest', properties: cursor?.properties ?? {} })
    }
  }
}

/** Partitions are a number in the topic's record, so none is ever missing. */
export async function createMissedPartitions(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.get(name)
  if (record === undefined || record.partitions === 0) {
    return refuse(404, `Topic ${name.toString()} not found or not partitioned`)
  }
  return done()
}

function partitionsBody(request: AdminRequest): { partitions: number; properties: Record<string, string> } {
  const body = bodyOf(request)
  const asked = isObject(body) ? body.partitions : body
  if (typeof asked !== 'number' || !Number.isSafeInteger(asked) || asked > 0x7fff_ffff) {
    return refuse(400, 'The number of partitions is not a number')
  }
  return { partitions: asked, properties: isObject(body) ? propertiesOf(body.properties) : {} }
}

async function requireNamespaceOfTopic(request: AdminRequest): Promise<void> {
  const { namespace } = topicOf(request)
  const info = await request.backend.namespaces.tenancy.namespace(namespace)
  if (info === undefined || info.isDeleting) refuse(404, 'Namespace not found')
}

// ---------------------------------------------------------------- deleting

export async function deleteTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const force = flag(request, 'force')
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && name.isPartition) {
    await deleting(() => request.backend.topics.deletePartitionData(name, { force }))
    return done()
  }
  if (record.partitions > 0) {
    refuse(
      409,
      `${name.toString()} is a partitioned topic, instead of calling delete topic, please call delete-partitioned-topic.`
    )
  }
  await deleteWholeTopic(request.backend, name, { force })
  return done()
}

export async function deletePartitionedTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.get(name)
  if (record === undefined || record.partitions === 0) refuse(404, `Topic ${name.toString()} not found.`)
  await deleteWholeTopic(request.backend, name, { force: flag(request, 'force') })
  return done()
}

export async function deleteWholeTopic(
  backend: AdminBackend,
  name: TopicName,
  options: { force: boolean }
): Promise<void> {
  await deleting(() => backend.topics.delete(name, options))
}

/** @throws RestError 412 while somebody is connected */
async function deleting(run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (isNamespaceError(error, 'NOT_EMPTY')) refuse(412, error.message)
    throw error
  }
}

// ---------------------------------------------------------------- life

export async function unloadTopic(request: AdminRequest): Promise<AdminReply> {
  for (const part of await partsOfTopic(request, topicOf(request))) await request.backend.topics.unload(part)
  return done()
}

export async function truncateTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  if (!name.isPersistent) refuse(412, 'unsupport truncate')
  for (const part of await partsOfTopic(request, name)) {
    const topic = await requiredPersistent(request, part, 'Truncate')
    for (const subscription of topic.subscriptions.values()) await subscription.skipAll()
    await topic.log.trim()
  }
  return done()
}

export async function trimTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  for (const part of await partsOfTopic(request, name)) {
    const topic = await requiredPersistent(request, part, 'Trim')
    await topic.log.trim()
  }
  return done()
}

// ---------------------------------------------------------------- properties

export async function getProperties(request: AdminRequest): Promise<AdminReply> {
  return json((await requiredRecord(request, topicOf(request))).properties)
}

export async function putProperties(request: AdminRequest): Promise<AdminReply> {
  const properties = propertiesBody(request)
  const { name } = await requiredRecord(request, topicOf(request))
  await request.backend.namespaces.topics.change(name, current => ({
    properties: { ...current.properties, ...properties }
  }))
  return done()
}

export async function removeProperty(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredRecord(request, topicOf(request))
  const key = request.query.key ?? refuse(400, 'The key of the property is missing')
  await request.backend.namespaces.topics.change(name, current => {
    const rest = Object.entries(current.properties).filter(([other]) => other !== key)
    return { properties: Object.fromEntries(rest) }
  })
  return done()
}
