import type { BytePool } from '@strata/base'
import type { ShareWaiter, TenantShare } from '../limits/tenant-shares.ts'

export interface IntakeHost {
  readonly pool: BytePool
  /** Connections that hold publications now. */
  readonly publishing: { connections: number }
  /** Publications a connection may hold while the pool is over. */
  pendingMax(): number
  pause(): void
  resume(): void
}

/** One connection never holds more of the pool than this part of it, however little the others need. */
const OWN_PART_MAX = 1 / 4
/** What a publication takes beside its payload until it is settled: objects, its place in queues, its receipt. Measured. */
const PUBLICATION_BYTES = 1024

/**
 * Back-pressure of one connection's SENDs: bytes taken from the client and not durable yet are charged to the process's
 * pool, and the socket is paused while this connection holds too much.
 *
 * Invariants
 *   I1  The pool is charged exactly what is held here.
 *   I2  A paused intake holds something, so that a settled publication can resume it: no pause lasts for ever.
 *   I3  While the pool is over, who holds less than a fair share goes on: a flood never stalls a neighbour.
 *   I4  Nor is it far ahead of one: it is paused as well while the tenant that it published for last has its share on its way.
 */
export class Intake implements ShareWaiter {
  readonly #host: IntakeHost
  #bytes = 0
  #count = 0
  #isPaused = false
  #share: TenantShare | undefined

  constructor(host: IntakeHost) {
    this.#host = host
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get heldBytes(): number {
    return this.#bytes
  }

  /** Without a share it is not on its way yet. */
  take(payloadBytes: number, share?: TenantShare): void {
    const bytes = payloadBytes + PUBLICATION_BYTES
    if (this.#count++ === 0) this.#host.publishing.connections++
    this.#bytes += bytes
    this.#host.pool.take(bytes)
    if (share === undefined) return
    share.take(bytes)
    this.#share = share
  }

  give(payloadBytes: number, share?: TenantShare): void {
    const bytes = payloadBytes + PUBLICATION_BYTES
    this.#bytes -= bytes
    this.#host.pool.give(bytes)
    if (--this.#count === 0) this.#host.publishing.connections--
    this.onRoom()
    share?.give(bytes)
  }

  onRoom(): void {
    if (!this.#isPaused) return
    if (this.#isOver(0.5)) {
      // Who was called waits no more. While it holds something it hears of that; else of nothing but its share. To wait in either case would
      // have every receipt of a tenant call all of its connections.
      if (this.#count === 0) this.#share?.wait(this)
      return
    }
    this.#isPaused = false
    this.#host.resume()
  }

  /** After each publication: pauses, and returns true, if this connection holds too much now. */
  check(): boolean {
    if (!this.#isOver(1)) return false
    this.#isPaused = true
    this.#host.pause()
    this.#share?.wait(this)
    return true
  }

  #isOver(factor: number): boolean {
    if (this.#share?.isOver(factor) === true) return true
    if (this.#count === 0) return false
    const { pool, publishing } = this.#host
    if (this.#bytes >= pool.bytesMax * OWN_PART_MAX * factor) return true
    if (!pool.isOver) return false
    const share = pool.bytesMax / Math.max(1, publishing.connections)
    return this.#bytes >= share * factor || this.#count >= this.#host.pendingMax() * factor
  }
}
