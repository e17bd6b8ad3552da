import type { Transaction, TransactionResult } from '../metadata-store.ts'
import { EtcdFailure } from './etcd-failure.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import { EtcdLease } from './etcd-lease.ts'
import type { EtcdOperations } from './etcd-operations.ts'
import type { EtcdReader } from './etcd-reader.ts'
import { TXN } from './etcd-rpc.ts'
import type { EtcdSession } from './etcd-session.ts'
import { refusalRequest, refusalState, stateOf, TransactionPlan, type StoreIdentity } from './transaction-plan.ts'

/** Names of which it is remembered that an attempt may still be on its way. */
const DOUBTS_MAX = 4_096

/**
 * Carries transactions out.
 *
 * Invariants
 *   - One without a name is sent once, on a connection that stands. If the answer is lost, that is what its caller hears.
 *   - One with a name is sent until there is an answer, and carried out at most once (M5).
 *   - Its caller hears of a conflict only when no attempt can be carried out any more: if one went unanswered, the name is
 *     first marked as refused, which that attempt would notice.
 */
export class EtcdTransactor {
  readonly #session: EtcdSession
  readonly #keys: EtcdKeys
  readonly #identity: StoreIdentity
  readonly #reader: EtcdReader
  readonly #operations: EtcdOperations
  readonly #doubts = new Set<string>()

  constructor(options: {
    session: EtcdSession
    keys: EtcdKeys
    identity: StoreIdentity
    reader: EtcdReader
    operations: EtcdOperations
  }) {
    this.#session = options.session
    this.#keys = options.keys
    this.#identity = options.identity
    this.#reader = options.reader
    this.#operations = options.operations
  }

  /** @throws EtcdFailure. The transaction is within the limits. */
  async transact(transaction: Transaction): Promise<TransactionResult> {
    const { operationId } = transaction
    const plan = new TransactionPlan(this.#keys, this.#identity, transaction)
    const leases = leasesOf(transaction)
    try {
      if (operationId !== undefined) return await this.#named(plan, operationId, leases)
      checkHeld(leases)
      const response = await this.#session.ask(TXN, plan.request(0n), { mayRepeat: false })
      const verdict = plan.verdict(response, 0n)
      if (verdict.kind === 'decided') return verdict.result
      throw this.#anotherStore()
    } catch (error) {
      // which of them it was, etcd does not say
      const isOnly = leases.length === 1 && error instanceof EtcdFailure && error.kind === 'no-lease'
      if (isOnly) leases[0]?.lose()
      throw error
    }
  }

  async #named(plan: TransactionPlan, id: string, leases: readonly EtcdLease[]): Promise<TransactionResult> {
    const attempts = { generation: 0n, isDoubtful: this.#doubts.delete(id) }
    try {
      const result = await this.#attempt(plan, leases, attempts)
      if (result.committed) return result
      const committedAt = attempts.isDoubtful ? await this.#refuse(id, attempts) : undefined
      return committedAt === undefined ? result : { committed: true, revision: committedAt }
    } catch (error) {
      const committedAt = await this.#committedDespite(error, id, attempts)
      if (committedAt !== undefined) return { committed: true, revision: committedAt }
      throw error
    }
  }

  async #attempt(
    plan: TransactionPlan,
    leases: readonly EtcdLease[],
    attempts: { generation: bigint; isDoubtful: boolean }
  ): Promise<TransactionResult> {
    for (;;) {
      checkHeld(leases)
      const { generation } = attempts
      const onUnclear = (): void => void (attempts.isDoubtful = true)
      const response = await this.#session.ask(TXN, plan.request(generation), { mayRepeat: true, onUnclear })
      const verdict = plan.verdict(response, generation)
      if (verdict.kind === 'decided') {
        if (verdict.result.committed) this.#operations.onCommitted()
        return verdict.result
      }
      if (verdict.kind === 'another-store') throw this.#anotherStore()
      const { state } = verdict
      if (state.kind === 'committed') return { committed: true, revision: state.revision }
      attempts.generation = state.kind === 'refused' ? state.generation : 0n
    }
  }

  /** Returns the revision if it was committed after all; else it never will be. @throws EtcdFailure */
  async #refuse(id: string, attempts: { generation: bigint; isDoubtful: boolean }): Promise<number | undefined> {
    const operation = this.#keys.operation(id)
    for (;;) {
      const request = refusalRequest(this.#identity, operation, attempts.generation)
      const response = await this.#session.ask(TXN, request, { mayRepeat: true })
      const state = response.succeeded ? undefined : refusalState(this.#identity, response)
      if (state === 'another-store') throw this.#anotherStore()
      if (state?.kind === 'committed') return state.revision
      // a row that says refused is by an earlier attempt to write it
      if (state?.kind !== 'none') {
        attempts.isDoubtful = false
        return undefined
      }
      attempts.generation = 0n
    }
  }

  /** What a failure leaves open is found out where it can be, and remembered where it cannot. */
  async #committedDespite(
    error: unknown,
    id: string,
    attempts: { generation: bigint; isDoubtful: boolean }
  ): Promise<number | undefined> {
    if (!(error instanceof EtcdFailure)) return undefined
    try {
      // with the quota used up nothing can be marked, but reading still works
      if (error.kind === 'full') {
        const state = stateOf(await this.#reader.row(this.#keys.operation(id)))
        if (state.kind === 'committed') return state.revision
      } else if (!error.isPassing) {
        if (attempts.isDoubtful) return await this.#refuse(id, attempts)
        const state = stateOf(await this.#reader.row(this.#keys.operation(id)))
        return state.kind === 'committed' ? state.revision : undefined
      }
    } catch (nested) {
      if (!(nested instanceof EtcdFailure)) throw nested
    }
    if (attempts.isDoubtful) this.#remember(id)
    return undefined
  }

  #anotherStore(): EtcdFailure {
    return this.#session.replaced('another store below the same prefix')
  }

  #remember(id: string): void {
    this.#doubts.add(id)
    for (const oldest of this.#doubts) {
      if (this.#doubts.size <= DOUBTS_MAX) break
      this.#doubts.delete(oldest)
    }
  }
}

function leasesOf(transaction: Transaction): EtcdLease[] {
  const leases = new Set<EtcdLease>()
  for (const change of transaction.changes) {
    if (change.kind === 'put' && change.lease instanceof EtcdLease) leases.add(change.lease)
  }
  return [...leases]
}

function checkHeld(leases: readonly EtcdLease[]): void {
  if (leases.some(lease => !lease.isHeld)) throw new EtcdFailure('no-lease', 'the lease is not held any more')
}
