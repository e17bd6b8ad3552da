import { boolean, configErrors, number, text, type SettingsOf } from '@strata/base'
import type { QuorumConfig } from '@strata/ledger-client'
import { brokerSettings } from './settings.ts'

/** What a broker in a process of its own is told besides: where the rest of its cluster is. */
const clusterSettings = {
  metadataStoreUrl: text({
    default: '',
    doc: "The cluster's metadata store: etcd:http://host:2379,host:2379/prefix."
  }),
  metadataStoreConfigPath: text({
    default: '',
    doc: 'File of key=value lines for etcd: tlsTrustCertsFilePath, tlsCertificateFilePath, tlsKeyFilePath, username, passwordPath.'
  }),
  metadataStoreSessionTimeoutMillis: number({
    default: 5000,
    min: 2000,
    max: 600_000,
    unit: 'ms',
    doc: 'How long the cluster goes on counting with a broker that it does not hear of: the topics of one that stands still are taken over after it.'
  }),
  strataWatchdogEnabled: boolean({
    default: true,
    doc: 'A process beside the broker ends it (SIGKILL) once it has stood still for longer than metadataStoreSessionTimeoutMillis: its clients then turn at once to whoever took its topics over. Whatever starts services has to start it again.'
  }),
  managedLedgerDefaultEnsembleSize: number({
    default: 2,
    min: 1,
    max: 64,
    doc: 'Storage nodes that the entries of a ledger are spread over. As many must be there to begin a ledger.'
  }),
  managedLedgerDefaultWriteQuorum: number({ default: 2, min: 1, max: 64, doc: 'Storage nodes that get each entry.' }),
  managedLedgerDefaultAckQuorum: number({
    default: 2,
    min: 1,
    max: 64,
    doc: 'Storage nodes that must have an entry on disk before it is acknowledged.'
  }),
  strataClusterSecretFile: text({
    default: '',
    doc: 'File with the secret of the cluster, as its storage nodes have it; the first line is sent.'
  }),
  bookkeeperTLSCertificateFilePath: text({
    default: '',
    doc: 'Certificate (PEM) that the broker shows to storage nodes.'
  }),
  bookkeeperTLSKeyFilePath: text({ default: '', doc: 'Key of that certificate (PEM).' }),
  bookkeeperTLSTrustCertsFilePath: text({
    default: '',
    doc: 'Certificates of the authority of storage nodes (PEM).'
  }),
  strataLogLevel: text({
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'What is written to standard error.'
  })
} as const

/** Everything that a broker of a cluster can be told; the documentation is made from it. */
export const clusterBrokerSettings = {
  ...brokerSettings,
  ...clusterSettings,
  // with what stands around it, an entry goes to a storage node in one message of gRPC
  maxMessageSize: { ...brokerSettings.maxMessageSize, max: 60 * 1024 * 1024 }
}

export type ClusterBrokerSettings = SettingsOf<typeof clusterBrokerSettings>

/** @throws CodedError BAD_SETTING, one line */
export function quorumOf(settings: ClusterBrokerSettings): QuorumConfig {
  const ensembleSize = settings.managedLedgerDefaultEnsembleSize
  const writeQuorum = settings.managedLedgerDefaultWriteQuorum
  const ackQuorum = settings.managedLedgerDefaultAckQuorum
  if (ensembleSize >= writeQuorum && writeQuorum >= ackQuorum) return { ensembleSize, writeQuorum, ackQuorum }
  const error = configErrors.create('BAD_SETTING', { ensembleSize, writeQuorum, ackQuorum })
  const wanted = 'managedLedgerDefaultEnsembleSize ≥ managedLedgerDefaultWriteQuorum ≥ managedLedgerDefaultAckQuorum'
  error.message = `${ensembleSize}, ${writeQuorum}, ${ackQuorum} is no quorum: it must be ${wanted}`
  throw error
}
