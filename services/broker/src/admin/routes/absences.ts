import { NAMESPACE, RANGE, SCHEMA, TOPIC } from './paths.ts'

/** What is answered where a path names a tenant or namespace that is not there. */
export interface Absence {
  /** Where it is the tenant; as for the namespace where this is not given. */
  readonly tenant?: string
  /** `OF_TOPIC`: that the topic is not found. */
  readonly namespace?: string
  /** 404 where this is not given. */
  readonly status?: number
  /** 404 without a word, for the topic too. */
  readonly isMute?: true
}

/** Instead of words: that the topic is not found. */
export const OF_TOPIC = '<topic>'

const POLICIES = 'Namespace policies does not exist'
const NO_TENANT = 'Tenant does not exist'
const NO_NAMESPACE = 'Namespace does not exist'
const NOT_FOUND = 'Namespace not found'

/** Words by which tools of Apache Pulsar know what is wrong, for the routes that do not say what most of their kind do. */
const WORDS: readonly (readonly [absence: Absence, routes: readonly string[]])[] = [
  [
    { namespace: POLICIES },
    [
      ...of('POST', NAMESPACE, ['deduplicationSnapshotInterval']),
      ...of('GET', NAMESPACE, ['dispatcherPauseOnAckStatePersistent', 'replicatorDispatchRate']),
      ...of('DELETE', NAMESPACE, ['resourcegroup']),
      ...['POST', 'DELETE'].flatMap(method =>
        of(method, NAMESPACE, [
          'delayedDelivery',
          'inactiveTopicPolicies',
          'maxSubscriptionsPerTopic',
          'maxTopicsPerNamespace',
          'retention'
        ])
      )
    ]
  ],
  [
    { namespace: '' },
    [
      ...['POST', 'DELETE'].flatMap(method => of(method, NAMESPACE, ['backlogQuota', 'replicatorDispatchRate'])),
      ...of('DELETE', NAMESPACE, ['antiAffinity', 'permissions/:role', 'permissions/:subscription/:role'])
    ]
  ],
  [{ namespace: "Topic's namespace does not exist" }, of('POST', NAMESPACE, ['permissions/:role'])],
  [
    { namespace: NOT_FOUND },
    ['GET', 'POST', 'DELETE'].flatMap(method => of(method, NAMESPACE, ['persistence/bookieAffinity']))
  ],
  [{ namespace: NO_NAMESPACE }, [`DELETE ${RANGE}`]],
  // it takes a namespace that is not there for one that somebody else has just changed
  [{ namespace: 'Concurrent modification', status: 409 }, of('DELETE', NAMESPACE, ['removeOffloadPolicies'])],
  [
    { tenant: NO_TENANT, namespace: NO_NAMESPACE },
    [
      ...of('POST', NAMESPACE, ['allowedClusters']),
      ...['GET', 'PUT', 'DELETE'].flatMap(method => of(method, NAMESPACE, ['properties'])),
      ...['GET', 'DELETE'].flatMap(method => of(method, NAMESPACE, ['property/:key'])),
      ...of('PUT', NAMESPACE, ['property/:key/:value']),
      ...of('POST', SCHEMA, ['compatibility']),
      ...of('DELETE', SCHEMA, ['schema'])
    ]
  ],
  [
    { tenant: NO_TENANT, namespace: NOT_FOUND },
    ['GET', 'POST', 'DELETE'].flatMap(method => of(method, TOPIC, ['maxMessageSize']))
  ],
  [
    { tenant: NO_TENANT, namespace: OF_TOPIC },
    [
      ...of('GET', TOPIC, ['permissions']),
      ...['POST', 'DELETE'].flatMap(method => of(method, TOPIC, ['permissions/:role']))
    ]
  ],
  [
    { namespace: OF_TOPIC },
    [
      `DELETE ${TOPIC}`,
      ...of('GET', TOPIC, ['compaction', 'lastMessageId', 'offload', 'properties']),
      ...of('PUT', TOPIC, ['offload']),
      ...of('POST', TOPIC, ['trim'])
    ]
  ],
  [{ isMute: true }, ['PUT', 'DELETE'].flatMap(method => of(method, TOPIC, ['properties']))]
]

const byRoute: ReadonlyMap<string, Absence> = new Map(
  WORDS.flatMap(([absence, routes]) => routes.map(route => [route, absence] as const))
)

export function absenceOf({ method, path }: { readonly method: string; readonly path: string }): Absence {
  return byRoute.get(`${method} ${path}`) ?? {}
}

function of(method: string, base: string, rests: readonly string[]): string[] {
  return rests.map(rest => `${method} ${base}/${rest}`)
}
