import { boolean, number, text, type SettingsOf } from '@strata/base'
import { COMPATIBILITY_STRATEGIES } from '@strata/schema'
import { authSettings } from './auth-settings.ts'
import { balanceSettings } from './balance-settings.ts'
import { metricsSettings } from './metrics-settings.ts'
import { tlsSettings } from './tls-settings.ts'
import { persistenceSettings } from './persistence-settings.ts'
import { filterSettings } from './filter-settings.ts'
import { quotaSettings } from './quota-settings.ts'
import { rateSettings } from './rate-settings.ts'

/** Every key of the broker, by Apache Pulsar's names and with its meaning. The only place where they are declared. */
export const brokerSettings = {
  // where it listens and how it is reached
  clusterName: text({
    default: 'standalone',
    doc: 'Name of the cluster; part of generated producer names and of policies.'
  }),
  brokerServicePort: number({
    default: 6650,
    min: -1,
    max: 65_535,
    doc: 'Port of the binary protocol; 0 takes a free one, -1: none but with TLS.'
  }),
  webServicePort: number({
    default: 8080,
    min: -1,
    max: 65_535,
    doc: 'Port of HTTP (admin, lookup, metrics); 0 takes a free one, -1: none but with TLS.'
  }),
  bindAddress: text({
    default: '127.0.0.1',
    doc: 'Address both ports listen on. Without authentication it stays loopback until this says otherwise.'
  }),
  bindAddresses: text({
    default: '',
    doc: 'Further listeners as name:scheme://host:port, comma-separated; scheme pulsar or pulsar+ssl.'
  }),
  advertisedAddress: text({
    default: '',
    doc: 'Host name or address that clients are told to connect to; empty: the one they reached.'
  }),
  advertisedListeners: text({
    default: '',
    doc: 'Addresses by listener as name:scheme://host:port, comma-separated; scheme pulsar, pulsar+ssl, http or https.'
  }),
  internalListenerName: text({
    default: '',
    doc: 'The listener that counts when a client names none; empty: the first of advertisedListeners.'
  }),
  keepAliveIntervalSeconds: number({
    default: 30,
    min: 1,
    unit: 's',
    dynamic: true,
    doc: 'Interval of pings; a peer silent for two of them is closed.'
  }),
  brokerShutdownTimeoutMs: number({
    default: 2000,
    unit: 'ms',
    dynamic: true,
    doc: 'How long a shutdown may wait for clients and storage.'
  }),

  // limits of one client
  maxMessageSize: number({
    default: 5_242_880,
    min: 1024,
    max: 536_870_912,
    unit: 'bytes',
    doc: 'Largest payload with its metadata; larger ones are refused.'
  }),
  brokerMaxConnections: number({ default: 0, dynamic: true, doc: 'Connections in all; 0: no limit.' }),
  brokerMaxConnectionsPerIp: number({ default: 0, dynamic: true, doc: 'Connections from one address; 0: no limit.' }),
  strataLoginFailuresPerMinute: number({
    default: 60,
    dynamic: true,
    doc: 'Logins from one address (of IPv6: one network of 64 bits) that may fail in a minute; then it has to wait. 0: no limit.'
  }),
  maxHttpServerConnections: number({ default: 2048, doc: 'Connections over HTTP at once; 0: no limit.' }),
  httpMaxRequestHeaderSize: number({
    default: 8192,
    min: 1024,
    max: 1_048_576,
    unit: 'bytes',
    doc: 'Largest head of a request over HTTP.'
  }),
  strataHttpRequestTimeoutMs: number({
    default: 60_000,
    min: 100,
    unit: 'ms',
    doc: 'How long a client may take to send a whole request over HTTP; for its head it has a quarter of that.'
  }),
  maxPendingPublishRequestsPerConnection: number({
    default: 1000,
    min: 1,
    dynamic: true,
    doc: 'Messages of a connection that may wait for storage while it is over budget; then its socket is paused.'
  }),
  maxConcurrentLookupRequest: number({
    default: 50_000,
    min: 1,
    dynamic: true,
    doc: 'Lookups pending in the broker; beyond it TooManyRequests.'
  }),
  maxConcurrentTopicLoadRequest: number({
    default: 5000,
    min: 1,
    dynamic: true,
    doc: 'Topics being loaded at once; further ones wait.'
  }),
  maxProducersPerTopic: number({ default: 0, dynamic: true, doc: 'Producers of a topic; 0: no limit.' }),
  maxConsumersPerTopic: number({ default: 0, dynamic: true, doc: 'Consumers of a topic; 0: no limit.' }),
  maxConsumersPerSubscription: number({ default: 0, dynamic: true, doc: 'Consumers of a subscription; 0: no limit.' }),
  maxSubscriptionsPerTopic: number({ default: 0, dynamic: true, doc: 'Subscriptions of a topic; 0: no limit.' }),
  maxNumPartitionsPerPartitionedTopic: number({
    default: 0,
    dynamic: true,
    doc: 'Partitions of a topic; 0: no limit.'
  }),
  maxTopicsPerNamespace: number({ default: 0, dynamic: true, doc: 'Topics of a namespace; 0: no limit.' }),
  encryptionRequireOnProducer: boolean({
    default: false,
    dynamic: true,
    doc: 'Refuse producers and messages that are not encrypted.'
  }),

  // topics
  enablePersistentTopics: boolean({ default: true, dynamic: true, doc: 'Serve persistent topics.' }),
  enableNonPersistentTopics: boolean({ default: true, dynamic: true, doc: 'Serve non-persistent topics.' }),
  allowAutoTopicCreation: boolean({ default: true, dynamic: true, doc: 'Create a topic when a client first uses it.' }),
  allowAutoTopicCreationType: text({
    default: 'non-partitioned',
    oneOf: ['partitioned', 'non-partitioned'],
    dynamic: true,
    doc: 'Kind of topic that is created on first use.'
  }),
  defaultNumPartitions: number({
    default: 1,
    min: 1,
    dynamic: true,
    doc: 'Partitions of a topic that is created on first use as partitioned.'
  }),
  allowAutoSubscriptionCreation: boolean({
    default: true,
    dynamic: true,
    doc: 'Create a durable subscription when a consumer first asks for it.'
  }),
  brokerDeleteInactiveTopicsEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Delete topics without subscriptions and producers that nobody used for a while.'
  }),
  brokerDeleteInactiveTopicsFrequencySeconds: number({
    default: 60,
    min: 1,
    unit: 's',
    dynamic: true,
    doc: 'How long a topic must be unused before it is deleted, and how often that is looked at.'
  }),
  brokerDeleteInactiveTopicsMode: text({
    default: 'delete_when_no_subscriptions',
    oneOf: ['delete_when_no_subscriptions', 'delete_when_subscriptions_caught_up'],
    dynamic: true,
    doc: 'What makes an unused topic deletable.'
  }),
  brokerDeleteInactivePartitionedTopicMetadataEnabled: boolean({
    default: false,
    dynamic: true,
    doc: 'Delete the record of a partitioned topic too once all of its partitions were deleted.'
  }),
  brokerCloseInactiveTopicsSeconds: number({
    default: 300,
    unit: 's',
    dynamic: true,
    doc: 'Unload a topic without clients after this time, keeping its data; 0: never.'
  }),
  brokerEntryMetadataInterceptors: text({
    default: '',
    doc: 'What the broker stamps on each entry: class names ending in AppendIndexMetadataInterceptor, AppendBrokerTimestampMetadataInterceptor.'
  }),
  exposingBrokerEntryMetadataToClientEnabled: boolean({
    default: false,
    doc: 'Send those stamps to consumers that understand them.'
  }),
  forceDeleteNamespaceAllowed: boolean({
    default: false,
    dynamic: true,
    doc: 'Allow force=true when a namespace is deleted.'
  }),
  forceDeleteTenantAllowed: boolean({
    default: false,
    dynamic: true,
    doc: 'Allow force=true when a tenant is deleted.'
  }),

  // subscriptions
  dispatcherMaxReadBatchSize: number({
    default: 500,
    min: 1,
    dynamic: true,
    doc: 'Entries read for a subscription at once.'
  }),
  dispatcherMaxReadSizeBytes: number({
    default: 5_242_880,
    min: 1024,
    unit: 'bytes',
    dynamic: true,
    doc: 'Bytes read for a subscription at once.'
  }),
  maxUnackedMessagesPerConsumer: number({
    default: 50_000,
    dynamic: true,
    doc: 'Messages a consumer of a Shared type may hold unacknowledged; 0: no limit.'
  }),
  maxUnackedMessagesPerSubscription: number({
    default: 200_000,
    dynamic: true,
    doc: 'Messages a Shared subscription may hold unacknowledged; 0: no limit.'
  }),
  maxUnackedMessagesPerBroker: number({
    default: 0,
    dynamic: true,
    doc: 'Messages that all Shared subscriptions of a broker may hold unacknowledged before those that hold most of them are stopped; 0: no limit.'
  }),
  maxUnackedMessagesPerSubscriptionOnBrokerBlocked: number({
    default: 0.16,
    max: 1,
    dynamic: true,
    doc: 'Part of that limit that a subscription may still hold while the broker is past it; 0: no limit for the broker.'
  }),
  activeConsumerFailoverDelayTimeMillis: number({
    default: 1000,
    unit: 'ms',
    dynamic: true,
    doc: 'Wait before a newly active Failover consumer gets messages, so that acknowledgements of the one before can arrive.'
  }),
  subscriptionKeySharedUseConsistentHashing: boolean({
    default: true,
    dynamic: true,
    doc: 'Key_Shared: place consumers on a hash ring instead of halving ranges.'
  }),
  subscriptionKeySharedConsistentHashingReplicaPoints: number({
    default: 100,
    min: 1,
    max: 10_000,
    dynamic: true,
    doc: 'Points of a consumer on that ring.'
  }),
  acknowledgmentAtBatchIndexLevelEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Remember which messages of a batch are acknowledged.'
  }),
  enableBrokerSideSubscriptionPatternEvaluation: boolean({ default: true, doc: 'Match topic patterns in the broker.' }),
  enableBrokerTopicListWatcher: boolean({ default: true, doc: 'Tell clients of topics that come and go.' }),
  subscriptionPatternMaxLength: number({ default: 50, min: 1, doc: 'Longest pattern the broker evaluates.' }),
  subscriptionExpirationTimeMinutes: number({
    default: 0,
    unit: 'min',
    dynamic: true,
    doc: 'Delete subscriptions nobody used for this time; 0: never.'
  }),
  ttlDurationDefaultInSeconds: number({
    default: 0,
    unit: 's',
    dynamic: true,
    doc: 'Acknowledge messages of this age for every subscription; 0: never.'
  }),
  messageExpiryCheckIntervalInMinutes: number({
    default: 5,
    min: 1,
    unit: 'min',
    doc: 'How often message and subscription ages are looked at.'
  }),

  // rates and quotas
  ...rateSettings,
  ...filterSettings,
  ...quotaSettings,

  // schemas
  schemaCompatibilityStrategy: text({
    default: 'FULL',
    oneOf: COMPATIBILITY_STRATEGIES,
    dynamic: true,
    doc: 'How a new schema must fit those before it.'
  }),
  isAllowAutoUpdateSchemaEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Let producers register new schema versions.'
  }),
  isSchemaValidationEnforced: boolean({
    default: false,
    dynamic: true,
    doc: 'Refuse producers without a schema on topics that have one.'
  }),
  schemaJsonAllowLegacyJacksonFormat: boolean({
    default: false,
    dynamic: true,
    doc: 'Take JSON schemas in the form that clients before 2.1 write, with which nothing but an id can be compared.'
  }),

  // the log
  managedLedgerMaxEntriesPerLedger: number({
    default: 50_000,
    min: 1,
    dynamic: true,
    doc: 'Entries after which a ledger is closed and a next one begun, once it has its minimum age.'
  }),
  managedLedgerMaxSizePerLedgerMbytes: number({
    default: 2048,
    min: 1,
    unit: 'MB',
    dynamic: true,
    doc: 'Size at which a ledger is closed and a next one begun, once it has its minimum age.'
  }),
  managedLedgerMinLedgerRolloverTimeMinutes: number({
    default: 10,
    unit: 'min',
    dynamic: true,
    doc: 'Minimum age of a ledger that is closed for its entries or its size.'
  }),
  managedLedgerMaxLedgerRolloverTimeMinutes: number({
    default: 240,
    min: 1,
    unit: 'min',
    dynamic: true,
    doc: 'Age at which a ledger is closed, with or without traffic.'
  }),
  managedLedgerCacheSizeMB: number({
    default: 64,
    min: 1,
    max: 65_536,
    unit: 'MB',
    doc: 'Entries kept in memory for readers at the tail, in the whole process.'
  }),
  defaultRetentionTimeInMinutes: number({
    default: 0,
    min: -1,
    unit: 'min',
    dynamic: true,
    doc: 'How long acknowledged data is kept; -1: for ever.'
  }),
  defaultRetentionSizeInMB: number({
    default: 0,
    min: -1,
    unit: 'MB',
    dynamic: true,
    doc: 'How much acknowledged data is kept; -1: no limit.'
  }),
  retentionCheckIntervalInSeconds: number({
    default: 120,
    min: 1,
    unit: 's',
    doc: 'How often retention is applied, to unloaded topics too.'
  }),

  ...persistenceSettings,

  // who serves what
  ...balanceSettings,

  // memory
  strataMemoryBudgetMB: number({
    default: 256,
    min: 16,
    max: 1_048_576,
    unit: 'MB',
    doc: 'Bytes of messages in memory on their way in and out (ingest, read-ahead, dispatch); sockets pause when it is used up.'
  }),
  strataContendedPublishBufferKB: number({
    default: 192,
    min: 0,
    max: 1_048_576,
    unit: 'KB',
    doc: 'While several tenants publish: what may be on its way to storage, in equal parts (of at least 128 KB) for those who want more. 0: whoever comes first.'
  }),

  // what was changed
  strataAuditLogPath: text({
    default: '',
    doc: 'File in which every change that is asked over HTTP is written down: who, from where, what, before and after, and what came of it. Of this broker alone; empty: none.'
  }),
  strataAuditLogFileMB: number({
    default: 64,
    min: 1,
    max: 4096,
    unit: 'MB',
    doc: 'Size at which the next file is begun; the older ones have .1, .2, … behind their names.'
  }),
  strataAuditLogFiles: number({ default: 10, min: 1, max: 1000, doc: 'Files in all: the oldest is deleted.' }),

  // metrics
  ...metricsSettings,

  // who may do what
  ...tlsSettings,
  ...authSettings,

  // what Strata does not have yet: only the value that switches it off
  brokerDeduplicationEnabled: boolean({
    default: false,
    doc: 'Drop messages sent twice. Not available yet: only false.'
  }),
  delayedDeliveryEnabled: boolean({
    default: false,
    doc: 'Hold messages until their time. Not available yet: only false.'
  }),
  transactionCoordinatorEnabled: boolean({ default: false, doc: 'Transactions. Not available yet: only false.' }),
  webSocketServiceEnabled: boolean({ default: false, doc: 'The WebSocket API. Not available yet: only false.' }),
  functionsWorkerEnabled: boolean({ default: false, doc: 'Functions. Not part of Strata: only false.' })
} as const

export type BrokerSettings = SettingsOf<typeof brokerSettings>

/** Switches that must stay off: a `true` is refused by name, never ignored. */
const UNAVAILABLE_SWITCHES = [
  'brokerDeduplicationEnabled',
  'delayedDeliveryEnabled',
  'transactionCoordinatorEnabled',
  'webSocketServiceEnabled',
  'functionsWorkerEnabled'
] as const satisfies readonly (keyof BrokerSettings)[]

/** Switches that are on but name something Strata does not have: one sentence each. */
export function unavailableSwitches(settings: BrokerSettings): string[] {
  return UNAVAILABLE_SWITCHES.filter(key => settings[key]).map(
    key => `${key}=true: Strata does not have this yet; set ${key}=false or leave it out`
  )
}

/** Every key with its default. */
export function defaultBrokerSettings(): BrokerSettings {
  return Object.fromEntries(
    Object.entries(brokerSettings).map(([key, setting]) => [key, setting.default])
  ) as BrokerSettings
}
