import type { Clock } from '@strata/base'

export interface AssemblyGateOptions {
  readonly clock: Clock
  /** Connections that may assemble a large frame at once; at least one. */
  readonly places: number
  /** How long a place may be held while others wait for one. */
  patienceMs(): number
}

export interface AssemblyHost {
  pause(): void
  resume(): void
  close(reason: string): void
}

/** A frame that is cut needs a place once it takes more than this. */
const SMALL_BYTES = 64 * 1024

/**
 * Bounds what frames hold that are still on their way in: a client may announce megabytes and take its time. Only so many
 * connections as the ingest pool has room for assemble a large frame at once; the others' sockets wait, in order.
 *
 * A place that is held for long while others wait is taken away, and its connection closed: half a frame cannot be kept
 * elsewhere, and one stalled client must not stall all.
 */
export class AssemblyGate {
  readonly #options: AssemblyGateOptions
  readonly #holders = new Set<Assembly>()
  readonly #waiting = new Set<Assembly>()
  #cancel: (() => void) | undefined

  constructor(options: AssemblyGateOptions) {
    this.#options = options
  }

  get holderCount(): number {
    return this.#holders.size
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  join(host: AssemblyHost): Assembly {
    return new Assembly(this, host)
  }

  /** True if it may go on reading. */
  enter(assembly: Assembly): boolean {
    if (this.#holders.has(assembly)) return true
    if (this.#holders.size < Math.max(1, this.#options.places)) {
      assembly.sinceMs = this.#options.clock.nowMs()
      this.#holders.add(assembly)
      return true
    }
    this.#waiting.add(assembly)
    this.#watch()
    return false
  }

  leave(assembly: Assembly): void {
    this.#waiting.delete(assembly)
    if (!this.#holders.delete(assembly)) return
    for (const next of this.#waiting) {
      this.#waiting.delete(next)
      next.sinceMs = this.#options.clock.nowMs()
      this.#holders.add(next)
      next.onPlace()
      return
    }
  }

  #watch(): void {
    this.#cancel ??= this.#options.clock.after(this.#options.patienceMs(), () => {
      this.#cancel = undefined
      if (this.#waiting.size === 0) return
      const beforeMs = this.#options.clock.nowMs() - this.#options.patienceMs()
      for (const holder of [...this.#holders]) {
        if (holder.sinceMs <= beforeMs) holder.onImpatience()
      }
      if (this.#waiting.size > 0) this.#watch()
    })
  }
}

/** One connection at the gate. */
export class Assembly {
  readonly #gate: AssemblyGate
  readonly #host: AssemblyHost
  isWaiting = false
  /** When it got its place. */
  sinceMs = 0
  #isLarge = false

  constructor(gate: AssemblyGate, host: AssemblyHost) {
    this.#gate = gate
    this.#host = host
  }

  /** After each read: memory that the partial frame takes. */
  onHeld(bytes: number): void {
    const isLarge = bytes > SMALL_BYTES
    if (isLarge === this.#isLarge) return
    this.#isLarge = isLarge
    if (!isLarge) {
      this.#gate.leave(this)
      return
    }
    if (this.#gate.enter(this)) return
    this.isWaiting = true
    this.#host.pause()
  }

  onPlace(): void {
    this.isWaiting = false
    this.#host.resume()
  }

  onImpatience(): void {
    this.#host.close('its frame took too long while others waited to send theirs')
  }

  close(): void {
    this.isWaiting = false
    this.#gate.leave(this)
  }
}
