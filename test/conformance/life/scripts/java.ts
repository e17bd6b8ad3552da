// The life of a tenant by the Java admin client (org.apache.pulsar:pulsar-client-admin).
import { call, measured, publish, settled, type Life, type Step } from '../step.ts'
import { javaCluster } from './java-cluster.ts'
import { javaPolicies } from './java-policies.ts'
import { HALVES, LEFT_HALF, NS, PARTS, RECORD, TOPIC, WIDER } from './values.ts'

const SHADOW = `persistent://${NS}/shadow`
const DESCRIBED = `persistent://${NS}/described`
const DESCRIBED_PARTS = `persistent://${NS}/described-parts`
const FLEETING = `non-persistent://${NS}/fleeting`
const FLEETING_PARTS = `non-persistent://${NS}/fleeting-parts`
const NONE = `persistent://${NS}/none`

const birth: readonly Step[] = [
  call('tenants.createTenant', '{tenant}', { adminRoles: ['ops'], allowedClusters: ['standalone'] }),
  call('tenants.createTenant', '{tenant}', { adminRoles: ['ops'], allowedClusters: ['standalone'] }),
  call('tenants.getTenants'),
  call('tenants.getTenantInfo', '{tenant}'),
  call('tenants.updateTenant', '{tenant}', { adminRoles: ['ops', 'night'], allowedClusters: ['standalone'] }),
  settled('tenants.getTenantInfo', '{tenant}'),
  call('tenants.getTenantInfo', '{tenant}-of-nobody'),
  call('namespaces.createNamespace(String)', NS),
  call('namespaces.createNamespace(String)', NS),
  call('namespaces.createNamespace(String,int)', '{tenant}/eight', 8),
  call('namespaces.createNamespace(String,BundlesData)', '{tenant}/halves', HALVES),
  call('namespaces.createNamespace(String,Set)', '{tenant}/placed', ['standalone']),
  call('namespaces.createNamespace(String,Policies)', '{tenant}/ruled', {
    replication_clusters: ['standalone'],
    message_ttl_in_seconds: 60
  }),
  call('namespaces.getNamespaces', '{tenant}'),
  ...[NS, '{tenant}/eight', '{tenant}/halves', '{tenant}/placed', '{tenant}/ruled', '{tenant}/none'].map(name =>
    call('namespaces.getPolicies', name)
  ),
  call('namespaces.getBundles', '{tenant}/eight')
]

const topics: readonly Step[] = [
  call('topics.createNonPartitionedTopic(String)', TOPIC),
  call('topics.createNonPartitionedTopic(String)', TOPIC),
  call('topics.createPartitionedTopic(String,int)', PARTS, 2),
  call('topics.createNonPartitionedTopic(String,Map)', DESCRIBED, { team: 'a' }),
  call('topics.createPartitionedTopic(String,int,Map)', DESCRIBED_PARTS, 2, { team: 'b' }),
  call('topics.createNonPartitionedTopic(String)', FLEETING),
  call('nonPersistentTopics.createPartitionedTopic', FLEETING_PARTS, 2),
  call('nonPersistentTopics.getPartitionedTopicMetadata', FLEETING_PARTS),
  call('nonPersistentTopics.getStats', FLEETING),
  call('nonPersistentTopics.getInternalStats', FLEETING),
  call('nonPersistentTopics.getList', NS),
  call('nonPersistentTopics.getListInBundle', NS, '0x00000000_0x40000000'),
  call('nonPersistentTopics.unload', FLEETING),
  call('topics.getList(String)', NS),
  call('topics.getList(String,TopicDomain)', NS, 'persistent'),
  call('topics.getList(String,TopicDomain,ListTopicsOptions)', NS, 'persistent', { includeSystemTopic: true }),
  call('topics.getList(String,TopicDomain,Map)', NS, 'non_persistent', { Bundle: '0x00000000_0x40000000' }),
  call('topics.getListInBundle', NS, '0x00000000_0x40000000'),
  call('topics.getPartitionedTopicList(String)', NS),
  call('topics.getPartitionedTopicList(String,ListTopicsOptions)', NS, { includeSystemTopic: true }),
  call('namespaces.getTopics(String)', NS),
  call('namespaces.getTopics(String,ListNamespaceTopicsOptions)', NS, { mode: 'PERSISTENT', includeSystemTopic: true }),
  call('namespaces.getTopicHashPositions', '{tenant}/halves', LEFT_HALF, []),
  call('topics.getProperties', DESCRIBED),
  call('topics.getProperties', DESCRIBED_PARTS),
  call('topics.updateProperties', DESCRIBED, { team: 'c', cost: '9' }),
  settled('topics.getProperties', DESCRIBED),
  call('topics.removeProperties', DESCRIBED, 'cost'),
  settled('topics.getProperties', DESCRIBED),
  call('topics.getPartitionedTopicMetadata', PARTS),
  call('topics.updatePartitionedTopic(String,int)', PARTS, 4),
  settled('topics.getPartitionedTopicMetadata', PARTS),
  call('topics.updatePartitionedTopic(String,int,boolean)', PARTS, 5, false),
  settled('topics.getPartitionedTopicMetadata', PARTS),
  call('topics.updatePartitionedTopic(String,int,boolean,boolean)', PARTS, 6, true, true),
  settled('topics.getPartitionedTopicMetadata', PARTS),
  call('topics.updatePartitionedTopic(String,int)', PARTS, 3),
  call('topics.createMissedPartitions', PARTS),
  call('topics.getPartitionedTopicMetadata', TOPIC),
  call('lookups.lookupTopic', TOPIC),
  call('lookups.lookupPartitionedTopic', PARTS),
  call('lookups.getBundleRange', TOPIC),
  call('topics.getPermissions', TOPIC),
  call('topics.grantPermission', TOPIC, 'clerk', ['produce', 'consume']),
  settled('topics.getPermissions', TOPIC),
  call('topics.revokePermissions', TOPIC, 'clerk'),
  settled('topics.getPermissions', TOPIC),
  call('topics.revokePermissions', TOPIC, 'nobody')
]

const OPTIONS = { getPreciseBacklog: true, subscriptionBacklogSize: true, getEarliestTimeInBacklog: true }

const reading: readonly Step[] = [
  call('topics.createSubscription(String,String,MessageId)', TOPIC, 'desk', 'earliest'),
  call('topics.createSubscription(String,String,MessageId,boolean)', TOPIC, 'late', 'latest', false),
  call('topics.createSubscription(String,String,MessageId,boolean,Map)', TOPIC, 'told', 'latest', false, { by: 'x' }),
  call('topics.createSubscription(String,String,MessageId)', TOPIC, 'desk', 'earliest'),
  publish(TOPIC, 10),
  call('topics.getSubscriptions', TOPIC),
  call('topics.getSubscriptionProperties', TOPIC, 'told'),
  call('topics.updateSubscriptionProperties', TOPIC, 'told', { by: 'y', on: '9' }),
  settled('topics.getSubscriptionProperties', TOPIC, 'told'),
  call('topics.getReplicatedSubscriptionStatus', TOPIC, 'told'),
  call('topics.setReplicatedSubscriptionStatus', TOPIC, 'told', true),
  settled('topics.getReplicatedSubscriptionStatus', TOPIC, 'told'),
  call('topics.getStats(String)', TOPIC),
  call('topics.getStats(String,boolean)', TOPIC, true),
  call('topics.getStats(String,boolean,boolean)', TOPIC, true, true),
  call('topics.getStats(String,boolean,boolean,boolean)', TOPIC, true, true, true),
  call('topics.getStats(String,GetStatsOptions)', TOPIC, { excludePublishers: true, excludeConsumers: true }),
  call('topics.getInternalStats(String)', TOPIC),
  call('topics.getInternalStats(String,boolean)', TOPIC, true),
  call('topics.getInternalInfo', TOPIC),
  call('topics.getPartitionedStats(String,boolean)', PARTS, true),
  call('topics.getPartitionedStats(String,boolean,GetStatsOptions)', PARTS, false, OPTIONS),
  call('topics.getPartitionedStats(String,boolean,boolean,boolean,boolean)', PARTS, false, true, true, true),
  call('topics.getPartitionedStats(String,boolean)', TOPIC, true),
  call('topics.getPartitionedInternalStats', PARTS),
  call('topics.getLastMessageId', TOPIC),
  call('topics.getMessageIdByTimestamp', TOPIC, 1),
  call('topics.getMessageIdByIndex', TOPIC, 1),
  call('topics.getBacklogSizeByMessageId', TOPIC, 'earliest'),
  call('topics.examineMessage', TOPIC, 'earliest', 2),
  call('topics.examineMessage', TOPIC, 'latest', 1),
  call('topics.getMessageById', TOPIC, '{ledger}', 1),
  call('topics.getMessagesById', TOPIC, '{ledger}', 2),
  call('topics.getMessageById', TOPIC, '{ledger}', 99),
  call('topics.peekMessages(String,String,int)', TOPIC, 'desk', 3),
  call(
    'topics.peekMessages(String,String,int,boolean,TransactionIsolationLevel)',
    ...[TOPIC, 'desk', 1, false, 'READ_UNCOMMITTED']
  ),
  call('topics.peekMessages(String,String,int)', TOPIC, 'nobody', 1),
  call('topics.analyzeSubscriptionBacklog(String,String,Optional)', TOPIC, 'desk', null),
  call('topics.analyzeSubscriptionBacklog(String,String,Optional,long)', TOPIC, 'desk', '{ledger}:3', 5),
  call('topics.analyzeSubscriptionBacklog(String,String,Optional,Predicate)', TOPIC, 'desk', null, true)
]

const moving: readonly Step[] = [
  call('topics.skipMessages', TOPIC, 'desk', 4),
  call('topics.peekMessages(String,String,int)', TOPIC, 'desk', 1),
  call('topics.resetCursor(String,String,long)', TOPIC, 'desk', 1),
  call('topics.peekMessages(String,String,int)', TOPIC, 'desk', 1),
  call('topics.resetCursor(String,String,MessageId)', TOPIC, 'desk', '{ledger}:5'),
  call('topics.peekMessages(String,String,int)', TOPIC, 'desk', 1),
  call('topics.resetCursor(String,String,MessageId,boolean)', TOPIC, 'desk', '{ledger}:5', true),
  call('topics.peekMessages(String,String,int)', TOPIC, 'desk', 1),
  call('topics.expireMessages(String,String,long)', TOPIC, 'desk', 3600),
  call('topics.expireMessages(String,String,long)', TOPIC, 'nobody', 3600),
  call('topics.expireMessages(String,String,MessageId,boolean)', TOPIC, 'desk', '{ledger}:7', false),
  call('topics.expireMessagesForAllSubscriptions', TOPIC, 3600),
  call('topics.skipAllMessages', TOPIC, 'desk'),
  call('topics.peekMessages(String,String,int)', TOPIC, 'desk', 1),
  call('topics.skipMessages', TOPIC, 'nobody', 1),
  call('topics.deleteSubscription(String,String)', TOPIC, 'late'),
  call('topics.deleteSubscription(String,String,boolean)', TOPIC, 'desk', true),
  call('topics.deleteSubscription(String,String)', TOPIC, 'nobody'),
  call('topics.getSubscriptions', TOPIC),
  call('topics.triggerCompaction', TOPIC),
  measured('topics.compactionStatus', TOPIC),
  call('topics.triggerOffload', TOPIC, 'latest'),
  call('topics.offloadStatus', TOPIC),
  call('topics.trimTopic', TOPIC),
  call('topics.truncate', TOPIC),
  call('topics.unload', TOPIC),
  call('topics.unload', NONE)
]

const shadows: readonly Step[] = [
  call('topics.createShadowTopic(String,String)', SHADOW, TOPIC),
  call('topics.createShadowTopic(String,String,Map)', `${SHADOW}-told`, TOPIC, { team: 'a' }),
  call('topics.getShadowSource', SHADOW),
  call('topics.setShadowTopics', TOPIC, [SHADOW]),
  settled('topics.getShadowTopics', TOPIC),
  call('topics.removeShadowTopics', TOPIC),
  settled('topics.getShadowTopics', TOPIC),
  call('topics.delete(String)', SHADOW),
  call('topics.delete(String,boolean)', `${SHADOW}-told`, true)
]

const ends: readonly Step[] = [
  call('topics.terminateTopic', DESCRIBED),
  call('topics.terminatePartitionedTopic', DESCRIBED_PARTS),
  call('topics.delete(String,boolean,boolean)', DESCRIBED, false, true),
  call('topics.deletePartitionedTopic(String,boolean,boolean)', DESCRIBED_PARTS, false, true),
  call('topics.deletePartitionedTopic(String,boolean)', FLEETING_PARTS, true),
  call('topics.delete(String)', NONE)
]

const ORDERS = { name: 'orders', type: 'AVRO', properties: {} }
const asInfo = (schema: string): object => ({ ...ORDERS, schema: Buffer.from(schema).toString('base64') })
const asPayload = (schema: string): object => ({ type: 'AVRO', schema, properties: {} })

const schemas: readonly Step[] = [
  call('schemas.getSchemaInfo(String)', TOPIC),
  call('schemas.createSchema(String,PostSchemaPayload)', TOPIC, asPayload(RECORD)),
  call('schemas.createSchema(String,SchemaInfo)', TOPIC, asInfo(WIDER)),
  call('schemas.getSchemaInfo(String)', TOPIC),
  call('schemas.getSchemaInfo(String,long)', TOPIC, 0),
  call('schemas.getSchemaInfoWithVersion', TOPIC),
  call('schemas.getSchemaMetadata', TOPIC),
  call('schemas.getAllSchemas', TOPIC),
  call('schemas.getVersionBySchema(String,PostSchemaPayload)', TOPIC, asPayload(RECORD)),
  call('schemas.getVersionBySchema(String,SchemaInfo)', TOPIC, asInfo(WIDER)),
  call('schemas.testCompatibility(String,PostSchemaPayload)', TOPIC, asPayload('{"type":"string"}')),
  call('schemas.testCompatibility(String,SchemaInfo)', TOPIC, asInfo(RECORD)),
  call('schemas.deleteSchema(String)', TOPIC),
  call('schemas.getSchemaInfo(String)', TOPIC),
  call('schemas.deleteSchema(String,boolean)', TOPIC, true)
]

const bundles: readonly Step[] = [
  call('namespaces.unloadNamespaceBundle(String,String)', '{tenant}/halves', LEFT_HALF),
  call('namespaces.splitNamespaceBundle(String,String,boolean,String)', '{tenant}/halves', LEFT_HALF, false, null),
  settled('namespaces.getBundles', '{tenant}/halves'),
  call(
    'namespaces.splitNamespaceBundle(String,String,boolean,String,List)',
    ...['{tenant}/halves', '0x80000000_0xffffffff', false, 'specified_positions_divide', [0xc0000001]]
  ),
  settled('namespaces.getBundles', '{tenant}/halves'),
  call('namespaces.unload', NS),
  call('topics.createSubscription(String,String,MessageId)', PARTS, 'desk', 'earliest'),
  call('namespaces.clearNamespaceBacklog', NS),
  call('namespaces.clearNamespaceBacklogForSubscription', NS, 'desk'),
  call('namespaces.clearNamespaceBundleBacklog', NS, '0x00000000_0x40000000'),
  call('namespaces.clearNamespaceBundleBacklogForSubscription', NS, '0x00000000_0x40000000', 'desk'),
  call('namespaces.unsubscribeNamespaceBundle', NS, '0x00000000_0x40000000', 'desk'),
  call('namespaces.unsubscribeNamespace', NS, 'desk'),
  call('namespaces.unloadNamespaceBundle(String,String,String)', NS, '0x00000000_0x40000000', '{broker}'),
  call('namespaces.deleteNamespaceBundle(String,String)', '{tenant}/eight', '0x00000000_0x20000000'),
  call('namespaces.deleteNamespaceBundle(String,String,boolean)', '{tenant}/eight', '0x20000000_0x40000000', true)
]

const death: readonly Step[] = [
  call('tenants.deleteTenant(String)', '{tenant}'),
  call('namespaces.deleteNamespace(String)', NS),
  call('topics.delete(String,boolean)', FLEETING, true),
  call('topics.deletePartitionedTopic(String)', PARTS),
  call('topics.delete(String,boolean)', TOPIC, true),
  call('topics.getList(String)', NS),
  ...[NS, '{tenant}/eight', '{tenant}/halves', '{tenant}/placed', '{tenant}/none'].map(name =>
    call('namespaces.deleteNamespace(String)', name)
  ),
  call('namespaces.deleteNamespace(String,boolean)', '{tenant}/ruled', true),
  call('namespaces.getNamespaces', '{tenant}'),
  call('tenants.deleteTenant(String,boolean)', '{tenant}', true),
  call('tenants.getTenantInfo', '{tenant}'),
  call('tenants.deleteTenant(String)', '{tenant}')
]

export const javaLife: Life = {
  name: 'java',
  steps: [
    ...[...birth, ...topics, ...reading, ...moving, ...shadows, ...ends, ...schemas],
    ...javaPolicies(NS, `persistent://${NS}/ruled`),
    ...[...javaCluster, ...bundles, ...death]
  ],
  leftOut: [
    { calls: /^(functions|worker|sinks?|sources?|packages)\./, why: 'no part of a tenant that sends messages' },
    { calls: /^brokers\.shutDownBrokerGracefully$/, why: 'it ends the server that the life is led on' },
    { calls: /^metadataMigration\.start$/, why: 'it moves the metadata of a whole cluster away' }
  ]
}
