import { offloadSettingsWith } from '../../namespace/policy-offload.ts'
import { POLICY_NAMES, specOf, type PolicyName } from '../../namespace/policy-table.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import { HASH_MAX, hash32, isInBundle } from '../../ownership/bundle-name.ts'
import type { TopicListMode } from '../../namespace/topic-lists.ts'
import type { AdminBackend } from '../backend.ts'
import {
  bodyOf,
  done,
  flag,
  isObject,
  json,
  noSuchPath,
  param,
  textsOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { domainOf, namespaceOf, requiredNamespace } from './names.ts'
import { authPoliciesOf } from './permissions.ts'
import { warnIfStoredOnly } from './policies.ts'
import { deleteWholeTopic } from './topics.ts'

export async function listNamespaces(request: AdminRequest): Promise<AdminReply> {
  const tenant = param(request, 'tenant')
  const { tenancy } = request.backend.namespaces
  if ((await tenancy.tenant(tenant)) === undefined) refuse(404, 'Tenant not found')
  return json(await tenancy.namespacesOf(tenant))
}

export async function createNamespace(request: AdminRequest): Promise<AdminReply> {
  const name = namespaceOf(request)
  const body = bodyOf(request)
  const policies = isObject(body) ? body : {}
  const bundles = isObject(policies.bundles) ? policies.bundles.numBundles : undefined
  const asked = request.query.bundles ?? bundles
  const count = asked === undefined ? undefined : Number(asked)
  const clusters = textsOf(policies.replication_clusters)
  await requireAllowed(request, clusters)
  const given = policiesOf(request, policies)
  // one that is refused leaves no namespace behind
  for (const [policy, value] of given) request.backend.namespaces.policies.check(policy, value)
  await request.backend.namespaces.tenancy.createNamespace(name, {
    // nothing is how Java says that it does not care, and -1
    ...(count === undefined || count <= 0 ? {} : { bundleCount: count }),
    ...(clusters.length > 0 ? { replicationClusters: clusters } : {})
  })
  for (const [policy, value] of given) {
    await request.backend.namespaces.policies.set(name, policy, value)
    warnIfStoredOnly(request, { policy, value, of: name })
  }
  await setOffloadNumbers(request, name, policies)
  return done()
}

/** Fields of the document that are numbers of the offload policies. Whoever means none sends -1. */
const OFFLOAD_NUMBERS = {
  offload_threshold: 'managedLedgerOffloadThresholdInBytes',
  offload_threshold_in_seconds: 'managedLedgerOffloadThresholdInSeconds',
  offload_deletion_lag_ms: 'managedLedgerOffloadDeletionLagInMillis'
} as const

async function setOffloadNumbers(
  request: AdminRequest,
  name: string,
  body: Readonly<Record<string, unknown>>
): Promise<void> {
  const policy = 'offloadPolicies'
  for (const [field, setting] of Object.entries(OFFLOAD_NUMBERS)) {
    const value = body[field]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) continue
    await request.backend.namespaces.policies.update(name, policy, now => offloadSettingsWith(now, setting, value))
    warnIfStoredOnly(request, { policy, value, of: name })
  }
}

/** Those of a new namespace's body that say something: an empty name is how Go says that it does not care. */
function policiesOf(request: AdminRequest, body: Readonly<Record<string, unknown>>): [PolicyName, unknown][] {
  const given: [PolicyName, unknown][] = []
  for (const policy of POLICY_NAMES) {
    const {
      field,
      isByCluster,
      mapKey = isByCluster === true ? request.backend.settings.clusterName : undefined
    } = specOf(policy)
    const shown = field === undefined ? undefined : body[field]
    const value = mapKey !== undefined && isObject(shown) ? shown[mapKey] : shown
    if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)) continue
    given.push([policy, value])
  }
  return given
}

/** @throws RestError 403 */
async function requireAllowed(request: AdminRequest, clusters: readonly string[]): Promise<void> {
  const tenant = param(request, 'tenant')
  const info = await request.backend.namespaces.tenancy.tenant(tenant)
  const refused = clusters.find(cluster => info !== undefined && !info.allowedClusters.includes(cluster))
  if (refused !== undefined) {
    refuse(403, `Cluster [${refused}] is not in the list of allowed clusters list for tenant [${tenant}]`)
  }
}

export async function deleteNamespace(request: AdminRequest): Promise<AdminReply> {
  const name = namespaceOf(request)
  const { namespaces, settings } = request.backend
  if ((await namespaces.tenancy.namespace(name)) === undefined) refuse(404, `Namespace ${name} does not exist.`)
  const force = flag(request, 'force')
  if (force && !settings.forceDeleteNamespaceAllowed) {
    refuse(405, "Broker doesn't allow forced deletion of namespaces")
  }
  await deleteWholeNamespace(request.backend, name, { onlyIfEmpty: !force })
  return done()
}

/** Nothing new can come into it from the start; if it may not be deleted, it is opened again. */
export async function deleteWholeNamespace(
  backend: AdminBackend,
  name: string,
  options = { onlyIfEmpty: false }
): Promise<void> {
  const { tenancy, topics } = backend.namespaces
  await tenancy.beginNamespaceDelete(name)
  try {
    for await (const record of topics.list(name)) {
      if (options.onlyIfEmpty) refuse(409, 'Cannot delete non empty namespace')
      await deleteWholeTopic(backend, record.name, { force: true })
    }
  } catch (error) {
    await tenancy.cancelNamespaceDelete(name)
    throw error
  }
  await backend.grants.removeAll({ kind: 'namespace', namespace: name })
  await backend.balance.rows.removeQuotasOf(name)
  await tenancy.finishNamespaceDelete(name)
}

const MODES: Readonly<Record<string, TopicListMode>> = {
  PERSISTENT: 'PERSISTENT',
  NON_PERSISTENT: 'NON_PERSISTENT',
  ALL: 'ALL'
}

export async function listTopicsOfNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const mode = MODES[request.query.mode ?? 'PERSISTENT'] ?? noSuchPath(request)
  const includeSystemTopics = flag(request, 'includeSystemTopic')
  return json(await request.backend.namespaces.lists.list(name, { mode, includeSystemTopics }))
}

/** `/persistent/{tenant}/{namespace}` and its sibling. */
export async function listTopicsOfDomain(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const mode = domainOf(request) === 'persistent' ? 'PERSISTENT' : 'NON_PERSISTENT'
  const includeSystemTopics = flag(request, 'includeSystemTopic')
  const topics = await request.backend.namespaces.lists.list(name, { mode, includeSystemTopics })
  const { bundle } = request.query
  if (bundle === undefined || bundle === '') return json(topics)
  const all = await request.backend.homes.ownership.bundlesOf(name)
  const asked = all.find(({ range }) => range === bundle.toLowerCase())
  return json(topics.filter(topic => asked !== undefined && isInBundle(asked, TopicName.parse(topic))))
}

export async function listPartitionedTopics(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const mode = domainOf(request) === 'persistent' ? 'PERSISTENT' : 'NON_PERSISTENT'
  return json(await request.backend.namespaces.lists.listPartitioned(name, mode))
}

export async function getBundles(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  return json(await dividedInto(request, name))
}

/** As Pulsar writes it. */
async function dividedInto(request: AdminRequest, namespace: string): Promise<Record<string, unknown>> {
  const bundles = await request.backend.homes.ownership.bundlesOf(namespace)
  return { boundaries: [...bundles.map(({ start }) => hash32(start)), hash32(HASH_MAX)], numBundles: bundles.length }
}

export async function getNamespacePolicies(request: AdminRequest): Promise<AdminReply> {
  const { name, info } = await requiredNamespace(request)
  const stored = await request.backend.namespaces.policies.stored(name)
  const own: Record<string, unknown> = {}
  for (const policy of POLICY_NAMES) {
    const {
      field,
      isByCluster,
      mapKey = isByCluster === true ? request.backend.settings.clusterName : undefined
    } = specOf(policy)
    const value: unknown = stored[policy]
    if (field === undefined || value === undefined) continue
    const others = own[field]
    own[field] = mapKey === undefined ? value : { ...(isObject(others) ? others : {}), [mapKey]: value }
  }
  // by this name, too
  if (own.topicDispatchRate !== undefined) own.clusterDispatchRate = own.topicDispatchRate
  return json({
    auth_policies: await authPoliciesOf(request, name),
    replication_clusters: info.replicationClusters,
    allowed_clusters: [],
    bundles: await dividedInto(request, name),
    backlog_quota_map: {},
    clusterDispatchRate: {},
    topicDispatchRate: {},
    subscriptionDispatchRate: {},
    replicatorDispatchRate: {},
    clusterSubscribeRate: {},
    publishMaxMessageRate: {},
    latency_stats_sample_rate: {},
    deleted: info.isDeleting,
    encryption_required: false,
    subscription_auth_mode: 'None',
    offload_threshold: -1,
    offload_threshold_in_seconds: -1,
    schema_compatibility_strategy: 'UNDEFINED',
    is_allow_auto_update_schema: true,
    is_allow_auto_update_schema_with_replicator: true,
    schema_validation_enforced: false,
    subscription_types_enabled: [],
    properties: {},
    migrated: false,
    ...own
  })
}
