import type { BrokerSettings } from '../config/settings.ts'

/** Read at each use: both change at run time. 0 in either: no limit. */
type UnackedSettings = Pick<
  BrokerSettings,
  'maxUnackedMessagesPerBroker' | 'maxUnackedMessagesPerSubscriptionOnBrokerBlocked'
>

const NO_LIMIT: UnackedSettings = {
  maxUnackedMessagesPerBroker: 0,
  maxUnackedMessagesPerSubscriptionOnBrokerBlocked: 0
}

/**
 * What the Shared and Key_Shared subscriptions of a broker hold unacknowledged, all together.
 *
 * From `maxUnackedMessagesPerBroker` on until it is below half of that, a subscription with more than its part of that
 * limit gets nothing until it has acknowledged down to half of the part: who acknowledges goes on beside who does not.
 * So what a broker holds is bounded by the limit and one part for each subscription.
 *
 * Invariants
 *   U1  The sum is that of the parts of all dispatchers that have a consumer.
 *   U2  Who is held, and could go on as things are now, has been woken.
 */
export class BrokerUnacked {
  readonly #settings: UnackedSettings
  readonly #held = new Set<UnackedPart>()
  #messages = 0
  #isOver = false

  constructor(settings: UnackedSettings = NO_LIMIT) {
    this.#settings = settings
  }

  /** Asked for with the first consumer of a subscription. `wake` begins a turn of it. */
  part(wake: () => void): UnackedPart {
    return new UnackedPart(this, wake)
  }

  /** Of a part alone. */
  add(messages: number): void {
    this.#messages += messages
    if (this.#isOver || this.#settings.maxUnackedMessagesPerBroker > 0) this.#compare()
  }

  /** Of a part alone: is it held by the sum, given that it was or was not until now? */
  holds(part: UnackedPart, wasHeld: boolean): boolean {
    this.#compare()
    if (!this.#isOver) return false
    const max = this.#max * this.#settings.maxUnackedMessagesPerSubscriptionOnBrokerBlocked
    return part.messages > max || (wasHeld && part.messages >= max / 2)
  }

  note(part: UnackedPart, isHeld: boolean): void {
    if (isHeld) this.#held.add(part)
    else this.#held.delete(part)
  }

  get #max(): number {
    const { maxUnackedMessagesPerBroker, maxUnackedMessagesPerSubscriptionOnBrokerBlocked } = this.#settings
    return maxUnackedMessagesPerSubscriptionOnBrokerBlocked > 0 ? maxUnackedMessagesPerBroker : 0
  }

  #compare(): void {
    const max = this.#max
    const wasOver = this.#isOver
    this.#isOver = max > 0 && (this.#messages >= max || (wasOver && this.#messages >= max / 2))
    if (wasOver && !this.#isOver) for (const part of [...this.#held]) part.wake()
  }
}

/** What one subscription holds unacknowledged: the only place where it is counted. */
export class UnackedPart {
  messages = 0
  readonly wake: () => void
  readonly #all: BrokerUnacked
  #isHeld = false

  constructor(all: BrokerUnacked, wake: () => void) {
    this.#all = all
    this.wake = wake
  }

  /** Acknowledged or given back: less than 0. */
  add(messages: number): void {
    this.messages += messages
    this.#all.add(messages)
  }

  /** Its last consumer has gone, or it begins anew. */
  clear(): void {
    this.#all.note(this, false)
    this.#isHeld = false
    this.add(-this.messages)
  }

  /** Does the broker's limit stop it now? Until it does not it is woken when it may go on. */
  checkHeld(): boolean {
    const isHeld = this.wouldBeHeld
    if (isHeld !== this.#isHeld) {
      this.#isHeld = isHeld
      this.#all.note(this, isHeld)
    }
    return isHeld
  }

  /** The same, without side effects on it. */
  get wouldBeHeld(): boolean {
    return this.#all.holds(this, this.#isHeld)
  }
}
