import { FILE_HEADER_BYTES } from '../format/file-header.ts'
import { decodeRecordHeader, HEADER_BYTES, recordBytes, RECORD_ALIGNMENT, type RecordHeader } from '../format/record.ts'

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
  #window = Buffer.alloc(0)
  #windowAt = 0
  offset: number

  constructor(read: ReadAt, offset = FILE_HEADER_BYTES) {
    this.#read = read
    this.offset = offset
  }

  /** The digest of the payload is for the caller to check. */
  async next(): Promise<ScannedRecord | undefined> {
    const start = await this.#at(this.offset, HEADER_BYTES)
    const header = decodeRecordHeader(this.#window, start)
    if (header === undefined) return undefined
    const total = recordBytes(header.payloadBytes)
    const at = await this.#at(this.offset, total)
    if (at + HEADER_BYTES + header.payloadBytes > this.#window.length) return undefined
    const payload = this.#window.subarray(at + HEADER_BYTES, at + HEADER_BYTES + header.payloadBytes)
    const offset = this.offset
    this.offset += total
    return { header, offset, payload }
  }

  /** From the present place on, the next place where a valid header stands, payload unseen; the scan goes on behind it. */
  async seekHeader(): Promise<RecordHeader | undefined> {
    for (;;) {
      const at = await this.#at(this.offset, HEADER_BYTES)
      if (at + HEADER_BYTES > this.#window.length) return undefined
      const last = this.#window.length - HEADER_BYTES
      for (let i = at; i <= last; i += RECORD_ALIGNMENT) {
        const header = decodeRecordHeader(this.#window, i)
        this.offset += RECORD_ALIGNMENT
        if (header !== undefined) return header
      }
    }
  }

  /** Makes `bytes` from `offset` on stand in the window (or as many as there are). Returns where they stand. */
  async #at(offset: number, bytes: number): Promise<number> {
    const start = offset - this.#windowAt
    if (start >= 0 && start + bytes <= this.#window.length) return start
    const window = Buffer.allocUnsafe(Math.max(WINDOW_BYTES, bytes))
    const count = await this.#read(window, offset)
    this.#window = window.subarray(0, count)
    this.#windowAt = offset
    return 0
  }
}
