import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { entryId, ledgerId, NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import type {
  AppendListener,
  CommitLedger,
  LedgerAppender,
  LedgerClient,
  LedgerDescription,
  LedgerEnd,
  LedgerEntry,
  LedgerReader
} from '@strata/ledger-client'

interface StoredLedger {
  readonly id: LedgerId
  readonly owner: string
  readonly entries: Buffer[]
  isFenced: boolean
  isClosed: boolean
}

const IDS_PER_BLOCK = 4
const QUORUM = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }

/** Storage nodes and ledger metadata in memory, shared by the clients of several owners; faults on demand. */
export class MemoryLedgers {
  readonly stored = new Map<number, StoredLedger>()
  /** Every call that reaches the storage fails while set. */
  isDown = false
  /** Adds are stored, but nobody hears of it, until released. */
  isHolding = false
  /** The next adds fail: after this many more were stored. undefined: none fails. */
  failAfter: number | undefined
  readonly held: (() => void)[] = []
  reads = 0
  #nextBlock = 0

  client(): MemoryLedgerClient {
    return new MemoryLedgerClient(this)
  }

  release(): void {
    this.isHolding = false
    for (const run of this.held.splice(0)) run()
  }

  /** Ids come in blocks, one client's above the other's or below, and above `floor`. */
  takeIds(floor: number): number {
    while (this.#nextBlock * IDS_PER_BLOCK < floor) this.#nextBlock += 1
    return this.#nextBlock++ * IDS_PER_BLOCK
  }

  create(id: number, owner: string): StoredLedger {
    this.check()
    const ledger = { id: ledgerId(id), owner, entries: [], isFenced: false, isClosed: false }
    this.stored.set(ledger.id, ledger)
    return ledger
  }

  get(id: number): StoredLedger {
    this.check()
    const ledger = this.stored.get(id)
    if (ledger === undefined) throw new Error(`NO_SUCH_LEDGER ${id}`)
    return ledger
  }

  check(): void {
    if (this.isDown) throw new Error('storage is down')
  }
}

export class MemoryLedgerClient implements LedgerClient {
  readonly #ledgers: MemoryLedgers
  #isKilled = false
  #nextId = 0
  #endId = 0
  readonly #appenders: MemoryAppender[] = []

  constructor(ledgers: MemoryLedgers) {
    this.#ledgers = ledgers
  }

  get isKilled(): boolean {
    return this.#isKilled
  }

  /** The process is gone: `keep` says of each open ledger how many of its adds under way still reach the disk. */
  kill(keep: (pending: number) => number): void {
    this.#isKilled = true
    for (const appender of this.#appenders) appender.storePrefix(keep(appender.pending))
  }

  async create(options: {
    owner: string
    listener: AppendListener
    after?: LedgerId
    commit?: CommitLedger
  }): Promise<LedgerAppender> {
    await this.#arrive()
    const ledger = this.#ledgers.create(this.#takeId(options.after ?? -1), options.owner)
    // Who is in doubt whether it was committed must find it.
    const birth = { operationId: randomUUID(), compares: [], changes: [] }
    const result = await options.commit?.(ledger.id, birth)
    assert(result?.committed !== false, 'refused although nothing was compared')
    const appender = new MemoryAppender(this, this.#ledgers, ledger, options.listener)
    this.#appenders.push(appender)
    return appender
  }

  /** There are no nodes to choose among. */
  among(): this {
    return this
  }

  async open(id: LedgerId): Promise<LedgerReader> {
    await this.#arrive()
    const ledger = this.#ledgers.get(id)
    return {
      ledgerId: id,
      read: async range => {
        await this.#arrive()
        this.#ledgers.reads += 1
        this.#ledgers.get(id)
        return readEntries(ledger, range)
      }
    }
  }

  async recover(id: LedgerId): Promise<LedgerEnd> {
    await this.#arrive()
    const ledger = this.#ledgers.get(id)
    ledger.isFenced = true
    await this.#arrive()
    ledger.isClosed = true
    return endOf(ledger)
  }

  async delete(id: LedgerId): Promise<void> {
    await this.#arrive()
    this.#ledgers.check()
    this.#ledgers.stored.delete(id)
  }

  async describe(id: LedgerId): Promise<LedgerDescription | undefined> {
    await this.#arrive()
    const ledger = this.#ledgers.stored.get(id)
    if (ledger === undefined) return undefined
    const end = ledger.isClosed ? endOf(ledger) : undefined
    const state = ledger.isClosed ? 'closed' : ledger.isFenced ? 'in-recovery' : 'open'
    return { ledgerId: id, state, end, quorum: QUORUM, owner: ledger.owner, ensembles: [] }
  }

  #takeId(after: number): number {
    if (after >= this.#nextId || this.#nextId === this.#endId) {
      this.#nextId = this.#ledgers.takeIds(after + 1)
      this.#endId = this.#nextId + IDS_PER_BLOCK
    }
    return this.#nextId++
  }

  /** A turn of the event loop; a killed process never comes back from it. */
  async #arrive(): Promise<void> {
    await new Promise<void>(resolve => setImmediate(resolve))
    if (this.#isKilled) await new Promise<never>(() => undefined)
  }
}

class MemoryAppender implements LedgerAppender {
  readonly ledgerId: LedgerId
  readonly #client: MemoryLedgerClient
  readonly #ledgers: MemoryLedgers
  readonly #ledger: StoredLedger
  readonly #listener: AppendListener
  readonly #pending: Buffer[] = []
  #lac: EntryId = NO_ENTRY
  #lengthBytes = 0
  #isFailed = false
  #isScheduled = false
  #whenDrained: (() => void)[] = []

  constructor(client: MemoryLedgerClient, ledgers: MemoryLedgers, ledger: StoredLedger, listener: AppendListener) {
    this.ledgerId = ledger.id
    this.#client = client
    this.#ledgers = ledgers
    this.#ledger = ledger
    this.#listener = listener
  }

  get lastAddConfirmed(): EntryId {
    return this.#lac
  }

  get nextEntryId(): EntryId {
    return entryId(this.#ledger.entries.length + this.#pending.length)
  }

  get lengthBytes(): number {
    return this.#lengthBytes
  }

  get pending(): number {
    return this.#pending.length
  }

  get pendingBytes(): number {
    return this.#pending.reduce((sum, payload) => sum + payload.length, 0)
  }

  append(payload: Buffer): EntryId {
    if (this.#isFailed) throw new Error('WRITER_FAILED')
    const id = this.nextEntryId
    this.#pending.push(payload)
    this.#lengthBytes += payload.length
    this.#schedule()
    return id
  }

  async close(): Promise<LedgerEnd> {
    while (!this.#isFailed && (this.#pending.length > 0 || this.#lac < this.#ledger.entries.length - 1)) {
      await new Promise<void>(resolve => this.#whenDrained.push(resolve))
    }
    if (this.#isFailed) throw new Error('WRITER_FAILED')
    this.#ledgers.check()
    if (this.#ledger.isFenced && !this.#ledger.isClosed) throw new Error('FENCED')
    this.#ledger.isClosed = true
    this.#isFailed = true
    return endOf(this.#ledger)
  }

  storePrefix(count: number): void {
    if (!this.#ledger.isFenced) this.#ledger.entries.push(...this.#pending.slice(0, count))
    this.#pending.length = 0
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#sync()
    })
  }

  #sync(): void {
    if (this.#client.isKilled || this.#isFailed) return
    if (this.#ledger.isFenced || this.#ledgers.isDown || !this.#ledgers.stored.has(this.ledgerId)) {
      this.#fail('fenced or down')
      return
    }
    const { failAfter } = this.#ledgers
    const count = Math.min(this.#pending.length, failAfter ?? Number.POSITIVE_INFINITY)
    const isFailing = count < this.#pending.length
    this.#ledger.entries.push(...this.#pending.splice(0, count))
    if (failAfter !== undefined) this.#ledgers.failAfter = isFailing ? undefined : failAfter - count
    if (isFailing) {
      this.#fail('told to') // what was stored is in doubt for the writer
      return
    }
    const lac = entryId(this.#ledger.entries.length - 1)
    const confirm = (): void => {
      if (this.#client.isKilled || this.#isFailed || lac <= this.#lac) return
      this.#lac = lac
      this.#listener.onConfirmed(lac)
      this.#wake()
    }
    if (this.#ledgers.isHolding) this.#ledgers.held.push(confirm)
    else confirm()
  }

  #fail(reason: string): void {
    this.#isFailed = true
    this.#pending.length = 0
    this.#listener.onFailed(new Error(reason), this.#lac)
    this.#wake()
  }

  #wake(): void {
    const woken = this.#whenDrained
    this.#whenDrained = []
    for (const run of woken) run()
  }
}

function endOf(ledger: StoredLedger): LedgerEnd {
  const lengthBytes = ledger.entries.reduce((sum, entry) => sum + entry.length, 0)
  return { lastEntryId: entryId(ledger.entries.length - 1), lengthBytes }
}

function readEntries(
  ledger: StoredLedger,
  range: { first: EntryId; last: EntryId; bytesMax: number; entriesMax: number }
): LedgerEntry[] {
  const entries: LedgerEntry[] = []
  let bytes = 0
  for (let id = range.first as number; id <= range.last && entries.length < range.entriesMax; id++) {
    const payload = ledger.entries[id]
    if (payload === undefined) break
    bytes += payload.length
    if (entries.length > 0 && bytes > range.bytesMax) break
    entries.push({ entryId: entryId(id), payload })
  }
  if (entries.length === 0) throw new Error('NO_SUCH_ENTRY')
  return entries
}
