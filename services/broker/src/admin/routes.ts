import { SERVED_POLICIES, type PolicyName } from '../namespace/policy-table.ts'
import type { Operation } from './operation.ts'
import * as affinity from './operations/affinity.ts'
import * as bookies from './operations/bookies.ts'
import * as brokers from './operations/brokers.ts'
import * as brokerStats from './operations/broker-stats.ts'
import * as bundles from './operations/bundles.ts'
import * as clusters from './operations/clusters.ts'
import * as failureDomains from './operations/failure-domains.ts'
import * as isolation from './operations/isolation.ts'
import * as load from './operations/load.ts'
import * as lookup from './operations/lookup.ts'
import * as messages from './operations/messages.ts'
import * as namespaces from './operations/namespaces.ts'
import * as peers from './operations/peers.ts'
import * as schemas from './operations/schemas.ts'
import { statusPage } from './operations/status-page.ts'
import * as subscriptions from './operations/subscriptions.ts'
import * as tenants from './operations/tenants.ts'
import * as stats from './operations/topic-stats.ts'
import * as topics from './operations/topics.ts'
import { whyTopic } from './operations/why.ts'
import { REACH_PATH } from '../ownership/tcp-peers.ts'
import { PEER_PATH } from '../peers/http-peers.ts'
import type { Scope } from './scope.ts'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/**
 * `:name` is one segment of the path, decoded once; `:domain` is persistent or non-persistent. Who answers is `local`, that is
 * whoever is asked, where nothing else is said.
 */
export type Route = readonly [Method, string, Operation, Scope?]

const N = '/admin/v2/namespaces/:tenant/:namespace'
const D = '/admin/v2/:domain/:tenant/:namespace'
const T = `${D}/:topic`
const S = `${T}/subscription/:subscription`
const B = `${N}/:bundle`
/** Where other paths of one segment mean other things. */
const RANGE = `${N}/:bundle(^0x[0-9a-fA-F]{8}_0x[0-9a-fA-F]{8}$)`
const ISOLATION = '/admin/v2/clusters/:cluster/namespaceIsolationPolicies'
const DOMAINS = '/admin/v2/clusters/:cluster/failureDomains'
const PEER = `${PEER_PATH}/:domain/:tenant/:namespace/:topic`
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
  ['GET', ISOLATION, isolation.listIsolationPolicies],
  ['GET', `${ISOLATION}/brokers`, isolation.listIsolatedBrokers],
  ['GET', `${ISOLATION}/brokers/:broker`, isolation.getIsolatedBroker],
  ['GET', `${ISOLATION}/:policy`, isolation.getIsolationPolicy],
  ['POST', `${ISOLATION}/:policy`, isolation.setIsolationPolicy],
  ['DELETE', `${ISOLATION}/:policy`, isolation.deleteIsolationPolicy],
  ['GET', DOMAINS, failureDomains.listFailureDomains],
  ['GET', `${DOMAINS}/:name`, failureDomains.getFailureDomain],
  ['POST', `${DOMAINS}/:name`, failureDomains.setFailureDomain],
  ['DELETE', `${DOMAINS}/:name`, failureDomains.deleteFailureDomain],

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
  ['PUT', `${N}/unload`, bundles.unloadNamespace],
  ['POST', `${N}/clearBacklog`, bundles.clearNamespaceBacklog],
  ['POST', `${N}/clearBacklog/:subscription`, bundles.clearNamespaceBacklog],
  ['POST', `${N}/unsubscribe/:subscription`, bundles.unsubscribeNamespace],
  ['PUT', `${B}/unload`, bundles.unloadBundle],
  ['PUT', `${B}/split`, bundles.splitBundle, 'bundle'],
  ['PUT', `${B}/merge`, bundles.mergeBundle, 'bundle'],
  ['GET', `${B}/topicHashPositions`, bundles.topicHashPositions],
  ['POST', `${B}/clearBacklog`, bundles.clearBundleBacklog, 'bundle'],
  ['POST', `${B}/clearBacklog/:subscription`, bundles.clearBundleBacklog, 'bundle'],
  ['POST', `${B}/unsubscribe/:subscription`, bundles.unsubscribeBundle, 'bundle'],
  ['DELETE', RANGE, bundles.deleteBundle],
  ...SERVED_POLICIES.flatMap(policyRoutes),
  ['GET', `${N}/antiAffinity`, affinity.getAntiAffinity],
  ['POST', `${N}/antiAffinity`, affinity.setAntiAffinity],
  ['DELETE', `${N}/antiAffinity`, affinity.removeAntiAffinity],
  ['GET', '/admin/v2/namespaces/:cluster/antiAffinity/:group', affinity.namespacesOfGroup],
  ['GET', `${N}/persistence/bookieAffinity`, affinity.getBookieAffinity],
  ['POST', `${N}/persistence/bookieAffinity`, affinity.setBookieAffinity],
  ['DELETE', `${N}/persistence/bookieAffinity`, affinity.removeBookieAffinity],

  ['GET', D, namespaces.listTopicsOfDomain],
  ['GET', `${D}/partitioned`, namespaces.listPartitionedTopics],
  ['PUT', T, topics.createTopic, 'topic'],
  ['DELETE', T, topics.deleteTopic, 'topic'],
  ['PUT', `${T}/partitions`, topics.createPartitionedTopic],
  ['GET', `${T}/partitions`, topics.getPartitions],
  ['POST', `${T}/partitions`, topics.updatePartitions],
  ['DELETE', `${T}/partitions`, topics.deletePartitionedTopic],
  ['POST', `${T}/createMissedPartitions`, topics.createMissedPartitions],
  ['PUT', `${T}/unload`, topics.unloadTopic, 'topic'],
  ['DELETE', `${T}/truncate`, topics.truncateTopic, 'topic'],
  ['POST', `${T}/trim`, topics.trimTopic, 'topic'],
  ['GET', `${T}/properties`, topics.getProperties],
  ['PUT', `${T}/properties`, topics.putProperties],
  ['DELETE', `${T}/properties`, topics.removeProperty],
  ['GET', `${T}/why`, whyTopic],

  ['POST', `${T}/terminate`, stats.terminateTopic, 'topic'],
  ['POST', `${T}/terminate/partitions`, stats.terminatePartitions, 'topic'],
  ['GET', `${T}/stats`, stats.getStats, 'topic'],
  ['GET', `${T}/internalStats`, stats.getInternalStats, 'topic'],
  ['GET', `${T}/internal-info`, stats.getInternalInfo, 'topic'],
  ['GET', `${T}/partitioned-stats`, stats.getPartitionedStats, 'topic'],
  ['GET', `${T}/partitioned-internalStats`, stats.getPartitionedInternalStats, 'topic'],
  ['PUT', `${T}/backlogSize`, stats.getBacklogSize, 'topic'],

  ['GET', `${T}/lastMessageId`, messages.getLastMessageId, 'topic'],
  ['GET', `${T}/messageid/:timestamp`, messages.getMessageIdByTime, 'topic'],
  ['GET', `${T}/examinemessage`, messages.examineMessage, 'topic'],
  ['GET', `${T}/ledger/:ledgerId/entry/:entryId`, messages.getEntry, 'topic'],
  ['GET', `${S}/position/:position`, messages.peekMessage, 'topic'],

  ['GET', `${T}/subscriptions`, subscriptions.listSubscriptions, 'topic'],
  ['PUT', S, subscriptions.createSubscription, 'topic'],
  ['DELETE', S, subscriptions.deleteSubscription, 'topic'],
  ['POST', `${S}/skip/:numMessages`, subscriptions.skipMessages, 'topic'],
  ['POST', `${S}/skip_all`, subscriptions.skipAllMessages, 'topic'],
  ['POST', `${S}/expireMessages/:expireTimeInSeconds`, subscriptions.expireMessages, 'topic'],
  ['POST', `${T}/all_subscription/expireMessages/:expireTimeInSeconds`, subscriptions.expireAllSubscriptions, 'topic'],
  ['POST', `${S}/resetcursor/:timestamp`, subscriptions.resetCursorToTime, 'topic'],
  ['POST', `${S}/resetcursor`, subscriptions.resetCursorToPosition, 'topic'],
  ['GET', `${S}/properties`, subscriptions.getSubscriptionProperties, 'topic'],
  ['PUT', `${S}/properties`, subscriptions.putSubscriptionProperties, 'topic'],

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
  ['GET', REACH_PATH, brokers.reachesMetadata],
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

  ['GET', '/admin/v2/broker-stats/load-report', load.loadReport],
  ['GET', '/admin/v2/broker-stats/balance', load.balanceDecisions],

  ['GET', '/admin/v2/bookies/all', bookies.listBookies],
  ['GET', '/admin/v2/bookies/racks-info', bookies.listRacks],
  ['GET', '/admin/v2/bookies/racks-info/:bookie', bookies.getRack],
  ['POST', '/admin/v2/bookies/racks-info/:bookie', bookies.setRack],
  ['DELETE', '/admin/v2/bookies/racks-info/:bookie', bookies.deleteRack],

  ['GET', LOOKUP, lookup.lookupTopic],
  ['GET', `${LOOKUP}/bundle`, lookup.lookupBundle],

  ['POST', `${PEER}/block`, peers.blockTopic],
  ['POST', `${PEER}/unblock`, peers.unblockTopic],
  ['POST', `${PEER}/erase`, peers.eraseTopic],

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
