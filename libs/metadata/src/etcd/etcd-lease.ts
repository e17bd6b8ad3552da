import type { Lease } from '../metadata-store.ts'
import { EtcdFailure } from './etcd-failure.ts'
import { LEASE_GRANT, LEASE_KEEP_ALIVE, LEASE_REVOKE } from './etcd-rpc.ts'
import { backoffMs, type EtcdSession } from './etcd-session.ts'

export type LeaseSession = Pick<EtcdSession, 'ask' | 'askOnce' | 'clock' | 'log'>

/** A holder gives up this much before etcd can: for clocks that run at different speed, and timers that fire late. */
export function leaseMarginMs(ttlMs: number): number {
  return Math.max(200, ttlMs / 10)
}

/**
 * A lease that is kept alive from here.
 *
 * Invariants
 *   - It counts as held until `ttlMs` less the margin after the *sending* of the last keep-alive that was granted, by this
 *     process's monotonic clock. etcd counts from when that keep-alive arrived, which is later: so it is lost here before
 *     its records vanish there and anyone else can have them.
 *   - Lost is for good, whatever etcd answers later.
 */
export class EtcdLease implements Lease {
  readonly id: string
  /** etcd's number of it. */
  readonly number: bigint
  readonly ttlMs: number
  readonly #session: LeaseSession
  readonly #onEnd: (lease: EtcdLease) => void
  #state: 'held' | 'lost' | 'revoked' = 'held'
  #listeners: (() => void)[] = []
  #heldUntilMs = 0
  #failures = 0
  #cancelRenewal: (() => void) | undefined
  #cancelDeadline: (() => void) | undefined

  private constructor(options: {
    session: LeaseSession
    number: bigint
    ttlMs: number
    onEnd: (lease: EtcdLease) => void
  }) {
    this.#session = options.session
    this.#onEnd = options.onEnd
    this.number = options.number
    this.id = String(options.number)
    this.ttlMs = options.ttlMs
  }

  /** A grant whose answer is lost ends by itself, so it is simply asked for again. @throws EtcdFailure */
  static async grant(session: LeaseSession, ttlMs: number, onEnd: (lease: EtcdLease) => void): Promise<EtcdLease> {
    let sentAtMs = 0
    const request = { ttl: BigInt(Math.max(1, Math.ceil(ttlMs / 1000))) }
    const options = { mayRepeat: true, onSend: () => (sentAtMs = session.clock.nowMs()) }
    const { id, ttl } = await session.ask(LEASE_GRANT, request, options)
    const lease = new EtcdLease({ session, number: id, ttlMs: Number(ttl) * 1000, onEnd })
    lease.#granted(sentAtMs, lease.ttlMs)
    return lease
  }

  get isHeld(): boolean {
    this.#checkDeadline()
    return this.#state === 'held'
  }

  get isLost(): boolean {
    this.#checkDeadline()
    return this.#state === 'lost'
  }

  onLost(run: () => void): void {
    if (this.isLost) run()
    else this.#listeners.push(run)
  }

  /** Idempotent. @throws EtcdFailure: the records are still there, at most for `ttlMs` */
  async revoke(): Promise<void> {
    this.release()
    try {
      await this.#session.ask(LEASE_REVOKE, { id: this.number }, { mayRepeat: true })
    } catch (error) {
      if (!(error instanceof EtcdFailure) || error.kind !== 'no-lease') throw error
    }
  }

  /** It is kept alive no more. */
  release(): void {
    this.#checkDeadline()
    if (this.#state === 'held') this.#end('revoked')
  }

  lose(): void {
    if (this.#state !== 'held') return
    const listeners = this.#listeners
    this.#end('lost')
    const { id: leaseId, ttlMs } = this
    this.#session.log.warn({ event: 'lease.lost', leaseId, ttlMs }, 'A lease was lost.')
    for (const run of listeners) run()
  }

  #end(state: 'lost' | 'revoked'): void {
    this.#state = state
    this.#listeners = []
    this.#cancelRenewal?.()
    this.#cancelDeadline?.()
    this.#onEnd(this)
  }

  /** A timer may be late; whoever asks is told the truth. */
  #checkDeadline(): void {
    if (this.#state === 'held' && this.#session.clock.nowMs() >= this.#heldUntilMs) this.lose()
  }

  #granted(sentAtMs: number, ttlMs: number): void {
    const { clock } = this.#session
    this.#failures = 0
    this.#heldUntilMs = sentAtMs + ttlMs - leaseMarginMs(ttlMs)
    this.#checkDeadline()
    if (this.#state !== 'held') return
    this.#cancelDeadline?.()
    this.#cancelDeadline = clock.after(this.#heldUntilMs - clock.nowMs(), () => this.lose())
    this.#renewIn(sentAtMs + ttlMs / 3 - clock.nowMs())
  }

  #renewIn(delayMs: number): void {
    this.#cancelRenewal = this.#session.clock.after(Math.max(0, delayMs), () => void this.#renew())
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const sentAtMs = this.#session.clock.nowMs()
    const timeoutMs = Math.max(1, Math.min(this.ttlMs / 4, this.#heldUntilMs - sentAtMs))
    try {
      const { ttl } = await this.#session.askOnce(LEASE_KEEP_ALIVE, { id: this.number }, timeoutMs)
      if (this.#state !== 'held') return
      if (ttl > 0n) this.#granted(sentAtMs, Math.min(this.ttlMs, Number(ttl) * 1000))
      else this.lose()
    } catch (error) {
      if (this.#state !== 'held') return
      if (error instanceof EtcdFailure && error.kind === 'no-lease') this.lose()
      else this.#renewIn(Math.min(backoffMs(this.#failures++), this.ttlMs / 10))
    }
  }
}
