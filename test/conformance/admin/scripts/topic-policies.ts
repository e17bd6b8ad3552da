// A policy of a topic: unset, set, wrong values, removed; a topic for each, of one namespace.
import { ask, make, script, type Ask, type Script } from '../script.ts'

interface Policy {
  readonly name: string
  readonly set?: 'PUT' | 'POST'
  readonly good?: unknown
  readonly bad?: readonly unknown[]
  /** The value is a query, not a body. */
  readonly goodQuery?: string
  readonly badQuery?: string
  readonly hasDelete?: boolean
}

const RATE = {
  dispatchThrottlingRateInMsg: 10,
  dispatchThrottlingRateInByte: 2048,
  ratePeriodInSecond: 2,
  relativeToPublishRate: false
}

const policies: readonly Policy[] = [
  { name: 'autoSubscriptionCreation', good: { allowAutoSubscriptionCreation: false } },
  { name: 'compactionThreshold', good: 1000, bad: [-1] },
  { name: 'deduplicationEnabled', good: true },
  { name: 'deduplicationSnapshotInterval', good: 10, bad: [-1] },
  {
    name: 'delayedDelivery',
    good: { active: true, tickTime: 2000, maxDeliveryDelayInMillis: 5000 },
    bad: [{ active: true, tickTime: 1000, maxDeliveryDelayInMillis: -1 }]
  },
  { name: 'dispatchRate', good: RATE, bad: [{}] },
  { name: 'dispatcherPauseOnAckStatePersistent' },
  { name: 'entryFilters', good: { entryFilterNames: 'absent' }, bad: [{ entryFilterNames: '' }] },
  {
    name: 'inactiveTopicPolicies',
    good: {
      inactiveTopicDeleteMode: 'delete_when_no_subscriptions',
      maxInactiveDurationSeconds: 100,
      deleteWhileInactive: true
    },
    bad: [{ inactiveTopicDeleteMode: 'other' }]
  },
  { name: 'maxConsumers', good: 3, bad: [-1] },
  { name: 'maxConsumersPerSubscription', good: 3, bad: [-1] },
  { name: 'maxMessageSize', good: 1000, bad: [-1, 100000000] },
  { name: 'maxProducers', good: 3, bad: [-1] },
  { name: 'maxSubscriptionsPerTopic', good: 3, bad: [-1] },
  { name: 'maxUnackedMessagesOnConsumer', good: 100, bad: [-1] },
  { name: 'maxUnackedMessagesOnSubscription', good: 100, bad: [-1] },
  { name: 'messageTTL', goodQuery: 'messageTTL=3600', badQuery: 'messageTTL=-1' },
  {
    name: 'offloadPolicies',
    good: { managedLedgerOffloadDriver: 'filesystem', fileSystemURI: 'file:///tmp/offload' },
    bad: [{ managedLedgerOffloadDriver: 'absent' }]
  },
  {
    name: 'persistence',
    good: {
      bookkeeperEnsemble: 1,
      bookkeeperWriteQuorum: 1,
      bookkeeperAckQuorum: 1,
      managedLedgerMaxMarkDeleteRate: 2.5
    },
    bad: [
      { bookkeeperEnsemble: 2, bookkeeperWriteQuorum: 5, bookkeeperAckQuorum: 2, managedLedgerMaxMarkDeleteRate: 1 }
    ]
  },
  { name: 'publishRate', good: { publishThrottlingRateInMsg: 10, publishThrottlingRateInByte: 2048 }, bad: [{}] },
  { name: 'replication', good: ['standalone'], bad: [['absent'], []] },
  { name: 'replicatorDispatchRate', good: RATE },
  {
    name: 'retention',
    good: { retentionTimeInMinutes: 10, retentionSizeInMB: 100 },
    bad: [
      { retentionTimeInMinutes: 0, retentionSizeInMB: 100 },
      { retentionTimeInMinutes: -2, retentionSizeInMB: 100 }
    ]
  },
  { name: 'schemaCompatibilityStrategy', set: 'PUT', good: 'FORWARD', bad: ['OTHER'] },
  { name: 'schemaValidationEnforced', good: true, hasDelete: false },
  { name: 'shadowTopics', set: 'PUT', good: ['persistent://conf/topic-policies/shadow'], bad: [['absent']] },
  { name: 'subscribeRate', good: { subscribeThrottlingRatePerConsumer: 5, ratePeriodInSecond: 20 }, bad: [{}] },
  { name: 'subscriptionDispatchRate', good: RATE },
  { name: 'subscriptionExpirationTime', goodQuery: 'subscriptionExpirationTime=60', good: 60, bad: [-1] },
  { name: 'subscriptionTypesEnabled', good: ['Shared', 'Failover'], bad: [['Other'], []] },
  { name: '{subName}/dispatchRate', good: RATE }
]

const NAMESPACE = { namespace: 'topic-policies' }

function policySteps(policy: Policy): Ask[] {
  const { name, set = 'POST', good, bad = [], goodQuery, badQuery, hasDelete = true } = policy
  const path = `@T/${name}`
  const get = `GET ${path}`
  const setter = `${set} ${path}`
  const given: Omit<Ask, 'kind' | 'pair' | 'note'> = {
    ...(good === undefined ? {} : { body: good }),
    ...(goodQuery === undefined ? {} : { query: goodQuery })
  }
  return [
    ask(get, 'unset'),
    ask(get, 'unset, applied', { query: 'applied=true' }),
    ask(setter, 'good', given),
    ask(get, 'set', { settles: true }),
    ask(get, 'set, applied', { query: 'applied=true' }),
    ...bad.map((value, index) => ask(setter, `wrong value ${index + 1}`, { body: value })),
    ...(badQuery === undefined ? [] : [ask(setter, 'wrong value', { query: badQuery })]),
    ...(good === undefined ? [] : [ask(setter, 'broken body', { raw: '{"a":' })]),
    ...(hasDelete
      ? [ask(`DELETE ${path}`, 'set'), ask(get, 'removed', { settles: true }), ask(`DELETE ${path}`, 'unset')]
      : [])
  ]
}

function policyScript(policy: Policy): Script {
  const topic = policy.name.replaceAll(/[{}/]/g, '-')
  return script(`topic ${policy.name}`, [make('PUT @T'), ...policySteps(policy)], { ...NAMESPACE, topic })
}

const QUOTA = { limitSize: 1000, limitTime: -1, policy: 'producer_request_hold' }
const BROKEN = { raw: '{"a":' }

const others: readonly Script[] = [
  script(
    'topic backlogQuota',
    [
      make('PUT @T'),
      ask('GET @T/backlogQuotaMap', 'unset'),
      ask('GET @T/backlogQuotaMap', 'unset, applied', { query: 'applied=true' }),
      ask('POST @T/backlogQuota', 'size', { body: QUOTA }),
      ask('GET @T/backlogQuotaMap', 'set', { settles: true }),
      ask('POST @T/backlogQuota', 'no such type', { query: 'backlogQuotaType=other', body: QUOTA }),
      ask('POST @T/backlogQuota', 'no such policy', { body: { ...QUOTA, policy: 'other' } }),
      ask('POST @T/backlogQuota', 'broken body', BROKEN),
      ask('DELETE @T/backlogQuota', 'set'),
      ask('GET @T/backlogQuotaMap', 'removed', { settles: true }),
      ask('DELETE @T/backlogQuota', 'unset')
    ],
    { ...NAMESPACE, topic: 'backlogQuota' }
  ),
  script(
    'topic policies',
    [
      make('PUT @T'),
      ask('POST @T/maxProducers', 'set', { body: 7 }),
      ask('GET @T/maxProducers', 'set', { settles: true }),
      ask('DELETE @T/policies', 'set'),
      ask('GET @T/maxProducers', 'all removed', { settles: true }),
      ask('DELETE @T/policies', 'unset')
    ],
    { ...NAMESPACE, topic: 'policies' }
  ),
  script(
    'topic global policies',
    [
      make('PUT @T'),
      ask('POST @T/maxConsumers', 'global', { body: 7, query: 'isGlobal=true' }),
      ask('GET @T/maxConsumers', 'global', { query: 'isGlobal=true', settles: true }),
      ask('GET @T/maxConsumers', 'local'),
      ask('GET @T/maxConsumers', 'applied', { query: 'applied=true' }),
      ask('DELETE @T/maxConsumers', 'global', { query: 'isGlobal=true' })
    ],
    { ...NAMESPACE, topic: 'global' }
  ),
  script(
    'topic permissions',
    [
      make('PUT @T'),
      ask('GET @T/permissions', 'none'),
      ask('POST @T/permissions/{role}', 'good', { vars: { role: 'alice' }, body: ['produce'] }),
      ask('POST @T/permissions/{role}', 'no such action', { vars: { role: 'alice' }, body: ['other'] }),
      ask('POST @T/permissions/{role}', 'once more', { vars: { role: 'alice' }, body: ['produce'] }),
      ask('GET @T/permissions', 'one'),
      ask('DELETE @T/permissions/{role}', 'granted', { vars: { role: 'alice' } }),
      ask('DELETE @T/permissions/{role}', 'not granted', { vars: { role: 'alice' } })
    ],
    { topic: 'permissions' }
  )
]

export const topicPolicies: readonly Script[] = [...policies.map(policyScript), ...others]
