import { SERVED_POLICIES, type PolicyName } from '../../namespace/policy-table.ts'
import * as namespaces from '../operations/namespaces.ts'
import type { Route } from '../route.ts'
import { ANY } from '../shapes.ts'
import { NAMESPACE } from './paths.ts'

/** Clients set it by PUT, all others by POST. */
const SET_BY_PUT: ReadonlySet<PolicyName> = new Set(['schemaCompatibilityStrategy'])

export const policiesRoutes: readonly Route[] = SERVED_POLICIES.flatMap(ofNamespace)

function ofNamespace(policy: PolicyName): Route[] {
  const path = `${NAMESPACE}/${policy}`
  const name = `${policy.charAt(0).toUpperCase()}${policy.slice(1)}`
  const permission = 'tenant-admin'
  return [
    { method: 'GET', path, name: `get${name}`, operation: namespaces.getPolicy(policy), permission, reply: ANY },
    {
      method: SET_BY_PUT.has(policy) ? 'PUT' : 'POST',
      path,
      name: `set${name}`,
      operation: namespaces.setPolicy(policy),
      permission,
      body: ANY
    },
    { method: 'DELETE', path, name: `remove${name}`, operation: namespaces.removePolicy(policy), permission }
  ]
}
