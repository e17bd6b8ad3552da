/*
  What balance knows of loads. Rates are per second, shares are of one, usage is in percent of what a broker can carry.
*/

/** One bundle, where it is served. */
export interface BundleLoad {
  /** `tenant/namespace/range` */
  readonly bundle: string
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** In memory. */
  readonly topics: number
  /** Producers and consumers. */
  readonly sessions: number
  /** Bundles of its namespace, itself included. */
  readonly siblings: number
}

/** One broker, as it says of itself. */
export interface BrokerLoad {
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly topics: number
  readonly producers: number
  readonly consumers: number
  readonly bundles: number
  /** Delay of the event loop, 99th percentile, in milliseconds. */
  readonly lagMs: number
  /** Share of time in which the event loop was busy: what a process of one thread runs out of first. */
  readonly loop: number
  /** Cores that the process keeps busy, those of its other threads included. */
  readonly cpu: number
  /** Share of the byte budget that is held. */
  readonly memory: number
}

export const NO_LOAD: BrokerLoad = {
  messagesIn: 0,
  messagesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  topics: 0,
  producers: 0,
  consumers: 0,
  bundles: 0,
  lagMs: 0,
  loop: 0,
  cpu: 0,
  memory: 0
}

/** A broker as decisions see it. */
export interface BrokerView {
  /** `host:port` of HTTP. */
  readonly id: string
  readonly instance: string
  readonly isDraining: boolean
  /** undefined: it has not said anything yet. */
  readonly usage: number | undefined
  readonly topics: number
  /** Work of all its bundles, in units. */
  readonly units: number
  /** The heaviest of its bundles, heaviest first. */
  readonly bundles: readonly BundleLoad[]
}

export interface UsageWeights {
  readonly loop: number
  readonly memory: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Bytes per second that the network takes one way; 0: not known, so it does not count. */
  readonly networkBytes: number
}

/** A message costs about what a kilobyte does. */
const BYTES_PER_UNIT = 1024

/** Work that goes where the traffic goes. */
export function unitsOf(load: Pick<BrokerLoad, 'messagesIn' | 'messagesOut' | 'bytesIn' | 'bytesOut'>): number {
  return load.messagesIn + load.messagesOut + (load.bytesIn + load.bytesOut) / BYTES_PER_UNIT
}

/** Percent, of whatever is nearest to its end. Lag is for people: it jumps with every collection of garbage. */
export function usageOf(load: BrokerLoad, weights: UsageWeights): number {
  const network = weights.networkBytes > 0 ? 1 / weights.networkBytes : 0
  return (
    100 *
    Math.max(
      load.loop * weights.loop,
      load.memory * weights.memory,
      load.bytesIn * network * weights.bytesIn,
      load.bytesOut * network * weights.bytesOut
    )
  )
}

/** Points of its broker's usage that a bundle stands for, by its share of the traffic. */
export function pointsOf(bundle: BundleLoad, broker: BrokerView): number {
  if (broker.usage === undefined || broker.units <= 0) return 0
  return (broker.usage * unitsOf(bundle)) / broker.units
}

export function namespaceOfBundle(bundle: string): string {
  return bundle.slice(0, bundle.lastIndexOf('/'))
}

export function rangeOfBundle(bundle: string): string {
  return bundle.slice(bundle.lastIndexOf('/') + 1)
}
