import type { EntryId } from '@strata/base'
import type { AddFailure, AddRequest, AddSink, AddStretch } from '@strata/ledger-client'
import type { LedgerState } from '../index/ledger-state.ts'
import { RECORD_STRIDE, type WriteBatch } from './write-batch.ts'

/** What waits because both buffers are full (or the batch must end). */
export type Item =
  | { readonly kind: 'add'; readonly ledger: LedgerState; readonly request: AddRequest; readonly sink: AddSink }
  | {
      readonly kind: 'stretch'
      readonly ledger: LedgerState
      readonly stretch: AddStretch
      readonly sink: AddSink
      /** Those before it are in a batch. */
      from: number
    }
  | { readonly kind: 'fence'; readonly ledger: LedgerState; readonly done: (error: Error | undefined) => void }
  | {
      readonly kind: 'refuse'
      readonly ledger: LedgerState
      readonly entryId: EntryId
      readonly failure: AddFailure
      readonly sink: AddSink
    }

/** Tells every entry of the batch, since any of them may have someone waiting for it. */
export function failBatch(batch: WriteBatch, error: Error): void {
  const sinks = new Map<LedgerState, Set<AddSink>>()
  for (const { ledger, sink, failure, highest } of batch.receipts) {
    if (failure !== undefined) sink.onAddFailed(ledger.ledgerId, highest, failure)
    else sinks.set(ledger, (sinks.get(ledger) ?? new Set()).add(sink))
  }
  let at = 0
  for (const [i, ledger] of batch.ledgers.entries()) {
    const end = at + (batch.counts[i] ?? 0)
    ledger.pendingRecords -= end - at
    for (; at < end; at++) {
      const entryId = batch.numbers[at * RECORD_STRIDE] as EntryId
      for (const sink of sinks.get(ledger) ?? []) sink.onAddFailed(ledger.ledgerId, entryId, 'STORAGE_FAILED')
    }
  }
  for (const done of batch.marked) done()
  for (const { ledger, done } of batch.fenced) {
    ledger.pendingRecords--
    done(error)
  }
}

export function failItem(item: Item, error: Error): void {
  if (item.kind === 'refuse') {
    item.sink.onAddFailed(item.ledger.ledgerId, item.entryId, item.failure)
    return
  }
  if (item.kind === 'stretch') {
    const { ledger, stretch, sink } = item
    ledger.pendingRecords -= stretch.count - item.from
    for (let i = item.from; i < stretch.count; i++) {
      sink.onAddFailed(ledger.ledgerId, stretch.entryIdAt(i), 'STORAGE_FAILED')
    }
    return
  }
  item.ledger.pendingRecords--
  if (item.kind === 'fence') item.done(error)
  else item.sink.onAddFailed(item.ledger.ledgerId, item.request.entryId, 'STORAGE_FAILED')
}
