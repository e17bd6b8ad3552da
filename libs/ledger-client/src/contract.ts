import type { BookieId, EntryId, LedgerId } from '@strata/base'
import type {
  AddFailure,
  EntryAdd,
  EntryRange,
  LedgerEnd,
  NodeGroups,
  QuorumConfig,
  StoredEntry
} from '@strata/ledger-protocol'
import type { Transaction, TransactionResult } from '@strata/metadata'
import type { AddStretch } from './add-stretch.ts'

export type { AddFailure, EntryRange, LedgerEnd, NodeGroups, QuorumConfig, StoredEntry }
/** One entry as a writer sends it. */
export type AddRequest = EntryAdd

/** What a writer tells about progress. Called synchronously from the storage's completion; must not throw. */
export interface AppendListener {
  /** Every entry up to and including `lac` is durable on an ack quorum. Once per sync for many entries; `lac` only grows. */
  onConfirmed(lac: EntryId): void
  /** The writer is dead: entries past `lac` are in doubt until the ledger is recovered. Called at most once, last. */
  onFailed(error: Error, lac: EntryId): void
}

/** The single writer of an open ledger. Pipelined; confirmed in order. */
export interface LedgerAppender {
  readonly ledgerId: LedgerId
  readonly lastAddConfirmed: EntryId
  /** Id that the next append will get. */
  readonly nextEntryId: EntryId
  /** Payload bytes appended so far. */
  readonly lengthBytes: number
  /** Payload bytes appended and not confirmed: what the caller keeps within its budget. */
  readonly pendingBytes: number
  /** Takes ownership of `payload` (kept, not copied, until confirmed); its CRC-32C, where known, saves a pass over it. @throws LedgerError WRITER_CLOSED, WRITER_FAILED */
  append(payload: Buffer, payloadCrc?: number): EntryId
  /** Waits for what is pending, then CLOSED with the last entry. Idempotent. @throws LedgerError WRITER_FAILED: recover it */
  close(): Promise<LedgerEnd>
}

export interface LedgerEntry {
  readonly entryId: EntryId
  readonly payload: Buffer
}

/** Reads a ledger, checksums verified; never past what is confirmed. */
export interface LedgerReader {
  readonly ledgerId: LedgerId
  /**
   * Consecutive entries from `first`, at least one if it exists, until `last`, `bytesMax` or `entriesMax` is reached.
   * @throws LedgerError NO_SUCH_ENTRY, UNAVAILABLE (retryable), CORRUPT
   */
  read(options: { first: EntryId; last: EntryId; bytesMax: number; entriesMax: number }): Promise<LedgerEntry[]>
}

/** A reader that can also follow a ledger whose writer is elsewhere. */
export interface LedgerFollower extends LedgerReader {
  /**
   * The last entry that may be read now: the end of a closed ledger, else the highest LAC that a node of the last ensemble
   * tells. Entries become readable here when a later one, or the writer's pause, tells that they are confirmed.
   * With `waitPast`: as soon as it is past that one, or the ledger is closed, or else after `timeoutMs`.
   * @throws LedgerError NO_SUCH_LEDGER, UNAVAILABLE (retryable): no node of the last ensemble answers
   */
  lastConfirmed(wait?: { waitPast: EntryId; timeoutMs: number }): Promise<{ lac: EntryId; isClosed: boolean }>
}

/** A copy that is not what was written. */
export interface DamagedCopy {
  readonly bookieId: BookieId
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
}

/**
 * Commits what makes a ledger, under the name that the transaction has, with whatever else belongs to it: both are made, or
 * neither. May be asked again, for another ledger, where a compare of the ledger's own did not hold.
 */
export type CommitLedger = (
  ledgerId: LedgerId,
  birth: Transaction & { readonly operationId: string }
) => Promise<TransactionResult>

export interface LedgerClient {
  /**
   * `owner` (topic log and generation, cursor ledger, …) is recorded in the metadata, so that fsck can name it. The id is
   * above every id this process was given, and above `after`: the last ledger of a log that another process wrote before.
   * @throws LedgerError NOT_ENOUGH_BOOKIES (retryable); what `commit` throws: then the ledger may be there, and is not used
   */
  create(options: {
    owner: string
    quorum?: QuorumConfig
    listener: AppendListener
    after?: LedgerId
    commit?: CommitLedger
  }): Promise<LedgerAppender>
  /** A reader of any ledger; the caller bounds its reads by a LAC or end it knows. @throws LedgerError NO_SUCH_LEDGER */
  open(ledgerId: LedgerId): Promise<LedgerReader>
  /**
   * Fences, reads forward, closes. Idempotent; safe from several processes at once.
   * @throws LedgerError NO_SUCH_LEDGER, RECOVERY_BLOCKED (retryable; the ledger stays in recovery, nothing is cut off)
   */
  recover(ledgerId: LedgerId): Promise<LedgerEnd>
  /** Metadata and a deletion record in one transaction; idempotent. The nodes' space follows in the background. */
  delete(ledgerId: LedgerId): Promise<void>
  /** State as the metadata has it. */
  describe(ledgerId: LedgerId): Promise<LedgerDescription | undefined>
  /**
   * The same client for ledgers that may stand on some nodes only: new ensembles, replacements of failed nodes and copies
   * that a recovery writes go to nodes of the groups, which are asked for each time. A ledger's own metadata keeps those that it
   * was made with, for re-replication.
   */
  among(choice: NodeChoice): LedgerClient
}

/** Groups of nodes that ledgers may stand on, as of now; undefined: on any (see `nodesWithin`). */
export type NodeChoice = () => NodeGroups | undefined

/** What this package gives: every reader follows. */
export interface FollowingLedgerClient extends LedgerClient {
  open(ledgerId: LedgerId): Promise<LedgerFollower>
}

export interface LedgerDescription {
  readonly ledgerId: LedgerId
  readonly state: 'open' | 'in-recovery' | 'closed'
  readonly end: LedgerEnd | undefined
  readonly quorum: QuorumConfig
  readonly owner: string
  readonly ensembles: readonly { readonly firstEntryId: EntryId; readonly bookies: readonly BookieId[] }[]
}

// ---------------------------------------------------------------- one storage node, in process or over gRPC

export interface AddSink {
  /** Every add handed over through this sink for the ledger, up to and including this one, is synced to disk. */
  onAdded(ledgerId: LedgerId, entryId: EntryId): void
  onAddFailed(ledgerId: LedgerId, entryId: EntryId, failure: AddFailure): void
}

/** Why a read stopped: `limit` (bytes, count or last reached), `absent` (with authority: never had it), `unknown` (may have had it: never 'no'). */
export interface ReadAnswer {
  readonly entries: readonly StoredEntry[]
  readonly end: 'limit' | 'absent' | 'unknown'
}

/** A storage node as brokers see it. The in-process bookie implements it directly; the gRPC transport over proto/ledger. */
export interface BookieNode {
  readonly bookieId: BookieId
  /** Never throws; the answer comes to the sink, in order per ledger. */
  add(request: AddRequest, sink: AddSink): void
  /** `add` of each of them, in their order. Who has none is given them one by one. */
  addStretch?(stretch: AddStretch, sink: AddSink): void
  /**
   * Entries from `first` on, each the next one or (`every`) so many ids behind the one before.
   * With `fence`, the fence is durable, and stands behind all adds admitted before, before this resolves.
   * @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  read(options: {
    ledgerId: LedgerId
    first: EntryId
    last: EntryId
    every?: number
    bytesMax: number
    entriesMax: number
    fence: boolean
  }): Promise<ReadAnswer>
  /**
   * For copies: as many entries from `first` on as the node gives at once; undefined: not even the first one.
   * Their digests are for whoever stores them. @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  readRun(request: RunRequest): Promise<EntryRun | undefined>
  /**
   * Adds them all, with `recovery`; they are synced when this resolves with undefined. An entry without a right digest is never
   * added, nor is any other one of the run then. @throws LedgerError UNAVAILABLE, WRONG_NODE: some may have been added
   */
  addRun(run: EntryRun): Promise<RunFailure | undefined>
  /**
   * Highest LAC that any entry of the ledger carried, or `writeLac` told, and whether the node speaks with authority about
   * this ledger. `fence` as for `read`.
   * With `waitPast` (and no fence) the node answers when it knows a LAC past it, when the ledger is fenced, or after
   * `timeoutMs` (at most `LAC_WAIT_MS_MAX`), whichever is first; sooner where too many wait already.
   * @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  readLac(options: LacRequest): Promise<LacAnswer>
  /**
   * The writer's LAC, told while nothing is appended that could carry it. It only ever raises what `readLac` answers. A hint:
   * it need not be synced, since it is lost only with the process and then readers merely see less until the next add, and
   * a node that holds nothing of the ledger forgets it at once. True for ever, so it is taken in any order, fenced or not.
   * @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  writeLac(options: { ledgerId: LedgerId; lac: EntryId }): Promise<void>
  /**
   * Which entries of a stretch the node has. For those who care for copies: it is no authority, and what was added a moment
   * ago may be left out. With `verify` each entry is read, and one that is damaged is not named; without it only those are
   * read that the node already knows to be in trouble.
   * @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  inventory(options: InventoryRequest): Promise<Inventory>
  /**
   * Ascending, at most `limit` ledgers whose ids are above `after` of which the node has, or had, something; what came in
   * the last moments may be missing. @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  heldLedgers(options: { after: number; limit: number }): Promise<HeldLedger[]>
  /**
   * What the node knows that it has and cannot read: to be added again with `recovery` from other nodes. Ascending, at most
   * `limit` stretches, of those that begin at the place named or behind it. @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  damagedEntries(page: DamagedPage): Promise<DamagedStretch[]>
  /** Copies of many entries from node to node; undefined: the node knows of none, and is given runs. */
  readonly bulk?: BulkCopies
}

/** How one node stores what another one has: neither looks at the entries more than once, and nobody stands between. */
export interface BulkCopies {
  /**
   * As many entries from `first` on as the node gives at once; undefined: not even the first one. They were compared with
   * nothing: that is for whoever stores them. @throws LedgerError UNAVAILABLE, WRONG_NODE
   */
  readRecords(request: RunRequest): Promise<EntryRecords | undefined>
  /**
   * Fetches entries from other nodes, compares them with their digests and stores them, as recovery adds. Every entry before
   * the `next` of the answer is synced, can be read, and is there after a crash. Ends early where nobody gives an entry as it
   * must be, and when enough was copied for now; `turns` is asked before each piece.
   * @throws LedgerError UNAVAILABLE: the node does not take them; WRONG_NODE
   */
  copyFrom(order: CopyOrder, turns?: CopyTurns): Promise<CopyAnswer>
}

/** Entries as they stand in a node's files, one record after another. */
export interface EntryRecords {
  readonly bytes: Buffer
  /** The ledger is fenced where they come from. */
  readonly isFenced: boolean
  /** For whoever has copied `bytes` and looks at them no more: their memory is used again. */
  readonly release?: () => void
}

export interface CopyOrder extends EntryRange {
  readonly ledgerId: LedgerId
  readonly every: number
  /** Nodes that have them, best first. */
  readonly from: readonly BookieId[]
  /** Payload bytes after which the node may answer. */
  readonly bytesMax: number
}

export interface CopyAnswer {
  /** The first one's id where nothing could be copied; past the last one's where all was. */
  readonly next: EntryId
  /** Of payloads. */
  readonly bytes: number
}

/** Lets the pieces of a copy in. */
export interface CopyTurns {
  /** Resolves when so many bytes may be fetched; false: nobody waits for them any more. */
  begin(bytes: number): Promise<boolean>
  /** They are stored, or given up. */
  end(bytes: number): void
}

export interface RunRequest extends EntryRange {
  readonly ledgerId: LedgerId
  /** From each entry's id to the next one's. */
  readonly every: number
  readonly bytesMax: number
  readonly entriesMax: number
}

/** Entries of one ledger in one piece, as copies are made of them: whoever hands them on need not look at each. */
export interface EntryRun {
  readonly ledgerId: LedgerId
  readonly first: EntryId
  readonly last: EntryId
  readonly count: number
  /** Of all payloads. */
  readonly payloadBytes: number
  entries(): readonly StoredEntry[]
}

/** The first entry that was not taken, and why: DAMAGED is what came with a wrong digest. */
export interface RunFailure {
  readonly entryId: EntryId
  readonly failure: AddFailure | 'DAMAGED'
}

export interface DamagedPage {
  readonly ledgerId: number
  readonly entryId: number
  readonly limit: number
}

/** Both inclusive. */
export interface DamagedStretch extends EntryRange {
  readonly ledgerId: LedgerId
}

export interface InventoryRequest {
  readonly ledgerId: LedgerId
  /** Both inclusive. */
  readonly first: EntryId
  readonly last: EntryId
  readonly verify: boolean
}

export interface Inventory {
  /** Ascending, apart from each other. */
  readonly held: readonly EntryRange[]
  /** Nothing is said of entries past this one: ask again from there. At least the first one asked for, at most the last. */
  readonly through: EntryId
}

/** A ledger of which a node has, or had, something. */
export interface HeldLedger {
  readonly ledgerId: LedgerId
  /** The highest that it was given; -1: it was only fenced. */
  readonly lastEntryId: EntryId
  readonly lac: EntryId
  readonly isFenced: boolean
}

export interface LacRequest {
  readonly ledgerId: LedgerId
  readonly fence: boolean
  readonly waitPast?: EntryId
  /** Milliseconds. */
  readonly timeoutMs?: number
}

export interface LacAnswer {
  readonly lac: EntryId
  readonly authority: boolean
}

/** A node that takes new ledgers, and what placement goes by. */
export interface BookieDescription {
  readonly bookieId: BookieId
  /** Nodes of one rack fail together; so do those of one host. Without a name a node shares neither with any other. */
  readonly rack?: string
  readonly host?: string
  readonly freeBytes?: number
  /** For ledgers that stand on the nodes of some groups only. */
  readonly group?: string
}

/** Finds nodes: the standalone has one, a cluster a registry. */
export interface BookieDirectory {
  /** Nodes that take new ledgers now. */
  writable(): readonly BookieDescription[]
  /** undefined: not reachable now (which is not 'gone'). */
  node(id: BookieId): BookieNode | undefined
  /** Calls whenever `writable` or `node` may answer otherwise than before, until the returned function is called. */
  onChange(run: () => void): () => void
}
