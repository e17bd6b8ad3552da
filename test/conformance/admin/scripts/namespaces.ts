// Namespaces and bundles: their life, what is done to all of their topics, permissions apart.
import { ask, make, publish, script, type Script } from '../script.ts'

const BROKEN = { raw: '{"a":' }
const RANGE = { bundle: '0x00000000_0x40000000' }
const NO_RANGE = { vars: { bundle: '0x00000000_0x00000001' } }
const ODD_RANGE = { vars: { bundle: 'words' } }
const ABSENT = { vars: { namespace: 'absent' } }

const life = script('namespace life', [
  ask('GET @N', 'fresh'),
  ask('PUT @N', 'again'),
  ask('GET /admin/v2/namespaces/{tenant}', 'of a tenant of its own', { vars: { tenant: 'public' } }),
  ask('PUT @N', 'four bundles', { vars: { namespace: 'life-4' }, body: { bundles: { numBundles: 8 } } }),
  ask('GET @N/bundles', 'eight', { vars: { namespace: 'life-4' } }),
  ask('PUT @N', 'by policies', {
    vars: { namespace: 'life-policies' },
    body: { replication_clusters: ['standalone'], max_producers_per_topic: 5, message_ttl_in_seconds: 60 }
  }),
  ask('GET @N', 'by policies', { vars: { namespace: 'life-policies' } }),
  ask('PUT @N', 'too many bundles', { vars: { namespace: 'life-many' }, body: { bundles: { numBundles: 1000 } } }),
  ask('PUT @N', 'no bundles', { vars: { namespace: 'life-none' }, body: { bundles: { numBundles: 0 } } }),
  ask('PUT @N', 'no such cluster', { vars: { namespace: 'life-cluster' }, body: { replication_clusters: ['absent'] } }),
  ask('PUT @N', 'not a name', { vars: { namespace: 'no name' } }),
  ask('PUT @N', 'broken body', { vars: { namespace: 'life-broken' }, ...BROKEN }),
  ask('PUT @N', 'no tenant', { vars: { tenant: 'absent' } }),
  ask('DELETE @N', 'empty', { vars: { namespace: 'life-4' } }),
  ask('DELETE @N', 'gone', { vars: { namespace: 'life-4' } }),
  ask('GET @N', 'gone', { vars: { namespace: 'life-4' } }),
  ask('DELETE @N', 'by force', { vars: { namespace: 'life-policies' }, query: 'force=true' }),
  make('PUT @T'),
  ask('DELETE @N', 'with a topic')
])

const topics = script('namespace topics', [
  make('PUT @T'),
  make('PUT /admin/v2/persistent/{tenant}/{namespace}/parts/partitions', 2),
  ask('GET @N/topics', 'persistent'),
  ask('GET @N/topics', 'all', { query: 'mode=ALL' }),
  ask('GET @N/topics', 'non-persistent', { query: 'mode=NON_PERSISTENT' }),
  ask('GET @N/topics', 'no such mode', { query: 'mode=OTHER' }),
  ask('GET @N/topics', 'with system topics', { query: 'includeSystemTopic=true' }),
  ask('GET @N/topics', 'no namespace', ABSENT),
  ask('GET /admin/v2/persistent/{tenant}/{namespace}', 'good'),
  ask('GET /admin/v2/persistent/{tenant}/{namespace}', 'of a bundle', { query: 'bundle=0x00000000_0xffffffff' }),
  ask('GET /admin/v2/persistent/{tenant}/{namespace}/partitioned', 'good'),
  ask('GET /admin/v2/non-persistent/{tenant}/{namespace}', 'none'),
  ask('GET /admin/v2/non-persistent/{tenant}/{namespace}', 'no namespace', ABSENT),
  ask('GET /admin/v2/non-persistent/{tenant}/{namespace}/{bundle}', 'none', { vars: RANGE }),
  ask('GET /admin/v2/non-persistent/{tenant}/{namespace}/{bundle}', 'no bundle', NO_RANGE)
])

const backlog = script(
  'namespace backlog',
  [
    make('PUT @T'),
    make('PUT @T/subscription/{subscription}'),
    publish(3),
    ask('POST @N/clearBacklog/{subscription}', 'good'),
    ask('POST @N/clearBacklog/{subscription}', 'no such subscription', { vars: { subscription: 'absent' } }),
    ask('POST @N/clearBacklog', 'good'),
    ask('POST @N/{bundle}/clearBacklog', 'good'),
    ask('POST @N/{bundle}/clearBacklog', 'no bundle', NO_RANGE),
    ask('POST @N/{bundle}/clearBacklog/{subscription}', 'good'),
    ask('POST @N/{bundle}/clearBacklog/{subscription}', 'no bundle', NO_RANGE),
    ask('POST @N/{bundle}/unsubscribe/{subscription}', 'good'),
    ask('POST @N/{bundle}/unsubscribe/{subscription}', 'no bundle', NO_RANGE),
    ask('POST @N/unsubscribe/{subscription}', 'good'),
    ask('POST @N/unsubscribe/{subscription}', 'no such subscription', { vars: { subscription: 'absent' } }),
    ask('GET @T/subscriptions', 'none left')
  ],
  RANGE
)

const bundles = script(
  'namespace bundles',
  [
    make('PUT @T'),
    ask('GET @N/bundles', 'four'),
    ask('GET @N/{bundle}/topicHashPositions', 'all of it'),
    ask('GET @N/{bundle}/topicHashPositions', 'no bundle', NO_RANGE),
    ask('PUT @N/{bundle}/unload', 'good'),
    ask('PUT @N/{bundle}/unload', 'no bundle', NO_RANGE),
    ask('PUT @N/{bundle}/unload', 'odd', ODD_RANGE),
    ask('PUT @N/{bundle}/unload', 'to no broker', { query: 'destinationBroker=absent:8080' }),
    ask('PUT @N/unload', 'good'),
    ask('PUT @N/{bundle}/split', 'no bundle', NO_RANGE),
    ask('PUT @N/{bundle}/split', 'no such algorithm', { query: 'splitAlgorithmName=absent' }),
    ask('PUT @N/{bundle}/split', 'good'),
    ask('GET @N/bundles', 'five'),
    ask('PUT @N/{bundle}/split', 'gone'),
    ask('DELETE @N/{bundle}', 'no bundle', NO_RANGE),
    ask('DELETE @N/{bundle}', 'empty', { vars: { bundle: '0xc0000000_0xffffffff' } })
  ],
  // where topics fall goes by their names: `topic` into the first bundle, those that Pulsar makes of itself not, none into the last
  { ...RANGE, tenant: 'public', namespace: 'bundles-7' }
)

const affinity = script(
  'namespace anti-affinity',
  [
    // clients send the text as it is
    ask('POST @N/antiAffinity', 'as it is', { raw: 'group-x' }),
    ask('GET @N/antiAffinity', 'as it is'),
    ask('GET /admin/v2/namespaces/{cluster}/antiAffinity/{group}', 'one', { query: 'tenant=conf' }),
    ask('GET /admin/v2/namespaces/{cluster}/antiAffinity/{group}', 'none', {
      vars: { group: 'absent' },
      query: 'tenant=conf'
    }),
    ask('GET /admin/v2/namespaces/{cluster}/antiAffinity/{group}', 'no cluster', {
      vars: { cluster: 'absent' },
      query: 'tenant=conf'
    })
  ],
  { group: 'group-x' }
)

export const namespaces: readonly Script[] = [life, topics, backlog, bundles, affinity]
