import type { Route } from '../route.ts'
import * as affinity from '../operations/affinity.ts'
import * as bundles from '../operations/bundles.ts'
import * as namespaces from '../operations/namespaces.ts'
import { BUNDLES, OBJECT, TEXT, TEXTS } from '../shapes.ts'
import { BUNDLE, NAMESPACE, RANGE } from './paths.ts'

export const namespacesRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/admin/v2/namespaces/:tenant',
    name: 'getTenantNamespaces',
    operation: namespaces.listNamespaces,
    permission: 'tenant-admin',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: NAMESPACE,
    name: 'getPolicies',
    operation: namespaces.getNamespacePolicies,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'PUT',
    path: NAMESPACE,
    name: 'createNamespace',
    operation: namespaces.createNamespace,
    permission: 'tenant-admin',
    body: OBJECT
  },
  {
    method: 'DELETE',
    path: NAMESPACE,
    name: 'deleteNamespace',
    operation: namespaces.deleteNamespace,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: `${NAMESPACE}/topics`,
    name: 'getTopics',
    operation: namespaces.listTopicsOfNamespace,
    permission: 'lookup',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: `${NAMESPACE}/bundles`,
    name: 'getBundlesData',
    operation: namespaces.getBundles,
    permission: 'tenant-admin',
    reply: BUNDLES
  },
  {
    method: 'PUT',
    path: `${NAMESPACE}/unload`,
    name: 'unloadNamespace',
    operation: bundles.unloadNamespace,
    permission: 'superuser'
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/clearBacklog`,
    name: 'clearNamespaceBacklog',
    operation: bundles.clearNamespaceBacklog,
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/clearBacklog/:subscription`,
    name: 'clearNamespaceBacklogForSubscription',
    operation: bundles.clearNamespaceBacklog,
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/unsubscribe/:subscription`,
    name: 'unsubscribeNamespace',
    operation: bundles.unsubscribeNamespace,
    permission: 'consume'
  },
  {
    method: 'PUT',
    path: `${BUNDLE}/unload`,
    name: 'unloadNamespaceBundle',
    operation: bundles.unloadBundle,
    permission: 'superuser'
  },
  {
    method: 'PUT',
    path: `${BUNDLE}/split`,
    name: 'splitNamespaceBundle',
    operation: bundles.splitBundle,
    scope: 'bundle',
    permission: 'superuser'
  },
  {
    method: 'PUT',
    path: `${BUNDLE}/merge`,
    name: 'mergeNamespaceBundle',
    operation: bundles.mergeBundle,
    scope: 'bundle',
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: `${BUNDLE}/topicHashPositions`,
    name: 'getTopicHashPositions',
    operation: bundles.topicHashPositions,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${BUNDLE}/clearBacklog`,
    name: 'clearNamespaceBundleBacklog',
    operation: bundles.clearBundleBacklog,
    scope: 'bundle',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${BUNDLE}/clearBacklog/:subscription`,
    name: 'clearNamespaceBundleBacklogForSubscription',
    operation: bundles.clearBundleBacklog,
    scope: 'bundle',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${BUNDLE}/unsubscribe/:subscription`,
    name: 'unsubscribeNamespaceBundle',
    operation: bundles.unsubscribeBundle,
    scope: 'bundle',
    permission: 'consume'
  },
  {
    method: 'GET',
    path: '/admin/v2/non-persistent/:tenant/:namespace/:bundle',
    name: 'getListFromBundle',
    operation: bundles.topicsOfBundle,
    scope: 'bundle',
    permission: 'tenant-admin',
    reply: TEXTS
  },
  {
    method: 'DELETE',
    path: RANGE,
    name: 'deleteNamespaceBundle',
    operation: bundles.deleteBundle,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: `${NAMESPACE}/antiAffinity`,
    name: 'getNamespaceAntiAffinityGroup',
    operation: affinity.getAntiAffinity,
    permission: 'tenant-admin',
    reply: TEXT
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/antiAffinity`,
    name: 'setNamespaceAntiAffinityGroup',
    operation: affinity.setAntiAffinity,
    permission: 'tenant-admin',
    body: TEXT
  },
  {
    method: 'DELETE',
    path: `${NAMESPACE}/antiAffinity`,
    name: 'removeNamespaceAntiAffinityGroup',
    operation: affinity.removeAntiAffinity,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: '/admin/v2/namespaces/:cluster/antiAffinity/:group',
    name: 'getAntiAffinityNamespaces',
    operation: affinity.namespacesOfGroup,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: `${NAMESPACE}/persistence/bookieAffinity`,
    name: 'getBookieAffinityGroup',
    operation: affinity.getBookieAffinity,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/persistence/bookieAffinity`,
    name: 'setBookieAffinityGroup',
    operation: affinity.setBookieAffinity,
    permission: 'superuser',
    body: OBJECT
  },
  {
    method: 'DELETE',
    path: `${NAMESPACE}/persistence/bookieAffinity`,
    name: 'deleteBookieAffinityGroup',
    operation: affinity.removeBookieAffinity,
    permission: 'superuser'
  }
]
