import type { Clock, Logger } from '@strata/base'
import { transactUntilAnswered, type Change, type MetadataStore } from '@strata/metadata'
import { balanceKeys, decodeDigest, encodeDigest, type BrokerUsage } from './rows.ts'
import { RowTable } from './row-table.ts'

/*
  What placement goes by. Every broker places bundles, so every one must know how full the others are; if each watched the
  reports of all, a cluster of a thousand would have a hundred thousand events a second. So the leader alone watches reports,
  and writes from time to time one row of a thousand brokers that all others watch.
*/

/** Brokers of a page: some 30 KB. */
const BROKERS_PER_PAGE = 600
/** Points of usage that are worth writing. */
const NEWS_POINTS = 2
/** Every broker reads what is written: the more there are, the less often it is. */
const INTERVAL_MS_MIN = 10_000
const INTERVAL_MS_PER_BROKER = 50

/** How full brokers are, as the leader told last. */
export class LoadDigest {
  readonly #table: RowTable<BrokerUsage[]>
  #usage: ReadonlyMap<string, BrokerUsage> | undefined

  private constructor(table: RowTable<BrokerUsage[]>, onChange: { run: () => void }) {
    this.#table = table
    onChange.run = () => (this.#usage = undefined)
  }

  /** @throws MetadataError */
  static async open(store: MetadataStore, logger: Logger): Promise<LoadDigest> {
    const onChange = { run: (): void => undefined }
    const table = await RowTable.open({
      store,
      logger,
      prefix: balanceKeys.digests,
      decode: decodeDigest,
      onChange: () => {
        onChange.run()
      }
    })
    return new LoadDigest(table, onChange)
  }

  /** By instance. */
  get usage(): ReadonlyMap<string, BrokerUsage> {
    this.#usage ??= new Map([...this.#table.rows.values()].flat().map(each => [each.instance, each]))
    return this.#usage
  }

  close(): void {
    this.#table.close()
  }
}

/** How long a digest of so many brokers stands at least. */
export function digestIntervalMs(brokers: number): number {
  return Math.max(INTERVAL_MS_MIN, brokers * INTERVAL_MS_PER_BROKER)
}

/** Rows of one digest. */
export function digestPages(brokers: number): number {
  return Math.ceil(brokers / BROKERS_PER_PAGE)
}

/** The leader's pen. A new leader writes everything anew. */
export class LoadDigestWriter {
  readonly #store: MetadataStore
  readonly #clock: Clock
  #written: ReadonlyMap<string, BrokerUsage> | undefined
  #writtenAtMs = 0
  #pages = 0

  constructor(store: MetadataStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Resolves with whether there was anything to write. @throws MetadataError */
  async write(brokers: readonly BrokerUsage[]): Promise<boolean> {
    const nowMs = this.#clock.nowMs()
    if (this.#written !== undefined && nowMs < this.#writtenAtMs + digestIntervalMs(brokers.length)) return false
    if (!this.#isNews(brokers)) return false
    const sorted = [...brokers].sort((a, b) => (a.instance < b.instance ? -1 : 1))
    const changes: Change[] = []
    for (let at = 0; at < sorted.length; at += BROKERS_PER_PAGE) {
      const value = encodeDigest(sorted.slice(at, at + BROKERS_PER_PAGE))
      changes.push({ kind: 'put', key: balanceKeys.digest(changes.length), value })
    }
    const pages = digestPages(sorted.length)
    const before = this.#written === undefined ? await this.#stored() : this.#pages
    for (let page = pages; page < before; page++) changes.push({ kind: 'delete', key: balanceKeys.digest(page) })
    if (changes.length > 0) await transactUntilAnswered(this.#store, { compares: [], changes }, { clock: this.#clock })
    this.#written = new Map(brokers.map(each => [each.instance, each]))
    this.#writtenAtMs = nowMs
    this.#pages = pages
    return true
  }

  /** Pages that a leader before left. */
  async #stored(): Promise<number> {
    const { records } = await this.#store.scan({ prefix: balanceKeys.digests, keysOnly: true })
    return records.length
  }

  #isNews(brokers: readonly BrokerUsage[]): boolean {
    const written = this.#written
    if (written?.size !== brokers.length) return true
    return brokers.some(({ instance, usage, topics }) => {
      const before = written.get(instance)
      if (before === undefined || Math.abs(before.usage - usage) >= NEWS_POINTS) return true
      return Math.abs(before.topics - topics) > Math.max(100, before.topics / 10)
    })
  }
}
