import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Position } from '@strata/cursor-protocol'
import type { Subscription } from '../../contract.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import { isMarkedReplicated, markedReplicated, shownProperties } from '../../subscription/replicated-mark.ts'
import { PersistentTopic } from '../../topic/persistent-topic.ts'
import type { Topic } from '../../topic/topic.ts'
import {
  bodyOf,
  done,
  flag,
  isObject,
  json,
  missingBody,
  numberParam,
  param,
  propertiesBody,
  propertiesOf,
  unreadable,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { allOf, jsonOf, onParts, requireDone } from '../on-parts.ts'
import { refuse } from '../rest-error.ts'
import {
  partsOfTopic,
  requiredPersistent,
  requiredRecord,
  requiredTopic,
  requireNamespaceOfTopic,
  topicOf
} from './names.ts'
import { ackSetFrom, asPosition, messageIdOf, metadataOf, type MessageIdBody } from './positions.ts'

export async function listSubscriptions(request: AdminRequest): Promise<AdminReply> {
  const lists = await onParts<readonly string[]>(request, await partsOfTopic(request, topicOf(request)), {
    here: async part => [...(await requiredTopic(request, part)).subscriptions.keys()],
    there: answer => jsonOf(answer) as readonly string[]
  })
  return json([...new Set(allOf(lists).flat())])
}

/** The topic is created too where that is allowed, as a subscriber would. */
export async function createSubscription(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const subscription = param(request, 'subscription')
  const { messageId, properties } = subscriptionBody(request)
  const isReplicated = flag(request, 'replicated')
  const { topics, namespaces } = request.backend
  await requireNamespaceOfTopic(request)
  const partitions = await namespaces.topics.partitionsOf(name, { mayCreate: true })
  if (partitions > 0 && isPosition(messageId?.position)) {
    refuse(405, 'Create subscription at a position is not allowed on a partitioned topic')
  }
  const parts = partitions === 0 ? [name] : await partsOfTopic(request, name)
  const created = await onParts(request, parts, {
    here: async part => {
      const topic = await topics.load(part, { mayCreate: true })
      if (topic.subscriptions.has(subscription)) return false
      const position = startOf(topic, messageId)
      const own = markedReplicated(properties, isReplicated)
      await topic.createSubscription(subscription, { position, properties: own })
      if (isReplicated) warnReplicated(request, part.toString())
      return true
    },
    there: answer => {
      if (answer.status !== 409) requireDone(answer)
      return answer.status !== 409
    }
  })
  if (!allOf(created).includes(true)) refuse(409, 'Subscription already exists for topic')
  return done()
}

function isPosition(position: MessageIdBody['position'] | undefined): position is Position {
  return typeof position === 'object'
}

/** Body: nothing, a message id, or an object with `messageId` and `properties`. */
function subscriptionBody(request: AdminRequest): { messageId?: MessageIdBody; properties: Record<string, string> } {
  const body = bodyOf(request)
  if (!isObject(body)) return { properties: {} }
  const inner = isObject(body.messageId) ? body.messageId : body
  const properties = propertiesOf(body.properties)
  return inner.ledgerId === undefined ? { properties } : { messageId: messageIdOf(inner), properties }
}

function startOf(topic: Topic, id: MessageIdBody | undefined): 'latest' | 'earliest' | Position {
  if (id === undefined) return 'latest'
  if (!isPosition(id.position)) return id.position
  if (!(topic instanceof PersistentTopic)) return 'latest'
  return topic.log.clamp(id.isExcluded ? topic.log.nextPosition(id.position) : id.position)
}

export async function deleteSubscription(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const force = flag(request, 'force')
  const whenPartitioned = 'Subscription not found'
  if (!force) await refuseUsed(request, name)
  await onSubscription(request, ({ topic, subscription }) => topic.deleteSubscription(subscription.name), {
    whenPartitioned
  })
  return done()
}

export async function skipMessages(request: AdminRequest): Promise<AdminReply> {
  await refusePartitioned(request, 'Skip messages on a partitioned topic is not allowed')
  const count = numberParam(request, 'numMessages')
  if (count < 0) refuse(412, 'The number of messages must be 0 or more')
  await onePersistent(request, subscription => subscription.skip(count))
  return done()
}

export async function skipAllMessages(request: AdminRequest): Promise<AdminReply> {
  await onSubscription(request, ({ subscription }) => subscription.skipAll())
  return done()
}

// ---------------------------------------------------------------- expiring

export async function expireMessages(request: AdminRequest): Promise<AdminReply> {
  const before = expiryOf(request)
  const idle: TopicName[] = []
  await onSubscription(request, async ({ topic, subscription }) => {
    if (hasBacklog(subscription)) await subscription.expireBefore(before)
    else idle.push(topic.name)
  })
  const [first] = idle
  return first === undefined ? done() : nothingToExpire(first, param(request, 'subscription'))
}

export async function expireAllSubscriptions(request: AdminRequest): Promise<AdminReply> {
  const before = expiryOf(request)
  const here = async (part: TopicName): Promise<void> => {
    const topic = await requiredPersistent(request, part, 'Expire messages')
    const all = [...topic.subscriptions.values()]
    const idle = all.find(subscription => !hasBacklog(subscription))
    for (const subscription of all) await subscription.expireBefore(before)
    if (idle !== undefined) nothingToExpire(part, idle.name)
  }
  allOf(await onParts(request, await partsOfTopic(request, topicOf(request)), { here, there: requireDone }))
  return done()
}

function hasBacklog({ cursor }: Subscription): boolean {
  return (cursor?.backlogEntries() ?? 0) > 0
}

/** In Pulsar's words, which tools know. */
function nothingToExpire(topic: TopicName, subscription: string): never {
  return refuse(
    409,
    `Expire message by timestamp not issued on topic ${topic.toString()} for subscription ${subscription} due to ongoing message expiration not finished or subscription almost catch  up. If it's performed on a partitioned topic operation might succeeded on other partitions, please check stats of individual partition.`
  )
}

function expiryOf(request: AdminRequest): number {
  // a time below zero is after now: all of them
  return request.backend.clock.wallMs() - numberParam(request, 'expireTimeInSeconds') * 1000
}

// ---------------------------------------------------------------- moving

export async function resetCursorToTime(request: AdminRequest): Promise<AdminReply> {
  const publishTimeMs = numberParam(request, 'timestamp')
  await onSubscription(request, ({ subscription }) => seek(subscription, { publishTimeMs }))
  return done()
}

export async function resetCursorToPosition(request: AdminRequest): Promise<AdminReply> {
  await refusePartitioned(request, 'Reset-cursor at position is not allowed for partitioned-topic')
  const id = messageIdOf(bodyOf(request))
  await onePersistent(request, async (subscription, topic) => {
    await seek(subscription, await seekTarget(topic, id))
  })
  return done()
}

/** A seek holds off all others until its answer is on its way, one turn later: whoever has this one's may send the next. */
async function seek(subscription: Subscription, target: Parameters<Subscription['seek']>[0]): Promise<void> {
  await subscription.seek(target)
  await nextTurn()
}

/** Inside a batch, the messages before the one that is meant are acknowledged. */
async function seekTarget(
  topic: PersistentTopic,
  id: MessageIdBody
): Promise<{ position: Position; ackSet?: Int32Array }> {
  const position = asPosition(id.position)
  if (!isPosition(id.position)) return { position }
  const entry = id.batchIndex < 0 ? undefined : await topic.log.readOne(position)
  if (entry === undefined) return { position: id.isExcluded ? topic.log.nextPosition(position) : position }
  const { numMessages } = metadataOf(entry)
  const first = id.batchIndex + (id.isExcluded ? 1 : 0)
  if (first >= numMessages) return { position: topic.log.nextPosition(position) }
  return first === 0 ? { position } : { position, ackSet: ackSetFrom(first, numMessages) }
}

// ---------------------------------------------------------------- properties

export async function getSubscriptionProperties(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const wanted = param(request, 'subscription')
  const all = await onParts<object | undefined>(request, await partsOfTopic(request, name), {
    here: async part => {
      const subscription = (await requiredTopic(request, part)).subscriptions.get(wanted)
      return subscription === undefined ? undefined : shownProperties(subscription.cursor?.properties ?? {})
    },
    there: answer => (answer.status === 404 ? undefined : (jsonOf(answer) as object))
  })
  return json(allOf(all).find(properties => properties !== undefined) ?? notFound(wanted, name))
}

export async function putSubscriptionProperties(request: AdminRequest): Promise<AdminReply> {
  const properties = propertiesBody(request)
  await onSubscription(request, ({ subscription }) => {
    const isReplicated = isMarkedReplicated(subscription.cursor?.properties ?? {})
    return subscription.setProperties(markedReplicated(properties, isReplicated))
  })
  return done()
}

// ---------------------------------------------------------------- replication

/** By topic. Kept and shown: nothing is replicated yet. */
export async function replicatedStatus(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const wanted = param(request, 'subscription')
  const all = await onParts<Record<string, boolean>>(request, await partsOfTopic(request, name), {
    here: async part => {
      const subscription = (await requiredTopic(request, part)).subscriptions.get(wanted) ?? notFound(wanted, name)
      return { [part.toString()]: isMarkedReplicated(subscription.cursor?.properties ?? {}) }
    },
    there: answer => jsonOf(answer) as Record<string, boolean>
  })
  return json(Object.assign({}, ...allOf(all)))
}

export async function setReplicatedStatus(request: AdminRequest): Promise<AdminReply> {
  const isReplicated = bodyOf(request) ?? missingBody()
  if (typeof isReplicated !== 'boolean') return unreadable('A value of true or false is needed')
  await onSubscription(request, async ({ topic, subscription }) => {
    await subscription.setProperties(markedReplicated(subscription.cursor?.properties ?? {}, isReplicated))
    if (isReplicated) warnReplicated(request, topic.name.toString())
  })
  return done()
}

function warnReplicated(request: AdminRequest, of: string): void {
  request.backend.logger.warn(
    { event: 'policy.stored_only', policy: 'replicatedSubscription', of },
    'stored, not acting: replicatedSubscription'
  )
}

// ---------------------------------------------------------------- finding

interface Target {
  readonly topic: Topic
  readonly subscription: Subscription
}

/** With the subscription of the path, on the topic or on each partition that has it. @throws RestError 404 where none has it */
async function onSubscription(
  request: AdminRequest,
  run: (target: Target) => Promise<void>,
  texts: { whenPartitioned?: string } = {}
): Promise<void> {
  const name = topicOf(request)
  const wanted = param(request, 'subscription')
  const parts = await partsOfTopic(request, name)
  const found = await onParts(request, parts, {
    here: async part => {
      const topic = await requiredTopic(request, part)
      const subscription = topic.subscriptions.get(wanted)
      if (subscription !== undefined) await run({ topic, subscription })
      return subscription !== undefined
    },
    there: answer => {
      if (answer.status !== 404) requireDone(answer)
      return answer.status !== 404
    }
  })
  if (allOf(found).includes(true)) return
  if (parts.length > 1 && texts.whenPartitioned !== undefined) refuse(404, texts.whenPartitioned)
  notFound(wanted, name)
}

/** Before any partition loses it. Those that others serve refuse by themselves. @throws RestError 412 */
async function refuseUsed(request: AdminRequest, name: TopicName): Promise<void> {
  for (const part of await partsOfTopic(request, name)) {
    const topic = request.backend.topics.find(part)
    const consumers = topic?.subscriptions.get(param(request, 'subscription'))?.consumers ?? []
    if (consumers.length > 0) refuse(412, 'Subscription has active connected consumers')
  }
}

async function onePersistent(
  request: AdminRequest,
  run: (subscription: Subscription, topic: PersistentTopic) => Promise<void>
): Promise<void> {
  const name = topicOf(request)
  const topic = await requiredPersistent(request, name, 'Moving a subscription')
  const wanted = param(request, 'subscription')
  await run(topic.subscriptions.get(wanted) ?? notFound(wanted, name), topic)
}

async function refusePartitioned(request: AdminRequest, reason: string): Promise<void> {
  const name = topicOf(request)
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && !name.isPartition) refuse(405, reason)
}

function notFound(subscription: string, topic: TopicName): never {
  return refuse(404, `Subscription ${subscription} not found for topic ${topic.toString()}`)
}
