import { isRecord } from '../admin.ts'
import { plainLevel, type PolicyAccess, type PolicyLevelAccess, type PolicyRequest } from './access.ts'

/**
 * Policies whose paths are of another shape than all others', and those of Apache Pulsar that Strata's table does not have: what is
 * dumped from there has them.
 */
export const ODD_POLICIES: readonly PolicyAccess[] = [
  {
    name: 'backlogQuota',
    field: 'backlog_quota_map',
    unset: {},
    onNamespace: backlogQuotaLevel(),
    onTopic: backlogQuotaLevel()
  },
  {
    name: 'resourceGroup',
    field: 'resource_group_name',
    onNamespace: {
      path: 'resourcegroup',
      set: value => [{ method: 'POST', path: `resourcegroup/${encodeURIComponent(String(value))}` }],
      remove: () => [{ method: 'DELETE', path: 'resourcegroup' }]
    },
    onTopic: plainLevel('resourceGroup')
  },
  { name: 'antiAffinity', onNamespace: plainLevel('antiAffinity') },
  { name: 'bookieAffinity', onNamespace: plainLevel('persistence/bookieAffinity') },
  {
    name: 'offloadPolicies',
    field: 'offload_policies',
    onNamespace: {
      ...plainLevel('offloadPolicies'),
      remove: () => [{ method: 'DELETE', path: 'removeOffloadPolicies' }]
    },
    onTopic: plainLevel('offloadPolicies')
  },
  {
    name: 'dispatcherPauseOnAckStatePersistent',
    field: 'dispatcherPauseOnAckStatePersistentEnabled',
    unset: false,
    onNamespace: switchLevel('dispatcherPauseOnAckStatePersistent'),
    onTopic: switchLevel('dispatcherPauseOnAckStatePersistent')
  },
  {
    name: 'allowedClusters',
    field: 'allowed_clusters',
    unset: [],
    onNamespace: {
      path: 'allowedClusters',
      set: value => [{ method: 'POST', path: 'allowedClusters', body: value }],
      remove: () => [{ method: 'POST', path: 'allowedClusters', body: [] }]
    }
  },
  { name: 'properties', field: 'properties', unset: {}, onNamespace: propertiesLevel() },
  // of a namespace it is one of what it is made with
  { name: 'replicationClusters', onTopic: plainLevel('replication') },
  ...rates(['dispatchRate', 'topicDispatchRate'], ['subscriptionDispatchRate'], ['replicatorDispatchRate']),
  ...rates(['subscribeRate', 'clusterSubscribeRate']),
  {
    name: 'persistence',
    field: 'persistence',
    onNamespace: plainLevel('persistence'),
    onTopic: plainLevel('persistence')
  },
  {
    name: 'entryFilters',
    field: 'entryFilters',
    onNamespace: plainLevel('entryFilters'),
    onTopic: plainLevel('entryFilters')
  }
]

/** Names whose access above holds also where Strata's table has them: its rows say nothing of a shape of their own. */
export const ODD_NAMES: ReadonlySet<string> = new Set([
  'backlogQuota',
  'resourceGroup',
  'antiAffinity',
  'bookieAffinity',
  'offloadPolicies',
  'dispatcherPauseOnAckStatePersistent',
  'allowedClusters',
  'replicationClusters',
  'properties'
])

/** Each by its name, which is its path, and its field where that is another. */
function rates(...names: readonly (readonly [name: string, field?: string])[]): PolicyAccess[] {
  return names.map(([name, field = name]) => ({
    name,
    field,
    isByCluster: true,
    unset: {},
    onNamespace: plainLevel(name),
    onTopic: plainLevel(name)
  }))
}

const QUOTA_TYPES = ['destination_storage', 'message_age'] as const

/** Each type of quota is set and removed by itself. */
function backlogQuotaLevel(): PolicyLevelAccess {
  const path = (type: string): string => `backlogQuota?backlogQuotaType=${type}`
  return {
    path: 'backlogQuotaMap',
    set: value => {
      const quotas = isRecord(value) ? value : {}
      return QUOTA_TYPES.map((type): PolicyRequest => {
        const quota = quotas[type]
        if (quota === undefined) return { method: 'DELETE', path: path(type) }
        return { method: 'POST', path: path(type), body: quota }
      })
    },
    remove: () => QUOTA_TYPES.map(type => ({ method: 'DELETE', path: path(type) }))
  }
}

/** Set by asking for it, whatever is sent. */
function switchLevel(path: string): PolicyLevelAccess {
  return {
    path,
    set: value => [{ method: value === true ? 'POST' : 'DELETE', path }],
    remove: () => [{ method: 'DELETE', path }]
  }
}

/** PUT adds to those that are there. */
function propertiesLevel(): PolicyLevelAccess {
  const remove = { method: 'DELETE', path: 'properties' } as const
  return {
    path: 'properties',
    set: value => [remove, { method: 'PUT', path: 'properties', body: value }],
    remove: () => [remove]
  }
}
