import type { Route } from '../route.ts'
import * as quota from '../operations/backlog-quotas.ts'
import * as bookies from '../operations/bookies.ts'
import * as brokerStats from '../operations/broker-stats.ts'
import * as brokers from '../operations/brokers.ts'
import * as load from '../operations/load.ts'
import { topicsOfBroker } from '../operations/topics-of-broker.ts'
import { OBJECT, OBJECTS, PROPERTIES, TEXT, TEXTS } from '../shapes.ts'
import { REACH_PATH, STORAGE_REACH_PATH } from '../../ownership/tcp-peers.ts'

export const brokersRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/admin/v2/brokers',
    name: 'getAllActiveBrokers',
    operation: brokers.listBrokers,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/health',
    name: 'healthCheck',
    operation: brokers.health,
    permission: 'superuser',
    reply: TEXT
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/ready',
    name: 'isReady',
    operation: brokers.ready,
    permission: 'open',
    reply: TEXT
  },
  { method: 'GET', path: REACH_PATH, name: 'reachesMetadata', operation: brokers.reachesMetadata, permission: 'open' },
  {
    method: 'GET',
    path: STORAGE_REACH_PATH,
    name: 'reachesStorage',
    operation: brokers.reachesStorage,
    permission: 'open'
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/version',
    name: 'version',
    operation: brokers.version,
    permission: 'open',
    reply: TEXT
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/leaderBroker',
    name: 'getLeaderBroker',
    operation: brokers.leaderBroker,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/backlog-quota-check',
    name: 'backlogQuotaCheck',
    operation: quota.checkBacklogs,
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/configuration',
    name: 'getDynamicConfigurationName',
    operation: brokers.dynamicConfiguration,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/configuration/runtime',
    name: 'getRuntimeConfiguration',
    operation: brokers.runtimeConfiguration,
    permission: 'superuser',
    reply: PROPERTIES
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/configuration/values',
    name: 'getAllDynamicConfigurations',
    operation: brokers.dynamicValues,
    permission: 'superuser',
    reply: PROPERTIES
  },
  {
    method: 'POST',
    path: '/admin/v2/brokers/configuration/:configName/:configValue',
    name: 'updateDynamicConfiguration',
    operation: brokers.setDynamicValue,
    permission: 'superuser'
  },
  {
    method: 'DELETE',
    path: '/admin/v2/brokers/configuration/:configName',
    name: 'deleteDynamicConfiguration',
    operation: brokers.removeDynamicValue,
    permission: 'superuser'
  },
  {
    method: 'POST',
    path: '/admin/v2/brokers/shutdown',
    name: 'shutDownBrokerGracefully',
    operation: brokers.shutDown,
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/internal-configuration',
    name: 'getInternalConfigurationData',
    operation: brokers.internalConfiguration,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/:cluster',
    name: 'getActiveBrokers',
    operation: brokers.listBrokers,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: '/admin/v2/brokers/:cluster/:broker/ownedNamespaces',
    name: 'getOwnedNamespaces',
    operation: brokers.ownedNamespaces,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/broker-stats/topics',
    name: 'getTopicsOfBroker',
    operation: topicsOfBroker,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/broker-stats/metrics',
    name: 'getMetrics',
    operation: brokerStats.brokerMetrics,
    permission: 'superuser',
    reply: OBJECTS
  },
  {
    method: 'GET',
    path: '/admin/v2/broker-stats/broker-resource-availability/:tenant/:namespace',
    name: 'getBrokerResourceAvailability',
    operation: brokerStats.resourceAvailability,
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: '/admin/v2/broker-stats/load-report',
    name: 'getLoadReport',
    operation: load.loadReport,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/broker-stats/balance',
    name: 'getBalanceDecisions',
    operation: load.balanceDecisions,
    permission: 'superuser',
    reply: OBJECTS
  },
  {
    method: 'GET',
    path: '/admin/v2/bookies/all',
    name: 'getAllBookies',
    operation: bookies.listBookies,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/bookies/racks-info',
    name: 'getBookiesRackInfo',
    operation: bookies.listRacks,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: '/admin/v2/bookies/racks-info/:bookie',
    name: 'getBookieRackInfo',
    operation: bookies.getRack,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: '/admin/v2/bookies/racks-info/:bookie',
    name: 'updateBookieRackInfo',
    operation: bookies.setRack,
    permission: 'superuser',
    body: OBJECT
  },
  {
    method: 'DELETE',
    path: '/admin/v2/bookies/racks-info/:bookie',
    name: 'deleteBookieRackInfo',
    operation: bookies.deleteRack,
    permission: 'superuser'
  }
]
