import { strict as assert } from 'node:assert'
import type { Entry } from '@strata/managed-ledger'
import type { KeySharedOptions } from '../contract.ts'
import { ChunkTies } from './chunk-ties.ts'
import type { DispatchContext, Draining } from './dispatcher.ts'
import type { EntryInfo } from './entry-info.ts'
import { createHashSelector, type HashSelector } from './hash-selectors.ts'
import type { Member } from './member.ts'
import { PositionHeap } from './position-heap.ts'
import { TrackedDispatcher } from './tracked.ts'

/** A hash that somebody holds entries of. It is *draining* while its holder is not (any more) the one it is assigned to. */
interface Bucket {
  holder: Member
  inFlight: number
  /** Pending entries of a draining hash: they wait for the holder to let go of all it has. */
  held: PositionHeap | undefined
}

/** Added to the hash of a pending chunk whose message its holder has begun: it follows the message, drained or not. */
const TIED = 1 << 20
const HASH_MASK = 0xffff
const SPARE_BUCKETS_MAX = 1024

/**
 * Key_Shared: every hash has one owner by the selector.
 *
 * Invariants
 *   K1  Unless out-of-order delivery is allowed, all entries of a hash that are with consumers are with one consumer.
 *   K2  An entry of a hash is delivered only when no pending entry of that hash lies before it, since pending entries of
 *       one consumer queue together, lowest first, and a new one is delivered at once only if nothing queues.
 *   K3  A hash without credit, socket or drained holder delays no entry of another hash with another owner.
 */
export class KeySharedDispatcher extends TrackedDispatcher {
  readonly type = 'Key_Shared'
  readonly #selector: HashSelector
  readonly #isOrdered: boolean
  readonly #buckets = new Map<number, Bucket>()
  readonly #spare: Bucket[] = []
  readonly #unowned = new PositionHeap()
  readonly #ties = new ChunkTies()
  #cleared = 0

  constructor(context: DispatchContext, options: KeySharedOptions | undefined) {
    super(context)
    this.#selector = createHashSelector(options?.mode ?? 'AUTO_SPLIT', context.settings)
    this.#isOrdered = options?.allowOutOfOrderDelivery !== true
  }

  offer(entry: Entry): boolean {
    if (!this.mayDispatch) return false
    const info = this.context.reader.read(entry, true)
    const taker = this.#takerOf(info)
    if (taker !== undefined && taker.pending.size === 0 && taker.canTake) {
      this.#give(taker, entry, info)
      return true
    }
    const hash = this.#cellHash(info)
    this.addPending(entry, hash)
    this.placePending(entry.ledgerId, entry.entryId, hash, this.retained.keep(entry))
    return true
  }

  popPending(): boolean {
    if (!this.mayDispatch) return false
    for (const member of this.members) {
      if (member.pending.size > 0 && member.canTake && this.popFrom(member.pending)) return true
    }
    return false
  }

  offerPending(entry: Entry): void {
    const { ledgerId, entryId } = entry
    if (!this.isPending(ledgerId, entryId)) return
    const info = this.context.reader.read(entry, true)
    const taker = this.mayDispatch ? this.#takerOf(info) : undefined
    // While it was read, one before it may have been sent back.
    const isNext = taker !== undefined && !taker.pending.isBefore(ledgerId, entryId)
    if (isNext && taker.canTake) this.#give(taker, entry, info)
    else this.placePending(ledgerId, entryId, this.#cellHash(info), this.retained.keep(entry))
  }

  hasReadyPending(): boolean {
    return this.hasReadyTaker() && this.members.some(member => member.isReady && member.pending.size > 0)
  }

  hashRangesOf(member: Member): readonly string[] {
    return this.#selector.rangesOf(member)
  }

  override get draining(): Draining {
    let [hashes, entries] = [0, 0]
    for (const [hash, { holder, inFlight }] of this.#buckets) {
      if (holder === this.#selector.ownerOf(hash)) continue
      hashes += 1
      entries += inFlight
    }
    return { hashes, entries, cleared: this.#cleared }
  }

  protected onJoin(member: Member): void {
    this.#selector.add(member)
    this.#redistribute(this.members)
  }

  protected onLeave(member: Member): void {
    this.#selector.remove(member)
    this.#ties.forget(member)
    this.#redistribute([...this.members, member])
  }

  protected placePending(ledgerId: number, entryId: number, cellHash: number, entry: Entry | undefined): void {
    const hash = cellHash & HASH_MASK
    const owner = this.#selector.ownerOf(hash)
    const bucket = this.#buckets.get(hash)
    let queue = owner?.pending ?? this.#unowned
    if (bucket !== undefined && bucket.holder !== owner) {
      queue = cellHash >= TIED && !bucket.holder.isGone ? bucket.holder.pending : (bucket.held ??= new PositionHeap())
    }
    queue.push(ledgerId, entryId, entry)
  }

  protected onReleased(cellHash: number, member: Member): void {
    if (!this.#isOrdered) return
    const hash = cellHash & HASH_MASK
    const bucket = this.#buckets.get(hash)
    assert(bucket?.holder === member, 'who lets an entry go holds its hash')
    if (--bucket.inFlight > 0) return
    this.#buckets.delete(hash)
    if (bucket.holder !== this.#selector.ownerOf(hash)) this.#cleared += 1
    const { held } = bucket
    bucket.held = undefined
    if (this.#spare.length < SPARE_BUCKETS_MAX) this.#spare.push(bucket)
    const queue = this.#selector.ownerOf(hash)?.pending ?? this.#unowned
    held?.forEach((ledgerId, entryId, entry) => {
      queue.push(ledgerId, entryId, entry)
    })
  }

  protected onReset(): void {
    this.#buckets.clear()
    this.#unowned.clear()
    this.#ties.clear()
  }

  #takerOf(info: EntryInfo): Member | undefined {
    const owner = this.#selector.ownerOf(info.hash)
    if (!this.#isOrdered) return owner
    const bucket = this.#buckets.get(info.hash)
    if (bucket === undefined || bucket.holder === owner) return owner
    // Draining. A chunk goes after its message: the holder can acknowledge, and so let go, only what is complete.
    return this.#ties.ownerOf(info) === bucket.holder ? bucket.holder : undefined
  }

  #cellHash(info: EntryInfo): number {
    return this.#ties.ownerOf(info) === undefined ? info.hash : info.hash | TIED
  }

  #give(taker: Member, entry: Entry, info: EntryInfo): void {
    if (this.#isOrdered) this.#hold(taker, info.hash)
    if (info.chunkId >= 0) this.#ties.tie(taker, info)
    this.deliver(taker, entry, info)
  }

  #hold(taker: Member, hash: number): void {
    let bucket = this.#buckets.get(hash)
    if (bucket === undefined) {
      bucket = this.#spare.pop() ?? { holder: taker, inFlight: 0, held: undefined }
      bucket.holder = taker
      this.#buckets.set(hash, bucket)
    }
    assert(bucket.holder === taker, 'a hash is with one consumer') // K1
    bucket.inFlight++
  }

  /** Assignments have changed: everything pending is queued anew. */
  #redistribute(members: readonly Member[]): void {
    const queues = members.map(member => member.pending)
    queues.push(this.#unowned)
    for (const bucket of this.#buckets.values()) {
      if (bucket.held !== undefined) queues.push(bucket.held)
      bucket.held = undefined
    }
    const waiting: [number, number, Entry | undefined][] = []
    for (const queue of queues) {
      queue.forEach((ledgerId, entryId, entry) => {
        waiting.push([ledgerId, entryId, entry])
      })
      queue.clear()
    }
    for (const [ledgerId, entryId, entry] of waiting) {
      const cellHash = this.pendingHash(ledgerId, entryId)
      if (cellHash === undefined) this.retained.release(entry)
      else this.placePending(ledgerId, entryId, cellHash, entry)
    }
  }
}
