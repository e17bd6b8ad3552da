/**
 * The one place where things are agreed on: small values, versioned, changed by compare-and-set.
 * Drivers (memory, LevelDB, etcd) obey one conformance suite (`@strata/metadata/testing`).
 *
 * Invariants
 *   M1  A revision is a positive safe integer; every committed transaction has a higher one than all before it, across restarts.
 *   M2  A transaction is all or nothing, durable before its promise resolves, and linearizable.
 *   M3  A watch delivers every change of its range after its start revision exactly once, in revision order. (Where a
 *       store has thrown away history that a broken connection kept from a watch, the README says what is still promised.)
 *   M4  An error is never 'absent': `get` resolves to undefined only when the store read that the key is not there.
 *   M5  A committed transaction submitted again with the same operation id is not applied again and answers as before; a
 *       refused one left nothing behind and is judged anew. Operations are remembered across restarts, the newest 16,384.
 */
export interface MetadataStore {
  /** @throws MetadataError UNAVAILABLE (retryable) */
  get(key: string): Promise<MetadataRecord | undefined>
  /** Keys in ascending byte order, at most `limit` (default 1,000, at most 10,000). `next` is set when there may be more: pass it as `after`. */
  scan(options: ScanOptions): Promise<ScanPage>
  /** All compares hold ⇒ all changes are applied under one revision. At most 100 changes and 1 MB, keys at most 4 KB, values at most 64 KB. */
  transact(transaction: Transaction): Promise<TransactionResult>
  /** Events are delivered in batches, one batch a revision. Starts behind everything committed before the call returned. */
  watch(prefix: string, listener: WatchListener): Promise<Watch>
  /** Keys put under a lease vanish when it is lost or revoked. */
  grantLease(ttlMs: number): Promise<Lease>
  close(): Promise<void>
}

export interface MetadataRecord {
  readonly key: string
  readonly value: Uint8Array
  /** Revision of the last change of this key: what a compare names. */
  readonly version: number
}

export interface ScanOptions {
  /** Every key that starts with this. Use a trailing `/` to mean a folder. */
  readonly prefix: string
  /** Exclusive: the last key of the page before. */
  readonly after?: string
  readonly limit?: number
  /** Leave values out (empty) where only keys are wanted. */
  readonly keysOnly?: boolean
  /** There are likely few, of few bytes: a first page of all may then share a round trip with those of others. */
  readonly isShort?: boolean
}

export interface ScanPage {
  readonly records: readonly MetadataRecord[]
  readonly next: string | undefined
}

export interface Compare {
  readonly key: string
  /** The version it must have; 0: it must not exist. */
  readonly version: number
}

export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease?: Lease }
  | { readonly kind: 'delete'; readonly key: string }

export interface Transaction {
  readonly compares: readonly Compare[]
  readonly changes: readonly Change[]
  /** Chosen at random by the caller where the answer may be ambiguous; see M5. */
  readonly operationId?: string
}

export type TransactionResult =
  | { readonly committed: true; readonly revision: number }
  /** `conflicts`: the compares that did not hold, with what is there now (version 0: nothing). */
  | {
      readonly committed: false
      readonly conflicts: readonly { readonly key: string; readonly current: MetadataRecord | undefined }[]
    }

export interface WatchEvent {
  readonly key: string
  /** undefined: deleted */
  readonly value: Uint8Array | undefined
  readonly version: number
}

export type WatchListener = (events: readonly WatchEvent[]) => void

export interface Watch {
  close(): void
}

export interface Lease {
  readonly id: string
  /** What was granted; it may be more than was asked for. */
  readonly ttlMs: number
  /** Fires once, when the lease is lost (never on revoke): before anyone else can find its records gone. */
  onLost(run: () => void): void
  readonly isLost: boolean
  revoke(): Promise<void>
}
