import type { Clock } from '@strata/base'
import type { ArchivableStore } from '../archivable-store.ts'
import { MetadataError } from '../errors.ts'
import { CHANGES_MAX, TRANSACTION_BYTES_MAX } from '../limits.ts'
import type { Change, MetadataRecord, MetadataStore } from '../metadata-store.ts'
import { endFilling, holdStore, readStoreHold, STORE_HOLD_KEY } from '../store-hold.ts'
import { transactUntilAnswered } from '../update-record.ts'

/** Rows that belong to a store, not to what is in it. */
const OWN_ROWS = new Set([STORE_HOLD_KEY])
const TRANSACTIONS_AT_ONCE = 8

export interface FillOptions {
  readonly records: AsyncIterable<MetadataRecord>
  /** Every revision of the filled store is above it. */
  readonly floor: number
  /** Said to whoever would use the store meanwhile, and the mark of the same filling begun anew. */
  readonly reason: string
  /** Why it must be compared with nodes before anyone uses it; undefined: it need not be. */
  readonly unchecked: string | undefined
  readonly clock: Clock
  readonly onFilled?: (records: number) => void
  /** Everything is there, and the store is still held. */
  readonly beforeEnd?: (records: number) => Promise<void>
}

/**
 * Puts records into an empty store. Until it is done the store is held, so that nobody acts on half of it; one that was broken
 * off is begun anew by the same call. Versions are new ones, above the floor.
 * @throws MetadataError STORE_NOT_EMPTY
 */
export async function fillStore(store: ArchivableStore, options: FillOptions): Promise<number> {
  const { records, floor, reason, unchecked, clock, onFilled } = options
  await takeEmpty(store, { reason, clock })
  await store.raiseRevision(floor)
  let count = 0
  const writing = new Set<Promise<void>>()
  const failures: unknown[] = []
  for await (const changes of batches(records)) {
    if (writing.size >= TRANSACTIONS_AT_ONCE) await Promise.race(writing)
    if (failures.length > 0) break
    const write: Promise<void> = transactUntilAnswered(store, { compares: [], changes }, { clock })
      .then(
        () => undefined,
        (error: unknown) => void failures.push(error)
      )
      .finally(() => void writing.delete(write))
    writing.add(write)
    count += changes.length
    onFilled?.(count)
  }
  await Promise.all(writing)
  if (failures.length > 0) throw failures[0]
  await options.beforeEnd?.(count)
  await endFilling(store, { unchecked, clock })
  return count
}

async function takeEmpty(store: MetadataStore, { reason, clock }: { reason: string; clock: Clock }): Promise<void> {
  const hold = await readStoreHold(store)
  if (hold?.kind === 'filling' && hold.reason === reason) return
  const { records } = await store.scan({ prefix: '', limit: 1, keysOnly: true })
  if (records.length > 0) throw MetadataError.create('STORE_NOT_EMPTY', { reason: hold?.reason ?? 'it has records' })
  await holdStore(store, { kind: 'filling', reason }, clock)
}

async function* batches(records: AsyncIterable<MetadataRecord>): AsyncGenerator<Change[]> {
  let batch: Change[] = []
  let bytes = 0
  for await (const { key, value } of records) {
    if (OWN_ROWS.has(key)) continue
    const more = Buffer.byteLength(key) + value.length
    if (batch.length === CHANGES_MAX || bytes + more > TRANSACTION_BYTES_MAX) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push({ kind: 'put', key, value })
    bytes += more
  }
  if (batch.length > 0) yield batch
}
