import type { BrokerAddress } from './contract.ts'
import type { PeerAnswer } from './events.ts'
import type { Holdings } from './holdings.ts'
import type { MachineContext } from './machine-context.ts'

/** How often peers are asked again while this broker has no lease. */
const ASK_AGAIN_MS = 500
/** Peers that say nothing for so long are silent. */
const ASK_PATIENCE_MS = 1_500
/** After a lost lease: how long others are given to come back for what they serve. */
export const SETTLE_MS = 2_000

const ALARM = 'membership'

/**
 * Whether this broker counts in its cluster, and what it may do while it does not: rules 5 to 7 of README.md.
 *
 * Invariant: it is suspended only without a lease, or with one until everything it kept open is taken back or dropped.
 */
export class Membership {
  readonly #context: MachineContext
  readonly #holdings: Holdings
  #round = 0
  #isAsking = false

  constructor(context: MachineContext, holdings: Holdings) {
    this.#context = context
    this.#holdings = holdings
  }

  onRegistered(self: BrokerAddress, version: number): void {
    const { registry, nowMs } = this.#context
    const wasLeaseless = this.#context.mode === 'leaseless'
    const former = registry.instance
    if (!registry.register(self, version)) {
      this.#expel()
      return
    }
    this.#context.mode = 'registered'
    this.#isAsking = false
    this.#context.stayAsleep(ALARM)
    if (wasLeaseless) this.#context.settleUntilMs = nowMs + SETTLE_MS
    this.#context.decided('', wasLeaseless ? 'has a lease again' : 'registered')
    this.#holdings.reconcileAll()
    if (former !== '') this.#holdings.onBroker(former)
    this.#holdings.onBroker(self.instance)
  }

  onLeaseLost(): void {
    if (!this.#context.isRegistered) return
    this.#context.mode = 'leaseless'
    this.#context.decided('', 'its lease is past its deadline')
    this.#holdings.onLeaseLost()
    this.#ask()
  }

  /** This broker's own registration is gone. */
  onDeclaredDead(): void {
    if (this.#context.isRegistered) this.#expel()
  }

  onPeersAnswered(round: number, answers: readonly PeerAnswer[]): void {
    if (round !== this.#round || !this.#isAsking) return
    this.#isAsking = false
    this.#context.wakeAt(ALARM, this.#context.nowMs + ASK_AGAIN_MS)
    const someoneReaches = answers.includes('reaches')
    const allAreSilent = answers.length > 0 && answers.every(answer => answer === 'silent')
    this.#suspend(someoneReaches || allAreSilent)
  }

  onTick(subject: string): void {
    if (subject !== ALARM || this.#context.mode !== 'leaseless') return
    if (this.#isAsking) this.onPeersAnswered(this.#round, ['silent'])
    else this.#ask()
  }

  /** At the end of every step. */
  settle(): void {
    if (!this.#context.isSuspended || this.#context.mode === 'leaseless') return
    if (this.#holdings.keptCount === 0) this.#suspend(false)
  }

  #expel(): void {
    this.#context.mode = 'joining'
    this.#context.stayAsleep(ALARM)
    this.#context.decided('', 'was taken for dead: everything is dropped')
    this.#holdings.onExpelled()
    this.#context.emit({ kind: 'rejoin' })
  }

  #ask(): void {
    const peers = this.#context.registry.peers()
    this.#round++
    this.#isAsking = true
    if (peers.length === 0) {
      this.onPeersAnswered(this.#round, [])
      return
    }
    this.#context.emit({ kind: 'ask-peers', round: this.#round, peers })
    this.#context.wakeAt(ALARM, this.#context.nowMs + ASK_PATIENCE_MS)
  }

  #suspend(isSuspended: boolean): void {
    if (this.#context.isSuspended === isSuspended) return
    this.#context.isSuspended = isSuspended
    this.#context.emit({ kind: 'suspend', isSuspended })
    this.#context.decided('', isSuspended ? 'suspends: others can take over' : 'goes on')
    // what may be used changes, and who waits for an owner learns it from others now
    this.#holdings.reconcileAll()
  }
}
