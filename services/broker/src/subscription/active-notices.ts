import type { Clock } from '@strata/base'
import type { TurnScheduler } from './log-pump.ts'
import type { Member } from './member.ts'
import type { SingleActiveDispatcher } from './single-active.ts'

/** Protocol version from which a client understands ACTIVE_CONSUMER_CHANGE. */
const NOTICES_SINCE_PROTOCOL = 12

/**
 * When a new active consumer is served and who is told. A consumer that takes over from one that is still there waits,
 * so that what the former acknowledges in the meantime is not delivered twice; one that is alone need not: it is told after
 * the same delay, and served at once.
 */
export class ActiveNotices {
  readonly #turns: TurnScheduler
  readonly #clock: Clock
  readonly #delayMs: () => number
  readonly #onServed: () => void
  #cancelDelay: (() => void) | undefined
  #cancelTelling: (() => void) | undefined
  /** Of the change that is to be served: one that another change has overtaken must not serve. */
  #change = 0

  constructor(options: { turns: TurnScheduler; clock: Clock; delayMs: () => number; onServed: () => void }) {
    this.#turns = options.turns
    this.#clock = options.clock
    this.#delayMs = options.delayMs
    this.#onServed = options.onServed
  }

  onJoined(dispatcher: SingleActiveDispatcher, member: Member, activeBefore: Member | undefined): void {
    if (dispatcher.activeConsumer !== activeBefore) {
      this.#onChanged(dispatcher, activeBefore)
    } else {
      // After the answer to its SUBSCRIBE.
      this.#turns.later(() => {
        tell(dispatcher, [member])
      })
    }
  }

  onLeft(dispatcher: SingleActiveDispatcher, activeBefore: Member | undefined): void {
    if (dispatcher.activeConsumer !== activeBefore) this.#onChanged(dispatcher, activeBefore)
  }

  cancel(): void {
    this.#change++
    this.#cancelDelay?.()
    this.#cancelDelay = undefined
    this.#cancelTelling?.()
    this.#cancelTelling = undefined
  }

  #onChanged(dispatcher: SingleActiveDispatcher, activeBefore: Member | undefined): void {
    dispatcher.isHeld = true
    if (this.#cancelDelay !== undefined) return // whoever is active when the delay ends is served
    const change = ++this.#change
    this.#cancelTelling?.()
    this.#cancelTelling = undefined
    const delayMs = dispatcher.type === 'Failover' ? this.#delayMs() : 0
    const isFirst = activeBefore === undefined
    const serve = (): void => {
      if (change !== this.#change) return
      this.#cancelDelay = undefined
      dispatcher.isHeld = false
      if (isFirst && delayMs > 0) this.#tellLater(dispatcher, delayMs)
      else tell(dispatcher, dispatcher.members)
      this.#onServed()
    }
    const isDelayed = !isFirst && dispatcher.members.length > 1 && delayMs > 0
    if (isDelayed) this.#cancelDelay = this.#clock.after(delayMs, serve)
    else this.#turns.later(serve)
  }

  /** Go passes a notice over that comes right behind the answer to its SUBSCRIBE: it does not listen yet. */
  #tellLater(dispatcher: SingleActiveDispatcher, delayMs: number): void {
    this.#cancelTelling = this.#clock.after(delayMs, () => {
      this.#cancelTelling = undefined
      tell(dispatcher, dispatcher.members)
    })
  }
}

function tell(dispatcher: SingleActiveDispatcher, members: readonly Member[]): void {
  if (dispatcher.type !== 'Failover') return
  for (const member of members) {
    if (member.isGone || member.connection.protocolVersion < NOTICES_SINCE_PROTOCOL) continue
    member.connection.sendActiveConsumerChange(member.options.consumerId, member === dispatcher.activeConsumer)
  }
}
