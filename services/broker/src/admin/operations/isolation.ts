import { isolationPolicyOf } from '../../balance/cluster-rules.ts'
import type { IsolationData } from '../../balance/rows.ts'
import { matchesBroker, namePattern } from '../../balance/rules.ts'
import { done, isObject, json, objectBody, param, textsOf, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { idOf } from './brokers.ts'

/** Which brokers serve which namespaces, by an operator's word. The leader carries it out, some bundles a minute. */
export async function listIsolationPolicies(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request, 404)
  return json(Object.fromEntries([...(await policiesOf(request, cluster))].map(([name, data]) => [name, shown(data)])))
}

export async function getIsolationPolicy(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  const name = param(request, 'policy')
  const data = (await policiesOf(request, cluster)).get(name)
  return json(shown(data ?? refuse(404, `Cannot find NamespaceIsolationPolicy ${name} for cluster ${cluster}`)))
}

export async function setIsolationPolicy(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  const name = param(request, 'policy')
  await request.backend.balance.rows.setIsolationPolicy(cluster, name, dataOf(request, name))
  return done()
}

export async function deleteIsolationPolicy(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  await request.backend.balance.rows.removeIsolationPolicy(cluster, param(request, 'policy'))
  return done()
}

export async function listIsolatedBrokers(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  const policies = await policiesOf(request, cluster)
  const brokers = request.backend.homes.ownership.brokers().map(broker => idOf(request, broker))
  return json(brokers.map(id => brokerData(id, policies)))
}

export async function getIsolatedBroker(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  return json(brokerData(param(request, 'broker'), await policiesOf(request, cluster)))
}

/** The cluster of the path. @throws RestError with the status that Pulsar gives a missing one here */
export async function requiredCluster(request: AdminRequest, status = 412): Promise<string> {
  const cluster = param(request, 'cluster')
  const info = await request.backend.namespaces.tenancy.cluster(cluster)
  return info === undefined ? refuse(status, `Cluster ${cluster} does not exist.`) : cluster
}

/** @throws RestError 404 where there is none */
async function policiesOf(request: AdminRequest, cluster: string): Promise<Map<string, IsolationData>> {
  const policies = await request.backend.balance.rows.isolationPolicies(cluster)
  return policies.size > 0 ? policies : refuse(404, `NamespaceIsolationPolicies for cluster ${cluster} does not exist`)
}

/** @throws RestError 400 */
function dataOf(request: AdminRequest, name: string): IsolationData {
  const body = objectBody(request)
  const invalid = (): never =>
    refuse(400, `Invalid format of input policy data. policy: ${name}; data: ${quoted(asSent(body))}`)
  const [namespaces, primary, secondary] = [body.namespaces, body.primary, body.secondary].map(textsOf)
  const failover = body.auto_failover_policy
  if (namespaces === undefined || primary === undefined || secondary === undefined || !isObject(failover))
    return invalid()
  if (namespaces.length === 0 || primary.length === 0) return invalid()
  if ([...namespaces, ...primary, ...secondary].some(text => namePattern(text) === undefined)) return invalid()
  const given = isObject(failover.parameters) ? failover.parameters : {}
  const parameters = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)]))
  const isWhole = (text: string | undefined, max: number): boolean =>
    text !== undefined && /^\d{1,9}$/.test(text) && Number(text) <= max
  if (failover.policy_type !== 'min_available') return invalid()
  if (!isWhole(parameters.min_limit, 1e9) || !isWhole(parameters.usage_threshold, 100)) return invalid()
  return { namespaces, primary, secondary, policyType: 'min_available', parameters }
}

/** In the order in which Apache Pulsar's tools have seen it, with what may be left out. */
function asSent({ namespaces, primary, secondary, auto_failover_policy, ...rest }: Record<string, unknown>): object {
  const policy = isObject(auto_failover_policy) ? auto_failover_policy : {}
  const { parameters, policy_type } = policy
  return {
    namespaces,
    primary,
    secondary,
    auto_failover_policy: { parameters, policy_type },
    unload_scope: null,
    ...rest
  }
}

/** JSON over several lines, as those tools print it. */
function quoted(value: unknown, indent = ''): string {
  if (Array.isArray(value))
    return `[ ${value.map(item => quoted(item, indent)).join(', ')}${value.length > 0 ? ' ' : ''}]`
  if (!isObject(value)) return value === undefined ? 'null' : JSON.stringify(value)
  const inner = `${indent}  `
  const lines = Object.entries(value).map(([key, field]) => `${inner}${JSON.stringify(key)} : ${quoted(field, inner)}`)
  return `{\n${lines.join(',\n')}\n${indent}}`
}

function shown(data: IsolationData): Record<string, unknown> {
  const { namespaces, primary, secondary, policyType, parameters } = data
  return { namespaces, primary, secondary, auto_failover_policy: { policy_type: policyType, parameters } }
}

/** What applies to a broker. */
function brokerData(id: string, policies: ReadonlyMap<string, IsolationData>): Record<string, unknown> {
  let found = { policyName: null as string | null, primary: false }
  const namespaceRegex: string[] = []
  for (const [name, data] of policies) {
    const policy = isolationPolicyOf(name, data)
    const isPrimary = matchesBroker(policy.primary, id)
    if (!isPrimary && !matchesBroker(policy.secondary, id)) continue
    namespaceRegex.push(...data.namespaces)
    found = { policyName: name, primary: isPrimary }
  }
  return { brokerName: id, ...found, namespaceRegex }
}
