import { strict as assert } from 'node:assert'
import type { EntryId } from '@strata/base'
import { STRETCH_STRIDE, type AddFailure, type AddSink, type AddStretch } from '@strata/ledger-client'
import { BLOCK_BYTES } from '../disk/block-memory.ts'
import { recordBytes } from '../format/record.ts'
import type { LedgerState } from '../index/ledger-state.ts'
import type { JournalFile } from './journal-files.ts'

/** Numbers of one record: entry id, offset in the file, payload bytes. */
export const RECORD_STRIDE = 3

/** A batch of tiny entries may need more; it does not keep them. */
const NUMBERS_KEPT_MAX = 16_384 * RECORD_STRIDE

/** To whom one batch answers for one ledger: once, with the highest entry. */
export interface Receipt {
  readonly ledger: LedgerState
  readonly sink: AddSink
  /** First and highest entry of the ledger that came through this sink. */
  highest: EntryId
  lac: EntryId
  /** Set: these entries were refused, and are told in their place behind the adds before them. */
  readonly failure: AddFailure | undefined
}

/**
 * What is written with one sync: the records that came while the sync before it was under way. Holds what is to be done
 * when they are durable; their bytes are in the journal's buffer.
 */
export class WriteBatch {
  number = -1
  #file: JournalFile | undefined
  /** Where in the file its first record goes. */
  fileOffset = 0
  /** What stands in the same block in front of it: written again with it, unchanged. */
  head = 0
  firstSequence = 0
  bytes = 0
  payloadBytes = 0
  recordCount = 0
  /** Entries only; fences are in `fenced`. Of those that follow each other: whose they are, and how many. */
  readonly ledgers: LedgerState[] = []
  readonly counts: number[] = []
  entryCount = 0
  numbers = new Float64Array(64 * RECORD_STRIDE)
  readonly receipts: Receipt[] = []
  readonly fenced: { readonly ledger: LedgerState; readonly done: (error: Error | undefined) => void }[] = []
  /** Who waits for a mark, whatever becomes of it. */
  readonly marked: (() => void)[] = []

  get file(): JournalFile {
    assert(this.#file !== undefined, 'the batch was not begun')
    return this.#file
  }

  /** Empties it for its next use: batches are few and used again, since their arrays are large. */
  begin(options: { readonly number: number; readonly file: JournalFile; readonly firstSequence: number }): this {
    this.number = options.number
    this.#file = options.file
    this.fileOffset = options.file.position
    this.head = this.fileOffset % BLOCK_BYTES
    this.firstSequence = options.firstSequence
    this.bytes = 0
    this.payloadBytes = 0
    this.recordCount = 0
    this.ledgers.length = 0
    this.counts.length = 0
    this.entryCount = 0
    this.receipts.length = 0
    this.fenced.length = 0
    this.marked.length = 0
    if (this.numbers.length > NUMBERS_KEPT_MAX) this.numbers = new Float64Array(64 * RECORD_STRIDE)
    return this
  }

  get isEmpty(): boolean {
    return this.recordCount === 0 && this.receipts.length === 0
  }

  get endSequence(): number {
    return this.firstSequence + this.recordCount
  }

  /** All of it is synced: whoever waits is told, fences before adds. */
  tellDurable(): void {
    for (const done of this.marked) done()
    for (const { ledger, done } of this.fenced) {
      ledger.pendingRecords--
      done(undefined)
    }
    for (const { ledger, sink, highest, failure } of this.receipts) {
      if (failure === undefined) sink.onAdded(ledger.ledgerId, highest)
      else sink.onAddFailed(ledger.ledgerId, highest, failure)
    }
  }

  noteEntry(ledger: LedgerState, entryId: EntryId, payloadBytes: number): void {
    this.#makeRoom(1)
    this.#put(entryId, this.fileOffset + this.bytes, payloadBytes)
    this.#noteCount(ledger, 1)
  }

  /** Entries `from` to before `to`, whose records follow each other. */
  noteEntries(ledger: LedgerState, { numbers }: AddStretch, { from, to }: { from: number; to: number }): void {
    this.#makeRoom(to - from)
    let offset = this.fileOffset + this.bytes
    for (let i = from * STRETCH_STRIDE; i < to * STRETCH_STRIDE; i += STRETCH_STRIDE) {
      const payloadBytes = numbers[i + 5] ?? 0
      this.#put(numbers[i] ?? 0, offset, payloadBytes)
      offset += recordBytes(payloadBytes)
    }
    this.#noteCount(ledger, to - from)
  }

  #put(entryId: number, offset: number, payloadBytes: number): void {
    const at = this.entryCount++ * RECORD_STRIDE
    this.numbers[at] = entryId
    this.numbers[at + 1] = offset
    this.numbers[at + 2] = payloadBytes
    this.payloadBytes += payloadBytes
  }

  #makeRoom(count: number): void {
    const needed = (this.entryCount + count) * RECORD_STRIDE
    if (needed <= this.numbers.length) return
    const grown = new Float64Array(Math.max(needed, this.numbers.length * 2))
    grown.set(this.numbers)
    this.numbers = grown
  }

  #noteCount(ledger: LedgerState, count: number): void {
    const last = this.ledgers.length - 1
    if (this.ledgers[last] === ledger) this.counts[last] = (this.counts[last] ?? 0) + count
    else {
      this.ledgers.push(ledger)
      this.counts.push(count)
    }
  }

  noteReceipt(ledger: LedgerState, sink: AddSink, entryId: EntryId, lac: EntryId): void {
    const last = ledger.receiptBatch === this.number ? this.receipts[ledger.receiptIndex] : undefined
    if (last?.sink === sink && last.highest < entryId) {
      last.highest = entryId
      if (lac > last.lac) last.lac = lac
      return
    }
    ledger.receiptBatch = this.number
    ledger.receiptIndex = this.receipts.length
    this.receipts.push({ ledger, sink, highest: entryId, lac, failure: undefined })
  }
}
