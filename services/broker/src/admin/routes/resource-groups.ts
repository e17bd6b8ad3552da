import * as groups from '../operations/resource-groups.ts'
import type { Route } from '../route.ts'
import { ANY, OBJECT, TEXTS } from '../shapes.ts'
import { NAMESPACE } from './paths.ts'

const GROUP = '/admin/v2/resourcegroups/:resourcegroup'

export const resourceGroupsRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/admin/v2/resourcegroups',
    name: 'getResourceGroups',
    operation: groups.listGroups,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: GROUP,
    name: 'getResourceGroup',
    operation: groups.getGroup,
    permission: 'superuser',
    reply: OBJECT
  },
  {
    method: 'PUT',
    path: GROUP,
    name: 'createOrUpdateResourceGroup',
    operation: groups.setGroup,
    permission: 'superuser',
    body: OBJECT
  },
  {
    method: 'DELETE',
    path: GROUP,
    name: 'deleteResourceGroup',
    operation: groups.deleteGroup,
    permission: 'superuser'
  },
  {
    method: 'GET',
    path: `${NAMESPACE}/resourcegroup`,
    name: 'getNamespaceResourceGroup',
    operation: groups.getGroupOfNamespace,
    permission: 'tenant-admin',
    reply: ANY
  },
  {
    method: 'POST',
    path: `${NAMESPACE}/resourcegroup/:resourcegroup`,
    name: 'setNamespaceResourceGroup',
    operation: groups.setGroupOfNamespace,
    permission: 'tenant-admin'
  },
  {
    method: 'DELETE',
    path: `${NAMESPACE}/resourcegroup`,
    name: 'removeNamespaceResourceGroup',
    operation: groups.removeGroupOfNamespace,
    permission: 'tenant-admin'
  }
]
