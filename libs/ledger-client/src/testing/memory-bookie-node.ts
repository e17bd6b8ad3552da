import { strict as assert } from 'node:assert'
import { NO_ENTRY, systemClock, type BookieId, type Clock, type EntryId, type LedgerId } from '@strata/base'
import { hasValidDigest } from '@strata/ledger-protocol'
import type {
  AddFailure,
  AddRequest,
  AddSink,
  BookieDirectory,
  BookieNode,
  DamagedPage,
  DamagedStretch,
  EntryRange,
  EntryRun,
  HeldLedger,
  Inventory,
  InventoryRequest,
  LacAnswer,
  LacRequest,
  ReadAnswer,
  RunFailure,
  RunRequest,
  StoredEntry
} from '../contract.ts'
import { addRunTo, readRunOf } from '../entry-run.ts'
import { LedgerError } from '../errors.ts'
import { LacWaiters } from '../lac-waiters.ts'

interface MemoryLedger {
  readonly entries: Map<EntryId, StoredEntry>
  lac: EntryId
  isFenced: boolean
  hasAuthority: boolean
}

interface Admitted {
  readonly request: AddRequest
  readonly sink: AddSink
  readonly failure: AddFailure | undefined
}

/**
 * A storage node that forgets everything with its process. By default everything admitted in a turn is synced at the end
 * of it; a test may hold syncs back, let adds fail, stop the node, and damage or lose what it holds.
 */
export class MemoryBookieNode implements BookieNode {
  readonly bookieId: BookieId
  readonly #ledgers = new Map<LedgerId, MemoryLedger>()
  readonly #waiters: LacWaiters
  #admitted: Admitted[] = []
  #afterSync: (() => void)[] = []
  #isSyncDue = false
  #isHeld = false
  #isStopped = false
  #readsHeld: (() => void)[] | undefined
  #failures: AddFailure[] = []
  /** ledger:entry of what was damaged when it was looked at last. */
  readonly #scrubbed = new Set<string>()
  /** Syncs that covered at least one add. */
  syncCount = 0
  readCount = 0

  constructor(bookieId: BookieId, clock: Clock = systemClock) {
    this.bookieId = bookieId
    this.#waiters = new LacWaiters(clock)
  }

  add(request: AddRequest, sink: AddSink): void {
    const failure = this.#isStopped ? 'UNREACHABLE' : (this.#failures.shift() ?? this.#refusal(request))
    this.#admitted.push({ request, sink, failure })
    this.#syncSoon()
  }

  async read(options: {
    ledgerId: LedgerId
    first: EntryId
    last: EntryId
    every?: number
    bytesMax: number
    entriesMax: number
    fence: boolean
  }): Promise<ReadAnswer> {
    this.#checkUp()
    this.readCount += 1
    if (this.#readsHeld !== undefined) await new Promise<void>(resolve => this.#readsHeld?.push(resolve))
    if (options.fence) await this.#fence(options.ledgerId)
    const ledger = this.#ledgers.get(options.ledgerId)
    const entries: StoredEntry[] = []
    let bytes = 0
    for (let id: number = options.first; id <= options.last; id += options.every ?? 1) {
      if (entries.length >= options.entriesMax || (bytes >= options.bytesMax && entries.length > 0)) break
      const entry = ledger?.entries.get(id as EntryId)
      if (entry === undefined) return { entries, end: (ledger?.hasAuthority ?? true) ? 'absent' : 'unknown' }
      entries.push(entry)
      bytes += entry.payload.length
    }
    return { entries, end: 'limit' }
  }

  readRun(request: RunRequest): Promise<EntryRun | undefined> {
    return readRunOf(this, request)
  }

  addRun(run: EntryRun): Promise<RunFailure | undefined> {
    return addRunTo(this, run)
  }

  async readLac({ ledgerId, fence, waitPast, timeoutMs = 0 }: LacRequest): Promise<LacAnswer> {
    this.#checkUp()
    if (fence) await this.#fence(ledgerId)
    else if (waitPast !== undefined) {
      const known = this.#ledgers.get(ledgerId)
      const mustWait = known?.isFenced !== true && (known?.lac ?? NO_ENTRY) <= waitPast
      if (mustWait) await this.#waiters.wait(ledgerId, { past: waitPast, timeoutMs })
      this.#checkUp()
    }
    const ledger = this.#ledgers.get(ledgerId)
    return { lac: ledger?.lac ?? NO_ENTRY, authority: ledger?.hasAuthority ?? true }
  }

  async writeLac({ ledgerId, lac }: { ledgerId: LedgerId; lac: EntryId }): Promise<void> {
    this.#checkUp()
    const ledger = this.#ledgers.get(ledgerId)
    if (ledger !== undefined) this.#raiseLac(ledgerId, ledger, lac)
  }

  async inventory({ ledgerId, first, last, verify }: InventoryRequest): Promise<Inventory> {
    this.#checkUp()
    const held: EntryRange[] = []
    for (const id of this.entryIds(ledgerId)) {
      const entry = this.#ledgers.get(ledgerId)?.entries.get(id)
      if (id < first || id > last || entry === undefined) continue
      const isSuspect = verify || this.#scrubbed.has(`${ledgerId}:${id}`)
      if (isSuspect && !hasValidDigest({ ledgerId, ...entry })) continue
      const open = held.at(-1)
      if (open?.last === id - 1) held[held.length - 1] = { first: open.first, last: id }
      else held.push({ first: id, last: id })
    }
    return { held, through: last }
  }

  async heldLedgers({ after, limit }: { after: number; limit: number }): Promise<HeldLedger[]> {
    this.#checkUp()
    return [...this.#ledgers]
      .filter(([ledgerId]) => ledgerId > after)
      .sort(([a], [b]) => a - b)
      .slice(0, limit)
      .map(([ledgerId, { lac, isFenced }]) => {
        return { ledgerId, lastEntryId: this.entryIds(ledgerId).at(-1) ?? NO_ENTRY, lac, isFenced }
      })
  }

  async damagedEntries({ ledgerId: from, entryId: fromEntry, limit }: DamagedPage): Promise<DamagedStretch[]> {
    this.#checkUp()
    const stretches: DamagedStretch[] = []
    for (const ledgerId of [...this.#ledgers.keys()].sort((a, b) => a - b)) {
      for (const id of this.entryIds(ledgerId)) {
        const entry = this.#ledgers.get(ledgerId)?.entries.get(id)
        const isBefore = ledgerId < from || (ledgerId === from && id < fromEntry)
        if (isBefore || entry === undefined || !this.#scrubbed.has(`${ledgerId}:${id}`)) continue
        if (!hasValidDigest({ ledgerId, ...entry })) stretches.push({ ledgerId, first: id, last: id })
      }
    }
    return stretches.slice(0, limit)
  }

  // ------------------------------------------------------------ what a test may do

  /** Looks at every entry, and from now on knows which are damaged. Returns how many. */
  scrub(): number {
    this.#scrubbed.clear()
    for (const [ledgerId, { entries }] of this.#ledgers) {
      for (const [id, entry] of entries) {
        if (!hasValidDigest({ ledgerId, ...entry })) this.#scrubbed.add(`${ledgerId}:${id}`)
      }
    }
    return this.#scrubbed.size
  }

  /** From now on nothing becomes durable, and nothing is answered, until `releaseSyncs`. */
  holdSyncs(): void {
    this.#isHeld = true
  }

  releaseSyncs(): void {
    this.#isHeld = false
    this.#sync()
  }

  /** One sync of everything admitted so far; goes on holding. */
  syncOnce(): void {
    this.#sync()
  }

  /** Reads are not answered until `releaseReads`. */
  holdReads(): void {
    this.#readsHeld ??= []
  }

  releaseReads(): void {
    const held = this.#readsHeld ?? []
    this.#readsHeld = undefined
    for (const answer of held) answer()
  }

  /** Each of the next adds fails with one of these. */
  failNext(...failures: AddFailure[]): void {
    this.#failures.push(...failures)
  }

  /** Unreachable until `start`: what was admitted and not synced is lost, as by a crash. */
  stop(): void {
    this.#isStopped = true
    const lost = this.#admitted
    this.#admitted = []
    for (const { request, sink } of lost) sink.onAddFailed(request.ledgerId, request.entryId, 'UNREACHABLE')
    this.#waiters.releaseAll()
  }

  start(): void {
    this.#isStopped = false
  }

  /** The disk was replaced: the node may have held what it has not. */
  loseDisk(): void {
    for (const ledger of this.#ledgers.values()) {
      ledger.entries.clear()
      ledger.hasAuthority = false
    }
  }

  /** Flips a bit of a stored payload. */
  corrupt(ledgerId: LedgerId, entryId: EntryId): void {
    const entry = this.#ledgers.get(ledgerId)?.entries.get(entryId)
    assert(entry !== undefined && entry.payload.length > 0)
    const payload = Buffer.from(entry.payload)
    payload[0] = (payload[0] ?? 0) ^ 1
    this.#ledgers.get(ledgerId)?.entries.set(entryId, { ...entry, payload })
  }

  /** Drops a ledger, as a node does on its deletion record. */
  drop(ledgerId: LedgerId): void {
    this.#ledgers.delete(ledgerId)
  }

  /** Ids of the durable entries of a ledger, ascending. */
  entryIds(ledgerId: LedgerId): EntryId[] {
    return [...(this.#ledgers.get(ledgerId)?.entries.keys() ?? [])].sort((a, b) => a - b)
  }

  // ------------------------------------------------------------ the node

  #refusal(request: AddRequest): AddFailure | undefined {
    return this.#ledger(request.ledgerId).isFenced && !request.recovery ? 'FENCED' : undefined
  }

  async #fence(ledgerId: LedgerId): Promise<void> {
    this.#ledger(ledgerId).isFenced = true // later adds are refused; those before are synced first
    this.#waiters.release(ledgerId)
    await new Promise<void>(resolve => {
      this.#afterSync.push(resolve)
      this.#syncSoon()
    })
    this.#checkUp()
  }

  #syncSoon(): void {
    if (this.#isSyncDue) return
    this.#isSyncDue = true
    queueMicrotask(() => {
      this.#isSyncDue = false
      if (!this.#isHeld) this.#sync()
    })
  }

  #sync(): void {
    const admitted = this.#admitted
    const waiting = this.#afterSync
    this.#admitted = []
    this.#afterSync = []
    if (admitted.length > 0) this.syncCount += 1
    for (const { request, failure } of admitted) if (failure === undefined) this.#store(request)
    admitted.forEach(({ request: { ledgerId, entryId }, sink, failure }, i) => {
      const next = admitted[i + 1]
      // One answer for a run of adds, as the contract has it.
      const isCovered = next?.sink === sink && next.request.ledgerId === ledgerId && next.failure === undefined
      if (failure !== undefined) sink.onAddFailed(ledgerId, entryId, failure)
      else if (!isCovered) sink.onAdded(ledgerId, entryId)
    })
    for (const resolve of waiting) resolve()
  }

  #store(request: AddRequest): void {
    const { entryId, payload, lac, lengthBytes, crc32c } = request
    const ledger = this.#ledger(request.ledgerId)
    const before = ledger.entries.get(entryId)
    assert(before === undefined || before.crc32c === crc32c, 'an entry id never carries other bytes')
    ledger.entries.set(entryId, { entryId, payload, lac, lengthBytes, crc32c })
    this.#raiseLac(request.ledgerId, ledger, lac)
  }

  #raiseLac(ledgerId: LedgerId, ledger: MemoryLedger, lac: EntryId): void {
    if (lac <= ledger.lac) return
    ledger.lac = lac
    this.#waiters.note(ledgerId, lac)
  }

  #ledger(id: LedgerId): MemoryLedger {
    let ledger = this.#ledgers.get(id)
    if (ledger === undefined) {
      ledger = { entries: new Map(), lac: NO_ENTRY, isFenced: false, hasAuthority: true }
      this.#ledgers.set(id, ledger)
    }
    return ledger
  }

  #checkUp(): void {
    if (this.#isStopped) throw LedgerError.create('UNAVAILABLE', { bookieId: this.bookieId })
  }
}

/** Nodes by their ids, all of them writable. */
export function directoryOf(nodes: readonly BookieNode[]): BookieDirectory {
  return {
    writable: () => nodes.map(({ bookieId }) => ({ bookieId })),
    node: id => nodes.find(node => node.bookieId === id),
    onChange: () => () => undefined
  }
}
