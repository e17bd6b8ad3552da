/** What went in and out since the start. Plain numbers: they are raised for every entry. */
export interface TrafficTotals {
  /** SENDs that were taken. */
  sends: number
  messagesIn: number
  bytesIn: number
  /** Entries that were sent to consumers. */
  deliveries: number
  messagesOut: number
  bytesOut: number
}

export function noTraffic(): TrafficTotals {
  return { sends: 0, messagesIn: 0, bytesIn: 0, deliveries: 0, messagesOut: 0, bytesOut: 0 }
}

export function addTraffic(sum: TrafficTotals, more: TrafficTotals): void {
  sum.sends += more.sends
  sum.messagesIn += more.messagesIn
  sum.bytesIn += more.bytesIn
  sum.deliveries += more.deliveries
  sum.messagesOut += more.messagesOut
  sum.bytesOut += more.bytesOut
}

/** Tenants that only requests over HTTP name: who asks for names that do not exist must not fill memory. */
const ASKED_TENANTS_MAX = 1_000

/**
 * Exact totals of this process by namespace: they go on when topics and subscriptions leave memory. Whoever counts asks for
 * its namespace once and raises the numbers by itself.
 */
export class TrafficBook {
  readonly #namespaces = new Map<string, TrafficTotals>()
  readonly #requests = new Map<string, number>()

  of(namespace: string): TrafficTotals {
    let totals = this.#namespaces.get(namespace)
    if (totals === undefined) this.#namespaces.set(namespace, (totals = noTraffic()))
    return totals
  }

  /** Undefined: no topic of it was in memory yet. */
  find(namespace: string): Readonly<TrafficTotals> | undefined {
    return this.#namespaces.get(namespace)
  }

  namespaces(): Iterable<[namespace: string, totals: Readonly<TrafficTotals>]> {
    return this.#namespaces
  }

  /** One request over HTTP that names a tenant. */
  onRequest(tenant: string): void {
    const before = this.#requests.get(tenant)
    if (before === undefined && this.#requests.size >= ASKED_TENANTS_MAX) return
    this.#requests.set(tenant, (before ?? 0) + 1)
  }

  /** Requests over HTTP by the tenant that they name. */
  requests(): ReadonlyMap<string, number> {
    return this.#requests
  }
}

export function tenantOf(namespace: string): string {
  return namespace.slice(0, namespace.indexOf('/'))
}
