// A policy of a namespace: unset, set, wrong values, removed; a namespace for each.
import { ask, make, script, type Script } from '../script.ts'

interface Policy {
  /** As in the path. */
  readonly name: string
  readonly set: 'PUT' | 'POST'
  readonly good: unknown
  readonly bad?: readonly unknown[]
  readonly hasDelete?: boolean
  /** Pulsar takes what is no value of it, and Strata refuses it: what was set is set again before it is looked at. */
  readonly isSetAgain?: true
}

const WRONG_TYPE = { raw: '"words"' }
const BROKEN = { raw: '{"a":' }

const RATE = {
  dispatchThrottlingRateInMsg: 10,
  dispatchThrottlingRateInByte: 2048,
  ratePeriodInSecond: 2,
  relativeToPublishRate: false
}

const policies: readonly Policy[] = [
  { name: 'allowedClusters', set: 'POST', good: ['standalone'], bad: [['absent'], []], hasDelete: false },
  { name: 'allowedTopicPropertyKeysForMetrics', set: 'POST', good: ['a', 'b'], bad: [[]] },
  { name: 'antiAffinity', set: 'POST', good: 'group', bad: [''] },
  { name: 'autoSubscriptionCreation', set: 'POST', good: { allowAutoSubscriptionCreation: false }, bad: [{}] },
  {
    name: 'autoTopicCreation',
    set: 'POST',
    good: { allowAutoTopicCreation: true, topicType: 'partitioned', defaultNumPartitions: 3 },
    bad: [
      { allowAutoTopicCreation: true, topicType: 'partitioned' },
      { allowAutoTopicCreation: true, topicType: 'partitioned', defaultNumPartitions: 0 },
      { allowAutoTopicCreation: true, topicType: 'other' },
      { allowAutoTopicCreation: true, topicType: 'non-partitioned', defaultNumPartitions: 2 },
      {}
    ]
  },
  { name: 'compactionThreshold', set: 'PUT', good: 1000, bad: [-2] },
  { name: 'deduplication', set: 'POST', good: true },
  { name: 'deduplicationSnapshotInterval', set: 'POST', good: 10, bad: [-1, 0], hasDelete: false },
  {
    name: 'delayedDelivery',
    set: 'POST',
    good: { active: true, tickTime: 2000, maxDeliveryDelayInMillis: 5000 },
    bad: [{ active: true, tickTime: 0 }, { active: true, tickTime: 1000, maxDeliveryDelayInMillis: -1 }, {}]
  },
  {
    name: 'dispatchRate',
    set: 'POST',
    good: RATE,
    bad: [{}, { dispatchThrottlingRateInMsg: -5, ratePeriodInSecond: 0 }]
  },
  { name: 'dispatcherPauseOnAckStatePersistent', set: 'POST', good: undefined },
  { name: 'encryptionRequired', set: 'POST', good: true, hasDelete: false },
  {
    name: 'entryFilters',
    set: 'POST',
    good: { entryFilterNames: 'absent' },
    bad: [{ entryFilterNames: '' }, {}]
  },
  {
    name: 'inactiveTopicPolicies',
    set: 'POST',
    good: {
      inactiveTopicDeleteMode: 'delete_when_no_subscriptions',
      maxInactiveDurationSeconds: 100,
      deleteWhileInactive: true
    },
    bad: [{ inactiveTopicDeleteMode: 'other', maxInactiveDurationSeconds: 1, deleteWhileInactive: true }, {}]
  },
  { name: 'isAllowAutoUpdateSchema', set: 'POST', good: false, hasDelete: false },
  { name: 'maxConsumersPerSubscription', set: 'POST', good: 3, bad: [-1] },
  { name: 'maxConsumersPerTopic', set: 'POST', good: 3, bad: [-1] },
  { name: 'maxProducersPerTopic', set: 'POST', good: 3, bad: [-1] },
  { name: 'maxSubscriptionsPerTopic', set: 'POST', good: 3, bad: [-1] },
  { name: 'maxTopicsPerNamespace', set: 'POST', good: 30, bad: [-1] },
  { name: 'maxUnackedMessagesPerConsumer', set: 'POST', good: 100, bad: [-1] },
  { name: 'maxUnackedMessagesPerSubscription', set: 'POST', good: 100, bad: [-1] },
  { name: 'messageTTL', set: 'POST', good: 3600, bad: [-1] },
  { name: 'offloadDeletionLagMs', set: 'PUT', good: 1000, bad: [-1] },
  {
    name: 'offloadPolicies',
    set: 'POST',
    good: {
      managedLedgerOffloadDriver: 'filesystem',
      fileSystemURI: 'file:///tmp/offload',
      managedLedgerOffloadThresholdInBytes: 1000
    },
    bad: [{ managedLedgerOffloadDriver: 'absent' }, {}],
    hasDelete: false
  },
  { name: 'offloadThreshold', set: 'PUT', good: 1000, bad: [-2], hasDelete: false },
  { name: 'offloadThresholdInSeconds', set: 'PUT', good: 1000, bad: [-2], hasDelete: false },
  {
    name: 'persistence',
    set: 'POST',
    good: {
      bookkeeperEnsemble: 1,
      bookkeeperWriteQuorum: 1,
      bookkeeperAckQuorum: 1,
      managedLedgerMaxMarkDeleteRate: 2.5
    },
    bad: [
      { bookkeeperEnsemble: 2, bookkeeperWriteQuorum: 5, bookkeeperAckQuorum: 2, managedLedgerMaxMarkDeleteRate: 1 },
      { bookkeeperEnsemble: 2, bookkeeperWriteQuorum: 1, bookkeeperAckQuorum: 1, managedLedgerMaxMarkDeleteRate: -1 },
      {}
    ]
  },
  {
    name: 'persistence/bookieAffinity',
    set: 'POST',
    good: { bookkeeperAffinityGroupPrimary: 'a', bookkeeperAffinityGroupSecondary: 'b' },
    bad: [{}]
  },
  { name: 'properties', set: 'PUT', good: { a: '1', b: '2' }, bad: [{}] },
  {
    name: 'publishRate',
    set: 'POST',
    good: { publishThrottlingRateInMsg: 10, publishThrottlingRateInByte: 2048 },
    bad: [{}]
  },
  { name: 'replication', set: 'POST', good: ['standalone'], bad: [['absent'], [], ['global']], hasDelete: false },
  { name: 'replicatorDispatchRate', set: 'POST', good: RATE, bad: [{}] },
  {
    name: 'retention',
    set: 'POST',
    good: { retentionTimeInMinutes: 10, retentionSizeInMB: 100 },
    bad: [
      { retentionTimeInMinutes: 0, retentionSizeInMB: 100 },
      { retentionTimeInMinutes: -2, retentionSizeInMB: 100 },
      { retentionTimeInMinutes: 10, retentionSizeInMB: 0 },
      {}
    ]
  },
  {
    name: 'schemaAutoUpdateCompatibilityStrategy',
    set: 'PUT',
    good: 'Forward',
    bad: ['OTHER'],
    hasDelete: false,
    isSetAgain: true
  },
  {
    name: 'schemaCompatibilityStrategy',
    set: 'PUT',
    good: 'FORWARD',
    bad: ['OTHER'],
    hasDelete: false,
    isSetAgain: true
  },
  { name: 'schemaValidationEnforced', set: 'POST', good: true, hasDelete: false },
  {
    name: 'subscribeRate',
    set: 'POST',
    good: { subscribeThrottlingRatePerConsumer: 5, ratePeriodInSecond: 20 },
    bad: [{}]
  },
  { name: 'subscriptionAuthMode', set: 'POST', good: 'Prefix', bad: ['Other'], hasDelete: false, isSetAgain: true },
  { name: 'subscriptionDispatchRate', set: 'POST', good: RATE, bad: [{}] },
  { name: 'subscriptionExpirationTime', set: 'POST', good: 60, bad: [-1] },
  { name: 'subscriptionTypesEnabled', set: 'POST', good: ['Shared', 'Failover'], bad: [['Other'], []] },
  { name: 'scalableTopicAutoScalePolicy', set: 'POST', good: { enabled: true }, bad: [] }
]

function policyScript({ name, set, good, bad = [], hasDelete = true, isSetAgain }: Policy): Script {
  const path = `@N/${name}`
  const get = `GET ${path}`
  const setter = `${set} ${path}`
  const body = good === undefined ? {} : { body: good }
  return script(`namespace ${name}`, [
    ask(get, 'unset'),
    ask(setter, 'good', body),
    ask(get, 'set'),
    ask('GET @N', `with ${name}`),
    ask(setter, 'again', body),
    ask(setter, 'no body'),
    ask(get, 'after no body'),
    ask(setter, 'back', body),
    ...bad.map((value, index) => ask(setter, `wrong value ${index + 1}`, { body: value })),
    ...(isSetAgain === true ? [ask(setter, 'after wrong values', body)] : []),
    ask(get, 'after wrong values'),
    ask(setter, 'wrong type', WRONG_TYPE),
    ask(setter, 'broken body', BROKEN),
    ...(hasDelete ? [ask(`DELETE ${path}`, 'set'), ask(get, 'removed'), ask(`DELETE ${path}`, 'unset')] : [])
  ])
}

const QUOTA = { limitSize: 1000, limitTime: -1, policy: 'producer_request_hold' }

const others: readonly Script[] = [
  script('namespace backlogQuota', [
    ask('GET @N/backlogQuotaMap', 'unset'),
    ask('POST @N/backlogQuota', 'size', { body: QUOTA }),
    ask('POST @N/backlogQuota', 'time', {
      query: 'backlogQuotaType=message_age',
      body: { limitTime: 60, policy: 'consumer_backlog_eviction' }
    }),
    ask('GET @N/backlogQuotaMap', 'both set'),
    ask('POST @N/backlogQuota', 'old form', { body: { limit: '10240', policy: 'producer_exception' } }),
    ask('GET @N/backlogQuotaMap', 'old form'),
    ask('POST @N/backlogQuota', 'no such type', { query: 'backlogQuotaType=other', body: QUOTA }),
    ask('POST @N/backlogQuota', 'no such policy', { body: { ...QUOTA, policy: 'other' } }),
    ask('POST @N/backlogQuota', 'no policy', { body: { limitSize: 1 } }),
    ask('POST @N/backlogQuota', 'no body'),
    ask('POST @N/backlogQuota', 'wrong type', WRONG_TYPE),
    ask('POST @N/backlogQuota', 'broken body', BROKEN),
    ask('POST @N/retention', 'under the quota', { body: { retentionTimeInMinutes: 10, retentionSizeInMB: 1 } }),
    ask('DELETE @N/backlogQuota', 'size'),
    ask('DELETE @N/backlogQuota', 'no such type', { query: 'backlogQuotaType=other' }),
    ask('GET @N/backlogQuotaMap', 'time left'),
    ask('DELETE @N/backlogQuota', 'time', { query: 'backlogQuotaType=message_age' }),
    ask('GET @N/backlogQuotaMap', 'removed')
  ]),
  script('namespace property', [
    ask('GET @N/property/{key}', 'unset', { vars: { key: 'a' } }),
    ask('PUT @N/property/{key}/{value}', 'good', { vars: { key: 'a', value: '1' } }),
    ask('GET @N/property/{key}', 'set', { vars: { key: 'a' } }),
    ask('GET @N/properties', 'one property'),
    ask('DELETE @N/property/{key}', 'set', { vars: { key: 'a' } }),
    ask('DELETE @N/property/{key}', 'unset', { vars: { key: 'a' } })
  ]),
  script('namespace resourcegroup', [
    ask('GET @N/resourcegroup', 'unset'),
    ask('POST @N/resourcegroup/{resourcegroup}', 'no such group', { vars: { resourcegroup: 'absent' } }),
    ask('DELETE @N/resourcegroup', 'unset')
  ]),
  script('namespace offload', [
    ask('DELETE @N/removeOffloadPolicies', 'unset'),
    ask('GET @N/scanOffloadedLedgers', 'nothing offloaded')
  ]),
  script('namespace migration', [
    ask('POST @N/migration', 'on', { query: 'migrated=true' }),
    ask('GET @N', 'migrated'),
    ask('POST @N/migration', 'off', { query: 'migrated=false' }),
    ask('POST @N/migration', 'not, by body', { raw: 'false' }),
    ask('POST @N/migration', 'broken body', BROKEN)
  ]),
  script('namespace permissions', [
    ask('GET @N/permissions', 'none'),
    ask('POST @N/permissions/{role}', 'good', { vars: { role: 'alice' }, body: ['produce', 'consume'] }),
    ask('POST @N/permissions/{role}', 'no such action', { vars: { role: 'alice' }, body: ['other'] }),
    ask('POST @N/permissions/{role}', 'no body', { vars: { role: 'alice' } }),
    ask('POST @N/permissions/{role}', 'once more', { vars: { role: 'alice' }, body: ['produce', 'consume'] }),
    ask('GET @N/permissions', 'one'),
    ask('DELETE @N/permissions/{role}', 'granted', { vars: { role: 'alice' } }),
    ask('DELETE @N/permissions/{role}', 'not granted', { vars: { role: 'alice' } }),
    ask('GET @N/permissions/subscription', 'none'),
    ask('POST @N/permissions/subscription/{subscription}', 'good', { body: ['alice'] }),
    ask('POST @N/permissions/subscription/{subscription}', 'broken body', BROKEN),
    ask('GET @N/permissions/subscription', 'one'),
    ask('DELETE @N/permissions/{subscription}/{role}', 'granted', { vars: { role: 'alice' } }),
    ask('DELETE @N/permissions/{subscription}/{role}', 'not granted', { vars: { role: 'alice' } }),
    ask('POST /admin/v2/namespaces/grantPermissionsOnTopics', 'no topic', {
      body: [{ topic: 'persistent://conf/namespace-permissions/absent', role: 'bob', actions: ['consume'] }]
    }),
    ask('POST /admin/v2/namespaces/revokePermissionsOnTopics', 'no topic', {
      body: [{ topic: 'persistent://conf/namespace-permissions/absent', role: 'bob' }]
    }),
    make('PUT @T'),
    ask('POST /admin/v2/namespaces/grantPermissionsOnTopics', 'good', {
      body: [{ topic: 'persistent://conf/namespace-permissions/topic', role: 'bob', actions: ['consume'] }]
    }),
    ask('POST /admin/v2/namespaces/grantPermissionsOnTopics', 'broken body', BROKEN),
    ask('POST /admin/v2/namespaces/revokePermissionsOnTopics', 'good', {
      body: [{ topic: 'persistent://conf/namespace-permissions/topic', role: 'bob' }]
    }),
    ask('POST /admin/v2/namespaces/revokePermissionsOnTopics', 'broken body', BROKEN)
  ])
]

export const namespacePolicies: readonly Script[] = [...policies.map(policyScript), ...others]
