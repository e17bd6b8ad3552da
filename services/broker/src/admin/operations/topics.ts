import { isNamespaceError } from '../../namespace/errors.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import type { TopicRecord } from '../../namespace/topic-records.ts'
import type { Topic } from '../../topic/topic.ts'
import type { AdminBackend } from '../backend.ts'
import { allOf, jsonOf, onParts, requireDone } from '../on-parts.ts'
import {
  bodyOf,
  done,
  flag,
  isObject,
  json,
  missingBody,
  propertiesBody,
  propertiesOf,
  requireBounded,
  unreadable,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import {
  partsOfTopic,
  requiredPersistent,
  requiredRecord,
  requireNamespaceOfTopic,
  topicNotFound,
  topicOf
} from './names.ts'

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
  await extendSubscriptions(request, changed, before)
  return done()
}

function requireNoFewer(record: TopicRecord, partitions: number): void {
  if (partitions < record.partitions) {
    refuse(422, `Desired partitions ${partitions} can't be less than the current partitions ${record.partitions}.`)
  }
}

interface DurableSubscription {
  readonly name: string
  readonly properties: Readonly<Record<string, string>>
}

async function extendSubscriptions(request: AdminRequest, record: TopicRecord, before: number): Promise<void> {
  if (!record.name.isPersistent || record.partitions === before) return
  const { topics } = request.backend
  const [durable = []] = allOf(
    await onParts<DurableSubscription[]>(request, [record.name.partition(0)], {
      here: async part => durableOf(await topics.load(part, { mayCreate: false })),
      there: answer => durableIn(jsonOf(answer) as { readonly subscriptions?: unknown }),
      ...{ rest: '/stats', method: 'GET', body: NO_BODY }
    })
  )
  const added = Array.from({ length: record.partitions - before }, (_, index) => record.name.partition(before + index))
  for (const { name, properties } of durable) {
    const all = await onParts(request, added, {
      here: async part => {
        const topic = await topics.load(part, { mayCreate: false })
        if (!topic.subscriptions.has(name)) await topic.createSubscription(name, { position: 'earliest', properties })
      },
      there: answer => {
        if (answer.status !== 409) requireDone(answer)
      },
      rest: `/subscription/${encodeURIComponent(name)}`,
      method: 'PUT',
      body: Buffer.from(JSON.stringify({ messageId: EARLIEST_ID, properties }))
    })
    allOf(all)
  }
}

const NO_BODY = Buffer.alloc(0)
const EARLIEST_ID = { ledgerId: -1, entryId: -1 }

function durableOf(topic: Topic): DurableSubscription[] {
  const durable = [...topic.subscriptions.values()].filter(subscription => subscription.isDurable)
  return durable.map(({ name, cursor }) => ({ name, properties: cursor?.properties ?? {} }))
}

/** From the stats that another broker gives. */
function durableIn(stats: { readonly subscriptions?: unknown }): DurableSubscription[] {
  const all = isObject(stats.subscriptions) ? Object.entries(stats.subscriptions) : []
  return all.flatMap(([name, subscription]) =>
    isObject(subscription) && subscription.isDurable === true
      ? [{ name, properties: propertiesOf(subscription.subscriptionProperties) }]
      : []
  )
}

/** Partitions are a number in the topic's record, so none is ever missing. */
export async function createMissedPartitions(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.get(name)
  if (record === undefined || record.partitions === 0) {
    await requireNamespaceOfTopic(request)
    return refuse(404, `Topic ${name.toString()} does not exist`)
  }
  return done()
}

function partitionsBody(request: AdminRequest): { partitions: number; properties: Record<string, string> } {
  const body = bodyOf(request) ?? missingBody()
  const asked = isObject(body) ? body.partitions : body
  if (typeof asked !== 'number' || !Number.isSafeInteger(asked) || asked > 0x7fff_ffff) {
    return unreadable('The number of partitions is not a number')
  }
  return { partitions: asked, properties: isObject(body) ? propertiesOf(body.properties) : {} }
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
  const parts = await partsOfTopic(request, topicOf(request))
  const here = (part: TopicName): Promise<void> => request.backend.topics.reload(part)
  allOf(await onParts(request, parts, { here, there: requireDone }))
  return done()
}

export async function truncateTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  if (!name.isPersistent) refuse(412, 'unsupport truncate')
  const here = async (part: TopicName): Promise<void> => {
    const topic = await requiredPersistent(request, part, 'Truncate')
    for (const subscription of topic.subscriptions.values()) await subscription.skipAll()
    await topic.log.trim()
  }
  allOf(await onParts(request, await partsOfTopic(request, name), { here, there: requireDone }))
  return done()
}

export async function trimTopic(request: AdminRequest): Promise<AdminReply> {
  const here = async (part: TopicName): Promise<void> => {
    await (await requiredPersistent(request, part, 'Trim')).log.trim()
  }
  const parts = await partsOfTopic(request, topicOf(request))
  allOf(await onParts(request, parts, { here, there: requireDone }))
  return done(200)
}

// ---------------------------------------------------------------- properties

export async function getProperties(request: AdminRequest): Promise<AdminReply> {
  return json((await requiredRecord(request, topicOf(request))).properties)
}

export async function putProperties(request: AdminRequest): Promise<AdminReply> {
  const properties = propertiesBody(request)
  const { name } = await requiredRecord(request, topicOf(request))
  await request.backend.namespaces.topics.change(name, current => {
    const all = { ...current.properties, ...properties }
    requireBounded(all)
    return { properties: all }
  })
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
