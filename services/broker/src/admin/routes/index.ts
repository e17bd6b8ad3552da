import { describeRoutes } from '../describe.ts'
import { openApiOf } from '../openapi.ts'
import { json } from '../operation.ts'
import { metricsOfBroker } from '../operations/metrics.ts'
import type { Route } from '../route.ts'
import { OBJECT } from '../shapes.ts'
import { brokersRoutes } from './brokers.ts'
import { clustersRoutes } from './clusters.ts'
import { lookupRoutes } from './lookup.ts'
import { namespacePropertiesRoutes } from './namespace-properties.ts'
import { namespacesRoutes } from './namespaces.ts'
import { permissionsRoutes } from './permissions.ts'
import { policiesRoutes } from './policies.ts'
import { produceRoutes } from './produce.ts'
import { resourceGroupsRoutes } from './resource-groups.ts'
import { resourceQuotasRoutes } from './resource-quotas.ts'
import { schemasRoutes } from './schemas.ts'
import { subscriptionsRoutes } from './subscriptions.ts'
import { switchedOffRoutes } from './switched-off.ts'
import { tenantsRoutes } from './tenants.ts'
import { topicsRoutes } from './topics.ts'

/** Everything that is served over HTTP, once. No path is served that is not here. */
export const routes: readonly Route[] = [
  ...clustersRoutes,
  ...tenantsRoutes,
  ...namespacesRoutes,
  ...namespacePropertiesRoutes,
  ...permissionsRoutes,
  ...policiesRoutes,
  ...resourceGroupsRoutes,
  ...resourceQuotasRoutes,
  ...topicsRoutes,
  ...subscriptionsRoutes,
  ...schemasRoutes,
  ...produceRoutes,
  ...brokersRoutes,
  ...lookupRoutes,
  ...switchedOffRoutes,
  { method: 'GET', path: '/metrics', name: 'getMetricsPage', operation: metricsOfBroker, permission: 'open' },
  {
    method: 'GET',
    path: '/openapi.json',
    name: 'getOpenApi',
    operation: ({ backend }) => json(openApiOf(routes, backend.version)),
    permission: 'open',
    reply: OBJECT
  }
]

/** docs/admin-api.md */
export function describeAdminApi(): string {
  return describeRoutes(routes)
}
