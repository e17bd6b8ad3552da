import type { Route } from '../route.ts'
import * as backlog from '../operations/backlog.ts'
import * as messages from '../operations/messages.ts'
import * as namespaces from '../operations/namespaces.ts'
import * as stats from '../operations/topic-stats.ts'
import * as topics from '../operations/topics.ts'
import { whyTopic } from '../operations/why.ts'
import { INTEGER, MESSAGE_ID, OBJECT, PARTITIONS, PROPERTIES, TEXTS } from '../shapes.ts'
import { DOMAIN, SUBSCRIPTION, TOPIC } from './paths.ts'

export const topicsRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: DOMAIN,
    name: 'getList',
    operation: namespaces.listTopicsOfDomain,
    permission: 'lookup',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: `${DOMAIN}/partitioned`,
    name: 'getPartitionedTopicList',
    operation: namespaces.listPartitionedTopics,
    permission: 'lookup',
    reply: TEXTS
  },
  {
    method: 'PUT',
    path: TOPIC,
    name: 'createNonPartitionedTopic',
    operation: topics.createTopic,
    scope: 'topic',
    permission: 'tenant-admin',
    body: PROPERTIES
  },
  {
    method: 'DELETE',
    path: TOPIC,
    name: 'deleteTopic',
    operation: topics.deleteTopic,
    scope: 'topic',
    permission: 'tenant-admin'
  },
  {
    method: 'PUT',
    path: `${TOPIC}/partitions`,
    name: 'createPartitionedTopic',
    operation: topics.createPartitionedTopic,
    permission: 'tenant-admin',
    body: {}
  },
  {
    method: 'GET',
    path: `${TOPIC}/partitions`,
    name: 'getPartitionedMetadata',
    operation: topics.getPartitions,
    permission: 'lookup',
    reply: PARTITIONS
  },
  {
    method: 'POST',
    path: `${TOPIC}/partitions`,
    name: 'updatePartitionedTopic',
    operation: topics.updatePartitions,
    permission: 'tenant-admin',
    body: INTEGER
  },
  {
    method: 'DELETE',
    path: `${TOPIC}/partitions`,
    name: 'deletePartitionedTopic',
    operation: topics.deletePartitionedTopic,
    permission: 'tenant-admin'
  },
  {
    method: 'POST',
    path: `${TOPIC}/createMissedPartitions`,
    name: 'createMissedPartitions',
    operation: topics.createMissedPartitions,
    permission: 'tenant-admin'
  },
  {
    method: 'PUT',
    path: `${TOPIC}/unload`,
    name: 'unloadTopic',
    operation: topics.unloadTopic,
    scope: 'topic',
    permission: 'tenant-admin'
  },
  {
    method: 'DELETE',
    path: `${TOPIC}/truncate`,
    name: 'truncateTopic',
    operation: topics.truncateTopic,
    scope: 'topic',
    permission: 'tenant-admin'
  },
  {
    method: 'POST',
    path: `${TOPIC}/trim`,
    name: 'trimTopic',
    operation: topics.trimTopic,
    scope: 'topic',
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: `${TOPIC}/properties`,
    name: 'getProperties',
    operation: topics.getProperties,
    permission: 'lookup',
    reply: PROPERTIES
  },
  {
    method: 'PUT',
    path: `${TOPIC}/properties`,
    name: 'updateProperties',
    operation: topics.putProperties,
    permission: 'tenant-admin',
    body: PROPERTIES
  },
  {
    method: 'DELETE',
    path: `${TOPIC}/properties`,
    name: 'removeProperties',
    operation: topics.removeProperty,
    permission: 'tenant-admin'
  },
  { method: 'GET', path: `${TOPIC}/why`, name: 'whyTopic', operation: whyTopic, permission: 'lookup', reply: OBJECT },
  {
    method: 'POST',
    path: `${TOPIC}/terminate`,
    name: 'terminate',
    operation: stats.terminateTopic,
    scope: 'topic',
    permission: 'tenant-admin',
    reply: MESSAGE_ID
  },
  {
    method: 'POST',
    path: `${TOPIC}/terminate/partitions`,
    name: 'terminatePartitionedTopic',
    operation: stats.terminatePartitions,
    scope: 'topic',
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${TOPIC}/stats`,
    name: 'getStats',
    operation: stats.getStats,
    scope: 'topic',
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${TOPIC}/internalStats`,
    name: 'getInternalStats',
    operation: stats.getInternalStats,
    scope: 'topic',
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${TOPIC}/internal-info`,
    name: 'getManagedLedgerInfo',
    operation: stats.getInternalInfo,
    scope: 'topic',
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${TOPIC}/partitioned-stats`,
    name: 'getPartitionedStats',
    operation: stats.getPartitionedStats,
    scope: 'topic',
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${TOPIC}/partitioned-internalStats`,
    name: 'getPartitionedStatsInternal',
    operation: stats.getPartitionedInternalStats,
    scope: 'topic',
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'PUT',
    path: `${TOPIC}/backlogSize`,
    name: 'getBacklogSizeByMessageId',
    operation: stats.getBacklogSize,
    scope: 'topic',
    permission: 'consume',
    body: MESSAGE_ID,
    reply: INTEGER
  },
  {
    method: 'GET',
    path: `${TOPIC}/lastMessageId`,
    name: 'getLastMessageId',
    operation: messages.getLastMessageId,
    scope: 'topic',
    permission: 'consume',
    reply: MESSAGE_ID
  },
  {
    method: 'GET',
    path: `${TOPIC}/messageid/:timestamp`,
    name: 'getMessageIdByTimestamp',
    operation: messages.getMessageIdByTime,
    scope: 'topic',
    permission: 'consume',
    reply: MESSAGE_ID
  },
  {
    method: 'GET',
    path: `${TOPIC}/examinemessage`,
    name: 'examineMessage',
    operation: messages.examineMessage,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'GET',
    path: `${TOPIC}/ledger/:ledgerId/entry/:entryId`,
    name: 'getMessageById',
    operation: messages.getEntry,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'GET',
    path: `${SUBSCRIPTION}/position/:position`,
    name: 'peekNthMessage',
    operation: messages.peekMessage,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'GET',
    path: `${TOPIC}/getMessageIdByIndex`,
    name: 'getMessageIDByIndex',
    operation: messages.getMessageIdByIndex,
    scope: 'topic',
    permission: 'consume',
    reply: MESSAGE_ID
  },
  {
    method: 'PUT',
    path: `${TOPIC}/compaction`,
    name: 'compact',
    operation: backlog.compact,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: `${TOPIC}/compaction`,
    name: 'compactionStatus',
    operation: backlog.compactionStatus,
    scope: 'topic',
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'PUT',
    path: `${TOPIC}/offload`,
    name: 'triggerOffload',
    operation: backlog.startOffload,
    scope: 'topic',
    permission: 'tenant-admin',
    body: MESSAGE_ID
  },
  {
    method: 'GET',
    path: `${TOPIC}/backlog`,
    name: 'getBacklog',
    operation: backlog.backlogOfTopic,
    scope: 'topic',
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${TOPIC}/offload`,
    name: 'offloadStatus',
    operation: backlog.offloadStatus,
    scope: 'topic',
    permission: 'tenant-admin',
    reply: OBJECT
  }
]
