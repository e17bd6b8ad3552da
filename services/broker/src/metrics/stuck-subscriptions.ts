import type { Clock } from '@strata/base'
import { samePosition, type Position } from '@strata/cursor-protocol'
import type { SampledSubscription } from '../subscription/index.ts'
import type { Topic } from '../topic/topic.ts'

/**
 * Why nothing moves. `undelivered`: messages wait although a consumer would take them. `unacknowledged`: consumers have all of
 * them, want more, and acknowledge none.
 */
export type StuckReason = 'undelivered' | 'unacknowledged'

export interface StuckSubscription {
  readonly topic: Topic
  readonly subscription: SampledSubscription
  readonly reason: StuckReason
  readonly sinceMs: number
}

interface Watch {
  readonly topic: Topic
  readonly sinceMs: number
  readonly messagesOut: number
  readonly markDelete: Position
}

/** Subscriptions with a backlog, and with a consumer that would take more, of which nothing moves. */
export class StuckSubscriptions {
  readonly #clock: Clock
  #watched = new Map<SampledSubscription, Watch>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  look(topics: Iterable<Topic>): void {
    const watched = new Map<SampledSubscription, Watch>()
    for (const topic of topics) {
      for (const subscription of topic.subscriptions.values()) {
        const { cursor, messagesOut } = subscription
        if (cursor === undefined || subscription.consumers.length === 0 || !subscription.hasTaker) continue
        if (cursor.backlogEntries() === 0) continue
        const { markDelete } = cursor
        const before = this.#watched.get(subscription)
        const isStill =
          before?.messagesOut === messagesOut && samePosition(before.markDelete, markDelete) && before.topic === topic
        const sinceMs = isStill ? before.sinceMs : this.#clock.nowMs()
        watched.set(subscription, { topic, sinceMs, messagesOut, markDelete })
      }
    }
    this.#watched = watched
  }

  /** Those that have not moved for as long, the longest first. */
  *stuckFor(minMs: number): Generator<StuckSubscription, void, undefined> {
    const nowMs = this.#clock.nowMs()
    for (const [subscription, { topic, sinceMs, messagesOut }] of this.#watched) {
      if (nowMs - sinceMs < minMs) continue
      if (subscription.messagesOut !== messagesOut || (subscription.cursor?.backlogEntries() ?? 0) === 0) continue
      yield { topic, subscription, sinceMs, reason: subscription.isAllSent ? 'unacknowledged' : 'undelivered' }
    }
  }
}
