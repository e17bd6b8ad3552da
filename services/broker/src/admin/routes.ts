import { SERVED_POLICIES, type PolicyName } from '../namespace/policy-table.ts'
import type { Operation } from './operation.ts'
import * as brokers from './operations/brokers.ts'
import * as brokerStats from './operations/broker-stats.ts'
import * as clusters from './operations/clusters.ts'
import * as lookup from './operations/lookup.ts'
import * as messages from './operations/messages.ts'
import * as namespaces from './operations/namespaces.ts'
import * as schemas from './operations/schemas.ts'
import { statusPage } from './operations/status-page.ts'
import * as subscriptions from './operations/subscriptions.ts'
import * as tenants from './operations/tenants.ts'
import * as stats from './operations/topic-stats.ts'
import * as topics from './operations/topics.ts'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** `:name` is one segment of the path, decoded once; `:domain` is persistent or non-persistent. */
export type Route = readonly [Method, string, Operation]

const N = '/admin/v2/namespaces/:tenant/:namespace'
const D = '/admin/v2/:domain/:tenant/:namespace'
const T = `${D}/:topic`
const S = `${T}/subscription/:subscription`
const SCHEMA = '/admin/v2/schemas/:tenant/:namespace/:topic'
const LOOKUP = '/lookup/v2/topic/:domain/:tenant/:namespace/:topic'

/** Clients set it by PUT, all others by POST. */
const SET_BY_PUT: ReadonlySet<PolicyName> = new Set(['schemaCompatibilityStrategy'])

/** Everything that is served, once. `/metrics` is added by the server, which owns the process's measures. */
export const routes: readonly Route[] = [
  ['GET', '/admin/v2/clusters', clusters.listClusters],
  ['GET', '/admin/v2/clusters/:cluster', clusters.getCluster],
  ['PUT', '/admin/v2/clusters/:cluster', clusters.createCluster],
  ['POST', '/admin/v2/clusters/:cluster', clusters.updateCluster],
  ['DELETE', '/admin/v2/clusters/:cluster', clusters.deleteCluster],
  ['GET', '/admin/v2/clusters/:cluster/peers', clusters.getPeers],

  ['GET', '/admin/v2/tenants', tenants.listTenants],
  ['GET', '/admin/v2/tenants/:tenant', tenants.getTenant],
  ['PUT', '/admin/v2/tenants/:tenant', tenants.createTenant],
  ['POST', '/admin/v2/tenants/:tenant', tenants.updateTenant],
  ['DELETE', '/admin/v2/tenants/:tenant', tenants.deleteTenant],

  ['GET', '/admin/v2/namespaces/:tenant', namespaces.listNamespaces],
  ['GET', N, namespaces.getNamespacePolicies],
  ['PUT', N, namespaces.createNamespace],
  ['DELETE', N, namespaces.deleteNamespace],
  ['GET', `${N}/topics`, namespaces.listTopicsOfNamespace],
  ['GET', `${N}/bundles`, namespaces.getBundles],
  ['PUT', `${N}/unload`, namespaces.unloadNamespace],
  ['PUT', `${N}/:bundle/unload`, namespaces.unloadBundle],
  ['POST', `${N}/clearBacklog`, namespaces.clearNamespaceBacklog],
  ['POST', `${N}/clearBacklog/:subscription`, namespaces.clearNamespaceBacklog],
  ['POST', `${N}/unsubscribe/:subscription`, namespaces.unsubscribeNamespace],
  ...SERVED_POLICIES.flatMap(policyRoutes),

  ['GET', D, namespaces.listTopicsOfDomain],
  ['GET', `${D}/partitioned`, namespaces.listPartitionedTopics],
  ['PUT', T, topics.createTopic],
  ['DELETE', T, topics.deleteTopic],
  ['PUT', `${T}/partitions`, topics.createPartitionedTopic],
  ['GET', `${T}/partitions`, topics.getPartitions],
  ['POST', `${T}/partitions`, topics.updatePartitions],
  ['DELETE', `${T}/partitions`, topics.deletePartitionedTopic],
  ['POST', `${T}/createMissedPartitions`, topics.createMissedPartitions],
  ['PUT', `${T}/unload`, topics.unloadTopic],
  ['DELETE', `${T}/truncate`, topics.truncateTopic],
  ['POST', `${T}/trim`, topics.trimTopic],
  ['GET', `${T}/properties`, topics.getProperties],
  ['PUT', `${T}/properties`, topics.putProperties],
  ['DELETE', `${T}/properties`, topics.removeProperty],

  ['POST', `${T}/terminate`, stats.terminateTopic],
  ['POST', `${T}/terminate/partitions`, stats.terminatePartitions],
  ['GET', `${T}/stats`, stats.getStats],
  ['GET', `${T}/internalStats`, stats.getInternalStats],
  ['GET', `${T}/internal-info`, stats.getInternalInfo],
  ['GET', `${T}/partitioned-stats`, stats.getPartitionedStats],
  ['GET', `${T}/partitioned-internalStats`, stats.getPartitionedInternalStats],
  ['PUT', `${T}/backlogSize`, stats.getBacklogSize],

  ['GET', `${T}/lastMessageId`, messages.getLastMessageId],
  ['GET', `${T}/messageid/:timestamp`, messages.getMessageIdByTime],
  ['GET', `${T}/examinemessage`, messages.examineMessage],
  ['GET', `${T}/ledger/:ledgerId/entry/:entryId`, messages.getEntry],
  ['GET', `${S}/position/:position`, messages.peekMessage],

  ['GET', `${T}/subscriptions`, subscriptions.listSubscriptions],
  ['PUT', S, subscriptions.createSubscription],
  ['DELETE', S, subscriptions.deleteSubscription],
  ['POST', `${S}/skip/:numMessages`, subscriptions.skipMessages],
  ['POST', `${S}/skip_all`, subscriptions.skipAllMessages],
  ['POST', `${S}/expireMessages/:expireTimeInSeconds`, subscriptions.expireMessages],
  ['POST', `${T}/all_subscription/expireMessages/:expireTimeInSeconds`, subscriptions.expireAllSubscriptions],
  ['POST', `${S}/resetcursor/:timestamp`, subscriptions.resetCursorToTime],
  ['POST', `${S}/resetcursor`, subscriptions.resetCursorToPosition],
  ['GET', `${S}/properties`, subscriptions.getSubscriptionProperties],
  ['PUT', `${S}/properties`, subscriptions.putSubscriptionProperties],

  ['GET', `${SCHEMA}/schema`, schemas.getSchema],
  ['GET', `${SCHEMA}/schema/:version`, schemas.getSchemaVersion],
  ['GET', `${SCHEMA}/schemas`, schemas.listSchemas],
  ['POST', `${SCHEMA}/schema`, schemas.postSchema],
  ['DELETE', `${SCHEMA}/schema`, schemas.deleteSchema],
  ['POST', `${SCHEMA}/compatibility`, schemas.testCompatibility],
  ['POST', `${SCHEMA}/version`, schemas.findVersion],

  ['GET', '/admin/v2/brokers', brokers.listBrokers],
  ['GET', '/admin/v2/brokers/health', brokers.health],
  ['GET', '/admin/v2/brokers/ready', brokers.ready],
  ['GET', '/admin/v2/brokers/version', brokers.version],
  ['GET', '/admin/v2/brokers/leaderBroker', brokers.leaderBroker],
  ['GET', '/admin/v2/brokers/configuration', brokers.dynamicConfiguration],
  ['GET', '/admin/v2/brokers/configuration/runtime', brokers.runtimeConfiguration],
  ['GET', '/admin/v2/brokers/configuration/values', brokers.dynamicValues],
  ['POST', '/admin/v2/brokers/configuration/:configName/:configValue', brokers.setDynamicValue],
  ['DELETE', '/admin/v2/brokers/configuration/:configName', brokers.removeDynamicValue],
  ['GET', '/admin/v2/brokers/internal-configuration', brokers.internalConfiguration],
  ['GET', '/admin/v2/brokers/:cluster', brokers.listBrokers],
  ['GET', '/admin/v2/brokers/:cluster/:broker/ownedNamespaces', brokers.ownedNamespaces],

  ['GET', '/admin/v2/broker-stats/topics', brokerStats.statsOfTopics],
  ['GET', '/admin/v2/broker-stats/destinations', brokerStats.statsOfTopics],
  ['GET', '/admin/v2/broker-stats/metrics', brokerStats.brokerMetrics],

  ['GET', LOOKUP, lookup.lookupTopic],
  ['GET', `${LOOKUP}/bundle`, lookup.lookupBundle],

  ['GET', '/status.html', statusPage]
]

function policyRoutes(policy: PolicyName): Route[] {
  const path = `${N}/${policy}`
  return [
    ['GET', path, namespaces.getPolicy(policy)],
    [SET_BY_PUT.has(policy) ? 'PUT' : 'POST', path, namespaces.setPolicy(policy)],
    ['DELETE', path, namespaces.removePolicy(policy)]
  ]
}
