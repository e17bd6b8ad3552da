import type { Topic } from '../../topic/topic.ts'
import { json, type AdminReply, type AdminRequest } from '../operation.ts'
import { numberOf } from '../totals.ts'

/*
  `broker-stats/topics`: numbers under the names that they had before topics had statistics of their own, which tools of
  that time read.
*/

type Stats = Readonly<Record<string, unknown>>

/** namespace → bundle → domain → topic → stats, of the topics in memory. */
export async function topicsOfBroker({ backend }: AdminRequest): Promise<AdminReply> {
  const namespaces: Record<string, Record<string, Record<string, Record<string, unknown>>>> = {}
  for (const topic of [...backend.topics.values()]) {
    const { name } = topic
    const { range } = await backend.homes.ownership.bundleOf(name)
    const bundles = (namespaces[name.namespace] ??= {})
    const domains = (bundles[range] ??= {})
    const topics = (domains[name.domain] ??= {})
    topics[name.toString()] = shown(topic)
  }
  return json(namespaces)
}

function shown(topic: Topic): Record<string, unknown> {
  const stats: Stats = topic.stats()
  const internal: Stats = topic.name.isPersistent ? topic.internalStats() : {}
  const cursors = mapIn(internal.cursors)
  const subscriptions = Object.entries(mapIn(stats.subscriptions))
  const rejected = subscriptions.reduce(
    (sum, [, { filterRejectedMsgCount }]) => sum + numberOf(filterRejectedMsgCount),
    0
  )
  return {
    publishers: listIn(stats.publishers).map(publisher => taken(publisher, OF_PUBLISHER)),
    replication: {},
    subscriptions: Object.fromEntries(
      subscriptions.map(([name, subscription]) => [name, shownSubscription(subscription, cursors[name])])
    ),
    producerCount: topic.producers.size,
    ...taken(stats, ['averageMsgSize', 'msgRateIn', 'msgRateOut', 'msgThroughputIn', 'msgThroughputOut']),
    msgInCount: stats.msgInCounter,
    bytesInCount: stats.bytesInCounter,
    msgOutCount: stats.msgOutCounter,
    bytesOutCount: stats.bytesOutCounter,
    filteredEntriesCount: rejected,
    ...(topic.name.isPersistent
      ? {
          ...taken(stats, ['storageSize', 'backlogSize']),
          pendingAddEntriesCount: internal.pendingAddEntriesCount
        }
      : {})
  }
}

const OF_PUBLISHER = [
  'address',
  'averageMsgSize',
  'clientVersion',
  'connectedSince',
  'metadata',
  'msgRateIn',
  'msgThroughputIn',
  'producerId',
  'producerName'
]
const OF_CONSUMER = [
  'address',
  'availablePermits',
  'avgMessagesPerEntry',
  'clientVersion',
  'connectedSince',
  'consumerName',
  'messageAckRate',
  'metadata',
  'msgRateOut',
  'msgRateRedeliver',
  'msgThroughputOut'
]
const OF_SUBSCRIPTION = [
  'messageAckRate',
  'msgBacklog',
  'msgRateExpired',
  'msgRateOut',
  'msgRateRedeliver',
  'msgThroughputOut',
  'type'
]
const OF_FILTERS = [
  'filterAcceptedMsgCount',
  'filterProcessedMsgCount',
  'filterRejectedMsgCount',
  'filterRescheduledMsgCount'
]

/** Messages are held for each consumer where they are acknowledged one by one. */
const SHARED: ReadonlySet<unknown> = new Set(['Shared', 'Key_Shared'])

function shownSubscription(stats: Stats, cursor: Stats | undefined): Record<string, unknown> {
  const isShared = SHARED.has(stats.type)
  const ofConsumer = isShared ? [...OF_CONSUMER, 'unackedMessages', 'blockedConsumerOnUnackedMsgs'] : OF_CONSUMER
  return {
    consumers: listIn(stats.consumers).map(consumer => taken(consumer, ofConsumer)),
    ...taken(stats, OF_SUBSCRIPTION),
    // of one that nobody ever came to there are none
    ...(stats.type === 'None' ? {} : taken(stats, OF_FILTERS)),
    ...(isShared ? taken(stats, ['blockedSubscriptionOnUnackedMsgs', 'unackedMessages']) : {}),
    ...(cursor === undefined
      ? {}
      : taken(cursor, ['numberOfEntriesSinceFirstNotAckedMessage', 'totalNonContiguousDeletedMessagesRange']))
  }
}

function taken(stats: Stats, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map(name => [name, stats[name]]))
}

function mapIn(value: unknown): Record<string, Stats> {
  return (value ?? {}) as Record<string, Stats>
}

function listIn(value: unknown): readonly Stats[] {
  return (value ?? []) as readonly Stats[]
}
