import type { Permission } from '@strata/auth'
import type { Operation } from '../operation.ts'
import * as off from '../operations/switched-off.ts'
import type { Method, Route } from '../route.ts'
import { OBJECT } from '../shapes.ts'

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

/** Of features that are not here: see `switched-off.ts` of the operations. */
export const switchedOffRoutes: readonly Route[] = [...transactions, ...worker, ...migration]
