// Clusters, tenants, brokers, bookies, resource groups and quotas, lookup.
import { ask, attach, make, publish, script, TENANT, type Script } from '../script.ts'

const BROKEN = { raw: '{"a":' }
const WRONG_TYPE = { raw: '"words"' }
const ABSENT = { vars: { cluster: 'absent' } }
const C = '/admin/v2/clusters/{cluster}'
const POLICIES = `${C}/namespaceIsolationPolicies`
const DOMAIN = `${C}/failureDomains/{domainName}`
const DATA = { serviceUrl: 'http://example.org:8080', brokerServiceUrl: 'pulsar://example.org:6650' }

const ISOLATION = {
  namespaces: ['conf/isolated.*'],
  primary: ['absent-broker.*'],
  secondary: ['.*'],
  auto_failover_policy: { policy_type: 'min_available', parameters: { min_limit: '1', usage_threshold: '100' } }
}

const clusters: readonly Script[] = [
  script('cluster standalone', [
    ask(`GET ${C}`, 'itself'),
    ask(`GET ${C}/peers`, 'none'),
    ask(`GET ${C}/failureDomains`, 'none'),
    ask(`GET ${POLICIES}`, 'none'),
    ask(`GET ${POLICIES}/brokers`, 'none'),
    ask(`GET ${POLICIES}/brokers/{broker}`, 'none', { vars: { broker: 'localhost:8080' } }),
    ask(`GET ${C}/migrate`, 'not migrated')
  ]),
  script(
    'cluster other',
    [
      ask(`GET ${C}`, 'absent'),
      ask(`POST ${C}`, 'absent', { body: DATA }),
      ask(`DELETE ${C}`, 'absent'),
      ask(`PUT ${C}`, 'no body'),
      ask(`PUT ${C}`, 'broken body', BROKEN),
      ask(`PUT ${C}`, 'wrong type', WRONG_TYPE),
      ask(`PUT ${C}`, 'no such url', { body: { serviceUrl: 'ftp://x' } }),
      ask(`PUT ${C}`, 'good', { body: DATA }),
      ask(`PUT ${C}`, 'again', { body: DATA }),
      ask(`PUT ${C}`, 'not a name', { vars: { cluster: 'no name' }, body: DATA }),
      ask(`GET ${C}`, 'made'),
      ask('GET /admin/v2/clusters', 'two', {}),
      ask(`POST ${C}`, 'good', {
        body: { ...DATA, serviceUrlTls: 'https://example.org:8443', brokerClientTlsEnabled: true }
      }),
      ask(`GET ${C}`, 'changed'),
      ask(`POST ${C}`, 'broken body', BROKEN),
      ask(`GET ${C}/peers`, 'none'),
      ask(`POST ${C}/peers`, 'good', { body: ['standalone'] }),
      ask(`GET ${C}/peers`, 'one'),
      ask(`POST ${C}/peers`, 'absent peer', { body: ['absent'] }),
      ask(`POST ${C}/peers`, 'itself', { body: ['other'] }),
      ask(`POST ${C}/peers`, 'broken body', BROKEN),
      ask(`POST ${C}/peers`, 'none', { body: [] }),
      ask(`GET ${C}/migrate`, 'not migrated'),
      ask(`POST ${C}/migrate`, 'good', { query: 'migrated=true', body: DATA }),
      ask(`GET ${C}/migrate`, 'migrated'),
      ask(`POST ${C}/migrate`, 'no urls', { query: 'migrated=true', body: {} }),
      ask(`GET ${C}/failureDomains`, 'none'),
      ask(`GET ${DOMAIN}`, 'absent'),
      ask(`POST ${DOMAIN}`, 'good', { body: { brokers: ['a', 'b'] } }),
      ask(`POST ${DOMAIN}`, 'one of another', { vars: { domainName: 'second' }, body: { brokers: ['b', 'c'] } }),
      ask(`POST ${DOMAIN}`, 'broken body', BROKEN),
      ask(`GET ${DOMAIN}`, 'made'),
      ask(`GET ${C}/failureDomains`, 'one'),
      ask(`DELETE ${DOMAIN}`, 'made'),
      ask(`DELETE ${DOMAIN}`, 'absent'),
      ask(`GET ${POLICIES}`, 'none'),
      ask(`GET ${POLICIES}/{policyName}`, 'absent'),
      ask(`POST ${POLICIES}/{policyName}`, 'good', { body: ISOLATION }),
      ask(`POST ${POLICIES}/{policyName}`, 'no primary', { body: { ...ISOLATION, primary: [] } }),
      ask(`POST ${POLICIES}/{policyName}`, 'broken body', BROKEN),
      ask(`GET ${POLICIES}/{policyName}`, 'made'),
      ask(`GET ${POLICIES}`, 'one'),
      ask(`GET ${POLICIES}/brokers`, 'one'),
      ask(`GET ${POLICIES}/brokers/{broker}`, 'primary', { vars: { broker: 'absent-broker-1' } }),
      ask(`DELETE ${POLICIES}/{policyName}`, 'made'),
      ask(`DELETE ${POLICIES}/{policyName}`, 'absent'),
      ask(`DELETE ${C}`, 'made'),
      ask(`GET ${C}`, 'gone')
    ],
    { cluster: 'other', domainName: 'domain', policyName: 'policy' }
  ),
  script(
    'cluster absent',
    [
      ask(`GET ${C}/peers`, 'no cluster'),
      ask(`POST ${C}/peers`, 'no cluster', { body: ['standalone'] }),
      ask(`GET ${C}/migrate`, 'no cluster'),
      ask(`GET ${C}/failureDomains`, 'no cluster'),
      ask(`GET ${DOMAIN}`, 'no cluster'),
      ask(`POST ${DOMAIN}`, 'no cluster', { body: { brokers: ['a'] } }),
      ask(`DELETE ${DOMAIN}`, 'no cluster'),
      ask(`GET ${POLICIES}`, 'no cluster'),
      ask(`GET ${POLICIES}/brokers`, 'no cluster'),
      ask(`GET ${POLICIES}/brokers/{broker}`, 'no cluster', { vars: { broker: 'b' } }),
      ask(`GET ${POLICIES}/{policyName}`, 'no cluster'),
      ask(`POST ${POLICIES}/{policyName}`, 'no cluster', { body: ISOLATION }),
      ask(`DELETE ${POLICIES}/{policyName}`, 'no cluster')
    ],
    // what one of them makes of it all the same must not be there for others
    { cluster: 'nowhere', domainName: 'domain', policyName: 'policy' }
  )
]

const T = '/admin/v2/tenants/{tenant}'
const INFO = { adminRoles: ['one'], allowedClusters: ['standalone'] }
const OF_TENANT = { tenant: TENANT, name: 'tenant-made' }
const made = (body: unknown, extra = {}) => ({ vars: { tenant: OF_TENANT.name }, body, ...extra })

const tenants: readonly Script[] = [
  script('tenants', [
    ask('GET /admin/v2/tenants', 'those of a fresh server and ours'),
    ask(`GET ${T}`, 'absent', made(undefined)),
    ask(`POST ${T}`, 'absent', made(INFO)),
    ask(`DELETE ${T}`, 'absent', made(undefined)),
    ask(`PUT ${T}`, 'no body', made(undefined)),
    ask(`PUT ${T}`, 'no clusters', made({ adminRoles: [] })),
    ask(`PUT ${T}`, 'no such cluster', made({ adminRoles: [], allowedClusters: ['absent'] })),
    ask(`PUT ${T}`, 'empty cluster', made({ adminRoles: [], allowedClusters: [''] })),
    ask(`PUT ${T}`, 'broken body', made(undefined, BROKEN)),
    ask(`PUT ${T}`, 'not a name', { vars: { tenant: 'no name' }, body: INFO }),
    ask(`PUT ${T}`, 'good', made(INFO)),
    ask(`PUT ${T}`, 'again', made(INFO)),
    ask(`GET ${T}`, 'made', made(undefined)),
    ask('GET /admin/v2/namespaces/{tenant}', 'none', made(undefined)),
    ask(`POST ${T}`, 'good', made({ adminRoles: ['two', 'three'], allowedClusters: ['standalone'] })),
    ask(`GET ${T}`, 'changed', made(undefined)),
    ask(`POST ${T}`, 'no body', made(undefined)),
    ask(`POST ${T}`, 'no such cluster', made({ adminRoles: [], allowedClusters: ['absent'] })),
    ask(`POST ${T}`, 'broken body', made(undefined, BROKEN)),
    ask('PUT @N', 'of it', { vars: { tenant: OF_TENANT.name, namespace: 'ns' } }),
    ask(`DELETE ${T}`, 'with a namespace', made(undefined)),
    ask(`DELETE ${T}`, 'by force', made(undefined, { query: 'force=true' })),
    ask('DELETE @N', 'of it', { vars: { tenant: OF_TENANT.name, namespace: 'ns' } }),
    ask(`DELETE ${T}`, 'empty', made(undefined)),
    ask(`GET ${T}`, 'gone', made(undefined)),
    ask('GET /admin/v2/namespaces/{tenant}', 'no tenant', made(undefined))
  ])
]

const B = '/admin/v2/brokers'
const setTo = (configName: string, configValue: string) => ({ vars: { configName, configValue } })

const brokers: readonly Script[] = [
  script('brokers', [
    ask(`GET ${B}`, 'one'),
    ask(`GET ${B}/{cluster}`, 'ours'),
    ask(`GET ${B}/{cluster}`, 'no cluster', ABSENT),
    ask(`GET ${B}/leaderBroker`, 'there is one'),
    ask(`GET ${B}/health`, 'good'),
    ask(`GET ${B}/health`, 'version 2', { query: 'topicVersion=V2' }),
    ask(`GET ${B}/ready`, 'good'),
    ask(`GET ${B}/version`, 'text'),
    ask(`GET ${B}/internal-configuration`, 'shape'),
    ask(`GET ${B}/backlog-quota-check`, 'good'),
    ask(`GET ${B}/{clusterName}/{brokerId}/ownedNamespaces`, 'no broker', {
      vars: { clusterName: 'standalone', brokerId: 'absent:8080' }
    }),
    ask(`GET ${B}/{clusterName}/{brokerId}/ownedNamespaces`, 'no cluster', {
      vars: { clusterName: 'absent', brokerId: 'absent:8080' }
    }),
    ask(`POST ${B}/shutdown`, 'wrong value', { query: 'maxConcurrentUnloadPerSec=words&forcedTerminateTopic=true' })
  ]),
  script('brokers configuration', [
    ask(`GET ${B}/configuration`, 'shape'),
    ask(`GET ${B}/configuration/runtime`, 'shape'),
    ask(`GET ${B}/configuration/values`, 'none'),
    ask(`POST ${B}/configuration/{configName}/{configValue}`, 'good', setTo('maxPublishRatePerTopicInMessages', '0')),
    ask(`GET ${B}/configuration/values`, 'one'),
    ask(`DELETE ${B}/configuration/{configName}`, 'set', setTo('maxPublishRatePerTopicInMessages', '')),
    ask(`DELETE ${B}/configuration/{configName}`, 'unset', setTo('maxPublishRatePerTopicInMessages', '')),
    ask(`POST ${B}/configuration/{configName}/{configValue}`, 'no such key', setTo('absent', '1')),
    ask(`POST ${B}/configuration/{configName}/{configValue}`, 'not dynamic', setTo('clusterName', 'x')),
    ask(`DELETE ${B}/configuration/{configName}`, 'no such key', setTo('absent', '')),
    ask(
      `POST ${B}/configuration/{configName}/{configValue}`,
      'wrong value',
      setTo('loadManagerClassName', 'no such class')
    )
  ])
]

const STATS = '/admin/v2/broker-stats'

const stats: readonly Script[] = [
  script('broker-stats', [
    make('PUT @T'),
    make('PUT /admin/v2/non-persistent/{tenant}/{namespace}/passing'),
    publish(3),
    attach(),
    ask(`GET ${STATS}/allocator-stats/{allocator}`, 'default', { vars: { allocator: 'default' } }),
    ask(`GET ${STATS}/allocator-stats/{allocator}`, 'ml-cache', { vars: { allocator: 'ml-cache' } }),
    ask(`GET ${STATS}/allocator-stats/{allocator}`, 'no such', { vars: { allocator: 'absent' } }),
    ask(`GET ${STATS}/bookieops`, 'shape'),
    ask(`GET ${STATS}/broker-resource-availability/{tenant}/{namespace}`, 'good'),
    ask(`GET ${STATS}/broker-resource-availability/{tenant}/{namespace}`, 'no namespace', {
      vars: { namespace: 'absent' }
    }),
    ask(`GET ${STATS}/destinations`, 'shape'),
    ask(`GET ${STATS}/topics`, 'shape'),
    ask(`GET ${STATS}/load-report`, 'shape'),
    ask(`GET ${STATS}/mbeans`, 'shape'),
    ask(`GET ${STATS}/metrics`, 'shape')
  ])
]

const RACKS = '/admin/v2/bookies/racks-info'
const bookie = (options = {}) => ({ vars: { bookie: 'absent:3181' }, ...options })

const bookies: readonly Script[] = [
  script('bookies', [
    ask('GET /admin/v2/bookies/all', 'there are some'),
    ask(RACKS.replace(/^/, 'GET '), 'none'),
    ask(`GET ${RACKS}/{bookie}`, 'absent', bookie()),
    ask(`DELETE ${RACKS}/{bookie}`, 'absent', bookie()),
    ask(
      `POST ${RACKS}/{bookie}`,
      'good',
      bookie({ query: 'group=default', body: { rack: '/rack-1', hostname: 'absent' } })
    ),
    ask(`GET ${RACKS}/{bookie}`, 'set', bookie()),
    ask(`GET ${RACKS}`, 'one'),
    ask(`POST ${RACKS}/{bookie}`, 'no group', bookie({ body: { rack: '/rack-1', hostname: 'absent' } })),
    ask(`POST ${RACKS}/{bookie}`, 'broken body', bookie({ query: 'group=default', ...BROKEN })),
    ask(
      `POST ${RACKS}/{bookie}`,
      'not a rack',
      bookie({ query: 'group=default', body: { rack: '', hostname: 'absent' } })
    ),
    ask(`DELETE ${RACKS}/{bookie}`, 'set', bookie()),
    ask(`GET ${RACKS}`, 'none left')
  ])
]

const GROUP = '/admin/v2/resourcegroups/{resourcegroup}'
const QUOTAS = '/admin/v2/resource-quotas'
const RATES = { publishRateInMsgs: 100, publishRateInBytes: 10000, dispatchRateInMsgs: 200, dispatchRateInBytes: 20000 }
const QUOTA = { msgRateIn: 1, msgRateOut: 2, bandwidthIn: 3, bandwidthOut: 4, memory: 5, dynamic: false }
const DEFAULT_QUOTA = {
  ...{ msgRateIn: 40, msgRateOut: 120, bandwidthIn: 100_000, bandwidthOut: 300_000 },
  ...{ memory: 80, dynamic: true }
}
const bundle = (range: string, options = {}) => ({ vars: { bundle: range }, ...options })

const limits: readonly Script[] = [
  script(
    'resource groups',
    [
      ask('GET /admin/v2/resourcegroups', 'none'),
      ask(`GET ${GROUP}`, 'absent'),
      ask(`DELETE ${GROUP}`, 'absent'),
      ask(`PUT ${GROUP}`, 'good', { body: RATES }),
      ask(`PUT ${GROUP}`, 'again', { body: { publishRateInMsgs: 50 } }),
      ask(`GET ${GROUP}`, 'made'),
      ask('GET /admin/v2/resourcegroups', 'one'),
      ask(`PUT ${GROUP}`, 'no body'),
      ask(`PUT ${GROUP}`, 'broken body', BROKEN),
      ask('POST @N/resourcegroup/{resourcegroup}', 'good'),
      ask('GET @N/resourcegroup', 'set'),
      ask(`DELETE ${GROUP}`, 'used'),
      ask('DELETE @N/resourcegroup', 'set'),
      ask(`DELETE ${GROUP}`, 'unused')
    ],
    { resourcegroup: 'group' }
  ),
  script('resource quotas', [
    ask(`GET ${QUOTAS}`, 'default'),
    ask(`POST ${QUOTAS}`, 'good', { body: { ...DEFAULT_QUOTA, dynamic: false } }),
    ask(`POST ${QUOTAS}`, 'broken body', BROKEN),
    ask(`GET ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'default', bundle('0x00000000_0x40000000')),
    ask(`POST ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'good', bundle('0x00000000_0x40000000', { body: QUOTA })),
    ask(`GET ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'set', bundle('0x00000000_0x40000000')),
    ask(`POST ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'broken body', bundle('0x00000000_0x40000000', BROKEN)),
    ask(`DELETE ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'set', bundle('0x00000000_0x40000000')),
    ask(`GET ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'no bundle', bundle('0x00000000_0x00000001')),
    ask(`POST ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'no bundle', bundle('0x00000000_0x00000001', { body: QUOTA })),
    ask(`DELETE ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'no bundle', bundle('0x00000000_0x00000001')),
    ask(`DELETE ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'unset', bundle('0x00000000_0x40000000')),
    ask(`GET ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'removed', bundle('0x00000000_0x40000000')),
    ask(
      `POST ${QUOTAS}/{tenant}/{namespace}/{bundle}`,
      'part of it',
      bundle('0x40000000_0x80000000', { body: { msgRateIn: 7 } })
    ),
    ask(`GET ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'part of it', bundle('0x40000000_0x80000000')),
    ask(`POST ${QUOTAS}/{tenant}/{namespace}/{bundle}`, 'no body', bundle('0x40000000_0x80000000')),
    ask(
      `POST ${QUOTAS}/{tenant}/{namespace}/{bundle}`,
      'invalid',
      bundle('0x40000000_0x80000000', { body: { ...QUOTA, msgRateIn: -1 } })
    ),
    ask(`POST ${QUOTAS}`, 'no body'),
    ask(`GET ${QUOTAS}`, 'after no body')
  ])
]

const LOOKUP = '/lookup/v2/topic/{topic-domain}/{tenant}/{namespace}/{topic}'

const lookups: readonly Script[] = [
  script('lookup', [
    make('PUT @T'),
    ask(`GET ${LOOKUP}`, 'good'),
    ask(`GET ${LOOKUP}`, 'no topic', { vars: { topic: 'absent' } }),
    ask(`GET ${LOOKUP}`, 'no namespace', { vars: { namespace: 'absent' } }),
    ask(`GET ${LOOKUP}`, 'no tenant', { vars: { tenant: 'absent' } }),
    ask(`GET ${LOOKUP}`, 'no domain', { vars: { 'topic-domain': 'absent' } }),
    ask(`GET ${LOOKUP}`, 'no listener', { query: 'listenerName=absent' }),
    ask(`GET ${LOOKUP}/bundle`, 'good', { vars: { topic: 'topic' } }),
    ask(`GET ${LOOKUP}/bundle`, 'no topic', { vars: { topic: 'absent' } }),
    ask(`GET ${LOOKUP}/bundle`, 'no namespace', { vars: { namespace: 'absent' } }),
    ask(`GET ${LOOKUP}/bundle`, 'no tenant', { vars: { tenant: 'absent' } }),
    ask(`GET ${LOOKUP}/bundle`, 'no domain', { vars: { 'topic-domain': 'absent' } })
  ])
]

export const cluster: readonly Script[] = [clusters, tenants, brokers, stats, bookies, limits, lookups].flat()
