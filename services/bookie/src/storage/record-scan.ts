import { FILE_HEADER_BYTES } from '../format/file-header.ts'
import {
  decodeRecordHeader,
  HEADER_BYTES,
  RECORD_ALIGNMENT,
  RECORD_MAGIC,
  recordBytes,
  type RecordHeader
} from '../format/record.ts'

/** Reads bytes of one file; fewer than asked only at its end. */
export type ReadAt = (into: Uint8Array, offset: number) => Promise<number>

export interface ScannedRecord {
  readonly header: RecordHeader
  readonly offset: number
  /** A view of the scan's buffer: valid until the next record is asked for. */
  readonly payload: Buffer
}

const WINDOW_BYTES = 1024 * 1024

/** Walks records from `offset`. Ends (without a value) at the first place where no whole record stands. */
export class RecordScan {
  readonly #read: ReadAt
  readonly #windowBytes: number
  readonly #end: number
  readonly #readsAhead: boolean
  #window = Buffer.alloc(0)
  #windowAt = 0
  /** What follows the window, on its way. */
  #ahead: { readonly offset: number; readonly bytes: Promise<Buffer | undefined> } | undefined
  offset: number

  /** `end`: where the file ends, as far as is known: saves memory. `readsAhead`: the next window is read while the records of one are looked at. */
  constructor(
    read: ReadAt,
    { offset = FILE_HEADER_BYTES, windowBytes = WINDOW_BYTES, end = Infinity, readsAhead = false } = {}
  ) {
    this.#read = read
    this.#end = end
    this.#windowBytes = windowBytes
    this.#readsAhead = readsAhead
    this.offset = offset
  }

  /** The digest of the payload is for the caller to check. */
  async next(): Promise<ScannedRecord | undefined> {
    const held = this.held()
    if (held !== undefined) return held
    const start = await this.#at(this.offset, HEADER_BYTES)
    const header = decodeRecordHeader(this.#window, start)
    if (header === undefined) return undefined
    await this.#at(this.offset, recordBytes(header.payloadBytes))
    return this.held()
  }

  /** The next record, if all of it was read already; undefined: only `next` knows. */
  held(): ScannedRecord | undefined {
    const at = this.offset - this.#windowAt
    const header = at < 0 ? undefined : decodeRecordHeader(this.#window, at)
    if (header === undefined || at + HEADER_BYTES + header.payloadBytes > this.#window.length) return undefined
    const payload = this.#window.subarray(at + HEADER_BYTES, at + HEADER_BYTES + header.payloadBytes)
    const { offset } = this
    this.offset += recordBytes(header.payloadBytes)
    return { header, offset, payload }
  }

  /** From the present place on, the next place where a valid header stands, payload unseen; the scan goes on behind it. */
  async seekHeader(): Promise<RecordHeader | undefined> {
    for (;;) {
      const start = await this.#at(this.offset, HEADER_BYTES)
      const last = this.#window.length - HEADER_BYTES
      if (start > last) return undefined
      // Most of what is behind an end is zeros: the search for the magic byte is native.
      for (let at = this.#window.indexOf(RECORD_MAGIC, start); at >= 0 && at <= last;) {
        const offset = this.#windowAt + at
        const header = offset % RECORD_ALIGNMENT === 0 ? decodeRecordHeader(this.#window, at) : undefined
        if (header !== undefined) {
          this.offset = offset + RECORD_ALIGNMENT
          return header
        }
        at = this.#window.indexOf(RECORD_MAGIC, at + 1)
      }
      const next = this.#windowAt + last + 1
      this.offset = next + ((RECORD_ALIGNMENT - (next % RECORD_ALIGNMENT)) % RECORD_ALIGNMENT)
    }
  }

  /** Makes `bytes` from `offset` on stand in the window (or as many as there are). Returns where they stand. */
  async #at(offset: number, bytes: number): Promise<number> {
    const start = offset - this.#windowAt
    if (start >= 0 && start + bytes <= this.#window.length) return start
    if (this.#readsAhead && (await this.#takeAhead(offset, bytes))) return 0
    const isLast = this.#end - offset < this.#windowBytes
    const window = Buffer.allocUnsafe(Math.max(isLast ? this.#end - offset : this.#windowBytes, bytes))
    const count = await this.#read(window, offset)
    this.#window = window.subarray(0, count)
    this.#windowAt = offset
    if (this.#readsAhead && !isLast && count === window.length) this.#readAhead()
    return 0
  }

  /** What is left of the window, and what was read behind it. False: that is not enough. */
  async #takeAhead(offset: number, bytes: number): Promise<boolean> {
    const ahead = this.#ahead
    this.#ahead = undefined
    const left = offset - this.#windowAt
    if (left < 0 || left > this.#window.length || ahead?.offset !== this.#windowAt + this.#window.length) return false
    const next = await ahead.bytes
    if (next === undefined || this.#window.length - left + next.length < bytes) return false
    this.#window = Buffer.concat([this.#window.subarray(left), next])
    this.#windowAt = offset
    if (next.length === this.#windowBytes) this.#readAhead()
    return true
  }

  #readAhead(): void {
    const offset = this.#windowAt + this.#window.length
    const window = Buffer.allocUnsafe(this.#windowBytes)
    const bytes = this.#read(window, offset).then(
      count => window.subarray(0, count),
      // Read again when its turn comes: then it tells.
      () => undefined
    )
    this.#ahead = { offset, bytes }
  }
}
