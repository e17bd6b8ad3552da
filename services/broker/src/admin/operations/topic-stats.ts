import { formatPosition } from '@strata/cursor-protocol'
import type { ManagedLedger } from '@strata/managed-ledger'
import type { TopicName } from '../../namespace/topic-name.ts'
import type { TopicRecord } from '../../namespace/topic-records.ts'
import type { Topic } from '../../topic/topic.ts'
import { allOf, failuresOf, jsonOf, onParts, type Outcome } from '../on-parts.ts'
import { bodyOf, flag, isObject, json, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { brokerIdOf } from './brokers.ts'
import { requiredPersistent, requiredRecord, requiredTopic, requireNamespaceOfTopic, topicOf } from './names.ts'
import { asPosition, messageIdJson, messageIdOf } from './positions.ts'
import { addStats } from './stats-sum.ts'

export async function getStats(request: AdminRequest): Promise<AdminReply> {
  return json(shown(request, await requiredTopic(request, topicOf(request))))
}

export async function getInternalStats(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  if (!name.isPersistent) await requireTopicInWords(request, name)
  const topic = await requiredTopic(request, name)
  return json(shownInternally(request, topic))
}

export async function getPartitionedStats(request: AdminRequest): Promise<AdminReply> {
  const { record, parts } = await partsForStats(request)
  const all = await onParts<Record<string, unknown>>(request, parts, {
    here: async part => shown(request, await requiredTopic(request, part)),
    there: answer => jsonOf(answer) as Record<string, unknown>,
    rest: '/stats'
  })
  const partitions: Record<string, unknown> = {}
  let sum: Record<string, unknown> = {}
  for (const { about, value } of known(all)) {
    sum = addStats(sum, value ?? {})
    if (flag(request, 'perPartition', true)) partitions[about] = value
  }
  // each of them has its own
  delete sum.ownerBroker
  delete sum.deduplicationStatus
  return json({ ...sum, ...described(record, partitions), ...missing(all) })
}

export async function getPartitionedInternalStats(request: AdminRequest): Promise<AdminReply> {
  const { record, parts } = await partsForStats(request)
  const all = await onParts<Record<string, unknown>>(request, parts, {
    here: async part => shownInternally(request, await requiredTopic(request, part)),
    there: answer => jsonOf(answer) as Record<string, unknown>,
    rest: '/internalStats'
  })
  const partitions = Object.fromEntries(known(all).map(({ about, value }) => [about, value]))
  return json({ ...described(record, partitions), ...missing(all) })
}

/** What could be learnt. @throws RestError where that is nothing */
function known<Value>(all: readonly Outcome<Value>[]): readonly Outcome<Value>[] {
  const found = all.filter(({ error }) => error === undefined)
  if (found.length === 0) allOf(all)
  return found
}

function described(record: TopicRecord, partitions: object): Record<string, unknown> {
  const { partitions: count, properties } = record
  const hasSome = record.name.isPersistent || Object.keys(properties).length > 0
  return { metadata: { partitions: count, deleted: false, ...(hasSome ? { properties } : {}) }, partitions }
}

/** Partitions whose brokers did not answer, and why: the sums are without them. */
function missing(all: readonly Outcome<unknown>[]): Record<string, unknown> {
  const failures = failuresOf(all)
  return failures === undefined ? {} : { failures }
}

/** Ledgers and cursors as metadata has them. */
export async function getInternalInfo(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await requiredRecord(request, name)
  if (record.partitions === 0 || name.isPartition) return json(await internalInfo(request, name))
  const parts = Array.from({ length: record.partitions }, (_, index) => name.partition(index))
  const infos = allOf(
    await onParts<unknown>(request, parts, { here: part => internalInfo(request, part), there: jsonOf })
  )
  const partitions = Object.fromEntries(parts.map((part, index) => [part.toString(), infos[index]]))
  return json({ version: record.version, partitions })
}

/** As Pulsar shows them: what lies behind `from`, up to and with `to`; absent where there is none. */
function deletedRanges(described: string): { individualDeletedMessages?: readonly object[] } {
  const ranges = [...described.matchAll(/\((\d+):(-?\d+)\.\.(\d+):(\d+)\]/g)].map(([, ledger, first, last, end]) => ({
    from: { ledgerId: Number(ledger), entryId: Number(first) },
    to: { ledgerId: Number(last), entryId: Number(end) }
  }))
  return ranges.length === 0 ? {} : { individualDeletedMessages: ranges }
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
      ...deletedRanges(cursor.describeRanges())
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

/** Bytes after the position: those of whole ledgers after it, and its share of its own. */
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
    const left = isPartial ? Math.max(0, ledger.entries - 1 - Math.max(-1, position.entryId)) : ledger.entries
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
  const record = await request.backend.namespaces.topics.get(name)
  if (record === undefined || record.partitions === 0) {
    if (record === undefined) await requireNamespaceOfTopic(request)
    return refuse(
      405,
      'Termination of a non-partitioned topic is not allowed using partitioned-terminate, please use terminate commands'
    )
  }
  const parts = Array.from({ length: record.partitions }, (_, index) => name.partition(index))
  const work = { here: (part: TopicName): Promise<unknown> => terminate(request, part), there: jsonOf }
  const ends = allOf(await onParts(request, parts, { ...work, rest: '/terminate' })) as object[]
  // the key says which partition it is of
  return json(Object.fromEntries(ends.map((end, index) => [index, { ...end, partitionIndex: -1 }])))
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
    if (record === undefined) await requireNamespaceOfTopic(request)
    const reason = name.isPersistent
      ? `Partitioned Topic ${name.toString()} not found`
      : `Partitioned topic not found ${name.toString()}`
    return refuse(404, reason)
  }
  return { record, parts: Array.from({ length: record.partitions }, (_, index) => name.partition(index)) }
}

/** Its own words, whatever is missing. @throws RestError 404 */
async function requireTopicInWords({ backend }: AdminRequest, name: TopicName): Promise<void> {
  const record = await backend.namespaces.topics.find(name)
  if (record === undefined || record.isDeleting) refuse(404, 'Topic not found')
}

/** Without what says nothing, as Pulsar leaves it out; ledgers are described where that is asked for. */
function shownInternally(request: AdminRequest, topic: Topic): Record<string, unknown> {
  const { lastLedgerCreationFailureTimestamp: failedAt, properties, ledgers, ...stats } = topic.internalStats()
  const described = flag(request, 'metadata')
  const all = Array.isArray(ledgers) ? (ledgers as Record<string, unknown>[]) : undefined
  return {
    ...stats,
    ...(topic.name.isPersistent ? {} : NO_LEDGERS),
    ...(all === undefined
      ? {}
      : { ledgers: described ? all : all.map(({ metadata: _metadata, ...ledger }) => ledger) }),
    ...(failedAt === undefined || failedAt === '' ? {} : { lastLedgerCreationFailureTimestamp: failedAt }),
    ...(isObject(properties) && Object.keys(properties).length > 0 ? { properties } : {})
  }
}

const NO_LEDGERS = { currentLedgerEntries: 0, currentLedgerSize: 0, pendingAddEntriesCount: 0, waitingCursorsCount: 0 }

/** What Pulsar leaves out where it says nothing. */
function spoken(subscriptions: unknown): Record<string, unknown> {
  const all = Object.entries(subscriptions as Record<string, Record<string, unknown>>)
  return Object.fromEntries(
    all.map(([name, { activeConsumerName, keySharedMode, bucketDelayedIndexStats: _unused, ...stats }]) => [
      name,
      {
        ...stats,
        ...(activeConsumerName === '' ? {} : { activeConsumerName }),
        ...(keySharedMode === null || keySharedMode === undefined ? {} : { keySharedMode })
      }
    ])
  )
}

function shown(request: AdminRequest, topic: Topic): Record<string, unknown> {
  const stats: Record<string, unknown> = { ...topic.stats() }
  stats.subscriptions = spoken(stats.subscriptions)
  if (!topic.name.isPersistent) {
    delete stats.deduplicationStatus
    stats.msgDropRate = Object.values(stats.subscriptions as Record<string, { msgDropRate?: number }>).reduce(
      (sum, { msgDropRate = 0 }) => sum + msgDropRate,
      0
    )
  }
  if (flag(request, 'excludePublishers')) stats.publishers = []
  if (flag(request, 'excludeConsumers')) {
    const subscriptions = stats.subscriptions as Record<string, Record<string, unknown>>
    stats.subscriptions = Object.fromEntries(
      Object.entries(subscriptions).map(([name, subscription]) => [name, { ...subscription, consumers: [] }])
    )
  }
  stats.ownerBroker = brokerIdOf(request)
  return stats
}
