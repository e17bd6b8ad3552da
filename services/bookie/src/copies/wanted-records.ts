import type { LedgerId } from '@strata/base'
import { isDigestRight } from '../format/digest.ts'
import { decodeRecordHeader, HEADER_BYTES, RECORD_KIND, recordBytes } from '../format/record.ts'

interface WantedEntries {
  readonly ledgerId: LedgerId
  readonly first: number
  readonly last: number
  /** From each entry's id to the next one's. */
  readonly every: number
}

/** What a piece begins with of what was asked for. */
export interface WantedRecords {
  /** Payload bytes of each entry, in their order. */
  readonly sizes: number[]
  /** Where the last one's record ends. */
  readonly end: number
  readonly payloadBytes: number
  /** The highest LAC that they carry; -1: none. */
  readonly lac: number
}

/** Whole records of exactly the entries wanted, one after another, each with the digest that its writer gave it. */
export function wantedRecords(bytes: Buffer, { ledgerId, first, last, every }: WantedEntries): WantedRecords {
  const sizes: number[] = []
  let end = 0
  let payloadBytes = 0
  let lac = -1
  for (let entryId = first; entryId <= last; entryId += every) {
    const header = decodeRecordHeader(bytes, end)
    if (header?.entryId !== entryId || header.ledgerId !== ledgerId || header.kind !== RECORD_KIND.entry) break
    const next = end + recordBytes(header.payloadBytes)
    if (next > bytes.length || header.lac >= entryId) break
    const payload = bytes.subarray(end + HEADER_BYTES, end + HEADER_BYTES + header.payloadBytes)
    if (!isDigestRight(header, payload)) break
    sizes.push(header.payloadBytes)
    payloadBytes += header.payloadBytes
    if (header.lac > lac) lac = header.lac
    end = next
  }
  return { sizes, end, payloadBytes, lac }
}
