import { POLICY_NAMES, specOf, type PolicyName } from '../../namespace/policy-table.ts'
import type { PolicyLevel } from '../../namespace/policy-spec.ts'
import * as offload from '../operations/offload-policies.ts'
import * as policies from '../operations/policies.ts'
import type { Route } from '../route.ts'
import { ANY, OBJECT, OBJECTS } from '../shapes.ts'
import { NAMESPACE, TOPIC } from './paths.ts'

/** From the table of policies: each one at each of its levels. */
export const policiesRoutes: readonly Route[] = [
  ...POLICY_NAMES.flatMap(ofNamespace),
  ...POLICY_NAMES.flatMap(ofTopic),
  {
    method: 'GET',
    path: `${NAMESPACE}/topicPolicies`,
    name: 'getTopicPoliciesOfNamespace',
    operation: policies.topicPoliciesOfNamespace,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'DELETE',
    path: `${TOPIC}/policies`,
    name: 'deleteTopicPolicies',
    operation: policies.removeAllTopicPolicies,
    permission: 'tenant-admin'
  },
  {
    method: 'GET',
    path: '/admin/v2/policies/check',
    name: 'checkPolicies',
    operation: policies.checkPolicies,
    permission: 'superuser',
    reply: OBJECTS
  },
  {
    method: 'DELETE',
    path: `${NAMESPACE}/removeOffloadPolicies`,
    name: 'removeNamespaceOffloadPolicies',
    operation: policies.removePolicy('offloadPolicies'),
    permission: 'tenant-admin'
  },
  ...offloadNumber('offloadThreshold', {
    field: 'managedLedgerOffloadThresholdInBytes',
    unset: -1
  }),
  ...offloadNumber('offloadThresholdInSeconds', {
    field: 'managedLedgerOffloadThresholdInSeconds',
    unset: -1,
    setStatus: 200
  }),
  ...offloadNumber('offloadDeletionLagMs', {
    field: 'managedLedgerOffloadDeletionLagInMillis',
    isRemovable: true
  })
]

/** One number of the offload policies of a namespace. */
function offloadNumber(segment: string, options: offload.OffloadNumber & { isRemovable?: boolean }): Route[] {
  const { get, set, remove } = offload.offloadNumberOperations(options)
  const level: PolicyLevel = {
    path: segment,
    method: 'PUT',
    ...(options.isRemovable === true ? {} : { isKept: true })
  }
  return routesOf(`${NAMESPACE}/${segment}`, `Namespace${capital(segment)}`, level, { get, set, remove })
}

function ofNamespace(policy: PolicyName): Route[] {
  const level = specOf(policy).onNamespace
  if (level === undefined) return []
  return routesOf(`${NAMESPACE}/${level.path}`, `Namespace${capital(level.path)}`, level, {
    get: policies.getPolicy(policy, level),
    set: policies.setPolicy(policy, level),
    remove: policies.removePolicy(policy)
  })
}

function ofTopic(policy: PolicyName): Route[] {
  const level = specOf(policy).onTopic
  if (level === undefined) return []
  return routesOf(`${TOPIC}/${level.path}`, `Topic${capital(level.path)}`, level, {
    get: policies.getTopicPolicy(policy),
    set: policies.setTopicPolicy(policy),
    remove: policies.removeTopicPolicy(policy)
  })
}

function routesOf(
  path: string,
  name: string,
  level: PolicyLevel,
  operations: Record<'get' | 'set' | 'remove', Route['operation']>
): Route[] {
  const permission = 'tenant-admin'
  const kept: Route[] = [
    { method: 'GET', path, name: `get${name}`, operation: operations.get, permission, reply: ANY },
    { method: level.method ?? 'POST', path, name: `set${name}`, operation: operations.set, permission, body: ANY }
  ]
  if (level.isKept === true) return kept
  return [...kept, { method: 'DELETE', path, name: `remove${name}`, operation: operations.remove, permission }]
}

function capital(name: string): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`
}
