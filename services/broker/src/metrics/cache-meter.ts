import type { Clock } from '@strata/base'
import type { CacheCounts } from '@strata/managed-ledger'
import type { Families, Labels } from './families.ts'

/** Logs that are open, and the cache of their entries. */
export interface LogCounts {
  readonly cache: CacheCounts
  readonly openCount: number
}

const RATES = ['hits', 'hitBytes', 'misses', 'missBytes'] as const
type Rate = (typeof RATES)[number]

/** What the entry cache does a second, and in an interval. Looked at every few seconds. */
export class CacheMeter {
  readonly #logs: () => LogCounts
  readonly #clock: Clock
  readonly #before: Record<Rate, number> = { hits: 0, hitBytes: 0, misses: 0, missBytes: 0 }
  readonly #perSecond: Record<Rate, number> = { hits: 0, hitBytes: 0, misses: 0, missBytes: 0 }
  #lookedMs: number
  #evictionsBefore = 0
  #evictions = 0

  constructor(logs: () => LogCounts, clock: Clock) {
    this.#logs = logs
    this.#clock = clock
    this.#lookedMs = clock.nowMs()
  }

  look(): void {
    const { cache } = this.#logs()
    const nowMs = this.#clock.nowMs()
    const seconds = (nowMs - this.#lookedMs) / 1000
    if (seconds <= 0) return
    this.#lookedMs = nowMs
    for (const rate of RATES) {
      this.#perSecond[rate] = (cache[rate] - this.#before[rate]) / seconds
      this.#before[rate] = cache[rate]
    }
  }

  /** The interval is over. */
  roll(): void {
    const { evictions } = this.#logs().cache
    this.#evictions = evictions - this.#evictionsBefore
    this.#evictionsBefore = evictions
  }

  /** By the names of Pulsar's ManagedLedgerFactory metrics. Its pool of direct memory has no counterpart. */
  addSeries(families: Families, cluster: Labels): void {
    const { cache, openCount } = this.#logs()
    const { hits, hitBytes, misses, missBytes } = this.#perSecond
    families.gauge('pulsar_ml_count', cluster, openCount)
    families.gauge('pulsar_ml_cache_used_size', cluster, cache.bytesHeld)
    families.gauge('pulsar_ml_cache_entries', cluster, cache.entries)
    families.counter('pulsar_ml_cache_inserted_entries_total', cluster, cache.inserted)
    families.counter('pulsar_ml_cache_evicted_entries_total', cluster, cache.evicted)
    families.gauge('pulsar_ml_cache_evictions', cluster, this.#evictions)
    families.gauge('pulsar_ml_cache_hits_rate', cluster, hits)
    families.gauge('pulsar_ml_cache_hits_throughput', cluster, hitBytes)
    families.gauge('pulsar_ml_cache_misses_rate', cluster, misses)
    families.gauge('pulsar_ml_cache_misses_throughput', cluster, missBytes)
  }
}
