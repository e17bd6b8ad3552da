import type { Clock } from '@strata/base'
import { DispatchLimit, type WaitingDispatch } from './dispatch-limit.ts'
import type { Rate } from './rate-pair.ts'

/** What holds a subscription back: limits that it shares, and a rate of its own. */
export interface DispatchLimits {
  readonly broker: DispatchLimit | undefined
  /** Of its resource group. It is asked even while it is off: it is switched without a word to its topics. */
  readonly group?: DispatchLimit | undefined
  readonly topic: DispatchLimit | undefined
  readonly subscription: Rate | undefined
}

/** How often a subscription had to wait, by whose limit and which of its rates: fields of Pulsar's stats. */
export interface ThrottledEvents {
  dispatchThrottledMsgEventsBySubscriptionLimit: number
  dispatchThrottledBytesEventsBySubscriptionLimit: number
  dispatchThrottledMsgEventsByTopicLimit: number
  dispatchThrottledBytesEventsByTopicLimit: number
  dispatchThrottledMsgEventsByBrokerLimit: number
  dispatchThrottledBytesEventsByBrokerLimit: number
}

export const NEVER_THROTTLED: Readonly<ThrottledEvents> = {
  dispatchThrottledMsgEventsBySubscriptionLimit: 0,
  dispatchThrottledBytesEventsBySubscriptionLimit: 0,
  dispatchThrottledMsgEventsByTopicLimit: 0,
  dispatchThrottledBytesEventsByTopicLimit: 0,
  dispatchThrottledMsgEventsByBrokerLimit: 0,
  dispatchThrottledBytesEventsByBrokerLimit: 0
}

/** What a resource group holds back is in none of Pulsar's counters. */
type Level = 'Subscription' | 'Topic' | 'Broker' | 'Group'

/** The dispatch rates of one subscription, all of which must have something left. It waits for one of them at a time. */
export class DispatchThrottle implements WaitingDispatch {
  readonly events: ThrottledEvents = { ...NEVER_THROTTLED }
  readonly #own: DispatchLimit
  readonly #wake: () => void
  /** A batch counts as one message. */
  readonly #countsEntries: () => boolean
  #limits: readonly (readonly [Level, DispatchLimit])[] = []
  #waitsFor: DispatchLimit | undefined

  constructor(options: { clock: Clock; countsEntries: () => boolean; wake: () => void }) {
    this.#own = new DispatchLimit(options.clock)
    this.#countsEntries = options.countsEntries
    this.#wake = options.wake
  }

  get isWaiting(): boolean {
    return this.#waitsFor !== undefined
  }

  /** Whoever waits looks at the new ones at once. */
  setLimits({ broker, group, topic, subscription }: DispatchLimits): void {
    this.leave()
    this.#own.setRate(subscription ?? { messagesPerSecond: 0, bytesPerSecond: 0 })
    const all = [
      ['Subscription', this.#own],
      ['Topic', topic],
      ['Broker', broker],
      ['Group', group]
    ] as const
    this.#limits = all.flatMap(([level, limit]) =>
      limit !== undefined && (limit.isOn || level === 'Group') ? [[level, limit] as const] : []
    )
  }

  /** May an entry be sent? If so, `spend` follows. */
  isOpen(): boolean {
    for (const [, limit] of this.#limits) if (!limit.isOpenTo(this)) return false
    return true
  }

  spend(messages: number, bytes: number): void {
    const counted = this.#countsEntries() ? 1 : messages
    for (const [, limit] of this.#limits) limit.spend(this, counted, bytes)
  }

  /** There is something to send, and it is not open: `wake` is called when it is worth another look. */
  wait(): void {
    if (this.#waitsFor !== undefined) return
    const closed = this.#limits.find(([, limit]) => !limit.isOpenTo(this))
    if (closed === undefined) return
    const [level, limit] = closed
    const unit = limit.usedUp === 'bytes' ? 'Bytes' : 'Msg'
    if (level !== 'Group') this.events[`dispatchThrottled${unit}EventsBy${level}Limit`]++
    this.#waitsFor = limit
    limit.wait(this)
  }

  onTurn(): void {
    this.#waitsFor = undefined
    this.#wake()
  }

  leave(): void {
    this.#waitsFor = undefined
    for (const [, limit] of this.#limits) limit.leave(this)
  }
}
