import { comparePositions, type Position } from '@strata/cursor-protocol'
import type { Entry } from '@strata/managed-ledger'
import type { UnackedPart } from '../limits/broker-unacked.ts'
import type { DispatchContext, Dispatcher, Draining, PendingRef } from './dispatcher.ts'
import type { EntryInfo } from './entry-info.ts'
import { EntryTable, HASH, MESSAGES, OWNER, PENDING, REDELIVERIES } from './entry-table.ts'
import type { Member } from './member.ts'
import type { PositionHeap } from './position-heap.ts'
import { RetainedEntries } from './retained.ts'

/** Entries scanned and pending at which the scan stops: past it, a slow consumer would make memory grow with the backlog. */
const LOOK_AHEAD_ENTRIES_MAX = 20_000

/**
 * What Shared and Key_Shared have in common: every entry that was scanned and is not acknowledged is in the entry table,
 * either with its consumer or pending.
 *
 * Invariants
 *   T1  A member's `unacked` is the sum of MESSAGES over the cells it owns, `unackedMessages` is the sum over all members: a turn asks
 *       for it, and there may be thousands of them.
 *   T2  `pendingEntries` is the number of cells whose OWNER is PENDING; each is queued in exactly one place, or popped.
 *   T3  A redelivery count rises by REDELIVER alone and is forgotten with the last consumer.
 */
export abstract class TrackedDispatcher implements Dispatcher {
  abstract readonly type: 'Shared' | 'Key_Shared'
  readonly members: Member[] = []
  readonly popped: PendingRef = { ledgerId: -1, entryId: -1, entry: undefined }
  readonly activeConsumer = undefined
  messagesPerEntry = 1
  pendingEntries = 0
  protected readonly context: DispatchContext
  protected readonly table = new EntryTable()
  protected readonly retained: RetainedEntries
  readonly #bySerial = new Map<number, Member>()
  readonly #unacked: UnackedPart
  #isBlocked = false
  /** By what all subscriptions of the broker hold. */
  #isHeld = false
  /** Messages that may go out before the subscription's limit of unacknowledged ones is reached; of this turn. */
  #room = Infinity
  /** The limit by which members are stopped. */
  #maxOfConsumer = -1

  constructor(context: DispatchContext) {
    this.context = context
    this.#unacked = context.unackedPart()
    this.retained = new RetainedEntries(context.pool, () => context.settings.dispatcherMaxReadSizeBytes)
  }

  protected abstract onJoin(member: Member): void
  /** The member may be chosen no more; what only it could have taken is queued anew. What it holds comes back after this. */
  protected abstract onLeave(member: Member): void
  /** Queues an entry that is PENDING in the table. */
  protected abstract placePending(ledgerId: number, entryId: number, hash: number, entry: Entry | undefined): void
  /** The member holds one entry of the hash less. */
  protected abstract onReleased(hash: number, member: Member): void
  protected abstract onReset(): void
  abstract offer(entry: Entry): boolean
  abstract popPending(): boolean
  abstract offerPending(entry: Entry): void
  abstract hasReadyPending(): boolean
  abstract hashRangesOf(member: Member): readonly string[] | undefined

  join(member: Member): void {
    this.onJoin(member)
    this.members.push(member)
    this.#bySerial.set(member.serial, member)
  }

  leave(member: Member): void {
    const index = this.members.indexOf(member)
    if (index < 0) return
    this.members.splice(index, 1)
    this.onLeave(member)
    if (this.members.length === 0) {
      this.reset()
    } else {
      this.table.forEach((ledgerId, entryId, cells, at) => {
        if (cells[at] === member.serial) this.#toPending(ledgerId, entryId, cells, at)
      })
    }
    this.#bySerial.delete(member.serial)
  }

  get draining(): Draining | undefined {
    return undefined
  }

  get unackedMessages(): number {
    return this.#unacked.messages
  }

  get isBlockedOnUnacked(): boolean {
    return this.#isBlocked || this.#isHeld
  }

  beginTurn(): void {
    const max = this.context.settings.maxUnackedMessagesPerSubscription
    const unacked = max > 0 ? this.unackedMessages : 0
    this.#isBlocked = max > 0 && (unacked >= max || (this.#isBlocked && unacked > max / 2))
    this.#room = max > 0 ? max - unacked : Infinity
    this.#isHeld = this.#unacked.checkHeld()
    const ofConsumer = this.context.settings.maxUnackedMessagesPerConsumer
    if (ofConsumer !== this.#maxOfConsumer) this.#limitConsumers(ofConsumer)
  }

  /** The limit changed: who was stopped by the old one, or is past the new one, does not wait for its next acknowledgement. */
  #limitConsumers(max: number): void {
    this.#maxOfConsumer = max
    for (const member of this.members) member.isBlocked = max > 0 && member.unacked >= max
  }

  credit(): number {
    if (!this.mayDispatch || this.pendingEntries >= LOOK_AHEAD_ENTRIES_MAX) return 0
    let sum = 0
    for (const member of this.members) if (member.canTake) sum += member.permits
    return sum
  }

  hasReadyCredit(): boolean {
    return this.pendingEntries < LOOK_AHEAD_ENTRIES_MAX && this.hasReadyTaker()
  }

  protected hasReadyTaker(): boolean {
    return this.#wouldDispatch() && this.members.some(member => member.isReady)
  }

  requeue(ledgerId: number, entryId: number): void {
    const at = this.table.find(ledgerId, entryId)
    if (at >= 0) this.placePending(ledgerId, entryId, this.table.cells[at + HASH] as number, undefined)
  }

  putOff(entry: Entry): boolean {
    if (this.isPending(entry.ledgerId, entry.entryId)) return true
    this.addPending(entry, this.context.reader.read(entry, this.type === 'Key_Shared').hash)
    return true
  }

  gone(ledgerId: number, entryId: number): void {
    this.acknowledged(ledgerId, entryId)
  }

  acknowledged(ledgerId: number, entryId: number): number {
    const at = this.table.find(ledgerId, entryId)
    if (at < 0) return 1
    const cells = this.table.cells
    const hash = cells[at + HASH] as number
    const messages = cells[at + MESSAGES] as number
    const owner = this.#release(cells, at)
    this.table.remove(ledgerId, entryId)
    if (owner !== undefined) this.onReleased(hash, owner)
    return messages
  }

  acknowledgedPart(ledgerId: number, entryId: number, outstanding: number): number {
    const at = this.table.find(ledgerId, entryId)
    if (at < 0) return 0
    const cells = this.table.cells
    const owner = this.#bySerial.get(cells[at + OWNER] as number)
    if (owner === undefined) return 0
    const acked = (cells[at + MESSAGES] as number) - outstanding
    if (acked <= 0) return 0
    cells[at + MESSAGES] = outstanding
    this.#giveBack(owner, acked)
    return acked
  }

  acknowledgedUpTo(position: Position): void {
    const done: Position[] = []
    this.table.forEach((ledgerId, entryId) => {
      if (comparePositions({ ledgerId, entryId }, position) <= 0) done.push({ ledgerId, entryId })
    })
    for (const { ledgerId, entryId } of done) this.acknowledged(ledgerId, entryId)
  }

  redeliver(member: Member, positions: readonly Position[] | undefined): boolean {
    if (positions === undefined) {
      this.table.forEach((ledgerId, entryId, cells, at) => {
        if (cells[at] === member.serial) this.#sendBack(ledgerId, entryId, cells, at)
      })
      return false
    }
    for (const { ledgerId, entryId } of positions) {
      const at = this.table.find(ledgerId, entryId)
      const cells = this.table.cells
      if (at >= 0 && cells[at] === member.serial) this.#sendBack(ledgerId, entryId, cells, at)
    }
    return false
  }

  reset(): void {
    this.table.clear()
    this.pendingEntries = 0
    this.#unacked.clear()
    for (const member of this.members) {
      member.unacked = 0
      member.isBlocked = false
      member.pending.clear()
    }
    this.onReset()
    this.retained.releaseAll()
  }

  protected get mayDispatch(): boolean {
    return !this.#isBlocked && !this.#isHeld && this.#room > 0
  }

  protected deliver(member: Member, entry: Entry, info: EntryInfo): void {
    const { settings } = this.context
    const at = this.table.claim(entry.ledgerId, entry.entryId)
    const cells = this.table.cells
    if (cells[at] === PENDING) this.pendingEntries--
    cells[at] = member.serial
    cells[at + HASH] = info.hash
    const redeliveries = cells[at + REDELIVERIES] as number
    const messages = this.context.send(member, entry, info, { redeliveries, withEpoch: false })
    cells[at + MESSAGES] = messages
    member.unacked += messages
    this.#unacked.add(messages)
    this.#isHeld = this.#unacked.checkHeld()
    this.#room -= messages
    const max = settings.maxUnackedMessagesPerConsumer
    if (max > 0 && member.unacked >= max) member.isBlocked = true
    if (this.#room <= 0) this.#isBlocked = true
    this.messagesPerEntry += (info.messages - this.messagesPerEntry) * 0.1
  }

  /** Enters an entry that was scanned and has no taker now. */
  protected addPending(entry: Entry, hash: number): void {
    const at = this.table.claim(entry.ledgerId, entry.entryId)
    this.table.cells[at] = PENDING
    this.table.cells[at + HASH] = hash
    this.pendingEntries++
  }

  /** HASH of a pending entry; undefined when it is not pending (any more). */
  protected pendingHash(ledgerId: number, entryId: number): number | undefined {
    const at = this.table.find(ledgerId, entryId)
    return at >= 0 && this.table.cells[at] === PENDING ? this.table.cells[at + HASH] : undefined
  }

  /** Takes the lowest position that is still pending off the queue, into `popped`. */
  protected popFrom(queue: PositionHeap): boolean {
    while (queue.size > 0) {
      const { ledgerId, entryId, entry } = queue
      queue.pop()
      this.retained.release(entry)
      if (!this.isPending(ledgerId, entryId)) continue
      this.popped.ledgerId = ledgerId
      this.popped.entryId = entryId
      this.popped.entry = entry
      return true
    }
    return false
  }

  protected isPending(ledgerId: number, entryId: number): boolean {
    const at = this.table.find(ledgerId, entryId)
    return at >= 0 && this.table.cells[at] === PENDING
  }

  /** Takes the cell's messages off its owner. */
  #release(cells: Int32Array, at: number): Member | undefined {
    if (cells[at] === PENDING) {
      this.pendingEntries--
      return undefined
    }
    const owner = this.#bySerial.get(cells[at] as number)
    if (owner !== undefined) this.#giveBack(owner, cells[at + MESSAGES] as number)
    return owner
  }

  #giveBack(owner: Member, messages: number): void {
    const max = this.context.settings.maxUnackedMessagesPerConsumer
    owner.unacked -= messages
    this.#unacked.add(-messages)
    if (owner.isBlocked && (max <= 0 || owner.unacked <= max / 2)) owner.isBlocked = false
  }

  #toPending(ledgerId: number, entryId: number, cells: Int32Array, at: number): void {
    const hash = cells[at + HASH] as number
    const owner = this.#release(cells, at)
    cells[at] = PENDING
    cells[at + MESSAGES] = 0
    this.pendingEntries++
    if (owner !== undefined) this.onReleased(hash, owner)
    this.placePending(ledgerId, entryId, hash, undefined)
  }

  #sendBack(ledgerId: number, entryId: number, cells: Int32Array, at: number): void {
    cells[at + REDELIVERIES] = (cells[at + REDELIVERIES] as number) + 1
    this.#toPending(ledgerId, entryId, cells, at)
  }

  #wouldDispatch(): boolean {
    if (this.#unacked.wouldBeHeld) return false
    const max = this.context.settings.maxUnackedMessagesPerSubscription
    if (max <= 0) return true
    const unacked = this.unackedMessages
    return this.#isBlocked ? unacked <= max / 2 : unacked < max
  }
}
