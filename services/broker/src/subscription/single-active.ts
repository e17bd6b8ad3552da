import type { Position } from '@strata/cursor-protocol'
import type { Entry } from '@strata/managed-ledger'
import type { SubscriptionType } from '../contract.ts'
import { pickActive } from './active-consumer.ts'
import type { DispatchContext, Dispatcher, PendingRef } from './dispatcher.ts'
import { StickyRanges } from './sticky-ranges.ts'
import type { Member } from './member.ts'

const NEW = { redeliveries: 0, withEpoch: true }
const NEW_WITHOUT_EPOCH = { redeliveries: 0, withEpoch: false }

/**
 * Exclusive and Failover: everything goes to one consumer, in order. No entry is tracked: what is delivered and not
 * acknowledged is what lies between the mark-delete position and the scan, so redelivery is scanning again.
 *
 * The owner decides when a new active consumer may be served (`isHeld`) and whom to notify.
 */
export class SingleActiveDispatcher implements Dispatcher {
  readonly type: SubscriptionType
  readonly members: Member[] = []
  readonly popped: PendingRef = { ledgerId: -1, entryId: -1, entry: undefined }
  readonly pendingEntries = 0
  readonly unackedMessages = 0
  readonly isBlockedOnUnacked = false
  messagesPerEntry = 1
  /** The active consumer is not to be served yet: the one before it may still be acknowledging. */
  isHeld = false
  readonly #context: DispatchContext
  #active: Member | undefined
  #ranges: StickyRanges | undefined

  constructor(type: 'Exclusive' | 'Failover', context: DispatchContext) {
    this.type = type
    this.#context = context
  }

  get activeConsumer(): Member | undefined {
    return this.#active
  }

  join(member: Member): void {
    const ranges = member.options.keyShared?.ranges ?? []
    this.#ranges = undefined
    if (this.type === 'Exclusive' && ranges.length > 0) {
      this.#ranges = new StickyRanges()
      this.#ranges.add(member)
    }
    this.members.push(member)
    this.#pick()
  }

  leave(member: Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    this.#pick()
  }

  credit(): number {
    const active = this.#active
    return active !== undefined && !this.isHeld && active.canTake ? active.permits : 0
  }

  offer(entry: Entry): boolean {
    const active = this.#active
    if (active === undefined || !active.canTake) return false
    const info = this.#context.reader.read(entry, this.#ranges !== undefined)
    if (this.#ranges !== undefined && this.#ranges.ownerOf(info.hash) === undefined) return true
    this.messagesPerEntry += (info.messages - this.messagesPerEntry) * 0.1
    this.#context.send(active, entry, info, active.options.readCompacted ? NEW_WITHOUT_EPOCH : NEW)
    return true
  }

  redeliver(member: Member, _positions: readonly Position[] | undefined): boolean {
    return member === this.#active
  }

  hasReadyCredit(): boolean {
    return this.#active !== undefined && !this.isHeld && this.#active.isReady
  }

  get draining(): undefined {
    return undefined
  }

  hashRangesOf(member: Member): readonly string[] | undefined {
    return this.#ranges?.rangesOf(member)
  }

  // Nothing is ever pending here.
  popPending(): boolean {
    return false
  }
  offerPending(): void {}
  putOff(): boolean {
    return false
  }
  requeue(): void {}
  gone(): void {}
  acknowledged(): number {
    return 1
  }
  acknowledgedPart(): number {
    return 0
  }
  acknowledgedUpTo(): void {}
  reset(): void {}
  beginTurn(): void {}
  hasReadyPending(): boolean {
    return false
  }

  #pick(): void {
    this.#active =
      this.type === 'Exclusive'
        ? this.members[0]
        : pickActive(this.members, { topic: this.#context.topic, partition: this.#context.partition })
  }
}
