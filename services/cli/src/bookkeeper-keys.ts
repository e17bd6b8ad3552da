import type { ForeignKeys } from '@strata/base'

/** What to use where a key of BookKeeper has another name or shape here. */
const INSTEAD: Readonly<Record<string, string>> = {
  zkServers: 'use metadataStoreUrl',
  zkLedgersRootPath: 'use the path of metadataStoreUrl',
  zkTimeout: 'use metadataStoreSessionTimeoutMillis',
  metadataServiceUri: 'use metadataStoreUrl',
  journalDirectory: 'use journalDirectories',
  listeningInterface: 'use bindAddress',
  allowLoopback: 'leave it out: a node may listen on the loopback',
  useHostNameAsBookieID: 'leave it out: the disk names its node; advertisedAddress says how it is reached',
  useShortHostName: 'use advertisedAddress',
  readOnlyModeEnabled: 'leave it out: a node whose disk is nearly full is read-only',
  diskUsageThreshold: 'use strataDiskReserveMB',
  diskUsageWarnThreshold: 'use strataDiskReserveMB',
  minUsableSizeForEntryLogCreation: 'use strataDiskReserveMB',
  minUsableSizeForIndexFileCreation: 'use strataDiskReserveMB',
  maxAddsInProgressLimit: 'use strataAddQueueMB',
  maxReadsInProgressLimit: 'use strataReadsMax',
  maxPendingAddRequestsPerThread: 'use strataAddQueueMB',
  maxPendingReadRequestsPerThread: 'leave it out: reads that wait are bounded',
  journalSyncData: 'leave it out: what is acknowledged is synced',
  journalWriteData: 'leave it out: what is acknowledged is synced',
  journalMaxBackups: 'leave it out: journal files are kept while anything needs them',
  journalPreAllocSizeMB: 'leave it out: journal files are made ahead and used again',
  gcWaitTime: 'leave it out: space comes back as soon as a ledger is deleted',
  majorCompactionThreshold: 'leave it out: sparse files are merged in the background',
  minorCompactionThreshold: 'leave it out: sparse files are merged in the background',
  ledgerStorageClass: 'leave it out: there is one',
  tlsProvider: 'leave it out',
  tlsProviderFactoryClass: 'leave it out: tlsCertificatePath, tlsKeyStore and tlsTrustStore turn TLS on',
  tlsClientAuthentication: 'leave it out: with TLS, peers always show a certificate',
  tlsKeyStoreType: 'leave it out: files are PEM',
  tlsTrustStoreType: 'leave it out: files are PEM',
  bookieAuthProviderFactoryClass: 'use strataClusterSecretFile, or TLS',
  statsProviderClass: 'leave it out: /metrics is served with HTTP',
  prometheusStatsHttpPort: 'use httpServerPort: metrics are served there',
  httpServerClass: 'leave it out',
  extraServerComponents: 'leave it out'
}

/** Answers for keys of BookKeeper's configuration that a node does not have. */
export const bookkeeperKeys: ForeignKeys = {
  explain(key) {
    const instead = INSTEAD[key]
    if (instead === undefined) return 'there is no such setting; see strata config describe bookie'
    return `Strata does not have this key of Apache BookKeeper: ${instead}`
  }
}
