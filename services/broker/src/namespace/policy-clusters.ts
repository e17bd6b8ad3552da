import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** Where else topics are, and how fast they may go there. Nothing is replicated yet. */
export interface ClusterPolicies {
  /** Clusters that have the topic. One that leaves this cluster out is not served here. */
  replicationClusters: readonly string[]
  /** Clusters that may have it without being replicated to. None: those of the tenant. */
  allowedClusters: readonly string[]
  replicatorDispatchRate: {
    dispatchThrottlingRateInMsg: number
    dispatchThrottlingRateInByte: number
    ratePeriodInSecond: number
    relativeToPublishRate: boolean
  }
  /** Full names of topics that show the same messages. */
  shadowTopics: readonly string[]
}

const isStoredOnly = true

/** Which clusters and topics there are is looked at by the admin API, which has the rows of the others. */
export const clusterPolicies: PolicySpecs<ClusterPolicies> = {
  replicationClusters: {
    field: 'replication_clusters',
    onNamespace: {
      path: 'replication',
      isKept: true,
      setStatus: 200,
      unset: ({ clusterName }) => [clusterName]
    },
    onTopic: { path: 'replication' },
    parse: namesOf('ClusterIds should not be null or empty'),
    ofBroker: ({ clusterName }) => [clusterName],
    isStoredOnly,
    isHarmless: (clusters, { clusterName }) => clusters.every(cluster => cluster === clusterName)
  },
  allowedClusters: {
    field: 'allowed_clusters',
    onNamespace: { path: 'allowedClusters', isKept: true, setStatus: 200, unset: () => [] },
    parse: namesOf('ClusterIds should not be null or empty'),
    ofBroker: () => []
  },
  replicatorDispatchRate: {
    field: 'replicatorDispatchRate',
    isByCluster: true,
    onNamespace: { path: 'replicatorDispatchRate' },
    onTopic: { path: 'replicatorDispatchRate' },
    parse: parseRate,
    ofBroker: () => ({
      dispatchThrottlingRateInMsg: 0,
      dispatchThrottlingRateInByte: 0,
      ratePeriodInSecond: 1,
      relativeToPublishRate: false
    }),
    isStoredOnly
  },
  shadowTopics: {
    onTopic: { path: 'shadowTopics', method: 'PUT' },
    parse: namesOf('Cannot specify empty shadow topics, please use remove command instead.'),
    isStoredOnly
  }
}

function namesOf(problem: string): (value: unknown) => readonly string[] | Problem {
  const isName = (name: unknown): name is string => typeof name === 'string' && name !== ''
  return value => (Array.isArray(value) && value.length > 0 && value.every(isName) ? [...new Set(value)] : { problem })
}

function parseRate(value: unknown): ClusterPolicies['replicatorDispatchRate'] | Problem {
  const {
    dispatchThrottlingRateInMsg: messages = 0,
    dispatchThrottlingRateInByte: bytes = 0,
    ratePeriodInSecond: seconds = 0,
    relativeToPublishRate = false
  } = fields(value)
  const isRate = [messages, bytes, seconds].every(Number.isSafeInteger) && typeof relativeToPublishRate === 'boolean'
  if (!isRate) return { problem: 'Invalid replicator dispatch rate' }
  return {
    dispatchThrottlingRateInMsg: messages as number,
    dispatchThrottlingRateInByte: bytes as number,
    ratePeriodInSecond: seconds as number,
    relativeToPublishRate
  }
}
