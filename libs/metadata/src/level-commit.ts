import type { LevelWrite } from './level-database.ts'
import { dataKey, encodeOperation, encodeRow, encodeState, leasedKey, operationKey, STATE_KEY } from './level-format.ts'
import type { StoredRow } from './level-format.ts'
import { conflictsOf } from './limits.ts'
import type { Change, MetadataRecord, Transaction, TransactionResult, WatchEvent } from './metadata-store.ts'
import type { OperationWindow } from './operation-window.ts'

export interface Submission {
  readonly transaction: Transaction
  readonly resolve: (result: TransactionResult) => void
  readonly reject: (error: unknown) => void
}

/**
 * One group of transactions on its way to disk: each is judged on top of those before it, and all that hold become one
 * list of writes. Pure; nothing outside it changes until its owner has written the list and settles.
 */
export class LevelCommit {
  readonly writes: LevelWrite[] = []
  /** One list a revision, in order. */
  readonly events: WatchEvent[][] = []
  readonly applied: [operationId: string, revision: number][] = []
  readonly #rows: Map<string, StoredRow>
  readonly #operations: OperationWindow
  readonly #answers: { readonly submission: Submission; readonly result: TransactionResult }[] = []
  #revision: number

  /** `rows`: what is stored under every key that the group names. It is changed. */
  constructor(options: { rows: Map<string, StoredRow>; revision: number; operations: OperationWindow }) {
    this.#rows = options.rows
    this.#revision = options.revision
    this.#operations = options.operations
  }

  /** The last revision given. */
  get revision(): number {
    return this.#revision
  }

  add(submission: Submission): void {
    this.#answers.push({ submission, result: this.#judge(submission.transaction) })
  }

  /** The writes with what goes once into each group. Call only if there are any. */
  finish(forgotten: readonly string[]): LevelWrite[] {
    this.writes.push({ type: 'put', key: STATE_KEY, value: encodeState(this.#revision) })
    for (const id of forgotten) this.writes.push({ type: 'del', key: operationKey(id) })
    return this.writes
  }

  answer(): void {
    for (const { submission, result } of this.#answers) submission.resolve(result)
  }

  #judge(transaction: Transaction): TransactionResult {
    const { operationId } = transaction
    const before = this.applied.find(([id]) => id === operationId)?.[1] ?? this.#operations.revisionOf(operationId)
    if (before !== undefined) return { committed: true, revision: before }
    const conflicts = conflictsOf(transaction, key => recordOf(this.#rows.get(key)))
    if (conflicts.length > 0) return { committed: false, conflicts }
    const revision = ++this.#revision
    this.events.push(transaction.changes.flatMap(change => this.#apply(change, revision)))
    if (operationId !== undefined) {
      this.applied.push([operationId, revision])
      this.writes.push({ type: 'put', key: operationKey(operationId), value: encodeOperation(revision) })
    }
    // A transaction that changes nothing still takes a revision, so the group must reach the disk.
    if (transaction.changes.length === 0)
      this.writes.push({ type: 'put', key: STATE_KEY, value: encodeState(revision) })
    return { committed: true, revision }
  }

  #apply(change: Change, revision: number): WatchEvent[] {
    const { key } = change
    const before = this.#rows.get(key)
    const leaseId = change.kind === 'put' ? change.lease?.id : undefined
    if (before?.leaseId !== undefined && before.leaseId !== leaseId) {
      this.writes.push({ type: 'del', key: leasedKey(before.leaseId, key) })
    }
    if (change.kind === 'delete') {
      this.#rows.delete(key)
      this.writes.push({ type: 'del', key: dataKey(key) })
      return before === undefined ? [] : [{ key, value: undefined, version: revision }]
    }
    const row: StoredRow = { key, version: revision, value: change.value, leaseId }
    this.#rows.set(key, row)
    this.writes.push({ type: 'put', key: dataKey(key), value: encodeRow(row) })
    if (leaseId !== undefined) this.writes.push({ type: 'put', key: leasedKey(leaseId, key), value: EMPTY })
    return [{ key, value: row.value, version: revision }]
  }
}

const EMPTY = Buffer.alloc(0)

export function recordOf(row: StoredRow | undefined): MetadataRecord | undefined {
  return row === undefined ? undefined : { key: row.key, value: row.value, version: row.version }
}
