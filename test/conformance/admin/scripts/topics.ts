// Topics: their life, partitions, stats, messages, subscriptions.
import { ask, make, publish, script, type Script } from '../script.ts'

const BROKEN = { raw: '{"a":' }
const WRONG_TYPE = { raw: '"words"' }
const ABSENT = { vars: { topic: 'absent' } }
const PARTS = '/admin/v2/persistent/{tenant}/{namespace}/parts/partitions'
const OF_PARTS = { vars: { topic: 'parts' } }
const EARLIEST = { ledgerId: -1, entryId: -1 }
const LATEST = { ledgerId: 9223372036854775807n.toString(), entryId: 0 }

const life = script('topic life', [
  ask('PUT @T', 'good'),
  ask('PUT @T', 'again'),
  ask('PUT @T', 'with properties', { vars: { topic: 'with' }, body: { a: '1' } }),
  ask('PUT @T', 'broken body', { vars: { topic: 'broken' }, ...BROKEN }),
  ask('PUT @T', 'wrong type', { vars: { topic: 'wrong' }, ...WRONG_TYPE }),
  ask('PUT @T', 'no namespace', { vars: { namespace: 'absent' } }),
  ask('PUT @T', 'a partition by name', { vars: { topic: 'lone-partition-0' } }),
  ask('GET @T/properties', 'none'),
  ask('GET @T/properties', 'given', { vars: { topic: 'with' } }),
  ask('PUT @T/properties', 'good', { body: { b: '2' } }),
  ask('GET @T/properties', 'set'),
  ask('PUT @T/properties', 'broken body', BROKEN),
  ask('DELETE @T/properties', 'one', { query: 'key=b' }),
  ask('DELETE @T/properties', 'no key'),
  ask('GET @T/properties', 'removed'),
  make('PUT @T/subscription/{subscription}'),
  publish(3),
  ask('PUT @T/unload', 'good'),
  ask('DELETE @T/truncate', 'good'),
  ask('POST @T/trim', 'good'),
  ask('POST @T/terminate', 'good'),
  ask('POST @T/terminate', 'again'),
  ask('POST @T/terminate/partitions', 'not partitioned'),
  ask('DELETE @T', 'with a subscription'),
  ask('DELETE @T', 'by force', { vars: { topic: 'with' }, query: 'force=true' }),
  ask('DELETE @T', 'gone', { vars: { topic: 'with' } })
])

const partitions = script('topic partitions', [
  ask('PUT @T/partitions', 'good', { ...OF_PARTS, body: 2 }),
  ask('PUT @T/partitions', 'again', { ...OF_PARTS, body: 2 }),
  ask('PUT @T/partitions', 'with properties', {
    vars: { topic: 'with' },
    body: { partitions: 1, properties: { a: '1' } },
    type: 'application/vnd.partitioned-topic-metadata+json'
  }),
  ask('PUT @T/partitions', 'zero', { vars: { topic: 'zero' }, body: 0 }),
  ask('PUT @T/partitions', 'no body', { vars: { topic: 'none' } }),
  ask('PUT @T/partitions', 'broken body', { vars: { topic: 'broken' }, ...BROKEN }),
  ask('PUT @T/partitions', 'no namespace', { vars: { namespace: 'absent' }, body: 2 }),
  ask('GET @T/partitions', 'good', OF_PARTS),
  ask('GET @T/partitions', 'with properties', { vars: { topic: 'with' } }),
  ask('GET @T/partitions', 'no topic', ABSENT),
  ask('GET @T/partitions', 'no topic, may be made', {
    vars: { topic: 'absent2' },
    query: 'checkAllowAutoCreation=true'
  }),
  ask('GET @T/partitions', 'no namespace', { vars: { namespace: 'absent' } }),
  ask('GET @T/partitions', 'a partition', { vars: { topic: 'parts-partition-0' } }),
  ask('GET @T/properties', 'partitioned', { vars: { topic: 'with' } }),
  ask('PUT @T/properties', 'partitioned', { ...OF_PARTS, body: { b: '2' } }),
  ask('DELETE @T/properties', 'partitioned', { ...OF_PARTS, query: 'key=b' }),
  make('PUT /admin/v2/persistent/{tenant}/{namespace}/parts/subscription/{subscription}'),
  ask('POST @T/partitions', 'grow', { ...OF_PARTS, body: 3 }),
  ask('POST @T/partitions', 'shrink', { ...OF_PARTS, body: 1 }),
  ask('POST @T/partitions', 'zero', { ...OF_PARTS, body: 0 }),
  ask('POST @T/partitions', 'no topic', { ...ABSENT, body: 3 }),
  ask('POST @T/partitions', 'broken body', { ...OF_PARTS, ...BROKEN }),
  ask('GET @T/subscriptions', 'of all partitions', OF_PARTS),
  ask('GET @T/subscriptions', 'of the new one', { vars: { topic: 'parts-partition-2' } }),
  ask('POST @T/createMissedPartitions', 'good', OF_PARTS),
  ask('POST @T/createMissedPartitions', 'no topic', ABSENT),
  ask('GET @T/partitioned-stats', 'good', OF_PARTS),
  ask('GET @T/partitioned-stats', 'not per partition', { ...OF_PARTS, query: 'perPartition=false' }),
  ask('GET @T/partitioned-stats', 'no topic', ABSENT),
  ask('GET @T/partitioned-internalStats', 'good', OF_PARTS),
  ask('GET @T/partitioned-internalStats', 'no topic', ABSENT),
  ask('GET @T/internal-info', 'partitioned', OF_PARTS),
  ask('GET @T/stats', 'partitioned', OF_PARTS),
  ask('GET @T/internalStats', 'partitioned', OF_PARTS),
  ask('GET @T/lastMessageId', 'partitioned', OF_PARTS),
  ask('GET @T/examinemessage', 'partitioned', OF_PARTS),
  ask('GET @T/backlog', 'partitioned', OF_PARTS),
  ask('GET @T/compaction', 'partitioned', OF_PARTS),
  ask('PUT @T/compaction', 'partitioned', OF_PARTS),
  ask('GET @T/offload', 'partitioned', OF_PARTS),
  ask('PUT @T/offload', 'partitioned', { ...OF_PARTS, body: EARLIEST }),
  ask('GET @T/getMessageIdByIndex', 'partitioned', { ...OF_PARTS, query: 'index=0' }),
  ask('GET @T/messageid/{timestamp}', 'partitioned', { vars: { topic: 'parts', timestamp: '0' } }),
  ask('PUT @T/backlogSize', 'partitioned', { ...OF_PARTS, body: EARLIEST }),
  ask('POST @T/trim', 'partitioned', OF_PARTS),
  ask('DELETE @T/truncate', 'partitioned', OF_PARTS),
  ask('PUT @T/unload', 'partitioned', OF_PARTS),
  ask('POST @T/terminate', 'partitioned', OF_PARTS),
  ask('POST @T/terminate/partitions', 'good', OF_PARTS),
  ask('POST @T/terminate/partitions', 'no topic', ABSENT),
  ask('DELETE @T', 'partitioned', OF_PARTS),
  ask('DELETE @T/partitions', 'with a subscription', OF_PARTS),
  ask('DELETE @T/partitions', 'gone', OF_PARTS),
  ask('DELETE @T/partitions', 'by force', { vars: { topic: 'with' }, query: 'force=true' })
])

const stats = script('topic stats', [
  make('PUT @T'),
  make('PUT @T/subscription/{subscription}'),
  publish(10),
  ask('GET @T/stats', 'with messages'),
  ask('GET @T/stats', 'precise', {
    query: 'getPreciseBacklog=true&subscriptionBacklogSize=true&getEarliestTimeInBacklog=true'
  }),
  ask('GET @T/stats', 'without clients', { query: 'excludePublishers=true&excludeConsumers=true' }),
  ask('GET @T/stats', 'wrong value', { query: 'getPreciseBacklog=words' }),
  ask('GET @T/internalStats', 'with messages'),
  ask('GET @T/internalStats', 'with metadata', { query: 'metadata=true' }),
  ask('GET @T/internal-info', 'with messages'),
  ask('GET @T/partitioned-stats', 'not partitioned'),
  ask('GET @T/partitioned-internalStats', 'not partitioned'),
  ask('PUT @T/backlogSize', 'good', { body: EARLIEST }),
  ask('PUT @T/backlogSize', 'no body'),
  ask('PUT @T/backlogSize', 'broken body', BROKEN),
  ask('GET @T/backlog', 'good'),
  ask('GET @T/lastMessageId', 'good'),
  ask('GET @T/messageid/{timestamp}', 'from the start', { vars: { timestamp: '0' } }),
  ask('GET @T/messageid/{timestamp}', 'past the end', { vars: { timestamp: '9999999999999' } }),
  ask('GET @T/messageid/{timestamp}', 'words', { vars: { timestamp: 'words' } }),
  ask('GET @T/getMessageIdByIndex', 'no index'),
  ask('GET @T/getMessageIdByIndex', 'without entry metadata', { query: 'index=0' }),
  ask('GET @T/compaction', 'never run'),
  ask('GET @T/offload', 'never run'),
  ask('PUT @T/offload', 'no driver', { body: EARLIEST }),
  ask('PUT @T/offload', 'broken body', BROKEN),
  ask('PUT @T/compaction', 'start'),
  ask('GET @T/examinemessage', 'first', { query: 'initialPosition=earliest&messagePosition=1' }),
  ask('GET @T/examinemessage', 'last', { query: 'initialPosition=latest&messagePosition=1' }),
  ask('GET @T/examinemessage', 'odd position', { query: 'initialPosition=other&messagePosition=1' }),
  ask('GET @T/ledger/{ledgerId}/entry/{entryId}', 'no ledger', { vars: { ledgerId: '999999', entryId: '0' } }),
  ask('GET @T/ledger/{ledgerId}/entry/{entryId}', 'words', { vars: { ledgerId: 'words', entryId: '0' } })
])

const empty = script('topic empty', [
  make('PUT @T'),
  ask('GET @T/stats', 'empty'),
  ask('GET @T/internalStats', 'empty'),
  ask('GET @T/lastMessageId', 'empty'),
  ask('GET @T/examinemessage', 'empty', { query: 'initialPosition=earliest&messagePosition=1' }),
  ask('GET @T/messageid/{timestamp}', 'empty', { vars: { timestamp: '0' } }),
  ask('GET @T/subscriptions', 'none'),
  ask('POST @T/terminate', 'empty'),
  ask('DELETE @T', 'good')
])

const S = '@T/subscription/{subName}'
const CREATE = 'PUT @T/subscription/{subscriptionName}'

const subscriptions = script('subscription life', [
  make('PUT @T'),
  publish(5),
  ask(CREATE, 'good'),
  ask(CREATE, 'again'),
  ask(CREATE, 'from the start', { vars: { subscriptionName: 'first' }, body: EARLIEST }),
  ask(CREATE, 'from the end', {
    vars: { subscriptionName: 'last' },
    raw: `{"ledgerId":${LATEST.ledgerId},"entryId":${LATEST.ledgerId}}`
  }),
  ask(CREATE, 'with properties', {
    vars: { subscriptionName: 'with' },
    body: { ...EARLIEST, properties: { a: '1' } }
  }),
  ask(CREATE, 'broken body', { vars: { subscriptionName: 'broken' }, ...BROKEN }),
  ask(CREATE, 'replicated', { vars: { subscriptionName: 'copied' }, query: 'replicated=true', body: EARLIEST }),
  ask('GET @T/subscriptions', 'all'),
  ask('GET @T/stats', 'with subscriptions'),
  ask(`GET ${S}/properties`, 'none'),
  ask(`GET ${S}/properties`, 'given', { vars: { subName: 'with' } }),
  ask(`PUT ${S}/properties`, 'good', { body: { b: '2' } }),
  ask(`GET ${S}/properties`, 'set'),
  ask(`PUT ${S}/properties`, 'broken body', BROKEN),
  ask(`GET ${S}/properties`, 'no subscription', { vars: { subName: 'absent-1' } }),
  ask(`PUT ${S}/properties`, 'no subscription', { vars: { subName: 'absent-2' }, body: {} }),
  ask(`GET ${S}/position/{messagePosition}`, 'first', { vars: { subName: 'first', messagePosition: '1' } }),
  ask(`GET ${S}/position/{messagePosition}`, 'past the end', { vars: { subName: 'first', messagePosition: '99' } }),
  ask(`GET ${S}/position/{messagePosition}`, 'zero', { vars: { subName: 'first', messagePosition: '0' } }),
  ask(`GET ${S}/position/{messagePosition}`, 'words', { vars: { subName: 'first', messagePosition: 'words' } }),
  ask(`POST ${S}/analyzeBacklog`, 'good', { vars: { subName: 'first' } }),
  ask(`POST ${S}/analyzeBacklog`, 'no subscription', { vars: { subName: 'absent-4' } }),
  ask(`GET ${S}/replicatedSubscriptionStatus`, 'off'),
  ask(`POST ${S}/replicatedSubscriptionStatus`, 'on', { body: true }),
  ask(`GET ${S}/replicatedSubscriptionStatus`, 'on'),
  ask(`POST ${S}/replicatedSubscriptionStatus`, 'broken body', BROKEN),
  ask(`GET ${S}/replicatedSubscriptionStatus`, 'no subscription', { vars: { subName: 'absent-5' } }),
  ask(`POST ${S}/replicatedSubscriptionStatus`, 'no subscription', { vars: { subName: 'absent-6' }, body: true }),
  ask(`POST ${S}/skip/{numMessages}`, 'two', { vars: { subName: 'first', numMessages: '2' } }),
  ask(`POST ${S}/skip/{numMessages}`, 'words', { vars: { subName: 'first', numMessages: 'words' } }),
  ask(`POST ${S}/skip/{numMessages}`, 'no subscription', { vars: { subName: 'absent-7', numMessages: '1' } }),
  ask('GET @T/stats', 'two skipped'),
  ask(`POST ${S}/expireMessages/{expireTimeInSeconds}`, 'none so old', {
    vars: { subName: 'first', expireTimeInSeconds: '3600' }
  }),
  ask(`POST ${S}/expireMessages/{expireTimeInSeconds}`, 'negative', {
    vars: { subName: 'first', expireTimeInSeconds: '-1' }
  }),
  ask(`POST ${S}/expireMessages/{expireTimeInSeconds}`, 'no subscription', {
    vars: { subName: 'absent-8', expireTimeInSeconds: '1' }
  }),
  ask(`POST ${S}/expireMessages`, 'to the start', { vars: { subName: 'first' }, body: EARLIEST }),
  ask(`POST ${S}/expireMessages`, 'broken body', { vars: { subName: 'first' }, ...BROKEN }),
  ask(`POST ${S}/expireMessages`, 'no subscription', { vars: { subName: 'absent-9' }, body: EARLIEST }),
  ask('POST @T/all_subscription/expireMessages/{expireTimeInSeconds}', 'none so old', {
    vars: { expireTimeInSeconds: '3600' }
  }),
  ask('POST @T/all_subscription/expireMessages/{expireTimeInSeconds}', 'words', {
    vars: { expireTimeInSeconds: 'words' }
  }),
  ask(`POST ${S}/resetcursor`, 'to the start', { vars: { subName: 'last' }, body: EARLIEST }),
  ask(`POST ${S}/resetcursor`, 'broken body', { vars: { subName: 'last' }, ...BROKEN }),
  ask(`POST ${S}/resetcursor`, 'no body', { vars: { subName: 'last' } }),
  ask(`POST ${S}/resetcursor`, 'no subscription', { vars: { subName: 'absent-10' }, body: EARLIEST }),
  ask(`POST ${S}/resetcursor/{timestamp}`, 'to the start', { vars: { subName: 'sub', timestamp: '1' } }),
  ask(`POST ${S}/resetcursor/{timestamp}`, 'words', { vars: { subName: 'sub', timestamp: 'words' } }),
  ask(`POST ${S}/resetcursor/{timestamp}`, 'no subscription', { vars: { subName: 'absent-11', timestamp: '0' } }),
  ask(`POST ${S}/skip_all`, 'good'),
  ask(`POST ${S}/skip_all`, 'no subscription', { vars: { subName: 'absent-12' } }),
  ask('GET @T/backlog', 'some subscriptions'),
  ask(`DELETE ${S}`, 'good'),
  ask(`DELETE ${S}`, 'gone'),
  ask(`DELETE ${S}`, 'by force', { vars: { subName: 'first' }, query: 'force=true' }),
  // Pulsar makes one: nothing that comes after looks at it
  ask(`GET ${S}/position/{messagePosition}`, 'no subscription', {
    vars: { subName: 'absent-3', messagePosition: '1' }
  })
])

const ofParts = { vars: { topic: 'parts', subscriptionName: 'sub' } }
const partSubscriptions = script('subscription of partitions', [
  { kind: 'request', method: 'PUT', path: PARTS, body: 2 },
  ask(CREATE, 'good', ofParts),
  ask(CREATE, 'again', ofParts),
  ask('GET @T/subscriptions', 'one', OF_PARTS),
  ask(`GET ${S}/properties`, 'none', OF_PARTS),
  ask(`PUT ${S}/properties`, 'good', { ...OF_PARTS, body: { b: '2' } }),
  ask(`POST ${S}/skip/{numMessages}`, 'refused', { vars: { topic: 'parts', numMessages: '1' } }),
  ask(`POST ${S}/skip_all`, 'good', OF_PARTS),
  ask(`GET ${S}/position/{messagePosition}`, 'refused', { vars: { topic: 'parts', messagePosition: '1' } }),
  ask(`POST ${S}/analyzeBacklog`, 'refused', OF_PARTS),
  ask(`GET ${S}/replicatedSubscriptionStatus`, 'off', OF_PARTS),
  ask(`POST ${S}/resetcursor`, 'a position', { ...OF_PARTS, body: { ledgerId: 1, entryId: 1 } }),
  ask(`POST ${S}/resetcursor/{timestamp}`, 'good', { vars: { topic: 'parts', timestamp: '1' } }),
  ask(`POST ${S}/expireMessages/{expireTimeInSeconds}`, 'good', {
    vars: { topic: 'parts', expireTimeInSeconds: '3600' }
  }),
  ask(`POST ${S}/expireMessages`, 'a position', { ...OF_PARTS, body: EARLIEST }),
  ask(`DELETE ${S}`, 'good', OF_PARTS),
  ask(`DELETE ${S}`, 'gone', OF_PARTS)
])

export const topics: readonly Script[] = [life, partitions, stats, empty, subscriptions, partSubscriptions]
