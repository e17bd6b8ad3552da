import { strict as assert } from 'node:assert'
import { CommandSubscribe_SubType, Schema_Type, ServerError } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { TopicName } from '../namespace/topic-name.ts'
import { BrokerWorld } from './testing/broker-world.ts'
import { describe as shown, type RawClient } from './testing/raw-client.ts'

const TOPIC = 'persistent://public/default/o'

let world: BrokerWorld
let client: RawClient

beforeEach(async () => {
  world = await BrokerWorld.start()
  client = await world.connect()
})

afterEach(async () => {
  await world.close()
})

describe('LOOKUP', () => {
  const lookup = async (init: object = {}): Promise<{ response: number; error: number; message: string }> => {
    const answer = await client.request('lookupTopic', { topic: TOPIC, ...init })
    assert.ok(answer.case === 'lookupTopicResponse', shown(answer))
    return answer.value
  }

  test('neither needs nor makes the topic, also for a pattern as a name', async () => {
    assert.equal((await lookup({ topic: 'persistent://public/default/a.*|b+' })).response, 1)
    assert.equal(await world.broker.namespaces.topics.get(TopicName.parse(TOPIC)), undefined)
  })

  test('a name that is none fails in the answer', async () => {
    const { response, error, message } = await lookup({ topic: 'x://y' })
    assert.deepEqual([response, error], [2, ServerError.InvalidTopicName])
    assert.notEqual(message, '')
  })

  test('an unknown listener fails in the words that clients look for; an empty one is none', async () => {
    const { error, message } = await lookup({ advertisedListenerName: 'test' })
    assert.equal(error, ServerError.ServiceNotReady)
    assert.match(message, /the broker do not have test listener/)
    assert.equal((await lookup({ advertisedListenerName: '' })).response, 1)
  })

  test('too many at once are told so', async () => {
    world.settings.maxConcurrentLookupRequest = 0
    assert.equal((await lookup()).error, ServerError.TooManyRequests)
  })
})

describe('PARTITIONED_METADATA', () => {
  const metadata = async (
    init: object
  ): Promise<{ partitions: number; response: number; error: number; raw: string[] }> => {
    const answer = await client.request('partitionMetadata', { topic: TOPIC, ...init })
    assert.ok(answer.case === 'partitionMetadataResponse', shown(answer))
    return { ...answer.value, raw: Object.keys(answer.value) }
  }

  test('a topic that may be made answers 0, with both fields on the wire', async () => {
    const { partitions, response, raw } = await metadata({})
    assert.deepEqual([partitions, response], [0, 0])
    assert.ok(raw.includes('partitions') && raw.includes('response'))
  })

  test('without creation an unknown topic is not found', async () => {
    assert.equal((await metadata({ metadataAutoCreationEnabled: false })).error, ServerError.TopicNotFound)
  })

  test('makes a partitioned topic where settings say so', async () => {
    world.settings.allowAutoTopicCreationType = 'partitioned'
    world.settings.defaultNumPartitions = 3
    assert.equal((await metadata({})).partitions, 3)
    assert.equal((await metadata({ topic: `${TOPIC}-partition-1` })).partitions, 0)
  })

  test('a metadata store that fails is a MetadataError, never ServiceNotReady', async () => {
    await world.metadata.close()
    const { response, error } = await metadata({})
    assert.deepEqual([response, error], [1, ServerError.MetadataError])
  })
})

describe('listing topics', () => {
  beforeEach(async () => {
    const { topics } = world.broker.namespaces
    await topics.create(TopicName.parse('persistent://public/default/alpha'), { partitions: 0 })
    await topics.create(TopicName.parse('persistent://public/default/beta'), { partitions: 2 })
  })

  const list = async (
    init: object = {}
  ): Promise<{ topics: string[]; filtered: boolean; changed: boolean; topicsHash: string }> => {
    const answer = await client.request('getTopicsOfNamespace', { namespace: 'public/default', mode: 0, ...init })
    assert.ok(answer.case === 'getTopicsOfNamespaceResponse', shown(answer))
    return answer.value
  }

  test('gives partitions by name, and an empty list when the hash is known', async () => {
    const all = await list()
    assert.deepEqual(all.topics, [
      'persistent://public/default/alpha',
      'persistent://public/default/beta-partition-0',
      'persistent://public/default/beta-partition-1'
    ])
    const again = await list({ topicsHash: all.topicsHash })
    assert.deepEqual([again.changed, again.topics], [false, []])
  })

  test('a pattern filters; one that is too long does not, and the answer says so', async () => {
    const short = await list({ topicsPattern: 'persistent://public/default/al.*' })
    assert.deepEqual([short.filtered, short.topics], [true, ['persistent://public/default/alpha']])
    const long = await list({ topicsPattern: `persistent://public/default/al.*${'a?'.repeat(30)}` })
    assert.deepEqual([long.filtered, long.topics.length], [false, 3])
    const invalid = await client.request('getTopicsOfNamespace', { namespace: 'public/default', topicsPattern: '(' })
    assert.equal(invalid.case === 'error' && invalid.value.error, ServerError.InvalidTopicName)
  })

  test('a watcher gets the list, then changes, until it is closed', async () => {
    const watch = { watcherId: 7n, namespace: 'public/default', topicsPattern: 'public/default/.*' }
    const begun = await client.request('watchTopicList', watch)
    assert.ok(begun.case === 'watchTopicListSuccess', shown(begun))
    assert.equal(begun.value.topic.length, 3)
    const known = await client.request('watchTopicList', { ...watch, topicsHash: begun.value.topicsHash })
    assert.ok(known.case === 'watchTopicListSuccess')
    assert.deepEqual(known.value.topic, [])
    await client.producer('persistent://public/default/gamma')
    const update = await client.next('watchTopicUpdate')
    assert.deepEqual([update.watcherId, update.newTopics], [7n, ['persistent://public/default/gamma']])
    assert.equal((await client.request('watchTopicListClose', { watcherId: 7n })).case, 'success')
    await client.producer('persistent://public/default/delta', { producerId: 1n })
    await client.settle()
    assert.deepEqual(client.inbox, [])
  })

  test('a watcher with a long pattern, or where watching is off, is refused', async () => {
    const watch = { watcherId: 7n, namespace: 'public/default', topicsPattern: 'a'.repeat(51) }
    for (const init of [watch, { ...watch, topicsPattern: 'a.*' }]) {
      const answer = await client.request('watchTopicList', init)
      assert.equal(answer.case === 'error' && answer.value.error, ServerError.NotAllowedError)
      world.settings.enableBrokerTopicListWatcher = false
    }
  })
})

describe('schemas', () => {
  const STRING = { name: 's', schemaData: new Uint8Array(0), type: Schema_Type.String }
  const BYTES_ZERO = Buffer.alloc(8)
  const json = (field: string) => ({
    name: 'j',
    schemaData: Buffer.from(JSON.stringify({ type: 'record', name: 'R', fields: [{ name: field, type: 'string' }] })),
    type: Schema_Type.Json
  })

  test('a producer registers its schema and is told its version; GET_SCHEMA gives it', async () => {
    const created = await client.producer(TOPIC, { schema: STRING })
    assert.deepEqual(Buffer.from(created.schemaVersion), BYTES_ZERO)
    const found = await client.request('getSchema', { topic: TOPIC })
    assert.ok(found.case === 'getSchemaResponse')
    assert.equal(found.value.schema?.type, 1)
    const byVersion = await client.request('getSchema', { topic: TOPIC, schemaVersion: created.schemaVersion })
    assert.equal(byVersion.case === 'getSchemaResponse' && byVersion.value.schema?.type, 1)
    const empty = await client.request('getSchema', { topic: TOPIC, schemaVersion: new Uint8Array(0) })
    assert.equal(empty.case === 'getSchemaResponse' && empty.value.errorCode, ServerError.IncompatibleSchema)
    const none = await client.request('getSchema', { topic: `${TOPIC}-none` })
    assert.equal(none.case === 'getSchemaResponse' && none.value.errorCode, ServerError.TopicNotFound)
  })

  test('a schema of another type is refused', async () => {
    await client.producer(TOPIC, { schema: STRING })
    const answer = await client.request('producer', { topic: TOPIC, producerId: 1n, schema: json('a') })
    assert.equal(answer.case === 'error' && answer.value.error, ServerError.IncompatibleSchema)
  })

  test('a consumer registers only where nobody and nothing is; AUTO_CONSUME is never checked', async () => {
    const request = { topic: TOPIC, subscription: 's', subType: CommandSubscribe_SubType.Shared, schema: STRING }
    assert.equal((await client.request('subscribe', { ...request, consumerId: 0n })).case, 'success')
    assert.equal((await client.request('getSchema', { topic: TOPIC })).case, 'getSchemaResponse')
    const other = `${TOPIC}2`
    await client.producer(other)
    const refused = await client.request('subscribe', { ...request, topic: other, consumerId: 1n })
    assert.equal(refused.case === 'error' && refused.value.error, ServerError.IncompatibleSchema)
    const auto = { ...request, topic: other, consumerId: 1n, schema: { ...STRING, type: Schema_Type.AutoConsume } }
    assert.equal((await client.request('subscribe', auto)).case, 'success')
  })

  test('one that takes any schema does not stand in the way of the first schema', async () => {
    const auto = { ...STRING, type: Schema_Type.AutoConsume }
    const request = { topic: TOPIC, subscription: 's', subType: CommandSubscribe_SubType.Shared }
    assert.equal((await client.request('subscribe', { ...request, consumerId: 0n, schema: auto })).case, 'success')
    assert.equal((await client.request('subscribe', { ...request, consumerId: 1n, schema: json('a') })).case, 'success')
    const found = await client.request('getSchema', { topic: TOPIC })
    assert.equal(found.case === 'getSchemaResponse' && found.value.schema?.type, Schema_Type.Json)
    assert.equal(found.case === 'getSchemaResponse' && found.value.schema?.name, 'public/default/o')
  })

  test('a producer registers further versions for the messages that it writes with them', async () => {
    const withDefault = (...names: string[]) => {
      const fields = names.map(name => ({ name, type: 'int', default: 0 }))
      const schemaData = Buffer.from(JSON.stringify({ type: 'record', name: 'R', fields }))
      return { name: 'j', type: Schema_Type.Json, schemaData }
    }
    await client.producer(TOPIC, { schema: withDefault('a') })
    const versions: string[] = []
    for (const names of [['a', 'b'], ['a'], ['a', 'b', 'c']]) {
      const answer = await client.request('getOrCreateSchema', { topic: TOPIC, schema: withDefault(...names) })
      assert.ok(answer.case === 'getOrCreateSchemaResponse')
      versions.push(Buffer.from(answer.value.schemaVersion).toString('hex').slice(-2))
    }
    assert.deepEqual(versions, ['01', '00', '02'])
    const first = await client.request('getSchema', { topic: TOPIC, schemaVersion: BYTES_ZERO })
    assert.ok(first.case === 'getSchemaResponse')
    assert.match(Buffer.from(first.value.schema?.schemaData ?? []).toString(), /"a"/)
    assert.doesNotMatch(Buffer.from(first.value.schema?.schemaData ?? []).toString(), /"b"/)
  })

  test('an incompatible schema is refused with the field and the reason', async () => {
    await client.producer(TOPIC, { schema: json('a') })
    const answer = await client.request('producer', { topic: TOPIC, producerId: 9n, schema: json('b') })
    assert.ok(answer.case === 'error')
    assert.match(answer.value.message, /field 'b' has no default and is missing on the other side/)
  })

  test('GET_OR_CREATE_SCHEMA needs the topic to be loaded', async () => {
    const early = await client.request('getOrCreateSchema', { topic: TOPIC, schema: STRING })
    assert.equal(early.case === 'getOrCreateSchemaResponse' && early.value.errorCode, ServerError.TopicNotFound)
    await client.producer(TOPIC)
    const created = await client.request('getOrCreateSchema', { topic: TOPIC, schema: STRING })
    assert.ok(created.case === 'getOrCreateSchemaResponse')
    assert.deepEqual(Buffer.from(created.value.schemaVersion), BYTES_ZERO)
    const other = await client.request('getOrCreateSchema', { topic: TOPIC, schema: json('a') })
    assert.equal(other.case === 'getOrCreateSchemaResponse' && other.value.errorCode, ServerError.IncompatibleSchema)
  })

  test('where validation is enforced a producer needs one', async () => {
    world.settings.isSchemaValidationEnforced = true
    await client.producer(TOPIC, { schema: STRING })
    const answer = await client.request('producer', { topic: TOPIC, producerId: 1n })
    assert.equal(answer.case === 'error' && answer.value.error, ServerError.IncompatibleSchema)
    const none = { ...STRING, type: Schema_Type.None }
    const later = await client.request('getOrCreateSchema', { topic: TOPIC, schema: none })
    assert.equal(later.case === 'getOrCreateSchemaResponse' && later.value.errorCode, ServerError.IncompatibleSchema)
  })
})

describe('what is switched off', () => {
  test('transactions answer NotAllowedError', async () => {
    const txn = { txnidLeastBits: 1n, txnidMostBits: 1n }
    const answers = [
      await client.request('tcClientConnectRequest', { tcId: 0n }),
      await client.request('newTxn', { tcId: 0n }),
      await client.request('addPartitionToTxn', txn),
      await client.request('addSubscriptionToTxn', txn),
      await client.request('endTxn', { ...txn, txnAction: 0 })
    ]
    for (const answer of answers)
      assert.equal(answer.case === 'error' && answer.value.error, ServerError.NotAllowedError)
  })

  test('scalable topics answer in their own way, their closes with silence', async () => {
    client.send('scalableTopicLookup', { sessionId: 3n, topic: TOPIC })
    assert.equal((await client.next('scalableTopicUpdate')).error, ServerError.NotAllowedError)
    client.send('watchScalableTopics', { watchId: 4n, namespace: 'public/default' })
    assert.equal((await client.next('watchScalableTopicsUpdate')).error, ServerError.NotAllowedError)
    client.send('watchTcAssignments', { watchId: 5n })
    assert.equal((await client.next('watchTcAssignmentsUpdate')).error, ServerError.NotAllowedError)
    client.send('scalableTopicClose', { sessionId: 3n })
    client.send('watchScalableTopicsClose', { watchId: 4n })
    client.send('watchTcAssignmentsClose', { watchId: 5n })
    await client.settle()
    assert.deepEqual(client.inbox, [])
  })
})
