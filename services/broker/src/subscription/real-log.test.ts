import { bookieId, BytePool, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory, type ManagedLedger } from '@strata/managed-ledger'
import { MemoryMetadataStore } from '@strata/metadata'
import { describe, expect, test } from 'vitest'
import type { Consumer, SubscriptionType } from '../contract.ts'
import { createSubscription, type SampledSubscription } from './index.ts'
import { FakeConnection } from './testing/fake-connection.ts'
import { encodeMessage } from './testing/message.ts'
import { consumerOptions, DEFAULT_SETTINGS } from './testing/world.ts'

/** Subscriptions on the log as it is, over storage in memory; a small cache, so that much is read again. */
class Broker {
  readonly #metadata: MemoryMetadataStore
  readonly #node: MemoryBookieNode
  log: ManagedLedger<undefined> | undefined
  subscription: SampledSubscription | undefined
  readonly received: string[] = []

  constructor(metadata = new MemoryMetadataStore(), node = new MemoryBookieNode(bookieId('b1'))) {
    this.#metadata = metadata
    this.#node = node
  }

  successor(): Broker {
    return new Broker(this.#metadata, this.#node)
  }

  async open(): Promise<SampledSubscription> {
    const ledgers = createLedgerClient({
      metadata: this.#metadata,
      directory: directoryOf([this.#node]),
      quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5
    })
    const factory = createManagedLedgerFactory({ metadata: this.#metadata, ledgers, cacheBytesMax: 4096 })
    const log = await factory.open<undefined>('t', {
      create: true,
      retention: { timeMs: -1, sizeBytes: -1 },
      rollover: { entriesMax: 20, bytesMax: 1 << 30, ageMsMin: 0, ageMsMax: 3_600_000 }
    })
    this.log = log
    const cursor = await log.openCursor('s', { initial: 'earliest' })
    const host = {
      topic: 'persistent://public/default/t',
      partition: -1,
      log,
      clock: systemClock,
      logger: silentLogger,
      dispatchPool: new BytePool('dispatch', 1 << 20),
      settings: DEFAULT_SETTINGS,
      suspension: { isOn: false }
    }
    const subscription = createSubscription(host, 's', { durable: true, cursor })
    log.setAppendListener({
      onAppended: () => {},
      onAppendFailed: error => {
        throw error
      },
      onAppendsSettled: () => {
        subscription.onEntriesAppended()
      }
    })
    this.subscription = subscription
    return subscription
  }

  publish(from: number, to: number): void {
    for (let n = from; n < to; n++) {
      this.log?.append(encodeMessage({ key: `k${n % 17}`, sequence: n, publishTimeMs: 1000 + n }), 1, undefined)
    }
  }

  /** A consumer that acknowledges what `isAcked` says, and takes ever more. */
  async join(type: SubscriptionType, id: number, isAcked: (sent: string) => boolean): Promise<Consumer | undefined> {
    const connection = new FakeConnection(id)
    const consumer = await this.subscription?.subscribe(consumerOptions({ type, connection, consumerId: id }))
    connection.onMessage = ({ ledgerId, entryId }) => {
      const position = `${ledgerId}:${entryId}`
      this.received.push(position)
      queueMicrotask(() => {
        if (isAcked(position)) consumer?.acknowledge([{ ledgerId, entryId, remaining: undefined }], false)
        consumer?.flow(1)
      })
    }
    consumer?.flow(40)
    return consumer
  }

  async until(isTrue: () => boolean): Promise<void> {
    for (let turn = 0; turn < 20_000; turn++) {
      if (isTrue()) return
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    throw new Error(`it never became true; ${this.received.length} received`)
  }

  get backlog(): number {
    return this.subscription?.stats().msgBacklog ?? -1
  }
}

describe('on the log as it is', () => {
  for (const type of ['Exclusive', 'Shared', 'Key_Shared'] as const) {
    test(`${type}: a fresh log, ledgers that roll, a takeover, a seek`, async () => {
      const broker = new Broker()
      await broker.open()
      const count = type === 'Exclusive' ? 1 : 3
      const kept = (position: string): boolean => position.endsWith('7')
      for (let id = 1; id <= count; id++) await broker.join(type, id, position => !kept(position))
      broker.publish(0, 150)
      await broker.until(() => new Set(broker.received).size === 150)
      broker.publish(150, 300)
      await broker.until(() => new Set(broker.received).size === 300)
      const left = [...new Set(broker.received)].filter(kept)
      await broker.until(() => broker.backlog === left.length)
      expect(broker.received).toHaveLength(300)
      await broker.subscription?.cursor?.flush()

      const next = broker.successor()
      const subscription = await next.open()
      await next.join(type, 1, () => true)
      await next.until(() => next.backlog === 0)
      expect([...next.received].sort()).toEqual([...left].sort())

      next.received.length = 0
      await subscription.seek({ publishTimeMs: 1000 + 250 })
      await next.join(type, 2, () => true)
      await next.until(() => next.backlog === 0)
      expect(next.received).toHaveLength(50)
      expect(subscription.stats()).toMatchObject({ unackedMessages: 0, msgInReplay: 0 })
    })
  }

  test('stats tell when the mark-delete position moved last, and when messages expired', async () => {
    const broker = new Broker()
    const subscription = await broker.open()
    expect(subscription.stats()).toMatchObject({ lastMarkDeleteAdvancedTimestamp: 0, lastExpireTimestamp: 0 })
    broker.publish(0, 20)
    await broker.until(() => broker.backlog === 20)
    expect(subscription.stats()).toMatchObject({ lastMarkDeleteAdvancedTimestamp: 0, lastExpireTimestamp: 0 })
    const before = Date.now()
    expect(await subscription.expireBefore(1000 + 10)).toBe(true)
    const { lastMarkDeleteAdvancedTimestamp, lastExpireTimestamp, msgBacklog } = subscription.stats()
    expect(msgBacklog).toBe(10)
    expect(lastExpireTimestamp).toBeGreaterThanOrEqual(before)
    expect(lastMarkDeleteAdvancedTimestamp).toBeGreaterThanOrEqual(before)
  })
})
