import {
  CommandSubscribe_InitialPosition,
  CommandSubscribe_SubType,
  KeySharedMode,
  Schema_Type,
  type CommandBody
} from '@strata/wire'
import type { ConsumerOptions, KeySharedOptions, SubscriptionType } from '../../contract.ts'
import { resourceOf } from '../../auth/access.ts'
import { decideAgain, requireAllowed } from '../../auth/require.ts'
import { brokerError } from '../../errors.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import type { Topic } from '../../topic/topic.ts'
import { CONSUMERS_MAX, safeId, type ConnectionContext, type ConsumerSlot } from '../context.ts'
import type { ClientSchema } from '../schema-door.ts'
import { clientSchemaOf, positionOf, propertiesOf, requireBounded } from './fields.ts'

type Request = CommandBody<'subscribe'>

const TYPES: Readonly<Record<CommandSubscribe_SubType, SubscriptionType>> = {
  [CommandSubscribe_SubType.Exclusive]: 'Exclusive',
  [CommandSubscribe_SubType.Shared]: 'Shared',
  [CommandSubscribe_SubType.Failover]: 'Failover',
  [CommandSubscribe_SubType.Key_Shared]: 'Key_Shared'
}

/** Keys and values of a consumer's metadata in all. */
const METADATA_CHARS_MAX = 1024
const NO_EPOCH = -1

export function handleSubscribe(connection: ConnectionContext, request: Request): void {
  connection.answer(request.requestId, async () => {
    const name = TopicName.parse(request.topic)
    const consumerId = safeId(request.consumerId)
    const existing = connection.consumers.get(consumerId)
    if (existing?.kind === 'ready') {
      connection.reply('success', { requestId: request.requestId })
      return
    }
    if (existing !== undefined) throw brokerError('ServiceNotReady', 'Consumer is already present on the connection')
    if (connection.consumers.size >= CONSUMERS_MAX) {
      throw brokerError('NotAllowedError', `A connection cannot have more than ${CONSUMERS_MAX} consumers`)
    }
    const options = consumerOptionsOf(connection, request, consumerId)
    const slot: ConsumerSlot & { kind: 'creating' } = {
      kind: 'creating'
    }
    connection.consumers.set(consumerId, slot)
    try {
      await create(connection, { request, name, options, slot })
    } finally {
      if (connection.consumers.get(consumerId) === slot) connection.consumers.delete(consumerId)
    }
  })
}

interface Creation {
  readonly request: Request
  readonly name: TopicName
  readonly options: ConsumerOptions
  readonly slot: ConsumerSlot & { kind: 'creating' }
}

async function create(connection: ConnectionContext, creation: Creation): Promise<void> {
  const { request, name, options, slot } = creation
  const { topics } = connection.services
  const sinceVersion = connection.session?.accessVersion
  requireBounded([request.subscription, request.consumerName], request.subscriptionProperties)
  await requireAllowed(connection, () => ({
    permission: 'consume',
    resource: resourceOf(name, request.subscription),
    asking: 'subscribe'
  }))
  const returning = connection.consumerGenerations.of(options.consumerId, name)
  const topic = await topics.load(name, { mayCreate: request.forceTopicCreation, returning })
  await checkSchema(connection, topic, clientSchemaOf(request.schema))
  const startId = options.durable ? undefined : request.startMessageId
  const consumer = await topic.subscribe({
    subscriptionName: request.subscription,
    consumer: options,
    initialPosition: request.initialPosition === CommandSubscribe_InitialPosition.Earliest ? 'earliest' : 'latest',
    startPosition: startId === undefined ? undefined : positionOf(startId),
    rollbackSeconds: Number(request.startMessageRollbackDurationSec),
    properties: propertiesOf(request.subscriptionProperties),
    isReplicated: request.replicateSubscriptionState,
    mayCreate: topic.policies.autoSubscriptionCreation
  })
  // The client, or the topic, may have closed it while this was on its way back.
  if (connection.isClosed || connection.consumers.get(options.consumerId) !== slot) {
    consumer.leave()
    topic.onConsumerLeft(consumer.subscription)
    throw brokerError('ServiceNotReady', 'The consumer was closed before it was created')
  }
  connection.consumers.set(options.consumerId, { kind: 'ready', consumer, topic })
  connection.consumerGenerations.note(options.consumerId, name, topics.generationOf(topic))
  connection.reply('success', { requestId: request.requestId })
  decideAgain(connection, sinceVersion, name.namespace)
}

/**
 * protocol.md section 0, "Subscribing": a consumer's schema is registered only where nobody and nothing is yet; otherwise
 * it must fit. AUTO_CONSUME reads anything.
 */
async function checkSchema(
  connection: ConnectionContext,
  topic: Topic,
  schema: ClientSchema | undefined
): Promise<void> {
  if (schema === undefined || schema.type === (Schema_Type.AutoConsume as number)) return
  const { schemas } = connection.services
  if (!isUsed(topic) && !(await schemas.hasSchema(topic.name))) await schemas.addOrCheck(topic.name, schema)
  else await schemas.checkConsumer(topic.name, schema)
}

function isUsed(topic: Topic): boolean {
  if (topic.hasData || topic.producers.size > 0) return true
  for (const { consumers } of topic.subscriptions.values()) {
    if (consumers.some(({ options }) => !options.readsAnySchema)) return true
  }
  return false
}

function consumerOptionsOf(connection: ConnectionContext, request: Request, consumerId: number): ConsumerOptions {
  const metadata = propertiesOf(request.metadata)
  let chars = 0
  for (const [key, value] of Object.entries(metadata)) chars += key.length + value.length
  if (chars > METADATA_CHARS_MAX) {
    throw brokerError(
      'MetadataError',
      `Consumer metadata is ${chars} characters long, the limit is ${METADATA_CHARS_MAX}`
    )
  }
  const type = TYPES[request.subType]
  return {
    connection,
    consumerId,
    consumerName: request.consumerName,
    type,
    priorityLevel: request.priorityLevel,
    durable: request.durable,
    readCompacted: request.readCompacted,
    keyShared: keySharedOf(request, type),
    metadata,
    consumerEpoch: Object.hasOwn(request, 'consumerEpoch') ? Number(request.consumerEpoch) : NO_EPOCH,
    readsAnySchema: request.schema?.type === Schema_Type.AutoConsume
  }
}

/** Java's reader gives ranges with Exclusive too. */
function keySharedOf({ keySharedMeta: meta }: Request, type: SubscriptionType): KeySharedOptions | undefined {
  if (meta === undefined) {
    return type === 'Key_Shared' ? { mode: 'AUTO_SPLIT', ranges: [], allowOutOfOrderDelivery: false } : undefined
  }
  return {
    mode: meta.keySharedMode === KeySharedMode.STICKY ? 'STICKY' : 'AUTO_SPLIT',
    ranges: meta.hashRanges.map(({ start, end }) => ({ start, end })),
    allowOutOfOrderDelivery: meta.allowOutOfOrderDelivery
  }
}

export function handleCloseConsumer(connection: ConnectionContext, request: CommandBody<'closeConsumer'>): void {
  const consumerId = safeId(request.consumerId)
  const slot = connection.consumers.get(consumerId)
  connection.consumerGenerations.forget(consumerId)
  if (slot !== undefined) {
    connection.consumers.delete(consumerId)
    if (slot.kind === 'ready') {
      slot.consumer.leave()
      slot.topic.onConsumerLeft(slot.consumer.subscription)
    }
  }
  connection.reply('success', { requestId: request.requestId })
}
