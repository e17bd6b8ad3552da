import { boolean, number, text, type SettingsOf } from '@strata/base'
import { journalSettings } from '../journal-settings.ts'

/** Everything a storage node in a process of its own can be told, by Pulsar's and BookKeeper's names where they have one. */
export const bookieSettings = {
  // the cluster
  metadataStoreUrl: text({
    default: '',
    doc: "The cluster's metadata store: etcd:http://host:2379,host:2379/prefix, or level:directory for one process alone."
  }),
  metadataStoreConfigPath: text({
    default: '',
    doc: 'File of key=value lines for etcd: tlsTrustCertsFilePath, tlsCertificateFilePath, tlsKeyFilePath, username, passwordPath.'
  }),
  metadataStoreSessionTimeoutMillis: number({
    default: 10_000,
    min: 2000,
    max: 600_000,
    unit: 'ms',
    doc: 'How long the cluster goes on counting with a node that it does not hear of.'
  }),
  bookieId: text({
    default: '',
    doc: 'Name of the node, for ever; empty: the one on its disk, or a random one for an empty disk.'
  }),
  strataRack: text({
    default: '',
    doc: 'What fails together with this node, such as a rack or a zone; copies of an entry go to different ones.'
  }),

  // where it listens and how it is reached
  bookiePort: number({ default: 3181, max: 65_535, doc: 'Port of gRPC; 0 takes a free one.' }),
  bindAddress: text({
    default: '127.0.0.1',
    doc: 'Address the port listens on. One that others reach needs strataClusterSecretFile or TLS.'
  }),
  advertisedAddress: text({
    default: '',
    doc: 'Host name or address that others are told; empty: bindAddress, or the host name where that is all addresses.'
  }),
  httpServerEnabled: boolean({ default: true, doc: 'Serve health, state, ledgers and metrics over HTTP.' }),
  httpServerPort: number({ default: 8000, max: 65_535, doc: 'Port of HTTP; 0 takes a free one.' }),
  httpServerHost: text({
    default: '127.0.0.1',
    doc: 'Address of HTTP. It asks nobody who they are and can make the node read-only: open it to operators alone.'
  }),

  // who may use it
  strataClusterSecretFile: text({
    default: '',
    doc: 'File with the secret of the cluster, one a line, of 32 characters or more; the first is sent, all are accepted.'
  }),
  tlsCertificatePath: text({ default: '', doc: "The node's certificate (PEM); peers must show one as well." }),
  tlsKeyStore: text({ default: '', doc: "Key of the node's certificate (PEM)." }),
  tlsTrustStore: text({ default: '', doc: 'Certificates of the authority of nodes and of their clients (PEM).' }),

  // storage
  journalDirectories: text({
    default: 'data/bookie/journal',
    doc: 'Directories of the journal, with commas between them: each takes the adds of some ledgers. Best on disks of their own.'
  }),
  ledgerDirectories: text({
    default: 'data/bookie/ledgers',
    doc: 'Directories of entry logs, with commas between them: the one with most room takes the next.'
  }),
  indexDirectories: text({ default: '', doc: 'Directory of the index; empty: the first one of entry logs.' }),
  ...journalSettings,
  compactionRateByBytes: number({
    default: 100_663_296,
    min: 1_048_576,
    unit: 'bytes/s',
    doc: 'How fast live entries are moved, out of old journal files and sparse entry logs; past twice strataJournalTotalMB as fast as it goes.'
  }),
  localScrubInterval: number({
    default: 21_600,
    max: 31_536_000,
    unit: 's',
    doc: 'From the end of one round of comparing all that is stored with its checksums to the next; 0: only when an operator asks.'
  }),
  strataScrubRateMB: number({
    default: 4,
    min: 1,
    max: 100_000,
    unit: 'MB/s',
    doc: 'How fast such a round reads.'
  }),
  strataRecentWritesMB: number({
    default: 32,
    max: 65_536,
    unit: 'MB',
    doc: 'Memory for the last writes, for readers at the tail; 0: they are read from the disk.'
  }),
  strataDiskReserveMB: number({
    default: 512,
    min: 16,
    max: 1_048_576,
    unit: 'MB',
    doc: 'Free disk space below which the node is read-only until there is more; reads and deletes go on.'
  }),
  strataAddQueueMB: number({
    default: 64,
    min: 1,
    max: 16_384,
    unit: 'MB',
    doc: 'Entries that may wait for the disk, over all brokers; then nobody is given credit for more.'
  }),
  strataReadsMax: number({ default: 16, min: 1, max: 1024, doc: 'Reads that the disk works on at once; others wait.' }),

  // the care for copies, by the one node of the cluster that leads
  autoRecoveryDaemonEnabled: boolean({
    default: true,
    doc: 'Stand for election as the node that brings lost copies back, for all nodes.'
  }),
  lostBookieRecoveryDelay: number({
    default: 300,
    max: 604_800,
    unit: 's',
    doc: 'How long a node may be away before what it held is copied anew.'
  }),
  openLedgerRereplicationGracePeriod: number({
    default: 30_000,
    max: 86_400_000,
    unit: 'ms',
    doc: 'How long a ledger that is not closed, and has a member that is gone or leaving, is left to its writer.'
  }),
  auditorPeriodicBookieCheckInterval: number({
    default: 86_400,
    max: 2_000_000,
    unit: 's',
    doc: 'How often nodes are asked which entries they have; 0: only when something happened to them.'
  }),
  auditorPeriodicCheckInterval: number({
    default: 604_800,
    max: 2_000_000,
    unit: 's',
    doc: 'How often nodes are asked to read every entry that they have; 0: never.'
  }),
  rwRereplicateBackoffMs: number({
    default: 5_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    doc: 'First pause before what could not be copied is tried again; it doubles, up to five minutes.'
  }),
  replicationRateByBytes: number({
    default: 52_428_800,
    unit: 'bytes/s',
    doc: 'How fast copies are made, over all of them; 0: as fast as it goes.'
  }),
  strataOrphanLedgerGraceSec: number({
    default: 86_400,
    max: 31_536_000,
    unit: 's',
    doc: 'A ledger that its owner does not list for so long is deleted; 0: never.'
  }),

  strataShutdownTimeoutMs: number({
    default: 2000,
    max: 600_000,
    unit: 'ms',
    doc: 'How long a shutdown lets requests end.'
  }),
  strataLogLevel: text({
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'What is written to standard error.'
  })
} as const

export type BookieServerSettings = SettingsOf<typeof bookieSettings>
