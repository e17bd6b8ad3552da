import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { Entry } from '@strata/managed-ledger'
import type { Topic } from '../topic/topic.ts'
import { BacklogAges } from './backlog-ages.ts'
import { CacheMeter, type LogCounts } from './cache-meter.ts'
import { IntervalQuantiles } from './interval-buckets.ts'
import { LookupMeter } from './lookup-meter.ts'
import { StoragePulse } from './storage-pulse.ts'
import { StoredBook } from './stored-book.ts'
import { StuckSubscriptions } from './stuck-subscriptions.ts'
import { TenantWork } from './tenant-work.ts'
import { TrafficBook } from './traffic-book.ts'

export interface BrokerMetersOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly topics: () => Iterable<Topic>
  readonly logs: () => LogCounts
  /** Milliseconds since 1970 of an entry's publication, by its client's clock. */
  readonly publishTimeMs: (entry: Entry) => number
}

const LOOK_MS = 10_000
/** Dashboards of Apache Pulsar divide by its seconds. */
const INTERVAL_MS = 60_000

/** What is measured of one broker beyond what its topics know of themselves. Looks at them every ten seconds, once it is started. */
export class BrokerMeters {
  readonly traffic = new TrafficBook()
  /** From a SEND to its entry in storage. */
  readonly publishLatency = new IntervalQuantiles()
  readonly lookups = new LookupMeter()
  readonly stored = new StoredBook()
  readonly storage = new StoragePulse()
  readonly ages: BacklogAges
  readonly stuck: StuckSubscriptions
  readonly tenants: TenantWork
  readonly cache: CacheMeter
  readonly #options: BrokerMetersOptions
  #cancel: () => void = () => undefined
  #rolledAtMs: number
  #isStopped = false

  constructor(options: BrokerMetersOptions) {
    const { clock } = options
    this.#options = options
    this.ages = new BacklogAges(options)
    this.stuck = new StuckSubscriptions(clock)
    this.tenants = new TenantWork(this.traffic, clock)
    this.cache = new CacheMeter(options.logs, clock)
    this.#rolledAtMs = clock.nowMs()
  }

  start(): void {
    this.#cancel = this.#options.clock.after(LOOK_MS, () => void this.#run())
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  async #run(): Promise<void> {
    try {
      await this.look()
    } catch (error) {
      const { logger } = this.#options
      logger.warn({ event: 'metrics.look_failed', reason: reasonOf(error) }, 'topics could not be looked at')
    }
    if (!this.#isStopped) this.start()
  }

  async look(): Promise<void> {
    const { clock, topics } = this.#options
    this.tenants.look()
    this.cache.look()
    this.stuck.look(topics())
    if (clock.nowMs() - this.#rolledAtMs >= INTERVAL_MS) this.roll()
    await this.ages.look(topics())
  }

  /** Ends the interval of whatever is told by intervals. */
  roll(): void {
    this.#rolledAtMs = this.#options.clock.nowMs()
    this.publishLatency.roll()
    this.lookups.latency.roll()
    this.cache.roll()
    for (const topic of this.#options.topics()) topic.storage?.roll()
  }
}
