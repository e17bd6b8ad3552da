import { comparePositions, type Position } from '@strata/cursor-protocol'
import type { Cursor, ManagedLedger } from '@strata/managed-ledger'
import type { Subscription } from '../../contract.ts'
import type { PersistentTopic } from '../../topic/persistent-topic.ts'
import { bodyOf, done, json, missingBody, param, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { brokerIdOf } from './brokers.ts'
import { requiredPersistent, requiredRecord, requireNamespaceOfTopic, topicOf } from './names.ts'
import { asPosition, messageIdOf, metadataOf } from './positions.ts'

/*
  What a subscription has before it: counted, or given up to a position.
*/

/** A scan reads every entry: one that goes on past this tells what it saw so far, and that it ended early. */
const SCAN_ENTRIES_MAX = 10_000
const READ = { entriesMax: 100, bytesMax: 4 * 1024 * 1024 }

/** Reads what is not acknowledged, from the message of the body on where it names one, and counts it. */
export async function analyzeBacklog(request: AdminRequest): Promise<AdminReply> {
  await refusePartitioned(
    request,
    'Analyze backlog on a partitioned topic is not allowed, please try do it on specific topic partition'
  )
  const { topic, cursor } = await requiredCursor(request, 'Analyze backlog')
  const { log } = topic
  const body = bodyOf(request)
  const named = body === undefined ? undefined : asPosition(messageIdOf(body).position)
  const start = named === undefined ? log.nextPosition(cursor.markDelete) : log.clamp(named)
  return json(await scan(log, cursor, start))
}

async function scan(log: ManagedLedger, cursor: Cursor, start: Position): Promise<Record<string, unknown>> {
  let [entries, messages] = [0, 0]
  let [first, last]: [Position | undefined, Position | undefined] = [undefined, undefined]
  let from = start
  while (entries < SCAN_ENTRIES_MAX && comparePositions(from, log.lastConfirmed) <= 0) {
    const read = await log.read(from, READ)
    if (read.length === 0) break
    for (const entry of read) {
      const { ledgerId, entryId } = entry
      from = log.nextPosition({ ledgerId, entryId })
      if (cursor.isAcknowledged(ledgerId, entryId)) continue
      entries++
      messages += metadataOf(entry).numMessages
      first ??= { ledgerId, entryId }
      last = { ledgerId, entryId }
    }
  }
  return {
    entries,
    messages,
    markerMessages: 0,
    filterRejectedEntries: 0,
    filterAcceptedEntries: entries,
    filterRescheduledEntries: 0,
    filterRejectedMessages: 0,
    filterAcceptedMessages: messages,
    filterRescheduledMessages: 0,
    aborted: comparePositions(from, log.lastConfirmed) <= 0,
    firstMessageId: first === undefined ? null : `${first.ledgerId}:${first.entryId}`,
    lastMessageId: last === undefined ? null : `${last.ledgerId}:${last.entryId}`
  }
}

/** Acknowledges what is before the position, and it, unless it is excluded. */
export async function expireToPosition(request: AdminRequest): Promise<AdminReply> {
  const id = messageIdOf(bodyOf(request) ?? missingBody())
  await refusePartitioned(request, 'Expire message at position is not supported for partitioned-topic')
  const { topic, subscription } = await requiredSubscription(request, 'Expire messages')
  const { log } = topic
  const at = asPosition(id.position)
  const isPast = comparePositions(at, log.lastConfirmed) > 0
  const last = isPast ? log.lastConfirmed : id.isExcluded ? log.previousPosition(at) : at
  await subscription.expireUpTo(last)
  return done()
}

/** Whether the topic is in memory or not, and zeros for one that never was: asked of topics that nobody serves. */
export async function backlogOfTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  await requireNamespaceOfTopic(request)
  const record = await request.backend.namespaces.topics.find(name)
  const isWhole = record === undefined || record.isDeleting || (record.partitions > 0 && !name.isPartition)
  const topic = isWhole ? undefined : await requiredPersistent(request, name, 'Backlog')
  const { entries = 0, sizeBytes = 0, ledgers = [] } = topic?.log.stats() ?? {}
  const cursors = [...(topic?.log.cursors() ?? [])].filter(({ isDurable }) => isDurable)
  const details = cursors.map(cursor => [cursor.name, cursorDetail(cursor)] as const)
  return json({
    storageSize: sizeBytes,
    totalMessages: entries,
    messageBacklog: cursors.reduce((sum, cursor) => sum + cursor.backlogEntries(), 0),
    brokerName: brokerIdOf(request).replace(/:\d+$/, ''),
    topicName: `${name.namespace}/${name.domain}/${name.localName}`,
    dataLedgerDetails: ledgers.map(({ ledgerId, entries, sizeBytes }) => ({
      entries,
      timestamp: 0,
      size: sizeBytes,
      ledgerId
    })),
    cursorDetails: Object.fromEntries(details),
    statGeneratedAt: Math.trunc(request.backend.clock.wallMs())
  })
}

function cursorDetail(cursor: Cursor): Record<string, unknown> {
  const { ledgerId } = cursor.markDelete
  return { cursorBacklog: cursor.backlogEntries(), cursorLedgerId: ledgerId }
}

/** Without a place to offload to, there is nothing to do for what is in open ledgers, and nothing that can be done for others. */
export async function startOffload(request: AdminRequest): Promise<AdminReply> {
  const { ledgerId: end } = asPosition(messageIdOf(bodyOf(request) ?? missingBody()).position)
  const topic = await requiredPersistent(request, topicOf(request), 'Offload')
  const { ledgers } = topic.log.stats()
  const isAny = ledgers.some(({ ledgerId, closedAtMs }) => closedAtMs !== undefined && ledgerId < end)
  return isAny ? refuse(405, 'No offload driver is configured') : done()
}

/** Compaction never runs here. */
/** Nothing is compacted yet, and an answer of "begun" would be waited for. */
export async function compact(request: AdminRequest): Promise<AdminReply> {
  await requiredRecord(request, topicOf(request))
  return refuse(405, 'Topics are not compacted by this broker')
}

export async function compactionStatus(request: AdminRequest): Promise<AdminReply> {
  await requiredPersistent(request, topicOf(request), 'Compaction')
  return json({ status: 'NOT_RUN', lastError: '' })
}

/** Nothing is offloaded: the first message that is not is the first of all. */
export async function offloadStatus(request: AdminRequest): Promise<AdminReply> {
  await requiredPersistent(request, topicOf(request), 'Offload')
  const nothing = { ledgerId: -1, entryId: -1, partitionIndex: -1, batchIndex: -1, batchSize: 0 }
  return json({ status: 'NOT_RUN', lastError: '', firstUnoffloadedMessage: nothing })
}

async function requiredSubscription(
  request: AdminRequest,
  what: string
): Promise<{ topic: PersistentTopic; subscription: Subscription }> {
  const topic = await requiredPersistent(request, topicOf(request), what)
  return {
    topic,
    subscription: topic.subscriptions.get(param(request, 'subscription')) ?? subscriptionNotFound(request)
  }
}

async function requiredCursor(
  request: AdminRequest,
  what: string
): Promise<{ topic: PersistentTopic; cursor: Cursor }> {
  const { topic, subscription } = await requiredSubscription(request, what)
  return { topic, cursor: subscription.cursor ?? subscriptionNotFound(request) }
}

function subscriptionNotFound(request: AdminRequest): never {
  return refuse(
    404,
    `Subscription ${param(request, 'subscription')} not found for topic ${topicOf(request).toString()}`
  )
}

async function refusePartitioned(request: AdminRequest, reason: string): Promise<void> {
  const name = topicOf(request)
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && !name.isPartition) refuse(405, reason)
}
