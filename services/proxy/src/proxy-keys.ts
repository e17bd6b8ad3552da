import type { ForeignKeys } from '@strata/base'

const NO_TLS = 'TLS is not available yet'
const NO_AUTHENTICATION = 'leave it out: nobody is asked who they are yet'
const ONE_THREAD = 'leave it out: one process uses one core; run more proxies'

/** What to use where a key of Apache Pulsar's proxy.conf has another name or shape here. */
const INSTEAD: Readonly<Record<string, string>> = {
  advertisedAddress: 'leave it out: clients go on by the address that they came by',
  authenticateMetricsEndpoint: NO_AUTHENTICATION,
  authenticationProviders: NO_AUTHENTICATION,
  authorizationProvider: NO_AUTHENTICATION,
  basicAuthConf: NO_AUTHENTICATION,
  brokerClientAuthenticationParameters: NO_AUTHENTICATION,
  brokerClientAuthenticationPlugin: NO_AUTHENTICATION,
  brokerClientTrustCertsFilePath: NO_TLS,
  brokerServiceURLTLS: `${NO_TLS}; use brokerServiceURL`,
  brokerWebServiceURLTLS: `${NO_TLS}; use brokerWebServiceURL`,
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
  servicePortTls: `${NO_TLS}; use servicePort`,
  superUserRoles: NO_AUTHENTICATION,
  tlsCertificateFilePath: NO_TLS,
  tlsEnabledInProxy: NO_TLS,
  tlsKeyFilePath: NO_TLS,
  tlsTrustCertsFilePath: NO_TLS,
  tokenPublicKey: NO_AUTHENTICATION,
  tokenSecretKey: NO_AUTHENTICATION,
  webServicePortTls: `${NO_TLS}; use webServicePort`,
  zookeeperServers: 'there is no ZooKeeper; use metadataStoreUrl'
}

// Names only, as Apache Pulsar 4.0.8 lists them in proxy.conf, without those that Strata has or that are above.
const PULSAR_KEYS: ReadonlySet<string> = new Set(
  `
  httpOutputBufferSize httpRequestsLimitEnabled httpRequestsMaxPerSecond
  httpServerAcceptQueueSize httpServerThreadPoolQueueSize metadataStoreCacheExpirySeconds
  metadataStoreSessionTimeoutMillis metricsServletTimeoutMs saslJaasClientAllowedIds
  saslJaasServerRoleTokenSignerSecretPath saslJaasServerSectionName tlsAllowInsecureConnection
  tlsCertRefreshCheckDurationSec tlsCiphers tlsEnabledWithKeyStore tlsHostnameVerificationEnabled tlsKeyStore
  tlsKeyStorePassword tlsKeyStoreType tlsProtocols tlsProvider tlsRequireTrustedClientCertOnConnect tlsTrustStore
  tlsTrustStorePassword tlsTrustStoreType tokenAudience tokenAudienceClaim tokenAuthClaim
  webServiceHaProxyProtocolEnabled webServiceLogDetailedAddresses webServiceTlsCiphers webServiceTlsProtocols
  webServiceTlsProvider webServiceTrustXForwardedFor zooKeeperCacheExpirySeconds zookeeperSessionTimeoutMs
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
