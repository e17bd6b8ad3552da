import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultBrokerSettings, type BrokerSettings } from '../config/settings.ts'
import { isBrokerError, type BrokerErrorCode } from '../errors.ts'
import { isNamespaceError, type NamespaceErrorCode } from './errors.ts'
import { NamespaceService } from './namespace-service.ts'
import { compileTopicPattern, topicListHash, type TopicListChange } from './topic-lists.ts'
import { TopicName } from './topic-name.ts'

let store: MemoryMetadataStore
let settings: BrokerSettings
let service: NamespaceService

const cluster = {
  serviceUrl: 'http://localhost:8080',
  serviceUrlTls: '',
  brokerServiceUrl: 'pulsar://localhost:6650',
  brokerServiceUrlTls: '',
  peerClusterNames: []
}

beforeEach(async () => {
  store = new MemoryMetadataStore()
  settings = defaultBrokerSettings()
  service = await open()
})

afterEach(async () => {
  await service.close()
  await store.close()
})

function open(): Promise<NamespaceService> {
  return NamespaceService.open({ store, settings, clock: new ManualClock(), cluster })
}

const t = (text: string): TopicName => TopicName.parse(text)
const asBroker = (code: BrokerErrorCode): unknown => expect.toSatisfy((e: unknown) => isBrokerError(e, code))
const asNamespace = (code: NamespaceErrorCode): unknown => expect.toSatisfy((e: unknown) => isNamespaceError(e, code))

describe('tenants and namespaces', () => {
  test('public/default and pulsar/system exist at start, and starting again changes nothing', async () => {
    expect(await service.tenancy.clusters()).toEqual(['standalone'])
    expect(await service.tenancy.tenants()).toEqual(['public', 'pulsar'])
    expect(await service.tenancy.namespacesOf('public')).toEqual(['public/default'])
    await service.tenancy.updateTenant('public', { adminRoles: ['me'], allowedClusters: ['standalone'] })
    const again = await open()
    expect((await again.tenancy.tenant('public'))?.adminRoles).toEqual(['me'])
    await again.close()
  })

  test('namespaces of one tenant are created at the same time', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `public/n${index}`)
    await Promise.all(names.map(name => service.tenancy.createNamespace(name, {})))
    expect((await service.tenancy.namespacesOf('public')).sort()).toEqual(['public/default', ...names].sort())
  })

  test('create and delete, with what stands in the way', async () => {
    const { tenancy } = service
    await expect(tenancy.createNamespace('acme/app', {})).rejects.toEqual(asNamespace('TENANT_NOT_FOUND'))
    await tenancy.createTenant('acme', { adminRoles: [], allowedClusters: ['standalone'] })
    await expect(tenancy.createTenant('acme', { adminRoles: [], allowedClusters: [] })).rejects.toThrow(
      'Tenant already exist'
    )
    await expect(tenancy.createTenant('b', { adminRoles: [], allowedClusters: ['mars'] })).rejects.toThrow(
      'Cluster mars does not exist.'
    )
    await tenancy.createNamespace('acme/app', { bundleCount: 16 })
    await expect(tenancy.createNamespace('acme/app', {})).rejects.toThrow('Namespace already exists')
    await expect(tenancy.deleteTenant('acme')).rejects.toEqual(asNamespace('NOT_EMPTY'))
    await service.policies.set('acme/app', 'messageTTL', 5)
    await tenancy.beginNamespaceDelete('acme/app')
    await expect(service.topics.create(t('acme/app/x'), { partitions: 0 })).rejects.toEqual(
      asNamespace('NAMESPACE_NOT_FOUND')
    )
    await expect(service.policies.set('acme/app', 'messageTTL', 6)).rejects.toEqual(asNamespace('NAMESPACE_NOT_FOUND'))
    await tenancy.finishNamespaceDelete('acme/app')
    await tenancy.deleteTenant('acme')
    expect(await tenancy.tenants()).toEqual(['public', 'pulsar'])
    expect((await store.scan({ prefix: 'policies/' })).records).toEqual([])
  })
})

describe('policies', () => {
  test('settings hold until a namespace says otherwise, and again when it stops', async () => {
    const changed: string[] = []
    service.policies.onChanged(namespace => changed.push(namespace))
    settings.ttlDurationDefaultInSeconds = 60
    expect((await service.policies.effective('public/default')).messageTtlSeconds).toBe(60)
    await service.policies.set('public/default', 'messageTTL', 5)
    expect((await service.policies.effective('public/default')).messageTtlSeconds).toBe(5)
    await service.policies.remove('public/default', 'messageTTL')
    expect((await service.policies.effective('public/default')).messageTtlSeconds).toBe(60)
    expect(await service.policies.get('public/default', 'messageTTL')).toBeUndefined()
    expect(changed).toEqual(['public/default', 'public/default'])
  })

  test('another broker sees a change', async () => {
    const other = await open()
    await other.policies.effective('public/default')
    const seen = new Promise<string>(resolve => other.policies.onChanged(resolve))
    await service.policies.set('public/default', 'retention', { retentionTimeInMinutes: 10, retentionSizeInMB: -1 })
    await seen
    expect((await other.policies.effective('public/default')).retention).toEqual({ timeMs: 600_000, sizeBytes: -1 })
    await other.close()
  })

  test.each([
    ['messageTTL', -1, 'Invalid value for message TTL'],
    ['retention', { retentionTimeInMinutes: 0, retentionSizeInMB: 5 }, 'Setting a single time or size limit'],
    ['autoTopicCreation', { allowAutoTopicCreation: true, topicType: 'odd' }, 'Unknown topic type'],
    ['schemaCompatibilityStrategy', 'SOMEHOW', 'no such schema compatibility strategy']
  ] as const)('%s refuses a bad value', async (name, value, text) => {
    await expect(service.policies.set('public/default', name, value)).rejects.toThrow(text)
  })
})

describe('topic records', () => {
  test('made on first use, once, however many ask', async () => {
    const records = await Promise.all([1, 2, 3].map(() => service.topics.ensure(t('a'), { mayCreate: true })))
    expect(new Set(records.map(record => record.generation)).size).toBe(1)
    expect(records[0]?.partitions).toBe(0)
  })

  test('not made where that is not allowed', async () => {
    await expect(service.topics.ensure(t('a'), { mayCreate: false })).rejects.toEqual(asBroker('TopicNotFound'))
    await expect(service.topics.ensure(t('no/where/a'), { mayCreate: true })).rejects.toEqual(asBroker('TopicNotFound'))
    await service.policies.set('public/default', 'autoTopicCreation', { allowAutoTopicCreation: false })
    await expect(service.topics.ensure(t('a'), { mayCreate: true })).rejects.toEqual(asBroker('TopicNotFound'))
    await expect(service.topics.partitionsOf(t('a'), { mayCreate: true })).rejects.toEqual(asBroker('TopicNotFound'))
  })

  test('a partitioned topic is one record; its base and partitions past the end are refused', async () => {
    await service.topics.create(t('p'), { partitions: 3 })
    const record = await service.topics.ensure(t('p-partition-2'), { mayCreate: true })
    expect(record.name.toString()).toBe('persistent://public/default/p')
    await expect(service.topics.ensure(t('p'), { mayCreate: true })).rejects.toEqual(asBroker('NotAllowedError'))
    await expect(service.topics.ensure(t('p-partition-3'), { mayCreate: true })).rejects.toEqual(
      asBroker('NotAllowedError')
    )
    expect(await service.topics.partitionsOf(t('p'), { mayCreate: false })).toBe(3)
    expect(await service.topics.partitionsOf(t('p-partition-1'), { mayCreate: false })).toBe(0)
    expect(await service.topics.find(t('p-partition-3'))).toBeUndefined()
    await expect(service.topics.create(t('p'), { partitions: 0 })).rejects.toEqual(asNamespace('ALREADY_EXISTS'))
  })

  test('partition metadata: created as policies say, not created for plain topics', async () => {
    expect(await service.topics.partitionsOf(t('plain'), { mayCreate: true })).toBe(0)
    expect(await service.topics.get(t('plain'))).toBeUndefined()
    settings.allowAutoTopicCreationType = 'partitioned'
    settings.defaultNumPartitions = 5
    expect(await service.topics.partitionsOf(t('many'), { mayCreate: true })).toBe(5)
    expect((await service.topics.get(t('many')))?.partitions).toBe(5)
  })

  test('a plain topic may be called like a partition, and then hides no partitioned one', async () => {
    await service.topics.ensure(t('x-partition-0'), { mayCreate: true })
    await expect(service.topics.create(t('x'), { partitions: 2 })).rejects.toEqual(asNamespace('ALREADY_EXISTS'))
  })

  test('deletion: nobody gets in between, a crash leaves a trace, a new topic has a new generation', async () => {
    const first = await service.topics.ensure(t('a'), { mayCreate: true })
    const deleting = await service.topics.beginDelete(t('a'))
    expect((await service.topics.beginDelete(t('a'))).version).toBe(deleting.version)
    await expect(service.topics.ensure(t('a'), { mayCreate: true })).rejects.toEqual(asBroker('ServiceNotReady'))
    await expect(service.topics.partitionsOf(t('a'), { mayCreate: true })).rejects.toEqual(asBroker('MetadataError'))
    expect(await service.lists.list('public/default', { mode: 'ALL' })).toEqual([])
    const left = []
    for await (const record of service.topics.deletions()) left.push(record.generation)
    expect(left).toEqual([first.generation])
    expect(await service.topics.finishDelete(deleting)).toBe(true)
    expect(await service.topics.finishDelete(deleting)).toBe(false)
    const second = await service.topics.ensure(t('a'), { mayCreate: true })
    expect(second.generation).not.toBe(first.generation)
    expect((await store.scan({ prefix: 'topic-deletions/' })).records).toEqual([])
  })

  test('properties and partitions change by compare-and-set', async () => {
    await service.topics.create(t('p'), { partitions: 1, properties: { a: '1' } })
    await Promise.all(
      ['b', 'c'].map(key => service.topics.change(t('p'), now => ({ properties: { ...now.properties, [key]: '2' } })))
    )
    expect((await service.topics.get(t('p')))?.properties).toEqual({ a: '1', b: '2', c: '2' })
  })

  test('limits of the namespace and of partitions', async () => {
    await service.policies.set('public/default', 'maxTopicsPerNamespace', 2)
    await service.topics.create(t('a'), { partitions: 0 })
    await expect(service.topics.create(t('b'), { partitions: 2 })).rejects.toEqual(asNamespace('LIMIT_REACHED'))
    settings.maxNumPartitionsPerPartitionedTopic = 3
    await expect(service.topics.create(t('c'), { partitions: 4 })).rejects.toEqual(asNamespace('LIMIT_REACHED'))
  })

  test('a non-persistent topic stays with the broker that took it over, and cannot be taken twice', async () => {
    const name = t('non-persistent://public/default/n')
    const other = await open()
    const made = await service.topics.create(name, { partitions: 0 })
    const found = await other.topics.ensure(name, { mayCreate: false })
    await other.topics.keep(found)
    await expect(service.topics.keep(found)).rejects.toEqual(asBroker('ServiceNotReady'))
    await service.close()
    expect((await other.topics.get(name))?.generation).toBe(made.generation)
    await other.close()
    service = await open()
    expect(await service.topics.get(name)).toBeUndefined()
  })

  test('a non-persistent topic goes with its broker, a partitioned one stays', async () => {
    await service.topics.create(t('non-persistent://public/default/n'), { partitions: 0 })
    await service.topics.create(t('non-persistent://public/default/np'), { partitions: 2 })
    await service.close()
    service = await open()
    expect(await service.topics.get(t('non-persistent://public/default/n'))).toBeUndefined()
    expect(await service.topics.get(t('non-persistent://public/default/np'))).toBeDefined()
  })
})

describe('lists of topics', () => {
  test('partitions by name, by domain, without system topics', async () => {
    await service.topics.create(t('p'), { partitions: 2 })
    await service.topics.create(t('a'), { partitions: 0 })
    await service.topics.create(t('__change_events'), { partitions: 0 })
    await service.topics.create(t('non-persistent://public/default/n'), { partitions: 0 })
    const prefix = 'persistent://public/default/'
    expect(await service.lists.list('public/default', { mode: 'PERSISTENT' })).toEqual([
      `${prefix}a`,
      `${prefix}p-partition-0`,
      `${prefix}p-partition-1`
    ])
    expect(await service.lists.list('public/default', { mode: 'NON_PERSISTENT' })).toEqual([`non-${prefix}n`])
    expect(await service.lists.list('public/default', { mode: 'ALL', includeSystemTopics: true })).toHaveLength(5)
    expect(await service.lists.listPartitioned('public/default', 'PERSISTENT')).toEqual([`${prefix}p`])
  })

  test.each([
    ['persistent://public/default/p.*', true],
    ['public/default/p', true],
    ['^persistent://public/default/p$', true],
    ['non-persistent://public/default/p', true],
    ['p', false],
    ['public/default/p-partition-0', false]
  ])('pattern %s matches p: %s', (pattern, matches) => {
    expect(compileTopicPattern(pattern, 50).matches(t('p-partition-0'))).toBe(matches)
  })

  test('patterns that are refused', () => {
    expect(() => compileTopicPattern('public/default/(', 50)).toThrow(asBroker('InvalidTopicName'))
    expect(() => compileTopicPattern('http://x/.*', 50)).toThrow(asBroker('InvalidTopicName'))
    expect(() => compileTopicPattern('x'.repeat(51), 50)).toThrow(asBroker('NotAllowedError'))
  })

  test('a pattern that backtracking engines choke on is quick', () => {
    const startedMs = performance.now()
    expect(compileTopicPattern('(a+)+$', 50).matches(t('a'.repeat(1900)))).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(5000)
  })

  test('hash is CRC32C, bytes little-endian', () => {
    // CRC-32C of "123456789" is 0xe3069283
    expect(topicListHash(['123456789'])).toBe('839206e3')
    expect(topicListHash([])).toBe('00000000')
  })

  test('a watch starts with the list and tells what comes and goes', async () => {
    await service.topics.create(t('pa'), { partitions: 0 })
    await service.topics.create(t('other'), { partitions: 0 })
    const changes: TopicListChange[] = []
    let told: () => void = () => undefined
    const pattern = compileTopicPattern('persistent://public/default/p.*', 50)
    const watch = await service.lists.watch('public/default', { mode: 'PERSISTENT', pattern }, change => {
      changes.push(change)
      told()
    })
    const nextChange = (): Promise<void> => new Promise(resolve => (told = resolve))
    expect(watch.topics).toEqual(['persistent://public/default/pa'])
    let next = nextChange()
    await service.topics.create(t('unseen'), { partitions: 0 })
    await service.topics.create(t('pb'), { partitions: 2 })
    await next
    next = nextChange()
    const record = await service.topics.beginDelete(t('pa'))
    await next
    await service.topics.finishDelete(record)
    const partitions = ['persistent://public/default/pb-partition-0', 'persistent://public/default/pb-partition-1']
    expect(changes).toEqual([
      { added: partitions, deleted: [], hash: topicListHash(['persistent://public/default/pa', ...partitions]) },
      { added: [], deleted: ['persistent://public/default/pa'], hash: topicListHash(partitions) }
    ])
    expect(watch.hash).toBe(topicListHash(partitions))
    watch.close()
  })

  test('changes of a long list are gathered, and what came back has not been away', async () => {
    await service.close()
    const clock = new ManualClock()
    service = await NamespaceService.open({ store, settings, clock, cluster })
    for (let i = 0; i < 1010; i++) await service.topics.create(t(`t${i}`), { partitions: 0 })
    const changes: TopicListChange[] = []
    const watch = await service.lists.watch('public/default', { mode: 'ALL' }, change => changes.push(change))
    const seen = new Promise<void>(resolve => {
      void store.watch('topics/', events => {
        if (events.some(event => event.key.endsWith('/last'))) resolve()
      })
    })
    const back = await service.topics.beginDelete(t('t0'))
    await service.topics.finishDelete(back)
    await service.topics.create(t('t0'), { partitions: 0 })
    await service.topics.create(t('last'), { partitions: 0 })
    await seen
    expect(changes).toEqual([])
    clock.advance(200)
    expect(changes).toEqual([{ added: ['persistent://public/default/last'], deleted: [], hash: watch.hash }])
    watch.close()
  })
})
