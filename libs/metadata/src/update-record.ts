import { randomUUID } from 'node:crypto'
import { systemClock, type Clock } from '@strata/base'
import { MetadataError } from './errors.ts'
import type { Change, MetadataRecord, MetadataStore, Transaction, TransactionResult } from './metadata-store.ts'

export interface AnswerOptions {
  readonly clock?: Clock
  /** How long a store that is unavailable or full is asked again. */
  readonly patienceMs?: number
  readonly operationId?: () => string
}

const PATIENCE_MS = 10_000
const FIRST_PAUSE_MS = 10
const PAUSE_MS_MAX = 500

/**
 * Submits a transaction under a random operation id, again and again with the same id while the answer is ambiguous, so
 * that it is applied at most once and the answer is definite.
 * @throws MetadataError UNAVAILABLE, NO_SPACE: no answer within `patienceMs`; whether it was applied is unknown
 */
export async function transactUntilAnswered(
  store: MetadataStore,
  transaction: Omit<Transaction, 'operationId'>,
  options: AnswerOptions = {}
): Promise<TransactionResult> {
  const named = { ...transaction, operationId: (options.operationId ?? randomUUID)() }
  return untilAnswered(() => store.transact(named), options)
}

/** What an update wants: new bytes, no record, or (undefined) to leave everything as it is. */
export type Update = { readonly put: Uint8Array } | { readonly delete: true } | undefined

/**
 * Read, change, compare-and-set; again when someone else was faster. `decide` may run several times and must not have
 * effects; what it throws ends the update. Returns the record as this call left it (undefined: there is none).
 * @throws MetadataError UNAVAILABLE, NO_SPACE: no answer within `patienceMs`; whether it was applied is unknown
 */
export async function updateRecord(
  store: MetadataStore,
  key: string,
  decide: (current: MetadataRecord | undefined) => Update,
  options: AnswerOptions = {}
): Promise<MetadataRecord | undefined> {
  let current = await untilAnswered(() => store.get(key), options)
  for (;;) {
    const update = decide(current)
    if (update === undefined) return current
    const change: Change = 'put' in update ? { kind: 'put', key, value: update.put } : { kind: 'delete', key }
    const compares = [{ key, version: current?.version ?? 0 }]
    const result = await transactUntilAnswered(store, { compares, changes: [change] }, options)
    if (result.committed) {
      return change.kind === 'put' ? { key, value: change.value, version: result.revision } : undefined
    }
    current = result.conflicts[0]?.current
  }
}

/** Repeats what failed for now, with growing pauses. */
async function untilAnswered<Result>(ask: () => Promise<Result>, options: AnswerOptions): Promise<Result> {
  const clock = options.clock ?? systemClock
  const deadlineMs = clock.nowMs() + (options.patienceMs ?? PATIENCE_MS)
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      return await ask()
    } catch (error) {
      if (!MetadataError.is(error) || !error.retryable || clock.nowMs() + pauseMs > deadlineMs) throw error
      await new Promise<void>(resolve => clock.after(pauseMs, resolve))
    }
  }
}
