import { strict as assert } from 'node:assert'
import { stickyHashOf } from '@strata/wire'
import type { Consumer, SubscriptionType } from '../../contract.ts'
import type { FakeConnection, Sent } from './fake-connection.ts'
import type { createWorld } from './world.ts'

export interface ModelEntry {
  readonly index: number
  readonly key: string
  readonly size: number
  /** Bits of the messages that are not acknowledged. */
  remaining: number
}

export interface ModelConsumer {
  readonly id: number
  readonly name: string
  readonly connection: FakeConnection
  readonly consumer: Consumer
  granted: number
  sent: number
}

export const LIMITS = { perConsumer: 12, perSubscription: 30 }

/** What broke, as the first word of the failure, so that a mutant can be seen to fail for its own reason. */
type Law = 'acked' | 'credit' | 'socket' | 'twice' | 'together' | 'order' | 'count' | 'sum' | 'limit' | 'stall' | 'lost'

function law(name: Law, holds: boolean, detail: () => string): void {
  assert(holds, `${name}: ${holds ? '' : detail()}`)
}

/**
 * A dumb model of what a subscription may and must do: plain sets over all entries, no queues, no positions to keep.
 * Every delivery is checked when it happens, everything else by `check`.
 */
export class DispatchModel {
  readonly entries: ModelEntry[] = []
  readonly consumers: ModelConsumer[] = []
  /** Entry index to who has it. Single-active types: since the last time delivery began anew. */
  readonly inFlight = new Map<number, { consumer: ModelConsumer; messages: number }>()
  readonly redeliveries = new Map<number, number>()
  deliveries = 0
  readonly #type: SubscriptionType
  readonly #world: ReturnType<typeof createWorld>
  #lastIndex = -1
  #failure: Error | undefined

  constructor(type: SubscriptionType, world: ReturnType<typeof createWorld>) {
    this.#type = type
    this.#world = world
  }

  get isTracked(): boolean {
    return this.#type === 'Shared' || this.#type === 'Key_Shared'
  }

  unacked(consumer: ModelConsumer): number {
    let sum = 0
    for (const held of this.inFlight.values()) if (held.consumer === consumer) sum += held.messages
    return sum
  }

  get allUnacked(): number {
    let sum = 0
    for (const held of this.inFlight.values()) sum += held.messages
    return sum
  }

  get activeName(): unknown {
    return this.#world.subscription.stats()['activeConsumerName']
  }

  /** Delivery starts again from the mark-delete position on. */
  restart(): void {
    this.inFlight.clear()
    this.#lastIndex = -1
  }

  remove(consumer: ModelConsumer): void {
    this.consumers.splice(this.consumers.indexOf(consumer), 1)
    for (const [index, held] of this.inFlight) if (held.consumer === consumer) this.inFlight.delete(index)
    if (this.consumers.length === 0) {
      this.redeliveries.clear()
      this.restart()
    }
  }

  /** Those whose connection was told to close them are gone. */
  removeClosed(): void {
    for (const consumer of [...this.consumers]) {
      if (consumer.connection.events.includes(`${consumer.id} closed`)) this.remove(consumer)
    }
  }

  sendBack(consumer: ModelConsumer, indexes: readonly number[]): void {
    for (const index of indexes) {
      if (this.inFlight.get(index)?.consumer !== consumer) continue
      this.inFlight.delete(index)
      this.redeliveries.set(index, (this.redeliveries.get(index) ?? 0) + 1)
    }
  }

  acknowledge(index: number, remaining: number): void {
    const entry = this.entries[index] as ModelEntry
    entry.remaining &= remaining
    const held = this.inFlight.get(index)
    if (held !== undefined) held.messages = Math.min(held.messages, bits(entry.remaining))
    if (entry.remaining === 0) {
      this.inFlight.delete(index)
      this.redeliveries.delete(index)
    }
  }

  resetTo(index: number): void {
    for (const entry of this.entries) entry.remaining = entry.index < index ? 0 : full(entry.size)
    this.redeliveries.clear()
    this.restart()
  }

  /** A failure is kept for `check`: who delivers must not see it. */
  onDelivery(consumer: ModelConsumer, sent: Sent): void {
    this.deliveries++
    try {
      this.#checkDelivery(consumer, sent)
    } catch (error) {
      this.#failure ??= error as Error
    }
  }

  #checkDelivery(consumer: ModelConsumer, sent: Sent): void {
    const index = this.#world.log.indexOf(sent)
    const entry = this.entries[index] as ModelEntry
    const what = (): string => `${index} of ${entry.key} to ${consumer.name}`
    law('acked', entry.remaining !== 0, what)
    law('credit', this.consumers.includes(consumer) && consumer.granted > consumer.sent, what)
    law('socket', consumer.connection.isWritable, what)
    const held = this.inFlight.get(index)
    law('twice', held === undefined, () => `${what()} while with ${held?.consumer.name}`)
    const bitsSent = sent.ackSet === undefined ? full(entry.size) : (sent.ackSet[0] ?? 0)
    law('sum', bitsSent === entry.remaining, () => `${what()} with bits ${bitsSent}, not ${entry.remaining}`)
    if (this.isTracked) this.#checkTracked(consumer, sent, entry)
    else {
      law('order', index > this.#lastIndex, () => `${what()} after ${this.#lastIndex}`)
      this.#lastIndex = index
    }
    const messages = bits(entry.remaining)
    consumer.sent += messages
    this.inFlight.set(index, { consumer, messages })
  }

  #checkTracked(consumer: ModelConsumer, sent: Sent, entry: ModelEntry): void {
    const count = this.redeliveries.get(entry.index) ?? 0
    law('count', sent.redeliveryCount === count, () => `${entry.index} says ${sent.redeliveryCount}, is ${count}`)
    law('limit', this.unacked(consumer) < LIMITS.perConsumer, () => `${consumer.name} has its fill`)
    law('limit', this.allUnacked < LIMITS.perSubscription, () => 'the subscription has its fill')
    if (this.#type !== 'Key_Shared') return
    for (const other of this.entries) {
      if (hashOf(other.key) !== hashOf(entry.key) || other.remaining === 0 || other === entry) continue
      const holder = this.inFlight.get(other.index)?.consumer
      law(
        'together',
        holder === undefined || holder === consumer,
        () => `${entry.key} at ${holder?.name} and elsewhere`
      )
      const isBefore = other.index < entry.index
      law('order', !isBefore || holder !== undefined, () => `${entry.index} before ${other.index} of ${entry.key}`)
    }
  }

  /** With nothing left to run: sums agree, and whatever can go has gone. */
  check(isServing: boolean): void {
    if (this.#failure !== undefined) throw this.#failure
    const { subscription } = this.#world
    const stats = subscription.stats()
    for (const consumer of this.consumers) {
      const { availablePermits, unackedMessages } = consumer.consumer.stats()
      const permits = consumer.granted - consumer.sent
      law('sum', availablePermits === permits, () => `permits ${availablePermits}, not ${permits}`)
      if (!this.isTracked) continue
      const unacked = this.unacked(consumer)
      law('sum', unackedMessages === unacked, () => `${consumer.name} unacked ${unackedMessages}, not ${unacked}`)
    }
    if (this.isTracked) {
      const { allUnacked } = this
      law(
        'sum',
        stats.unackedMessages === allUnacked,
        () => `unacked ${String(stats.unackedMessages)}, not ${allUnacked}`
      )
    }
    const backlog = this.entries.filter(entry => entry.remaining !== 0).length
    law('sum', stats.msgBacklog === backlog, () => `backlog ${stats.msgBacklog}, not ${backlog}`)
    if (!isServing) return
    law('stall', subscription.stall === undefined, () => subscription.stall ?? '')
    for (const entry of this.entries) {
      if (entry.remaining === 0 || this.inFlight.has(entry.index)) continue
      const taker = this.#takerOf(entry)
      law('stall', taker === undefined, () => `${entry.index} of ${entry.key} could go to ${taker?.name}`)
    }
  }

  /** Somebody who certainly can take the entry now. */
  #takerOf(entry: ModelEntry): ModelConsumer | undefined {
    if (this.isTracked && this.allUnacked > LIMITS.perSubscription / 2) return undefined
    return this.consumers.find(consumer => {
      if (consumer.granted <= consumer.sent || !consumer.connection.isWritable) return false
      if (!this.isTracked) return consumer.name === this.activeName
      if (this.unacked(consumer) > LIMITS.perConsumer / 2) return false
      return this.#type === 'Shared' || this.#mayHave(consumer, entry)
    })
  }

  #mayHave(consumer: ModelConsumer, entry: ModelEntry): boolean {
    const hash = hashOf(entry.key)
    for (const [index, held] of this.inFlight) {
      if (hashOf(this.entries[index]?.key ?? '') === hash && held.consumer !== consumer) return false
    }
    const stats = this.#world.subscription.stats().consumers.find(other => other.consumerName === consumer.name)
    return (stats?.keyHashRanges ?? []).some(range => {
      const [start = 0, end = 0] = range.slice(1, -1).split(', ').map(Number)
      return hash >= start && hash <= end
    })
  }

  checkAllDelivered(): void {
    const left = this.entries.filter(entry => entry.remaining !== 0)
    law('lost', left.length === 0, () => `${left.map(entry => entry.index).join()} never came`)
  }
}

export function full(size: number): number {
  return (1 << size) - 1
}

function bits(word: number): number {
  let count = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) count++
  return count
}

function hashOf(key: string): number {
  return stickyHashOf(Buffer.from(key))
}
