/**
 * The ordered key-value store under the index. Production: LevelDB; tests: one that loses what was not synced.
 * Batches are atomic, and after a crash a prefix of them is there, at least up to the last one written with `sync`.
 */
export interface IndexStore {
  get(key: Buffer): Promise<Buffer | undefined>
  getSync(key: Buffer): Buffer | undefined
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  /** An undefined value deletes. */
  write(changes: readonly IndexChange[], options: { readonly sync: boolean }): Promise<void>
  /** At most `limit` rows with from ≤ key < to, ascending. */
  scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): Promise<IndexRow[]>
  close(): Promise<void>
}

export interface IndexChange {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

export interface IndexRow {
  readonly key: Buffer
  readonly value: Buffer
}
