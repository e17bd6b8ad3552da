import type { Permission } from '@strata/auth'
import type { Operation } from '../operation.ts'
import * as off from '../operations/switched-off.ts'
import type { Method, Route } from '../route.ts'
import { OBJECT } from '../shapes.ts'
import { CLUSTER, NAMESPACE } from './paths.ts'

const TRANSACTIONS = '/admin/v3/transactions'
const MIGRATION = '/admin/v2/metadata/migration'
const OF_TOPIC = ':tenant/:namespace/:topic'

function route(
  method: Method,
  path: string,
  name: string,
  { operation, permission = 'superuser' }: { operation: Operation; permission?: Permission }
): Route {
  return { method, path, name, operation, permission, ...(method === 'GET' ? { reply: OBJECT } : {}) }
}

const superuser = { operation: off.noTransactions } as const
const ofTopic = { operation: off.noTransactions, permission: 'tenant-admin' } as const

const transactions: readonly Route[] = [
  route('GET', `${TRANSACTIONS}/coordinators`, 'listTransactionCoordinators', superuser),
  route('GET', `${TRANSACTIONS}/coordinatorStats`, 'getCoordinatorStats', superuser),
  route('GET', `${TRANSACTIONS}/coordinatorInternalStats/:coordinator`, 'getCoordinatorInternalStats', superuser),
  route('GET', `${TRANSACTIONS}/slowTransactions/:timeout`, 'getSlowTransactions', superuser),
  route('GET', `${TRANSACTIONS}/transactionMetadata/:most/:least`, 'getTransactionMetadata', superuser),
  route('POST', `${TRANSACTIONS}/abortTransaction/:most/:least`, 'abortTransaction', superuser),
  route('POST', `${TRANSACTIONS}/transactionCoordinator/replicas`, 'scaleTransactionCoordinators', {
    operation: off.noCoordinatorReplicas
  }),
  route('GET', `${TRANSACTIONS}/transactionBufferStats/${OF_TOPIC}`, 'getTransactionBufferStats', ofTopic),
  route('GET', `${TRANSACTIONS}/transactionBufferInternalStats/${OF_TOPIC}`, 'getTransactionBufferInternalStats', {
    operation: off.noTransactionBuffer,
    permission: 'tenant-admin'
  }),
  route(
    'GET',
    `${TRANSACTIONS}/transactionInBufferStats/${OF_TOPIC}/:most/:least`,
    'getTransactionInBufferStats',
    ofTopic
  ),
  route('GET', `${TRANSACTIONS}/pendingAckStats/${OF_TOPIC}/:subscription`, 'getPendingAckStats', ofTopic),
  route(
    'GET',
    `${TRANSACTIONS}/pendingAckInternalStats/${OF_TOPIC}/:subscription`,
    'getPendingAckInternalStats',
    ofTopic
  ),
  route(
    'GET',
    `${TRANSACTIONS}/transactionInPendingAckStats/${OF_TOPIC}/:subscription/:most/:least`,
    'getTransactionInPendingAckStats',
    ofTopic
  ),
  route(
    'GET',
    `${TRANSACTIONS}/positionStatsInPendingAck/${OF_TOPIC}/:subscription/:ledgerId/:entryId`,
    'getPositionStatsInPendingAck',
    ofTopic
  )
]

const noWorker = { operation: off.noFunctionWorker } as const

const worker: readonly Route[] = [
  route('GET', '/admin/v2/worker/cluster', 'getFunctionCluster', noWorker),
  route('GET', '/admin/v2/worker/cluster/leader', 'getFunctionClusterLeader', noWorker),
  route('GET', '/admin/v2/worker/cluster/leader/ready', 'isFunctionLeaderReady', noWorker),
  route('GET', '/admin/v2/worker/assignments', 'getFunctionAssignments', noWorker),
  route('GET', '/admin/v2/worker/connectors', 'getConnectorsList', noWorker),
  route('PUT', '/admin/v2/worker/rebalance', 'rebalanceFunctions', noWorker),
  route('PUT', '/admin/v2/worker/drain', 'drainFunctionWorker', noWorker),
  route('GET', '/admin/v2/worker/drain', 'getFunctionDrainStatus', noWorker),
  route('PUT', '/admin/v2/worker/leader/drain', 'drainFunctionWorkerByLeader', noWorker),
  route('GET', '/admin/v2/worker/leader/drain', 'getFunctionDrainStatusByLeader', noWorker),
  route('GET', '/admin/v2/worker-stats/metrics', 'getFunctionWorkerMetrics', noWorker),
  route('GET', '/admin/v2/worker-stats/functionsmetrics', 'getFunctionsMetrics', noWorker)
]

const migration: readonly Route[] = [
  route('GET', `${MIGRATION}/status`, 'getMigrationStatus', { operation: off.migrationStatus }),
  route('POST', `${MIGRATION}/start`, 'startMigration', { operation: off.startMigration })
]

const SCALABLE = '/admin/v2/scalable/:tenant/:namespace'
const SCALABLE_TOPIC = `${SCALABLE}/:topic`
const SCALABLE_SUBSCRIPTION = `${SCALABLE_TOPIC}/subscriptions/:subscription`
const SEGMENT = `/admin/v2/segments/${OF_TOPIC}/:descriptor`
const SEGMENT_SUBSCRIPTION = `${SEGMENT}/subscription/:subscription`

const noTopic = { operation: off.noScalableTopic, permission: 'tenant-admin' } as const
const notMade = { operation: off.noScalableTopicMade, permission: 'tenant-admin' } as const
const noSegmentLeft = { operation: off.noSegmentLeft } as const
const noSegmentMoved = { operation: off.noSegmentMoved } as const

const scalable: readonly Route[] = [
  route('GET', SCALABLE, 'listScalableTopics', { operation: off.noScalableTopics, permission: 'tenant-admin' }),
  route('PUT', SCALABLE_TOPIC, 'createScalableTopic', notMade),
  route('GET', SCALABLE_TOPIC, 'getScalableTopic', noTopic),
  route('DELETE', SCALABLE_TOPIC, 'deleteScalableTopic', noTopic),
  route('GET', `${SCALABLE_TOPIC}/autoScalePolicy`, 'getScalableTopicAutoScalePolicy', noTopic),
  route('POST', `${SCALABLE_TOPIC}/autoScalePolicy`, 'setScalableTopicAutoScalePolicy', noTopic),
  route('DELETE', `${SCALABLE_TOPIC}/autoScalePolicy`, 'removeScalableTopicAutoScalePolicy', noTopic),
  route('POST', `${SCALABLE_TOPIC}/merge/:segment/:other`, 'mergeSegments', noTopic),
  route('POST', `${SCALABLE_TOPIC}/split/:segment`, 'splitSegment', noTopic),
  route('POST', `${SCALABLE_TOPIC}/migrate`, 'migrateToScalableTopic', {
    operation: off.noTopicToMigrate,
    permission: 'tenant-admin'
  }),
  route('GET', `${SCALABLE_TOPIC}/stats`, 'getScalableTopicStats', noTopic),
  route('PUT', SCALABLE_SUBSCRIPTION, 'createScalableSubscription', noTopic),
  route('DELETE', SCALABLE_SUBSCRIPTION, 'deleteScalableSubscription', noTopic),
  route('POST', `${SCALABLE_SUBSCRIPTION}/seek`, 'seekScalableSubscription', noTopic),
  route('POST', `${SCALABLE_SUBSCRIPTION}/skip-all`, 'skipAllOfScalableSubscription', noTopic)
]

const segments: readonly Route[] = [
  route('PUT', SEGMENT, 'createSegment', { operation: off.noScalableTopicMade }),
  route('DELETE', SEGMENT, 'deleteSegment', noSegmentLeft),
  route('POST', `${SEGMENT}/terminate`, 'terminateSegment', { operation: off.noSegment }),
  route('PUT', SEGMENT_SUBSCRIPTION, 'createSegmentSubscription', { operation: off.noSegment }),
  route('DELETE', SEGMENT_SUBSCRIPTION, 'deleteSegmentSubscription', noSegmentLeft),
  route('GET', `${SEGMENT_SUBSCRIPTION}/backlog`, 'getSegmentBacklog', { operation: off.noSegmentRead }),
  route('POST', `${SEGMENT_SUBSCRIPTION}/seek`, 'seekSegmentSubscription', noSegmentMoved),
  route('POST', `${SEGMENT_SUBSCRIPTION}/skip-all`, 'skipAllOfSegmentSubscription', noSegmentMoved)
]

const clusterMigration: readonly Route[] = [
  route('GET', `${CLUSTER}/migrate`, 'getClusterMigration', { operation: off.noClusterMigration }),
  route('POST', `${CLUSTER}/migrate`, 'updateClusterMigration', { operation: off.migrateCluster }),
  route('POST', `${NAMESPACE}/migration`, 'enableMigration', { operation: off.migrateNamespace })
]

/** Of features that are not here: see `switched-off.ts` of the operations. */
export const switchedOffRoutes: readonly Route[] = [
  ...transactions,
  ...worker,
  ...migration,
  ...clusterMigration,
  ...scalable,
  ...segments
]
