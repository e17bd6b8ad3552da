import { POLICY_NAMES, specOf, type PolicyName } from '../../namespace/policy-table.ts'
import type { PolicyLevel } from '../../namespace/policy-spec.ts'
import type { Operation } from '../operation.ts'
import * as quota from '../operations/backlog-quotas.ts'
import * as offload from '../operations/offload-policies.ts'
import * as policies from '../operations/policies.ts'
import type { Route } from '../route.ts'
import { ANY, OBJECT, OBJECTS } from '../shapes.ts'
import { NAMESPACE, TOPIC } from './paths.ts'

/** From the table of policies: each one at each of its levels. */
export const policiesRoutes: readonly Route[] = [
  ...POLICY_NAMES.flatMap(ofNamespace),
  ...POLICY_NAMES.flatMap(ofTopic),
  ...routesOf(`${TOPIC}/:subscription/dispatchRate`, 'DispatchRateOfSubscription', {
    get: policies.getSubscriptionDispatchRate,
    set: policies.setSubscriptionDispatchRate,
    remove: policies.removeSubscriptionDispatchRate
  }),
  { ...quotas('GET', `${NAMESPACE}/backlogQuotaMap`, quota.getNamespaceQuotas), name: 'getNamespaceBacklogQuotas' },
  { ...quotas('POST', `${NAMESPACE}/backlogQuota`, quota.setNamespaceQuota), name: 'setNamespaceBacklogQuota' },
  { ...quotas('DELETE', `${NAMESPACE}/backlogQuota`, quota.removeNamespaceQuota), name: 'removeNamespaceBacklogQuota' },
  { ...quotas('GET', `${TOPIC}/backlogQuotaMap`, quota.getTopicQuotas), name: 'getTopicBacklogQuotas' },
  { ...quotas('POST', `${TOPIC}/backlogQuota`, quota.setTopicQuota), name: 'setTopicBacklogQuota' },
  { ...quotas('DELETE', `${TOPIC}/backlogQuota`, quota.removeTopicQuota), name: 'removeTopicBacklogQuota' },
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
  return routesOf(`${NAMESPACE}/${segment}`, `Namespace${capital(segment)}`, { get, set, remove }, level)
}

function quotas(method: 'GET' | 'POST' | 'DELETE', path: string, operation: Operation): Omit<Route, 'name'> {
  const shapes = method === 'GET' ? { reply: ANY } : method === 'POST' ? { body: ANY } : {}
  return { method, path, operation, permission: 'tenant-admin', ...shapes }
}

function ofNamespace(policy: PolicyName): Route[] {
  const level = specOf(policy).onNamespace
  if (level === undefined) return []
  const operations = {
    get: policies.getPolicy(policy, level),
    set: policies.setPolicy(policy, level),
    remove: policies.removePolicy(policy)
  }
  return routesOf(`${NAMESPACE}/${level.path}`, `Namespace${capital(level.path)}`, operations, level)
}

function ofTopic(policy: PolicyName): Route[] {
  const level = specOf(policy).onTopic
  if (level === undefined) return []
  const operations = {
    get: policies.getTopicPolicy(policy, level),
    set: policies.setTopicPolicy(policy, level),
    remove: policies.removeTopicPolicy(policy, level)
  }
  return routesOf(`${TOPIC}/${level.path}`, `Topic${capital(level.path)}`, operations, level)
}

function routesOf(
  path: string,
  name: string,
  operations: Record<'get' | 'set' | 'remove', Route['operation']>,
  level: Pick<PolicyLevel, 'method' | 'isKept'> = {}
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
