import { MetadataView, readMessageMetadata, type CommandBody } from '@strata/wire'
import type { Position } from '@strata/cursor-protocol'
import { resourceOf } from '../../auth/access.ts'
import { requireAllowed } from '../../auth/require.ts'
import { brokerError, brokerErrors } from '../../errors.ts'
import { PersistentTopic } from '../../topic/persistent-topic.ts'
import { safeId, type ConnectionContext, type ConsumerSlot } from '../context.ts'
import { ackSetOf, positionOf, wireIds } from './fields.ts'

type ReadySlot = ConsumerSlot & { kind: 'ready' }

export function handleRedeliver(
  connection: ConnectionContext,
  request: CommandBody<'redeliverUnacknowledgedMessages'>
): void {
  const slot = connection.consumers.get(safeId(request.consumerId))
  if (slot?.kind !== 'ready') return
  if (request.messageIds.length > 0) slot.consumer.redeliver(request.messageIds.map(positionOf))
  else slot.consumer.redeliverAll(Object.hasOwn(request, 'consumerEpoch') ? Number(request.consumerEpoch) : undefined)
}

export function handleUnsubscribe(connection: ConnectionContext, request: CommandBody<'unsubscribe'>): void {
  const consumerId = safeId(request.consumerId)
  answerWithSlot(connection, request, 'unsubscribe', async ({ consumer, topic }) => {
    const { subscription } = consumer
    const isAlone = subscription.consumers.every(other => other === consumer)
    if (!isAlone && !request.force) {
      throw brokerError('MetadataError', 'Unconnected or shared consumer attempting to unsubscribe')
    }
    connection.consumers.delete(consumerId)
    connection.consumerGenerations.forget(consumerId)
    consumer.leave()
    await topic.deleteSubscription(subscription.name)
    connection.reply('success', { requestId: request.requestId })
  })
}

export function handleSeek(connection: ConnectionContext, request: CommandBody<'seek'>): void {
  answerWithSlot(connection, request, 'seek', async ({ consumer: { subscription } }) => {
    if (request.messageId !== undefined) {
      const ackSet = ackSetOf(request.messageId.ackSet)
      const position = positionOf(request.messageId)
      await subscription.seek(ackSet === undefined ? { position } : { position, ackSet })
    } else if (Object.hasOwn(request, 'messagePublishTime')) {
      await subscription.seek({ publishTimeMs: Number(request.messagePublishTime) })
    } else throw brokerError('MetadataError', 'Message id and message publish time were not present')
    connection.reply('success', { requestId: request.requestId })
  })
}

export function handleConsumerStats(connection: ConnectionContext, request: CommandBody<'consumerStats'>): void {
  const { requestId } = request
  const consumerId = safeId(request.consumerId)
  const slot = connection.consumers.get(consumerId)
  if (slot?.kind !== 'ready') {
    connection.reply('consumerStatsResponse', {
      requestId,
      errorCode: brokerErrors.ConsumerNotFound.wire,
      errorMessage: `Consumer ${consumerId} was not there`
    })
    return
  }
  const { consumer } = slot
  const stats = consumer.stats()
  const subscription = consumer.subscription.stats()
  connection.reply('consumerStatsResponse', {
    requestId,
    msgRateOut: stats.msgRateOut,
    msgThroughputOut: stats.msgThroughputOut,
    msgRateRedeliver: stats.msgRateRedeliver,
    consumerName: stats.consumerName,
    availablePermits: BigInt(Math.max(0, stats.availablePermits)),
    unackedMessages: BigInt(stats.unackedMessages),
    blockedConsumerOnUnackedMsgs: stats.blockedConsumerOnUnackedMsgs,
    address: stats.address,
    connectedSince: stats.connectedSince,
    type: subscription.type,
    msgRateExpired: typeof subscription.msgRateExpired === 'number' ? subscription.msgRateExpired : 0,
    msgBacklog: BigInt(subscription.msgBacklog),
    messageAckRate: stats.messageAckRate
  })
}

const NOTHING: Position = { ledgerId: -1, entryId: -1 }

export function handleGetLastMessageId(connection: ConnectionContext, request: CommandBody<'getLastMessageId'>): void {
  answerWithSlot(connection, request, 'get the last message id', async ({ consumer, topic }) => {
    if (!(topic instanceof PersistentTopic)) {
      throw brokerError('NotAllowedError', 'GetLastMessageId on a non-persistent topic is not allowed')
    }
    const { log } = topic
    const last = log.lastConfirmed
    const entry = last.entryId < 0 ? undefined : await log.readOne(last)
    const markDelete = consumer.subscription.cursor?.markDelete
    connection.reply('getLastMessageIdResponse', {
      requestId: request.requestId,
      lastMessageId: {
        ...wireIds(entry === undefined ? NOTHING : last),
        partition: topic.name.partitionIndex,
        batchIndex: entry === undefined ? -1 : lastBatchIndexOf(entry.payload)
      },
      ...(markDelete === undefined ? {} : { consumerMarkDeletePosition: wireIds(markDelete) })
    })
  })
}

function lastBatchIndexOf(payload: Buffer): number {
  const view = new MetadataView()
  readMessageMetadata(payload, 0, payload.length, view)
  return view.isBatch ? view.numMessages - 1 : -1
}

/**
 * Its consumer was allowed to subscribe, and is closed within a second of being so no more: what it changes is asked anew. Where
 * nothing is checked, the work begins in this very call, before any command that came behind.
 */
function answerWithSlot(
  connection: ConnectionContext,
  request: { readonly requestId: bigint; readonly consumerId: bigint },
  asking: string,
  work: (slot: ReadySlot) => Promise<void>
): void {
  const consumerId = safeId(request.consumerId)
  connection.answer(request.requestId, async () => {
    const slot = readySlot(connection, consumerId)
    const { topic, consumer } = slot
    const check = requireAllowed(connection, () => ({
      permission: 'consume',
      resource: resourceOf(topic.name, consumer.subscription.name),
      asking
    }))
    if (check === undefined) await work(slot)
    else {
      await check
      await work(readySlot(connection, consumerId))
    }
  })
}

function readySlot(connection: ConnectionContext, consumerId: number): ReadySlot {
  const slot = connection.consumers.get(consumerId)
  if (slot?.kind === 'ready') return slot
  throw brokerError('MetadataError', 'Consumer not found')
}
