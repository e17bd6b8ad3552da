import { NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import type { EntryTail } from './entry-tail.ts'

/**
 * What the node knows of one ledger beside its index pages.
 *
 * Invariants
 *   L1  `isFenced` is set when a fence is admitted: from then on no add without `recovery` is.
 *   L2  `lastEntry`, `lac`, `tail` and `isFenceSynced` speak of synced records only.
 */
export class LedgerState {
  readonly ledgerId: LedgerId
  isFenced = false
  isFenceSynced = false
  lastEntry: EntryId = NO_ENTRY
  lac: EntryId = NO_ENTRY
  /** Not in the index yet. */
  tail: EntryTail | undefined
  /** Being written to the index; older than `tail`. */
  flushing: EntryTail | undefined
  /** The row in the index is behind `isFenceSynced`, `lastEntry` or `lac`. */
  isRowStale = false
  /** No page of the index is past this one; -1: none. */
  lastPage = -1
  /** A deletion record was read: reads say 'unknown' until everything is gone. */
  isDeleted = false
  /** It was deleted, and everything is: no entry is ever taken again. */
  isGone = false
  /** Records of it that are in the journal's buffers. */
  pendingRecords = 0
  /** Its row is being written: no adds, which a fence stands behind, but it must stay in memory. */
  isFlushing = false
  /** A hint for reading ahead: the entry after the last one read. */
  nextRead = -1

  // Written by the journal alone: where this ledger's receipt is in the batch being filled.
  receiptBatch = -1
  receiptIndex = -1

  constructor(ledgerId: LedgerId) {
    this.ledgerId = ledgerId
  }

  /** The index has no word yet of where some entries are: what a tail says of them counts, and will be written over what it has. */
  get hasTail(): boolean {
    return this.tail !== undefined || this.flushing !== undefined
  }

  get hasUnindexed(): boolean {
    return this.tail !== undefined || this.isFlushing || this.isRowStale || this.pendingRecords > 0
  }
}
