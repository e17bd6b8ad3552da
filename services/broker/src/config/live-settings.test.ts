import { eventually } from '@strata/base/testing'
import type { PulsarClient, ConsumerOptions } from '@strata/client'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { AdminWorld } from '../admin/testing/admin-world.ts'
import { eachTestWith } from '../admin/testing/each-test.ts'
import { balanceSettingsOf, weightsOf } from '../balance/settings.ts'
import { parseExposition } from '../metrics/testing/exposition.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { PersistentTopic } from '../topic/persistent-topic.ts'
import type { Topic } from '../topic/topic.ts'
import type { BrokerSettings } from './settings.ts'

type Key = keyof BrokerSettings

/** Changes of settings by HTTP while the broker runs: what is done differently from then on, and again when they go. */
let admin: AdminWorld
let client: PulsarClient
let name: string
let count = 0

eachTestWith(given => ({ admin, client, name } = given))

afterEach(async () => {
  const set = (await admin.call('GET', 'brokers/configuration/values')).body as Record<string, string>
  for (const key of Object.keys(set)) await remove(key)
})

async function set(key: Key, value: string | number | boolean): Promise<void> {
  expect(await admin.told('POST', `brokers/configuration/${key}/${value}`)).toBe('200')
}

async function remove(key: string): Promise<void> {
  expect(await admin.told('DELETE', `brokers/configuration/${key}`)).toBe('200')
}

async function publish(topic: string, texts: readonly string[]): Promise<void> {
  const producer = await client.createProducer({ topic, batching: { enabled: false } })
  for (const text of texts) await producer.send({ data: Buffer.from(text) })
  await producer.close()
}

const texts = (length: number): string[] => Array.from({ length }, (_, index) => String(index))

async function loaded(topic = name): Promise<Topic> {
  return admin.world.broker.topics.load(TopicName.parse(`persistent://public/default/${topic}`), { mayCreate: true })
}

async function stats(topic = name): Promise<Record<string, unknown>> {
  return (await admin.call('GET', `${admin.topic(topic)}/stats`)).body as Record<string, unknown>
}

/** How it goes: before the change, with it, and when it is gone. */
async function three<Seen>(key: Key, value: string | number | boolean, see: () => Promise<Seen>): Promise<Seen[]> {
  const before = await see()
  await set(key, value)
  const changed = await see()
  await remove(key)
  return [before, changed, await see()]
}

async function outcome(done: Promise<unknown>): Promise<'taken' | 'refused'> {
  try {
    await done
    return 'taken'
  } catch {
    return 'refused'
  }
}

describe('what topics in memory go by', () => {
  const rows: [Key, string | number | boolean, (topic: Topic) => unknown][] = [
    ['dispatchThrottlingRatePerTopicInMsg', 5, ({ policies }) => policies.dispatchRate.messagesPerSecond],
    ['dispatchThrottlingRatePerTopicInByte', 5, ({ policies }) => policies.dispatchRate.bytesPerSecond],
    ['dispatchThrottlingRateRelativeToPublishRate', true, ({ policies }) => policies.dispatchRate.isRelative],
    [
      'dispatchThrottlingRatePerSubscriptionInMsg',
      5,
      ({ policies }) => policies.subscriptionDispatchRate.messagesPerSecond
    ],
    [
      'dispatchThrottlingRatePerSubscriptionInByte',
      5,
      ({ policies }) => policies.subscriptionDispatchRate.bytesPerSecond
    ],
    ['subscribeRatePeriodPerConsumerInSecond', 7, ({ policies }) => policies.subscribeRate.periodMs],
    ['isAllowAutoUpdateSchemaEnabled', false, ({ policies }) => policies.isAllowAutoUpdateSchema],
    ['isSchemaValidationEnforced', true, ({ policies }) => policies.schemaValidationEnforced],
    ['managedLedgerDefaultMarkDeleteRateLimit', 10, ({ policies }) => policies.persistence.cursorFlushMs],
    ['brokerDeleteInactiveTopicsMode', 'delete_when_subscriptions_caught_up', p => p.policies.inactiveTopics.mode],
    ['brokerDeleteInactiveTopicsFrequencySeconds', 7, p => p.policies.inactiveTopics.maxInactiveSeconds],
    ['subscriptionExpirationTimeMinutes', 7, ({ policies }) => policies.subscriptionExpirationMinutes]
  ]
  test.each(rows)('%s', async (key, value, see) => {
    const topic = await loaded()
    const before = see(topic)
    await set(key, value)
    await eventually(() => {
      expect(see(topic)).not.toEqual(before)
    })
    await remove(key)
    await eventually(() => {
      expect(see(topic)).toEqual(before)
    })
  })
})

describe('who is refused', () => {
  const two = async (first: () => Promise<unknown>, second = first): Promise<string> => {
    await first()
    return outcome(second())
  }
  const produce = (topic = `${name}-${++count}`): Promise<unknown> => client.createProducer({ topic })
  const subscribe = (options: Partial<ConsumerOptions> = {}): Promise<unknown> =>
    client.subscribe({ topic: name, subscription: 's', type: 'shared', ...options })
  const rows: [Key, string | number | boolean, () => Promise<string>][] = [
    ['maxProducersPerTopic', 1, () => (count++, two(produce.bind(undefined, `p${count}`)))],
    ['encryptionRequireOnProducer', true, () => outcome(produce())],
    ['enablePersistentTopics', false, () => outcome(produce())],
    ['enableNonPersistentTopics', false, () => outcome(produce(`non-persistent://public/default/n${++count}`))],
    ['allowAutoTopicCreation', false, () => outcome(produce())]
  ]
  test.each(rows)('%s', async (key, value, see) => {
    expect(await three(key, value, see)).toEqual(['taken', 'refused', 'taken'])
  })

  test.each(['maxConsumersPerTopic', 'maxConsumersPerSubscription'] as const)('%s', async key => {
    await subscribe()
    expect(await three(key, 1, () => outcome(subscribe()))).toEqual(['taken', 'refused', 'taken'])
  })

  test('maxSubscriptionsPerTopic', async () => {
    await subscribe()
    const see = (): Promise<string> => outcome(subscribe({ subscription: `s${++count}` }))
    expect(await three('maxSubscriptionsPerTopic', 1, see)).toEqual(['taken', 'refused', 'taken'])
  })

  test('allowAutoSubscriptionCreation', async () => {
    await publish(name, ['a'])
    const see = (): Promise<string> => outcome(subscribe({ subscription: `s${++count}` }))
    expect(await three('allowAutoSubscriptionCreation', false, see)).toEqual(['taken', 'refused', 'taken'])
  })

  test.each([
    ['forceDeleteTenantAllowed', 'tenants'],
    ['forceDeleteNamespaceAllowed', 'namespaces']
  ] as const)('%s', async (key, kind) => {
    const see = async (): Promise<number> => {
      const tenant = `w${++count}`
      await admin.call('PUT', `tenants/${tenant}`, { adminRoles: [], allowedClusters: ['standalone'] })
      await admin.call('PUT', `namespaces/${tenant}/n`, {})
      const path = kind === 'tenants' ? tenant : `${tenant}/n`
      return (await admin.call('DELETE', `${kind}/${path}?force=true`)).status
    }
    expect(await three(key, true, see)).toEqual([405, 204, 405])
  })

  test('maxNumPartitionsPerPartitionedTopic', async () => {
    const see = async (): Promise<boolean> =>
      (await admin.call('PUT', `${admin.topic(`p${++count}`)}/partitions`, 3)).status === 204
    expect(await three('maxNumPartitionsPerPartitionedTopic', 2, see)).toEqual([true, false, true])
  })
})

describe('what is created', () => {
  const partitions = async (): Promise<unknown> => {
    const topic = `p${++count}`
    await client.createProducer({ topic })
    return ((await admin.call('GET', `${admin.topic(topic)}/partitions`)).body as { partitions: number }).partitions
  }

  test('allowAutoTopicCreationType', async () => {
    expect(await three('allowAutoTopicCreationType', 'partitioned', partitions)).toEqual([0, 1, 0])
  })

  test('defaultNumPartitions', async () => {
    await set('allowAutoTopicCreationType', 'partitioned')
    expect(await three('defaultNumPartitions', 3, partitions)).toEqual([1, 3, 1])
  })

  test('managedLedgerMaxSizePerLedgerMbytes', async () => {
    await set('managedLedgerMinLedgerRolloverTimeMinutes', 0)
    const see = async (): Promise<boolean> => {
      const topic = `l${++count}`
      const { log } = await loaded(topic)
      const ledgers = new Set<number | undefined>()
      for (let large = 0; large < 4; large++) {
        await publish(topic, ['x'.repeat(700_000)])
        ledgers.add(log?.lastConfirmed.ledgerId)
      }
      return ledgers.size > 1
    }
    expect(await three('managedLedgerMaxSizePerLedgerMbytes', 1, see)).toEqual([false, true, false])
  })
})

describe('how messages go out', () => {
  test.each([
    ['dispatcherMaxReadBatchSize', 2, 'entriesMax'],
    ['dispatcherMaxReadSizeBytes', 2048, 'bytesMax']
  ] as const)('%s', async (key, value, limit) => {
    await publish(name, texts(20))
    const { log } = await loaded()
    const read = vi.spyOn(log as NonNullable<typeof log>, 'readCached')
    const see = async (): Promise<number> => {
      read.mockClear()
      const consumer = await client.subscribe({ topic: name, subscription: `s${++count}`, initialPosition: 'earliest' })
      for (let index = 0; index < 20; index++) await consumer.receive(5000)
      await consumer.close()
      return Math.max(...read.mock.calls.map(([, limits]) => limits[limit]))
    }
    const [before, changed, after] = await three(key, value, see)
    expect(before).toBeGreaterThan(value)
    expect(changed).toBe(value)
    expect(after).toBe(before)
    read.mockRestore()
  })

  test.each([
    ['subscriptionKeySharedUseConsistentHashing', false, 1],
    ['subscriptionKeySharedConsistentHashingReplicaPoints', 3, 4]
  ] as const)('%s', async (key, value, ranges) => {
    const see = async (): Promise<number> => {
      const topic = `k${++count}`
      for (const consumer of ['a', 'b'])
        await client.subscribe({ topic, subscription: 's', type: 'key-shared', name: consumer })
      const { subscriptions } = (await stats(topic)) as {
        subscriptions: { s: { consumers: { keyHashRanges: string[] }[] } }
      }
      return Math.max(...subscriptions.s.consumers.map(({ keyHashRanges }) => keyHashRanges.length))
    }
    const [before, changed, after] = await three(key, value, see)
    expect(before).toBeGreaterThan(ranges)
    expect(changed).toBeLessThanOrEqual(ranges)
    expect(after).toBe(before)
  })

  test('acknowledgmentAtBatchIndexLevelEnabled', async () => {
    const see = async (): Promise<string> => {
      const topic = `b${++count}`
      const options: ConsumerOptions = { topic, subscription: 's', type: 'shared', batchIndexAcks: true, ackGroupMs: 0 }
      const consumer = await client.subscribe({ ...options, ackReceipts: true })
      const producer = await client.createProducer({ topic, batching: { enabled: true, delayMaxMs: 50 } })
      await Promise.all(['0', '1'].map(text => producer.send({ data: Buffer.from(text) })))
      await consumer.acknowledge(await consumer.receive(5000))
      await consumer.close()
      return (await (await client.subscribe(options)).receive(5000)).text
    }
    expect(await three('acknowledgmentAtBatchIndexLevelEnabled', false, see)).toEqual(['1', '0', '1'])
  })

  test('activeConsumerFailoverDelayTimeMillis', async () => {
    /** Whether one that takes over beside others gets at once what comes; it gets it in any case. */
    const see = async (): Promise<boolean> => {
      const topic = `f${++count}`
      const names = ['a', 'b', 'c']
      const options: ConsumerOptions = { topic, subscription: 's', type: 'failover' }
      const consumers = []
      for (const consumer of names) consumers.push(await client.subscribe({ ...options, name: consumer }))
      const told = async (): Promise<{ activeConsumerName: string; msgOutCounter: number }> =>
        ((await stats(topic)) as { subscriptions: { s: { activeConsumerName: string; msgOutCounter: number } } })
          .subscriptions.s
      await consumers[names.indexOf((await told()).activeConsumerName)]?.close()
      await publish(topic, ['a'])
      const isTaken = (await told()).msgOutCounter > 0
      await eventually(async () => {
        expect((await told()).msgOutCounter).toBeGreaterThan(0)
      })
      return isTaken
    }
    await set('activeConsumerFailoverDelayTimeMillis', 0)
    expect(await see()).toBe(true)
    await set('activeConsumerFailoverDelayTimeMillis', 5000)
    expect(await see()).toBe(false)
  })

  test('dispatchThrottlingOnBatchMessageEnabled: a batch counts as one message of the rate', async () => {
    await set('dispatchThrottlingRatePerTopicInMsg', 10)
    const see = async (): Promise<'all' | 'held'> => {
      const topic = `r${++count}`
      const producer = await client.createProducer({ topic, batching: { enabled: true, delayMaxMs: 50 } })
      for (let batch = 0; batch < 2; batch++) {
        await Promise.all(texts(100).map(text => producer.send({ data: Buffer.from(text) })))
      }
      const consumer = await client.subscribe({ topic, subscription: 's', initialPosition: 'earliest' })
      let received = 0
      return eventually(async () => {
        while (consumer.tryReceive() !== undefined) received++
        const { subscriptions } = (await stats(topic)) as { subscriptions: { s: Record<string, number> } }
        if ((subscriptions.s['dispatchThrottledMsgEventsByTopicLimit'] ?? 0) > 0) return 'held'
        if (received < 200) throw new Error(`${received} received`)
        return 'all'
      })
    }
    expect(await three('dispatchThrottlingOnBatchMessageEnabled', true, see)).toEqual(['held', 'all', 'held'])
  })
})

describe('what is told', () => {
  test('exposePublisherStats', async () => {
    await client.createProducer({ topic: name })
    const see = async (): Promise<number> => ((await stats())['publishers'] as unknown[]).length
    expect(await three('exposePublisherStats', false, see)).toEqual([1, 0, 1])
  })

  test.each([
    ['exposeProducerLevelMetricsInPrometheus', 'pulsar_producer_msg_rate_in'],
    ['exposeConsumerLevelMetricsInPrometheus', 'pulsar_consumer_available_permits']
  ] as const)('%s', async (key, metric) => {
    await client.createProducer({ topic: name })
    await client.subscribe({ topic: name, subscription: 's' })
    const see = async (): Promise<boolean> => {
      const { body } = await admin.call('GET', '/metrics')
      return parseExposition(String(body)).some(sample => sample.metric === metric)
    }
    expect(await three(key, true, see)).toEqual([false, true, false])
  })
})

describe('who is told of', () => {
  const seen = async (metric: string, labels: Record<string, string>): Promise<number | undefined> => {
    const samples = parseExposition(String((await admin.call('GET', '/metrics')).body))
    const isOf = (of: Readonly<Record<string, string | undefined>>): boolean =>
      Object.entries(labels).every(([key, value]) => of[key] === value)
    return samples.find(sample => sample.metric === metric && isOf(sample.labels))?.value
  }

  test('strataStuckSubscriptionSeconds', async () => {
    await client.subscribe({ topic: name, subscription: 's' })
    await publish(name, ['a'])
    const { meters } = admin.world.broker
    const isStuck = async (): Promise<boolean> => {
      await meters.look()
      return (await seen('strata_subscription_stuck', { subscription: 's' })) === 1
    }
    expect(await isStuck()).toBe(false)
    await set('strataStuckSubscriptionSeconds', 1)
    await eventually(async () => {
      expect(await isStuck()).toBe(true)
    })
    await remove('strataStuckSubscriptionSeconds')
    expect(await isStuck()).toBe(false)
  })

  test('strataNoisyTenantPercentage', async () => {
    const { traffic, tenants } = admin.world.broker.meters
    traffic.of('loud/ns').bytesIn += 3e12
    traffic.of('quiet/ns').bytesIn += 1e12
    tenants.look()
    const isNoisy = (): Promise<number | undefined> => seen('strata_tenant_noisy', { tenant: 'loud' })
    expect(await three('strataNoisyTenantPercentage', 80, isNoisy)).toEqual([1, 0, 1])
  })
})

test('schemaJsonAllowLegacyJacksonFormat', async () => {
  const schema = { type: 'JSON', schema: JSON.stringify({ type: 'object', id: 'a', properties: {} }), properties: {} }
  const see = async (): Promise<boolean> =>
    (await admin.call('POST', `schemas/public/default/j${++count}/schema`, schema)).status === 200
  expect(await three('schemaJsonAllowLegacyJacksonFormat', true, see)).toEqual([false, true, false])
})

test('maxPendingPublishRequestsPerConnection: past it, while memory is short, a connection is not read on', async () => {
  const flooder = await admin.world.connect()
  await flooder.producer(`persistent://public/default/${name}`)
  const { node, broker } = admin.world
  const short = broker.ingestPool.bytesMax + 1
  /** What comes first: the receipts of its messages, which storage holds up, or the answer to what it sends behind them. */
  const first = async (isHeld: boolean): Promise<string | undefined> => {
    node.holdSyncs()
    broker.ingestPool.take(short)
    for (let sequence = 0; sequence < 4; sequence++) flooder.publish({ sequenceId: BigInt(sequence) })
    await eventually(async () => {
      const topic = await loaded()
      expect(topic instanceof PersistentTopic && topic.pendingPublications > 0).toBe(true)
    })
    flooder.send('ping', {})
    if (isHeld) await (await admin.world.connect()).settle()
    else
      await eventually(() => {
        expect(flooder.inbox).toHaveLength(1)
      })
    broker.ingestPool.give(short)
    node.releaseSyncs()
    await eventually(() => {
      expect(flooder.inbox).toHaveLength(5)
    })
    return flooder.inbox.splice(0)[0]?.command.case
  }
  expect(await first(false)).toBe('pong')
  await set('maxPendingPublishRequestsPerConnection', 1)
  expect(await first(true)).toBe('sendReceipt')
  await remove('maxPendingPublishRequestsPerConnection')
  expect(await first(false)).toBe('pong')
})

/** What they do there is shown by the tests of `balance`, which decides by these values at each of its cycles. */
describe('what the balancer decides by', () => {
  const rows: [Key, number | boolean, (settings: BrokerSettings) => unknown][] = [
    ['loadBalancerEnabled', false, settings => balanceSettingsOf(settings).placement.byLoad],
    ['loadBalancerSheddingEnabled', false, settings => balanceSettingsOf(settings).isShedding],
    ['loadBalancerBrokerMaxTopics', 7, settings => balanceSettingsOf(settings).placement.brokerTopicsMax],
    ['loadBalancerBrokerThresholdShedderPercentage', 7, s => balanceSettingsOf(s).shedding.thresholdPoints],
    ['loadBalancerBrokerOverloadedThresholdPercentage', 7, s => balanceSettingsOf(s).shedding.overloadedPercent],
    ['loadBalancerSheddingConditionHitCountThreshold', 7, settings => balanceSettingsOf(settings).shedding.hits],
    ['loadBalancerHistoryResourcePercentage', 0.5, settings => balanceSettingsOf(settings).shedding.historyShare],
    ['strataLoadBalancerStableSeconds', 7, settings => balanceSettingsOf(settings).shedding.stableMs],
    ['loadBalancerSheddingGracePeriodMinutes', 7, settings => balanceSettingsOf(settings).coolDownMs],
    ['strataLoadBalancerMovesPerMinuteMax', 7, settings => balanceSettingsOf(settings).movesPerMinuteMax],
    ['loadBalancerAutoBundleSplitEnabled', false, settings => balanceSettingsOf(settings).isSplitting],
    ['strataLoadBalancerAutoBundleMergeEnabled', true, settings => balanceSettingsOf(settings).isMerging],
    ['loadBalancerNamespaceBundleMaxTopics', 7, s => balanceSettingsOf(s).splitting.limits.topicsMax],
    ['loadBalancerNamespaceBundleMaxSessions', 7, s => balanceSettingsOf(s).splitting.limits.sessionsMax],
    ['loadBalancerNamespaceBundleMaxMsgRate', 7, s => balanceSettingsOf(s).splitting.limits.messagesMax],
    ['loadBalancerNamespaceBundleMaxBandwidthMbytes', 7, s => balanceSettingsOf(s).splitting.limits.bytesMax],
    ['loadBalancerNamespaceBundleSplitConditionHitCountThreshold', 7, s => balanceSettingsOf(s).splitting.hits],
    ['loadBalancerMaxNumberOfBundlesToSplitPerCycle', 7, s => balanceSettingsOf(s).splitting.splitsPerCycle],
    ['loadBalancerNamespaceMaximumBundles', 7, s => balanceSettingsOf(s).splitting.bundlesPerNamespaceMax],
    ['loadBalancerCPUResourceWeight', 0.5, settings => weightsOf(settings).loop],
    ['loadBalancerDirectMemoryResourceWeight', 0.5, settings => weightsOf(settings).memory],
    ['loadBalancerBandwidthInResourceWeight', 0.5, settings => weightsOf(settings).bytesIn],
    ['loadBalancerBandwidthOutResourceWeight', 0.5, settings => weightsOf(settings).bytesOut],
    ['loadBalancerOverrideBrokerNicSpeedGbps', 7, settings => weightsOf(settings).networkBytes]
  ]
  test.each(rows)('%s', async (key, value, see) => {
    const [before, changed, after] = await three(key, value, () => Promise.resolve(see(admin.world.settings)))
    expect(changed).not.toEqual(before)
    expect(after).toEqual(before)
  })
})
