import { strict as assert } from 'node:assert'
import { entryId, NO_ENTRY, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import { hasValidDigest } from './entry-digest.ts'
import {
  blockingQuorum,
  checkQuorum,
  everyWriteSetHas,
  membersOf,
  withEnsemble,
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
  /**
   * A node that may take a place of the last ensemble, at once, or undefined: there is none. It is the recoverer's own until
   * the ledger is closed with the ensembles that name it.
   */
  replacementFor(
    index: number,
    options: { ensemble: readonly BookieId[]; failed: ReadonlySet<BookieId> }
  ): BookieId | undefined
  /** The ledger ends here: set CLOSED, with these ensembles, by one compare-and-set. The last call, as is `onBlocked`. */
  onEnd(end: LedgerEnd, ensembles: readonly Ensemble[]): void
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

/** Entries found and not yet on Qa nodes, about at most: bounds what is held in memory. */
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
 *   R5  Who is asked are the writer's own nodes. A node that the recoverer brings in has a place only from the first entry
 *       on that is not settled, and every entry from there on is counted anew, with the new places.
 */
export class LedgerRecovery {
  readonly #ledger: { ledgerId: LedgerId; quorum: QuorumConfig; ensembles: readonly Ensemble[] }
  readonly #last: Ensemble
  readonly #sink: RecoverySink
  readonly #fencing = new Map<BookieId, 'asked' | 'fenced'>()
  readonly #reading = new Set<BookieId>()
  readonly #unreachable = new Set<BookieId>()
  /** Where entries go from here on: those of the writer, and the recoverer's own. */
  #ensembles: readonly Ensemble[]
  readonly #unwritable = new Set<BookieId>()
  /** Where a node had nothing to give: it is not asked entry by entry what it lacks, but written to. */
  readonly #emptyFrom = new Map<BookieId, EntryId>()
  /** Found but not settled, and the next one. Ascending. */
  readonly #slots = new Map<EntryId, Slot>()
  /** Every entry up to here is on Qa nodes of its ensemble. */
  #settledThrough: EntryId
  #phase: 'fencing' | 'reading' | 'done' = 'fencing'
  #confirmed: EntryId
  #next = entryId(0)
  #lengthBytes = 0
  #isEvaluating = false
  #due: 'nothing' | 'progress' | 'everything' = 'nothing'

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
    this.#ensembles = options.ensembles
    this.#sink = options.sink
    this.#confirmed = entryId(last.firstEntryId - 1) // an ensemble begins at the LAC + 1 of its writer
    this.#settledThrough = this.#confirmed
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
      isDamaged = entry.entryId !== next || !hasValidDigest(addOf(entry, this.#ledger.ledgerId))
      if (isDamaged) break
      this.#found(bookie, entry)
      next += 1
    }
    if (isDamaged) this.#stand(bookie, entryId(next), 'unknown')
    else if (answer.end !== 'limit') {
      this.#stand(bookie, entryId(next), answer.end)
      this.#emptyFrom.set(bookie, entryId(next))
    }
    this.#evaluate()
  }

  onWrittenBack(bookie: BookieId, id: EntryId): void {
    this.#stand(bookie, id, 'written')
    this.#evaluate('progress')
  }

  /** Several at once where a node fails: each answer has everything that is open looked at. */
  onNotWritten(bookie: BookieId, ...ids: EntryId[]): void {
    for (const id of ids) this.#stand(bookie, id, 'not written')
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
    if (everyWriteSetHas(blockingQuorum(quorum), quorum, isFenced))
      this.#startReading() // R1
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
    this.#settledThrough = this.#confirmed
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

  /** Level-triggered: looks at everything that is open, or at what a finished write can bring on, and orders what is next. */
  #evaluate(what: 'progress' | 'everything' = 'everything'): void {
    if (this.#due !== 'everything') this.#due = what
    if (this.#isEvaluating) return // answered within an order: the loop below sees it
    this.#isEvaluating = true
    while (this.#due !== 'nothing' && this.#phase === 'reading') {
      const isWhole = this.#due === 'everything'
      this.#due = 'nothing'
      if (isWhole) this.#takeIn()
      this.#release()
      if (isWhole) this.#settleAll()
      this.#release()
      if (this.#isReading && this.#slots.size <= UNSETTLED_MAX) this.#decide(this.#slot(this.#next))
    }
    this.#isEvaluating = false
  }

  get #isReading(): boolean {
    return this.#phase === 'reading'
  }

  /** What was found behind all that was found before. */
  #takeIn(): void {
    for (let slot = this.#slot(this.#next); slot.entry !== undefined; slot = this.#slot(this.#next)) {
      this.#lengthBytes = slot.entry.lengthBytes
      this.#next = entryId(this.#next + 1)
    }
  }

  #settleAll(): void {
    for (const slot of [...this.#slots.values()]) {
      if (slot.id < this.#next && this.#isReading && !this.#isSettled(slot)) this.#settle(slot)
    }
  }

  /** Forgets what is settled, in order: R5 may need what stands behind an entry that is not. */
  #release(): void {
    if (this.#next > this.#confirmed) this.#slots.delete(this.#confirmed) // read for its length alone
    for (let id = this.#settledThrough + 1; id < this.#next; id++) {
      const slot = this.#slots.get(entryId(id))
      if (slot === undefined || !this.#isSettled(slot)) return
      this.#slots.delete(slot.id)
      this.#settledThrough = slot.id
    }
  }

  #isSettled(slot: Slot): boolean {
    if (slot.id <= this.#confirmed) return true
    return this.#copiesOf(slot, this.#holdersOf(slot.id)).length >= this.#ledger.quorum.ackQuorum
  }

  #copiesOf(slot: Slot, holders: readonly BookieId[]): BookieId[] {
    return holders.filter(bookie => ['found', 'written'].includes(slot.standings.get(bookie) ?? ''))
  }

  /** R3: brings a found entry onto Qa nodes. */
  #settle(slot: Slot): void {
    const { entry } = slot
    assert(entry !== undefined)
    const { ackQuorum } = this.#ledger.quorum
    const holders = this.#holdersOf(slot.id)
    const members = this.#membersOf(slot.id)
    const add = addOf(entry, this.#ledger.ledgerId)
    const write = (bookie: BookieId): void => {
      slot.standings.set(bookie, 'writing')
      this.#sink.writeBack(bookie, add)
    }
    // At once to whoever lacks it: a silent node, which may have it, holds nobody up.
    const lacks = (bookie: BookieId): boolean => {
      const isEmptyHere = !members.includes(bookie) || (this.#emptyFrom.get(bookie) ?? Infinity) <= slot.id
      const standing = slot.standings.get(bookie) ?? (isEmptyHere ? 'absent' : undefined)
      return standing === 'absent' || standing === 'unknown'
    }
    for (const bookie of holders) if (lacks(bookie)) write(bookie)
    const asked = holders.filter(bookie => this.#ask(bookie, slot))
    const open = holders.filter(bookie => asked.includes(bookie) || slot.standings.get(bookie) === 'writing')
    if (this.#copiesOf(slot, holders).length + open.length >= ackQuorum) return
    for (const bookie of holders) if (!asked.includes(bookie) && !slot.standings.has(bookie)) write(bookie)
    const failed = holders.filter(bookie => slot.standings.get(bookie) === 'not written')
    if (holders.length - failed.length >= ackQuorum || this.#replace(failed)) return
    this.#block(failed.map(bookieId => ({ bookieId, entryId: slot.id, reason: 'not written' })))
  }

  /** R5: others take the places of these, from the first entry on that is not settled. Is any of them replaced? */
  #replace(failed: readonly BookieId[]): boolean {
    for (const bookie of failed) this.#unwritable.add(bookie)
    const ensemble = [...(this.#ensembles.at(-1)?.bookies ?? [])]
    let isChanged = false
    for (const [index, bookie] of ensemble.entries()) {
      if (!failed.includes(bookie)) continue
      const chosen = this.#sink.replacementFor(index, { ensemble, failed: this.#unwritable })
      if (chosen === undefined) continue
      assert(!ensemble.includes(chosen) && !this.#unwritable.has(chosen), 'a replacement is another node')
      ensemble[index] = chosen
      isChanged = true
    }
    if (!isChanged) return false
    const firstEntryId = entryId(this.#settledThrough + 1)
    this.#ensembles = withEnsemble(this.#ensembles, { firstEntryId, bookies: ensemble })
    this.#due = 'everything'
    return true
  }

  /** R2: is the next entry nowhere? */
  #decide(slot: Slot): void {
    const { quorum } = this.#ledger
    const members = this.#membersOf(slot.id)
    const asked = members.filter(bookie => this.#ask(bookie, slot))
    const absent = members.filter(bookie => slot.standings.get(bookie) === 'absent')
    const isConfirmed = slot.id <= this.#confirmed // R4
    if (slot.entry === undefined && absent.length >= blockingQuorum(quorum) && !isConfirmed) {
      if (this.#settledThrough + 1 === slot.id) this.#finish(slot.id)
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

  /** Whom the writer sent the entry to, if it did. */
  #membersOf(id: EntryId): BookieId[] {
    return membersOf(id, this.#ledger.quorum, this.#ledger.ensembles)
  }

  /** Who is to have it when the ledger is closed. */
  #holdersOf(id: EntryId): BookieId[] {
    return membersOf(id, this.#ledger.quorum, this.#ensembles)
  }

  #finish(firstAbsent: EntryId): void {
    this.#phase = 'done'
    const end = { lastEntryId: entryId(firstAbsent - 1), lengthBytes: this.#lengthBytes }
    this.#sink.onEnd(end, this.#ensembles)
  }

  #block(blockers: readonly Blocker[]): void {
    this.#phase = 'done'
    this.#sink.onBlocked(blockers)
  }
}

/** Field by field: a spread is a call into the runtime, and there are as many entries as a writer had on their way. */
function addOf({ entryId: id, payload, lac, lengthBytes, crc32c }: StoredEntry, ledgerId: LedgerId): EntryAdd {
  return { ledgerId, entryId: id, lac, lengthBytes, crc32c, payload, recovery: true }
}
