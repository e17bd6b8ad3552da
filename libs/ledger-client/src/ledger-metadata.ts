import { randomUUID } from 'node:crypto'
import { CodedError, type BookieId, type Clock, type LedgerId } from '@strata/base'
import type { Ensemble, LedgerEnd } from '@strata/ledger-protocol'
import {
  transactUntilAnswered,
  type Change,
  type Compare,
  type MetadataStore,
  type Transaction,
  type TransactionResult
} from '@strata/metadata'
import type { CommitLedger } from './contract.ts'
import { LedgerError } from './errors.ts'
import {
  decodeLedger,
  encodeDeletion,
  encodeLedger,
  ledgerDeletionKey,
  ledgerKey,
  type LedgerRecord
} from './ledger-records.ts'

export interface VersionedLedger {
  readonly record: LedgerRecord
  readonly version: number
}

interface Put {
  readonly record: Omit<LedgerRecord, 'operationId'>
  readonly version: number
  readonly guards?: readonly Compare[]
  readonly commit?: CommitLedger
}

/**
 * The metadata of ledgers. Every change is a compare-and-set that carries a random operation id, in the transaction and
 * in the record, so that its author learns after any ambiguity whether it was made.
 * @throws LedgerError NOT_LEADER: a guard does not hold
 */
export class LedgerMetadata {
  readonly #store: MetadataStore
  readonly #clock: Clock
  readonly #guards: readonly Compare[]

  /** `guards`: what must hold beside for any change to be made, such as the leadership of who makes it. */
  constructor(store: MetadataStore, clock: Clock, guards: readonly Compare[] = []) {
    this.#store = store
    this.#clock = clock
    this.#guards = guards
  }

  async read(id: LedgerId): Promise<VersionedLedger | undefined> {
    const stored = await this.#store.get(ledgerKey(id))
    return stored === undefined ? undefined : { record: decodeLedger(stored.value), version: stored.version }
  }

  /** Returns the record as stored, or undefined if another one was there, or one of `guards` does not hold. */
  create(
    id: LedgerId,
    record: Omit<LedgerRecord, 'operationId'>,
    { guards = [], commit }: { guards?: readonly Compare[]; commit?: CommitLedger | undefined } = {}
  ): Promise<VersionedLedger | undefined> {
    return this.#put(id, { record, version: 0, guards, ...(commit === undefined ? {} : { commit }) }, randomUUID())
  }

  /** Returns the record as stored, or undefined if it was changed since. */
  replace(
    id: LedgerId,
    before: VersionedLedger,
    record: Omit<LedgerRecord, 'operationId'>,
    /** The same one for every submission of one change. */
    operationId: string = randomUUID()
  ): Promise<VersionedLedger | undefined> {
    return this.#put(id, { record, version: before.version }, operationId)
  }

  /** With the ensembles that say where its entries are. */
  close(
    id: LedgerId,
    before: VersionedLedger,
    { end, ensembles }: { end: LedgerEnd; ensembles: readonly Ensemble[] }
  ): Promise<VersionedLedger | undefined> {
    return this.replace(id, before, { ...before.record, state: 'closed', end, ensembles })
  }

  /** Removes the ledger and leaves what lets its nodes delete it. Idempotent. */
  async delete(id: LedgerId): Promise<void> {
    for (;;) {
      const before = await this.read(id)
      if (before === undefined) return
      const { ensembles, owner } = before.record
      const bookies: BookieId[] = [...new Set(ensembles.flatMap(ensemble => ensemble.bookies))]
      const deletion = encodeDeletion({ bookies, owner, deletedAtMs: this.#clock.wallMs() })
      const isDone = await this.#transact(randomUUID(), {
        compares: [{ key: ledgerKey(id), version: before.version }],
        changes: [
          { kind: 'delete', key: ledgerKey(id) },
          { kind: 'put', key: ledgerDeletionKey(id), value: deletion }
        ]
      })
      if (isDone !== undefined) return
    }
  }

  async #put(
    id: LedgerId,
    { record, version, guards = [], commit }: Put,
    operationId: string
  ): Promise<VersionedLedger | undefined> {
    const named = { ...record, operationId }
    const key = ledgerKey(id)
    const transaction = {
      compares: [{ key, version }, ...guards],
      changes: [{ kind: 'put' as const, key, value: encodeLedger(named) }]
    }
    const revision = await this.#transact(operationId, transaction, commit && (birth => commit(id, birth)))
    if (revision !== undefined) return { record: named, version: revision }
    const current = await this.read(id) // the store may have forgotten the operation: the record has not
    return current?.record.operationId === operationId ? current : undefined
  }

  async #transact(
    operationId: string,
    transaction: { compares: Compare[]; changes: Change[] },
    commit?: (birth: Transaction & { operationId: string }) => Promise<TransactionResult>
  ): Promise<number | undefined> {
    const compares = [...transaction.compares, ...this.#guards]
    const whole = { ...transaction, compares, operationId }
    const options = { clock: this.#clock, operationId: () => operationId }
    const result = await (commit?.(whole) ?? transactUntilAnswered(this.#store, whole, options))
    if (result.committed) return result.revision
    const lost = result.conflicts.find(({ key }) => this.#guards.some(guard => guard.key === key))
    if (lost !== undefined) throw LedgerError.create('NOT_LEADER', { key: lost.key })
    return undefined
  }
}

/** @throws LedgerError NO_SUCH_LEDGER */
export function present(id: LedgerId, ledger: VersionedLedger | undefined): VersionedLedger {
  if (ledger === undefined) throw LedgerError.create('NO_SUCH_LEDGER', { ledgerId: id })
  return ledger
}

/** Of a node: another may do. What is no operating error is a bug here. */
export function ignoreOperatingErrors(error: unknown): undefined {
  if (!(error instanceof CodedError)) throw error
}
