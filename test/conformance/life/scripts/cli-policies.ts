// Policies by `pulsar-admin`: each is read, set, read, removed and read again.
import { line, settledLine, type Step } from '../step.ts'

const RATE = '-md 100 -bd 100000 -dt 2'
const INACTIVE = '-e -t 10m -m delete_when_subscriptions_caught_up'
const PERSISTENCE = '-e 1 -w 1 -a 1 -r 2'
const OFFLOAD = '-d aws-s3 -r region -b bucket -e http://s3.example'
const SIZE_QUOTA = '-l 1M -p consumer_backlog_eviction'
const AGE_QUOTA = '-lt 600 -p producer_exception -t message_age'

/** By what the policy is called, and the options that set it. */
type Table = readonly (readonly [what: string, options: string])[]

const OF_NAMESPACES: Table = [
  ['auto-subscription-creation', ''],
  ['auto-topic-creation', '--enable --type partitioned --num-partitions 3'],
  ['compaction-threshold', '-t 1M'],
  ['deduplication', '--enable'],
  ['deduplication-snapshot-interval', '-i 100'],
  ['delayed-delivery', '--enable --time 1s --maxDelay 5s'],
  ['dispatch-rate', RATE],
  ['dispatcher-pause-on-ack-state-persistent', ''],
  ['entry-filters', '-efn none.of.these'],
  ['inactive-topic-policies', INACTIVE],
  ['max-consumers-per-subscription', '-c 5'],
  ['max-consumers-per-topic', '-c 6'],
  ['max-producers-per-topic', '-p 7'],
  ['max-subscriptions-per-topic', '-m 8'],
  ['max-topics-per-namespace', '-t 800'],
  ['max-unacked-messages-per-consumer', '-c 9'],
  ['max-unacked-messages-per-subscription', '-c 10'],
  ['message-ttl', '-ttl 120'],
  ['offload-policies', `${OFFLOAD} -oat 1M`],
  ['persistence', PERSISTENCE],
  ['publish-rate', '-m 100 -b 100000'],
  ['replicator-dispatch-rate', RATE],
  ['resource-group', '-rgn {tenant}-group'],
  ['retention', '-t 10m -s 20M'],
  ['subscribe-rate', '-sr 10 -st 30'],
  ['subscription-dispatch-rate', RATE],
  ['subscription-expiration-time', '-t 30'],
  ['subscription-types-enabled', '-t Exclusive,Shared']
]

/** Those that cannot be removed. */
const LASTING_OF_NAMESPACES: Table = [
  ['allowed-clusters', '-c standalone'],
  ['clusters', '-c standalone'],
  ['encryption-required', '--enable'],
  ['encryption-required', '--disable'],
  ['is-allow-auto-update-schema', '--disable'],
  ['offload-threshold', '-s 1M'],
  ['schema-autoupdate-strategy', '-c backward'],
  ['schema-compatibility-strategy', '-c BACKWARD'],
  ['schema-validation-enforce', '--enable'],
  ['subscription-auth-mode', '-m Prefix']
]

/** As both `topics` and `topicPolicies` have them. */
const OF_TOPICS: Table = [
  ['compaction-threshold', '-t 1M'],
  ['deduplication', '--enable'],
  ['deduplication-snapshot-interval', '-i 100'],
  ['delayed-delivery', '--enable --time 1s --maxDelay 5s'],
  ['dispatch-rate', RATE],
  ['inactive-topic-policies', INACTIVE],
  ['max-consumers', '-c 5'],
  ['max-consumers-per-subscription', '-c 6'],
  ['max-message-size', '-m 1000'],
  ['max-producers', '-p 7'],
  ['max-unacked-messages-per-consumer', '-m 9'],
  ['max-unacked-messages-per-subscription', '-m 10'],
  ['message-ttl', '-t 120'],
  ['offload-policies', `${OFFLOAD} -t 1000000`],
  ['persistence', PERSISTENCE],
  ['publish-rate', '-m 100 -b 100000'],
  ['replication-clusters', '-c standalone'],
  ['replicator-dispatch-rate', RATE],
  ['retention', '-t 10m -s 20M'],
  ['subscribe-rate', '-sr 10 -st 30'],
  ['subscription-dispatch-rate', RATE],
  ['subscription-types-enabled', '-t Exclusive,Shared']
]

const OF_TOPICS_ALONE: Table = [
  ['max-subscriptions', '-m 8'],
  ['max-unacked-messages-on-consumer', '-m 9'],
  ['max-unacked-messages-on-subscription', '-m 10'],
  ['maxProducers', '-p 7']
]

const OF_TOPIC_POLICIES_ALONE: Table = [
  ['auto-subscription-creation', ''],
  ['backlog-quota', SIZE_QUOTA],
  ['dispatcher-pause-on-ack-state-persistent', ''],
  ['entry-filters-per-topic', '-efn none.of.these'],
  ['max-subscriptions-per-topic', '-s 8'],
  ['schema-compatibility-strategy', '-s BACKWARD']
]

function set(group: string, what: string, of: string, options: string): Step {
  return line(`${group} set-${what} ${of} ${options}`.trimEnd())
}

function rounds(group: string, of: string, table: Table): Step[] {
  return table.flatMap(([what, options]) => [
    line(`${group} get-${what} ${of}`),
    set(group, what, of, options),
    settledLine(`${group} get-${what} ${of}`),
    line(`${group} remove-${what} ${of}`),
    settledLine(`${group} get-${what} ${of}`)
  ])
}

function lastingRounds(group: string, of: string, table: Table): Step[] {
  return table.flatMap(([what, options]) => [
    line(`${group} get-${what} ${of}`),
    set(group, what, of, options),
    settledLine(`${group} get-${what} ${of}`)
  ])
}

/** Of a namespace, or of a topic. */
const quotas = (group: string, of: string): Step[] =>
  [SIZE_QUOTA, AGE_QUOTA].flatMap(options => [
    line(`${group} get-backlog-quotas ${of}`),
    line(`${group} set-backlog-quota ${of} ${options}`),
    settledLine(`${group} get-backlog-quotas ${of}`),
    line(`${group} remove-backlog-quota ${of}${options === AGE_QUOTA ? ' -t message_age' : ''}`),
    settledLine(`${group} get-backlog-quotas ${of}`)
  ])

const marks = (ns: string): Step[] => [
  line(`namespaces set-offload-deletion-lag ${ns} -l 1h`),
  settledLine(`namespaces get-offload-deletion-lag ${ns}`),
  line(`namespaces clear-offload-deletion-lag ${ns}`),
  settledLine(`namespaces get-offload-deletion-lag ${ns}`),
  line(`namespaces set-anti-affinity-group ${ns} -g apart`),
  settledLine(`namespaces get-anti-affinity-group ${ns}`),
  line('namespaces get-anti-affinity-namespaces -p {tenant} -c standalone -g apart'),
  line(`namespaces delete-anti-affinity-group ${ns}`),
  settledLine(`namespaces get-anti-affinity-group ${ns}`),
  line(`namespaces set-bookie-affinity-group ${ns} -pg left`),
  settledLine(`namespaces get-bookie-affinity-group ${ns}`),
  line(`namespaces delete-bookie-affinity-group ${ns}`),
  settledLine(`namespaces get-bookie-affinity-group ${ns}`),
  line(`namespaces set-property ${ns} -k color --value red`),
  settledLine(`namespaces get-property ${ns} -k color`),
  line(`namespaces set-properties ${ns} -p shape=round,size=9`),
  settledLine(`namespaces get-properties ${ns}`),
  line(`namespaces remove-property ${ns} -k size`),
  settledLine(`namespaces get-properties ${ns}`),
  line(`namespaces clear-properties ${ns}`),
  settledLine(`namespaces get-properties ${ns}`),
  line(`namespaces permissions ${ns}`),
  line(`namespaces grant-permission ${ns} --role clerk --actions produce,consume`),
  settledLine(`namespaces permissions ${ns}`),
  line(`namespaces revoke-permission ${ns} --role clerk`),
  settledLine(`namespaces permissions ${ns}`),
  line(`namespaces grant-subscription-permission ${ns} -s desk -rs clerk,night`),
  settledLine(`namespaces subscription-permission ${ns}`),
  line(`namespaces revoke-subscription-permission ${ns} -s desk -r clerk`),
  settledLine(`namespaces subscription-permission ${ns}`),
  line(`namespaces update-migration-state ${ns}`),
  line(`namespaces policies ${ns}`)
]

const ofOneTopic = (topic: string): Step[] => [
  line(`topics create ${topic}`),
  ...rounds('topics', topic, [...OF_TOPICS, ...OF_TOPICS_ALONE]),
  ...quotas('topics', topic),
  ...lastingRounds('topics', topic, [['schema-validation-enforce', '--enable']]),
  line(`topics enable-deduplication ${topic}`),
  settledLine(`topics get-deduplication-enabled ${topic}`),
  line(`topics disable-deduplication ${topic}`),
  settledLine(`topics get-deduplication-enabled ${topic}`),
  ...rounds('topicPolicies', topic, [...OF_TOPICS, ...OF_TOPIC_POLICIES_ALONE]),
  line(`topicPolicies set-message-ttl ${topic} -t 60 --global`),
  settledLine(`topicPolicies get-message-ttl ${topic} --global`),
  line(`topicPolicies delete ${topic}`),
  settledLine(`topicPolicies get-message-ttl ${topic} --global`),
  line(`topics delete ${topic}`)
]

/** @param ns A namespace that is there. @param topic A topic of it that is not. */
export function cliPolicies(ns: string, topic: string): Step[] {
  return [
    line('resourcegroups create {tenant}-group --msg-publish-rate 100'),
    ...rounds('namespaces', ns, OF_NAMESPACES),
    ...quotas('namespaces', ns),
    ...lastingRounds('namespaces', ns, LASTING_OF_NAMESPACES),
    ...marks(ns),
    ...ofOneTopic(topic)
  ]
}
