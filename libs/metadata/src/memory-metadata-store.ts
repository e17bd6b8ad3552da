/* eslint-disable @typescript-eslint/require-await -- `async` makes a refusal a rejection, as from a store that waits */
import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { MetadataError } from './errors.ts'
import { compareKeys } from './keys.ts'
import { checkKey, checkTransaction, conflictsOf, SCAN_BYTES_MAX, scanLimit } from './limits.ts'
import type { ArchivableStore, ArchivedRecord, StoreSnapshot } from './archivable-store.ts'
import type {
  Change,
  Lease,
  MetadataRecord,
  ScanOptions,
  ScanPage,
  Transaction,
  TransactionResult,
  Watch,
  WatchEvent,
  WatchListener
} from './metadata-store.ts'
import { OPERATIONS_MAX, OperationWindow } from './operation-window.ts'
import { ProcessLease } from './process-lease.ts'
import { WatchHub } from './watch-hub.ts'

interface Row extends MetadataRecord {
  readonly lease: ProcessLease | undefined
}

/** The store in memory: nothing survives the process. For tests, and the measure of what the other drivers must do. */
export class MemoryMetadataStore implements ArchivableStore {
  readonly #rows = new Map<string, Row>()
  readonly #leases = new Set<ProcessLease>()
  readonly #watches = new WatchHub()
  readonly #operations: OperationWindow
  #sortedKeys: string[] | undefined
  #revision = 0
  #isClosed = false

  constructor(options: { operationsMax?: number } = {}) {
    this.#operations = new OperationWindow(options.operationsMax ?? OPERATIONS_MAX)
  }

  async get(key: string): Promise<MetadataRecord | undefined> {
    this.#checkOpen()
    checkKey(key)
    return recordOf(this.#rows.get(key))
  }

  async scan(options: ScanOptions): Promise<ScanPage> {
    this.#checkOpen()
    const limit = scanLimit(options)
    const { prefix, after } = options
    const records: MetadataRecord[] = []
    let bytes = 0
    const keys = this.#keysInOrder()
    for (let at = placeOf(keys, prefix); at < keys.length; at++) {
      const key = keys[at] as string // within bounds
      if (!key.startsWith(prefix)) break
      if (after !== undefined && compareKeys(key, after) <= 0) continue
      const row = this.#rows.get(key)
      assert(row !== undefined)
      const value = options.keysOnly === true ? EMPTY : row.value
      records.push({ key, value, version: row.version })
      bytes += value.length
      if (records.length === limit || bytes >= SCAN_BYTES_MAX) return { records, next: key }
    }
    return { records, next: undefined }
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.#checkOpen()
    checkTransaction(transaction)
    const applied = this.#operations.revisionOf(transaction.operationId)
    if (applied !== undefined) return { committed: true, revision: applied }
    for (const change of transaction.changes) checkLease(change)
    const conflicts = conflictsOf(transaction, key => recordOf(this.#rows.get(key)))
    if (conflicts.length > 0) return { committed: false, conflicts }
    const revision = ++this.#revision
    if (transaction.operationId !== undefined) this.#operations.remember(transaction.operationId, revision)
    this.#watches.publish(transaction.changes.flatMap(change => this.#apply(change, revision)))
    return { committed: true, revision }
  }

  async watch(prefix: string, listener: WatchListener): Promise<Watch> {
    this.#checkOpen()
    return this.#watches.add(prefix, listener)
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    this.#checkOpen()
    const lease = new ProcessLease({ id: randomUUID(), ttlMs, revoke: async held => this.#dropLease(held) })
    this.#leases.add(lease)
    return lease
  }

  async snapshot(): Promise<StoreSnapshot> {
    this.#checkOpen()
    const rows = [...this.#rows.values()]
      .sort((a, b) => compareKeys(a.key, b.key))
      .map(({ lease, ...record }) => ({ ...record, isLeased: lease !== undefined }))
    const records = async function* (): AsyncGenerator<ArchivedRecord> {
      yield* rows
    }
    return { revision: this.#revision, records }
  }

  async raiseRevision(floor: number): Promise<void> {
    this.#checkOpen()
    this.#revision = Math.max(this.#revision, floor)
  }

  /** Takes every lease away from its holder, as a store does that heard nothing from it for too long. */
  loseLeases(): void {
    for (const lease of [...this.#leases]) {
      this.#dropLease(lease)
      lease.lose()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watches.close()
  }

  #apply(change: Change, revision: number): WatchEvent[] {
    const { key } = change
    if (change.kind === 'delete') {
      if (!this.#rows.delete(key)) return []
      this.#moveKey(key, false)
      return [{ key, value: undefined, version: revision }]
    }
    const value = new Uint8Array(change.value)
    if (!this.#rows.has(key)) this.#moveKey(key, true)
    const lease = change.lease instanceof ProcessLease ? change.lease : undefined
    this.#rows.set(key, { key, value, version: revision, lease })
    return [{ key, value, version: revision }]
  }

  #dropLease(lease: ProcessLease): void {
    this.#leases.delete(lease)
    if (this.#isClosed) return
    const changes = [...this.#rows.values()]
      .filter(row => row.lease === lease)
      .map(row => ({ kind: 'delete', key: row.key }) as const)
    if (changes.length === 0) return
    const revision = ++this.#revision
    this.#watches.publish(changes.flatMap(change => this.#apply(change, revision)))
  }

  #keysInOrder(): string[] {
    this.#sortedKeys ??= [...this.#rows.keys()].sort(compareKeys)
    return this.#sortedKeys
  }

  /** It comes or goes. */
  #moveKey(key: string, isComing: boolean): void {
    const keys = this.#sortedKeys
    if (keys === undefined) return
    if (isComing) keys.splice(placeOf(keys, key), 0, key)
    else keys.splice(placeOf(keys, key), 1)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw MetadataError.create('CLOSED')
  }
}

const EMPTY = new Uint8Array(0)

/** Of the first key that is not below `key`. */
function placeOf(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareKeys(keys[middle] ?? '', key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function recordOf(row: Row | undefined): MetadataRecord | undefined {
  return row === undefined ? undefined : { key: row.key, value: row.value, version: row.version }
}

function checkLease(change: Change): void {
  if (change.kind !== 'put' || change.lease === undefined) return
  assert(change.lease instanceof ProcessLease, 'a lease belongs to the store that granted it')
  if (!change.lease.isHeld) throw MetadataError.create('LEASE_LOST', { key: change.key })
}
