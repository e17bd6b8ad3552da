import type { Clock, EntryId, LedgerId, Logger } from '@strata/base'
import { systemCode } from '../errors.ts'
import { isDigestRight } from '../format/digest.ts'
import { FILE_HEADER_BYTES } from '../format/file-header.ts'
import { decodeRecordHeader, HEADER_BYTES, RECORD_ALIGNMENT, RECORD_KIND, recordBytes } from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import { liveWithin, type PlacedEntry } from '../index/live-within.ts'
import type { DamageTable, DamagedEntry } from './damage.ts'
import type { FileTable, StoredFile } from './file-table.ts'
import { RecordScan } from './record-scan.ts'

export interface ScrubberOptions {
  readonly files: FileTable
  readonly index: EntryIndex
  readonly damage: DamageTable
  readonly clock: Clock
  readonly log: Logger
  /** 0: nothing is read unless it is asked for. */
  readonly bytesPerSecond: number
  /** From the end of a round to the next one. */
  readonly intervalMs: number
  /** Files that the index refers to and that are not there. */
  readonly missing: readonly number[]
  readonly onDamaged: (entry: DamagedEntry) => void
}

/** One look at one file. */
interface Pass {
  readonly file: StoredFile
  /** Where its records ended when it began. */
  readonly end: number
  /** ledger:entry */
  readonly damaged: Set<string>
  scan: RecordScan
}

/** Read at once; what follows a read that failed is looked for behind it. */
const WINDOW_BYTES = 1024 * 1024

/**
 * Reads every file, round by round, and compares each record with its digest. A live entry that is not right is noted and
 * otherwise left as it is, for whoever can bring it again from another node. What is wrong and not live is of no account.
 */
export class Scrubber {
  readonly #options: ScrubberOptions
  #round: Promise<void> | undefined
  #endedMs: number
  #isClosing = false
  #hurry: (() => void) | undefined
  /** Since the start. */
  scrubbedBytes = 0
  rounds = 0

  constructor(options: ScrubberOptions) {
    this.#options = options
    this.#endedMs = options.clock.nowMs()
  }

  startIfDue(): void {
    const { clock, intervalMs, bytesPerSecond } = this.#options
    if (bytesPerSecond > 0 && clock.nowMs() - this.#endedMs >= intervalMs) void this.run()
  }

  /** Resolves when a round has ended: the one under way, or one from now on. A round that fails is told in the log. */
  run(): Promise<void> {
    if (this.#isClosing) return Promise.resolve()
    this.#round ??= this.#scrub().finally(() => {
      this.#round = undefined
      this.#endedMs = this.#options.clock.nowMs()
    })
    return this.#round
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#hurry?.()
    await this.#round
  }

  async #scrub(): Promise<void> {
    const { files, index, damage, log, missing } = this.#options
    try {
      await damage.review(index)
      for (const number of missing) await this.#examineMissing(number)
      for (const file of [...files.all].sort((a, b) => a.number - b.number)) {
        if (this.#isClosing) return
        if (files.get(file.number) === file) await this.#scrubFile(file)
      }
      this.rounds++
      log.debug({ event: 'scrub.ended', damagedEntries: damage.size }, 'every record was compared with its digest')
    } catch (error) {
      log.warn({ event: 'scrub.failed', err: error }, 'a scrub could not go on; the next one begins anew')
    }
  }

  async #scrubFile(file: StoredFile): Promise<void> {
    const { files, damage, clock } = this.#options
    const pass: Pass = { file, end: file.end, damaged: new Set(), scan: this.#scanFrom(file, FILE_HEADER_BYTES) }
    const isThere = (): boolean => files.get(file.number) === file && !this.#isClosing
    while (pass.scan.offset < pass.end && isThere()) {
      const startedMs = clock.nowMs()
      const from = pass.scan.offset
      await this.#scrubWindow(pass)
      await this.#pace(pass.scan.offset - from, startedMs)
    }
    if (isThere()) damage.acquitOthersOf(file.number, pass.damaged)
  }

  #scanFrom(file: StoredFile, offset: number): RecordScan {
    const { files } = this.#options
    const read = (into: Uint8Array, at: number): Promise<number> => files.read(file.number, into, at)
    return new RecordScan(read, { offset, windowBytes: WINDOW_BYTES, end: file.end })
  }

  /** Goes on by about a window. */
  async #scrubWindow(pass: Pass): Promise<void> {
    const { file, end, scan } = pass
    const from = scan.offset
    const stop = Math.min(from + WINDOW_BYTES, end)
    try {
      while (scan.offset < stop) {
        const record = await scan.next()
        if (record === undefined) break
        const { header, payload } = record
        this.scrubbedBytes += recordBytes(header.payloadBytes)
        if (header.kind !== RECORD_KIND.entry || isDigestRight(header, payload)) continue
        await this.#examine(pass, { ...header, offset: record.offset })
      }
      if (scan.offset < stop) await this.#passBadHeader(pass)
    } catch (error) {
      const isGone = this.#options.files.get(file.number) !== file
      const to = isGone ? end : Math.min(Math.max(stop, scan.offset), end)
      if (!isGone) {
        const fields = { event: 'scrub.read_failed', file: file.path, offset: scan.offset, err: error }
        this.#options.log.warn(fields, 'a part of a file is unreadable')
        await this.#examineAll(pass, { from, to })
      }
      pass.scan = this.#scanFrom(file, toAlignment(to))
    }
  }

  async #passBadHeader(pass: Pass): Promise<void> {
    const { end, scan } = pass
    const from = scan.offset
    // Not the header at `from` itself, whose payload the file may be too short for.
    scan.offset += RECORD_ALIGNMENT
    const header = await scan.seekHeader()
    const to = header === undefined ? end : Math.min(scan.offset - RECORD_ALIGNMENT, end)
    scan.offset = to
    await this.#examineAll(pass, { from, to })
  }

  /** No record can be followed there: the index says what should stand. */
  async #examineAll(pass: Pass, { from, to }: { from: number; to: number }): Promise<void> {
    const placed = await liveWithin(this.#options.index, { file: pass.file.number, from, to })
    for (const entry of placed) await this.#examine(pass, entry)
  }

  /** Reads the one record once more, and notes it if it is live and still not right. */
  async #examine({ file, damaged }: Pass, entry: PlacedEntry): Promise<void> {
    const { files, index } = this.#options
    const { ledgerId, entryId, offset, payloadBytes } = entry
    const ledger = index.ledger(ledgerId)
    const location = ledger.isDeleted ? undefined : await index.locate(ledger, entryId)
    if (location?.file !== file.number || location.offset !== offset) return
    let reason = 'digest'
    try {
      const bytes = Buffer.allocUnsafe(recordBytes(payloadBytes))
      const count = await files.read(file.number, bytes, offset)
      if (isRight(bytes.subarray(0, count), { ledgerId, entryId, payloadBytes })) return
    } catch (error) {
      reason = systemCode(error)
    }
    damaged.add(`${ledgerId}:${entryId}`)
    this.#options.onDamaged({ ledgerId, entryId, file: file.number, path: file.path, offset, reason })
  }

  async #examineMissing(number: number): Promise<void> {
    const { index, onDamaged } = this.#options
    const placed = await liveWithin(index, { file: number, from: 0, to: Number.MAX_SAFE_INTEGER })
    for (const { ledgerId, entryId, offset } of placed) {
      onDamaged({ ledgerId, entryId, file: number, path: `a missing file (${number})`, offset, reason: 'ENOENT' })
    }
  }

  async #pace(bytes: number, startedMs: number): Promise<void> {
    const { clock, bytesPerSecond } = this.#options
    if (this.#isClosing || bytesPerSecond === 0) return
    const waitMs = (bytes / bytesPerSecond) * 1000 - (clock.nowMs() - startedMs)
    if (waitMs <= 0) return
    await new Promise<void>(resolve => {
      this.#hurry = resolve
      clock.after(waitMs, resolve)
    })
    this.#hurry = undefined
  }
}

function toAlignment(offset: number): number {
  return Math.ceil(offset / RECORD_ALIGNMENT) * RECORD_ALIGNMENT
}

function isRight(
  bytes: Buffer,
  { ledgerId, entryId, payloadBytes }: { ledgerId: LedgerId; entryId: EntryId; payloadBytes: number }
): boolean {
  const header = decodeRecordHeader(bytes, 0)
  if (header?.ledgerId !== ledgerId || header.entryId !== entryId || header.payloadBytes !== payloadBytes) return false
  if (HEADER_BYTES + payloadBytes > bytes.length) return false
  return isDigestRight(header, bytes.subarray(HEADER_BYTES, HEADER_BYTES + payloadBytes))
}
