import type { MetadataStore, Watch } from '@strata/metadata'

/**
 * All rows below a prefix, as of now and from then on. Changes that come while the rows are read are kept apart by
 * version, so that none is lost and none is undone by an older row.
 */
export class WatchedRows {
  readonly #onRow: (key: string, value: Uint8Array | undefined) => void
  /** While the rows are read, also of those that were deleted. */
  #versions: Map<string, number> | undefined = new Map()
  #watch: Watch | undefined

  private constructor(onRow: (key: string, value: Uint8Array | undefined) => void) {
    this.#onRow = onRow
  }

  /** `onRow` is called for each row before this resolves, and for each change later. @throws MetadataError */
  static async open(
    store: MetadataStore,
    prefix: string,
    onRow: (key: string, value: Uint8Array | undefined) => void
  ): Promise<WatchedRows> {
    const rows = new WatchedRows(onRow)
    try {
      rows.#watch = await store.watch(prefix, events => {
        for (const { key, value, version } of events) rows.#note({ key, value, version })
      })
      let after: string | undefined
      do {
        const page = await store.scan({ prefix, ...(after === undefined ? {} : { after }) })
        for (const record of page.records) rows.#note(record)
        after = page.next
      } while (after !== undefined)
    } catch (error) {
      rows.close()
      throw error
    }
    rows.#versions = undefined
    return rows
  }

  close(): void {
    this.#watch?.close()
  }

  #note({ key, value, version }: { key: string; value: Uint8Array | undefined; version: number }): void {
    if (this.#versions !== undefined) {
      if ((this.#versions.get(key) ?? 0) >= version) return
      this.#versions.set(key, version)
    }
    this.#onRow(key, value)
  }
}
