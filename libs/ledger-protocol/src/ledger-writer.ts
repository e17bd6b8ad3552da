import { strict as assert } from 'node:assert'
import { entryId, NO_ENTRY, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import { entryDigest, entryDigestOf } from './entry-digest.ts'
import { checkQuorum, type AddFailure, type EntryAdd, type QuorumConfig } from './quorum.ts'

/** Why a writer ended. `NO_REPLACEMENT`: a member failed, and no other node may take its place. */
export type WriterFailure = 'FENCED' | 'NO_REPLACEMENT'

/** One node of the ensemble must go: what the shell is to decide by compare-and-set on the ledger's metadata. */
export interface EnsembleChange {
  /** LAC + 1, and the LAC is frozen until the answer. */
  readonly firstEntryId: EntryId
  readonly failed: readonly { readonly index: number; readonly bookieId: BookieId; readonly failure: AddFailure }[]
}

/** What the writer wants done. Called synchronously; may call the writer back; must not throw. */
export interface WriterSink {
  /** Hand the add to the member's node, whose answers go to `member`. Ascending per member. */
  sendAdd(member: WriterMember, add: EntryAdd): void
  /** Every entry up to `lac` is confirmed. Once per answer of a node, for many entries; `lac` only grows. */
  onConfirmed(lac: EntryId): void
  /** Answer with `onEnsembleChanged` or `onChangeRefused`. One at a time. */
  proposeChange(change: EnsembleChange): void
  /** The last call. Entries past `lac` are in doubt. */
  onFailed(failure: WriterFailure, lac: EntryId): void
}

type State =
  | { readonly kind: 'writing' }
  | { readonly kind: 'changing'; readonly change: EnsembleChange }
  | { readonly kind: 'failed'; readonly failure: WriterFailure }

/**
 * The place of one node in the ensemble. Given to the node as the sink of its answers.
 * A member that was replaced counts for nothing any more, whatever its node still answers.
 */
export class WriterMember {
  readonly index: number
  readonly bookieId: BookieId
  /** Every add sent to this member up to here is on its disk. */
  ackedThrough = NO_ENTRY
  failure: AddFailure | undefined
  readonly #writer: MemberOwner

  constructor(writer: MemberOwner, options: { index: number; bookieId: BookieId }) {
    this.#writer = writer
    this.index = options.index
    this.bookieId = options.bookieId
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

interface MemberOwner {
  onMemberAdded(member: WriterMember): void
  onMemberFailed(member: WriterMember): void
}

/**
 * The writer's half of the ledger protocol. Pure: no clock, no socket, no promise.
 *
 * Invariants
 *   W1  The LAC never skips: entry n is confirmed only together with or after 0..n-1.
 *   W2  An entry is confirmed only by Qa distinct members of its own write set, each of which has it synced.
 *   W3  Once failed, nothing is confirmed and nothing is sent.
 *   W4  While a change of the ensemble is undecided the LAC stays, and no add goes to a member that failed.
 *   W5  An entry id never carries other bytes: what is sent again is the same object.
 */
export class LedgerWriter {
  readonly ledgerId: LedgerId
  readonly quorum: QuorumConfig
  readonly #sink: WriterSink
  readonly #members: WriterMember[]
  /** Unconfirmed adds: `#pending[#head]` is entry lac + 1. */
  #pending: (EntryAdd | undefined)[] = []
  #head = 0
  #pendingBytes = 0
  #lac: number = NO_ENTRY
  #nextEntryId = 0
  #lengthBytes = 0
  #state: State = { kind: 'writing' }

  constructor(options: { ledgerId: LedgerId; quorum: QuorumConfig; bookies: readonly BookieId[]; sink: WriterSink }) {
    checkQuorum(options.quorum)
    assert(options.bookies.length === options.quorum.ensembleSize)
    this.ledgerId = options.ledgerId
    this.quorum = options.quorum
    this.#sink = options.sink
    const owner = this.#owner()
    this.#members = options.bookies.map((bookieId, index) => new WriterMember(owner, { index, bookieId }))
  }

  get lac(): EntryId {
    return this.#lac as EntryId
  }

  get nextEntryId(): EntryId {
    return this.#nextEntryId as EntryId
  }

  /** Payload bytes of all entries appended. */
  get lengthBytes(): number {
    return this.#lengthBytes
  }

  /** Payload bytes appended and not confirmed: what a caller bounds. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get hasPending(): boolean {
    return this.#lac + 1 < this.#nextEntryId
  }

  get failure(): WriterFailure | undefined {
    return this.#state.kind === 'failed' ? this.#state.failure : undefined
  }

  get bookies(): BookieId[] {
    return this.#members.map(member => member.bookieId)
  }

  /** Call only while there is no `failure`. Takes ownership of `payload`; its CRC-32C, where it is known, saves a pass over it. */
  append(payload: Buffer, payloadCrc?: number): EntryId {
    assert(this.#state.kind !== 'failed', 'append to a failed writer')
    const id = this.#nextEntryId++ as EntryId
    this.#lengthBytes += payload.length
    this.#pendingBytes += payload.length
    const add = {
      ledgerId: this.ledgerId,
      entryId: id,
      lac: this.#lac as EntryId,
      lengthBytes: this.#lengthBytes,
      crc32c: 0,
      payload,
      recovery: false
    }
    add.crc32c = payloadCrc === undefined ? entryDigest(add) : entryDigestOf(add, payloadCrc)
    this.#pending.push(add)
    const { writeQuorum, ensembleSize } = this.quorum
    for (let i = 0; i < writeQuorum; i++) this.#send((id + i) % ensembleSize, add)
    return id
  }

  /** The metadata names the new nodes: from the proposed first entry on, they take the failed members' places. */
  onEnsembleChanged(replacements: readonly { readonly index: number; readonly bookieId: BookieId }[]): void {
    if (this.#state.kind === 'failed') return // W3
    assert(this.#state.kind === 'changing', 'no change was proposed')
    const { failed } = this.#state.change
    assert(
      failed.every(({ index }) => replacements.some(replacement => replacement.index === index)),
      'a change replaces every member it was proposed for'
    )
    this.#state = { kind: 'writing' }
    const owner = this.#owner()
    for (const { index, bookieId } of replacements) {
      const before = this.#members[index]
      assert(before !== undefined)
      before.failure ??= 'UNREACHABLE' // it may be alive: it is out all the same
      this.#members[index] = new WriterMember(owner, { index, bookieId })
    }
    this.#resend(new Set(replacements.map(({ index }) => index)))
    this.#proposeIfFailed() // of those that failed meanwhile
    this.#advance()
  }

  /** No change: the ledger was fenced, or there is no node to take the place. */
  onChangeRefused(failure: WriterFailure): void {
    this.#fail(failure)
  }

  #owner(): MemberOwner {
    return {
      onMemberAdded: member => this.#onAdded(member),
      onMemberFailed: member => this.#onFailed(member)
    }
  }

  #send(index: number, add: EntryAdd): void {
    const member = this.#members[index]
    assert(member !== undefined)
    if (member.failure === undefined && this.#state.kind !== 'failed') this.#sink.sendAdd(member, add)
  }

  #onAdded(member: WriterMember): void {
    assert(member.ackedThrough < this.#nextEntryId, 'a node confirmed what was never sent')
    if (this.#members[member.index] === member) this.#advance()
  }

  #advance(): void {
    if (this.#state.kind !== 'writing') return // W3, W4
    const { writeQuorum, ackQuorum, ensembleSize } = this.quorum
    const before = this.#lac
    if (ensembleSize === 1)
      this.#lac = Math.max(before, this.#ackedThrough(0)) // a replacement begins at nothing
    else {
      for (let next = before + 1; next < this.#nextEntryId; next++) {
        let copies = 0
        for (let i = 0; i < writeQuorum; i++) if (this.#ackedThrough((next + i) % ensembleSize) >= next) copies++
        if (copies < ackQuorum) break // W1, W2
        this.#lac = next
      }
    }
    if (this.#lac === before) return
    this.#release(this.#lac - before)
    this.#sink.onConfirmed(this.#lac as EntryId)
  }

  #ackedThrough(index: number): EntryId {
    return this.#members[index]?.ackedThrough ?? NO_ENTRY
  }

  #release(count: number): void {
    const end = this.#head + count
    for (; this.#head < end; this.#head++) {
      this.#pendingBytes -= this.#pending[this.#head]?.payload.length ?? 0
      this.#pending[this.#head] = undefined
    }
    if (this.#head === this.#pending.length) this.#pending = []
    else if (this.#head >= 4_096 && this.#head * 2 >= this.#pending.length) this.#pending.splice(0, this.#head)
    else return
    this.#head = 0
  }

  #onFailed(member: WriterMember): void {
    if (this.#members[member.index] !== member) return
    if (member.failure === 'FENCED') this.#fail('FENCED')
    else this.#proposeIfFailed()
  }

  #proposeIfFailed(): void {
    if (this.#state.kind !== 'writing') return
    const failed = this.#members.flatMap(({ index, bookieId, failure }) =>
      failure === undefined ? [] : [{ index, bookieId, failure }]
    )
    if (failed.length === 0) return
    const change = { firstEntryId: entryId(this.#lac + 1), failed }
    this.#state = { kind: 'changing', change }
    this.#sink.proposeChange(change)
  }

  #resend(indexes: ReadonlySet<number>): void {
    const { writeQuorum, ensembleSize } = this.quorum
    for (const add of this.#pending.slice(this.#head)) {
      assert(add !== undefined)
      for (let i = 0; i < writeQuorum; i++) {
        const index = (add.entryId + i) % ensembleSize
        if (indexes.has(index)) this.#send(index, add) // W5
      }
    }
  }

  #fail(failure: WriterFailure): void {
    if (this.#state.kind === 'failed') return
    this.#state = { kind: 'failed', failure }
    this.#pending = []
    this.#head = 0
    this.#pendingBytes = 0
    this.#sink.onFailed(failure, this.#lac as EntryId)
  }
}
