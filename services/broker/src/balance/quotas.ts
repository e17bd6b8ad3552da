import { unitsOf, type BrokerView, type BundleLoad } from './load.ts'

/** What an operator expects of a bundle: the `ResourceQuota` of Pulsar's admin API. */
export interface ResourceQuota {
  /** Messages per second. */
  readonly msgRateIn: number
  readonly msgRateOut: number
  /** Bytes per second. */
  readonly bandwidthIn: number
  readonly bandwidthOut: number
  /** Megabytes. Kept and shown: what a bundle's topics hold of the byte budget is told by no broker. */
  readonly memory: number
  /** It counts until the bundle has traffic of its own, which counts from then on; else it is the least that counts. */
  readonly dynamic: boolean
}

/** What is shown of a bundle that nobody said anything of: Pulsar's, for a bundle of which nothing is known. */
export const USUAL_QUOTA: ResourceQuota = {
  msgRateIn: 40,
  msgRateOut: 120,
  bandwidthIn: 100_000,
  bandwidthOut: 300_000,
  memory: 80,
  dynamic: true
}

export interface Quotas {
  /** For bundles that have none of their own; undefined: nobody set it, and they count by what is measured. */
  readonly usual: ResourceQuota | undefined
  /** By bundle, `tenant/namespace/range`. */
  readonly byBundle: ReadonlyMap<string, ResourceQuota>
}

/**
 * Brokers as decisions are to see them: with what is expected of their bundles, where that is more than what they carry.
 * What a unit of work costs is what it costs all brokers together, so that usage grows with it. Pure.
 *
 * @param holderOf Instance of the broker that holds a bundle; undefined: nobody does.
 */
export function withQuotas(
  views: readonly BrokerView[],
  quotas: Quotas,
  holderOf: (bundle: string) => string | undefined
): BrokerView[] {
  if (quotas.usual === undefined && quotas.byBundle.size === 0) return [...views]
  const untold = untoldBundles(views, quotas, holderOf)
  const pointsPerUnit = costOf(views)
  return views.map(view => {
    const bundles = [...view.bundles, ...(untold.get(view.instance) ?? [])].map(bundle => expected(bundle, quotas))
    const more = sumOf(bundles) - sumOf(view.bundles)
    if (more === 0) return view
    const usage = view.usage === undefined ? undefined : Math.min(100, view.usage + more * pointsPerUnit)
    return { ...view, usage, units: view.units + more, bundles: bundles.sort((a, b) => unitsOf(b) - unitsOf(a)) }
  })
}

/** Bundles with a quota that their brokers do not tell of, being too light. By instance. */
function untoldBundles(
  views: readonly BrokerView[],
  { byBundle }: Quotas,
  holderOf: (bundle: string) => string | undefined
): Map<string, BundleLoad[]> {
  const told = new Set(views.flatMap(({ bundles }) => bundles.map(({ bundle }) => bundle)))
  const untold = new Map<string, BundleLoad[]>()
  for (const bundle of byBundle.keys()) {
    const holder = told.has(bundle) ? undefined : holderOf(bundle)
    if (holder === undefined) continue
    const idle = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, topics: 0, sessions: 0, siblings: 0 }
    untold.set(holder, [...(untold.get(holder) ?? []), { bundle, ...idle }])
  }
  return untold
}

function expected(load: BundleLoad, { usual, byBundle }: Quotas): BundleLoad {
  const quota = byBundle.get(load.bundle) ?? usual
  if (quota === undefined || (quota.dynamic && unitsOf(load) > 0)) return load
  return {
    ...load,
    messagesIn: Math.max(load.messagesIn, quota.msgRateIn),
    messagesOut: Math.max(load.messagesOut, quota.msgRateOut),
    bytesIn: Math.max(load.bytesIn, quota.bandwidthIn),
    bytesOut: Math.max(load.bytesOut, quota.bandwidthOut)
  }
}

/** Points of usage that a unit of work stands for; 0 while nobody carries anything. */
function costOf(views: readonly BrokerView[]): number {
  const known = views.filter(({ usage }) => usage !== undefined)
  const units = known.reduce((sum, view) => sum + view.units, 0)
  return units === 0 ? 0 : known.reduce((sum, { usage = 0 }) => sum + usage, 0) / units
}

function sumOf(bundles: readonly BundleLoad[]): number {
  return bundles.reduce((sum, bundle) => sum + unitsOf(bundle), 0)
}
