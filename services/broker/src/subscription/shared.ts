import type { Entry } from '@strata/managed-ledger'
import { ChunkTies } from './chunk-ties.ts'
import type { EntryInfo } from './entry-info.ts'
import type { Member } from './member.ts'
import { PositionHeap } from './position-heap.ts'
import { PriorityRing } from './priority-ring.ts'
import { TrackedDispatcher } from './tracked.ts'

/** A consumer gets so many messages before it is the next one's turn: fewer, larger writes a socket. */
const TURN_MESSAGES = 20

/** Shared: any consumer with credit, in turns, by priority; chunks of one message to one consumer. */
export class SharedDispatcher extends TrackedDispatcher {
  readonly type = 'Shared'
  readonly #ring = new PriorityRing()
  readonly #replay = new PositionHeap()
  readonly #ties = new ChunkTies()
  /** All members with entries of their own pending are among them: turns come with each subscribe and flow, members are thousands. */
  readonly #waiting = new Set<Member>()
  #current: Member | undefined
  #turnLeft = 0

  offer(entry: Entry): boolean {
    if (!this.mayDispatch) return false
    const info = this.context.reader.read(entry, false)
    if (info.chunkId >= 0) return this.#offerChunk(entry, info)
    const taker = this.#taker()
    if (taker === undefined) return false
    this.#give(taker, entry, info)
    return true
  }

  popPending(): boolean {
    if (!this.mayDispatch) return false
    for (const member of this.#waiting) {
      if (member.canTake && this.popFrom(member.pending)) return true
      if (member.pending.size === 0) this.#waiting.delete(member)
    }
    return this.#replay.size > 0 && this.members.some(member => member.canTake) && this.popFrom(this.#replay)
  }

  offerPending(entry: Entry): void {
    if (!this.isPending(entry.ledgerId, entry.entryId)) return
    const info = this.context.reader.read(entry, false)
    const taker = this.mayDispatch ? (this.#ties.ownerOf(info) ?? this.#taker()) : undefined
    if (taker?.canTake === true) this.#give(taker, entry, info)
    else this.#keep(this.#ties.ownerOf(info), entry)
  }

  hasReadyPending(): boolean {
    const ready = this.hasReadyTaker()
    return (
      ready && (this.#replay.size > 0 || [...this.#waiting].some(member => member.isReady && member.pending.size > 0))
    )
  }

  hashRangesOf(): undefined {
    return undefined
  }

  protected onJoin(member: Member): void {
    this.#ring.add(member)
  }

  protected onLeave(member: Member): void {
    this.#ring.remove(member)
    if (this.#current === member) this.#current = undefined
    this.#ties.forget(member)
    this.#waiting.delete(member)
    member.pending.forEach((ledgerId, entryId, entry) => {
      this.#replay.push(ledgerId, entryId, entry)
    })
    member.pending.clear()
  }

  protected placePending(ledgerId: number, entryId: number, _hash: number, entry: Entry | undefined): void {
    this.#replay.push(ledgerId, entryId, entry)
  }

  protected onReleased(): void {}

  protected onReset(): void {
    this.#replay.clear()
    this.#ties.clear()
    this.#waiting.clear()
  }

  #offerChunk(entry: Entry, info: EntryInfo): boolean {
    const owner = this.#ties.ownerOf(info)
    const taker = owner ?? this.#taker()
    if (taker === undefined) return false
    if (taker.canTake && taker.pending.size === 0) {
      this.#give(taker, entry, info)
    } else {
      // Its consumer has begun the message and has no credit now: the others need not wait for it.
      this.addPending(entry, 0)
      this.#keep(taker, entry)
    }
    return true
  }

  #give(taker: Member, entry: Entry, info: EntryInfo): void {
    if (info.chunkId >= 0) this.#ties.tie(taker, info)
    this.#turnLeft -= info.messages
    this.deliver(taker, entry, info)
  }

  /** Of nobody in particular, if no owner is given. */
  #keep(owner: Member | undefined, entry: Entry): void {
    const queue = owner?.pending ?? this.#replay
    queue.push(entry.ledgerId, entry.entryId, this.retained.keep(entry))
    if (owner !== undefined) this.#waiting.add(owner)
  }

  #taker(): Member | undefined {
    if (this.#turnLeft > 0 && this.#current?.canTake === true) return this.#current
    this.#current = this.#ring.next()
    this.#turnLeft = TURN_MESSAGES
    return this.#current
  }
}
