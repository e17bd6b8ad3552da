// The life of a tenant by `pulsar-admin`, with messages by `pulsar-client`.
import { fileURLToPath } from 'node:url'
import { line, measuredLine, publish, settledLine, type Life, type Step } from '../step.ts'
import { cliCluster } from './cli-cluster.ts'
import { cliPolicies } from './cli-policies.ts'
import { LEFT_HALF, NS, PARTS, TOPIC } from './values.ts'

const SHADOW = `persistent://${NS}/shadow`
const OLD = `persistent://${NS}/old`
const OLD_PARTS = `persistent://${NS}/old-parts`
const DESCRIBED = `persistent://${NS}/described`
const SPOKEN = `persistent://${NS}/spoken`
const FLEETING_PARTS = `non-persistent://${NS}/fleeting-parts`
const QUARTER = '0x00000000_0x40000000'
/** From where this is when it is compiled. */
const SCHEMA = fileURLToPath(new URL('../../../../conformance/life/schema.json', import.meta.url))

const birth: readonly Step[] = [
  line('tenants create {tenant} -r ops -c standalone'),
  line('tenants create {tenant} -r ops -c standalone'),
  line('tenants list'),
  line('tenants get {tenant}'),
  line('tenants update {tenant} -r ops,night -c standalone'),
  settledLine('tenants get {tenant}'),
  line('tenants get {tenant}-of-nobody'),
  line(`namespaces create ${NS}`),
  line(`namespaces create ${NS}`),
  line('namespaces create {tenant}/halves -b 2 -c standalone'),
  line('namespaces create {tenant}/ruled'),
  line('namespaces list {tenant}'),
  line('namespaces list-cluster {tenant}/standalone'),
  ...[NS, '{tenant}/halves', '{tenant}/none'].map(name => line(`namespaces policies ${name}`)),
  line('namespaces bundles {tenant}/halves')
]

const topics: readonly Step[] = [
  line(`topics create ${TOPIC}`),
  line(`topics create ${TOPIC}`),
  line(`topics create ${DESCRIBED} -m team=a`),
  line(`topics create-partitioned-topic ${PARTS} -p 2`),
  line(`topics list ${NS}`),
  line(`topics list ${NS} -td persistent -b ${QUARTER}`),
  line(`topics list-partitioned-topics ${NS}`),
  line(`namespaces topics ${NS}`),
  line(`namespaces destinations ${NS}`),
  line(`namespaces get-topic-positions ${NS} -b ${QUARTER}`),
  line(`topics get-properties ${DESCRIBED}`),
  line(`topics update-properties ${DESCRIBED} -p team=c -p cost=9`),
  settledLine(`topics get-properties ${DESCRIBED}`),
  line(`topics remove-properties ${DESCRIBED} -k cost`),
  settledLine(`topics get-properties ${DESCRIBED}`),
  line(`topics get-partitioned-topic-metadata ${PARTS}`),
  line(`topics update-partitioned-topic ${PARTS} -p 4`),
  settledLine(`topics get-partitioned-topic-metadata ${PARTS}`),
  line(`topics update-partitioned-topic ${PARTS} -p 3`),
  line(`topics create-missed-partitions ${PARTS}`),
  line(`topics lookup ${TOPIC}`),
  line(`topics partitioned-lookup ${PARTS}`),
  line(`topics bundle-range ${TOPIC}`),
  line(`topics permissions ${TOPIC}`),
  line(`topics grant-permission ${TOPIC} -r clerk -a produce,consume`),
  settledLine(`topics permissions ${TOPIC}`),
  line(`topics revoke-permission ${TOPIC} -r clerk`),
  settledLine(`topics permissions ${TOPIC}`)
]

const reading: readonly Step[] = [
  line(`topics create-subscription ${TOPIC} -s desk -m earliest`),
  line(`topics create-subscription ${TOPIC} -s late`),
  line(`topics create-subscription ${TOPIC} -s told -p by=x`),
  line(`topics create-subscription ${TOPIC} -s desk -m earliest`),
  publish(TOPIC, 10),
  line(`topics subscriptions ${TOPIC}`),
  line(`topics get-subscription-properties ${TOPIC} -s told`),
  line(`topics update-subscription-properties ${TOPIC} -s told -p by=y -p on=9`),
  settledLine(`topics get-subscription-properties ${TOPIC} -s told`),
  line(`topics get-replicated-subscription-status ${TOPIC} -s told`),
  line(`topics set-replicated-subscription-status ${TOPIC} -s told --enable`),
  settledLine(`topics get-replicated-subscription-status ${TOPIC} -s told`),
  line(`topics stats ${TOPIC}`),
  line(`topics stats ${TOPIC} -gpb -sbs -etb`),
  line(`topics stats-internal ${TOPIC}`),
  line(`topics info-internal ${TOPIC}`),
  line(`topics partitioned-stats ${PARTS} --per-partition`),
  line(`topics partitioned-stats-internal ${PARTS}`),
  line(`topics last-message-id ${TOPIC}`),
  line(`topics get-message-id ${TOPIC} -d 2021-06-28T16:53:08Z`),
  line(`topics get-backlog-size ${TOPIC} -m {ledger}:0`),
  line(`topics examine-messages ${TOPIC} -i earliest -m 2`),
  line(`topics get-message-by-id ${TOPIC} -l {ledger} -e 1`),
  line(`topics get-message-by-id ${TOPIC} -l {ledger} -e 99`),
  line(`topics peek-messages ${TOPIC} -s desk -n 3`),
  line(`topics peek-messages ${TOPIC} -s nobody -n 1`),
  line(`topics analyze-backlog ${TOPIC} -s desk`),
  line(`topics analyze-backlog ${TOPIC} -s desk -p {ledger}:3`)
]

const moving: readonly Step[] = [
  line(`topics skip ${TOPIC} -s desk -n 4`),
  line(`topics peek-messages ${TOPIC} -s desk`),
  line(`topics reset-cursor ${TOPIC} -s desk -t 1h`),
  line(`topics peek-messages ${TOPIC} -s desk`),
  line(`topics reset-cursor ${TOPIC} -s desk -m {ledger}:5`),
  line(`topics peek-messages ${TOPIC} -s desk`),
  line(`topics reset-cursor ${TOPIC} -s desk -m {ledger}:5 -e`),
  line(`topics peek-messages ${TOPIC} -s desk`),
  line(`topics expire-messages ${TOPIC} -s desk -t 1h`),
  line(`topics expire-messages ${TOPIC} -s desk -p {ledger}:7`),
  line(`topics expire-messages-all-subscriptions ${TOPIC} -t 1h`),
  line(`topics clear-backlog ${TOPIC} -s desk`),
  line(`topics peek-messages ${TOPIC} -s desk`),
  line(`topics skip ${TOPIC} -s none -n 1`),
  line(`topics unsubscribe ${TOPIC} -s late`),
  line(`topics unsubscribe ${TOPIC} -s desk -f`),
  line(`topics unsubscribe ${TOPIC} -s none`),
  line(`topics subscriptions ${TOPIC}`),
  line(`topics compact ${TOPIC}`),
  measuredLine(`topics compaction-status ${TOPIC} -w`),
  line(`topics offload ${TOPIC} -s 1M`),
  measuredLine(`topics offload-status ${TOPIC}`),
  line(`topics trim-topic ${TOPIC}`),
  line(`topics unload ${TOPIC}`),
  line(`topics unload ${TOPIC}-of-nobody`)
]

const messages: readonly Step[] = [
  line(`client produce ${SPOKEN} -m one,two,three -k desk -p by=x`),
  line(`client consume ${SPOKEN} -s reader -p Earliest -n 3`),
  line(`client consume ${SPOKEN} -s reader-by-name -p Earliest -t Shared -n 2 --hide-content`),
  line(`client read ${SPOKEN} -m earliest -n 3`),
  line(`client read ${SPOKEN} -m earliest -n 1 --hex`),
  line(`client produce ${SPOKEN} -m four -n 2 -db -vs string`),
  line(`client consume ${SPOKEN} -s reader -n 2 -st auto_consume`),
  line(`client produce persistent://{tenant}/none/spoken -m one`),
  line(`client consume persistent://{tenant}/none/spoken -s reader -n 1`),
  line(`client produce ${SPOKEN}`),
  line(`topics truncate ${SPOKEN}`),
  line(`topics delete ${SPOKEN}`)
]

const shadows: readonly Step[] = [
  line(`topics create-shadow-topic ${SHADOW} -s ${TOPIC}`),
  line(`topics get-shadow-source ${SHADOW}`),
  line(`topics set-shadow-topics ${TOPIC} -t ${SHADOW}`),
  settledLine(`topics get-shadow-topics ${TOPIC}`),
  line(`topics remove-shadow-topics ${TOPIC}`),
  settledLine(`topics get-shadow-topics ${TOPIC}`),
  line(`topics delete ${SHADOW}`),
  line(`topics terminate ${DESCRIBED}`),
  line(`topics delete ${DESCRIBED} -f`),
  line(`topics delete ${DESCRIBED}`)
]

const schemas: readonly Step[] = [
  line(`schemas get ${TOPIC}`),
  line(`schemas upload ${TOPIC} -f ${SCHEMA}`),
  line(`schemas get ${TOPIC}`),
  line(`schemas get ${TOPIC} -v 0`),
  line(`schemas get ${TOPIC} -a`),
  line(`schemas metadata ${TOPIC}`),
  line(`schemas compatibility ${TOPIC} -f ${SCHEMA}`),
  line(`schemas delete ${TOPIC}`),
  line(`schemas get ${TOPIC}`)
]

/** The groups that `topics` has replaced. */
const replaced: readonly Step[] = [
  line(`non-persistent create-partitioned-topic ${FLEETING_PARTS} -p 2`),
  line(`non-persistent get-partitioned-topic-metadata ${FLEETING_PARTS}`),
  line(`non-persistent list ${NS}`),
  line(`non-persistent list-in-bundle ${NS} -b ${QUARTER}`),
  line(`non-persistent lookup ${FLEETING_PARTS}-partition-0`),
  line(`non-persistent stats ${FLEETING_PARTS}-partition-0`),
  line(`non-persistent stats-internal ${FLEETING_PARTS}-partition-0`),
  line(`topics delete-partitioned-topic ${FLEETING_PARTS} -f`),
  line(`topics create ${OLD}`),
  line(`persistent create-partitioned-topic ${OLD_PARTS} -p 2`),
  line(`persistent get-partitioned-topic-metadata ${OLD_PARTS}`),
  line(`persistent update-partitioned-topic ${OLD_PARTS} -p 3`),
  line(`persistent list ${NS}`),
  line(`persistent list-partitioned-topics ${NS}`),
  line(`persistent lookup ${OLD}`),
  line(`persistent bundle-range ${OLD}`),
  line(`persistent grant-permission ${OLD} --role clerk --actions consume`),
  settledLine(`persistent permissions ${OLD}`),
  line(`persistent revoke-permission ${OLD} --role clerk`),
  line(`persistent create-subscription ${OLD} -s desk -m earliest`),
  publish(OLD, 5),
  line(`persistent subscriptions ${OLD}`),
  line(`persistent stats ${OLD}`),
  line(`persistent stats-internal ${OLD}`),
  line(`persistent info-internal ${OLD}`),
  line(`persistent partitioned-stats ${OLD_PARTS}`),
  line(`persistent partitioned-stats-internal ${OLD_PARTS}`),
  line(`persistent last-message-id ${OLD}`),
  line(`persistent get-message-by-id ${OLD} -l {ledger} -e 1`),
  line(`persistent peek-messages ${OLD} -s desk -n 2`),
  line(`persistent skip ${OLD} -s desk -n 2`),
  line(`persistent reset-cursor ${OLD} -s desk -t 1h`),
  line(`persistent expire-messages ${OLD} -s desk -t 1h`),
  line(`persistent expire-messages-all-subscriptions ${OLD} -t 1h`),
  line(`persistent skip-all ${OLD} -s desk`),
  line(`persistent unsubscribe ${OLD} -s desk`),
  line(`persistent compact ${OLD}`),
  measuredLine(`persistent compaction-status ${OLD} -w`),
  line(`persistent unload ${OLD}`),
  line(`persistent truncate ${OLD}`),
  line(`persistent terminate ${OLD}`),
  line(`persistent delete ${OLD} --force`),
  line(`topics partitioned-terminate ${OLD_PARTS}`),
  line(`persistent delete-partitioned-topic ${OLD_PARTS} --force`)
]

const bundles: readonly Step[] = [
  line(`namespaces unload {tenant}/halves -b ${LEFT_HALF}`),
  line(`namespaces split-bundle {tenant}/halves -b ${LEFT_HALF}`),
  settledLine('namespaces bundles {tenant}/halves'),
  line(`namespaces unload ${NS}`),
  line(`topics create-subscription ${PARTS} -s desk -m earliest`),
  line(`namespaces clear-backlog ${NS} -s desk -force`),
  line(`namespaces clear-backlog ${NS} -force`),
  line(`namespaces clear-backlog ${NS} -b ${QUARTER} -force`),
  line(`namespaces unsubscribe ${NS} -s desk -b ${QUARTER}`),
  line(`namespaces unsubscribe ${NS} -s desk`)
]

const death: readonly Step[] = [
  line('tenants delete {tenant}'),
  line(`namespaces delete ${NS}`),
  line(`topics delete-partitioned-topic ${PARTS}`),
  line(`topics delete ${TOPIC} -f`),
  line(`topics list ${NS}`),
  ...[NS, '{tenant}/halves', '{tenant}/none'].map(name => line(`namespaces delete ${name}`)),
  line('namespaces delete {tenant}/ruled -f'),
  line('namespaces list {tenant}'),
  line('tenants delete {tenant}'),
  line('tenants get {tenant}')
]

export const cliLife: Life = {
  name: 'cli',
  steps: [
    ...[...birth, ...topics, ...reading, ...moving, ...messages, ...shadows, ...schemas, ...replaced],
    ...cliPolicies('{tenant}/ruled', 'persistent://{tenant}/ruled/orders'),
    ...[...cliCluster, ...bundles, ...death]
  ],
  leftOut: [
    {
      calls: /^(functions|functions-worker|sinks?|sources?|packages) /,
      why: 'no part of a tenant that sends messages'
    },
    { calls: /^brokers shutdown$/, why: 'it ends the server that the life is led on' },
    { calls: /^(documents generate|client generate_documentation)$/, why: 'they print the help of the others' },
    { calls: /^schemas extract$/, why: 'it takes a class of an application; what it sends is what `upload` sends' }
  ]
}
