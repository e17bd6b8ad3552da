// Policies by the Java admin client: each is read, set, read, removed and read again.
import { call, settled, type Step } from '../step.ts'

const RATE = { dispatchThrottlingRateInMsg: 100, dispatchThrottlingRateInByte: 100000, ratePeriodInSecond: 2 }
const QUOTA = { limitSize: 1000000, limitTime: -1, retentionPolicy: 'consumer_backlog_eviction' }
const AGE_QUOTA = { limitTime: 600, retentionPolicy: 'producer_exception' }
const INACTIVE = {
  ...{ inactiveTopicDeleteMode: 'delete_when_subscriptions_caught_up', maxInactiveDurationSeconds: 600 },
  deleteWhileInactive: true
}
const PERSISTENCE = {
  ...{ bookkeeperEnsemble: 1, bookkeeperWriteQuorum: 1, bookkeeperAckQuorum: 1, managedLedgerMaxMarkDeleteRate: 2 }
}
const OFFLOAD = {
  ...{ managedLedgerOffloadDriver: 'aws-s3', managedLedgerOffloadMaxThreads: 2 },
  ...{ managedLedgerOffloadThresholdInBytes: 1000000, s3ManagedLedgerOffloadBucket: 'bucket' },
  ...{ s3ManagedLedgerOffloadRegion: 'region', s3ManagedLedgerOffloadServiceEndpoint: 'http://s3.example' }
}
const DELAYED = { tickTime: 1000, active: true, maxDeliveryDelayInMillis: 5000 }
const PUBLISH = { publishThrottlingRateInMsg: 100, publishThrottlingRateInByte: 100000 }
const SUBSCRIBE = { subscribeThrottlingRatePerConsumer: 10, ratePeriodInSecond: 30 }
const RETENTION = { retentionTimeInMinutes: 10, retentionSizeInMB: 20000 }
const FILTERS = { entryFilterNames: 'none.of.these' }
const SIZE = 'destination_storage'
const AGE = 'message_age'

const NS_REMOVABLE: readonly (readonly [what: string, ...values: unknown[]])[] = [
  ['AllowedTopicPropertyKeysForMetrics', ['team']],
  ['AutoSubscriptionCreation', { allowAutoSubscriptionCreation: false }],
  ['AutoTopicCreation', { allowAutoTopicCreation: true, topicType: 'partitioned', defaultNumPartitions: 3 }],
  ['CompactionThreshold', 1000000],
  ['DeduplicationSnapshotInterval', 100],
  ['DeduplicationStatus', true],
  ['DispatchRate', RATE],
  ['DispatcherPauseOnAckStatePersistent'],
  ['InactiveTopicPolicies', INACTIVE],
  ['MaxConsumersPerSubscription', 5],
  ['MaxConsumersPerTopic', 6],
  ['MaxProducersPerTopic', 7],
  ['MaxSubscriptionsPerTopic', 8],
  ['MaxTopicsPerNamespace', 800],
  ['MaxUnackedMessagesPerConsumer', 9],
  ['MaxUnackedMessagesPerSubscription', 10],
  ['NamespaceEntryFilters', FILTERS],
  ['NamespaceMessageTTL', 120],
  ['NamespaceResourceGroup', '{tenant}-group'],
  ['OffloadPolicies', OFFLOAD],
  ['Persistence', PERSISTENCE],
  ['PublishRate', PUBLISH],
  ['ReplicatorDispatchRate', RATE],
  ['Retention', RETENTION],
  ['SubscribeRate', SUBSCRIBE],
  ['SubscriptionDispatchRate', RATE],
  ['SubscriptionExpirationTime', 30],
  ['SubscriptionTypesEnabled', ['Exclusive', 'Shared']]
]

/** Those that cannot be removed. */
const NS_LASTING: readonly (readonly [what: string, ...values: unknown[]])[] = [
  ['EncryptionRequiredStatus', true],
  ['EncryptionRequiredStatus', false],
  ['IsAllowAutoUpdateSchema', false],
  ['NamespaceAllowedClusters', ['standalone']],
  ['NamespaceReplicationClusters', ['standalone'], false],
  ['OffloadThreshold', 1000000],
  ['OffloadThresholdInSeconds', 600],
  ['SchemaAutoUpdateCompatibilityStrategy', 'Backward'],
  ['SchemaCompatibilityStrategy', 'BACKWARD'],
  ['SubscriptionAuthMode', 'Prefix']
]

function setAndRead(part: string, what: string, of: string, values: readonly unknown[]): Step[] {
  const read = settled(`${part}.get${what}`, of)
  return [read, call(`${part}.set${what}`, of, ...values), read]
}

function ofNamespace(ns: string): Step[] {
  const steps: Step[] = [call('resourcegroups.createResourceGroup', '{tenant}-group', { publishRateInMsgs: 100 })]
  for (const [what, ...values] of NS_REMOVABLE) {
    steps.push(...setAndRead('namespaces', what, ns, values))
    steps.push(call(`namespaces.remove${what}`, ns), settled(`namespaces.get${what}`, ns))
  }
  for (const [what, ...values] of NS_LASTING) steps.push(...setAndRead('namespaces', what, ns, values))
  return [
    ...steps,
    ...ofNamespaceByOtherNames(ns),
    ...quotas('namespaces', ns, 'getBacklogQuotaMap', []),
    ...propertiesOf(ns),
    ...grants(ns),
    call('namespaces.getPolicies', ns)
  ]
}

function ofNamespaceByOtherNames(ns: string): Step[] {
  return [
    call('namespaces.setDelayedDeliveryMessages', ns, DELAYED),
    settled('namespaces.getDelayedDelivery', ns),
    call('namespaces.removeDelayedDeliveryMessages', ns),
    settled('namespaces.getDelayedDelivery', ns),
    call('namespaces.setOffloadDeleteLag', ns, 60, 'SECONDS'),
    settled('namespaces.getOffloadDeleteLagMs', ns),
    call('namespaces.clearOffloadDeleteLag', ns),
    settled('namespaces.getOffloadDeleteLagMs', ns),
    call('namespaces.setSchemaValidationEnforced', ns, true),
    settled('namespaces.getSchemaValidationEnforced(String)', ns),
    call('namespaces.getSchemaValidationEnforced(String,boolean)', ns, true),
    call('namespaces.setRetention', ns, { retentionTimeInMinutes: 0, retentionSizeInMB: 100 }),
    call('namespaces.setNamespaceReplicationClusters', ns, ['nowhere'], false),
    call('namespaces.setNamespaceAntiAffinityGroup', ns, 'apart'),
    settled('namespaces.getNamespaceAntiAffinityGroup', ns),
    call('namespaces.getAntiAffinityNamespaces', '{tenant}', 'standalone', 'apart'),
    call('namespaces.deleteNamespaceAntiAffinityGroup', ns),
    settled('namespaces.getNamespaceAntiAffinityGroup', ns),
    call('namespaces.setBookieAffinityGroup', ns, {
      bookkeeperAffinityGroupPrimary: 'left',
      bookkeeperAffinityGroupSecondary: 'right'
    }),
    settled('namespaces.getBookieAffinityGroup', ns),
    call('namespaces.deleteBookieAffinityGroup', ns),
    settled('namespaces.getBookieAffinityGroup', ns),
    call('namespaces.getReplicationConfigVersion', ns),
    call('namespaces.updateMigrationState', ns, false)
  ]
}

function propertiesOf(ns: string): Step[] {
  return [
    call('namespaces.setProperty', ns, 'team', 'a'),
    settled('namespaces.getProperty', ns, 'team'),
    call('namespaces.setProperties', ns, { cost: '9', floor: '2' }),
    settled('namespaces.getProperties', ns),
    call('namespaces.removeProperty', ns, 'team'),
    settled('namespaces.getProperty', ns, 'team'),
    call('namespaces.removeProperty', ns, 'none'),
    call('namespaces.clearProperties', ns),
    settled('namespaces.getProperties', ns)
  ]
}

function grants(ns: string): Step[] {
  const topic = `persistent://${ns}/granted`
  return [
    call('namespaces.grantPermissionOnNamespace', ns, 'clerk', ['produce', 'consume']),
    settled('namespaces.getPermissions', ns),
    call('namespaces.grantPermissionOnSubscription', ns, 'desk', ['clerk', 'chief']),
    settled('namespaces.getPermissionOnSubscription', ns),
    call('namespaces.revokePermissionOnSubscription', ns, 'desk', 'chief'),
    settled('namespaces.getPermissionOnSubscription', ns),
    call('namespaces.revokePermissionsOnNamespace', ns, 'clerk'),
    settled('namespaces.getPermissions', ns),
    call('topics.createNonPartitionedTopic(String)', topic),
    call('namespaces.grantPermissionOnTopics', [{ topic, role: 'clerk', actions: ['produce'] }]),
    settled('topics.getPermissions', topic),
    call('namespaces.revokePermissionOnTopics', [{ topic, role: 'clerk' }]),
    settled('topics.getPermissions', topic),
    call('topics.delete(String)', topic)
  ]
}

/** @param read Its name, and what it is told behind the topic or the namespace. */
function quotas(part: string, of: string, read: string, more: readonly unknown[]): Step[] {
  return [
    call(`${part}.setBacklogQuota(String,BacklogQuota)`, of, QUOTA),
    settled(`${part}.${read}`, of, ...more),
    call(`${part}.setBacklogQuota(String,BacklogQuota,BacklogQuotaType)`, of, AGE_QUOTA, AGE),
    settled(`${part}.${read}`, of, ...more),
    call(`${part}.removeBacklogQuota(String)`, of),
    settled(`${part}.${read}`, of, ...more),
    call(`${part}.removeBacklogQuota(String,BacklogQuotaType)`, of, AGE),
    settled(`${part}.${read}`, of, ...more),
    call(`${part}.removeBacklogQuota(String,BacklogQuotaType)`, of, SIZE)
  ]
}

/** How a policy of a topic is read: as it is set, as it applies by a switch, or by either of two calls. */
type Reading = 'set' | 'applied' | 'both'

interface TopicPolicy {
  readonly what: string
  readonly values: readonly unknown[]
  readonly reading: Reading
  /** Absent: of `TopicPolicies` alone. */
  readonly ofTopics?: true
}

const own = (what: string, reading: Reading, ...values: readonly unknown[]): TopicPolicy => ({ what, values, reading })
const both = (what: string, reading: Reading, ...values: readonly unknown[]): TopicPolicy => ({
  ...{ what, values, reading },
  ofTopics: true
})

const TOPIC_POLICIES: readonly TopicPolicy[] = [
  own('AutoSubscriptionCreation', 'applied', { allowAutoSubscriptionCreation: true }),
  both('CompactionThreshold', 'both', 1000000),
  both('DeduplicationSnapshotInterval', 'set', 100),
  both('DeduplicationStatus', 'both', false),
  both('DelayedDeliveryPolicy', 'both', DELAYED),
  both('DispatchRate', 'both', RATE),
  own('DispatcherPauseOnAckStatePersistent', 'applied'),
  own('EntryFiltersPerTopic', 'applied', FILTERS),
  both('InactiveTopicPolicies', 'both', INACTIVE),
  both('MaxConsumers', 'both', 5),
  both('MaxConsumersPerSubscription', 'set', 6),
  both('MaxMessageSize', 'set', 1000),
  both('MaxProducers', 'both', 7),
  both('MaxSubscriptionsPerTopic', 'set', 8),
  both('MaxUnackedMessagesOnConsumer', 'both', 9),
  both('MaxUnackedMessagesOnSubscription', 'both', 10),
  both('MessageTTL', 'both', 60),
  both('OffloadPolicies', 'both', OFFLOAD),
  both('Persistence', 'both', PERSISTENCE),
  both('PublishRate', 'set', PUBLISH),
  both('ReplicationClusters', 'applied', ['standalone']),
  both('ReplicatorDispatchRate', 'both', RATE),
  both('Retention', 'both', RETENTION),
  own('SchemaCompatibilityStrategy', 'applied', 'BACKWARD'),
  both('SubscribeRate', 'both', SUBSCRIBE),
  both('SubscriptionDispatchRate', 'both', RATE),
  own('SubscriptionExpirationTime', 'both', 30),
  both('SubscriptionTypesEnabled', 'set', ['Exclusive', 'Shared'])
]

/** Of a subscription besides the topic, so that each of these calls of `TopicPolicies` is one of two. */
const BY_SUBSCRIPTION = 'SubscriptionDispatchRate'

function cycle(part: string, { what, values, reading }: TopicPolicy, topic: string): Step[] {
  const get = `${part}.get${what}`
  const read =
    reading === 'applied' ? settled(get, topic, false) : settled(reading === 'both' ? `${get}(String)` : get, topic)
  const applied = reading === 'both' ? `${get}(String,boolean)` : get
  const isTwo = what === BY_SUBSCRIPTION && part !== 'topics'
  return [
    read,
    call(`${part}.set${what}${isTwo ? '(String,DispatchRate)' : ''}`, topic, ...values),
    read,
    ...(reading === 'set' ? [] : [call(applied, topic, true)]),
    call(`${part}.remove${what}${isTwo ? '(String)' : ''}`, topic),
    read,
    ...(reading === 'set' ? [] : [call(applied, topic, true)])
  ]
}

function ofTopics(topic: string): Step[] {
  return [
    ...TOPIC_POLICIES.filter(policy => policy.ofTopics === true).flatMap(policy => cycle('topics', policy, topic)),
    ...quotas('topics', topic, 'getBacklogQuotaMap(String)', []),
    call('topics.getBacklogQuotaMap(String,boolean)', topic, true),
    call('topics.enableDeduplication', topic, true),
    settled('topics.getDeduplicationEnabled', topic),
    call('topics.disableDeduplication', topic),
    settled('topics.getDeduplicationEnabled', topic),
    settled('topics.getSchemaValidationEnforced', topic, false),
    call('topics.setSchemaValidationEnforced', topic, true),
    settled('topics.getSchemaValidationEnforced', topic, false),
    call('topics.getSchemaValidationEnforced', topic, true)
  ]
}

function ofScope(part: string, topic: string): Step[] {
  const rate = `${part}.getSubscriptionDispatchRate`
  return [
    ...TOPIC_POLICIES.flatMap(policy => cycle(part, policy, topic)),
    settled(`${rate}(String,String)`, topic, 'desk'),
    call(`${part}.setSubscriptionDispatchRate(String,String,DispatchRate)`, topic, 'desk', RATE),
    settled(`${rate}(String,String)`, topic, 'desk'),
    call(`${rate}(String,String,boolean)`, topic, 'desk', true),
    call(`${part}.removeSubscriptionDispatchRate(String,String)`, topic, 'desk'),
    settled(`${rate}(String,String)`, topic, 'desk'),
    ...quotas(part, topic, 'getBacklogQuotaMap(String)', []),
    call(`${part}.getBacklogQuotaMap(String,boolean)`, topic, true),
    call(`${part}.setMaxConsumers`, topic, 5),
    settled(`${part}.getMaxConsumers(String)`, topic),
    call(`${part}.deleteTopicPolicies`, topic),
    settled(`${part}.getMaxConsumers(String)`, topic)
  ]
}

/** @param topic In the namespace of `ns`; made here, and gone at the end. */
export function javaPolicies(ns: string, topic: string): Step[] {
  return [
    ...ofNamespace(ns),
    call('topics.createNonPartitionedTopic(String)', topic),
    ...ofTopics(topic),
    ...ofScope('topicPolicies', topic),
    ...ofScope('globalTopicPolicies', topic),
    call('topics.delete(String,boolean)', topic, true)
  ]
}
