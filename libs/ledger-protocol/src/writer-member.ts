import { NO_ENTRY, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import type { AddFailure } from './quorum.ts'

/** Why a member is to be replaced. `SLOW`: it answers, far later than the others do. */
export type MemberFailure = AddFailure | 'SLOW'

/** So many take a place one right after the other, if none of them confirms anything. */
export const TRIALS_AT_ONCE = 2

export interface MemberOwner {
  onMemberAdded(member: WriterMember): void
  onMemberFailed(member: WriterMember): void
}

/**
 * The place of one node in the ensemble. Given to the node as the sink of its answers.
 * A member that failed, or was replaced, counts for nothing any more, whatever its node still answers.
 */
export class WriterMember {
  readonly index: number
  readonly bookieId: BookieId
  /** It gets no entry before this one. */
  readonly firstEntryId: EntryId
  /** 0: the ledger began with it. Else the how manieth it is in its place since anybody there confirmed anything. */
  readonly trial: number
  /** Every add sent to this member up to here is on its disk. */
  ackedThrough = NO_ENTRY
  failure: MemberFailure | undefined
  // The slow rule's observations: an add that was unanswered at some tick, and how long it has been so since.
  markEntry = NO_ENTRY
  waitedMs = 0
  readonly #writer: MemberOwner

  constructor(
    writer: MemberOwner,
    options: { index: number; bookieId: BookieId; firstEntryId: EntryId; trial?: number }
  ) {
    this.#writer = writer
    this.index = options.index
    this.bookieId = options.bookieId
    this.firstEntryId = options.firstEntryId
    this.trial = options.trial ?? 0
  }

  /** Of whoever takes its place. */
  get nextTrial(): number {
    return this.ackedThrough === NO_ENTRY ? this.trial + 1 : 1
  }

  /** It failed as those before it did: the next one may wait. */
  get wasInVain(): boolean {
    return this.failure !== undefined && this.nextTrial > TRIALS_AT_ONCE
  }

  onAdded(_ledgerId: LedgerId, id: EntryId): void {
    if (id > this.ackedThrough && this.failure === undefined) {
      this.ackedThrough = id
      this.#writer.onMemberAdded(this)
    }
  }

  onAddFailed(_ledgerId: LedgerId, _entryId: EntryId, failure: AddFailure): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.#writer.onMemberFailed(this)
  }
}
