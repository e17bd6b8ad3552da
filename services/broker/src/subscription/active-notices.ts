import type { Clock } from '@strata/base'
import type { TurnScheduler } from './log-pump.ts'
import type { Member } from './member.ts'
import type { SingleActiveDispatcher } from './single-active.ts'

/** Protocol version from which a client understands ACTIVE_CONSUMER_CHANGE. */
const NOTICES_SINCE_PROTOCOL = 12

/**
 * When a new active consumer is served and who is told. A consumer that takes over from one that is still there waits,
 * so that what the former acknowledges in the meantime is not delivered twice; one that is alone need not.
 */
export class ActiveNotices {
  readonly #turns: TurnScheduler
  readonly #clock: Clock
  readonly #delayMs: () => number
  readonly #onServed: () => void
  #cancelDelay: (() => void) | undefined

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
    this.#cancelDelay?.()
    this.#cancelDelay = undefined
  }

  #onChanged(dispatcher: SingleActiveDispatcher, activeBefore: Member | undefined): void {
    const serve = (): void => {
      this.#cancelDelay = undefined
      if (dispatcher.members.length === 0) return
      dispatcher.isHeld = false
      tell(dispatcher, dispatcher.members)
      this.#onServed()
    }
    const delayMs = this.#delayMs()
    const isDelayed =
      dispatcher.type === 'Failover' && activeBefore !== undefined && dispatcher.members.length > 1 && delayMs > 0
    dispatcher.isHeld = true
    if (this.#cancelDelay !== undefined) return
    if (isDelayed) this.#cancelDelay = this.#clock.after(delayMs, serve)
    else this.#turns.later(serve)
  }
}

function tell(dispatcher: SingleActiveDispatcher, members: readonly Member[]): void {
  if (dispatcher.type !== 'Failover') return
  for (const member of members) {
    if (member.isGone || member.connection.protocolVersion < NOTICES_SINCE_PROTOCOL) continue
    member.connection.sendActiveConsumerChange(member.options.consumerId, member === dispatcher.activeConsumer)
  }
}
