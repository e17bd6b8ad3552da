export { readAuditLog, type AuditRecord } from './admin/audit/audit-log.ts'
export { describeAdminApi } from './admin/routes/index.ts'
export {
  initializeCluster,
  readBrokers,
  readClusterName,
  readClusterRows,
  readLeadingBroker,
  readUnsettledBundles,
  type BrokerView
} from './cluster-view.ts'
export { clusterBrokerSettings, quorumOf, type ClusterBrokerSettings } from './config/cluster-settings.ts'
export { pulsarClusterKeys, pulsarKeys } from './config/pulsar-keys.ts'
export { brokerSettings, unavailableSwitches, type BrokerSettings } from './config/settings.ts'
export type {
  EntryFilter,
  EntryFilterModule,
  FilterContext,
  FilteredEntry,
  FilterResult
} from './filters/entry-filter.ts'
export { openServing, probeBrokerPorts, type Serving } from './server/open-serving.ts'
export { policyPaths, type PolicyPath, type PolicyPaths } from './namespace/policy-paths.ts'
