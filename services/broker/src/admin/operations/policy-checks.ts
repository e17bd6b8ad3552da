import { filterNamesOf } from '../../filters/filter-registry.ts'
import { splitNamespace, TopicName } from '../../namespace/topic-name.ts'
import { offloadProblem } from '../../namespace/policy-offload.ts'
import { policyTable, type PolicyName, type SetPolicies } from '../../namespace/policy-table.ts'
import { flag, textsOf, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requireRetentionAbove } from './backlog-quotas.ts'
import { reachOf, requiredTopicRecord } from './names.ts'

/** What is wrong about a value can need the rows of other things: these are looked at before it is stored. */
type Check = (request: AdminRequest, asked: { readonly namespace: string; readonly value: unknown }) => Promise<void>

type Checks = { readonly [Name in PolicyName]?: Check }

const GLOBAL_WITHOUT_NAMESPACE =
  'Please do not use the global topic level policy when namespace-level replication is not enabled, ' +
  'because the global level policy relies on namespace-level replication'
const EMPTY_CLUSTERS = 'ClusterIds should not be null or empty'

/** Of namespaces they come before it is looked for. */
export const valueChecks: { readonly [Name in PolicyName]?: (request: AdminRequest, value: unknown) => void } = {
  entryFilters: ({ backend }, value) => {
    const parsed = value === undefined ? undefined : policyTable.entryFilters.parse(value, backend.settings)
    if (parsed === undefined || 'problem' in parsed) return
    const missing = filterNamesOf(parsed.entryFilterNames).find(name => !backend.filters.has(name))
    if (missing !== undefined) refuse(400, `Entry filter '${missing}' not found`)
  }
}

export const namespaceChecks: Checks = {
  retention: async (request, { namespace, value }) => {
    requireRetention(request, {
      value,
      stored: await request.backend.namespaces.policies.stored(namespace),
      of: 'namespace'
    })
  },
  persistence: (_, { value }) =>
    value === undefined ? refuse(400, 'persistence policies should not be null') : Promise.resolve(),
  replicationClusters: async (request, { namespace, value }) => {
    const clusters = textsOf(value)
    if (clusters.length === 0) refuse(412, EMPTY_CLUSTERS)
    await requireClusters(request, { namespace, clusters })
    const allowed = (await request.backend.namespaces.policies.get(namespace, 'allowedClusters')) ?? []
    const foreign = allowed.length === 0 ? undefined : clusters.find(cluster => !allowed.includes(cluster))
    if (foreign !== undefined) {
      refuse(400, `Cluster [${foreign}] is not in the list of allowed clusters list for namespace [${namespace}]`)
    }
  },
  allowedClusters: async (request, { namespace, value }) => {
    const clusters = textsOf(value)
    const replicated = await replicationClustersOf(request, namespace)
    if (clusters.includes('global')) refuse(412, 'Cannot specify global in the list of allowed clusters')
    await requireTenantAllows(request, { namespace, clusters })
    await requireKnown(request, clusters)
    const left = replicated.find(cluster => !clusters.includes(cluster))
    if (left === undefined) return
    refuse(
      400,
      `Allowed clusters do not contain the replication cluster [${left}]. ` +
        'Please remove the replication cluster if the cluster is not allowed for this namespace'
    )
  },
  offloadPolicies: (_, { value }) => {
    const problem =
      value === undefined ? 'The offloadPolicies must be specified for namespace offload.' : offloadProblem(value)
    return problem === undefined ? Promise.resolve() : refuse(412, problem)
  }
}

export const topicChecks: Checks = {
  retention: async (request, { value }) => {
    const topic = await requiredTopicRecord(request)
    const stored = await request.backend.namespaces.policies.storedOfTopic(topic, reachOf(request))
    requireRetention(request, { value, stored, of: 'topic' })
  },
  replicationClusters: async (request, { namespace, value }) => {
    const clusters = textsOf(value)
    if (clusters.length === 0) refuse(412, EMPTY_CLUSTERS)
    const { clusterName } = request.backend.settings
    if (!flag(request, 'isGlobal') && !clusters.includes(clusterName)) {
      refuse(412, 'Can not remove local cluster from the local topic-level replication clusters policy')
    }
    // it is told to the clusters of the namespace: one alone has nobody to tell
    if (flag(request, 'isGlobal') && (await replicationClustersOf(request, namespace)).length < 2) {
      refuse(412, GLOBAL_WITHOUT_NAMESPACE)
    }
    await requireClusters(request, { namespace, clusters })
  },
  offloadPolicies: (_, { value }) => {
    const problem = value === undefined ? undefined : offloadProblem(value)
    return problem === undefined ? Promise.resolve() : refuse(412, problem)
  },
  shadowTopics: async (request, { value }) => {
    const names = textsOf(value)
    if (names.length === 0) refuse(412, 'Cannot specify empty shadow topics, please use remove command instead.')
    for (const name of names) {
      const record = await request.backend.namespaces.topics.find(parsedTopic(name))
      if (record === undefined || record.isDeleting) refuse(412, `Shadow topic [${name}] not exists.`)
    }
  }
}

/** A value that is wrong in itself is refused later. @throws RestError 412 */
function requireRetention(
  { backend }: AdminRequest,
  { value, stored, of }: { value: unknown; stored: SetPolicies; of: 'namespace' | 'topic' }
): void {
  const parsed = value === undefined ? undefined : policyTable.retention.parse(value, backend.settings)
  if (parsed === undefined || 'problem' in parsed) return
  requireRetentionAbove(parsed, stored, { settings: backend.settings, of })
}

/** There are such clusters, and the tenant may use them. @throws RestError 403 */
async function requireClusters(
  request: AdminRequest,
  asked: { readonly namespace: string; readonly clusters: readonly string[] }
): Promise<void> {
  await requireKnown(request, asked.clusters)
  await requireTenantAllows(request, asked)
}

async function requireKnown({ backend }: AdminRequest, clusters: readonly string[]): Promise<void> {
  const { tenancy } = backend.namespaces
  for (const cluster of clusters) {
    if ((await tenancy.cluster(cluster)) === undefined) refuse(403, `Invalid cluster id: ${cluster}`)
  }
}

async function requireTenantAllows(
  { backend }: AdminRequest,
  { namespace, clusters }: { readonly namespace: string; readonly clusters: readonly string[] }
): Promise<void> {
  const { tenant: name } = splitNamespace(namespace)
  const tenant = (await backend.namespaces.tenancy.tenant(name)) ?? refuse(404, 'Tenant does not exist')
  const foreign = clusters.find(cluster => !tenant.allowedClusters.includes(cluster))
  if (foreign === undefined) return
  refuse(403, `Cluster [${foreign}] is not in the list of allowed clusters list for tenant [${name}]`)
}

async function replicationClustersOf({ backend }: AdminRequest, namespace: string): Promise<readonly string[]> {
  const own = await backend.namespaces.policies.get(namespace, 'replicationClusters')
  return own ?? [backend.settings.clusterName]
}

function parsedTopic(name: string): TopicName {
  try {
    return TopicName.parse(name)
  } catch {
    return refuse(412, `Shadow topic [${name}] not exists.`)
  }
}
