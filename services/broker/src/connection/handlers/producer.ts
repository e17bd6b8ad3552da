import { strict as assert } from 'node:assert'
import { ProducerAccessMode, type CommandBody } from '@strata/wire'
import { resourceOf } from '../../auth/access.ts'
import { decideAgain, requireAllowed } from '../../auth/require.ts'
import { brokerError } from '../../errors.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import type { EnsureOptions } from '../../namespace/topic-records.ts'
import { Producer, type AccessMode } from '../../topic/producer.ts'
import type { Topic } from '../../topic/topic.ts'
import { PRODUCERS_MAX, safeId, type ConnectionContext, type ProducerSlot } from '../context.ts'
import type { ClientSchema } from '../schema-door.ts'
import { clientSchemaOf, propertiesOf, requireBounded } from './fields.ts'

type Request = CommandBody<'producer'>

const ACCESS_MODES: Readonly<Record<ProducerAccessMode, AccessMode>> = {
  [ProducerAccessMode.Shared]: 'Shared',
  [ProducerAccessMode.Exclusive]: 'Exclusive',
  [ProducerAccessMode.WaitForExclusive]: 'WaitForExclusive',
  [ProducerAccessMode.ExclusiveWithFencing]: 'ExclusiveWithFencing'
}

const NO_SCHEMA_VERSION = new Uint8Array(0)

export function handleProducer(connection: ConnectionContext, request: Request): void {
  connection.answer(request.requestId, async () => {
    const name = TopicName.parse(request.topic)
    const producerId = safeId(request.producerId)
    const existing = connection.producers.get(producerId)
    if (existing?.kind === 'ready') {
      replySuccess(connection, request, existing.producer, true)
      return
    }
    if (existing !== undefined) throw brokerError('ServiceNotReady', 'Producer is already present on the connection')
    if (connection.producers.size >= PRODUCERS_MAX) {
      throw brokerError('NotAllowedError', `A connection cannot have more than ${PRODUCERS_MAX} producers`)
    }
    const slot: ProducerSlot & { kind: 'creating' } = {
      kind: 'creating',
      isCancelled: false
    }
    connection.producers.set(producerId, slot)
    try {
      await create(connection, { request, name, producerId, slot })
    } finally {
      if (connection.producers.get(producerId) === slot) connection.producers.delete(producerId)
    }
  })
}

interface Creation {
  readonly request: Request
  readonly name: TopicName
  readonly producerId: number
  readonly slot: ProducerSlot & { kind: 'creating' }
}

async function create(connection: ConnectionContext, creation: Creation): Promise<void> {
  const { request, name, producerId, slot } = creation
  const { services } = connection
  const sinceVersion = connection.session?.accessVersion
  requireBounded([request.producerName, request.initialSubscriptionName], request.metadata)
  await requireAllowed(connection, () => ({
    permission: 'produce',
    resource: resourceOf(name),
    asking: 'Produce'
  }))
  await requireInitialSubscription(connection, creation)
  const returning = returningOf(connection, creation)
  const topic = await services.topics.load(name, { mayCreate: true, returning })
  if (topic.policies.encryptionRequired && !request.encrypted) {
    throw brokerError('MetadataError', `Encryption is required in ${name.toString()}`)
  }
  const schemaVersion = await producerSchema(connection, topic, clientSchemaOf(request.schema))
  await createInitialSubscription(topic, request.initialSubscriptionName)
  requireWanted(connection, slot)
  const producer = new Producer({
    connection,
    topic,
    producerId,
    name: request.producerName !== '' ? request.producerName : services.producerName(),
    isNameFromClient: request.userProvidedProducerName,
    accessMode: ACCESS_MODES[request.producerAccessMode],
    epoch: Number(request.epoch),
    topicEpoch: isSet(request, 'topicEpoch') ? request.topicEpoch : undefined,
    isEncrypted: request.encrypted,
    metadata: propertiesOf(request.metadata),
    schemaVersion,
    connectedSinceMs: services.clock.wallMs(),
    share: services.tenantShares.of(name.tenant)
  })
  const { ready } = await topic.addProducer(producer)
  if (ready !== undefined) {
    // While it waits nobody else may hold its place: cancelling removes it from the queue, which rejects `ready`.
    waitingProducers(connection).set(slot, () => topic.removeProducer(producer))
    replySuccess(connection, request, producer, false)
    await ready.finally(() => waitingProducers(connection).delete(slot))
  }
  if (connection.isClosed || slot.isCancelled || producer.isClosed) {
    topic.removeProducer(producer)
    requireWanted(connection, slot)
    throw brokerError('ServiceNotReady', 'Topic is temporarily unavailable')
  }
  assert(connection.producers.get(producerId) === slot)
  connection.producers.set(producerId, { kind: 'ready', producer, topic })
  connection.producerGenerations.note(producerId, name, services.topics.generationOf(topic))
  replySuccess(connection, request, producer, true)
  decideAgain(connection, sinceVersion, name.namespace)
}

/** A subscription is made for those who may consume; producing alone does not let anybody keep messages for ever. */
function requireInitialSubscription(connection: ConnectionContext, { request, name }: Creation): unknown {
  const subscription = request.initialSubscriptionName
  if (subscription === '') return undefined
  return requireAllowed(connection, () => ({
    permission: 'consume',
    resource: resourceOf(name, subscription),
    asking: 'create the initial subscription'
  }))
}

/** On another connection a producer that comes back is known by the name that a broker gave it: the client says so. */
function returningOf(connection: ConnectionContext, creation: Creation): EnsureOptions['returning'] {
  const { request, name, producerId } = creation
  const isNamedByBroker = request.producerName !== '' && !request.userProvidedProducerName
  return (
    connection.producerGenerations.of(producerId, name) ?? (isNamedByBroker ? { generation: undefined } : undefined)
  )
}

/** How to cancel producers of a connection that wait for the exclusive right. */
function waitingProducers(connection: ConnectionContext): Map<ProducerSlot, () => void> {
  return connection.cancellations
}

export function cancelCreation(connection: ConnectionContext, slot: ProducerSlot & { kind: 'creating' }): void {
  slot.isCancelled = true
  connection.cancellations.get(slot)?.()
}

function requireWanted(connection: ConnectionContext, slot: { readonly isCancelled: boolean }): void {
  if (!slot.isCancelled && !connection.isClosed) return
  throw brokerError('ServiceNotReady', 'The producer was closed before it was created')
}

function replySuccess(connection: ConnectionContext, request: Request, producer: Producer, ready: boolean): void {
  const { name, schemaVersion } = producer.options
  connection.reply('producerSuccess', {
    requestId: request.requestId,
    producerName: name,
    lastSequenceId: -1n,
    schemaVersion,
    ...(producer.topicEpoch === undefined ? {} : { topicEpoch: producer.topicEpoch }),
    producerReady: ready
  })
}

/** The version of what a producer writes; empty where it has no schema. @throws BrokerError IncompatibleSchema */
export async function producerSchema(
  connection: ConnectionContext,
  topic: Topic,
  schema: ClientSchema | undefined
): Promise<Uint8Array> {
  const { schemas } = connection.services
  if (schema !== undefined) return await schemas.addOrCheck(topic.name, schema)
  if (topic.policies.schemaValidationEnforced && (await schemas.hasSchema(topic.name))) {
    throw brokerError(
      'IncompatibleSchema',
      `Producers cannot connect or send message without a schema to topics with a schema when schema validation is enforced`
    )
  }
  return NO_SCHEMA_VERSION
}

/** A dead-letter topic must keep what it gets before anybody reads it. */
async function createInitialSubscription(topic: Topic, subscriptionName: string): Promise<void> {
  if (subscriptionName === '' || !topic.name.isPersistent || topic.subscriptions.has(subscriptionName)) return
  if (!topic.policies.autoSubscriptionCreation) {
    throw brokerError(
      'NotAllowedError',
      'Could not create the initial subscription due to the auto subscription creation is not allowed.'
    )
  }
  await topic.createSubscription(subscriptionName, { position: 'earliest', properties: {} })
}

/** Did the client write the field? Its default looks the same. */
function isSet(message: object, field: string): boolean {
  return Object.hasOwn(message, field)
}

/** Waits for what is pending, so that no receipt comes after the SUCCESS. */
export function handleCloseProducer(connection: ConnectionContext, request: CommandBody<'closeProducer'>): void {
  connection.answer(request.requestId, async () => {
    const producerId = safeId(request.producerId)
    connection.producerGenerations.forget(producerId)
    const slot = connection.producers.get(producerId)
    if (slot?.kind === 'creating') {
      connection.producers.delete(producerId)
      cancelCreation(connection, slot)
    } else if (slot !== undefined) {
      // Its place is taken until it is gone, so that one created under the same id does not find it half closed.
      const leaving: ProducerSlot = { kind: 'creating', isCancelled: true }
      if (slot.producer.isPending) {
        connection.producers.set(producerId, leaving)
        await slot.producer.settled()
      } else connection.producers.delete(producerId)
      slot.topic.removeProducer(slot.producer)
      if (connection.producers.get(producerId) === leaving) connection.producers.delete(producerId)
    }
    connection.reply('success', { requestId: request.requestId })
  })
}
