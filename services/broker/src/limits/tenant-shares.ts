import type { Clock } from '@strata/base'

/** However many tenants publish, one may have so much on its way: a batch of a client that fills its batches. */
const SHARE_BYTES_MIN = 128 * 1024
/** A tenant publishes as long as its last publication is not two of these ago. */
const PERIOD_MS = 500

/** Who waits for room in a share. */
export interface ShareWaiter {
  onRoom(): void
}

/**
 * How much of what waits for storage is whose. All tenants publish through the same journals, first come, first served: one that
 * sends as fast as it can makes the others wait behind all that it may have on its way. So while several publish, and
 * more than `contendedBytes` wait together, nobody has more than an equal part of these on its way; the rest waits in its socket. A tenant
 * that publishes alone is not held back.
 *
 * Invariants
 *   T1  A share counts what was taken of its tenant and is not settled.
 *   T2  Who waits is called when its tenant's share has room, or when it is held back no more: at the latest when nothing of it is
 *       on its way.
 */
export class TenantShares {
  readonly #clock: Clock
  readonly #contendedBytes: () => number
  readonly #shares = new Map<string, TenantShare>()
  #active = new Set<TenantShare>()
  #activeBefore = new Set<TenantShare>()
  #isTimed = false
  heldBytes = 0
  /** Rises with time while anybody publishes. */
  period = 0

  /** `contendedBytes`: asked each time; 0: nobody is held back. */
  constructor(options: { clock: Clock; contendedBytes: () => number }) {
    this.#clock = options.clock
    this.#contendedBytes = options.contendedBytes
  }

  of(tenant: string): TenantShare {
    let share = this.#shares.get(tenant)
    if (share === undefined) {
      share = new TenantShare(this)
      this.#shares.set(tenant, share)
    }
    return share
  }

  /** What each tenant may have on its way now. */
  get shareBytes(): number {
    const bytes = this.#contendedBytes()
    const tenants = this.#active.size + this.#activeBefore.size
    if (tenants < 2 || bytes === 0 || this.heldBytes <= bytes) return Infinity
    return Math.max(SHARE_BYTES_MIN, bytes / tenants)
  }

  /** It published. */
  note(share: TenantShare): void {
    this.#activeBefore.delete(share)
    this.#active.add(share)
    this.#time()
  }

  #time(): void {
    if (this.#isTimed) return
    this.#isTimed = true
    this.#clock.after(PERIOD_MS, () => {
      this.#isTimed = false
      this.period += 1
      this.#activeBefore = this.#active
      this.#active = new Set()
      if (this.#activeBefore.size > 0) this.#time()
    })
  }
}

/** One tenant's. */
export class TenantShare {
  readonly #shares: TenantShares
  #heldBytes = 0
  #notedIn = -1
  #waiting = new Set<ShareWaiter>()

  constructor(shares: TenantShares) {
    this.#shares = shares
  }

  take(bytes: number): void {
    this.#heldBytes += bytes
    this.#shares.heldBytes += bytes
    if (this.#notedIn === this.#shares.period) return
    this.#notedIn = this.#shares.period
    this.#shares.note(this)
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes
    this.#shares.heldBytes -= bytes
    if (this.#waiting.size === 0 || this.isOver(0.5)) return
    // who came last goes first: it is the other way around the next time, so that nobody always finds the room taken
    const waiting = [...this.#waiting].reverse()
    this.#waiting.clear()
    for (const waiter of waiting) waiter.onRoom()
  }

  /** Is more than this part of what it may have on its way? */
  isOver(part: number): boolean {
    return this.#heldBytes > 0 && this.#heldBytes >= this.#shares.shareBytes * part
  }

  wait(waiter: ShareWaiter): void {
    this.#waiting.add(waiter)
  }
}
