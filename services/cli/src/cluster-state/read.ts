import { isRecord, numberOf, textsOf, type AdminClient } from '../admin.ts'
import { allInOrder } from '../bounded.ts'
import { durableSubscriptions } from '../loss.ts'
import type { PolicyAccess } from '../policies/access.ts'
import { policyCatalog } from '../policies/catalog.ts'
import { withoutSecrets } from '../secrets.ts'
import { namespacePath, topicPath } from '../topic-path.ts'
import { isSame, withoutEmpty, type Thing } from './document.ts'

const READS_AT_ONCE = 8

interface NamespaceView {
  readonly thing: Thing
  /** Grants by topic, which the document of the namespace has. */
  readonly topicGrants: Readonly<Record<string, unknown>>
  readonly topicPolicies: TopicPolicies
}

/** How policies of topics are learnt. */
type TopicPolicies =
  | { readonly kind: 'known'; readonly byTopic: Readonly<Record<string, unknown>> }
  /** The server has none of this namespace. */
  | { readonly kind: 'none' }
  /** Each has to be asked for. */
  | { readonly kind: 'asked' }

export interface TopicEntry {
  readonly name: string
  readonly namespace: string
  readonly isPartitioned: boolean
}

/** Reads what a cluster is, through its admin API; of Strata and of Apache Pulsar. */
export class ClusterReader {
  readonly #admin: AdminClient
  readonly #catalog = policyCatalog()
  readonly #namespaces = new Map<string, Promise<NamespaceView | undefined>>()
  readonly #onOmission: (what: string) => void
  #clusterName: Promise<string> | undefined

  /** @param onOmission told what is there and cannot be said */
  constructor(admin: AdminClient, onOmission: (what: string) => void) {
    this.#admin = admin
    this.#onOmission = onOmission
  }

  /** Of the cluster that is asked. */
  clusterName(): Promise<string> {
    this.#clusterName ??= this.#readClusterName()
    return this.#clusterName
  }

  async #readClusterName(): Promise<string> {
    const runtime = await this.#admin.find('brokers/configuration/runtime')
    if (isRecord(runtime) && typeof runtime.clusterName === 'string') return runtime.clusterName
    return (await this.clusterNames())[0] ?? ''
  }

  /** Without the word that stands for all of them. */
  async clusterNames(): Promise<string[]> {
    const names = textsOf(await this.#admin.call('GET', 'clusters'))
    return names.filter(name => name !== 'global').sort()
  }

  async cluster(name: string): Promise<Thing | undefined> {
    const path = `clusters/${encodeURIComponent(name)}`
    const info = await this.#admin.find(path)
    if (!isRecord(info)) return undefined
    const shown = Object.entries(this.#withoutSecrets(info, `cluster ${name}`)).filter(
      ([, value]) => value !== false && value !== '' && value !== null && !CLUSTER_DEFAULTS.has(value)
    )
    return withoutEmpty({
      ...Object.fromEntries(shown),
      failureDomains: await this.#admin.find(`${path}/failureDomains`),
      isolationPolicies: await this.#admin.find(`${path}/namespaceIsolationPolicies`)
    })
  }

  async resourceGroupNames(): Promise<string[]> {
    return textsOf(await this.#admin.find('resourcegroups')).sort()
  }

  async resourceGroup(name: string): Promise<Thing | undefined> {
    const group = await this.#admin.find(`resourcegroups/${encodeURIComponent(name)}`)
    if (!isRecord(group)) return undefined
    // less than none is how a rate is given up, which cannot be taken out
    return withoutEmpty(Object.fromEntries(Object.entries(group).filter(([, rate]) => !isNoLimit(rate))))
  }

  /** Settings that were changed while brokers ran. */
  async brokers(): Promise<Thing> {
    const configuration = await this.#admin.find('brokers/configuration/values')
    return withoutEmpty({ configuration: this.#withoutSecrets(configuration, 'the settings of brokers') })
  }

  async tenantNames(): Promise<string[]> {
    return textsOf(await this.#admin.call('GET', 'tenants'))
      .filter(name => name !== SYSTEM_TENANT)
      .sort()
  }

  async tenant(name: string): Promise<Thing | undefined> {
    const info = await this.#admin.find(`tenants/${encodeURIComponent(name)}`)
    if (!isRecord(info)) return undefined
    const { adminRoles, allowedClusters } = info
    return withoutEmpty({ adminRoles: textsOf(adminRoles).sort(), allowedClusters: textsOf(allowedClusters).sort() })
  }

  async namespaceNames(tenants: readonly string[]): Promise<string[]> {
    const found = await allInOrder(tenants, READS_AT_ONCE, tenant =>
      this.#admin.find(`namespaces/${encodeURIComponent(tenant)}`)
    )
    return found.flatMap(textsOf).sort()
  }

  async namespace(name: string): Promise<Thing | undefined> {
    return (await this.#view(name))?.thing
  }

  /** Of namespaces, sorted by name; partitioned ones once. */
  async topics(namespace: string): Promise<TopicEntry[]> {
    const path = namespacePath(namespace)
    const found: TopicEntry[] = []
    for (const domain of ['persistent', 'non-persistent']) {
      const partitioned = textsOf(await this.#admin.find(`${domain}/${path}/partitioned`))
      const isPart = new Set(partitioned)
      const others = textsOf(await this.#admin.find(`${domain}/${path}`)).filter(
        name => !isPart.has(name.replace(/-partition-\d+$/, '')) && !isPart.has(name)
      )
      for (const name of partitioned) found.push({ name, namespace, isPartitioned: true })
      for (const name of others) found.push({ name, namespace, isPartitioned: false })
    }
    return found.filter(({ name }) => !isSystemTopic(name)).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Undefined where it is gone meanwhile. */
  async topic({ name, namespace, isPartitioned }: TopicEntry): Promise<Thing | undefined> {
    const view = await this.#view(namespace)
    const { path } = topicPath(name)
    const [metadata, properties, stats, schemas] = await Promise.all([
      isPartitioned ? this.#admin.find(`${path}/partitions`) : undefined,
      this.#admin.find(`${path}/properties`),
      this.#statsOf(path, isPartitioned),
      this.#admin.find(`schemas/${path.replace(/^[^/]+\//, '')}/schemas`)
    ])
    const partitions = isRecord(metadata) ? numberOf(metadata.partitions) : 0
    if (view === undefined || (isPartitioned ? partitions === 0 : !isRecord(stats))) return undefined
    return withoutEmpty({
      partitions: isPartitioned ? partitions : undefined,
      properties: isRecord(properties) ? properties : undefined,
      ...this.#withoutSecrets(await this.#policiesOf(name, view), `topic ${name}`),
      grants: sortedGrants(view.topicGrants[name]),
      subscriptions: subscriptionsOf(stats),
      schemas: schemasOf(schemas)
    })
  }

  /** Those that outlive their consumers, by name. */
  async subscriptions({ name, isPartitioned }: TopicEntry): Promise<Readonly<Record<string, Thing>>> {
    return subscriptionsOf(await this.#statsOf(topicPath(name).path, isPartitioned))
  }

  #statsOf(path: string, isPartitioned: boolean): Promise<unknown> {
    return this.#admin.find(isPartitioned ? `${path}/partitioned-stats?perPartition=true` : `${path}/stats`)
  }

  #view(namespace: string): Promise<NamespaceView | undefined> {
    const known = this.#namespaces.get(namespace)
    if (known !== undefined) return known
    const reading = this.#readNamespace(namespace)
    this.#namespaces.set(namespace, reading)
    return reading
  }

  async #readNamespace(name: string): Promise<NamespaceView | undefined> {
    const path = `namespaces/${namespacePath(name)}`
    const document = await this.#admin.find(path)
    if (!isRecord(document)) return undefined
    const { namespace_auth, destination_auth, subscription_auth_roles } = isRecord(document.auth_policies)
      ? document.auth_policies
      : {}
    const bundles = isRecord(document.bundles) ? numberOf(document.bundles.numBundles) : 0
    this.#noteUnknown(name, document)
    const thing = withoutEmpty({
      bundles: bundles > 0 ? bundles : undefined,
      replicationClusters: textsOf(document.replication_clusters).sort(),
      policies: this.#withoutSecrets(await this.#policiesIn(path, document), `namespace ${name}`),
      grants: sortedGrants(namespace_auth),
      subscriptionGrants: sortedGrants(subscription_auth_roles)
    })
    const topicGrants = isRecord(destination_auth) ? destination_auth : {}
    return { thing, topicGrants, topicPolicies: await this.#topicPolicies(name) }
  }

  async #policiesIn(path: string, document: Readonly<Record<string, unknown>>): Promise<Thing> {
    const values: Record<string, unknown> = {}
    for (const policy of this.#catalog) {
      const { name, field, onNamespace } = policy
      if (onNamespace === undefined) continue
      const shown = field === undefined ? await this.#admin.find(`${path}/${onNamespace.path}`) : document[field]
      const isMap = policy.isByCluster === true && isRecord(shown)
      const value = isMap ? shown[await this.clusterName()] : shown
      if (isSetTo(policy, value)) values[name] = value
    }
    return values
  }

  async #topicPolicies(namespace: string): Promise<TopicPolicies> {
    const path = namespacePath(namespace)
    const all = await this.#admin.find(`namespaces/${path}/topicPolicies`)
    if (isRecord(all)) return { kind: 'known', byTopic: all }
    const topics = textsOf(await this.#admin.find(`persistent/${path}?includeSystemTopic=true`))
    // Apache Pulsar keeps them as messages of this topic
    const hasAny = topics.some(topic => /\/__change_events(-partition-\d+)?$/.test(topic))
    return { kind: hasAny ? 'asked' : 'none' }
  }

  async #policiesOf(topic: string, { topicPolicies }: NamespaceView): Promise<Thing> {
    if (topicPolicies.kind === 'none') return {}
    if (topicPolicies.kind === 'known') {
      const own = topicPolicies.byTopic[topic]
      const { local, global } = isRecord(own) ? own : {}
      return { policies: local, globalPolicies: global }
    }
    const read = async (query: string): Promise<Thing> => {
      const { path } = topicPath(topic)
      const found = await allInOrder(this.#catalog, READS_AT_ONCE, async policy => {
        const value = policy.onTopic && (await this.#admin.find(`${path}/${policy.onTopic.path}${query}`))
        return isSetTo(policy, value) ? [[policy.name, value] as const] : []
      })
      return Object.fromEntries(found.flat())
    }
    return { policies: await read(''), globalPolicies: await read('?isGlobal=true') }
  }

  #withoutSecrets(value: unknown, owner: string): Thing {
    const shown = withoutSecrets(value, field => this.#onOmission(`${field} of ${owner}: it is a secret`))
    return isRecord(shown) ? shown : {}
  }

  /** What this release does not know is not kept silent about. */
  #noteUnknown(namespace: string, document: Readonly<Record<string, unknown>>): void {
    const known = new Set(this.#catalog.map(({ field }) => field))
    for (const [field, value] of Object.entries(document)) {
      if (known.has(field) || HANDLED.has(field)) continue
      if (!isSame(withoutEmpty({ value }), {}) && value !== false)
        this.#onOmission(`${field} of namespace ${namespace}`)
    }
  }
}

const SYSTEM_TENANT = 'pulsar'

/** What Apache Pulsar shows in every cluster's row, whoever made it. */
const CLUSTER_DEFAULTS: ReadonlySet<unknown> = new Set(['JKS', 'org.apache.pulsar.common.util.DefaultPulsarSslFactory'])

/** Fields of the document of a namespace that are no policies, or are told elsewhere, or are of features that are no more. */
const HANDLED: ReadonlySet<string> = new Set([
  'auth_policies',
  'replication_clusters',
  'bundles',
  'clusterDispatchRate',
  'clusterThatCanDeleteNamespace',
  'is_allow_auto_update_schema_with_replicator',
  // parts of the offload policies
  'offload_threshold',
  'offload_threshold_in_seconds',
  'offload_deletion_lag_ms',
  'latency_stats_sample_rate',
  'deleted',
  'migrated',
  'schema_auto_update_compatibility_strategy'
])

function isNoLimit(rate: unknown): boolean {
  return typeof rate === 'number' && rate < 0
}

function isSetTo({ unset }: PolicyAccess, value: unknown): boolean {
  return value !== undefined && value !== null && !isSame(value, unset)
}

function isSystemTopic(name: string): boolean {
  const local = name.split('/').at(-1) ?? ''
  return /^__(change_events|transaction_)/.test(local) || /__transaction_pending_ack(-partition-\d+)?$/.test(local)
}

/** Lists of actions or of roles by name; their order says nothing. */
function sortedGrants(grants: unknown): Record<string, string[]> {
  if (!isRecord(grants)) return {}
  return Object.fromEntries(
    Object.entries(grants)
      .map(([name, list]) => [name, textsOf(list).sort()] as const)
      .filter(([, list]) => list.length > 0)
  )
}

/** Those that outlive their consumers, of a topic or of any partition. */
function subscriptionsOf(stats: unknown): Record<string, Thing> {
  if (!isRecord(stats)) return {}
  const parts = isRecord(stats.partitions) ? Object.values(stats.partitions).filter(isRecord) : []
  const found: Record<string, Thing> = {}
  for (const part of parts.length > 0 ? parts : [stats]) {
    const all = isRecord(part.subscriptions) ? part.subscriptions : {}
    for (const name of durableSubscriptions(part)) {
      const one = all[name]
      const subscription = isRecord(one) ? one : {}
      const isReplicated = (subscription.isReplicated ?? subscription.replicated) === true
      const { subscriptionProperties: properties } = subscription
      found[name] = withoutEmpty({ properties, isReplicated: isReplicated ? true : undefined })
    }
  }
  return found
}

/** Oldest first; without numbers and times, which are those of the server that keeps them. */
function schemasOf(answer: unknown): Thing[] {
  const versions = isRecord(answer) && Array.isArray(answer.getSchemaResponses) ? answer.getSchemaResponses : []
  return versions
    .filter(isRecord)
    .sort((a, b) => numberOf(a.version) - numberOf(b.version))
    .map(({ type, data, properties }) => withoutEmpty({ type, schema: data, properties }))
}
