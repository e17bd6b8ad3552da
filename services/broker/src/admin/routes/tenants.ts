import type { Route } from '../route.ts'
import * as tenants from '../operations/tenants.ts'
import { TENANT, TEXTS } from '../shapes.ts'

export const tenantsRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/admin/v2/tenants',
    name: 'getTenants',
    operation: tenants.listTenants,
    permission: 'superuser',
    reply: TEXTS
  },
  {
    method: 'GET',
    path: '/admin/v2/tenants/:tenant',
    name: 'getTenantAdmin',
    operation: tenants.getTenant,
    permission: 'tenant-admin',
    reply: TENANT
  },
  {
    method: 'PUT',
    path: '/admin/v2/tenants/:tenant',
    name: 'createTenant',
    operation: tenants.createTenant,
    permission: 'superuser',
    body: TENANT
  },
  {
    method: 'POST',
    path: '/admin/v2/tenants/:tenant',
    name: 'updateTenant',
    operation: tenants.updateTenant,
    permission: 'tenant-admin',
    body: TENANT
  },
  {
    method: 'DELETE',
    path: '/admin/v2/tenants/:tenant',
    name: 'deleteTenant',
    operation: tenants.deleteTenant,
    permission: 'tenant-admin'
  }
]
