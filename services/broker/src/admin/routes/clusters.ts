import type { Route } from '../route.ts'
import * as clusters from '../operations/clusters.ts'
import * as failureDomains from '../operations/failure-domains.ts'
import * as isolation from '../operations/isolation.ts'
import { CLUSTER, FAILURE_DOMAIN, ISOLATION_POLICY, OBJECT, OBJECTS, TEXTS } from '../shapes.ts'
import { CLUSTER as OF_CLUSTER } from './paths.ts'

const ISOLATION = `${OF_CLUSTER}/namespaceIsolationPolicies`
const DOMAINS = `${OF_CLUSTER}/failureDomains`

export const clustersRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/admin/v2/clusters',
    name: 'getClusters',
    operation: clusters.listClusters,
    permission: 'authenticated',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: OF_CLUSTER,
    name: 'getCluster',
    operation: clusters.getCluster,
    permission: 'superuser',
    reply: CLUSTER
  },
  {
    method: 'PUT',
    path: OF_CLUSTER,
    name: 'createCluster',
    operation: clusters.createCluster,
    permission: 'superuser',
    body: CLUSTER
  },
  {
    method: 'POST',
    path: OF_CLUSTER,
    name: 'updateCluster',
    operation: clusters.updateCluster,
    permission: 'superuser',
    body: CLUSTER
  },
  {
    method: 'DELETE',
    path: OF_CLUSTER,
    name: 'deleteCluster',
    operation: clusters.deleteCluster,
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: `${OF_CLUSTER}/peers`,
    name: 'getPeerCluster',
    operation: clusters.getPeers,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'POST',
    path: `${OF_CLUSTER}/peers`,
    name: 'setPeerClusterNames',
    operation: clusters.setPeers,
    permission: 'superuser',
    body: TEXTS
  },
  {
    method: 'GET',
    path: ISOLATION,
    name: 'getNamespaceIsolationPolicies',
    operation: isolation.listIsolationPolicies,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${ISOLATION}/brokers`,
    name: 'getBrokersWithNamespaceIsolationPolicy',
    operation: isolation.listIsolatedBrokers,
    permission: 'superuser',
    reply: OBJECTS
  },
  {
    method: 'GET',
    path: `${ISOLATION}/brokers/:broker`,
    name: 'getBrokerWithNamespaceIsolationPolicy',
    operation: isolation.getIsolatedBroker,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${ISOLATION}/:policy`,
    name: 'getNamespaceIsolationPolicy',
    operation: isolation.getIsolationPolicy,
    permission: 'superuser',
    reply: ISOLATION_POLICY
  },
  {
    method: 'POST',
    path: `${ISOLATION}/:policy`,
    name: 'setNamespaceIsolationPolicy',
    operation: isolation.setIsolationPolicy,
    permission: 'superuser',
    body: ISOLATION_POLICY
  },
  {
    method: 'DELETE',
    path: `${ISOLATION}/:policy`,
    name: 'deleteNamespaceIsolationPolicy',
    operation: isolation.deleteIsolationPolicy,
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: DOMAINS,
    name: 'getFailureDomains',
    operation: failureDomains.listFailureDomains,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${DOMAINS}/:name`,
    name: 'getDomain',
    operation: failureDomains.getFailureDomain,
    permission: 'superuser',
    reply: FAILURE_DOMAIN
  },
  {
    method: 'POST',
    path: `${DOMAINS}/:name`,
    name: 'setFailureDomain',
    operation: failureDomains.setFailureDomain,
    permission: 'superuser',
    body: FAILURE_DOMAIN
  },
  {
    method: 'DELETE',
    path: `${DOMAINS}/:name`,
    name: 'deleteFailureDomain',
    operation: failureDomains.deleteFailureDomain,
    permission: 'superuser'
  }
]
