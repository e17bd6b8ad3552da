import type { Clock, EntryId, LedgerId } from '@strata/base'

/** No wait for a LAC is longer: a peer that is gone is forgotten. */
export const LAC_WAIT_MS_MAX = 60_000
/** Past this many, a further one is not made to wait. */
const WAITERS_MAX = 10_000

interface Waiter {
  readonly past: EntryId
  readonly wake: () => void
}

/** A node's readers that wait for a LAC to grow. Costs the writing side one look at `isEmpty`. */
export class LacWaiters {
  readonly #clock: Clock
  readonly #byLedger = new Map<LedgerId, Set<Waiter>>()
  #count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Resolves when `note` tells of a LAC past `past`, on `release`, and in the end after `timeoutMs`. */
  wait(ledgerId: LedgerId, { past, timeoutMs }: { past: EntryId; timeoutMs: number }): Promise<void> {
    if (this.#count >= WAITERS_MAX || !(timeoutMs > 0)) return Promise.resolve()
    return new Promise(resolve => {
      const waiters = this.#byLedger.get(ledgerId) ?? new Set()
      const waiter = {
        past,
        wake: () => {
          if (!waiters.delete(waiter)) return
          this.#count -= 1
          if (waiters.size === 0) this.#byLedger.delete(ledgerId)
          cancel()
          resolve()
        }
      }
      const cancel = this.#clock.after(Math.min(timeoutMs, LAC_WAIT_MS_MAX), waiter.wake)
      waiters.add(waiter)
      this.#byLedger.set(ledgerId, waiters)
      this.#count += 1
    })
  }

  note(ledgerId: LedgerId, lac: EntryId): void {
    for (const waiter of this.#of(ledgerId)) if (lac > waiter.past) waiter.wake()
  }

  /** The ledger was fenced: what it is now, the metadata tells. */
  release(ledgerId: LedgerId): void {
    for (const waiter of this.#of(ledgerId)) waiter.wake()
  }

  /** The node closes. */
  releaseAll(): void {
    for (const ledgerId of [...this.#byLedger.keys()]) this.release(ledgerId)
  }

  #of(ledgerId: LedgerId): Waiter[] {
    return [...(this.#byLedger.get(ledgerId) ?? [])]
  }
}
