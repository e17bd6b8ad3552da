import { strict as assert } from 'node:assert'
import { entryId, NO_ENTRY, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import { hasValidDigest } from './entry-digest.ts'
import {
  blockingQuorum,
  checkQuorum,
  membersOf,
  writeSet,
  type Ensemble,
  type EntryAdd,
  type LedgerEnd,
  type QuorumConfig,
  type StoredEntry
} from './quorum.ts'

/** Whom the recovery could not do without, and why. */
export interface Blocker {
  readonly bookieId: BookieId
  readonly entryId: EntryId | undefined
  readonly reason: 'no answer' | 'unknown' | 'not written' | 'confirmed entry absent'
}

/** A fencing read's answer: consecutive entries, and what the node says of the one behind them. */
export interface RecoveryRead {
  readonly entries: readonly StoredEntry[]
  readonly end: 'limit' | 'absent' | 'unknown'
}

/** What the recovery wants done. Each order has exactly one answer, later or at once. Must not throw. */
export interface RecoverySink {
  /** Answer with `onFenced` or `onUnreachable`. */
  fence(bookie: BookieId): void
  /** A fencing read of consecutive entries. Answer with `onRead` or `onUnreachable`. At most one a node at a time. */
  read(bookie: BookieId, firstEntryId: EntryId): void
  /** Answer with `onWrittenBack` or `onNotWritten`. */
  writeBack(bookie: BookieId, add: EntryAdd): void
  /** The ledger ends here: set CLOSED by compare-and-set. The last call, as is `onBlocked`. */
  onEnd(end: LedgerEnd): void
  /** Nothing may be concluded now; to be tried again from the start. */
  onBlocked(blockers: readonly Blocker[]): void
}

/** What one member of an entry's write set said of it. */
type Standing = 'found' | 'absent' | 'unknown' | 'writing' | 'written' | 'not written'

interface Slot {
  readonly id: EntryId
  readonly standings: Map<BookieId, Standing>
  entry: StoredEntry | undefined
}

/** Entries found and not yet on Qa nodes, at most: bounds what is held in memory. */
const UNSETTLED_MAX = 1_000

/**
 * The recoverer's half of the ledger protocol: fence, learn the LAC, read forward, write back, end. Pure.
 *
 * Invariants
 *   R1  Nothing is read before no write set of the last ensemble has an ack quorum of nodes left unfenced.
 *   R2  The ledger ends before an entry only if Qw - Qa + 1 members of its write set, all fenced, say with authority
 *       that they do not have it. Silence, errors and 'unknown' never count as no.
 *   R3  The ledger ends behind an entry only when Qa members have it synced, byte for byte as its writer made it.
 *   R4  An entry at or before a LAC is confirmed: its absence blocks, it never ends the ledger.
 */
export class LedgerRecovery {
  readonly #ledger: { ledgerId: LedgerId; quorum: QuorumConfig; ensembles: readonly Ensemble[] }
  readonly #last: Ensemble
  readonly #sink: RecoverySink
  readonly #fencing = new Map<BookieId, 'asked' | 'fenced'>()
  readonly #reading = new Set<BookieId>()
  readonly #unreachable = new Set<BookieId>()
  /** Found but not settled, and the next one. Ascending. */
  readonly #slots = new Map<EntryId, Slot>()
  #phase: 'fencing' | 'reading' | 'done' = 'fencing'
  #confirmed: EntryId
  #next = entryId(0)
  #lengthBytes = 0
  #isEvaluating = false
  #mustEvaluate = false

  constructor(options: {
    ledgerId: LedgerId
    quorum: QuorumConfig
    ensembles: readonly Ensemble[]
    sink: RecoverySink
  }) {
    checkQuorum(options.quorum)
    const last = options.ensembles.at(-1)
    assert(last !== undefined)
    this.#ledger = options
    this.#last = last
    this.#sink = options.sink
    this.#confirmed = entryId(last.firstEntryId - 1) // an ensemble begins at the LAC + 1 of its writer
  }

  start(): void {
    for (const bookie of this.#last.bookies) this.#fencing.set(bookie, 'asked')
    for (const bookie of this.#last.bookies) this.#sink.fence(bookie)
  }

  /** The fence is durable on the node, and no entry there carries a higher LAC than `lac`. */
  onFenced(bookie: BookieId, lac: EntryId): void {
    this.#fencing.set(bookie, 'fenced')
    if (this.#phase !== 'fencing') return
    if (lac > this.#confirmed) this.#confirmed = lac
    this.#checkFences()
  }

  onRead(bookie: BookieId, firstEntryId: EntryId, answer: RecoveryRead): void {
    this.#reading.delete(bookie)
    if (this.#phase === 'done') return
    let next: number = firstEntryId
    let isDamaged = false
    for (const entry of answer.entries) {
      isDamaged = entry.entryId !== next || !hasValidDigest({ ledgerId: this.#ledger.ledgerId, ...entry })
      if (isDamaged) break
      this.#found(bookie, entry)
      next += 1
    }
    if (isDamaged) this.#stand(bookie, entryId(next), 'unknown')
    else if (answer.end !== 'limit') this.#stand(bookie, entryId(next), answer.end)
    this.#evaluate()
  }

  onWrittenBack(bookie: BookieId, id: EntryId): void {
    this.#stand(bookie, id, 'written')
    this.#evaluate()
  }

  onNotWritten(bookie: BookieId, id: EntryId): void {
    this.#stand(bookie, id, 'not written')
    this.#evaluate()
  }

  /** A fence or a read went unanswered: nothing that the node might hold is known. It is not asked again. */
  onUnreachable(bookie: BookieId): void {
    this.#reading.delete(bookie)
    this.#unreachable.add(bookie)
    if (this.#phase === 'fencing') this.#checkFences()
    else this.#evaluate()
  }

  #checkFences(): void {
    const { quorum } = this.#ledger
    const isFenced = (index: number): boolean => this.#fencing.get(this.#bookieAt(index)) === 'fenced'
    const isSafe = this.#last.bookies.every((_, start) => {
      const fenced = writeSet(entryId(start), quorum).filter(isFenced)
      return fenced.length >= blockingQuorum(quorum)
    })
    if (isSafe) this.#startReading()
    else if (
      this.#last.bookies.every(bookie => this.#unreachable.has(bookie) || this.#fencing.get(bookie) === 'fenced')
    ) {
      this.#block([...this.#unreachable].map(bookieId => ({ bookieId, entryId: undefined, reason: 'no answer' })))
    }
  }

  #bookieAt(index: number): BookieId {
    const bookie = this.#last.bookies[index]
    assert(bookie !== undefined)
    return bookie
  }

  #startReading(): void {
    this.#phase = 'reading'
    // The last confirmed entry is read as well: it carries the length of the ledger up to it.
    this.#next = this.#confirmed === NO_ENTRY ? entryId(0) : this.#confirmed
    this.#evaluate()
  }

  #found(bookie: BookieId, entry: StoredEntry): void {
    if (entry.entryId < this.#next && !this.#slots.has(entry.entryId)) return // settled before
    const slot = this.#slot(entry.entryId)
    slot.entry ??= entry
    const isSame = slot.entry.crc32c === entry.crc32c && slot.entry.lengthBytes === entry.lengthBytes
    slot.standings.set(bookie, isSame ? 'found' : 'unknown')
  }

  #stand(bookie: BookieId, id: EntryId, standing: Standing): void {
    if (id < this.#next && !this.#slots.has(id)) return
    this.#slot(id).standings.set(bookie, standing)
  }

  #slot(id: EntryId): Slot {
    let slot = this.#slots.get(id)
    if (slot === undefined) {
      slot = { id, standings: new Map(), entry: undefined }
      this.#slots.set(id, slot)
    }
    return slot
  }

  /** Level-triggered: looks at everything that is open, and orders whatever may bring it on. */
  #evaluate(): void {
    this.#mustEvaluate = true
    if (this.#isEvaluating) return // answered within an order: the loop below sees it
    this.#isEvaluating = true
    while (this.#mustEvaluate && this.#phase === 'reading') {
      this.#mustEvaluate = false
      this.#pass()
    }
    this.#isEvaluating = false
  }

  #pass(): void {
    for (let slot = this.#slot(this.#next); slot.entry !== undefined; slot = this.#slot(this.#next)) {
      this.#lengthBytes = slot.entry.lengthBytes
      this.#next = entryId(this.#next + 1)
    }
    for (const slot of [...this.#slots.values()]) {
      if (slot.id < this.#next && this.#phase === 'reading') this.#settle(slot)
    }
    if (this.#phase === 'reading' && this.#slots.size <= UNSETTLED_MAX) this.#decide(this.#slot(this.#next))
  }

  /** R3: brings a found entry onto Qa nodes. */
  #settle(slot: Slot): void {
    const { entry } = slot
    assert(entry !== undefined)
    const { ackQuorum } = this.#ledger.quorum
    const members = this.#membersOf(slot.id)
    const copies = members.filter(bookie => ['found', 'written'].includes(slot.standings.get(bookie) ?? ''))
    if (slot.id <= this.#confirmed || copies.length >= ackQuorum) {
      this.#slots.delete(slot.id)
      return
    }
    const asked = members.filter(bookie => this.#ask(bookie, slot))
    if (copies.length + asked.length >= ackQuorum) return
    const add = { ...entry, ledgerId: this.#ledger.ledgerId, recovery: true }
    for (const bookie of members) {
      const standing = slot.standings.get(bookie)
      if (asked.includes(bookie) || (standing !== undefined && standing !== 'absent' && standing !== 'unknown'))
        continue
      slot.standings.set(bookie, 'writing')
      this.#sink.writeBack(bookie, add)
    }
    const failed = members.filter(bookie => slot.standings.get(bookie) === 'not written')
    if (members.length - failed.length < ackQuorum) {
      this.#block(failed.map(bookieId => ({ bookieId, entryId: slot.id, reason: 'not written' })))
    }
  }

  /** R2: is the next entry nowhere? */
  #decide(slot: Slot): void {
    const { quorum } = this.#ledger
    const members = this.#membersOf(slot.id)
    const asked = members.filter(bookie => this.#ask(bookie, slot))
    const absent = members.filter(bookie => slot.standings.get(bookie) === 'absent')
    const isConfirmed = slot.id <= this.#confirmed // R4
    if (slot.entry === undefined && absent.length >= blockingQuorum(quorum) && !isConfirmed) {
      if (this.#slots.size === 1) this.#finish(slot.id)
      return
    }
    if (asked.length > 0 || slot.entry !== undefined) return
    this.#block(members.map(bookieId => ({ bookieId, entryId: slot.id, reason: this.#reasonOf(bookieId, slot) })))
  }

  /** Is an answer of the node on this entry still to come? Asks if it was not asked. */
  #ask(bookie: BookieId, slot: Slot): boolean {
    if (slot.standings.has(bookie) || this.#unreachable.has(bookie)) return false
    if (!this.#reading.has(bookie)) {
      this.#reading.add(bookie)
      this.#sink.read(bookie, slot.id)
    }
    return true
  }

  #reasonOf(bookie: BookieId, slot: Slot): Blocker['reason'] {
    if (this.#unreachable.has(bookie)) return 'no answer'
    return slot.standings.get(bookie) === 'absent' ? 'confirmed entry absent' : 'unknown'
  }

  #membersOf(id: EntryId): BookieId[] {
    return membersOf(id, this.#ledger.quorum, this.#ledger.ensembles)
  }

  #finish(firstAbsent: EntryId): void {
    this.#phase = 'done'
    this.#sink.onEnd({ lastEntryId: entryId(firstAbsent - 1), lengthBytes: this.#lengthBytes })
  }

  #block(blockers: readonly Blocker[]): void {
    this.#phase = 'done'
    this.#sink.onBlocked(blockers)
  }
}
