import type { Clock } from '@strata/base'
import { addTraffic, noTraffic, tenantOf, type TrafficBook, type TrafficTotals } from './traffic-book.ts'

/** What one tenant makes of the work of this broker. Rates are per second, shares of one. */
export interface TenantShare {
  readonly bytesPerSecond: number
  /** SENDs, entries sent to consumers, and requests over HTTP that name the tenant. */
  readonly requestsPerSecond: number
  readonly bytesShare: number
  readonly requestsShare: number
}

interface Sums {
  readonly bytes: number
  readonly requests: number
}

/** Below these nobody disturbs anybody, whatever the share. */
const NOISE_BYTES = 1_000_000
const NOISE_REQUESTS = 1_000

/** Who the work is for, between the last two looks. */
export class TenantWork {
  readonly #book: TrafficBook
  readonly #clock: Clock
  #before = new Map<string, Sums>()
  #shares = new Map<string, TenantShare>()
  #lookedAtMs: number

  constructor(book: TrafficBook, clock: Clock) {
    this.#book = book
    this.#clock = clock
    this.#lookedAtMs = clock.nowMs()
  }

  look(): void {
    const nowMs = this.#clock.nowMs()
    const seconds = (nowMs - this.#lookedAtMs) / 1000
    if (seconds <= 0) return
    this.#lookedAtMs = nowMs
    const sums = this.#sums()
    const grown = new Map<string, Sums>()
    let [bytes, requests] = [0, 0]
    for (const [tenant, sum] of sums) {
      const before = this.#before.get(tenant)
      const more = { bytes: sum.bytes - (before?.bytes ?? 0), requests: sum.requests - (before?.requests ?? 0) }
      grown.set(tenant, more)
      bytes += more.bytes
      requests += more.requests
    }
    this.#before = sums
    this.#shares = new Map()
    for (const [tenant, more] of grown) {
      this.#shares.set(tenant, {
        bytesPerSecond: more.bytes / seconds,
        requestsPerSecond: more.requests / seconds,
        bytesShare: bytes > 0 ? more.bytes / bytes : 0,
        requestsShare: requests > 0 ? more.requests / requests : 0
      })
    }
  }

  of(tenant: string): TenantShare | undefined {
    return this.#shares.get(tenant)
  }

  all(): Iterable<[tenant: string, share: TenantShare]> {
    return this.#shares
  }

  /** More than its part, of what is not little: `share` of one, while there is another tenant. */
  isNoisy(tenant: string, share: number): boolean {
    const own = this.#shares.get(tenant)
    if (own === undefined || this.#shares.size < 2) return false
    return (
      (own.bytesShare >= share && own.bytesPerSecond >= NOISE_BYTES) ||
      (own.requestsShare >= share && own.requestsPerSecond >= NOISE_REQUESTS)
    )
  }

  #sums(): Map<string, Sums> {
    const tenants = new Map<string, TrafficTotals>()
    for (const [namespace, totals] of this.#book.namespaces()) {
      const tenant = tenantOf(namespace)
      const sum = tenants.get(tenant) ?? noTraffic()
      tenants.set(tenant, sum)
      addTraffic(sum, totals)
    }
    const requests = this.#book.requests()
    const sums = new Map<string, Sums>()
    for (const tenant of new Set([...tenants.keys(), ...requests.keys()])) {
      const { bytesIn, bytesOut, sends, deliveries } = tenants.get(tenant) ?? noTraffic()
      sums.set(tenant, { bytes: bytesIn + bytesOut, requests: sends + deliveries + (requests.get(tenant) ?? 0) })
    }
    return sums
  }
}
