// Policies by the Go admin library: each is set, read, removed and read again.
import { call, settled, type Step } from '../step.ts'

/** @param remove Undefined: the library cannot remove it. */
function cycle(part: string, what: string, of: unknown, values: readonly unknown[], remove?: string): Step[] {
  const steps: Step[] = [call(`${part}.Set${what}`, of, ...values), settled(`${part}.Get${what}`, of)]
  if (remove !== undefined) steps.push(call(`${part}.${remove}`, of), settled(`${part}.Get${what}`, of))
  return steps
}

const RATE = { dispatchThrottlingRateInMsg: 100, dispatchThrottlingRateInByte: 100000, ratePeriodInSecond: 2 }
const QUOTA = { limitSize: 1000000, limitTime: -1, policy: 'consumer_backlog_eviction' }
const INACTIVE = {
  ...{ inactiveTopicDeleteMode: 'delete_when_subscriptions_caught_up', maxInactiveDurationSeconds: 600 },
  deleteWhileInactive: true
}
const PERSISTENCE = {
  ...{ bookkeeperEnsemble: 1, bookkeeperWriteQuorum: 1, bookkeeperAckQuorum: 1, managedLedgerMaxMarkDeleteRate: 2 }
}

function ofNamespace(ns: string): Step[] {
  const removable = (what: string, ...values: readonly unknown[]): Step[] =>
    cycle('Namespaces', what, ns, values, `Remove${what}`)
  const lasting = (what: string, ...values: readonly unknown[]): Step[] => cycle('Namespaces', what, ns, values)
  return [
    ...removable('NamespaceMessageTTL', 120),
    ...removable('Retention', { retentionTimeInMinutes: 10, retentionSizeInMB: 100 }),
    call('Namespaces.SetRetention', ns, { retentionTimeInMinutes: 0, retentionSizeInMB: 100 }),
    call('Namespaces.SetBacklogQuota', ns, QUOTA, 'destination_storage'),
    settled('Namespaces.GetBacklogQuotaMap', ns),
    call('Namespaces.RemoveBacklogQuota', ns),
    settled('Namespaces.GetBacklogQuotaMap', ns),
    ...removable('TopicAutoCreation', {
      allowAutoTopicCreation: true,
      topicType: 'partitioned',
      defaultNumPartitions: 3
    }),
    ...lasting('SchemaValidationEnforced', true),
    ...lasting('SchemaAutoUpdateCompatibilityStrategy', 'Backward'),
    ...lasting('SchemaCompatibilityStrategy', 'BACKWARD'),
    ...lasting('IsAllowAutoUpdateSchema', false),
    ...cycle('Namespaces', 'OffloadDeleteLag', ns, [60000], 'ClearOffloadDeleteLag'),
    ...lasting('OffloadThreshold', 1000000),
    ...lasting('OffloadThresholdInSeconds', 600),
    ...lasting('CompactionThreshold', 1000000),
    ...removable('MaxConsumersPerSubscription', 5),
    ...removable('MaxConsumersPerTopic', 6),
    ...removable('MaxProducersPerTopic', 7),
    ...removable('MaxTopicsPerNamespace', 800),
    ...removable('SubscriptionExpirationTime', 30),
    ...removable('InactiveTopicPolicies', INACTIVE),
    ...removable('Persistence', PERSISTENCE),
    ...lasting('ReplicatorDispatchRate', RATE),
    ...lasting('SubscriptionDispatchRate', RATE),
    ...lasting('DispatchRate', RATE),
    ...lasting('SubscribeRate', { subscribeThrottlingRatePerConsumer: 10, ratePeriodInSecond: 30 }),
    ...lasting('PublishRate', { publishThrottlingRateInMsg: 100, publishThrottlingRateInByte: 100000 }),
    ...lasting('NamespaceReplicationClusters', ['standalone']),
    call('Namespaces.SetNamespaceReplicationClusters', ns, ['nowhere']),
    call('Namespaces.SetNamespaceAntiAffinityGroup', ns, 'apart'),
    settled('Namespaces.GetNamespaceAntiAffinityGroup', ns),
    call('Namespaces.GetAntiAffinityNamespaces', '{tenant}', 'standalone', 'apart'),
    call('Namespaces.DeleteNamespaceAntiAffinityGroup', ns),
    settled('Namespaces.GetNamespaceAntiAffinityGroup', ns),
    call('Namespaces.SetDeduplicationStatus', ns, false),
    call('Namespaces.SetEncryptionRequiredStatus', ns, false),
    call('Namespaces.SetSubscriptionAuthMode', ns, 'Prefix'),
    call('Namespaces.SetBookieAffinityGroup', ns, {
      bookkeeperAffinityGroupPrimary: 'left',
      bookkeeperAffinityGroupSecondary: 'right'
    }),
    settled('Namespaces.GetBookieAffinityGroup', ns),
    call('Namespaces.DeleteBookieAffinityGroup', ns),
    settled('Namespaces.GetBookieAffinityGroup', ns),
    call('Namespaces.UpdateProperties', ns, { team: 'a', cost: '9' }),
    settled('Namespaces.GetProperties', ns),
    call('Namespaces.RemoveProperties', ns),
    settled('Namespaces.GetProperties', ns),
    ...grants(ns),
    call('Namespaces.GetPolicies', ns)
  ]
}

function grants(ns: string): Step[] {
  return [
    call('Namespaces.GrantNamespacePermission', ns, 'clerk', ['produce', 'consume']),
    settled('Namespaces.GetNamespacePermissions', ns),
    call('Namespaces.GrantSubPermission', ns, 'desk', ['clerk', 'chief']),
    settled('Namespaces.GetSubPermissions', ns),
    call('Namespaces.RevokeSubPermission', ns, 'desk', 'chief'),
    settled('Namespaces.GetSubPermissions', ns),
    call('Namespaces.RevokeNamespacePermission', ns, 'clerk'),
    settled('Namespaces.GetNamespacePermissions', ns)
  ]
}

const TOPIC_POLICIES: readonly (readonly [what: string, value: unknown])[] = [
  ['AutoSubscriptionCreation', { allowAutoSubscriptionCreation: true }],
  ['CompactionThreshold', 1000000],
  ['DeduplicationSnapshotInterval', 100],
  ['DeduplicationStatus', false],
  ['DelayedDelivery', { tickTime: 1000, active: true }],
  ['DispatchRate', { ...RATE, relativeToPublishRate: false }],
  ['InactiveTopicPolicies', INACTIVE],
  ['MaxConsumers', 5],
  ['MaxConsumersPerSubscription', 6],
  ['MaxMessageSize', 1000],
  ['MaxProducers', 7],
  ['MaxSubscriptionsPerTopic', 8],
  ['MaxUnackMessagesPerConsumer', 9],
  ['MaxUnackMessagesPerSubscription', 10],
  ['MessageTTL', 60],
  [
    'OffloadPolicies',
    {
      ...{ managedLedgerOffloadDriver: 'aws-s3', managedLedgerOffloadMaxThreads: 2 },
      ...{ managedLedgerOffloadThresholdInBytes: 1000000, s3ManagedLedgerOffloadBucket: 'bucket' },
      ...{ s3ManagedLedgerOffloadRegion: 'region', s3ManagedLedgerOffloadServiceEndpoint: 'http://s3.example' }
    }
  ],
  ['Persistence', PERSISTENCE],
  ['PublishRate', { publishThrottlingRateInMsg: 100, publishThrottlingRateInByte: 100000 }],
  ['ReplicationClusters', ['standalone']],
  ['ReplicatorDispatchRate', { ...RATE, relativeToPublishRate: false }],
  ['Retention', { retentionTimeInMinutes: 10, retentionSizeInMB: 20000 }],
  ['SchemaCompatibilityStrategy', 'BACKWARD'],
  ['SchemaValidationEnforced', true],
  ['SubscribeRate', { subscribeThrottlingRatePerConsumer: 10, ratePeriodInSecond: 30 }],
  ['SubscriptionDispatchRate', { ...RATE, relativeToPublishRate: false }]
]

/** Those that `Topics` reads as they are set or as they apply. */
const APPLIED: readonly string[] = ['CompactionThreshold', 'InactiveTopicPolicies', 'Retention']

function ofTopic(topic: string): Step[] {
  const steps: Step[] = []
  for (const [what, value] of TOPIC_POLICIES) {
    const more = APPLIED.includes(what) ? [false] : []
    steps.push(call(`Topics.Set${what}`, topic, value), settled(`Topics.Get${what}`, topic, ...more))
    steps.push(call(`Topics.Remove${what}`, topic), settled(`Topics.Get${what}`, topic, ...more))
    if (more.length > 0) steps.push(call(`Topics.Get${what}`, topic, true))
  }
  steps.push(call('Topics.GetSchemaCompatibilityStrategyApplied', topic, true))
  return [
    ...steps,
    call('Topics.SetBacklogQuota', topic, QUOTA, 'destination_storage'),
    settled('Topics.GetBacklogQuotaMap', topic, false),
    call('Topics.RemoveBacklogQuota', topic, 'destination_storage'),
    settled('Topics.GetBacklogQuotaMap', topic, false)
  ]
}

function ofScope(part: string, topic: string): Step[] {
  const steps: Step[] = []
  for (const [what, value] of TOPIC_POLICIES) {
    steps.push(call(`${part}.Set${what}`, topic, value), settled(`${part}.Get${what}`, topic, false))
    steps.push(call(`${part}.Get${what}`, topic, true))
    steps.push(call(`${part}.Remove${what}`, topic), settled(`${part}.Get${what}`, topic, false))
  }
  return [
    ...steps,
    call(`${part}.SetBacklogQuota`, topic, QUOTA, 'destination_storage'),
    settled(`${part}.GetBacklogQuotaMap`, topic, false),
    call(`${part}.RemoveBacklogQuota`, topic, 'destination_storage'),
    settled(`${part}.GetBacklogQuotaMap`, topic, false)
  ]
}

/** @param topic In the namespace of `ns`; made here, and gone at the end. */
export function goPolicies(ns: string, topic: string): Step[] {
  return [
    ...ofNamespace(ns),
    call('Topics.Create', topic, 0),
    ...ofTopic(topic),
    ...ofScope('TopicPolicies', topic),
    ...ofScope('GlobalTopicPolicies', topic),
    call('Topics.Delete', topic, true, true)
  ]
}
