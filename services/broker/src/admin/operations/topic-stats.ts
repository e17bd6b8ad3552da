import { formatPosition } from '@strata/cursor-protocol'
import type { ManagedLedger } from '@strata/managed-ledger'
import type { TopicName } from '../../namespace/topic-name.ts'
import type { TopicRecord } from '../../namespace/topic-records.ts'
import type { Topic } from '../../topic/topic.ts'
import { bodyOf, flag, json, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredPersistent, requiredRecord, requiredTopic, topicOf } from './names.ts'
import { asPosition, messageIdJson, messageIdOf } from './positions.ts'
import { addStats } from './stats-sum.ts'

export async function getStats(request: AdminRequest): Promise<AdminReply> {
  return json(shown(request, await requiredTopic(request, topicOf(request))))
}

export async function getInternalStats(request: AdminRequest): Promise<AdminReply> {
  return json((await requiredTopic(request, topicOf(request))).internalStats())
}

export async function getPartitionedStats(request: AdminRequest): Promise<AdminReply> {
  const { record, parts } = await partsForStats(request)
  const partitions: Record<string, Record<string, unknown>> = {}
  let sum: Record<string, unknown> = {}
  for (const part of parts) {
    const stats = shown(request, await requiredTopic(request, part))
    sum = addStats(sum, stats)
    if (flag(request, 'perPartition', true)) partitions[part.toString()] = stats
  }
  return json({ ...sum, metadata: { partitions: record.partitions, deleted: false }, partitions })
}

export async function getPartitionedInternalStats(request: AdminRequest): Promise<AdminReply> {
  const { record, parts } = await partsForStats(request)
  const partitions: Record<string, unknown> = {}
  for (const part of parts) partitions[part.toString()] = (await requiredTopic(request, part)).internalStats()
  return json({ metadata: { partitions: record.partitions, deleted: false }, partitions })
}

/** Ledgers and cursors as metadata has them. */
export async function getInternalInfo(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await requiredRecord(request, name)
  if (record.partitions === 0 || name.isPartition) return json(await internalInfo(request, name))
  const partitions: Record<string, unknown> = {}
  for (let index = 0; index < record.partitions; index++) {
    const part = name.partition(index)
    partitions[part.toString()] = await internalInfo(request, part)
  }
  return json({ version: record.version, partitions })
}

async function internalInfo(request: AdminRequest, name: TopicName): Promise<Record<string, unknown>> {
  const topic = await requiredPersistent(request, name, 'Internal info')
  const log = topic.log as ManagedLedger
  const cursors: Record<string, unknown> = {}
  for (const cursor of log.cursors()) {
    if (!cursor.isDurable) continue
    const { ledgerId, entryId } = cursor.markDelete
    cursors[cursor.name] = {
      cursorsLedgerId: log.stats().cursorLedgerId ?? -1,
      markDelete: { ledgerId, entryId },
      individualDeletedMessages: cursor.describeRanges()
    }
  }
  const stats = log.stats()
  return {
    version: stats.epoch,
    creationDate: new Date(topic.createdAtMs).toISOString(),
    ledgers: stats.ledgers.map(ledger => ({
      ledgerId: ledger.ledgerId,
      entries: ledger.entries,
      size: ledger.sizeBytes,
      ...(ledger.closedAtMs === undefined ? {} : { timestamp: ledger.closedAtMs }),
      isOffloaded: false
    })),
    ...(log.terminatedAt === undefined ? {} : { terminatedPosition: formatPosition(log.terminatedAt) }),
    cursors
  }
}

/** Bytes from the position on: those of whole ledgers after it, and its share of its own. */
export async function getBacklogSize(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && !name.isPartition) {
    refuse(405, 'calculate backlog size is not allowed for partitioned-topic')
  }
  const { log } = await requiredPersistent(request, name, 'Calculate backlog size')
  const position = asPosition(messageIdOf(bodyOf(request)).position)
  let bytes = 0
  for (const ledger of log.stats().ledgers) {
    if (ledger.ledgerId < position.ledgerId || ledger.entries === 0) continue
    const isPartial = ledger.ledgerId === position.ledgerId
    const left = isPartial ? Math.max(0, ledger.entries - Math.max(0, position.entryId)) : ledger.entries
    bytes += (ledger.sizeBytes / ledger.entries) * left
  }
  return json(Math.round(bytes))
}

export async function terminateTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  if (!name.isPersistent) refuse(406, 'Need to provide a persistent topic name')
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && !name.isPartition) refuse(405, 'Termination of a partitioned topic is not allowed')
  return json(await terminate(request, name))
}

export async function terminatePartitions(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  if (!name.isPersistent) refuse(406, 'Need to provide a persistent topic name')
  const record = await requiredRecord(request, name)
  if (record.partitions === 0) {
    refuse(
      405,
      'Termination of a non-partitioned topic is not allowed using partitioned-terminate, please use terminate commands'
    )
  }
  const ends: Record<string, unknown> = {}
  for (let index = 0; index < record.partitions; index++) {
    ends[index] = await terminate(request, name.partition(index))
  }
  return json(ends)
}

/** A second time gives the same end. */
async function terminate(request: AdminRequest, name: TopicName): Promise<Record<string, number>> {
  const topic = await requiredPersistent(request, name, 'Termination')
  const end = topic.log.terminatedAt ?? (await topic.terminate())
  return messageIdJson(end, name.partitionIndex)
}

async function partsForStats(request: AdminRequest): Promise<{ record: TopicRecord; parts: TopicName[] }> {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.get(name)
  if (record === undefined || record.partitions === 0 || record.isDeleting) {
    return refuse(404, `Partitioned Topic ${name.toString()} not found`)
  }
  return { record, parts: Array.from({ length: record.partitions }, (_, index) => name.partition(index)) }
}

function shown(request: AdminRequest, topic: Topic): Record<string, unknown> {
  const stats = { ...topic.stats() }
  if (flag(request, 'excludePublishers')) stats.publishers = []
  if (flag(request, 'excludeConsumers')) {
    const subscriptions = stats.subscriptions as Record<string, Record<string, unknown>>
    stats.subscriptions = Object.fromEntries(
      Object.entries(subscriptions).map(([name, subscription]) => [name, { ...subscription, consumers: [] }])
    )
  }
  const { web } = request.backend.ports
  const { httpUrl } = request.backend.listeners.route({
    listenerName: '',
    localAddress: request.localAddress,
    remoteAddress: request.remoteAddress,
    port: request.backend.ports.broker,
    webPort: web
  })
  stats.ownerBroker = httpUrl === undefined ? '' : httpUrl.replace(/^https?:\/\//, '')
  return stats
}
