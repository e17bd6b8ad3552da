import * as permissions from '../operations/permissions.ts'
import type { Route } from '../route.ts'
import { OBJECT, TEXTS } from '../shapes.ts'
import { NAMESPACE, TOPIC } from './paths.ts'

const SUBSCRIPTIONS = `${NAMESPACE}/permissions/subscription`

export const permissionsRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/admin/v2/namespaces/grantPermissionsOnTopics',
    name: 'grantPermissionsOnTopics',
    operation: permissions.grantOnTopics,
    permission: 'authenticated'
  },
  {
    method: 'POST',
    path: '/admin/v2/namespaces/revokePermissionsOnTopics',
    name: 'revokePermissionsOnTopics',
    operation: permissions.revokeOnTopics,
    permission: 'authenticated'
  },
  {
    method: 'GET',
    path: `${NAMESPACE}/permissions`,
    name: 'getPermissions',
    operation: permissions.getNamespacePermissions,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/permissions/:role`,
    name: 'grantPermissionOnNamespace',
    operation: permissions.grantOnNamespace,
    permission: 'tenant-admin',
    body: TEXTS
  },
  {
    method: 'DELETE',
    path: `${NAMESPACE}/permissions/:role`,
    name: 'revokePermissionsOnNamespace',
    operation: permissions.revokeOnNamespace,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: SUBSCRIPTIONS,
    name: 'getPermissionOnSubscription',
    operation: permissions.getSubscriptionPermissions,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTIONS}/:subscription`,
    name: 'grantPermissionOnSubscription',
    operation: permissions.grantSubscription,
    permission: 'tenant-admin',
    body: TEXTS
  },
  {
    method: 'DELETE',
    path: `${NAMESPACE}/permissions/:subscription/:role`,
    name: 'revokePermissionOnSubscription',
    operation: permissions.revokeSubscription,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: `${TOPIC}/permissions`,
    name: 'getPermissionsOnTopic',
    operation: permissions.getTopicPermissions,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${TOPIC}/permissions/:role`,
    name: 'grantPermissionsOnTopic',
    operation: permissions.grantOnTopic,
    permission: 'tenant-admin',
    body: TEXTS
  },
  {
    method: 'DELETE',
    path: `${TOPIC}/permissions/:role`,
    name: 'revokePermissionsOnTopic',
    operation: permissions.revokeOnTopic,
    permission: 'tenant-admin'
  }
]
