import type { Position } from '@strata/cursor-protocol'
import type { NodeChoice } from '@strata/ledger-client'
import type { Compare, MetadataRecord } from '@strata/metadata'
import type { LogPersistence } from './persistence.ts'

/** One stored entry: the bytes as the client sent them (from the magic number on), never copied on the way. */
export interface Entry {
  readonly ledgerId: number
  readonly entryId: number
  readonly payload: Buffer
}

/** Receives the fate of appends, in the order of the appends. Called synchronously; must not throw. */
export interface AppendListener<Context> {
  onAppended(ledgerId: number, entryId: number, context: Context): void
  /** The entry is not in the log, or is in doubt because this process lost the log (`LOG_FENCED`): no receipt may follow. */
  onAppendFailed(error: Error, context: Context): void
  /** After a run of the above: one call a sync, so that work can be done once for many entries (receipts, dispatch). */
  onAppendsSettled(): void
}

export interface RetentionPolicy {
  /** Keep acknowledged data this long; -1 for ever, 0 not at all. */
  readonly timeMs: number
  /** Keep at most this much acknowledged data; -1 no limit, 0 none. */
  readonly sizeBytes: number
}

/** A ledger that has its entries or bytes is left once it is `ageMsMin` old; at `ageMsMax` it is left whatever it has. */
export interface RolloverPolicy {
  readonly entriesMax: number
  readonly bytesMax: number
  readonly ageMsMin: number
  readonly ageMsMax: number
}

export interface ReadLimits {
  readonly entriesMax: number
  readonly bytesMax: number
}

/**
 * An endless log over many ledgers: one topic's (or one partition's) data and cursors. One owner at a time, by epoch.
 * Single-threaded: every method is called from, and calls back on, the event loop.
 *
 * Invariants
 *   L1  Nobody sees an entry past `lastConfirmed`: not readers, not cursors, not the cache.
 *   L2  A change of the log's metadata compares the epoch in its own transaction; a fenced owner changes nothing.
 *   L3  Appends settle in order, each exactly once.
 */
export interface ManagedLedger<Context = unknown> {
  readonly name: string
  /** Last entry that is durable; EARLIEST-like {ledgerId, -1} when the log is empty. */
  readonly lastConfirmed: Position
  /** Position of the first entry that still exists (or would exist next). */
  readonly firstPosition: Position
  readonly isTerminated: boolean
  /** Last position of a terminated log. */
  readonly terminatedAt: Position | undefined
  readonly properties: Readonly<Record<string, string>>
  /** Of all entries that still exist, one copy of each. */
  readonly sizeBytes: number

  /** Takes ownership of `payload`; its CRC-32C, where known, saves a pass over it. Fails through the listener: LOG_TERMINATED, LOG_FENCED, LOG_CLOSED, STORAGE_FAILED (retryable). */
  append(payload: Buffer, messageCount: number, context: Context, payloadCrc?: number): void
  setAppendListener(listener: AppendListener<Context>): void

  /** Entries at or after `from` in order across ledgers, at least one if there is any up to `lastConfirmed`; empty at the tail. */
  read(from: Position, limits: ReadLimits): Promise<Entry[]>
  /** The same without a promise when all of it is in the entry cache; undefined: use `read`. */
  readCached(from: Position, limits: ReadLimits): Entry[] | undefined
  readOne(position: Position): Promise<Entry | undefined>
  /** Smallest valid position greater than `position` (it may be one past `lastConfirmed`). */
  nextPosition(position: Position): Position
  /** Greatest valid position smaller than `position`, or {firstLedger, -1}. */
  previousPosition(position: Position): Position
  /** Clamps any position a client sent into [firstPosition, next of lastConfirmed]. */
  clamp(position: Position): Position
  /** Entries in (after, through]. */
  countEntries(after: Position, through: Position): number
  /** The n-th entry (1-based) after a position, at most the last one; for 0 the position itself. */
  positionAfter(position: Position, entries: number): Position
  /** First position whose entry satisfies `isAtOrAfter` (monotonic along the log); next of lastConfirmed when none does. Binary search over ledgers and entries. */
  findFirst(isAtOrAfter: (entry: Entry) => boolean): Promise<Position>

  /**
   * Opens or creates (durable before it resolves) a durable cursor. `initial` counts only at creation; a position is the
   * first entry that is not acknowledged. @throws ManagedLedgerError CURSOR_EXISTS: a non-durable one has the name
   */
  openCursor(
    name: string,
    options: { initial: 'earliest' | 'latest' | Position; properties?: Readonly<Record<string, string>> }
  ): Promise<Cursor>
  /** A cursor that lives as long as this object, or until `deleteCursor`; it holds back no trimming. Its first entry is the first at or after `start`. */
  openNonDurableCursor(name: string, start: Position): Cursor
  deleteCursor(name: string): Promise<void>
  cursor(name: string): Cursor | undefined
  cursors(): readonly Cursor[]

  setRetention(policy: RetentionPolicy): void
  setRollover(policy: RolloverPolicy): void
  /** Adds or replaces these; durable before it resolves. */
  putProperties(properties: Readonly<Record<string, string>>): Promise<void>
  /** Drops whole ledgers that every cursor has passed and retention lets go. Runs by itself after acknowledgements and on roll-over. */
  trim(): Promise<void>
  /** Closes the open ledger, if anything is in it, and goes on in a next one, made before; appends wait for the change. */
  roll(): Promise<void>
  /** No append succeeds afterwards; durable before it resolves. */
  terminate(): Promise<Position>
  stats(): ManagedLedgerStats
  /** Settles what was appended, persists cursors, closes the open ledger; the object is dead afterwards. Never rejects: what could not be closed is recovered by the next owner. */
  close(): Promise<void>
  /** The log is another's: nothing is written any more, appends under way fail with LOG_FENCED. For `close` it is too late then. */
  abandon(): void
}

/**
 * A subscription's acknowledgement state: a mark-delete position, ranges acknowledged individually past it, and bits for
 * parts of batches. What to read next is the subscription's business, not the cursor's.
 *
 * Acknowledgements change memory at once and are durable within a second; `flush` (or a callback) waits for durability.
 */
export interface Cursor {
  readonly name: string
  readonly isDurable: boolean
  /** Everything at or before it is acknowledged. */
  readonly markDelete: Position
  readonly properties: Readonly<Record<string, string>>
  setProperties(properties: Readonly<Record<string, string>>): Promise<void>

  isAcknowledged(ledgerId: number, entryId: number): boolean
  /** Remaining (unacknowledged) bits of a partly acknowledged batch as 32-bit word pairs [low0, high0, low1, …]; undefined: all unacknowledged. */
  ackSet(ledgerId: number, entryId: number): Int32Array | undefined
  /** True if this made the entry acknowledged (false: it was already, or is not in the log). */
  acknowledge(ledgerId: number, entryId: number): boolean
  /** Intersects the remaining bits with `remaining` (1 = still unacknowledged; missing words = acknowledged); true if the entry became wholly acknowledged. */
  acknowledgeBits(ledgerId: number, entryId: number, remaining: Int32Array): boolean
  /** Everything up to and including the position. */
  acknowledgeUpTo(position: Position): void
  /** Calls back once everything acknowledged so far is durable (or with the error). Coalesced: one write for all who ask in a tick. */
  afterDurable(done: (error?: Error) => void): void
  flush(): Promise<void>
  /** Moves to just before `position`, forgetting all acknowledgements after it; durable before it resolves. `ackSet` trims inside that entry's batch. */
  reset(position: Position, ackSet?: Int32Array): Promise<void>
  /** Marks everything up to the tail acknowledged; durable before it resolves. */
  clearBacklog(): Promise<void>
  /** Entries not acknowledged. O(ranges), not O(entries). */
  backlogEntries(): number
  backlogBytes(): number
  /** For stats and internal stats: ranges as Pulsar prints them, e.g. `[(3:4..3:7]]`. */
  describeRanges(): string
  ackedRangeCount(): number
}

export interface LedgerStats {
  readonly ledgerId: number
  readonly entries: number
  readonly sizeBytes: number
  readonly closedAtMs: number | undefined
}

export interface ManagedLedgerStats {
  readonly ledgers: readonly LedgerStats[]
  readonly entries: number
  readonly sizeBytes: number
  readonly entriesAdded: number
  readonly pendingAppends: number
  readonly currentLedgerEntries: number
  readonly currentLedgerBytes: number
  readonly lastLedgerCreatedAtMs: number
  readonly epoch: number
  readonly state: 'opening' | 'open' | 'rolling' | 'terminated' | 'fenced' | 'closed'
  readonly cursorLedgerId: number | undefined
}

export interface ManagedLedgerOptions {
  readonly retention: RetentionPolicy
  readonly rollover: RolloverPolicy
  /**
   * Asked whenever ledgers are dropped, and put in the same transaction: what must outlive the entries that tell it.
   * While it answers undefined nothing is trimmed.
   */
  readonly propertiesOnTrim?: () => Readonly<Record<string, string>> | undefined
  /** The next ledger of a log that was written until moments ago is made as it is opened, not with the first append. */
  readonly continues?: boolean
  /** Which storage nodes its ledgers go to, asked each time. Best one function for many logs. Default: any. */
  readonly nodes?: NodeChoice
  /** How its ledgers are kept, read at each use. Default: as the client has it. */
  readonly persistence?: LogPersistence
}

/** What must hold in the transaction that raises a log's epoch: whoever may not have the log takes it from nobody. */
export interface LogGuards {
  readonly guards?: readonly Compare[]
}

export interface LogCreation {
  readonly create: boolean
  /** What `look` told of the log. */
  readonly seen?: Promise<SeenLog | undefined>
  /** Revision of this process's own transaction, just now, that made the log with `logBirth`: it is open without a read or write. */
  readonly bornAt?: number
}

/** A log's record as it was; undefined: there was none. One that was changed since costs `open` a round trip, no more. */
export interface SeenLog {
  readonly record: MetadataRecord | undefined
}

/** A log that nobody has open, after a sweep. */
export interface SweptLog {
  /** In order, each closed. */
  readonly ledgers: readonly (LedgerStats & { readonly createdAtMs: number })[]
  /** The lowest mark-delete position; undefined: there are no durable cursors. */
  readonly slowestCursor: Position | undefined
  /** When its last owner left it; undefined: that was not recorded. */
  readonly closedAtMs: number | undefined
}

/** Of the process's entry cache. All but the first two count since the start. */
export interface CacheCounts {
  readonly entries: number
  /** What they keep alive. */
  readonly bytesHeld: number
  /** Entries that were read from it, and their payloads. */
  readonly hits: number
  readonly hitBytes: number
  /** Entries that a reader waited for until they came from storage, and their payloads. What was read ahead in time is a hit. */
  readonly misses: number
  readonly missBytes: number
  readonly inserted: number
  readonly evicted: number
  /** Blocks of entries that went, to make room or with time. */
  readonly evictions: number
}

export interface ManagedLedgerFactory {
  readonly cache: CacheCounts
  /** Logs that are open. */
  readonly openCount: number
  /**
   * Takes the log over (raises its epoch), recovers what is not closed, loads cursors. Creates it if it does not exist and
   * `create` is set. No ledger is created before the first append or cursor.
   * @throws ManagedLedgerError LOG_NOT_FOUND, LOG_NOT_YOURS (a guard does not hold), METADATA_UNAVAILABLE (retryable),
   *   STORAGE_FAILED (retryable)
   */
  open<Context>(name: string, options: ManagedLedgerOptions & LogGuards & LogCreation): Promise<ManagedLedger<Context>>
  exists(name: string): Promise<boolean>
  /** Reads beforehand what `open` begins with (`seen`), beside whatever else must be read. Never rejects; undefined: not known. */
  look(name: string): Promise<SeenLog | undefined>
  /**
   * Resumable: marks, deletes ledgers and cursors, removes the record. A log that is open here is closed first. Nothing is
   * left behind. @throws ManagedLedgerError LOG_NOT_YOURS: a guard does not hold, and nothing was begun
   */
  delete(name: string, options?: LogGuards): Promise<void>
  /**
   * Applies retention to a log that is not open, from metadata alone where possible. One that is open is trimmed by its
   * own retention. Resolves with nothing for a log that is open or does not exist. @throws ManagedLedgerError LOG_NOT_YOURS
   */
  sweep(name: string, retention: RetentionPolicy, options?: LogGuards): Promise<SweptLog | undefined>
  close(): Promise<void>
}
