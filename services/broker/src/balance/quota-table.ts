import type { Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { Quotas, ResourceQuota } from './quotas.ts'
import { balanceKeys, decodeQuota } from './rows.ts'
import { RowTable } from './row-table.ts'

/** What operators expect of bundles, as the leader needs it: rows, kept true by a watch. */
export class QuotaTable {
  readonly #table: RowTable<ResourceQuota>
  #quotas: Quotas | undefined

  private constructor(table: RowTable<ResourceQuota>, changed: { run: () => void }) {
    this.#table = table
    changed.run = () => {
      this.#quotas = undefined
    }
  }

  /** @throws MetadataError */
  static async open(store: MetadataStore, logger: Logger): Promise<QuotaTable> {
    const changed = { run: (): void => undefined }
    const onChange = (): void => {
      changed.run()
    }
    const options = { store, logger, prefix: balanceKeys.quotas, decode: decodeQuota, onChange }
    return new QuotaTable(await RowTable.open<ResourceQuota>(options), changed)
  }

  get quotas(): Quotas {
    return (this.#quotas ??= {
      usual: this.#table.rows.get(balanceKeys.usualQuota),
      byBundle: new Map(
        [...this.#table.rows]
          .filter(([key]) => key !== balanceKeys.usualQuota)
          .map(([key, quota]) => [key.slice(balanceKeys.quotasOfBundles.length), quota])
      )
    })
  }

  close(): void {
    this.#table.close()
  }
}
