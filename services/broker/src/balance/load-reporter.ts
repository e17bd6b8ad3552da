import { reasonOf, type Clock, type Logger } from '@strata/base'
import { transactUntilAnswered, type Change, type Lease, type MetadataStore } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import type { CollectedLoad } from './load-collector.ts'
import { unitsOf, usageOf, type BrokerLoad, type BundleLoad } from './load.ts'
import { balanceKeys, BUNDLES_PER_PAGE, encodeBundleLoads, encodeReport } from './rows.ts'
import { MINUTE_MS } from './history.ts'
import { weightsOf } from './settings.ts'

export interface LoadReporterOptions {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BrokerSettings
  /** As it is registered at this moment. */
  readonly instance: () => string
  readonly collect: () => Promise<CollectedLoad>
}

/** How long a report outlives its broker. */
const LEASE_MS = 30_000
/** Changes below these are noise, whatever their share. */
const UNITS_FLOOR = 100
const COUNT_FLOOR = 10

interface Written {
  readonly instance: string
  /** By the monotonic clock. */
  readonly atMs: number
  readonly load: CollectedLoad
  readonly pages: number
}

/**
 * Looks at the load of this broker and tells the cluster of it: when it has changed by more than the threshold, at most
 * once an interval. Nothing per topic is written. A report that cannot be written is written at the next interval.
 */
export class LoadReporter {
  readonly #options: LoadReporterOptions
  #latest: CollectedLoad | undefined
  #written: Written | undefined
  #lease: Lease | undefined
  #cancel: () => void = () => undefined
  #running: Promise<void> | undefined
  #isClosed = false
  /** Of this process, for whoever counts. */
  writes = 0

  constructor(options: LoadReporterOptions) {
    this.#options = options
  }

  start(): void {
    this.#arm()
  }

  /** As it was looked at last. */
  get latest(): CollectedLoad | undefined {
    return this.#latest
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel()
    await this.#running
    await this.#lease?.revoke().catch(() => undefined)
  }

  /** Looks, and writes if there is something to say. Never throws. */
  async report(): Promise<void> {
    const { logger, instance } = this.#options
    try {
      const load = await this.#options.collect()
      this.#latest = load
      if (!this.#isClosed && this.#isNews(load)) await this.#write({ instance: instance(), load })
    } catch (error) {
      logger.warn({ event: 'load.report_failed', reason: reasonOf(error) }, 'the load of this broker was not told')
    }
  }

  #arm(): void {
    const { clock, settings } = this.#options
    this.#cancel = clock.after(settings.loadBalancerReportUpdateMinIntervalMillis, () => {
      this.#running = this.report().then(() => {
        this.#running = undefined
        if (!this.#isClosed) this.#arm()
      })
    })
  }

  #isNews(load: CollectedLoad): boolean {
    const { clock, settings, instance } = this.#options
    const written = this.#written
    if (written?.instance !== instance() || this.#lease?.isLost !== false) return true
    if (clock.nowMs() - written.atMs >= settings.loadBalancerReportUpdateMaxIntervalMinutes * MINUTE_MS) return true
    return (
      hasChanged(load.broker, written.load.broker, settings) || namesOf(load.bundles) !== namesOf(written.load.bundles)
    )
  }

  /** The heaviest, and of those only the ones that have anything, unless empty ones may be merged. */
  #told(bundles: readonly BundleLoad[]): readonly BundleLoad[] {
    const { settings } = this.#options
    const some = bundles.slice(0, settings.loadBalancerMaxNumberOfBundlesInBundleLoadReport)
    return settings.strataLoadBalancerAutoBundleMergeEnabled ? some : some.filter(({ topics }) => topics > 0)
  }

  async #write(report: { instance: string; load: CollectedLoad }): Promise<void> {
    const { instance, load } = report
    const lease = await this.#leased()
    const told = this.#told(load.bundles)
    const pages: Uint8Array[] = []
    for (let at = 0; at < told.length; at += BUNDLES_PER_PAGE) {
      pages.push(encodeBundleLoads(told.slice(at, at + BUNDLES_PER_PAGE)))
    }
    const before = this.#written?.instance === instance ? this.#written : undefined
    const summary = encodeReport({ atMs: this.#options.clock.wallMs(), load: load.broker, pages: pages.length })
    const changes: Change[] = [{ kind: 'put', key: balanceKeys.report(instance), value: summary, lease }]
    pages.forEach((value, page) => {
      changes.push({ kind: 'put', key: balanceKeys.reportPage(instance, page), value, lease })
    })
    for (let page = pages.length; page < (before?.pages ?? 0); page++) {
      changes.push({ kind: 'delete', key: balanceKeys.reportPage(instance, page) })
    }
    await transactUntilAnswered(this.#options.store, { compares: [], changes }, { clock: this.#options.clock })
    this.#written = { instance, load, atMs: this.#options.clock.nowMs(), pages: pages.length }
    this.writes += 1
  }

  async #leased(): Promise<Lease> {
    if (this.#lease?.isLost !== false) this.#lease = await this.#options.store.grantLease(LEASE_MS)
    return this.#lease
  }
}

/** By more than the threshold, and by more than noise. */
export function hasChanged(now: BrokerLoad, before: BrokerLoad, settings: BrokerSettings): boolean {
  const share = settings.loadBalancerReportUpdateThresholdPercentage / 100
  const weights = weightsOf(settings)
  const isOff = (a: number, b: number, floor: number): boolean => Math.abs(a - b) > Math.max(floor, share * b)
  return (
    Math.abs(usageOf(now, weights) - usageOf(before, weights)) > (share * 100) / 2 ||
    isOff(unitsOf(now), unitsOf(before), UNITS_FLOOR) ||
    isOff(now.topics, before.topics, COUNT_FLOOR) ||
    isOff(now.producers + now.consumers, before.producers + before.consumers, COUNT_FLOOR)
  )
}

/** Which bundles, in whatever order. */
function namesOf(bundles: readonly BundleLoad[]): string {
  return bundles
    .map(({ bundle }) => bundle)
    .sort()
    .join(' ')
}
