// What a tenant's life by the Java admin client touches of the cluster that it lives in.
import { call, measured, settled, type Step } from '../step.ts'
import { LEFT_HALF, TOPIC } from './values.ts'

const ISOLATION = {
  ...{ namespaces: ['{tenant}/.*'], primary: ['.*'], secondary: [] },
  autoFailoverPolicy: { policyType: 'min_available', parameters: { min_limit: '1', usage_threshold: '80' } }
}
const FAR = { serviceUrl: 'http://far.example:8080', brokerServiceUrl: 'pulsar://far.example:6650' }
const QUOTA = { msgRateIn: 40, msgRateOut: 120, bandwidthIn: 100000, bandwidthOut: 300000, memory: 80, dynamic: true }
const SMALL_QUOTA = { msgRateIn: 4, msgRateOut: 12, bandwidthIn: 1000, bandwidthOut: 3000, memory: 8, dynamic: true }
const RATE_KEY = 'dispatchThrottlingRatePerTopicInMsg'

const brokers: readonly Step[] = [
  measured('brokers.getActiveBrokers()'),
  measured('brokers.getActiveBrokers(String)', 'standalone'),
  measured('brokers.getOwnedNamespaces', 'standalone', '{broker}'),
  measured('brokers.getDynamicConfigurationNames'),
  measured('brokers.getRuntimeConfigurations'),
  measured('brokers.getInternalConfigurationData'),
  measured('brokers.getLeaderBroker'),
  measured('brokers.getVersion'),
  call('brokers.healthcheck()'),
  call('brokers.healthcheck(Optional)', null),
  call('brokers.backlogQuotaCheck'),
  call('brokers.updateDynamicConfiguration', RATE_KEY, '1000000'),
  settled('brokers.getAllDynamicConfigurations'),
  call('brokers.deleteDynamicConfiguration', RATE_KEY),
  settled('brokers.getAllDynamicConfigurations'),
  call('brokers.updateDynamicConfiguration', 'noSuchKey', '1'),
  measured('brokerStats.getMetrics'),
  measured('brokerStats.getMBeans'),
  measured('brokerStats.getTopics'),
  measured('brokerStats.getLoadReport'),
  measured('brokerStats.getAllocatorStats', 'default'),
  measured('brokerStats.getPendingBookieOpsStats'),
  call('proxyStats.getConnections'),
  call('proxyStats.getTopics'),
  call('metadataMigration.status')
]

const clusters: readonly Step[] = [
  call('clusters.getClusters'),
  measured('clusters.getCluster', 'standalone'),
  call('clusters.createCluster', '{tenant}-far', FAR),
  call('clusters.createCluster', '{tenant}-far', FAR),
  call('clusters.updateCluster', '{tenant}-far', { ...FAR, serviceUrl: 'http://far.example:8081' }),
  settled('clusters.getCluster', '{tenant}-far'),
  call('clusters.updatePeerClusterNames', '{tenant}-far', ['standalone']),
  settled('clusters.getPeerClusterNames', '{tenant}-far'),
  call('clusters.getClusterMigration', '{tenant}-far'),
  call('clusters.updateClusterMigration', '{tenant}-far', false, {
    serviceUrl: 'http://farther.example:8080',
    brokerServiceUrl: 'pulsar://farther.example:6650'
  }),
  settled('clusters.getClusterMigration', '{tenant}-far'),
  call('clusters.createFailureDomain', '{tenant}-far', 'left', { brokers: ['one:8080'] }),
  call('clusters.getFailureDomain', '{tenant}-far', 'left'),
  call('clusters.updateFailureDomain', '{tenant}-far', 'left', { brokers: ['two:8080'] }),
  call('clusters.getFailureDomains', '{tenant}-far'),
  call('clusters.deleteFailureDomain', '{tenant}-far', 'left'),
  call('clusters.deleteFailureDomain', '{tenant}-far', 'left'),
  call('clusters.createNamespaceIsolationPolicy', 'standalone', 'alone', ISOLATION),
  call('clusters.getNamespaceIsolationPolicy', 'standalone', 'alone'),
  call('clusters.updateNamespaceIsolationPolicy', 'standalone', 'alone', { ...ISOLATION, secondary: ['none'] }),
  call('clusters.getNamespaceIsolationPolicies', 'standalone'),
  measured('clusters.getBrokersWithNamespaceIsolationPolicy', 'standalone'),
  measured('clusters.getBrokerWithNamespaceIsolationPolicy', 'standalone', '{broker}'),
  call('clusters.deleteNamespaceIsolationPolicy', 'standalone', 'alone'),
  call('clusters.getNamespaceIsolationPolicy', 'standalone', 'alone'),
  call('clusters.deleteCluster', '{tenant}-far'),
  call('clusters.getCluster', '{tenant}-far')
]

const BOOKIE = '{tenant}-bookie:3181'

const bookies: readonly Step[] = [
  measured('bookies.getBookies'),
  call('bookies.getBookiesRackInfo'),
  call('bookies.updateBookieRackInfo', BOOKIE, 'left', { rack: '/rack', hostname: 'one' }),
  settled('bookies.getBookieRackInfo', BOOKIE),
  call('bookies.getBookiesRackInfo'),
  call('bookies.updateBookieRackInfo', BOOKIE, 'left', { rack: '/region/rack', hostname: 'one' }),
  call('bookies.deleteBookieRackInfo', BOOKIE),
  settled('bookies.getBookieRackInfo', BOOKIE)
]

const shares: readonly Step[] = [
  call('resourcegroups.createResourceGroup', '{tenant}-other', { publishRateInMsgs: 100, dispatchRateInBytes: 100000 }),
  settled('resourcegroups.getResourceGroup', '{tenant}-other'),
  call('resourcegroups.updateResourceGroup', '{tenant}-other', { publishRateInMsgs: 200 }),
  settled('resourcegroups.getResourceGroup', '{tenant}-other'),
  call('resourcegroups.getResourceGroups'),
  call('resourcegroups.deleteResourceGroup', '{tenant}-other'),
  call('resourcegroups.deleteResourceGroup', '{tenant}-group'),
  settled('resourcegroups.getResourceGroups'),
  measured('resourceQuotas.getDefaultResourceQuota'),
  call('resourceQuotas.setDefaultResourceQuota', QUOTA),
  call('resourceQuotas.getNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF),
  call('resourceQuotas.setNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF, SMALL_QUOTA),
  settled('resourceQuotas.getNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF),
  call('resourceQuotas.resetNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF),
  settled('resourceQuotas.getNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF)
]

const ID = [1, 2]

/** Transactions are switched off. */
const transactions: readonly Step[] = [
  call('transactions.listTransactionCoordinators'),
  call('transactions.scaleTransactionCoordinators', 2),
  call('transactions.getCoordinatorStats'),
  call('transactions.getCoordinatorStatsById', 0),
  call('transactions.getCoordinatorInternalStats', 0, true),
  call('transactions.getSlowTransactions', 1, 'SECONDS'),
  call('transactions.getSlowTransactionsByCoordinatorId', 0, 1, 'SECONDS'),
  call('transactions.getTransactionMetadata', ID),
  call('transactions.abortTransaction', ID),
  call('transactions.getTransactionBufferStats(String)', TOPIC),
  call('transactions.getTransactionBufferStats(String,boolean)', TOPIC, true),
  call('transactions.getTransactionBufferStats(String,boolean,boolean)', TOPIC, true, true),
  call('transactions.getTransactionBufferInternalStats', TOPIC, true),
  call('transactions.getTransactionInBufferStats', ID, TOPIC),
  call('transactions.getTransactionInPendingAckStats', ID, TOPIC, 'told'),
  call('transactions.getPendingAckStats(String,String)', TOPIC, 'told'),
  call('transactions.getPendingAckStats(String,String,boolean)', TOPIC, 'told', true),
  call('transactions.getPendingAckInternalStats', TOPIC, 'told', true),
  call('transactions.getPositionStatsInPendingAck', TOPIC, 'told', 1, 1, null)
]

/** In a life that has the namespace `{tenant}/halves` and the topic `TOPIC`. */
export const javaCluster: readonly Step[] = [...brokers, ...clusters, ...bookies, ...shares, ...transactions]
