import type { ForeignKeys } from '@strata/base'

const ONE_THREAD = 'leave it out: one process uses one core; run more proxies'

/** What to use where a key of Apache Pulsar's proxy.conf has another name or shape here. */
const INSTEAD: Readonly<Record<string, string>> = {
  advertisedAddress: 'leave it out: clients go on by the address that they came by',
  authenticateMetricsEndpoint: 'leave it out: metrics of a proxy name no topics',
  authorizationProvider: 'leave it out: brokers decide what a client may do',
  configurationMetadataStoreUrl: 'use metadataStoreUrl',
  configurationStoreServers: 'use metadataStoreUrl',
  functionWorkerWebServiceURL: 'leave it out: functions are not part of Strata',
  functionWorkerWebServiceURLTLS: 'leave it out: functions are not part of Strata',
  globalZookeeperServers: 'there is no ZooKeeper; use metadataStoreUrl',
  httpNumThreads: ONE_THREAD,
  httpReverseProxyConfigs: 'leave it out: only brokers are passed on to',
  numAcceptorThreads: ONE_THREAD,
  numIOThreads: ONE_THREAD,
  proxyLogLevel: 'use strataLogLevel; what passes through is not looked at',
  proxyZeroCopyModeEnabled: 'leave it out',
  superUserRoles: 'leave it out: brokers decide what a client may do',
  tlsEnabledInProxy: 'use servicePortTls and webServicePortTls',
  zookeeperServers: 'there is no ZooKeeper; use metadataStoreUrl'
}

// Names only, as Apache Pulsar 4.0.8 lists them in proxy.conf, without those that Strata has or that are above.
const PULSAR_KEYS: ReadonlySet<string> = new Set(
  `
  httpOutputBufferSize httpRequestsLimitEnabled httpRequestsMaxPerSecond httpServerAcceptQueueSize
  httpServerThreadPoolQueueSize metadataStoreCacheExpirySeconds metadataStoreSessionTimeoutMillis
  metricsServletTimeoutMs saslJaasClientAllowedIds saslJaasServerRoleTokenSignerSecretPath saslJaasServerSectionName
  tlsEnabledWithKeyStore tlsKeyStore tlsKeyStorePassword tlsKeyStoreType tlsProvider tlsTrustStore
  tlsTrustStorePassword tlsTrustStoreType webServiceHaProxyProtocolEnabled webServiceLogDetailedAddresses
  webServiceTlsCiphers webServiceTlsProtocols webServiceTlsProvider webServiceTrustXForwardedFor
  zooKeeperCacheExpirySeconds zookeeperSessionTimeoutMs
  `
    .trim()
    .split(/\s+/)
)

/** Answers for keys of Apache Pulsar's proxy that ours does not have. */
export const proxyKeys: ForeignKeys = {
  explain(key) {
    const instead = INSTEAD[key]
    if (instead !== undefined) return `Strata does not have this key of Apache Pulsar: ${instead}`
    return PULSAR_KEYS.has(key) ? 'Strata does not have this key of Apache Pulsar' : undefined
  }
}
