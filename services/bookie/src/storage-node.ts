import { strict as assert } from 'node:assert'
import { every, NO_ENTRY, type BookieId, type Clock, type EntryId, type LedgerId, type Logger } from '@strata/base'
import {
  addRunTo,
  LacWaiters,
  LedgerError,
  readRunOf,
  type AddFailure,
  type AddRequest,
  type AddSink,
  type AddStretch,
  type BulkCopies,
  type DamagedPage,
  type DamagedStretch,
  type EntryRun,
  type HeldLedger,
  type Inventory,
  type InventoryRequest,
  type LacAnswer,
  type LacRequest,
  type ReadAnswer,
  type RunFailure,
  type RunRequest
} from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import type { Bookie, BookieDirectories, BookieHealth, BookieStats } from './bookie-types.ts'
import type { CopyLog } from './copies/copy-log.ts'
import type { FindNode } from './copies/node-copies.ts'
import { openCopies } from './copies/open-copies.ts'
import type { Disk } from './disk/disk.ts'
import { FILE_HEADER_BYTES } from './format/file-header.ts'
import { PAYLOAD_BYTES_MAX } from './format/record.ts'
import type { EntryIndex } from './index/entry-index.ts'
import type { IndexStore } from './index/index-store.ts'
import type { IndexWriter } from './index/index-writer.ts'
import { EntryTail } from './index/entry-tail.ts'
import { LedgerState } from './index/ledger-state.ts'
import type { Checkpoint } from './index/rows.ts'
import { Housekeeper } from './housekeeper.ts'
import type { JournalFile } from './journal/journal-files.ts'
import { JournalSet } from './journal/journal-set.ts'
import type { Journal } from './journal/journal.ts'
import { RecentWrites } from './journal/recent-writes.ts'
import { RECORD_STRIDE, type WriteBatch } from './journal/write-batch.ts'
import type { Recovered } from './recovery.ts'
import type { BookieSettings } from './settings.ts'
import { EntryReader } from './storage/entry-reader.ts'
import type { DamagedRange } from './storage/damage.ts'
import type { FileTable } from './storage/file-table.ts'
import { inventoryOf, SuspectEntries } from './storage/inventory.ts'
import type { StoreStanding } from './volume/store-signature.ts'
import type { Volume } from './volume/volume.ts'

export interface StorageNodeParts {
  readonly disk: Disk
  readonly directories: BookieDirectories
  readonly bookieId: BookieId
  readonly metadata: MetadataStore
  readonly settings: BookieSettings
  readonly volume: Volume
  readonly files: FileTable
  readonly index: EntryIndex
  readonly writer: IndexWriter
  readonly recovered: Recovered
  readonly clock: Clock
  readonly log: Logger
  readonly reopenStore: () => Promise<IndexStore>
  readonly unlock: () => Promise<void>
}

/**
 * One running storage node: admits adds and fences to the journal, makes what is synced readable, answers reads.
 *
 * Invariants
 *   N1  `onAdded` is called only for entries whose records are synced, and after they can be read.
 *   N2  An add without `recovery` is refused from the moment a fence of its ledger is admitted.
 *   N3  'absent' is answered only for a ledger that this volume cannot have held and lost, and whose index look-up succeeded.
 */
export class StorageNode implements Bookie {
  readonly bookieId: BookieId
  readonly bulk: BulkCopies
  readonly #parts: StorageNodeParts
  readonly #journals: JournalSet
  readonly #recent: RecentWrites | undefined
  readonly #reader: EntryReader
  readonly #suspects = new SuspectEntries()
  readonly #housekeeper: Housekeeper
  readonly #lacWaiters: LacWaiters
  readonly #numbers: NumberSource
  readonly #copyLog: CopyLog
  #findNode: FindNode = () => undefined
  #closing: Promise<void> | undefined
  #stopTicking: () => void = () => undefined

  private constructor(parts: StorageNodeParts, inner: { journals: JournalSet; numbers: NumberSource }) {
    const { journals, numbers } = inner
    const { settings, files, index } = parts
    this.bookieId = parts.bookieId
    this.#parts = parts
    this.#journals = journals
    this.#numbers = numbers
    this.#lacWaiters = new LacWaiters(parts.clock)
    this.#recent = settings.recentBytes > 0 ? new RecentWrites(settings.recentBytes) : undefined
    journals.begin({
      bufferBytes: settings.writeBufferBytes,
      bufferBytesMax: settings.writeBufferBytesMax,
      groupWaitMs: settings.journalGroupWaitMs,
      clock: parts.clock,
      recent: this.#recent,
      onSynced: batch => {
        this.#onSynced(batch)
      },
      onFailed: (error, member) => {
        this.#housekeeper.noteJournalFailure(error, member)
      }
    })
    this.#housekeeper = new Housekeeper({
      ...parts,
      journals,
      nextNumber: numbers.take,
      position: () => this.#checkpoint(),
      onFileGone: file => {
        this.#reader.forgetFile(file)
      },
      onDamaged: ({ ledgerId, entryId }) => {
        this.#suspects.note(ledgerId, entryId)
      }
    })
    this.#reader = new EntryReader({
      index,
      files,
      readAheadBytes: settings.readAheadBytes,
      readAheadCacheBytes: settings.readAheadCacheBytes,
      recent: this.#recent,
      onUnreadable: entry => {
        this.#housekeeper.noteDamaged(entry)
      }
    })
    const { bulk, log } = this.#openCopies(numbers)
    this.bulk = bulk
    this.#copyLog = log
  }

  static async start(parts: StorageNodeParts): Promise<StorageNode> {
    const { disk, volume, settings, clock, log, recovered, files } = parts
    const numbers = numbersFrom(recovered.nextNumber)
    const journals = await JournalSet.open({
      ...{ disk, clock, log, volumeId: volume.volumeId, journals: recovered.journals },
      fileBytes: settings.journalFileBytes,
      nextNumber: numbers.take,
      directoryNumber: directory => volume.directoryNumber(directory),
      onActive: (file, directory) => {
        registerJournalFile(files, file, directory)
      },
      onGone: ({ number }) => {
        files.remove(number)
      }
    })
    const started = new StorageNode(parts, { journals, numbers })
    await started.#housekeeper.start()
    started.#stopTicking = every(clock, settings.housekeepingMs, () => {
      void started.#housekeeper.tick()
    })
    return started
  }

  add(request: AddRequest, sink: AddSink): void {
    const { ledgerId, entryId } = request
    const ledger = this.#ledgerOf(ledgerId)
    const journal = this.#journals.of(ledgerId)
    const failure = ledger === undefined ? 'STORAGE_FAILED' : this.#refusalOf(request, ledger, journal)
    if (failure === undefined && ledger !== undefined) journal.add(ledger, request, sink)
    else {
      const refused = ledger ?? new LedgerState(ledgerId)
      journal.refuse({ ledger: refused, entryId, failure: failure ?? 'STORAGE_FAILED', sink })
    }
  }

  addStretch(stretch: AddStretch, sink: AddSink): void {
    const ledger = this.#ledgerOf(stretch.ledgerId)
    const journal = this.#journals.of(stretch.ledgerId)
    // What one of them is refused for, all are.
    if (ledger !== undefined && this.#refusalOf(stretch.requestAt(0), ledger, journal) === undefined) {
      journal.addStretch(ledger, stretch, sink)
    } else for (let i = 0; i < stretch.count; i++) this.add(stretch.requestAt(i), sink)
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
    this.#checkOpen()
    if (options.fence) await this.#fence(options.ledgerId)
    try {
      const ledger = this.#parts.index.ledger(options.ledgerId)
      const { entries, end } = await this.#reader.read(ledger, options)
      if (end === 'limit') return { entries, end }
      return { entries, end: end === 'missing' && this.#hasAuthority(ledger) ? 'absent' : 'unknown' }
    } catch (error) {
      this.#housekeeper.noteIndexFailure(error)
      return { entries: [], end: 'unknown' }
    }
  }

  useNodes(find: FindNode): void {
    this.#findNode = find
  }

  readRun(request: RunRequest): Promise<EntryRun | undefined> {
    return readRunOf(this, request)
  }

  addRun(run: EntryRun): Promise<RunFailure | undefined> {
    return addRunTo(this, run)
  }

  async readLac({ ledgerId, fence, waitPast, timeoutMs = 0 }: LacRequest): Promise<LacAnswer> {
    this.#checkOpen()
    if (fence) await this.#fence(ledgerId)
    else if (waitPast !== undefined) {
      const known = this.#knownLedger(ledgerId)
      const mustWait = !known.isFenced && known.lac <= waitPast
      if (mustWait) await this.#lacWaiters.wait(ledgerId, { past: waitPast, timeoutMs })
      this.#checkOpen()
    }
    const ledger = this.#knownLedger(ledgerId)
    return { lac: ledger.lac, authority: this.#hasAuthority(ledger) }
  }

  /** Goes into the index with the next flush, for nothing of its own: what a crash takes is told again with the next add. */
  writeLac({ ledgerId, lac }: { ledgerId: LedgerId; lac: EntryId }): Promise<void> {
    const ledger = this.#closing === undefined ? this.#ledgerOf(ledgerId) : undefined
    const isOfUse = ledger !== undefined && ledger.lastEntry !== NO_ENTRY && !ledger.isDeleted
    if (isOfUse && lac > ledger.lac) {
      ledger.lac = lac
      ledger.isRowStale = true
      this.#parts.writer.noteDirty(ledger)
      this.#lacWaiters.note(ledgerId, lac)
    }
    return Promise.resolve()
  }

  health(): BookieHealth {
    return this.#closing === undefined ? this.#housekeeper.health() : { state: 'closed', reasons: [] }
  }

  stats(): BookieStats {
    const { files, volume } = this.#parts
    const all = [...files.all]
    const journals = all.filter(file => file.kind === 'journal')
    const logs = all.filter(file => file.kind === 'entry-log')
    return {
      journalFiles: journals.length,
      journalBytes: sum(journals.map(file => file.end)),
      entryLogs: logs.length,
      entryLogBytes: sum(logs.map(file => file.end)),
      liveBytes: sum(all.map(file => file.liveBytes)),
      sequence: this.#journals.extent.sequence,
      unindexedBytes: this.#housekeeper.unindexedBytes,
      writeBufferBytes: this.#journals.bufferBytes,
      recentBytes: this.#recent?.bytes ?? 0,
      recentReads: this.#recent?.hits ?? 0,
      addedBytes: this.#journals.entryBytes,
      journalWrittenBytes: this.#journals.writtenBytes,
      journalSyncs: this.#journals.syncCount,
      ...this.#housekeeper.stats(),
      copiedBytes: this.#copyLog.writtenBytes,
      indexWrittenBytes: this.#parts.writer.writtenBytes,
      quarantinedLedgers: this.#housekeeper.quarantinedCount,
      incarnation: volume.incarnation
    }
  }

  setReadOnly(isReadOnly: boolean): void {
    this.#housekeeper.isDeclaredReadOnly = isReadOnly
  }

  async heldLedgers(options: { after: number; limit: number }): Promise<HeldLedger[]> {
    this.#checkOpen()
    const ledgers = await this.#withIndex(() => this.#parts.index.heldLedgers(options))
    return ledgers.map(({ ledgerId, lastEntry, lac, isFenced }) => ({
      ledgerId,
      lastEntryId: lastEntry,
      lac,
      isFenced
    }))
  }

  async inventory(request: InventoryRequest): Promise<Inventory> {
    this.#checkOpen()
    const ledger = this.#knownLedger(request.ledgerId)
    const { index } = this.#parts
    const doors = { index, reader: this.#reader, suspects: this.#suspects }
    return this.#withIndex(() => inventoryOf(ledger, request, doors))
  }

  /** @throws LedgerError UNAVAILABLE */
  async damaged(): Promise<DamagedRange[]> {
    this.#checkOpen()
    return this.#withIndex(() => this.#housekeeper.damaged())
  }

  /** @throws LedgerError UNAVAILABLE */
  async damagedEntries({ ledgerId, entryId, limit }: DamagedPage): Promise<DamagedStretch[]> {
    const ranges = await this.damaged()
    return ranges
      .filter(range => range.ledgerId > ledgerId || (range.ledgerId === ledgerId && range.first >= entryId))
      .slice(0, limit)
      .map(({ ledgerId: id, first, last }) => ({ ledgerId: id, first, last }))
  }

  signMetadata(): Promise<StoreStanding> {
    return this.#parts.volume.signMetadata()
  }

  scrub(): Promise<void> {
    return this.#housekeeper.scrub()
  }

  housekeep(): Promise<void> {
    return this.#housekeeper.round()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { files, index, unlock } = this.#parts
    this.#stopTicking()
    this.#lacWaiters.releaseAll()
    await this.#journals.drain()
    await this.#copyLog.close()
    await this.#housekeeper.close()
    // Behind the last checkpoint, so that the next start reads it and knows that nothing can follow.
    await this.#journals.close()
    await files.close()
    await index.store.close()
    await unlock()
  }

  #openCopies(numbers: NumberSource): ReturnType<typeof openCopies> {
    return openCopies(this.#parts, {
      nextNumber: numbers.take,
      onIndexFailure: error => this.#housekeeper.noteIndexFailure(error),
      withIndex: ask => {
        this.#checkOpen()
        return this.#withIndex(ask)
      },
      findNode: id => this.#findNode(id),
      checkTaken: ledgerId => {
        const { state } = this.health()
        const { isDeleted } = this.#knownLedger(ledgerId)
        if (state === 'writable' && !isDeleted) return
        throw LedgerError.create('UNAVAILABLE', { ledgerId, reason: isDeleted ? 'FENCED' : state })
      },
      fence: ledgerId => this.#fence(ledgerId)
    })
  }

  #checkOpen(): void {
    if (this.#closing !== undefined)
      throw LedgerError.create('UNAVAILABLE', { bookieId: this.bookieId, reason: 'the node is closed' })
  }

  /** @throws LedgerError UNAVAILABLE: the index cannot be asked */
  async #withIndex<Result>(ask: () => Promise<Result>): Promise<Result> {
    try {
      return await ask()
    } catch (error) {
      this.#housekeeper.noteIndexFailure(error)
      throw LedgerError.create('UNAVAILABLE', { bookieId: this.bookieId, reason: 'the index failed' }, error)
    }
  }

  /** undefined: the index cannot be asked whether the ledger is fenced. */
  #ledgerOf(ledgerId: LedgerId): LedgerState | undefined {
    try {
      return this.#parts.index.ledger(ledgerId)
    } catch (error) {
      this.#housekeeper.noteIndexFailure(error)
      return undefined
    }
  }

  /** @throws LedgerError UNAVAILABLE: the index cannot be asked */
  #knownLedger(ledgerId: LedgerId): LedgerState {
    const ledger = this.#ledgerOf(ledgerId)
    if (ledger === undefined) throw LedgerError.create('UNAVAILABLE', { ledgerId, reason: 'the index failed' })
    return ledger
  }

  #refusalOf(request: AddRequest, ledger: LedgerState, journal: Journal): AddFailure | undefined {
    if (this.#closing !== undefined) return 'STORAGE_FAILED'
    if (!journal.isRunning) return this.#housekeeper.isReadOnly ? 'READ_ONLY' : 'STORAGE_FAILED'
    if (ledger.isFenced && (!request.recovery || ledger.isDeleted)) return 'FENCED'
    // What was lost may have been a fence: its writer gets no acknowledgement here that a recoverer was told cannot come.
    if (!request.recovery && !this.#hasAuthority(ledger)) return 'STORAGE_FAILED'
    if (this.#housekeeper.isReadOnly) return 'READ_ONLY'
    return request.payload.length > PAYLOAD_BYTES_MAX ? 'STORAGE_FAILED' : undefined
  }

  /** @throws LedgerError UNAVAILABLE: the fence may or may not be on disk; the ledger takes no adds here until a restart */
  async #fence(ledgerId: LedgerId): Promise<void> {
    const ledger = this.#knownLedger(ledgerId)
    ledger.isFenced = true
    this.#lacWaiters.release(ledgerId)
    if (ledger.isFenceSynced && ledger.pendingRecords === 0) return
    const journal = this.#journals.of(ledgerId)
    if (!journal.isRunning) throw LedgerError.create('UNAVAILABLE', { ledgerId, reason: 'STORAGE_FAILED' })
    await new Promise<void>((resolve, reject) => {
      journal.fence(ledger, error => {
        if (error === undefined) resolve()
        else reject(LedgerError.create('UNAVAILABLE', { ledgerId, reason: 'STORAGE_FAILED' }, error))
      })
    })
  }

  #hasAuthority(ledger: LedgerState): boolean {
    return !ledger.isDeleted && ledger.ledgerId >= this.#parts.volume.unknownBelow
  }

  #onSynced(batch: WriteBatch): void {
    const { files, writer } = this.#parts
    const { ledgers, counts, entryCount, numbers, file } = batch
    const stored = files.get(file.number)
    assert(stored !== undefined)
    stored.end = file.syncedEnd
    stored.totalBytes = stored.end - FILE_HEADER_BYTES
    let at = 0
    for (let i = 0; i < ledgers.length; i++) {
      const ledger = ledgers[i] as LedgerState // within bounds
      const count = counts[i] ?? 0
      ledger.pendingRecords -= count
      if (ledger.tail === undefined) writer.noteDirty(ledger)
      noteRecords(ledger, file.number, numbers.subarray(at, at + count * RECORD_STRIDE))
      at += count * RECORD_STRIDE
    }
    for (const { ledger, lac, failure } of batch.receipts) {
      if (failure !== undefined || lac <= ledger.lac) continue
      ledger.lac = lac
      if (!this.#lacWaiters.isEmpty) this.#lacWaiters.note(ledger.ledgerId, lac)
    }
    for (const { ledger } of batch.fenced) {
      ledger.isFenceSynced = true
      ledger.isRowStale = true
      writer.noteDirty(ledger)
    }
    writer.unflushedEntries += entryCount
    // A mark of the journal is nothing to the index.
    this.#housekeeper.noteSynced(entryCount + batch.fenced.length > 0 ? batch.bytes : 0)
  }

  #checkpoint(): Checkpoint {
    const { volumeId } = this.#parts.volume
    return { positions: this.#journals.positions, volumeId, nextNumber: this.#numbers.peek() }
  }
}

/** Numbers of journal files and entry logs: one row for both, none given out twice. */
interface NumberSource {
  readonly take: () => number
  readonly peek: () => number
}

function numbersFrom(first: number): NumberSource {
  let next = first
  return { take: () => next++, peek: () => next }
}

/** Synced entries, `RECORD_STRIDE` numbers each, into the ledger's tail. */
function noteRecords(ledger: LedgerState, file: number, numbers: Float64Array): void {
  const tail = (ledger.tail ??= new EntryTail())
  let last: number = ledger.lastEntry
  for (let at = 0; at < numbers.length; at += RECORD_STRIDE) {
    const entryId = numbers[at] ?? 0
    tail.append(entryId, { file, offset: numbers[at + 1] ?? 0, payloadBytes: numbers[at + 2] ?? 0 })
    if (entryId > last) last = entryId
  }
  ledger.lastEntry = last as EntryId
}

function registerJournalFile(files: FileTable, file: JournalFile, directory: string): void {
  if (files.get(file.number) !== undefined) return
  const { number, start, sinceMs } = file
  const base = { number, directory, path: file.file.path, liveBytes: 0, totalBytes: 0, sinceMs }
  files.add({ kind: 'journal', end: start, ...base })
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
