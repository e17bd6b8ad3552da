import { strict as assert } from 'node:assert'
import { MetadataError } from './errors.ts'
import type { MetadataRecord, ScanOptions, Transaction } from './metadata-store.ts'

export const KEY_BYTES_MAX = 4 * 1024
export const VALUE_BYTES_MAX = 64 * 1024
export const CHANGES_MAX = 100
/** Keys and values of all changes of a transaction together: what etcd takes by default (1.5 MiB), with room for the rest. */
export const TRANSACTION_BYTES_MAX = 1024 * 1024
export const COMPARES_MAX = 100
const SCAN_RECORDS_DEFAULT = 1_000
const SCAN_RECORDS_MAX = 10_000
/** A page ends early when it holds this much, however few its records. */
export const SCAN_BYTES_MAX = 8 * 1024 * 1024

/** Most keys are of these, so that each unit is a byte. */
const PLAIN = /^[ -~]+$/

/** @throws MetadataError BAD_KEY, TOO_LARGE */
export function checkKey(key: string): void {
  if (key.length <= KEY_BYTES_MAX && PLAIN.test(key)) return
  if (key.length === 0 || key.includes('\0') || hasLoneSurrogate(key)) throw MetadataError.create('BAD_KEY')
  const bytes = Buffer.byteLength(key)
  if (bytes > KEY_BYTES_MAX) throw MetadataError.create('TOO_LARGE', { what: 'key', bytes, bytesMax: KEY_BYTES_MAX })
}

/** @throws MetadataError BAD_KEY, TOO_LARGE. Naming a key twice among the changes is a bug of the caller. */
export function checkTransaction(transaction: Transaction): void {
  const { compares, changes, operationId } = transaction
  refuseOver('compares', compares.length, COMPARES_MAX)
  refuseOver('changes', changes.length, CHANGES_MAX)
  if (operationId !== undefined) checkKey(operationId)
  for (const compare of compares) checkKey(compare.key)
  const changed = new Set<string>()
  let bytes = 0
  for (const change of changes) {
    checkKey(change.key)
    assert(!changed.has(change.key), 'a transaction changes a key once')
    changed.add(change.key)
    bytes += Buffer.byteLength(change.key)
    if (change.kind === 'delete') continue
    refuseOver('value bytes', change.value.length, VALUE_BYTES_MAX)
    bytes += change.value.length
  }
  refuseOver('transaction bytes', bytes, TRANSACTION_BYTES_MAX)
}

export function scanLimit(options: ScanOptions): number {
  const limit = options.limit ?? SCAN_RECORDS_DEFAULT
  assert(Number.isInteger(limit) && limit > 0, `a page of ${limit} records`)
  return Math.min(limit, SCAN_RECORDS_MAX)
}

/** The compares that do not hold, with what is there instead. */
export function conflictsOf(
  transaction: Transaction,
  current: (key: string) => MetadataRecord | undefined
): { key: string; current: MetadataRecord | undefined }[] {
  const conflicts: { key: string; current: MetadataRecord | undefined }[] = []
  for (const { key, version } of transaction.compares) {
    const record = current(key)
    if ((record?.version ?? 0) !== version) conflicts.push({ key, current: record })
  }
  return conflicts
}

function refuseOver(what: string, count: number, countMax: number): void {
  if (count > countMax) throw MetadataError.create('TOO_LARGE', { what, count, countMax })
}

/** Such text has no UTF-8 form: two different keys would be stored as one. */
function hasLoneSurrogate(text: string): boolean {
  return /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text)
}
