import type { LedgerId } from '@strata/base'
import { IndexPage, PAGE_BYTES_MAX, PAGE_SLOTS } from '../format/page.ts'
import { recordBytes } from '../format/record.ts'
import type { FileTable, StoredFile } from '../storage/file-table.ts'
import type { EntryIndex } from './entry-index.ts'
import type { EntryTail } from './entry-tail.ts'
import type { IndexChange } from './index-store.ts'
import type { LedgerState } from './ledger-state.ts'
import {
  CHECKPOINT_KEY,
  encodeCheckpoint,
  encodeFileRow,
  encodeLedgerRow,
  fileKey,
  ledgerKey,
  pageKey,
  type Checkpoint
} from './rows.ts'

/** Steps before others get the thread: well below a millisecond, since code that runs every ten seconds is never fast. */
const STEPS_PER_SLICE = 512
/** A row of a ledger, or a page to find, in steps; one entry is one. */
const ROW_STEPS = 16
/** A page to encode. */
const PAGE_STEPS = 64

/**
 * The one writer of the index. Flushes, moves and deletions are done one after another, each as one atomic batch, since
 * each reads pages, changes them and writes them back.
 *
 * Invariant: a checkpoint is written in the same batch as everything before it that no batch has yet.
 */
export class IndexWriter {
  readonly #index: EntryIndex
  readonly #files: FileTable
  #queue: Promise<unknown> = Promise.resolve()
  readonly #dirty = new Set<LedgerState>()
  /** Entries in tails, about: for whoever decides when to flush. */
  unflushedEntries = 0
  /** Keys and values since the start, as they were handed to the store. */
  writtenBytes = 0

  constructor(index: EntryIndex, files: FileTable) {
    this.#index = index
    this.#files = files
  }

  /** The ledger has entries or a row that the index does not. */
  noteDirty(ledger: LedgerState): void {
    this.#dirty.add(ledger)
  }

  get hasDirty(): boolean {
    return this.#dirty.size > 0
  }

  /** Runs `work` alone. */
  exclusive<T>(work: (edit: IndexEdit) => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      const onWritten = (bytes: number): void => {
        this.writtenBytes += bytes
      }
      return work(new IndexEdit(this.#index, this.#files, onWritten))
    })
    this.#queue = result.catch(() => undefined)
    return result
  }

  /** Brings what is in tails into the index without a new checkpoint: it is brought in again after a crash. */
  async flushTails(): Promise<void> {
    await this.flush(() => undefined)
  }

  /** Brings the index up to `position()`, which is asked at the moment when the tails are taken. */
  flush(position: () => Checkpoint | undefined): Promise<void> {
    return this.exclusive(async edit => {
      const checkpoint = position()
      const ledgers = [...this.#dirty]
      this.#dirty.clear()
      this.unflushedEntries = 0
      for (const ledger of ledgers) takeTail(ledger)
      try {
        await this.#putTails(edit, ledgers)
        if (checkpoint !== undefined) edit.put(CHECKPOINT_KEY, encodeCheckpoint(checkpoint))
        // Synced: where LevelDB has begun another log, later synced batches do not make this one durable.
        await edit.commit({ sync: true })
      } catch (error) {
        for (const ledger of ledgers) this.#giveBack(ledger)
        throw error
      }
      for (const ledger of ledgers) {
        ledger.flushing = undefined
        ledger.isFlushing = false
      }
    })
  }

  async #putTails(edit: IndexEdit, ledgers: readonly LedgerState[]): Promise<void> {
    const turns = new Turns()
    for (const ledger of ledgers) {
      const tail = ledger.flushing
      for (let from = 0; tail !== undefined && from < tail.count;) {
        const page = await edit.page(ledger, tail.entryId(from))
        const to = edit.placeRun(page, tail, from)
        if (turns.isOver(to - from)) await breath()
        from = to
      }
      edit.put(ledgerKey(ledger.ledgerId), encodeLedgerRow(ledger))
      ledger.isRowStale = false
      if (turns.isOver(ROW_STEPS)) await breath()
    }
  }

  #giveBack(ledger: LedgerState): void {
    const newer = ledger.tail
    const older = ledger.flushing
    ledger.flushing = undefined
    ledger.isFlushing = false
    ledger.isRowStale = true
    this.#dirty.add(ledger)
    if (older === undefined) return
    for (let i = 0; newer !== undefined && i < newer.count; i++) older.append(newer.entryId(i), newer.location(i))
    ledger.tail = older
  }
}

function takeTail(ledger: LedgerState): void {
  ledger.flushing = ledger.tail
  ledger.tail = undefined
  ledger.isFlushing = true
}

export function breath(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}

/** When work that is cut into slices is to let others run. */
class Turns {
  #steps = 0

  /** `steps` more are done; true: enough for now. */
  isOver(steps: number): boolean {
    this.#steps += steps
    if (this.#steps < STEPS_PER_SLICE) return false
    this.#steps = 0
    return true
  }
}

interface HeldPage {
  readonly key: Buffer
  readonly page: IndexPage
}

/** Changes that become one batch. Pages are changed in place, so readers see them at once: only what is synced may go in. */
export class IndexEdit {
  readonly #index: EntryIndex
  readonly #files: FileTable
  readonly #onWritten: (bytes: number) => void
  readonly #changes: IndexChange[] = []
  readonly #pages = new Map<string, HeldPage>()
  readonly #touched = new Set<StoredFile>()
  readonly #removed = new Set<StoredFile>()
  #lastLedger: LedgerId | undefined
  #lastNumber = -1
  #lastPage: IndexPage | undefined
  #bytes = 0

  constructor(index: EntryIndex, files: FileTable, onWritten: (bytes: number) => void) {
    this.#index = index
    this.#files = files
    this.#onWritten = onWritten
  }

  /** The page of the entry, if it was the one used last. */
  pageHeld(ledger: LedgerState, entryId: number): IndexPage | undefined {
    const isSame = this.#lastLedger === ledger.ledgerId && this.#lastNumber === Math.floor(entryId / PAGE_SLOTS)
    return isSame ? this.#lastPage : undefined
  }

  async page(ledger: LedgerState, entryId: number): Promise<IndexPage> {
    const number = Math.floor(entryId / PAGE_SLOTS)
    const key = pageKey(ledger.ledgerId, number)
    const name = key.toString('latin1')
    let held = this.#pages.get(name)
    if (held === undefined) {
      const stored = await this.#index.page(ledger, number)
      held = { key, page: stored ?? new IndexPage() }
      this.#pages.set(name, held)
      // Cached at once: from here on the store is behind, and a look-up must not bring the older page back.
      this.#index.cachePage(key, held.page)
      ledger.lastPage = Math.max(ledger.lastPage, number)
    }
    this.#lastLedger = ledger.ledgerId
    this.#lastNumber = number
    this.#lastPage = held.page
    return held.page
  }

  /** Points the slot at a new place; the old one is dead. */
  place(page: IndexPage, slot: number, to: { file: number; offset: number; payloadBytes: number }): void {
    const bytes = recordBytes(to.payloadBytes)
    this.#forget(page, slot)
    page.set(slot, to.file, to.offset, to.payloadBytes)
    this.addLive(to.file, bytes)
  }

  /**
   * `place` of entries of a tail, from `from` on, for as long as they are of the same page and the same file: a file's share is
   * counted once for all of them. Returns where they end, at most as many as a page has.
   */
  placeRun(page: IndexPage, tail: EntryTail, from: number): number {
    const file = tail.file(from)
    const firstOfPage = tail.entryId(from) - (tail.entryId(from) % PAGE_SLOTS)
    const end = Math.min(tail.count, from + PAGE_SLOTS)
    let bytes = 0
    let i = from
    for (; i < end && tail.file(i) === file; i++) {
      const slot = tail.entryId(i) - firstOfPage
      if (slot < 0 || slot >= PAGE_SLOTS) break
      const payloadBytes = tail.payloadBytes(i)
      if (page.fileAt(slot) === file) bytes -= recordBytes(page.payloadBytesAt(slot))
      else this.#forget(page, slot)
      page.set(slot, file, tail.offset(i), payloadBytes)
      bytes += recordBytes(payloadBytes)
    }
    this.addLive(file, bytes)
    return i
  }

  addLive(fileNumber: number, bytes: number): void {
    const file = this.#files.get(fileNumber)
    if (file === undefined) return
    // An estimate that only chooses files: a batch that failed and is made again is counted twice, and must not end below 0.
    file.liveBytes = Math.max(0, file.liveBytes + bytes)
    this.#touched.add(file)
  }

  put(key: Buffer, value: Buffer | undefined): void {
    this.#changes.push({ key, value })
    this.#bytes += key.length + (value?.length ?? 0)
  }

  touch(file: StoredFile): void {
    this.#touched.add(file)
  }

  /** The file's row goes with this batch: nothing refers to it any more. */
  remove(file: StoredFile): void {
    this.#removed.add(file)
  }

  async commit(options: { sync: boolean }): Promise<void> {
    const turns = new Turns()
    const scratch = Buffer.allocUnsafe(PAGE_BYTES_MAX)
    for (const { key, page } of this.#pages.values()) {
      this.put(key, page.isEmpty ? undefined : page.encode(scratch))
      if (turns.isOver(PAGE_STEPS)) await breath()
    }
    for (const file of this.#touched) {
      const isKept = this.#files.get(file.number) === file && !this.#removed.has(file)
      if (isKept) this.put(fileKey(file.number), encodeFileRow(file))
    }
    for (const file of this.#removed) this.put(fileKey(file.number), undefined)
    await this.#index.store.write(this.#changes, options)
    this.#onWritten(this.#bytes)
    this.#index.noteCommitted(this.#pages)
  }

  #forget(page: IndexPage, slot: number): void {
    const file = page.fileAt(slot)
    if (file !== 0) this.addLive(file, -recordBytes(page.payloadBytesAt(slot)))
  }
}
