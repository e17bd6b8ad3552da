// What a tenant's life by `pulsar-admin` touches of the cluster that it lives in.
import { line, measuredLine, settledLine, type Step } from '../step.ts'
import { LEFT_HALF, TOPIC } from './values.ts'

const RATE_KEY = 'dispatchThrottlingRatePerTopicInMsg'
const FAR = '--url http://far.example:8080 --broker-url pulsar://far.example:6650'
const ISOLATION = '--namespaces {tenant}/.* --primary .* --auto-failover-policy-type min_available'
const LIMITS = '--auto-failover-policy-params min_limit=1,usage_threshold=80'
const BOOKIE = '{tenant}-bookie:3181'
const BUNDLE = `-n {tenant}/halves -b ${LEFT_HALF}`
const QUOTA = '-mi 40 -mo 120 -bi 100000 -bo 300000 -mem 80 -d'

const brokers: readonly Step[] = [
  measuredLine('brokers list standalone'),
  measuredLine('brokers leader-broker'),
  measuredLine('brokers namespaces standalone --url {broker}'),
  measuredLine('brokers list-dynamic-config'),
  measuredLine('brokers get-runtime-config'),
  measuredLine('brokers get-internal-config'),
  measuredLine('brokers version'),
  line('brokers healthcheck'),
  line('brokers backlog-quota-check'),
  line(`brokers update-dynamic-config --config ${RATE_KEY} --value 1000000`),
  settledLine('brokers get-all-dynamic-config'),
  line(`brokers delete-dynamic-config --config ${RATE_KEY}`),
  settledLine('brokers get-all-dynamic-config'),
  line('brokers update-dynamic-config --config noSuchKey --value 1'),
  measuredLine('broker-stats monitoring-metrics'),
  measuredLine('broker-stats mbeans'),
  measuredLine('broker-stats topics'),
  measuredLine('broker-stats load-report'),
  measuredLine('broker-stats allocator-stats default'),
  line('proxy-stats connections'),
  line('proxy-stats topics')
]

const clusters: readonly Step[] = [
  line('clusters list'),
  measuredLine('clusters get standalone'),
  line(`clusters create {tenant}-far ${FAR}`),
  line(`clusters create {tenant}-far ${FAR}`),
  line('clusters update {tenant}-far --url http://far.example:8081 --broker-url pulsar://far.example:6650'),
  settledLine('clusters get {tenant}-far'),
  line('clusters update-peer-clusters {tenant}-far --peer-clusters standalone'),
  settledLine('clusters get-peer-clusters {tenant}-far'),
  line('clusters get-cluster-migration {tenant}-far'),
  line(
    'clusters update-cluster-migration {tenant}-far --service-url http://farther.example:8080 --broker-url pulsar://farther.example:6650'
  ),
  line('clusters create-failure-domain {tenant}-far --domain-name left --broker-list one:8080'),
  line('clusters get-failure-domain {tenant}-far --domain-name left'),
  line('clusters update-failure-domain {tenant}-far --domain-name left --broker-list two:8080'),
  line('clusters list-failure-domains {tenant}-far'),
  line('clusters delete-failure-domain {tenant}-far --domain-name left'),
  line('clusters delete-failure-domain {tenant}-far --domain-name left'),
  line(`ns-isolation-policy set standalone alone ${ISOLATION} ${LIMITS}`),
  line('ns-isolation-policy get standalone alone'),
  line('ns-isolation-policy list standalone'),
  measuredLine('ns-isolation-policy brokers standalone'),
  measuredLine('ns-isolation-policy broker standalone --broker {broker}'),
  line('ns-isolation-policy delete standalone alone'),
  line('ns-isolation-policy get standalone alone'),
  line('clusters delete {tenant}-far'),
  line('clusters get {tenant}-far')
]

const bookies: readonly Step[] = [
  measuredLine('bookies list-bookies'),
  line('bookies racks-placement'),
  line(`bookies set-bookie-rack -g left -b ${BOOKIE} -r /rack -hn one`),
  settledLine(`bookies get-bookie-rack -b ${BOOKIE}`),
  line('bookies racks-placement'),
  line(`bookies delete-bookie-rack -b ${BOOKIE}`),
  settledLine(`bookies get-bookie-rack -b ${BOOKIE}`)
]

const shares: readonly Step[] = [
  line('resourcegroups create {tenant}-other -mp 100 -bd 100000'),
  settledLine('resourcegroups get {tenant}-other'),
  line('resourcegroups update {tenant}-other -mp 200'),
  settledLine('resourcegroups get {tenant}-other'),
  line('resourcegroups list'),
  line('resourcegroups delete {tenant}-other'),
  line('resourcegroups delete {tenant}-group'),
  settledLine('resourcegroups list'),
  measuredLine('resource-quotas get'),
  line(`resource-quotas get ${BUNDLE}`),
  line(`resource-quotas set ${BUNDLE} ${QUOTA}`),
  settledLine(`resource-quotas get ${BUNDLE}`),
  line(`resource-quotas reset-namespace-bundle-quota ${BUNDLE}`),
  settledLine(`resource-quotas get ${BUNDLE}`)
]

/** They are switched off. */
const transactions: readonly Step[] = [
  line('transactions coordinators-list'),
  line('transactions scale-transactionCoordinators -r 2'),
  line('transactions coordinator-stats'),
  line('transactions coordinator-stats -c 0'),
  line('transactions coordinator-internal-stats -c 0 -m'),
  line('transactions slow-transactions -t 1s'),
  line('transactions transaction-metadata -m 1 -l 2'),
  line('transactions abort-transaction -m 1 -l 2'),
  line(`transactions transaction-buffer-stats -t ${TOPIC}`),
  line(`transactions buffer-snapshot-internal-stats -t ${TOPIC} -m`),
  line(`transactions transaction-in-buffer-stats -m 1 -l 2 -t ${TOPIC}`),
  line(`transactions transaction-in-pending-ack-stats -m 1 -l 2 -t ${TOPIC} -s told`),
  line(`transactions pending-ack-stats -t ${TOPIC} -s told`),
  line(`transactions pending-ack-internal-stats -t ${TOPIC} -s told -m`),
  line(`transactions position-stats-in-pending-ack -t ${TOPIC} -s told -l 1 -e 1`)
]

/** In a life that has the namespace `{tenant}/halves` and the topic `TOPIC`. */
export const cliCluster: readonly Step[] = [...brokers, ...clusters, ...bookies, ...shares, ...transactions]
