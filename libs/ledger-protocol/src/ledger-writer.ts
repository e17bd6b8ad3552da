import { strict as assert } from 'node:assert'
import { entryId, NO_ENTRY, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import { entryDigest, entryDigestOf } from './entry-digest.ts'
import { checkQuorum, everyWriteSetHas, type EntryAdd, type LedgerEnd, type QuorumConfig } from './quorum.ts'
import { observeMembers, slowMember, type SlowBudget } from './slow-members.ts'
import { TRIALS_AT_ONCE, WriterMember, type MemberFailure, type MemberOwner } from './writer-member.ts'

/** Why a writer ended. `NO_REPLACEMENT`: no ack quorum of live members was left, and nobody took the places in time. */
export type WriterFailure = 'FENCED' | 'NO_REPLACEMENT'

/** Some nodes of the ensemble must go: what the shell is to decide by compare-and-set on the ledger's metadata. */
export interface EnsembleChange {
  /** LAC + 1, and the LAC is frozen until the answer. */
  readonly firstEntryId: EntryId
  readonly failed: readonly { readonly index: number; readonly bookieId: BookieId; readonly failure: MemberFailure }[]
  /** How often it was tried before in vain. */
  readonly attempt: number
}

/** A node that takes a place of the ensemble. The node that had failed there may come back to it. */
export interface Replacement {
  readonly index: number
  readonly bookieId: BookieId
}

/** What the writer wants done. Called synchronously; may call the writer back; must not throw. */
export interface WriterSink {
  /** Hand the add to the member's node, whose answers go to `member`. Ascending per member. */
  sendAdd(member: WriterMember, add: EntryAdd): void
  /** Tell the member's node the LAC: a hint, with no answer. */
  sendLac(member: WriterMember, lac: EntryId): void
  /** Every entry up to `lac` is confirmed. Once per answer of a node, for many entries; `lac` only grows. */
  onConfirmed(lac: EntryId): void
  /** Answer with `onChangeDecided` or `onChangeRefused`, once it is certain what the metadata says. One at a time. */
  proposeChange(change: EnsembleChange): void
  /** The last call. Entries past `lac` are in doubt. */
  onFailed(failure: WriterFailure, lac: EntryId): void
}

/** Milliseconds, as `tick` tells them. */
export interface WriterTimes {
  /** Between attempts to replace a failed member: twice as long each time, from `Min` to `Max`. */
  readonly retryMsMin: number
  readonly retryMsMax: number
  /**
   * How long a writer waits without an ack quorum. Long enough for nodes to be restarted and found again (a process: 20 s,
   * its lease: 10 s more), and short of the time after which nobody believes in it: whoever published has long been
   * answered by its own time-out, and recovering the ledger and beginning another needs no fewer nodes.
   */
  readonly stalledMsMax: number
  /** A member that owes an answer for so long, which others gave, is replaced. */
  readonly slowMs: number
  /** One slow member a ledger in this time. */
  readonly slowPauseMs: number
}

export const WRITER_TIMES: WriterTimes = {
  retryMsMin: 500,
  retryMsMax: 30_000,
  stalledMsMax: 60_000,
  slowMs: 5_000,
  slowPauseMs: 60_000
}

export interface LedgerWriterOptions {
  readonly ledgerId: LedgerId
  readonly quorum: QuorumConfig
  readonly bookies: readonly BookieId[]
  readonly sink: WriterSink
  readonly times?: Partial<WriterTimes>
  /** One for all writers here. Without it no member is replaced for being slow. */
  readonly slowBudget?: SlowBudget
}

type State =
  | { readonly kind: 'writing' }
  /** Some write set has fewer than an ack quorum of members that live: the LAC stays. */
  | { readonly kind: 'stalled' }
  | { readonly kind: 'changing'; readonly change: EnsembleChange; readonly leaving: ReadonlySet<WriterMember> }
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly failure: WriterFailure }

/**
 * The writer's half of the ledger protocol. Pure: no clock, no socket, no promise. `tick` tells it the time.
 *
 * Invariants
 *   W1  The LAC never skips: entry n is confirmed only together with or after 0..n-1.
 *   W2  An entry is confirmed only by Qa distinct members of its own write set, each of which has it synced.
 *   W3  Once failed or finished, nothing is confirmed, proposed or sent.
 *   W4  While a change of the ensemble is undecided, or a write set lacks an ack quorum of live members, the LAC stays.
 *   W5  An entry id never carries other bytes: what is sent again is the same object.
 *   W6  A member that failed gets nothing more and counts for nothing, until another takes its place. Who takes a place
 *       (the same node included) begins with nothing: it gets everything past the LAC again.
 *   W7  A slow member goes on counting and getting adds until somebody has its place.
 *   W8  While a member is missing the writer proposes again, ever more seldom, and so it does where those who take a place
 *       fail one after the other; without an ack quorum, or while nothing is confirmed, it fails in the end.
 */
export class LedgerWriter {
  readonly ledgerId: LedgerId
  readonly quorum: QuorumConfig
  readonly #sink: WriterSink
  readonly #times: WriterTimes
  readonly #slowBudget: SlowBudget | undefined
  readonly #owner: MemberOwner
  readonly #members: WriterMember[]
  /** Unconfirmed adds: `#pending[#head]` is entry lac + 1. */
  #pending: (EntryAdd | undefined)[] = []
  #head = 0
  #pendingBytes = 0
  #lac: number = NO_ENTRY
  #nextEntryId = 0
  #lengthBytes = 0
  #state: State = { kind: 'writing' }
  /** Of proposals for members that are still missing. `atMs` is set by the next tick. */
  #retry: { readonly attempt: number; atMs: number | undefined } | undefined
  /** A member failed, and nothing was confirmed since. */
  #isTroubled = false
  #stalledSinceMs: number | undefined
  #slowAtMs: number | undefined
  #tickedAtMs: number | undefined
  /** What hints told. With nothing pending the last add told less than the LAC, which it was not itself part of yet. */
  #toldLac: number = NO_ENTRY
  #nextAtTick = -1

  constructor(options: LedgerWriterOptions) {
    checkQuorum(options.quorum)
    assert(options.bookies.length === options.quorum.ensembleSize)
    this.ledgerId = options.ledgerId
    this.quorum = options.quorum
    this.#sink = options.sink
    this.#times = { ...WRITER_TIMES, ...options.times }
    this.#slowBudget = options.slowBudget
    this.#owner = {
      onMemberAdded: member => this.#onAdded(member),
      onMemberFailed: member => this.#onFailed(member)
    }
    this.#members = options.bookies.map((bookieId, index) => {
      return new WriterMember(this.#owner, { index, bookieId, firstEntryId: entryId(0) })
    })
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

  /** Everything is confirmed and nothing undecided: the ledger may be closed at the LAC. */
  get canFinish(): boolean {
    return !this.hasPending && (this.#state.kind === 'writing' || this.#state.kind === 'stalled')
  }

  /** Nothing will happen by itself: no ticks are needed before the next append. */
  get isQuiet(): boolean {
    if (this.#state.kind === 'failed' || this.#state.kind === 'finished') return true
    return this.#state.kind === 'writing' && !this.hasPending && !this.#isMissing && this.#lac <= this.#toldLac
  }

  /** Call only while there is no `failure`. Takes ownership of `payload`; its CRC-32C, where it is known, saves a pass over it. */
  append(payload: Buffer, payloadCrc?: number): EntryId {
    assert(this.#state.kind !== 'failed' && this.#state.kind !== 'finished', 'append to a writer that ended')
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

  /** Lets time pass: looks for slow members, proposes anew, gives up, tells the LAC after a pause. Any period will do. */
  tick(nowMs: number): void {
    const sinceLastMs = nowMs - (this.#tickedAtMs ?? nowMs)
    this.#tickedAtMs = nowMs
    if (this.#state.kind === 'writing') this.#replaceSlow(nowMs, sinceLastMs)
    // Who takes a place may fail at once, again and again: only what is confirmed ends the waiting.
    const isStuck = this.#state.kind === 'writing' && this.#isTroubled && this.hasPending
    if (this.#state.kind === 'stalled' || isStuck) this.#giveUpInTime(nowMs)
    this.#retryInTime(nowMs)
    this.#tellLac()
  }

  /** Nodes came or went: a missing member may be replaced now. */
  onNodesChanged(): void {
    if (this.#isMissing) this.#propose()
  }

  /**
   * What the metadata says now: from the proposed first entry on, these have the places of members that were proposed.
   * Not every one need have found somebody.
   */
  onChangeDecided(replacements: readonly Replacement[]): void {
    if (this.#state.kind === 'failed') return // W3
    assert(this.#state.kind === 'changing', 'no change was proposed')
    const { change, leaving } = this.#state
    for (const { index, bookieId } of replacements) {
      const before = this.#members[index]
      assert(before !== undefined && leaving.has(before), 'only who was proposed is replaced')
      before.failure ??= 'SLOW' // it may be alive: it is out all the same
      const { firstEntryId } = change
      this.#members[index] = new WriterMember(this.#owner, { index, bookieId, firstEntryId, trial: before.nextTrial }) // W6
    }
    this.#resend(new Set(replacements.map(({ index }) => index))) // answers in the course of it change nothing yet
    if (this.failure !== undefined) return
    const attempt = replacements.length > 0 ? 0 : change.attempt + 1
    this.#retry = this.#isMissing ? { attempt: Math.max(attempt, this.#vainAttempts), atMs: undefined } : undefined
    this.#state = { kind: 'stalled' }
    if (this.#members.some(member => member.failure !== undefined && !member.wasInVain && !leaving.has(member))) {
      this.#propose() // of those that failed meanwhile
    } else this.#settle()
  }

  /** No change, ever: the ledger was fenced. */
  onChangeRefused(failure: WriterFailure): void {
    this.#fail(failure)
  }

  /** The end that the ledger is to be closed at; nothing is appended or proposed any more. Only while `canFinish`. */
  finish(): LedgerEnd {
    assert(this.canFinish)
    this.#state = { kind: 'finished' }
    return { lastEntryId: this.lac, lengthBytes: this.#lengthBytes }
  }

  get #isMissing(): boolean {
    return this.#members.some(member => member.failure !== undefined)
  }

  #send(index: number, add: EntryAdd): void {
    const member = this.#members[index]
    assert(member !== undefined)
    if (member.failure !== undefined || this.#state.kind === 'failed') return // W3, W6
    this.#sink.sendAdd(member, add)
  }

  #onAdded(member: WriterMember): void {
    assert(member.ackedThrough < this.#nextEntryId, 'a node confirmed what was never sent')
    if (this.#members[member.index] === member) this.#advance()
  }

  #advance(): void {
    if (this.#state.kind !== 'writing') return // W3, W4
    const before = this.#lac
    const { ensembleSize, writeQuorum } = this.quorum
    if (ensembleSize === 1)
      this.#lac = Math.max(before, this.#ackedThrough(0)) // a replacement begins at nothing
    else if (ensembleSize === writeQuorum) this.#lac = Math.max(before, this.#quorumWatermark())
    else while (this.#lac + 1 < this.#nextEntryId && this.#hasCopies(this.#lac + 1)) this.#lac += 1 // W1
    if (this.#lac === before) return
    this.#endTrouble()
    this.#release(this.#lac - before)
    this.#sink.onConfirmed(this.#lac as EntryId)
  }

  /** Everybody gets everything: the highest entry that Qa members have, with all before it. */
  #quorumWatermark(): number {
    const { ensembleSize, ackQuorum } = this.quorum
    let best: number = NO_ENTRY
    for (let i = 0; i < ensembleSize; i++) {
      const through = this.#ackedThrough(i)
      if (through <= best) continue
      let copies = 0
      for (let j = 0; j < ensembleSize; j++) if (this.#ackedThrough(j) >= through) copies += 1
      if (copies >= ackQuorum) best = through // W2
    }
    return best
  }

  #hasCopies(id: number): boolean {
    const { writeQuorum, ackQuorum, ensembleSize } = this.quorum
    let copies = 0
    for (let i = 0; i < writeQuorum; i++) if (this.#ackedThrough((id + i) % ensembleSize) >= id) copies += 1
    return copies >= ackQuorum // W2
  }

  #ackedThrough(index: number): EntryId {
    const member = this.#members[index]
    return member?.failure === undefined ? (member?.ackedThrough ?? NO_ENTRY) : NO_ENTRY // W6
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
    else if (member.wasInVain) this.#waitForAnother()
    else this.#propose()
  }

  /** W8: those who took the place failed one after the other, so the next one is not sought at once. */
  #waitForAnother(): void {
    if (this.#state.kind !== 'writing' && this.#state.kind !== 'stalled') return // a decision is due, and sees it
    this.#isTroubled = true
    this.#retry ??= { attempt: this.#vainAttempts, atMs: undefined }
    this.#state = { kind: 'stalled' }
    this.#settle()
  }

  get #vainAttempts(): number {
    return Math.max(0, ...this.#members.map(member => (member.wasInVain ? member.nextTrial - TRIALS_AT_ONCE : 0)))
  }

  /** Proposes to replace everyone who failed, and `slow`. */
  #propose(slow?: WriterMember): void {
    if (this.#state.kind !== 'writing' && this.#state.kind !== 'stalled') return
    const leaving = this.#members.filter(member => member.failure !== undefined || member === slow)
    const failed = leaving.map(({ index, bookieId, failure = 'SLOW' }) => ({ index, bookieId, failure }))
    const change = { firstEntryId: entryId(this.#lac + 1), failed, attempt: this.#retry?.attempt ?? 0 }
    this.#state = { kind: 'changing', change, leaving: new Set(leaving) }
    this.#isTroubled ||= this.#isMissing
    this.#sink.proposeChange(change)
  }

  /** After a decision: goes on if every write set still has an ack quorum of members that live. */
  #settle(): void {
    const isLive = (index: number): boolean => this.#members[index]?.failure === undefined
    if (everyWriteSetHas(this.quorum.ackQuorum, this.quorum, isLive)) {
      this.#state = { kind: 'writing' }
      if (!this.hasPending) this.#endTrouble()
      this.#advance()
    } else if (this.quorum.ensembleSize === 1) {
      this.#fail('NO_REPLACEMENT') // nobody is left to wait with: its owner begins anew once a node takes a ledger
    }
  }

  #endTrouble(): void {
    this.#isTroubled = false
    this.#stalledSinceMs = undefined
  }

  #giveUpInTime(nowMs: number): void {
    this.#stalledSinceMs ??= nowMs
    if (nowMs - this.#stalledSinceMs >= this.#times.stalledMsMax) this.#fail('NO_REPLACEMENT') // W8
  }

  #retryInTime(nowMs: number): void {
    if (this.#retry === undefined) return
    const { retryMsMin, retryMsMax } = this.#times
    this.#retry.atMs ??= nowMs + Math.min(retryMsMax, retryMsMin * 2 ** Math.max(0, this.#retry.attempt - 1))
    if (nowMs >= this.#retry.atMs) this.#propose()
  }

  #replaceSlow(nowMs: number, sinceLastMs: number): void {
    if (this.#slowBudget === undefined || this.quorum.writeQuorum === 1) return
    observeMembers(this.#members, { quorum: this.quorum, nextEntryId: this.nextEntryId, sinceLastMs })
    if (nowMs - (this.#slowAtMs ?? -Infinity) < this.#times.slowPauseMs || this.#isMissing) return
    const slow = slowMember(this.#members, { quorum: this.quorum, slowMs: this.#times.slowMs })
    if (slow === undefined || !this.#slowBudget.take(nowMs)) return
    this.#slowAtMs = nowMs
    this.#propose(slow) // W7
  }

  #tellLac(): void {
    const isPaused = this.#nextAtTick === this.#nextEntryId
    this.#nextAtTick = this.#nextEntryId
    if (!isPaused || this.#lac <= this.#toldLac || this.#state.kind === 'failed' || this.#state.kind === 'finished')
      return
    this.#toldLac = this.#lac
    for (const member of this.#members) if (member.failure === undefined) this.#sink.sendLac(member, this.lac)
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
    if (this.#state.kind === 'failed' || this.#state.kind === 'finished') return
    this.#state = { kind: 'failed', failure }
    this.#retry = undefined
    this.#pending = []
    this.#head = 0
    this.#pendingBytes = 0
    this.#sink.onFailed(failure, this.#lac as EntryId)
  }
}
