import { BytePool, silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import type { ConsumerOptions, SubscriptionHost, SubscriptionSettings, SubscriptionType } from '../../contract.ts'
import { createSubscription } from '../index.ts'
import { FakeConnection } from './fake-connection.ts'
import { FakeLog, type FakeCursor } from './fake-log.ts'
import { encodeMessage, type MessageFields } from './message.ts'
import { ManualTurns } from './manual-turns.ts'

export const DEFAULT_SETTINGS: SubscriptionSettings = {
  dispatcherMaxReadBatchSize: 100,
  dispatcherMaxReadSizeBytes: 5 * 1024 * 1024,
  maxUnackedMessagesPerConsumer: 50_000,
  maxUnackedMessagesPerSubscription: 200_000,
  activeConsumerFailoverDelayTimeMillis: 1000,
  subscriptionKeySharedUseConsistentHashing: true,
  subscriptionKeySharedConsistentHashingReplicaPoints: 100,
  acknowledgmentAtBatchIndexLevelEnabled: true,
  dispatchThrottlingOnNonBacklogConsumerEnabled: true,
  dispatcherEntryFilterRescheduledMessageDelay: 500,
  dispatchThrottlingOnBatchMessageEnabled: false
}

/** A subscription with everything around it in the test's hands. */
export function createWorld(
  options: {
    settings?: Partial<SubscriptionSettings>
    partition?: number
    poolBytes?: number
    ledgerEntriesMax?: number
  } = {}
) {
  const log = new FakeLog({ ledgerEntriesMax: options.ledgerEntriesMax ?? 10 })
  const clock = new ManualClock()
  const turns = new ManualTurns()
  const pool = new BytePool('dispatch', options.poolBytes ?? 1 << 26)
  const host: SubscriptionHost = {
    topic: 'persistent://public/default/t',
    partition: options.partition ?? -1,
    log,
    clock,
    logger: silentLogger,
    dispatchPool: pool,
    settings: { ...DEFAULT_SETTINGS, ...options.settings },
    suspension: { isOn: false }
  }
  const cursor: FakeCursor = log.openNonDurableCursor('s', { ledgerId: 1, entryId: 0 })
  const subscription = createSubscription(host, 's', { durable: true, cursor }, turns)
  let nextId = 1
  return {
    log,
    clock,
    turns,
    pool,
    host,
    cursor,
    subscription,
    publish(...messages: MessageFields[]) {
      const entries = messages.map(fields => log.add(encodeMessage(fields)))
      subscription.onEntriesAppended()
      return entries
    },
    async join(type: SubscriptionType, more: Partial<ConsumerOptions> & { connection?: FakeConnection } = {}) {
      const connection = more.connection ?? new FakeConnection(nextId)
      const consumer = await subscription.subscribe(
        consumerOptions({ consumerId: nextId++, ...more, type, connection })
      )
      await turns.settle()
      return { connection, consumer }
    }
  }
}

export function consumerOptions(
  given: Partial<ConsumerOptions> & { type: SubscriptionType; connection: FakeConnection }
): ConsumerOptions {
  return {
    consumerId: 1,
    consumerName: `c${given.consumerId ?? 1}`,
    priorityLevel: 0,
    durable: true,
    readCompacted: false,
    keyShared: undefined,
    metadata: {},
    consumerEpoch: -1,
    ...given
  }
}
