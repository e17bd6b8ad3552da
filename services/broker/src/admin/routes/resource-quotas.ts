import * as quotas from '../operations/resource-quotas.ts'
import type { Route } from '../route.ts'
import { OBJECT } from '../shapes.ts'

const QUOTAS = '/admin/v2/resource-quotas'
const OF_BUNDLE = `${QUOTAS}/:tenant/:namespace/:bundle`
const permission = 'superuser'

export const resourceQuotasRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: QUOTAS,
    name: 'getDefaultResourceQuota',
    operation: quotas.getUsualQuota,
    permission,
    reply: OBJECT
  },
  {
    method: 'POST',
    path: QUOTAS,
    name: 'setDefaultResourceQuota',
    operation: quotas.setUsualQuota,
    permission,
    body: OBJECT
  },
  {
    method: 'GET',
    path: OF_BUNDLE,
    name: 'getNamespaceBundleResourceQuota',
    operation: quotas.getQuota,
    permission,
    reply: OBJECT
  },
  {
    method: 'POST',
    path: OF_BUNDLE,
    name: 'setNamespaceBundleResourceQuota',
    operation: quotas.setQuota,
    permission,
    body: OBJECT
  },
  {
    method: 'DELETE',
    path: OF_BUNDLE,
    name: 'removeNamespaceBundleResourceQuota',
    operation: quotas.removeQuota,
    permission
  }
]
