import { formatPosition } from '@strata/cursor-protocol'
import type { Cursor, ManagedLedger } from '@strata/managed-ledger'
import type { SubscriptionStats } from '../contract.ts'
import type { BaseTopic } from './base-topic.ts'
import type { Producer } from './producer.ts'
import type { TopicEnvironment } from './topic.ts'

/*
  Numbers of a topic under Apache Pulsar's names. Maps are never null and every number is one: Go's tools compare them.
*/

export function topicStatsOf(
  topic: BaseTopic,
  env: TopicEnvironment,
  log: { storageBytes: number; pendingAppends: number; oldestBacklogAgeSeconds?: number }
): Record<string, unknown> {
  const subscriptions: Record<string, SubscriptionStats> = {}
  for (const subscription of topic.subscriptions.values()) subscriptions[subscription.name] = subscription.stats()
  const all = Object.values(subscriptions)
  const publishers = [...topic.producers.values()]
  return {
    msgRateIn: topic.traffic.messages.perSecond,
    msgThroughputIn: topic.traffic.bytes.perSecond,
    msgRateOut: sum(all, 'msgRateOut'),
    msgThroughputOut: sum(all, 'msgThroughputOut'),
    bytesInCounter: topic.traffic.bytes.total,
    msgInCounter: topic.traffic.messages.total,
    systemTopicBytesInCounter: 0,
    bytesOutCounter: sum(all, 'bytesOutCounter'),
    msgOutCounter: sum(all, 'msgOutCounter'),
    bytesOutInternalCounter: 0,
    averageMsgSize: topic.traffic.averageBytes,
    msgChunkPublished: topic.chunks.total > 0,
    storageSize: log.storageBytes,
    backlogSize: Math.max(0, ...all.map(stats => numberOf(stats, 'backlogSize'))),
    backlogQuotaLimitSize: topic.policies.backlog.size?.limit ?? -1,
    backlogQuotaLimitTime: topic.policies.backlog.age?.limit ?? -1,
    oldestBacklogMessageAgeSeconds: log.oldestBacklogAgeSeconds ?? -1,
    publishRateLimitedTimes: 0,
    earliestMsgPublishTimeInBacklogs: 0,
    offloadedStorageSize: 0,
    lastOffloadLedgerId: 0,
    lastOffloadSuccessTimeStamp: 0,
    lastOffloadFailureTimeStamp: 0,
    ongoingTxnCount: 0,
    abortedTxnCount: 0,
    committedTxnCount: 0,
    publishers: env.settings.exposePublisherStats ? publishers.map(publisherStatsOf) : [],
    waitingPublishers: topic.producers.waitingCount,
    subscriptions,
    replication: {},
    deduplicationStatus: 'Disabled',
    nonContiguousDeletedMessagesRanges: sum(all, 'nonContiguousDeletedMessagesRanges'),
    nonContiguousDeletedMessagesRangesSerializedSize: sum(all, 'nonContiguousDeletedMessagesRangesSerializedSize'),
    delayedMessageIndexSizeInBytes: 0,
    compaction: {
      lastCompactionRemovedEventCount: 0,
      lastCompactionSucceedTimestamp: 0,
      lastCompactionFailedTimestamp: 0,
      lastCompactionDurationTimeInMills: 0
    },
    ownerBroker: '',
    topicCreationTimeStamp: topic.createdAtMs,
    lastPublishTimeStamp: Math.trunc(topic.lastPublishedAtMs)
  }
}

function publisherStatsOf(producer: Producer): Record<string, unknown> {
  const { options, traffic } = producer
  return {
    accessMode: options.accessMode,
    msgRateIn: traffic.messages.perSecond,
    msgThroughputIn: traffic.bytes.perSecond,
    averageMsgSize: traffic.averageBytes,
    chunkedMessageRate: producer.chunks.perSecond,
    producerId: options.producerId,
    supportsPartialProducer: options.connection.supportsPartialProducer,
    producerName: options.name,
    address: options.connection.address,
    connectedSince: new Date(options.connectedSinceMs).toISOString(),
    clientVersion: options.connection.clientVersion,
    metadata: options.metadata
  }
}

export function internalStatsOf(log: ManagedLedger): Record<string, unknown> {
  const stats = log.stats()
  const cursors: Record<string, unknown> = {}
  for (const cursor of log.cursors()) cursors[cursor.name] = cursorStatsOf(log, cursor)
  return {
    entriesAddedCounter: stats.entriesAdded,
    numberOfEntries: stats.entries,
    totalSize: stats.sizeBytes,
    currentLedgerEntries: stats.currentLedgerEntries,
    currentLedgerSize: stats.currentLedgerBytes,
    lastLedgerCreatedTimestamp:
      stats.lastLedgerCreatedAtMs > 0 ? new Date(stats.lastLedgerCreatedAtMs).toISOString() : '',
    lastLedgerCreationFailureTimestamp: '',
    waitingCursorsCount: 0,
    pendingAddEntriesCount: stats.pendingAppends,
    lastConfirmedEntry: formatPosition(log.lastConfirmed),
    state: LEDGER_STATES[stats.state],
    ledgers: stats.ledgers.map(ledger => ({
      ledgerId: ledger.ledgerId,
      entries: ledger.entries,
      size: ledger.sizeBytes,
      offloaded: false,
      metadata: '',
      underReplicated: false
    })),
    cursors,
    schemaLedgers: [],
    compactedLedger: { ledgerId: -1, entries: -1, size: -1, offloaded: false, underReplicated: false },
    properties: log.properties
  }
}

/** As a Pulsar tool knows them. */
const LEDGER_STATES = {
  opening: 'None',
  open: 'LedgerOpened',
  rolling: 'ClosingLedger',
  terminated: 'Terminated',
  fenced: 'Fenced',
  closed: 'Closed'
} as const

function cursorStatsOf(log: ManagedLedger, cursor: Cursor): Record<string, unknown> {
  return {
    markDeletePosition: formatPosition(cursor.markDelete),
    readPosition: formatPosition(log.nextPosition(cursor.markDelete)),
    waitingReadOp: false,
    pendingReadOps: 0,
    messagesConsumedCounter: Math.max(0, log.stats().entriesAdded - cursor.backlogEntries()),
    cursorLedger: log.stats().cursorLedgerId ?? -1,
    cursorLedgerLastEntry: -1,
    individuallyDeletedMessages: cursor.describeRanges(),
    lastLedgerSwitchTimestamp: '',
    state: cursor.isDurable ? 'Open' : 'NoLedger',
    active: true,
    numberOfEntriesSinceFirstNotAckedMessage: log.countEntries(cursor.markDelete, log.lastConfirmed),
    totalNonContiguousDeletedMessagesRange: cursor.ackedRangeCount(),
    subscriptionHavePendingRead: false,
    subscriptionHavePendingReplayRead: false,
    properties: {}
  }
}

function numberOf(stats: SubscriptionStats, field: string): number {
  const value = stats[field]
  return typeof value === 'number' ? value : 0
}

function sum(all: readonly SubscriptionStats[], field: string): number {
  let total = 0
  for (const stats of all) total += numberOf(stats, field)
  return total
}
