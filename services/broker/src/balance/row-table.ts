import { reasonOf, type Logger } from '@strata/base'
import type { MetadataStore, Watch } from '@strata/metadata'
import { scanAll } from '../namespace/rows.ts'

export interface RowTableOptions<Row> {
  readonly store: MetadataStore
  readonly prefix: string
  readonly logger: Logger
  readonly decode: (record: { key: string; value: Uint8Array }) => Row
  /** Which keys count; all, where it is left out. */
  readonly keep?: (key: string) => boolean
  /** After `rows` has changed. */
  readonly onChange?: (key: string) => void
}

/** All rows under a prefix, decoded, kept true by a watch. A row that cannot be read counts as none, and is logged. */
export class RowTable<Row> {
  readonly #options: RowTableOptions<Row>
  readonly #rows = new Map<string, Row>()
  /** Of what the watch told before the scan came to it; undefined: the scan is over. */
  #told: Map<string, number> | undefined = new Map()
  #watch: Watch | undefined

  private constructor(options: RowTableOptions<Row>) {
    this.#options = options
  }

  /** Has every row that was there when it was called. @throws MetadataError */
  static async open<Row>(options: RowTableOptions<Row>): Promise<RowTable<Row>> {
    const table = new RowTable(options)
    table.#watch = await options.store.watch(options.prefix, events => {
      for (const { key, value, version } of events) {
        table.#told?.set(key, version)
        table.#apply(key, value)
      }
    })
    try {
      for await (const { key, value, version } of scanAll(options.store, options.prefix)) {
        if (version > (table.#told?.get(key) ?? 0)) table.#apply(key, value)
      }
    } catch (error) {
      table.close()
      throw error
    }
    table.#told = undefined
    return table
  }

  /** By key. Not to be kept: it changes. */
  get rows(): ReadonlyMap<string, Row> {
    return this.#rows
  }

  close(): void {
    this.#watch?.close()
  }

  #apply(key: string, value: Uint8Array | undefined): void {
    if (this.#options.keep?.(key) === false) return
    if (value === undefined) this.#rows.delete(key)
    else {
      const row = this.#decoded(key, value)
      if (row === undefined) this.#rows.delete(key)
      else this.#rows.set(key, row)
    }
    this.#options.onChange?.(key)
  }

  #decoded(key: string, value: Uint8Array): Row | undefined {
    try {
      return this.#options.decode({ key, value })
    } catch (error) {
      const fields = { event: 'balance.row_unreadable', key, reason: reasonOf(error) }
      this.#options.logger.warn(fields, 'a row of balance cannot be read; it counts for nothing')
      return undefined
    }
  }
}
