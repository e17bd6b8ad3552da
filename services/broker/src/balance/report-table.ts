import type { Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { BrokerAddress } from '../ownership/contract.ts'
import { unitsOf, usageOf, type BrokerView, type BundleLoad, type UsageWeights } from './load.ts'
import {
  balanceKeys,
  decodeBundleLoads,
  decodeReport,
  reportOfKey,
  type BrokerUsage,
  type StoredReport
} from './rows.ts'
import { RowTable } from './row-table.ts'

type ReportRow = StoredReport | readonly BundleLoad[]

/** What all brokers say of themselves: the leader's view. */
export class ReportTable {
  readonly #table: RowTable<ReportRow>

  private constructor(table: RowTable<ReportRow>) {
    this.#table = table
  }

  /** @throws MetadataError */
  static async open(store: MetadataStore, logger: Logger): Promise<ReportTable> {
    const table = await RowTable.open<ReportRow>({
      store,
      logger,
      prefix: balanceKeys.reports,
      decode: row => (reportOfKey(row.key).page === undefined ? decodeReport(row) : decodeBundleLoads(row))
    })
    return new ReportTable(table)
  }

  /** Of the brokers that are registered; others' reports count for nothing. */
  views(brokers: readonly BrokerAddress[], weights: UsageWeights): BrokerView[] {
    return brokers.map(({ id, instance, isDraining }) => {
      const report = this.report(instance)
      if (report === undefined) return { id, instance, isDraining, usage: undefined, topics: 0, units: 0, bundles: [] }
      const { load, pages } = report
      const bundles: BundleLoad[] = []
      for (let page = 0; page < pages; page++) {
        const row = this.#table.rows.get(balanceKeys.reportPage(instance, page))
        if (isPage(row)) bundles.push(...row)
      }
      const { topics } = load
      return { id, instance, isDraining, usage: usageOf(load, weights), topics, units: unitsOf(load), bundles }
    })
  }

  report(instance: string): StoredReport | undefined {
    const row = this.#table.rows.get(balanceKeys.report(instance))
    return row === undefined || isPage(row) ? undefined : row
  }

  close(): void {
    this.#table.close()
  }
}

export function usagesOf(views: readonly BrokerView[]): BrokerUsage[] {
  return views.flatMap(({ instance, usage, topics }) => (usage === undefined ? [] : [{ instance, usage, topics }]))
}

function isPage(row: ReportRow | undefined): row is readonly BundleLoad[] {
  return Array.isArray(row)
}
