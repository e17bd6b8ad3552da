import type { Position } from '@strata/cursor-protocol'
import type { Cursor } from '@strata/managed-ledger'
import type { Subscription, SubscriptionHost } from '../contract.ts'
import { eventLoopTurns, type TurnScheduler } from './log-pump.ts'
import { PassingSubscription } from './passing-subscription.ts'
import { PersistentSubscription } from './persistent-subscription.ts'

/** On a topic that stores nothing, only `durable` counts. */
export type SubscriptionOptions =
  /** Stored, with a cursor that the topic opened. */
  | { readonly durable: true; readonly cursor: Cursor }
  /** Stored log, cursor in memory only: its first entry is the first at or after `start`. */
  | { readonly durable: false; readonly start: Position }

/** A subscription with what the topic's sweep needs beyond the contract. */
export interface SampledSubscription extends Subscription {
  /** Takes a sample of the counters that rates are made of, and looks for a standstill. Called by one sweep over all. */
  sample(nowMs: number): void
  /** Messages and bytes a second that went out, as of the last sample. */
  readonly ratesOut: { readonly messages: number; readonly bytes: number }
  /** Messages a second that were acknowledged, the same. */
  readonly ackRate: number
  /** Since it is in memory. */
  readonly messagesOut: number
  readonly bytesOut: number
  /** A consumer would take a message now. */
  readonly hasTaker: boolean
  /** All that is not acknowledged was sent to some consumer, which holds it. */
  readonly isAllSent: boolean
  /** It is being moved to another position: nothing is delivered meanwhile. */
  readonly isResetting: boolean
  /** What is wrong, if there is something to send and somebody to take it and yet nothing happens. */
  readonly stall: string | undefined
}

/** `turns` is for tests. */
export function createSubscription(
  host: SubscriptionHost,
  name: string,
  options: SubscriptionOptions,
  turns: TurnScheduler = eventLoopTurns
): SampledSubscription {
  const { log } = host
  if (log === undefined) return new PassingSubscription(host, name, { isDurable: options.durable, turns })
  const cursor = options.durable ? options.cursor : log.openNonDurableCursor(name, options.start)
  return new PersistentSubscription(host, name, { log, cursor, isDurable: options.durable, turns })
}
