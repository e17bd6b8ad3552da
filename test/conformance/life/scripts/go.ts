// The life of a tenant by the Go admin library (pulsaradmin of pulsar-client-go), which is also what pulsarctl is made of.
import { call, measured, publish, settled, type Life, type Step } from '../step.ts'
import { goPolicies } from './go-policies.ts'
import { HALVES, LEFT_HALF, NS, PARTS, RECORD, TOPIC, WIDER } from './values.ts'

const EIGHTHS = '02468ace'
  .split('')
  .map(digit => `0x${digit}0000000`)
  .concat('0xffffffff')
const RULES = {
  ...{ replication_clusters: ['standalone'], schema_auto_update_compatibility_strategy: 'Full' },
  ...{ schema_compatibility_strategy: 'UNDEFINED', subscription_auth_mode: 'None', offload_threshold: -1 }
}

const birth: readonly Step[] = [
  call('Tenants.Create', { Name: '{tenant}', adminRoles: ['ops'], allowedClusters: ['standalone'] }),
  call('Tenants.Create', { Name: '{tenant}', adminRoles: ['ops'], allowedClusters: ['standalone'] }),
  call('Tenants.List'),
  call('Tenants.Get', '{tenant}'),
  call('Tenants.Update', { Name: '{tenant}', adminRoles: ['ops', 'night'], allowedClusters: ['standalone'] }),
  settled('Tenants.Get', '{tenant}'),
  call('Tenants.Get', '{tenant}-of-nobody'),
  call('Namespaces.CreateNamespace', NS),
  call('Namespaces.CreateNamespace', NS),
  // what the library sends for these two names a strategy that is none: no server takes it
  call('Namespaces.CreateNsWithNumBundles', '{tenant}/eight', 8),
  call('Namespaces.CreateNsWithBundlesData', '{tenant}/halves', HALVES),
  call('Namespaces.CreateNsWithPolices', '{tenant}/eight', {
    ...RULES,
    bundles: { boundaries: EIGHTHS, numBundles: 8 }
  }),
  call('Namespaces.CreateNsWithPolices', '{tenant}/halves', { ...RULES, bundles: HALVES }),
  call('Namespaces.CreateNsWithPolices', '{tenant}/ruled', { ...RULES, message_ttl_in_seconds: 60 }),
  call('Namespaces.GetNamespaces', '{tenant}'),
  ...[NS, '{tenant}/eight', '{tenant}/halves', '{tenant}/ruled', '{tenant}/none'].map(name =>
    call('Namespaces.GetPolicies', name)
  )
]

const topics: readonly Step[] = [
  call('Topics.Create', TOPIC, 0),
  call('Topics.Create', TOPIC, 0),
  call('Topics.Create', PARTS, 2),
  call('Topics.CreateWithProperties', `persistent://${NS}/described`, 0, { team: 'a' }),
  call('Topics.CreateWithProperties', `persistent://${NS}/described-parts`, 2, { team: 'b' }),
  call('Topics.Create', `non-persistent://${NS}/fleeting`, 0),
  call('Topics.List', NS),
  call('Namespaces.GetTopics', NS),
  call('Topics.GetProperties', `persistent://${NS}/described`),
  call('Topics.GetProperties', `persistent://${NS}/described-parts`),
  call('Topics.UpdateProperties', `persistent://${NS}/described`, { team: 'c', cost: '9' }),
  settled('Topics.GetProperties', `persistent://${NS}/described`),
  call('Topics.RemoveProperty', `persistent://${NS}/described`, 'cost'),
  settled('Topics.GetProperties', `persistent://${NS}/described`),
  call('Topics.GetMetadata', PARTS),
  call('Topics.Update', PARTS, 4),
  settled('Topics.GetMetadata', PARTS),
  call('Topics.Update', PARTS, 3),
  call('Topics.GetMetadata', TOPIC),
  call('Topics.Lookup', TOPIC),
  call('Topics.GetBundleRange', TOPIC),
  call('Topics.GetPermissions', TOPIC),
  call('Topics.GrantPermission', TOPIC, 'clerk', ['produce', 'consume']),
  settled('Topics.GetPermissions', TOPIC),
  call('Topics.RevokePermission', TOPIC, 'clerk'),
  settled('Topics.GetPermissions', TOPIC),
  call('Topics.RevokePermission', TOPIC, 'nobody')
]

const messages: readonly Step[] = [
  call('Subscriptions.Create', TOPIC, 'desk', 'earliest'),
  call('Subscriptions.Create', TOPIC, 'late', 'latest'),
  call('Subscriptions.Create', TOPIC, 'desk', 'earliest'),
  publish(TOPIC, 10),
  call('Subscriptions.List', TOPIC),
  call('Topics.GetStats', TOPIC),
  call('Topics.GetStatsWithOption', TOPIC, { get_precise_backlog: true, subscription_backlog_size: true }),
  call('Topics.GetStatsWithOption', TOPIC, { exclude_publishers: true, exclude_consumers: true }),
  call('Topics.GetInternalStats', TOPIC),
  call('Topics.GetInternalInfo', TOPIC),
  call('Topics.GetPartitionedStats', PARTS, true),
  call('Topics.GetPartitionedStatsWithOption', PARTS, false, { get_precise_backlog: true }),
  call('Topics.GetPartitionedStats', TOPIC, true),
  call('Topics.GetLastMessageID', TOPIC),
  call('Topics.GetMessageID', TOPIC, 1),
  call('Subscriptions.PeekMessages', TOPIC, 'desk', 3),
  call('Subscriptions.PeekMessages', TOPIC, 'nobody', 1),
  call('Subscriptions.GetMessageByID', TOPIC, '{ledger}', 1),
  call('Subscriptions.GetMessagesByID', TOPIC, '{ledger}', 2),
  call('Subscriptions.SkipMessages', TOPIC, 'desk', 4),
  call('Subscriptions.PeekMessages', TOPIC, 'desk', 1),
  call('Subscriptions.ResetCursorToTimestamp', TOPIC, 'desk', 1),
  call('Subscriptions.PeekMessages', TOPIC, 'desk', 1),
  call('Subscriptions.ResetCursorToMessageID', TOPIC, 'desk', 'latest'),
  call('Subscriptions.PeekMessages', TOPIC, 'desk', 1),
  call('Subscriptions.ResetCursorToMessageID', TOPIC, 'desk', 'earliest'),
  call('Subscriptions.PeekMessages', TOPIC, 'desk', 1),
  call('Subscriptions.ExpireMessages', TOPIC, 'desk', 3600),
  call('Subscriptions.ExpireMessages', TOPIC, 'nobody', 3600),
  call('Subscriptions.ExpireAllMessages', TOPIC, 3600),
  call('Subscriptions.ClearBacklog', TOPIC, 'desk'),
  call('Subscriptions.PeekMessages', TOPIC, 'desk', 1),
  call('Subscriptions.SkipMessages', TOPIC, 'nobody', 1),
  call('Subscriptions.Delete', TOPIC, 'late'),
  call('Subscriptions.ForceDelete', TOPIC, 'desk'),
  call('Subscriptions.Delete', TOPIC, 'nobody'),
  call('Subscriptions.List', TOPIC),
  call('Topics.Compact', TOPIC),
  measured('Topics.CompactStatus', TOPIC),
  call('Topics.Offload', TOPIC, 'latest'),
  call('Topics.OffloadStatus', TOPIC),
  call('Topics.Unload', TOPIC),
  call('Topics.Unload', `persistent://${NS}/none`),
  call('Topics.Terminate', `persistent://${NS}/described`),
  call('Topics.Delete', `persistent://${NS}/described`, false, true),
  call('Topics.Delete', `persistent://${NS}/described-parts`, true, false),
  call('Topics.Delete', `persistent://${NS}/none`, false, true)
]

const schemas: readonly Step[] = [
  call('Schemas.GetSchemaInfo', TOPIC),
  call('Schemas.CreateSchemaByPayload', TOPIC, { type: 'AVRO', schema: RECORD, properties: { by: 'hand' } }),
  call('Schemas.CreateSchemaBySchemaInfo', TOPIC, {
    name: 'orders',
    type: 'AVRO',
    schema: Buffer.from(WIDER).toString('base64'),
    properties: {}
  }),
  call('Schemas.GetSchemaInfo', TOPIC),
  call('Schemas.GetSchemaInfoWithVersion', TOPIC),
  call('Schemas.GetSchemaInfoByVersion', TOPIC, 0),
  call('Schemas.GetAllSchemas', TOPIC),
  call('Schemas.GetVersionByPayload', TOPIC, { type: 'AVRO', schema: RECORD, properties: {} }),
  call('Schemas.GetVersionBySchemaInfo', TOPIC, {
    name: 'orders',
    type: 'AVRO',
    schema: Buffer.from(WIDER).toString('base64'),
    properties: {}
  }),
  call('Schemas.TestCompatibilityWithPostSchemaPayload', TOPIC, { type: 'STRING', schema: '', properties: {} }),
  call('Schemas.TestCompatibilityWithSchemaInfo', TOPIC, {
    name: 'orders',
    type: 'AVRO',
    schema: Buffer.from(RECORD).toString('base64'),
    properties: {}
  }),
  call('Schemas.DeleteSchema', TOPIC),
  call('Schemas.GetSchemaInfo', TOPIC),
  call('Schemas.ForceDeleteSchema', TOPIC)
]

const ISOLATION = {
  namespaces: ['{tenant}/.*'],
  primary: ['.*'],
  secondary: [],
  auto_failover_policy: { policy_type: 'min_available', parameters: { min_limit: '1', usage_threshold: '80' } }
}

const FAR = {
  Name: '{tenant}-far',
  serviceUrl: 'http://far.example:8080',
  brokerServiceUrl: 'pulsar://far.example:6650'
}

const cluster: readonly Step[] = [
  measured('Brokers.GetListActiveBrokers'),
  measured('Brokers.GetActiveBrokers', 'standalone'),
  measured('Brokers.GetOwnedNamespaces', 'standalone', '{broker}'),
  measured('Brokers.GetDynamicConfigurationNames'),
  measured('Brokers.GetRuntimeConfigurations'),
  measured('Brokers.GetInternalConfigurationData'),
  measured('Brokers.GetLeaderBroker'),
  call('Brokers.HealthCheck'),
  call('Brokers.HealthCheckWithTopicVersion', 'V2'),
  call('Brokers.UpdateDynamicConfiguration', 'dispatchThrottlingRatePerTopicInMsg', '1000000'),
  settled('Brokers.GetAllDynamicConfigurations'),
  call('Brokers.DeleteDynamicConfiguration', 'dispatchThrottlingRatePerTopicInMsg'),
  settled('Brokers.GetAllDynamicConfigurations'),
  call('Brokers.UpdateDynamicConfiguration', 'noSuchKey', '1'),
  measured('BrokerStats.GetMetrics'),
  measured('BrokerStats.GetMBeans'),
  measured('BrokerStats.GetTopics'),
  measured('BrokerStats.GetLoadReport'),
  measured('BrokerStats.GetAllocatorStats', 'default'),
  call('Clusters.List'),
  measured('Clusters.Get', 'standalone'),
  call('Clusters.Create', FAR),
  call('Clusters.Create', FAR),
  call('Clusters.Update', { ...FAR, serviceUrl: 'http://far.example:8081' }),
  settled('Clusters.Get', '{tenant}-far'),
  call('Clusters.UpdatePeerClusters', '{tenant}-far', ['standalone']),
  settled('Clusters.GetPeerClusters', '{tenant}-far'),
  call('Clusters.CreateFailureDomain', { ClusterName: '{tenant}-far', DomainName: 'left', brokers: ['one:8080'] }),
  call('Clusters.GetFailureDomain', '{tenant}-far', 'left'),
  call('Clusters.UpdateFailureDomain', { ClusterName: '{tenant}-far', DomainName: 'left', brokers: ['two:8080'] }),
  call('Clusters.ListFailureDomains', '{tenant}-far'),
  call('Clusters.DeleteFailureDomain', { ClusterName: '{tenant}-far', DomainName: 'left' }),
  call('Clusters.DeleteFailureDomain', { ClusterName: '{tenant}-far', DomainName: 'left' }),
  call('NsIsolationPolicy.CreateNamespaceIsolationPolicy', 'standalone', 'alone', ISOLATION),
  call('NsIsolationPolicy.GetNamespaceIsolationPolicy', 'standalone', 'alone'),
  call('NsIsolationPolicy.GetNamespaceIsolationPolicies', 'standalone'),
  measured('NsIsolationPolicy.GetBrokersWithNamespaceIsolationPolicy', 'standalone'),
  measured('NsIsolationPolicy.GetBrokerWithNamespaceIsolationPolicy', 'standalone', '{broker}'),
  call('NsIsolationPolicy.DeleteNamespaceIsolationPolicy', 'standalone', 'alone'),
  call('NsIsolationPolicy.GetNamespaceIsolationPolicy', 'standalone', 'alone'),
  call('Clusters.Delete', '{tenant}-far'),
  call('Clusters.Get', '{tenant}-far'),
  measured('ResourceQuotas.GetDefaultResourceQuota'),
  call('ResourceQuotas.SetDefaultResourceQuota', {
    ...{ msgRateIn: 40, msgRateOut: 120, bandwidthIn: 100000, bandwidthOut: 300000, memory: 80, dynamic: true }
  }),
  call('ResourceQuotas.GetNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF),
  call('ResourceQuotas.SetNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF, {
    ...{ msgRateIn: 4, msgRateOut: 12, bandwidthIn: 1000, bandwidthOut: 3000, memory: 8, dynamic: true }
  }),
  settled('ResourceQuotas.GetNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF),
  call('ResourceQuotas.ResetNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF),
  settled('ResourceQuotas.GetNamespaceBundleResourceQuota', '{tenant}/halves', LEFT_HALF)
]

const bundles: readonly Step[] = [
  call('Namespaces.UnloadNamespaceBundle', '{tenant}/halves', LEFT_HALF),
  call('Namespaces.SplitNamespaceBundle', '{tenant}/halves', LEFT_HALF, false),
  settled('Namespaces.GetPolicies', '{tenant}/halves'),
  call('Namespaces.Unload', NS),
  call('Subscriptions.Create', PARTS, 'desk', 'earliest'),
  call('Namespaces.ClearNamespaceBacklog', NS),
  call('Namespaces.ClearNamespaceBacklogForSubscription', NS, 'desk'),
  call('Namespaces.ClearNamespaceBundleBacklog', NS, '0x00000000_0x40000000'),
  call('Namespaces.ClearNamespaceBundleBacklogForSubscription', NS, '0x00000000_0x40000000', 'desk'),
  call('Namespaces.UnsubscribeNamespaceBundle', NS, '0x00000000_0x40000000', 'desk'),
  call('Namespaces.UnsubscribeNamespace', NS, 'desk'),
  call('Namespaces.DeleteNamespaceBundle', '{tenant}/eight', '0x00000000_0x20000000')
]

const death: readonly Step[] = [
  call('Tenants.Delete', '{tenant}'),
  call('Namespaces.DeleteNamespace', NS),
  call('Topics.Delete', `non-persistent://${NS}/fleeting`, true, true),
  call('Topics.Delete', PARTS, true, false),
  call('Topics.Delete', TOPIC, true, true),
  call('Topics.List', NS),
  ...[NS, '{tenant}/eight', '{tenant}/halves', '{tenant}/ruled', '{tenant}/none'].map(name =>
    call('Namespaces.DeleteNamespace', name)
  ),
  call('Namespaces.GetNamespaces', '{tenant}'),
  call('Tenants.Delete', '{tenant}'),
  call('Tenants.Get', '{tenant}')
]

export const goLife: Life = {
  name: 'go',
  steps: [
    ...birth,
    ...topics,
    ...messages,
    ...schemas,
    ...goPolicies(NS, `persistent://${NS}/ruled`),
    ...cluster,
    ...bundles,
    ...death
  ],
  leftOut: [
    { calls: /^(Functions|FunctionsWorker|Sinks|Sources|Packages)\./, why: 'no part of a tenant that sends messages' },
    { calls: /WithContext$/, why: 'the call of the same name without it is this one with a context of its own' }
  ]
}
