import type { SubscriptionStats } from '../contract.ts'
import type { Cursor } from '@strata/managed-ledger'
import { NEVER_FILTERED, type FilterCounts } from '../filters/subscription-filter.ts'
import { NEVER_THROTTLED, type ThrottledEvents } from '../limits/dispatch-throttle.ts'
import type { DispatchContext, Dispatcher, Draining } from './dispatcher.ts'
import type { Member } from './member.ts'
import { Rate } from './rate.ts'
import { isMarkedReplicated, shownProperties } from './replicated-mark.ts'

/** Counters of a subscription that outlive its consumers, and the rates made of them. */
export class SubscriptionMeters {
  messagesAcked = 0
  messagesExpired = 0
  messagesDropped = 0
  /** Wall clock; 0: never. */
  lastExpiredMs = 0
  /** When a sample first saw the present mark-delete position; 0: it has not moved. */
  lastMarkDeleteAdvancedMs = 0
  readonly messages = new Rate()
  readonly bytes = new Rate()
  readonly redelivered = new Rate()
  readonly acked = new Rate()
  readonly expired = new Rate()
  readonly dropped = new Rate()

  sample(
    out: { readonly messagesOut: number; readonly bytesOut: number; readonly messagesRedelivered: number },
    nowMs: number
  ): void {
    this.messages.sample(out.messagesOut, nowMs)
    this.bytes.sample(out.bytesOut, nowMs)
    this.redelivered.sample(out.messagesRedelivered, nowMs)
    this.acked.sample(this.messagesAcked, nowMs)
    this.expired.sample(this.messagesExpired, nowMs)
    this.dropped.sample(this.messagesDropped, nowMs)
  }
}

export function persistentStats(
  subscription: {
    readonly type: SubscriptionStats['type'] | undefined
    readonly isDurable: boolean
    readonly cursor: Cursor
  },
  state: {
    readonly dispatcher: Dispatcher | undefined
    readonly members: readonly Member[]
    readonly meters: SubscriptionMeters
    readonly context: DispatchContext
    readonly throttled: ThrottledEvents | undefined
    readonly filtered: FilterCounts | undefined
  }
): SubscriptionStats {
  const { cursor } = subscription
  const { dispatcher, members, meters, context } = state
  const backlog = cursor.backlogEntries()
  const consumers = members.map(member => member.statsWith(dispatcher?.hashRangesOf(member)))
  return {
    ...commonStats(meters, context, state),
    ...drainingStats(dispatcher?.draining),
    type: subscription.type ?? 'None',
    msgBacklog: backlog,
    msgBacklogNoDelayed: backlog,
    backlogSize: cursor.backlogBytes(),
    msgDelayed: 0,
    msgInReplay: dispatcher?.pendingEntries ?? 0,
    unackedMessages: dispatcher?.unackedMessages ?? 0,
    blockedSubscriptionOnUnackedMsgs: dispatcher?.isBlockedOnUnacked ?? false,
    activeConsumerName: dispatcher?.activeConsumer?.options.consumerName ?? '',
    isDurable: subscription.isDurable,
    durable: subscription.isDurable,
    isReplicated: isMarkedReplicated(cursor.properties),
    replicated: isMarkedReplicated(cursor.properties),
    allowOutOfOrderDelivery: members[0]?.options.keyShared?.allowOutOfOrderDelivery ?? false,
    keySharedMode: subscription.type === 'Key_Shared' ? (members[0]?.options.keyShared?.mode ?? 'AUTO_SPLIT') : null,
    nonContiguousDeletedMessagesRanges: cursor.ackedRangeCount(),
    nonContiguousDeletedMessagesRangesSerializedSize: 0,
    subscriptionProperties: shownProperties(cursor.properties),
    consumersAfterMarkDeletePosition: {},
    lastAckedTimestamp: latest(members, member => member.lastAckedMs),
    lastConsumedTimestamp: latest(members, member => member.lastConsumedMs),
    lastConsumedFlowTimestamp: latest(members, member => member.lastFlowMs),
    consumers
  }
}

/** Nothing drains on other types. Entries stand for messages. */
export function drainingStats(draining: Draining | undefined): Record<string, unknown> {
  const { hashes = 0, entries = 0, cleared = 0 } = draining ?? {}
  return {
    drainingHashesCount: hashes,
    drainingHashesClearedTotal: cleared,
    drainingHashesUnackedMessages: entries
  }
}

/** What stored and passing subscriptions show alike. */
export function commonStats(
  meters: SubscriptionMeters,
  out: { readonly messagesOut: number; readonly bytesOut: number },
  held: { readonly throttled?: ThrottledEvents | undefined; readonly filtered?: FilterCounts | undefined } = {}
): Record<string, unknown> {
  return {
    msgRateOut: meters.messages.perSecond,
    msgThroughputOut: meters.bytes.perSecond,
    bytesOutCounter: out.bytesOut,
    msgOutCounter: out.messagesOut,
    msgRateRedeliver: meters.redelivered.perSecond,
    messageAckRate: meters.acked.perSecond,
    msgRateExpired: meters.expired.perSecond,
    totalMsgExpired: meters.messagesExpired,
    msgExpired: meters.messagesExpired,
    ...(held.throttled ?? NEVER_THROTTLED),
    ...(held.filtered ?? NEVER_FILTERED),
    chunkedMessageRate: 0,
    lastExpireTimestamp: meters.lastExpiredMs,
    lastMarkDeleteAdvancedTimestamp: meters.lastMarkDeleteAdvancedMs,
    earliestMsgPublishTimeInBacklog: 0,
    delayedMessageIndexSizeInBytes: 0,
    bucketDelayedIndexStats: {}
  }
}

function latest(members: readonly Member[], of: (member: Member) => number): number {
  return members.reduce((last, member) => Math.max(last, of(member)), 0)
}
