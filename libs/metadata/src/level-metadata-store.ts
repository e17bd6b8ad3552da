import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { MetadataError } from './errors.ts'
import { endOfPrefix } from './keys.ts'
import { levelError, openLevel, type LevelDatabase, type LevelRange, type OpenLevel } from './level-database.ts'
import {
  dataKey,
  decodeOperation,
  decodeRow,
  decodeState,
  encodeSeal,
  idOfOperation,
  keyOfData,
  leasedKey,
  LEASES_PREFIX,
  OPERATIONS_PREFIX,
  parseLeased,
  STATE_KEY,
  type StoredRow
} from './level-format.ts'
import { LevelCommit, recordOf, type Submission } from './level-commit.ts'
import { CHANGES_MAX, checkKey, checkTransaction, SCAN_BYTES_MAX, scanLimit } from './limits.ts'
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
  WatchListener
} from './metadata-store.ts'
import { OPERATIONS_MAX, OperationWindow } from './operation-window.ts'
import { ProcessLease } from './process-lease.ts'
import { WatchHub } from './watch-hub.ts'

/** What shares one synced write at most, in transactions and in bytes of values; the rest waits for the next. */
const GROUP_TRANSACTIONS_MAX = 512
const GROUP_BYTES_MAX = 4 * 1024 * 1024

export interface LevelMetadataOptions {
  readonly directory: string
  /** How many named transactions are remembered. */
  readonly operationsMax?: number
  readonly openLevel?: OpenLevel
}

/**
 * The store of a standalone: LevelDB in a directory that one process holds.
 *
 * Invariants
 *   - One group of transactions is being written at a time; whatever arrives meanwhile goes into the next group.
 *   - A group is one LevelDB write, atomic and synced before any promise of it resolves; the revision is a row of it.
 *   - A write that fails leaves LevelDB unusable and the group in doubt: nothing else is written before the directory was
 *     opened again and the stored revision told whether the group is there. A revision is never given twice.
 *   - Records under a lease of an earlier process are deleted when the directory is opened.
 */
export class LevelMetadataStore implements ArchivableStore {
  readonly #directory: string
  readonly #openLevel: OpenLevel
  readonly #watches = new WatchHub()
  #level: LevelDatabase
  readonly #operations: OperationWindow
  #revision = 0
  #waiting: Submission[] = []
  /** Operation ids that the next group deletes. */
  #forgotten: string[] = []
  #inDoubt: LevelCommit | undefined
  #working: Promise<void> | undefined
  #isClosed = false

  private constructor(level: LevelDatabase, options: LevelMetadataOptions) {
    this.#level = level
    this.#directory = options.directory
    this.#openLevel = options.openLevel ?? openLevel
    this.#operations = new OperationWindow(options.operationsMax ?? OPERATIONS_MAX)
  }

  /** @throws MetadataError STORE_LOCKED, STORE_CORRUPT, UNAVAILABLE (the directory cannot be made or written) */
  static async open(options: LevelMetadataOptions): Promise<LevelMetadataStore> {
    const level = await (options.openLevel ?? openLevel)(options.directory)
    const store = new LevelMetadataStore(level, options)
    try {
      await store.#load()
      await store.#dropOrphans()
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async get(key: string): Promise<MetadataRecord | undefined> {
    this.#checkOpen()
    checkKey(key)
    const [bytes] = await this.#reading(() => this.#level.getMany([dataKey(key)]))
    return bytes === undefined ? undefined : recordOf(decodeRow(key, bytes))
  }

  async scan(options: ScanOptions): Promise<ScanPage> {
    this.#checkOpen()
    const limit = scanLimit(options)
    const start = dataKey(options.prefix)
    const lt = endOfPrefix(start)
    const after = options.after === undefined ? undefined : dataKey(options.after)
    const range = after !== undefined && after.compare(start) >= 0 ? { gt: after, lt } : { gte: start, lt }
    return this.#reading(() => this.#page(range, { limit, keysOnly: options.keysOnly === true }))
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.#checkOpen()
    checkTransaction(transaction)
    for (const change of transaction.changes) checkLease(change)
    const own = { ...transaction, changes: transaction.changes.map(copyOf) }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ transaction: own, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- `async` makes a refusal a rejection
  async watch(prefix: string, listener: WatchListener): Promise<Watch> {
    this.#checkOpen()
    return this.#watches.add(prefix, listener)
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- `async` makes a refusal a rejection
  async grantLease(ttlMs: number): Promise<Lease> {
    this.#checkOpen()
    return new ProcessLease({ id: randomUUID(), ttlMs, revoke: lease => this.#dropLease(lease) })
  }

  async snapshot(): Promise<StoreSnapshot> {
    this.#checkOpen()
    // nothing is on its way to the disk when both are taken
    while (this.#working !== undefined) await this.#working
    const revision = this.#revision
    const rows = this.#level.iterate(rangeOf(dataKey('')))
    const directory = this.#directory
    const records = async function* (): AsyncGenerator<ArchivedRecord> {
      try {
        for await (const piece of rows) {
          for (const [stored, bytes] of piece) {
            const { leaseId, ...record } = decodeRow(keyOfData(stored), bytes)
            yield { ...record, isLeased: leaseId !== undefined }
          }
        }
      } catch (error) {
        throw levelError(error, directory)
      }
    }
    return { revision, records }
  }

  async raiseRevision(floor: number): Promise<void> {
    this.#checkOpen()
    while (this.#working !== undefined) await this.#working
    this.#revision = Math.max(this.#revision, floor)
    await this.transact({ compares: [], changes: [] })
  }

  /**
   * From now on no program opens this directory, since its content went to another store: two that go on from one state
   * would give the same ids to different things. The store is closed. @throws MetadataError
   */
  async seal(movedTo: string): Promise<void> {
    this.#checkOpen()
    while (this.#working !== undefined) await this.#working
    try {
      await this.#level.write([{ type: 'put', key: STATE_KEY, value: encodeSeal(this.#revision, movedTo) }])
    } catch (error) {
      throw levelError(error, this.#directory)
    }
    await this.close()
  }

  /** Finishes what was submitted before. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#working
    this.#watches.close()
    await this.#level.close()
  }

  /** Settles what is in doubt, then writes group after group until nothing waits. Never rejects. */
  async #work(): Promise<void> {
    await Promise.resolve() // all that is submitted in this turn shares the first group
    do {
      const group = this.#waiting.splice(0, groupLength(this.#waiting))
      try {
        await this.#settleDoubt()
        await this.#writeGroup(group)
      } catch (error) {
        const reason = levelError(error, this.#directory)
        for (const { reject } of group) reject(reason)
      }
    } while (this.#waiting.length > 0)
    this.#working = undefined
  }

  async #writeGroup(group: readonly Submission[]): Promise<void> {
    const keys = [...new Set(group.flatMap(({ transaction }) => keysOf(transaction)))]
    const stored = keys.length === 0 ? [] : await this.#level.getMany(keys.map(dataKey))
    const rows = new Map<string, StoredRow>()
    keys.forEach((key, i) => {
      const bytes = stored[i]
      if (bytes !== undefined) rows.set(key, decodeRow(key, bytes))
    })
    const commit = new LevelCommit({ rows, revision: this.#revision, operations: this.#operations })
    for (const submission of group) commit.add(submission)
    if (commit.writes.length > 0) await this.#write(commit)
    this.#publish(commit)
    commit.answer()
  }

  /** Returns when the group is stored; throws when it is not, or when nobody can tell now. */
  async #write(commit: LevelCommit): Promise<void> {
    try {
      await this.#level.write(commit.finish(this.#forgotten))
      this.#forgotten = []
    } catch (error) {
      this.#inDoubt = commit
      if (!(await this.#reopen(commit))) throw error
    }
  }

  /** Finds out what became of a write whose callers were told that it is ambiguous. */
  async #settleDoubt(): Promise<void> {
    const commit = this.#inDoubt
    if (commit !== undefined && (await this.#reopen(commit))) this.#publish(commit)
  }

  #publish(commit: LevelCommit): void {
    this.#revision = Math.max(this.#revision, commit.revision)
    for (const [id, revision] of commit.applied) this.#forgotten.push(...this.#operations.remember(id, revision))
    for (const events of commit.events) this.#watches.publish(events)
  }

  /** Is the group that failed to be written stored? Its revisions are used up either way. */
  async #reopen(commit: LevelCommit): Promise<boolean> {
    await this.#level.close()
    this.#level = await this.#openLevel(this.#directory)
    const stored = await this.#storedRevision()
    this.#inDoubt = undefined
    this.#revision = Math.max(this.#revision, commit.revision)
    return stored >= commit.revision
  }

  async #storedRevision(): Promise<number> {
    const [state] = await this.#level.getMany([STATE_KEY])
    return state === undefined ? 0 : decodeState(state)
  }

  async #load(): Promise<void> {
    this.#revision = await this.#storedRevision()
    const applied: [string, number][] = []
    for await (const piece of this.#level.iterate(rangeOf(OPERATIONS_PREFIX))) {
      for (const [key, value] of piece) applied.push([idOfOperation(key), decodeOperation(value)])
    }
    applied.sort((a, b) => a[1] - b[1])
    for (const [id, revision] of applied) this.#forgotten.push(...this.#operations.remember(id, revision))
  }

  /** Their leases ended with the process that held them. */
  async #dropOrphans(): Promise<void> {
    await this.#deleteLeased(LEASES_PREFIX)
  }

  async #dropLease(lease: ProcessLease): Promise<void> {
    this.#checkOpen()
    await this.#working // what was submitted while the lease was held; nothing more comes under it
    await this.#deleteLeased(leasedKey(lease.id, ''))
  }

  async #deleteLeased(prefix: Buffer): Promise<void> {
    for (;;) {
      const leased: { key: string; leaseId: string }[] = []
      for await (const piece of this.#level.iterate({ ...rangeOf(prefix), limit: CHANGES_MAX })) {
        leased.push(...piece.map(([stored]) => parseLeased(stored)))
      }
      if (leased.length === 0) return
      const stored = await this.#level.getMany(leased.map(({ key }) => dataKey(key)))
      const rows = leased.flatMap(({ key, leaseId }, i) => {
        const bytes = stored[i]
        const row = bytes === undefined ? undefined : decodeRow(key, bytes)
        return row?.leaseId === leaseId ? [row] : [] // else it was changed since the range was read
      })
      await this.transact({
        compares: rows.map(({ key, version }) => ({ key, version })),
        changes: rows.map(({ key }) => ({ kind: 'delete', key }))
      })
    }
  }

  async #page(range: LevelRange, { limit, keysOnly }: { limit: number; keysOnly: boolean }): Promise<ScanPage> {
    const records: MetadataRecord[] = []
    let bytes = 0
    for await (const piece of this.#level.iterate({ ...range, limit })) {
      for (const [stored, value] of piece) {
        const { key, version, value: content } = decodeRow(keyOfData(stored), value)
        records.push({ key, version, value: keysOnly ? EMPTY : content })
        bytes += keysOnly ? 0 : content.length
        if (records.length === limit || bytes >= SCAN_BYTES_MAX) return { records, next: key }
      }
    }
    return { records, next: undefined }
  }

  async #reading<Result>(read: () => Promise<Result>): Promise<Result> {
    try {
      if (this.#inDoubt !== undefined) await (this.#working ??= this.#work())
      return await read()
    } catch (error) {
      throw levelError(error, this.#directory)
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw MetadataError.create('CLOSED')
  }
}

const EMPTY = new Uint8Array(0)

function rangeOf(prefix: Buffer): LevelRange {
  return { gte: prefix, lt: endOfPrefix(prefix) }
}

/** At least one, if any waits. */
function groupLength(waiting: readonly Submission[]): number {
  let bytes = 0
  const end = waiting.slice(0, GROUP_TRANSACTIONS_MAX).findIndex(({ transaction }) => {
    for (const change of transaction.changes) bytes += change.kind === 'put' ? change.value.length : 0
    return bytes > GROUP_BYTES_MAX
  })
  return end === -1 ? GROUP_TRANSACTIONS_MAX : Math.max(end, 1)
}

function keysOf(transaction: Transaction): string[] {
  return [...transaction.compares.map(({ key }) => key), ...transaction.changes.map(({ key }) => key)]
}

/** It waits for its turn, and its caller may not. */
function copyOf(change: Change): Change {
  return change.kind === 'put' ? { ...change, value: new Uint8Array(change.value) } : change
}

function checkLease(change: Change): void {
  if (change.kind !== 'put' || change.lease === undefined) return
  assert(change.lease instanceof ProcessLease, 'a lease belongs to the store that granted it')
  if (!change.lease.isHeld) throw MetadataError.create('LEASE_LOST', { key: change.key })
}
