import { strict as assert } from 'node:assert'
import { NO_ENTRY, type Clock, type EntryId } from '@strata/base'
import { STRETCH_STRIDE, type AddRequest, type AddSink, type AddStretch } from '@strata/ledger-client'
import { toBlocks } from '../disk/block-memory.ts'
import type { DiskLane } from '../disk/disk.ts'
import { bookieErrors } from '../errors.ts'
import { FILE_HEADER_BYTES } from '../format/file-header.ts'
import {
  encodeRecord,
  encodeRecords,
  RECORD_KIND,
  recordBytes,
  recordMemory,
  type RecordBody,
  type RecordMemory,
  type RecordStamp
} from '../format/record.ts'
import type { LedgerState } from '../index/ledger-state.ts'
import { failBatch, failItem, type Item } from './backlog.ts'
import { GroupWait } from './group-wait.ts'
import type { JournalFile, JournalFiles } from './journal-files.ts'
import type { RecentWrites } from './recent-writes.ts'
import { SpareMemory } from './spare-memory.ts'
import { WriteBatch } from './write-batch.ts'

export interface JournalOptions {
  readonly lane: DiskLane
  readonly clock: Clock
  readonly files: JournalFiles
  /** Of the next record. */
  readonly sequence: number
  readonly bufferBytes: number
  readonly bufferBytesMax: number
  /** How long a lone large entry may wait for another one. 0: not at all. */
  readonly groupWaitMs: number
  /** Takes what was synced, for readers at the tail. */
  readonly recent: RecentWrites | undefined
  /** The batch is synced. Called before its receipts go out, so that what is acknowledged can be read. */
  readonly onSynced: (batch: WriteBatch) => void
  /** A write or sync failed: everything pending has been failed. Nothing is written before `resume`. */
  readonly onFailed: (error: Error) => void
}

/**
 * Group commit. Records are copied once, into the buffer being filled, while the other one is written and synced; when
 * that is done the buffers change places. An idle journal writes at the end of the tick in which the first add came, so
 * that a lone add waits for nobody (but see `GroupWait`) and one tick's adds share a sync.
 *
 * Invariants
 *   J1  One write is under way at a time; its records and those before them are synced when it is done.
 *   J2  Receipts go out after the sync of their batch, batches in order: so in order for each ledger.
 *   J3  After a failed write or sync nothing is written to that file again, and nothing at all until `resume`.
 *   J4  Sequences are consecutive over all that is synced: those of a failed batch are given out again, in a later file.
 */
export class Journal {
  readonly #options: JournalOptions
  readonly #files: JournalFiles
  readonly #spare: SpareMemory
  #memory: RecordMemory
  #idleMemory: RecordMemory
  #filling: WriteBatch
  #writing: WriteBatch | undefined
  #state: 'running' | 'failed' | 'closed' = 'running'
  #isScheduled = false
  readonly #groupWait: GroupWait
  /** Ends the wait for company that is under way. */
  #endWait: (() => void) | undefined
  #backlog: Item[] = []
  #syncedSequence: number
  #batchNumber = 0
  readonly #spareBatches: WriteBatch[] = []
  #growPending = false
  #peakBytes = 0
  /** Since the start: synced to the disk, in whole blocks, and the payloads in it. */
  #writtenBytes = 0
  #syncCount = 0
  #entryBytes = 0
  #idleWaiters: (() => void)[] = []
  /** `#syncedSequence` when `markIfIdle` was called last, and behind the last mark. */
  #sequenceSeen = -1
  #markedSequence = -1
  /** The file that was last begun with a mark, and `#syncedSequence` behind that. */
  #bare = { file: -1, sequence: -1 }
  readonly #stamp: RecordStamp = { kind: RECORD_KIND.entry, generation: 0, sequence: 0, unsynced: 0 }
  readonly #onWaited = (): void => {
    this.#endWait = undefined
    this.#groupWait.note({ cameAnother: false })
    this.#submitTick()
  }
  readonly #endOfTick = (): void => {
    if (!this.#waits()) this.#submitTick()
  }
  readonly #submitTick = (): void => {
    this.#isScheduled = false
    if (this.#writing === undefined && this.#state === 'running') this.#submit()
  }

  constructor(options: JournalOptions) {
    this.#options = options
    this.#files = options.files
    this.#groupWait = new GroupWait(options.groupWaitMs)
    this.#spare = new SpareMemory(options.lane)
    this.#memory = recordMemory(this.#spare.allocate(toBlocks(options.bufferBytes)))
    this.#idleMemory = recordMemory(this.#spare.allocate(toBlocks(options.bufferBytes)))
    this.#syncedSequence = options.sequence
    this.#filling = this.#newBatch(options.sequence)
    const { tail, start, position } = this.#files.active
    assert(position === start && tail.length === this.#filling.head)
    if (start > FILE_HEADER_BYTES) this.#markedSequence = options.sequence // its last record is a seal
    this.#memory.bytes.set(tail)
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  get isIdle(): boolean {
    return this.#writing === undefined && this.#filling.isEmpty && this.#backlog.length === 0
  }

  /** Every record below it is synced. */
  get syncedSequence(): number {
    return this.#syncedSequence
  }

  get bufferBytes(): number {
    return this.#memory.bytes.length + this.#idleMemory.bytes.length
  }

  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Each of one write. */
  get syncCount(): number {
    return this.#syncCount
  }

  get entryBytes(): number {
    return this.#entryBytes
  }

  /** Must be running. */
  add(ledger: LedgerState, request: AddRequest, sink: AddSink): void {
    ledger.pendingRecords++
    if (this.#backlog.length > 0 || !this.#putAdd(ledger, request, sink)) {
      this.#backlog.push({ kind: 'add', ledger, request, sink })
    }
    if (this.#writing === undefined && (!this.#isScheduled || this.#endWait !== undefined)) this.#schedule()
  }

  /** `add` of each. Must be running. */
  addStretch(ledger: LedgerState, stretch: AddStretch, sink: AddSink): void {
    ledger.pendingRecords += stretch.count
    const item = { kind: 'stretch' as const, ledger, stretch, sink, from: 0 }
    if (this.#backlog.length > 0 || !this.#putStretch(item)) this.#backlog.push(item)
    if (this.#writing === undefined && (!this.#isScheduled || this.#endWait !== undefined)) this.#schedule()
  }

  /** `done` is called when the fence, and all adds before it, are synced, or with the failure. */
  fence(ledger: LedgerState, done: (error: Error | undefined) => void): void {
    assert(this.isRunning)
    ledger.pendingRecords++
    if (this.#backlog.length > 0 || !this.#putFence(ledger, done)) this.#backlog.push({ kind: 'fence', ledger, done })
    this.#schedule()
  }

  /** Tells a refusal in its turn. */
  refuse(refusal: Omit<Item & { kind: 'refuse' }, 'kind'>): void {
    if (this.#state !== 'running') {
      queueMicrotask(() => {
        refusal.sink.onAddFailed(refusal.ledger.ledgerId, refusal.entryId, refusal.failure)
      })
      return
    }
    if (this.#backlog.length > 0) this.#backlog.push({ kind: 'refuse', ...refusal })
    else this.#putRefusal(refusal)
    this.#schedule()
  }

  /** Goes on after a failure, in the file that is active now. */
  resume(): void {
    assert(this.#state === 'failed' && this.isIdle)
    this.#state = 'running'
    this.#filling = this.#newBatch(this.#syncedSequence)
  }

  /** Starts another file even though the active one is not full. Nothing must be pending; without a prepared file nothing happens. */
  roll(): void {
    if (!this.isIdle || this.#state !== 'running') return
    this.#files.roll()
    this.#files.closeRetired(undefined)
    this.#filling = this.#newBatch(this.#syncedSequence)
  }

  /**
   * To be called now and then. Where nothing came since the last call, writes a record whose only use is to prove those before
   * it: what is damaged there later is not taken for a write that never ended. Nobody waits for it.
   */
  markIfIdle(): void {
    const isQuiet = this.#sequenceSeen === this.#syncedSequence && this.isIdle && this.isRunning
    this.#sequenceSeen = this.#syncedSequence
    if (isQuiet && this.#syncedSequence > 0 && this.#markedSequence !== this.#syncedSequence) void this.mark()
  }

  /**
   * Has the active file say how far the journal is, by a record that holds nothing, unless others are under way. Resolves when it
   * is synced, or failed.
   */
  async mark(): Promise<void> {
    if (!this.isIdle || !this.isRunning || !this.#hasRoom(0)) return
    const { marked } = this.#filling
    this.#putRecord(SEAL_BODY, RECORD_KIND.mark)
    this.#markedSequence = this.#filling.endSequence
    const { number: file, position } = this.#files.active
    if (position === FILE_HEADER_BYTES) this.#bare = { file, sequence: this.#markedSequence }
    await new Promise<void>(resolve => {
      marked.push(resolve)
      this.#schedule()
    })
  }

  /** Nothing but a mark was written to the active file. */
  get isBare(): boolean {
    const { number, position, start } = this.#files.active
    return position === start || (this.#bare.file === number && this.#bare.sequence === this.#syncedSequence)
  }

  /** Gives memory back that a burst made it take. To be called now and then. */
  shrink(): void {
    const { bufferBytes } = this.#options
    const peak = this.#peakBytes
    this.#peakBytes = 0
    if (!this.isIdle || peak > bufferBytes) return
    const usualBytes = toBlocks(bufferBytes)
    if (this.#memory.bytes.length > usualBytes) this.#replaceMemory(usualBytes)
    if (this.#idleMemory.bytes.length > usualBytes) {
      this.#spare.release(this.#idleMemory.bytes)
      this.#idleMemory = recordMemory(this.#spare.allocate(usualBytes))
    }
    this.#spare.giveUp()
  }

  /** Resolves when nothing is pending. */
  async drain(): Promise<void> {
    while (!this.isIdle) {
      await new Promise<void>(resolve => {
        this.#idleWaiters.push(resolve)
      })
    }
  }

  /** Takes no new adds afterwards. A last record proves all of them synced. */
  async close(): Promise<void> {
    await this.drain()
    if (this.#state === 'running' && this.#files.active.position > this.#files.active.start) {
      await new Promise<void>(resolve => {
        this.#hasRoom(0)
        this.#putRecord(SEAL_BODY, RECORD_KIND.seal)
        this.#idleWaiters.push(resolve)
        this.#submit()
      })
    }
    this.#state = 'closed'
  }

  #schedule(): void {
    if (this.#endWait !== undefined) {
      this.#endWait()
      this.#endWait = undefined
      this.#groupWait.note({ cameAnother: true })
      setImmediate(this.#submitTick)
      return
    }
    if (this.#isScheduled || this.#writing !== undefined) return
    this.#isScheduled = true
    setImmediate(this.#endOfTick)
  }

  /** Has what is there wait for more, if that is worth it. */
  #waits(): boolean {
    const { recordCount, bytes } = this.#filling
    if (this.#state !== 'running' || this.#writing !== undefined || this.#backlog.length > 0) return false
    if (!this.#groupWait.isWanted({ records: recordCount, bytes })) return false
    this.#isScheduled = true
    this.#endWait = this.#options.clock.after(this.#groupWait.waitMs, this.#onWaited)
    return true
  }

  #newBatch(sequence: number): WriteBatch {
    const file = this.#files.active
    this.#stamp.generation = file.number
    const batch = this.#spareBatches.pop() ?? new WriteBatch()
    return batch.begin({ number: this.#batchNumber++, file, firstSequence: sequence })
  }

  #putAdd(ledger: LedgerState, request: AddRequest, sink: AddSink): boolean {
    const batch = this.#filling
    if (!this.#hasRoom(request.payload.length)) return false
    batch.noteEntry(ledger, request.entryId, request.payload.length)
    batch.noteReceipt(ledger, sink, request.entryId, request.lac)
    this.#putRecord(request, RECORD_KIND.entry)
    return true
  }

  /** As many as there is room for. True: all of them are in. */
  #putStretch(item: Item & { kind: 'stretch' }): boolean {
    const { ledger, stretch, sink } = item
    const batch = this.#filling
    while (item.from < stretch.count) {
      const { from } = item
      if (!this.#hasRoom(stretch.payloadBytesAt(from))) return false
      const { to, lac } = this.#fitting(stretch, from)
      batch.noteEntries(ledger, stretch, { from, to })
      batch.noteReceipt(ledger, sink, stretch.entryIdAt(from), lac)
      batch.noteReceipt(ledger, sink, stretch.entryIdAt(to - 1), lac)
      const stamp = this.#stampNext(RECORD_KIND.entry)
      batch.bytes += encodeRecords(this.#memory, batch.head + batch.bytes, stretch, { from, to, stamp })
      batch.recordCount += to - from
      item.from = to
    }
    return true
  }

  /** Where the entries end that there is room for, and the highest LAC of those up to there. */
  #fitting({ numbers, count }: AddStretch, from: number): { to: number; lac: EntryId } {
    let room = this.#memory.bytes.length - this.#filling.head - this.#filling.bytes
    let lac: number = NO_ENTRY
    let to = from
    for (; to < count; to++) {
      room -= recordBytes(numbers[to * STRETCH_STRIDE + 5] ?? 0)
      if (room < 0) break
      lac = Math.max(lac, numbers[to * STRETCH_STRIDE + 1] ?? NO_ENTRY)
    }
    return { to, lac: lac as EntryId }
  }

  #putFence(ledger: LedgerState, done: (error: Error | undefined) => void): boolean {
    if (!this.#hasRoom(0)) return false
    this.#filling.fenced.push({ ledger, done })
    this.#putRecord({ ...SEAL_BODY, ledgerId: ledger.ledgerId, lac: ledger.lac }, RECORD_KIND.fence)
    return true
  }

  #putRefusal({ ledger, entryId, failure, sink }: Omit<Item & { kind: 'refuse' }, 'kind'>): void {
    ledger.receiptBatch = -1
    this.#filling.receipts.push({ ledger, sink, highest: entryId, lac: NO_ENTRY, failure })
  }

  #putRecord(body: RecordBody, kind: RecordStamp['kind']): void {
    const batch = this.#filling
    const stamp = this.#stampNext(kind)
    batch.bytes += encodeRecord(this.#memory, batch.head + batch.bytes, body, stamp)
    batch.recordCount++
  }

  #stampNext(kind: RecordStamp['kind']): RecordStamp {
    const stamp = this.#stamp
    stamp.kind = kind
    stamp.sequence = this.#filling.endSequence
    stamp.unsynced = stamp.sequence - this.#syncedSequence
    return stamp
  }

  #hasRoom(payloadBytes: number): boolean {
    const need = recordBytes(payloadBytes)
    const { head, bytes } = this.#filling
    if (head + bytes + need <= this.#memory.bytes.length) return true
    if (bytes > 0) {
      this.#growPending = true
      return false
    }
    this.#replaceMemory(head + need)
    return true
  }

  /** Other memory to fill, before anything but the head of the batch is in it. */
  #replaceMemory(bytes: number): void {
    assert(this.#filling.bytes === 0)
    const before = this.#memory.bytes
    this.#memory = recordMemory(this.#spare.allocate(toBlocks(bytes)))
    before.copy(this.#memory.bytes, 0, 0, this.#filling.head)
    this.#spare.release(before)
  }

  #submit(): void {
    const batch = this.#filling
    if (batch.isEmpty) {
      this.#wakeIdle()
      return
    }
    this.#writing = batch
    batch.file.position += batch.bytes
    this.#peakBytes = Math.max(this.#peakBytes, batch.bytes)
    this.#files.rollIfFull()
    const memory = this.#memory
    this.#memory = this.#idleMemory
    this.#idleMemory = memory
    const filling = this.#newBatch(batch.endSequence)
    this.#filling = filling
    const end = batch.head + batch.bytes
    if (filling.file === batch.file) memory.bytes.copy(this.#memory.bytes, 0, end - filling.head, end)
    this.#growIfAsked()
    if (batch.bytes === 0) setImmediate(() => this.#onDone(batch, undefined))
    else {
      const bytes = toBlocks(end)
      memory.bytes.fill(0, end, bytes)
      const write = { file: batch.file.file, memory: memory.bytes, bytes, offset: batch.fileOffset - batch.head }
      this.#options.lane.writeAndSync(write, error => this.#onDone(batch, error))
    }
    if (this.#backlog.length > 0) this.#drainBacklog()
  }

  #growIfAsked(): void {
    const { bufferBytesMax } = this.#options
    const bytes = this.#memory.bytes.length
    if (!this.#growPending || bytes >= bufferBytesMax) return
    this.#growPending = false
    this.#replaceMemory(Math.min(bytes * 2, bufferBytesMax))
  }

  #drainBacklog(): void {
    // What is in a buffer goes at once, though others wait behind it: each keeps the message it came in.
    const rest = this.#backlog.findIndex(item => !this.#put(item))
    this.#backlog = rest < 0 ? [] : this.#backlog.slice(rest)
  }

  #put(item: Item): boolean {
    if (item.kind === 'stretch') return this.#putStretch(item)
    if (item.kind === 'add') return this.#putAdd(item.ledger, item.request, item.sink)
    if (item.kind === 'fence') return this.#putFence(item.ledger, item.done)
    this.#putRefusal(item)
    return true
  }

  #onDone(batch: WriteBatch, error: Error | undefined): void {
    assert(this.#writing === batch)
    this.#writing = undefined
    if (error !== undefined) {
      this.#fail(batch, error)
      return
    }
    this.#syncedSequence = batch.endSequence
    batch.file.syncedEnd = batch.fileOffset + batch.bytes
    batch.file.endSequence = batch.endSequence
    this.#writtenBytes += toBlocks(batch.head + batch.bytes)
    this.#syncCount += 1
    this.#entryBytes += batch.payloadBytes
    if (this.#options.recent !== undefined && batch.bytes > 0) this.#keepRecent(batch, this.#options.recent)
    // The disk is set to work again before receipts are given out.
    if (!this.#waits()) this.#submit()
    this.#files.closeRetired(this.#writingFile())
    this.#options.onSynced(batch)
    batch.tellDurable()
    this.#spareBatches.push(batch)
  }

  /** The memory it was written from is idle now, and may stay with those who read. */
  #keepRecent({ file, fileOffset, head, bytes }: WriteBatch, recent: RecentWrites): void {
    const memory = this.#idleMemory.bytes
    const written = { file: file.number, start: fileOffset, memory, from: head, bytes, lane: this.#spare }
    const next = recent.keep(written)
    if (next !== memory) this.#idleMemory = recordMemory(next)
  }

  #fail(batch: WriteBatch, cause: Error): void {
    this.#state = 'failed'
    this.#markedSequence = -1
    const filling = this.#filling
    const backlog = this.#backlog
    this.#backlog = []
    this.#filling = this.#newBatch(this.#syncedSequence)
    const error = bookieErrors.create('STORAGE_FAILED', { file: batch.file.file.path }, cause)
    this.#options.onFailed(error)
    for (const failed of [batch, filling]) failBatch(failed, error)
    for (const item of backlog) failItem(item, error)
    this.#wakeIdle()
  }

  #writingFile(): JournalFile | undefined {
    return this.#writing?.file
  }

  #wakeIdle(): void {
    if (!this.isIdle || this.#idleWaiters.length === 0) return
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }
}

/** Of a record about no ledger. */
const SEAL_BODY: RecordBody = {
  ...{ ledgerId: 0 as RecordBody['ledgerId'], entryId: NO_ENTRY, lac: NO_ENTRY, lengthBytes: 0, crc32c: 0 },
  payload: Buffer.alloc(0)
}
