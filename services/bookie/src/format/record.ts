import { NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import { STRETCH_STRIDE } from '@strata/ledger-client'
import { headerCrc, word } from './crc32c.ts'

/*
  Record, format version 1, in journal files and entry logs. Little-endian. Starts at a multiple of 8.

    offset  size  field
         0     1  magic 0xb7
         1     1  format version, 1
         2     1  kind: 1 entry, 2 fence, 3 seal (nothing follows in this file), 4 mark (proves what is before it, no more)
         3     1  reserved, 0
         4     4  generation: number of the journal file it was written to
         8     4  unsynced: how many records before this one were not known synced when it was written
        12     4  payload bytes
        16     8  sequence: one higher than the record before it, through all files
        24     8  ledger id
        32     8  entry id + 1        0 for a fence or a seal
        40     8  LAC + 1
        48     8  length: payload bytes of the ledger up to and with this entry
        56     4  entry digest, as the writer computed it: covers ledger, entry, LAC, length and payload
        60     4  CRC32C of bytes 0..59
        64     n  payload, then zeros to the next multiple of 8

  Moved to an entry log, a record is copied byte for byte, generation and sequence included.
  `sequence - unsynced` proves everything below it synced: replay never cuts there.
*/
export const RECORD_VERSION = 1
export const HEADER_BYTES = 64
export const RECORD_ALIGNMENT = 8
/** What one record's payload may be at most: a header that says more is not a header. */
export const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024

/**
 * V8 copies into memory that threads share, as the journal's is, in small atomic steps: a byte each where source and target are not
 * aligned alike, 600 ns for 1 KB. `fill` with as many bytes as there is room for is one plain copy, whose call costs more.
 */
const PLAIN_COPY_BYTES = 512

export const RECORD_KIND = { entry: 1, fence: 2, seal: 3, mark: 4 } as const
export type RecordKind = (typeof RECORD_KIND)[keyof typeof RECORD_KIND]

/** It is of the journal alone: about no ledger, and never moved. */
export function isJournalOnly(kind: RecordKind): boolean {
  return kind === RECORD_KIND.seal || kind === RECORD_KIND.mark
}

export const RECORD_MAGIC = 0xb7
const FIRST_WORD = RECORD_MAGIC | (RECORD_VERSION << 8)
const CRC_AT = 60
const TWO_32 = 0x1_0000_0000

/** What the journal adds to an entry; one object is used for many records. */
export interface RecordStamp {
  kind: RecordKind
  generation: number
  sequence: number
  unsynced: number
}

export interface RecordBody {
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
  readonly lac: EntryId
  readonly lengthBytes: number
  readonly crc32c: number
  readonly payload: Uint8Array
}

export interface RecordHeader {
  readonly kind: RecordKind
  readonly generation: number
  readonly sequence: number
  /** Every record with a lower sequence was synced when this one was written. */
  readonly provenSequence: number
  readonly payloadBytes: number
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
  readonly lac: EntryId
  readonly lengthBytes: number
  readonly crc32c: number
}

/** Memory that records are written into; the view and the bytes are the same memory. */
export interface RecordMemory {
  readonly bytes: Buffer
  readonly view: DataView
}

export function recordMemory(bytes: Buffer): RecordMemory {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
}

/** Bytes of a whole record, padding included. */
export function recordBytes(payloadBytes: number): number {
  return HEADER_BYTES + ((payloadBytes + RECORD_ALIGNMENT - 1) & -RECORD_ALIGNMENT)
}

/** Writes a record at `at`; the payload is copied here, once. Returns the bytes it takes. */
export function encodeRecord(memory: RecordMemory, at: number, body: RecordBody, stamp: RecordStamp): number {
  const payload = body.payload
  putHeader(memory, at, body, payload.length, stamp)
  copyInto(memory.bytes, at + HEADER_BYTES, payload)
  return pad(memory.bytes, at, payload.length)
}

/** Entries that came together, as `encodeRecords` reads them. */
export interface RecordSource {
  readonly ledgerId: LedgerId
  readonly bytes: Buffer
  /** `STRETCH_STRIDE` for each. */
  readonly numbers: Float64Array
}

/**
 * Writes the records of entries `from` to before `to` at `at`, their sequences beginning with the stamp's. Payloads that stand as far
 * apart in the source as in the journal are copied as one; headers then go over what came between them. Returns the bytes they take.
 */
export function encodeRecords(
  memory: RecordMemory,
  at: number,
  source: RecordSource,
  { from, to, stamp }: { readonly from: number; readonly to: number; readonly stamp: RecordStamp }
): number {
  const { numbers } = source
  const body = { ledgerId: source.ledgerId, entryId: NO_ENTRY, lac: NO_ENTRY, lengthBytes: 0, crc32c: 0 }
  let end = at
  for (let first = from; first < to;) {
    const next = regularUpTo(numbers, first, to)
    const begin = numbers[first * STRETCH_STRIDE + 4] ?? 0
    const last = (next - 1) * STRETCH_STRIDE
    copyInto(memory.bytes, end + HEADER_BYTES, source.bytes.subarray(begin, payloadEnd(numbers, last)))
    for (let i = first; i < next; i++) {
      const place = i * STRETCH_STRIDE
      body.entryId = numbers[place] as EntryId
      body.lac = numbers[place + 1] as EntryId
      body.lengthBytes = numbers[place + 2] ?? 0
      body.crc32c = numbers[place + 3] ?? 0
      const payloadBytes = numbers[place + 5] ?? 0
      putHeader(memory, end, body, payloadBytes, stamp)
      end += pad(memory.bytes, end, payloadBytes)
      stamp.sequence += 1
      stamp.unsynced += 1
    }
    first = next
  }
  return end - at
}

/** The first entry behind `first` whose payload does not stand behind the one before it as it will in the journal. */
function regularUpTo(numbers: Float64Array, first: number, to: number): number {
  let next = first + 1
  for (let at = first * STRETCH_STRIDE; next < to; next++, at += STRETCH_STRIDE) {
    const pitch = (numbers[at + STRETCH_STRIDE + 4] ?? 0) - (numbers[at + 4] ?? 0)
    if (pitch !== recordBytes(numbers[at + 5] ?? 0)) break
  }
  return next
}

function payloadEnd(numbers: Float64Array, at: number): number {
  return (numbers[at + 4] ?? 0) + (numbers[at + 5] ?? 0)
}

function copyInto(bytes: Buffer, at: number, source: Uint8Array): void {
  if (source.length < PLAIN_COPY_BYTES) bytes.set(source, at)
  else bytes.fill(source, at, at + source.length)
}

/** Zeros behind the payload of the record at `at`. Returns the bytes of the record. */
function pad(bytes: Buffer, at: number, payloadBytes: number): number {
  const total = recordBytes(payloadBytes)
  for (let i = at + HEADER_BYTES + payloadBytes; i < at + total; i++) bytes[i] = 0
  return total
}

function putHeader(
  { bytes, view }: RecordMemory,
  at: number,
  body: Omit<RecordBody, 'payload'>,
  payloadBytes: number,
  stamp: RecordStamp
): void {
  view.setUint32(at, FIRST_WORD | (stamp.kind << 16), true)
  view.setUint32(at + 4, stamp.generation, true)
  view.setUint32(at + 8, stamp.unsynced, true)
  view.setUint32(at + 12, payloadBytes, true)
  setSafe(view, at + 16, stamp.sequence)
  setSafe(view, at + 24, body.ledgerId)
  setSafe(view, at + 32, body.entryId + 1)
  setSafe(view, at + 40, body.lac + 1)
  setSafe(view, at + 48, body.lengthBytes)
  view.setUint32(at + 56, body.crc32c, true)
  view.setUint32(at + CRC_AT, headerCrc(bytes, at, at + CRC_AT), true)
}

/** undefined: no valid header stands at `at` (or `bytes` ends within it). The payload may lie past the end of `bytes`. */
export function decodeRecordHeader(bytes: Buffer, at: number): RecordHeader | undefined {
  if (at + HEADER_BYTES > bytes.length || bytes[at] !== RECORD_MAGIC || bytes[at + 1] !== RECORD_VERSION)
    return undefined
  if (word(bytes, at + CRC_AT) >>> 0 !== headerCrc(bytes, at, at + CRC_AT)) return undefined
  const kind = kindOf(bytes[at + 2] ?? 0)
  const payloadBytes = word(bytes, at + 12) >>> 0
  const sequence = getSafe(bytes, at + 16)
  if (kind === undefined || payloadBytes > PAYLOAD_BYTES_MAX) return undefined
  return {
    kind,
    generation: word(bytes, at + 4) >>> 0,
    sequence,
    provenSequence: sequence - (word(bytes, at + 8) >>> 0),
    payloadBytes,
    ledgerId: getSafe(bytes, at + 24) as LedgerId,
    entryId: (getSafe(bytes, at + 32) - 1) as EntryId,
    lac: (getSafe(bytes, at + 40) - 1) as EntryId,
    lengthBytes: getSafe(bytes, at + 48),
    crc32c: word(bytes, at + 56) >>> 0
  }
}

function kindOf(byte: number): RecordKind | undefined {
  return byte >= RECORD_KIND.entry && byte <= RECORD_KIND.mark ? (byte as RecordKind) : undefined
}

function setSafe(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  view.setUint32(at, value - high * TWO_32, true)
  view.setUint32(at + 4, high, true)
}

/** The header's CRC has been checked: what does not fit was never written by us. */
function getSafe(bytes: Buffer, at: number): number {
  return (word(bytes, at + 4) >>> 0) * TWO_32 + (word(bytes, at) >>> 0)
}
