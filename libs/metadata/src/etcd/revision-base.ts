import type { MetadataRecord, ScanPage, Transaction, TransactionResult, WatchEvent } from '../metadata-store.ts'

/** A revision that etcd never has: what is compared with it never holds. */
const NO_REVISION = -1

/**
 * What a store's revisions are above etcd's own. An etcd that was filled from a backup, or from another kind of store, begins
 * to count anew, and what counts in its revisions (nodes' disks, names of producers, holds of bundles) must never see one twice.
 * Pure: inside the driver all revisions are etcd's, outside all are the store's.
 */
export class RevisionBase {
  readonly base: number

  constructor(base: number) {
    this.base = base
  }

  record(record: MetadataRecord): MetadataRecord
  record(record: MetadataRecord | undefined): MetadataRecord | undefined
  record(record: MetadataRecord | undefined): MetadataRecord | undefined {
    if (record === undefined || this.base === 0) return record
    return { ...record, version: record.version + this.base }
  }

  page(page: ScanPage): ScanPage {
    if (this.base === 0) return page
    return { records: page.records.map(record => this.record(record)), next: page.next }
  }

  events(events: readonly WatchEvent[]): readonly WatchEvent[] {
    if (this.base === 0) return events
    return events.map(event => ({ ...event, version: event.version + this.base }))
  }

  /** As etcd judges it. A version from before the base was raised is none that etcd has. */
  transaction(transaction: Transaction): Transaction {
    if (this.base === 0) return transaction
    const compares = transaction.compares.map(({ key, version }) => {
      if (version === 0) return { key, version }
      return { key, version: version > this.base ? version - this.base : NO_REVISION }
    })
    return { ...transaction, compares }
  }

  result(result: TransactionResult): TransactionResult {
    if (this.base === 0) return result
    if (result.committed) return { committed: true, revision: result.revision + this.base }
    const conflicts = result.conflicts.map(({ key, current }) => ({ key, current: this.record(current) }))
    return { committed: false, conflicts }
  }
}

const FORMAT = '1'
/** With a base: a program that does not know of it must not open the store. */
const FORMAT_WITH_BASE = '2'

export function encodeIdentity(id: string, base: number): Buffer {
  return Buffer.from(base === 0 ? `${FORMAT} ${id}` : `${FORMAT_WITH_BASE} ${id} ${base}`)
}

/** The base that a store's row says; undefined: no format that this version knows. */
export function baseOfIdentity(value: Uint8Array): { base: number } | undefined {
  const [format, , base = '0'] = Buffer.from(value).toString().split(' ')
  if (format === FORMAT) return { base: 0 }
  if (format !== FORMAT_WITH_BASE || !/^\d{1,16}$/.test(base)) return undefined
  return { base: Number(base) }
}
