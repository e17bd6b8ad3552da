import { randomUUID } from 'node:crypto'
import type { Clock } from '@strata/base'
import {
  MetadataError,
  transactUntilAnswered,
  type Change,
  type Compare,
  type MetadataStore,
  type Transaction,
  type TransactionResult
} from '@strata/metadata'
import type { SeenLog } from './contract.ts'
import { ManagedLedgerError } from './errors.ts'
import {
  decodeLedgerRecord,
  decodeLogRecord,
  encodeLedgerRecord,
  encodeLogRecord,
  FIRST_RECORD,
  ledgerKey,
  ledgersPrefix,
  logKey,
  NEW_LOG,
  type LedgerRecord,
  type LogRecord
} from './records.ts'

/** One transaction on a log's metadata. `put` and `remove` name ledgers of its list; at most 90 together. */
export interface LogChange {
  readonly record?: Partial<LogRecord>
  readonly put?: readonly LedgerRecord[]
  readonly remove?: readonly number[]
  /** Deletes the log's record itself. */
  readonly end?: boolean
}

export const LEDGERS_PER_CHANGE_MAX = 90

/**
 * One owner's hold on a log's metadata, from raising the epoch until it is fenced or done.
 *
 * Invariants
 *   S1  Every change compares the version of the log's record, which every new owner changes: a fenced owner changes nothing.
 *   S2  Changes are made one at a time, each decided on what the one before left.
 *   S3  An ambiguous answer is asked again, under the same operation id, until it is definite or the session ends.
 */
export class LogSession {
  readonly name: string
  readonly #store: MetadataStore
  readonly #clock: Clock
  #record: LogRecord
  #version: number
  #last: Promise<unknown> = Promise.resolve()
  /** Puts that wait for a transaction to go with. */
  #later: LedgerRecord[] = []
  #ended: Error | undefined
  /** There was no record before: whatever belongs to the log was made in this session, so nothing is listed yet. */
  readonly isFirst: boolean

  private constructor(
    name: string,
    held: { store: MetadataStore; clock: Clock; record: LogRecord; version: number; isFirst: boolean }
  ) {
    this.name = name
    this.isFirst = held.isFirst
    this.#store = held.store
    this.#clock = held.clock
    this.#record = held.record
    this.#version = held.version
  }

  /**
   * Raises the epoch, so that nothing an earlier owner starts from now on is applied. `guards` hold in that transaction;
   * afterwards the epoch alone counts.
   * @throws ManagedLedgerError LOG_NOT_FOUND (no record, and not `create`; or being deleted), LOG_NOT_YOURS (a guard does
   *   not hold), METADATA_UNAVAILABLE
   */
  static async takeOver(
    name: string,
    options: {
      store: MetadataStore
      clock: Clock
      create: boolean
      change?: Partial<LogRecord>
      guards?: readonly Compare[]
      seen?: Promise<SeenLog | undefined>
    }
  ): Promise<LogSession> {
    const { store, clock, guards = [] } = options
    try {
      const seen = await options.seen
      let current = seen === undefined ? await store.get(logKey(name)) : seen.record
      for (;;) {
        if (current === undefined && !options.create) throw ManagedLedgerError.create('LOG_NOT_FOUND', { name })
        const old = current === undefined ? NEW_LOG : decodeLogRecord(current.value)
        if (old.isDeleting && options.change?.isDeleting !== true) {
          throw ManagedLedgerError.create('LOG_NOT_FOUND', { name, isDeleting: true })
        }
        const record = { ...old, epoch: old.epoch + 1, cleanClose: undefined, ...options.change }
        const result = await transactUntilAnswered(
          store,
          {
            compares: [{ key: logKey(name), version: current?.version ?? 0 }, ...guards],
            changes: [{ kind: 'put', key: logKey(name), value: encodeLogRecord(record) }]
          },
          { clock }
        )
        if (result.committed) {
          return new LogSession(name, {
            store,
            clock,
            record,
            version: result.revision,
            isFirst: current === undefined
          })
        }
        const refusing = result.conflicts.find(({ key }) => key !== logKey(name))
        if (refusing !== undefined) throw ManagedLedgerError.create('LOG_NOT_YOURS', { name, guard: refusing.key })
        current = result.conflicts[0]?.current
      }
    } catch (error) {
      throw metadataFailure(error)
    }
  }

  /** Of a log that `logBirth` made under this revision. If somebody took it over since, every change finds itself fenced. */
  static begin(name: string, options: { store: MetadataStore; clock: Clock; bornAt: number }): LogSession {
    const { store, clock, bornAt } = options
    return new LogSession(name, { store, clock, record: FIRST_RECORD, version: bornAt, isFirst: true })
  }

  get record(): LogRecord {
    return this.#record
  }

  /** Another owner has the log, or this one is done with it: nothing is changed any more. */
  get isEnded(): boolean {
    return this.#ended !== undefined
  }

  /** Stops asking; changes under way fail with `error`. */
  end(error: Error): void {
    this.#ended ??= error
  }

  /** The whole list, ascending. @throws ManagedLedgerError METADATA_UNAVAILABLE, LOG_CORRUPT */
  async listLedgers(): Promise<LedgerRecord[]> {
    return listLedgers(this.#store, this.name)
  }

  /** Goes with the next transaction that there is, whatever it is for. One that names the same ledger has the last word. */
  putLater(ledgers: readonly LedgerRecord[]): void {
    this.#later.push(...ledgers)
  }

  /** @throws ManagedLedgerError LOG_FENCED, LOG_CLOSED */
  change(decide: (record: LogRecord) => LogChange): Promise<void> {
    const done = this.#last.then(() => this.#apply(decide(this.#record)))
    this.#last = done.catch(() => undefined)
    return done
  }

  /**
   * Commits what makes a ledger, and lists it, in one transaction. Conflicts that are told are of the ledger's own compares.
   * @throws ManagedLedgerError LOG_FENCED: neither was done; LOG_CLOSED: what was done is for the next owner to find
   */
  list(ledger: LedgerRecord, birth: Transaction & { readonly operationId: string }): Promise<TransactionResult> {
    const done = this.#last.then(() => this.#list(ledger, birth))
    this.#last = done.catch(() => undefined)
    return done
  }

  /** Is the log still ours? @throws ManagedLedgerError LOG_FENCED, METADATA_UNAVAILABLE */
  async verify(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended
    let current
    try {
      current = await this.#store.get(logKey(this.name))
    } catch (error) {
      throw metadataFailure(error)
    }
    if (current === undefined || decodeLogRecord(current.value).epoch !== this.#record.epoch) this.#fence()
  }

  async #apply(change: LogChange): Promise<void> {
    const key = logKey(this.name)
    const record = { ...this.#record, ...change.record }
    const changes: Change[] = []
    if (change.end === true) changes.push({ kind: 'delete', key })
    else if (change.record !== undefined) changes.push({ kind: 'put', key, value: encodeLogRecord(record) })
    for (const ledger of change.put ?? []) changes.push(this.#putOf(ledger))
    for (const id of change.remove ?? []) changes.push({ kind: 'delete', key: ledgerKey(this.name, id) })
    if (changes.length === 0) return
    changes.push(...this.#takeLater(changes).map(ledger => this.#putOf(ledger)))
    const result = await this.#transact({ compares: [{ key, version: this.#version }], changes })
    if (!result.committed) this.#fence(true)
    else if (change.record !== undefined) {
      this.#record = record
      this.#version = result.revision
    }
  }

  async #list(ledger: LedgerRecord, birth: Transaction & { readonly operationId: string }): Promise<TransactionResult> {
    const own = logKey(this.name)
    const compares = [{ key: own, version: this.#version }, ...birth.compares]
    const listing = this.#putOf(ledger)
    const later = this.#takeLater([listing])
    const changes = [...birth.changes, listing, ...later.map(each => this.#putOf(each))]
    const result = await this.#transact({ compares, changes }, birth.operationId)
    if (!result.committed) this.#later.unshift(...later)
    if (!result.committed && result.conflicts.some(({ key }) => key === own)) this.#fence(true)
    return result
  }

  #putOf(ledger: LedgerRecord): Change {
    return { kind: 'put', key: ledgerKey(this.name, ledger.ledgerId), value: encodeLedgerRecord(ledger) }
  }

  #takeLater(changes: readonly Change[]): LedgerRecord[] {
    if (this.#later.length === 0) return []
    const named = new Set(changes.map(({ key }) => key))
    return this.#later.splice(0).filter(({ ledgerId }) => !named.has(ledgerKey(this.name, ledgerId)))
  }

  async #transact(transaction: Transaction, operationId: string = randomUUID()): Promise<TransactionResult> {
    for (;;) {
      if (this.#ended !== undefined) throw this.#ended
      try {
        return await transactUntilAnswered(this.#store, transaction, {
          clock: this.#clock,
          operationId: () => operationId
        })
      } catch (error) {
        if (!MetadataError.is(error, 'UNAVAILABLE')) throw metadataFailure(error)
      }
    }
  }

  /** `isRefused`: the change at hand is known not to have been made. */
  #fence(isRefused = false): never {
    const fenced = ManagedLedgerError.create('LOG_FENCED', { name: this.name, epoch: this.#record.epoch, isRefused })
    this.#ended ??= fenced
    throw isRefused ? fenced : this.#ended
  }
}

/** @throws ManagedLedgerError METADATA_UNAVAILABLE, LOG_CORRUPT */
export async function listLedgers(store: MetadataStore, name: string): Promise<LedgerRecord[]> {
  const ledgers: LedgerRecord[] = []
  try {
    for (let after: string | undefined; ;) {
      const further = after === undefined ? {} : { after }
      const page = await store.scan({ prefix: ledgersPrefix(name), isShort: true, ...further })
      for (const { key, value } of page.records) ledgers.push(decodeLedgerRecord(key, value))
      if (page.next === undefined) return ledgers
      after = page.next
    }
  } catch (error) {
    throw metadataFailure(error)
  }
}

/** Is it certain that the failed change was not made? Otherwise what it names may be in use: never delete it. */
export function wasRefused(error: unknown): boolean {
  return ManagedLedgerError.is(error, 'LOG_FENCED') && error.details['isRefused'] === true
}

/** Errors of the store as the callers of a log know them; all others as they are. */
export function metadataFailure(error: unknown): unknown {
  return MetadataError.is(error, 'UNAVAILABLE') ? ManagedLedgerError.create('METADATA_UNAVAILABLE', {}, error) : error
}
